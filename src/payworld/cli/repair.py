"""gen verify, gen recover, gen regenerate."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from payworld.cli import clock
from payworld.cli.output import guarded, print_json, print_text, say
from payworld.cli.settings import folder_options, read_settings
from payworld.config import Config
from payworld.errors import StateMissingError, StorageError, UsageError
from payworld.storage.session import check_paths, hold_world
from payworld.storage.state_file import read_state
from payworld.timeline import Period, iso, parse_date

if TYPE_CHECKING:
    from payworld.storage.repair import Recovery

__all__ = ["recover_world", "regenerate_files", "verify_files"]


def _settings(state_dir: Path | None, output_dir: Path | None) -> Config:
    """Return the settings that name the folders of a world; StateMissingError if none is there."""
    options: dict[str, Any] = {
        "state_dir": None if state_dir is None else str(state_dir),
        "output_dir": None if output_dir is None else str(output_dir),
    }
    config, _ = read_settings(None, options)
    state, output = Path(config.state_dir), Path(config.output_dir)
    check_paths(state, output)
    if not state.is_dir():
        raise StateMissingError(
            f"there is no world in {str(state)!r}: the folder is missing; name another with "
            "--state-dir, or make a world: gen --initial"
        )
    return config


def _folders(state_dir: Path | None, output_dir: Path | None) -> tuple[Path, Path]:
    config = _settings(state_dir, output_dir)
    return Path(config.state_dir), Path(config.output_dir)


def _count(number: int, thing: str, plural: str = "s") -> str:
    return f"{number:,} {thing}{'' if number == 1 else plural}"


def verify_files(
    state_dir: Path | None, output_dir: Path | None, as_json: bool, debug: bool
) -> None:
    """Check the files and print each breach; exit code 1 if there is any."""
    with guarded(debug):
        from payworld.reports.verify import verify

        state, output = _folders(state_dir, output_dir)
        world, _ = read_state(state)
        report = verify(world, output)
        if as_json:
            print_json(
                {
                    "files": report.files,
                    "missing": report.missing,
                    "rows": report.rows,
                    "breaches": [
                        {"file": b.file, "row": b.row or None, "what": b.what}
                        for b in report.breaches
                    ],
                    "total_breaches": report.total,
                }
            )
        else:
            for breach in report.breaches:
                print_text(str(breach))
            if report.untold:
                print_text(f"and {report.untold:,} more")
        words = _count(report.total, "breach", "es") if report.total else "all is as it should be"
        missing = f" ({report.missing:,} missing)" if report.missing else ""
        files = f"{_count(report.files, 'file')}{missing}"
        say(f"verified {files}, {report.rows:,} rows: {words}")
        if report.total:
            raise typer.Exit(1)


@dataclass(frozen=True)
class _Ahead:
    """Files that tell of days after a world's last; `problem` is why the manifest tells nothing."""

    resources: list[dict[str, Any]]
    configuration: str | None
    problem: str = ""

    @property
    def names(self) -> list[str]:
        """Return the paths of the files, by name."""
        return sorted(resource["path"] for resource in self.resources)


def _files_ahead(output: Path, last_day: int) -> _Ahead:
    """Return what a data folder has of the days after one: by its manifest, else by the names."""
    from payworld.storage.manifest import read_manifest
    from payworld.storage.style import data_files, days_of
    from payworld.storage.taken_back import files_after

    try:
        manifest = read_manifest(output) if output.is_dir() else None
        configuration = None if manifest is None else manifest.get("configuration_sha256")
        return _Ahead(files_after(manifest, last_day), configuration)
    except StorageError as error:
        problem = str(error)
    found = []
    with suppress(StorageError, OSError):
        for name in sorted(data_files(output), key=days_of):
            start, end = days_of(name)
            if end > iso(last_day):
                found.append({"path": name, "period": {"start": start, "end": end}})
    return _Ahead(found, None, problem)


def recover_world(
    state_dir: Path | None, output_dir: Path | None, as_json: bool, debug: bool
) -> None:
    """Go back to the last state that verifies, and say what will be made again."""
    with guarded(debug, resume="run gen recover again"):
        from payworld.storage.lock import hold
        from payworld.storage.repair import recover_state

        config = _settings(state_dir, output_dir)
        state, output = Path(config.state_dir), Path(config.output_dir)
        with hold(state, None, clock.now_text()):
            done = recover_state(state, clock.now_stamp())
        last = iso(done.world.last_day)
        ahead = _files_ahead(output, done.world.last_day)
        if as_json:
            print_json(
                {
                    "recovered": bool(done.problem),
                    "problem": done.problem,
                    "last_generated_date": last,
                    "moved_aside": done.aside and str(done.aside),
                    "made_again": ahead.names,
                }
            )
        if done.problem:
            _tell_recovery(done, ahead, config)
        else:
            say(f"the state verifies: the world is as of {last}; nothing to recover")
        if ahead.problem:
            say(f"the files were told of by their names: {ahead.problem}")


def _tell_recovery(done: Recovery, ahead: _Ahead, config: Config) -> None:
    from payworld.storage.taken_back import how_to_remake

    say(f"the damaged state: {done.problem}")
    if done.aside is not None:
        say(f"it was moved aside to {str(done.aside)!r}")
    say(f"the world is as of {iso(done.world.last_day)} again, the last state that verifies")
    if not ahead.resources:
        return
    if ahead.configuration not in (None, done.world.config.fingerprint):
        say(
            "the files after that day were made with another configuration: give it again, "
            "with --config and --accept-config-changes"
        )
    until, options = how_to_remake(ahead.resources)
    last = max(resource["period"]["end"] for resource in ahead.resources)
    say(
        f"the days from {iso(done.world.last_day + 1)} to {last} will be generated again, with "
        f"equal bytes: {', '.join(ahead.names)}; to do it now: "
        f"gen --incremental --date {until} {options}{folder_options(config)}"
    )


def regenerate_files(
    state_dir: Path | None,
    output_dir: Path | None,
    start_date: str,
    end_date: str,
    as_json: bool,
    debug: bool,
) -> None:
    """Make lost or changed files of the past again, byte for byte."""
    with guarded(debug, resume="run the same command again to go on"):
        from payworld.engine.regenerate import regenerate

        start, end = parse_date(start_date, "--start-date"), parse_date(end_date, "--end-date")
        if end < start:
            raise UsageError(
                f"--start-date = {start_date!r}: it lies after --end-date {end_date}; expected a "
                "day up to it"
            )
        state, output = _folders(state_dir, output_dir)
        read_state(state)
        stamp = clock.now_stamp()
        with hold_world(state, output, clock.now_text()) as (world, _, _, _):
            if world is None:
                raise StateMissingError(f"there is no world in {str(state)!r}")
            done = regenerate(world, output, Period(start, end), stamp)
        if as_json:
            print_json({"made": done.made, "whole": done.whole, "moved_aside": done.moved})
        for name in done.made:
            say(f"made again: {name}")
        if done.moved:
            say(f"changed files were moved aside: {', '.join(done.moved)}")
        say(f"{_count(len(done.made), 'file')} made again, {len(done.whole):,} already whole")
