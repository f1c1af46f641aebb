"""gen --initial and gen --incremental."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any

import typer

from payworld.cli import clock
from payworld.cli.output import guarded, print_json, print_text, say
from payworld.cli.settings import overlaid, read_settings
from payworld.config import Config
from payworld.engine.decide import Decision, check_config, decide_incremental, decide_initial
from payworld.errors import StateError, UsageError
from payworld.storage.session import check_paths, peek
from payworld.timeline import Period, iso, parse_date
from payworld.world.state import World

__all__ = ["Arguments", "Asked", "generate"]


@dataclass(frozen=True)
class Arguments:
    """The options of a run, as given; lives for the command."""

    initial: bool
    incremental: bool
    start_date: str | None
    end_date: str | None
    date: str | None
    output_dir: Path | None
    state_dir: Path | None
    config: Path | None
    seed: int | None
    file_format: str | None
    compression: str | None
    layout: str | None
    workers: int | None
    publish: str | None
    force: bool
    replace: bool
    accept_config_changes: bool
    dry_run: bool
    json: bool
    quiet: bool
    debug: bool


@dataclass(frozen=True)
class Asked:
    """The options, understood; lives for the command."""

    arguments: Arguments
    config: Config
    given: dict[str, Any]
    state_dir: Path
    output_dir: Path
    start: int | None
    end: int

    def decide(self, world: World | None, header: dict[str, Any] | None) -> Decision:
        """Return what is to be done with the world that is there."""
        if self.arguments.initial:
            period = Period(self.end if self.start is None else self.start, self.end)
            return decide_initial(world, header, period, self.config.world, self.arguments.replace)
        decision = decide_incremental(world, self.start, self.end)
        if world is not None:
            config = overlaid(world, self.given)
            check_config(world, config, self.arguments.accept_config_changes)
            if decision.period is None and config != world.config:
                note = (
                    f"{decision.note}, and the configuration changes were not kept (they would "
                    f"hold from {iso(world.last_day + 1)} on: give them again with the run that "
                    "makes that day)"
                )
                return replace(decision, note=note)
        return decision


def _understand(arguments: Arguments) -> Asked:
    if arguments.initial and arguments.incremental:
        raise UsageError("--initial and --incremental: expected one of the two")
    if arguments.incremental and arguments.replace:
        raise UsageError("--replace goes with --initial alone: it puts a new world in place")
    if arguments.date is not None and arguments.initial:
        raise UsageError("--date goes with --incremental; --initial has --start-date, --end-date")
    if arguments.date is not None and (arguments.start_date or arguments.end_date):
        raise UsageError("--date: expected either --date or --start-date and --end-date")
    options = {
        "output_dir": None if arguments.output_dir is None else str(arguments.output_dir),
        "state_dir": None if arguments.state_dir is None else str(arguments.state_dir),
        "seed": arguments.seed,
        "format": arguments.file_format,
        "compression": arguments.compression,
        "layout": arguments.layout,
        "workers": arguments.workers,
        "publish": arguments.publish,
    }
    config, given = read_settings(arguments.config, options)
    start, end = _dates(arguments)
    state_dir, output_dir = Path(config.state_dir), Path(config.output_dir)
    check_paths(state_dir, output_dir)
    if config.publish:
        from payworld.storage.s3 import require_boto3

        # Before an hour's work, not after it.
        require_boto3()
    return Asked(arguments, config, given, state_dir, output_dir, start, end)


def _dates(arguments: Arguments) -> tuple[int | None, int]:
    start = None
    if arguments.start_date is not None:
        start = parse_date(arguments.start_date, "--start-date")
    elif arguments.initial:
        raise UsageError("--initial needs --start-date YYYY-MM-DD, the first day of the world")
    if arguments.date is not None:
        return None, parse_date(arguments.date, "--date")
    if arguments.end_date is not None:
        end = parse_date(arguments.end_date, "--end-date")
    else:
        end = clock.yesterday()
    if start is not None and end < start:
        given = "--end-date" if arguments.end_date is not None else "yesterday, the last day"
        raise UsageError(
            f"--start-date = {iso(start)!r}: it lies after {given} ({iso(end)}); expected a day "
            "up to it"
        )
    return start, end


def _confirm(arguments: Arguments, question: str) -> None:
    if arguments.force:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            "there is no terminal to ask on: add -f (--force) to run without a question"
        )
    say(question)
    if not typer.confirm("Go on?", err=True):
        say("nothing was written")
        raise typer.Exit(1)


def generate(arguments: Arguments) -> None:
    """Do what `gen --initial` or `gen --incremental` asks for."""
    with guarded(arguments.debug, resume="run the same command again to go on"):
        asked = _understand(arguments)
        try:
            world, header = peek(asked.state_dir, repair=not arguments.dry_run)
        except StateError:
            if not arguments.replace:
                raise
            world, header = None, None
        decision = asked.decide(world, header)
        if decision.period is None:
            _report_done(asked, decision)
            return
        from payworld.cli.plan import describe_plan, plan_summary

        if arguments.dry_run:
            if arguments.json:
                print_json(plan_summary(asked, decision, decision.period, world))
            else:
                print_text(describe_plan(asked, decision, decision.period, world))
            return
        if not arguments.force:
            _confirm(arguments, describe_plan(asked, decision, decision.period, world))
        elif decision.note and not arguments.quiet:
            say(decision.note)
        _run(asked)


def _report_done(asked: Asked, decision: Decision) -> None:
    if not asked.arguments.quiet:
        say(f"{decision.note}: nothing to do")
    _conclude(asked, {"done": True, "message": decision.note, "rows": 0, "files": []})


def _conclude(asked: Asked, summary: dict[str, Any]) -> None:
    """Publish if asked for, also where an earlier night failed to, and print the summary."""
    failure = None
    if asked.config.publish and not asked.arguments.dry_run:
        from payworld.cli.publish import publish_run

        published, failure = publish_run(asked.config, asked.arguments.quiet)
        summary = {**summary, "done": failure is None, "publish": published}
    if asked.arguments.json:
        print_json(summary)
    if failure is not None:
        raise failure


def _run(asked: Asked) -> None:
    from payworld.cli.progress import progress
    from payworld.cli.summary import run_summary, summary_table
    from payworld.engine.request import Held, Request
    from payworld.engine.run import execute
    from payworld.storage.session import hold_world
    from payworld.storage.state_file import PREVIOUS, STATE
    from payworld.storage.style import FileStyle

    arguments, began = asked.arguments, monotonic()
    replacing = arguments.replace
    with hold_world(asked.state_dir, asked.output_dir, clock.now_text(), replacing) as found:
        world, base, records, locks = found
        decision = asked.decide(world, records[0] if records else None)
        if decision.period is None:
            _report_done(asked, decision)
            return
        # A state that cannot be read, or of which the previous one alone is left, is replaced too.
        replaces = decision.replaces or (
            replacing
            and world is None
            and any(os.path.lexists(asked.state_dir / name) for name in (STATE, PREVIOUS))
        )
        config = asked.config.world
        if world is not None and not replaces:
            config = overlaid(world, asked.given)
        request = Request(
            mode=decision.mode,
            period=decision.period,
            state_dir=asked.state_dir,
            output_dir=asked.output_dir,
            style=FileStyle.asked(asked.config),
            workers=asked.config.workers,
            config=config,
            start_method="fork",
            replaces=clock.now_stamp() if replaces else "",
        )
        held = Held(world, base, records, locks)
        with progress(decision.period, arguments.quiet) as on_progress:
            outcome = execute(request, held, on_progress)
    summary = run_summary(request, outcome, decision.note, monotonic() - began)
    if outcome.moved_aside:
        summary = {**summary, "moved_aside": outcome.moved_aside}
    if outcome.warning:
        summary = {**summary, "warning": outcome.warning}
        say(f"warning: {outcome.warning}")
    if not arguments.quiet:
        say(summary_table(summary))
    _conclude(asked, summary)
