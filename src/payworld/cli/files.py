"""gen files: what is published, and what of it is new."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import typer

from payworld.cli.output import guarded, print_json, say
from payworld.cli.settings import folder_options, read_settings
from payworld.cli.tables import plain, print_table
from payworld.config import Config
from payworld.reports.files import Listing, PublishedFile, list_files
from payworld.storage.session import check_paths

__all__ = ["end_if_lost", "show_files"]

# So many lost files are named one by one.
SHOWN = 20


def show_files(
    output_dir: Path | None, since: str | None, table: str | None, as_json: bool, debug: bool
) -> None:
    """Print the published files with days after a date; exit code 1 if one of them is lost."""
    with guarded(debug):
        options = {"output_dir": None if output_dir is None else str(output_dir)}
        config, _ = read_settings(None, options)
        output = Path(config.output_dir)
        check_paths(Path(config.state_dir), output)
        listing = list_files(output, since, table)
        if as_json:
            print_json(_as_data(listing, output, since))
        elif listing.files:
            _print_table(listing)
        _tell(listing, since)
        end_if_lost(listing.lost, config)


def _as_data(listing: Listing, output: Path, since: str | None) -> dict[str, Any]:
    return {
        "output_dir": os.path.abspath(output),  # noqa: PTH100  # as the files' absolute paths
        "world": listing.world,
        "since": since,
        "through": listing.through and listing.through.isoformat(),
        "files": [
            {
                "table": file.table,
                "path": file.name,
                "absolute_path": str(file.path),
                "rows": file.rows,
                "bytes": file.bytes,
                "sha256": file.sha256,
                "period": {"start": file.start.isoformat(), "end": file.end.isoformat()},
                "run": file.run,
            }
            for file in listing.files
        ],
        "lost": [file.name for file in listing.lost],
    }


def _print_table(listing: Listing) -> None:
    print_table(
        ["file", "first day", "last day", "rows", "bytes"],
        [
            [
                plain(file.name),
                file.start.isoformat(),
                file.end.isoformat(),
                f"{file.rows:,}",
                f"{file.bytes:,}",
            ]
            for file in listing.files
        ],
        right=["rows", "bytes"],
        wrapped="file",
    )


def _tell(listing: Listing, since: str | None) -> None:
    """Say on stderr how much that is."""
    rows = sum(file.rows for file in listing.files)
    size = sum(file.bytes for file in listing.files)
    count = len(listing.files)
    if count or since is None:
        files = "1 file" if count == 1 else f"{count:,} files"
        say(f"{files}, {rows:,} rows, {size:,} bytes; through {listing.through}")
    elif not listing.lost:
        say(f"nothing after {since}: the files tell of days through {listing.through}")


def end_if_lost(lost: list[PublishedFile], config: Config) -> None:
    """Say which files of the manifest cannot be read, and end with 1; return if there are none."""
    if not lost:
        return
    for file in lost[:SHOWN]:
        say(f"lost: {file.name} is missing or not as long as the manifest says")
    if len(lost) > SHOWN:
        say(f"lost: {len(lost) - SHOWN:,} more; --json lists them all")
    start, end = min(file.start for file in lost), max(file.end for file in lost)
    say(
        "to make what is lost again, with the same bytes: gen regenerate "
        f"--start-date {start} --end-date {end}{folder_options(config)}"
    )
    raise typer.Exit(1)
