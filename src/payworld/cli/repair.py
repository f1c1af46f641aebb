"""gen verify, gen recover, gen regenerate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from payworld.cli import clock
from payworld.cli.output import guarded, print_json, print_text, say
from payworld.cli.settings import read_settings
from payworld.errors import StateMissingError, UsageError
from payworld.storage.session import check_paths, hold_world
from payworld.storage.state_file import read_state
from payworld.timeline import Period, iso, parse_date

__all__ = ["recover_world", "regenerate_files", "verify_files"]


def _folders(state_dir: Path | None, output_dir: Path | None) -> tuple[Path, Path]:
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
    return state, output


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


def _options_of(paths: list[str]) -> str:
    """Return the options by which files get the style that these have."""
    from payworld.storage.style import FileStyle

    style = FileStyle.of(paths[0])
    given = {"format": style.format, "compression": style.compression, "layout": style.layout}
    usual = {"format": "csv", "compression": "none", "layout": "flat"}
    return "".join(f" --{name} {value}" for name, value in given.items() if value != usual[name])


def recover_world(
    state_dir: Path | None, output_dir: Path | None, as_json: bool, debug: bool
) -> None:
    """Go back to the last state that verifies, and say what will be made again."""
    with guarded(debug, resume="run gen recover again"):
        from payworld.storage.lock import hold
        from payworld.storage.manifest import read_manifest
        from payworld.storage.repair import recover_state

        state, output = _folders(state_dir, output_dir)
        with hold(state, None, clock.now_text()):
            done = recover_state(state, clock.now_stamp())
        last = iso(done.world.last_day)
        manifest = read_manifest(output) if output.is_dir() else None
        again = sorted(
            resource["path"]
            for resource in (manifest or {"resources": []})["resources"]
            if resource["period"]["end"] > last
        )
        until = max(
            (r["period"]["end"] for r in (manifest or {"resources": []})["resources"]), default=""
        )
        if as_json:
            print_json(
                {
                    "recovered": bool(done.problem),
                    "problem": done.problem,
                    "last_generated_date": last,
                    "moved_aside": done.aside and str(done.aside),
                    "made_again": again,
                }
            )
        if not done.problem:
            say(f"the state verifies: the world is as of {last}; nothing to recover")
            return
        say(f"the damaged state: {done.problem}")
        if done.aside is not None:
            say(f"it was moved aside to {str(done.aside)!r}")
        say(f"the world is as of {last} again, the last state that verifies")
        config = done.world.config.fingerprint
        if again and manifest and manifest.get("configuration_sha256") != config:
            say(
                "the files after that day were made with another configuration: give it again, "
                "with --config and --accept-config-changes"
            )
        if again:
            say(
                f"the days from {iso(done.world.last_day + 1)} to {until} will be generated "
                f"again, with equal bytes: {', '.join(again)}; to do it now: "
                f"gen --incremental --date {until}{_options_of(again)}"
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
