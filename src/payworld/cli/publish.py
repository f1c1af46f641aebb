"""gen publish, and the publishing that follows a run with --publish."""

from __future__ import annotations

import gc
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from payworld.cli import clock
from payworld.cli.output import guarded, print_json, say
from payworld.cli.settings import folder_options, read_settings
from payworld.config import Config
from payworld.errors import (
    LockedError,
    LostFileError,
    PayworldError,
    PublishError,
    StorageError,
    UsageError,
)
from payworld.storage.lock import hold_publishing
from payworld.storage.manifest import MANIFEST
from payworld.storage.session import check_paths

if TYPE_CHECKING:
    from payworld.storage.publish import Report

__all__ = ["Arguments", "publish_files", "publish_run"]

LOG_SECONDS = 5.0
# So many names in a message.
SHOWN = 20
_WHOLE = "The world and its files are whole on this disk. "


@dataclass(frozen=True)
class Arguments:
    """The options of gen publish, as given; lives for the command."""

    destination: str | None
    output_dir: Path | None
    state_dir: Path | None
    config: Path | None
    dry_run: bool
    json: bool
    quiet: bool
    debug: bool


def publish_files(arguments: Arguments) -> None:
    """Do what `gen publish` asks for."""
    with guarded(
        arguments.debug,
        stopped="what was uploaded is whole",
        resume="run the same command again to go on",
    ):
        config, _ = read_settings(
            arguments.config,
            {
                "output_dir": None if arguments.output_dir is None else str(arguments.output_dir),
                "state_dir": None if arguments.state_dir is None else str(arguments.state_dir),
                "publish": arguments.destination,
            },
        )
        if not config.publish:
            raise UsageError(
                "gen publish: it is not said where to: expected gen publish s3://bucket/prefix, "
                "PAYWORLD_PUBLISH, or the key publish in the --config file"
            )
        check_paths(Path(config.state_dir), Path(config.output_dir))
        summary, failure = publish_run(config, arguments.quiet, arguments.dry_run)
        if arguments.json:
            print_json(summary)
        if failure is not None:
            raise failure


def publish_run(
    config: Config, quiet: bool, dry_run: bool = False
) -> tuple[dict[str, Any], PayworldError | None]:
    """Publish the data folder; return what was done, as plain JSON types, and what failed."""
    from payworld.storage.publish import Publisher, Report
    from payworld.storage.s3 import Bucket
    from payworld.storage.upload import Destination

    # A run is without; here every request leaves cycles behind.
    gc.enable()
    place, output = Destination.parse(config.publish), Path(config.output_dir)
    bucket, report, failure = Bucket(place.bucket), Report(), None
    try:
        held = nullcontext() if dry_run else hold_publishing(output, clock.now_text())
        with held, _upload_progress(quiet) as on_progress:
            publisher = Publisher(output, place, bucket, on_progress)
            report = publisher.report
            publisher.publish(dry_run)
    except PayworldError as error:
        kind = LockedError if isinstance(error, LockedError) else PublishError
        failure = kind(f"{error}{_what_is_left(config, report, error)}")
        failure.__cause__ = error
    finally:
        bucket.close()
    if failure is None and not quiet:
        say(_described(config.publish, report, dry_run))
    return {
        "destination": config.publish,
        "done": failure is None and not dry_run,
        **({"dry_run": True} if dry_run else {}),
        "uploaded": sorted(file.path for file in report.uploaded),
        "uploaded_bytes": sum(file.bytes for file in report.uploaded),
        "already_there": report.present,
        "manifest": report.manifest,
        "missing": _missing(report),
        "refused": [
            {"path": path, "reason": str(report.refused[path])} for path in sorted(report.refused)
        ],
        "error": None if failure is None else str(failure),
    }, failure


def _missing(report: Report) -> list[str]:
    """Return what is not published yet, the manifest last."""
    return sorted(report.missing) + ([MANIFEST] if report.manifest == "missing" else [])


def _what_is_left(config: Config, report: Report, error: PayworldError) -> str:
    """Return how things are after a failure, and how to go on."""
    command = f"gen publish {shlex.quote(config.publish)}{folder_options(config, ('output_dir',))}"
    if isinstance(error, LockedError):
        return f"\n{_WHOLE}To go on: {command}"
    if not report.files:
        return ""
    names = _missing(report)
    lines = [f"  {name}" for name in names[:SHOWN]]
    if len(names) > SHOWN:
        lines.append(f"  and {len(names) - SHOWN:,} more; --json lists them all")
    whole = "" if isinstance(error, StorageError) else _WHOLE
    return "\n".join(
        [
            f"\n{whole}Not published yet:",
            *lines,
            f"To go on: {_regenerate(config, report)}{command}",
        ]
    )


def _regenerate(config: Config, report: Report) -> str:
    """Return the command that makes lost files again, with what leads on; empty: none is lost."""
    lost = [
        report.missing[path]
        for path, error in report.refused.items()
        if isinstance(error, LostFileError)
    ]
    if not lost:
        return ""
    start, end = min(file.start for file in lost), max(file.end for file in lost)
    days = f"--start-date {start} --end-date {end}"
    return f"gen regenerate {days}{folder_options(config)}, and then "


def _described(address: str, report: Report, dry_run: bool) -> str:
    """Return what was done, or would be, in one line."""
    files = [*report.missing.values()] if dry_run else report.uploaded
    verb = "would publish" if dry_run else "published"
    if files:
        size = sum(file.bytes for file in files)
        count = f"{len(files):,} file{'' if len(files) == 1 else 's'}"
        done = f"{verb} {count}, {size:,} bytes, to {address}; {report.present:,} there before"
    elif report.manifest in {"new", "replaced"}:
        done = f"{verb} {MANIFEST} to {address}, which has all {report.files:,} files"
    else:
        done = f"{address} has all {report.files:,} files: nothing to publish"
    if report.manifest == "ahead":
        done += f"; the {MANIFEST} there lists more than this folder's, and stays"
    return done


@contextmanager
def _upload_progress(quiet: bool) -> Iterator[Callable[[int, int, int, int], None]]:
    """Yield a function to call with files done, of all, bytes done, of all."""
    if quiet:
        yield lambda _files, _all_files, _size, _all_size: None
    elif sys.stderr.isatty():
        with _bar() as update:
            yield update
    else:
        yield _log_lines()


def _log_lines() -> Callable[[int, int, int, int], None]:
    told = monotonic()

    def update(files: int, all_files: int, size: int, all_size: int) -> None:
        nonlocal told
        now = monotonic()
        if now - told >= LOG_SECONDS:
            told = now
            say(f"published {files:,} of {all_files:,} files, {size:,} of {all_size:,} bytes")

    return update


@contextmanager
def _bar() -> Iterator[Callable[[int, int, int, int], None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    bar = Progress(
        TextColumn("publishing {task.fields[files]}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task = bar.add_task("", files="", total=None)

    def update(files: int, all_files: int, size: int, all_size: int) -> None:
        bar.update(task, completed=size, total=all_size, files=f"{files:,} of {all_files:,} files")

    with bar:
        yield update
