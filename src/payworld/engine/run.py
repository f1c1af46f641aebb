"""A run: load, step, render, sink, commit. Joins the pure parts with storage."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Literal

from payworld.config import WorldConfig
from payworld.engine.encode import Bytes
from payworld.engine.estimate import expected_first_rows, expected_rows
from payworld.engine.step import step_day
from payworld.engine.tasks import Task, cut_tasks
from payworld.engine.workers import Renderer, StartMethod
from payworld.errors import ConflictError, StorageError, UsageError
from payworld.schema import TABLES
from payworld.storage.archive import aside_folders, plan_moves, replaced_names
from payworld.storage.commit import (
    check_targets,
    commit,
    discard_work,
    from_state,
    output_of,
    still_whole,
)
from payworld.storage.journal import Journal
from payworld.storage.lock import is_free
from payworld.storage.manifest import check_same_world, file_entry
from payworld.storage.reference import load_reference
from payworld.storage.sinks import ChunkFile, write_merchants
from payworld.storage.state_file import state_pieces
from payworld.storage.style import FileStyle, partial_path
from payworld.synthesis.frames import merchants_frame
from payworld.synthesis.plan import DayPlan
from payworld.synthesis.rules import Rules, compile_rules
from payworld.timeline import Period, iso, month_chunks, parse_date
from payworld.world.birth import create_world
from payworld.world.state import World

__all__ = ["Held", "Outcome", "Request", "execute"]

# A kill costs the work since the last checkpoint; a checkpoint is one line in the journal.
CHECKPOINT_SECONDS = 3.0
# Whole chunks wait for each other so long: a commit writes the whole state anew.
COMMIT_SECONDS = 30.0
# Below this many rows a worker takes longer to start than it saves.
WORKER_ROWS = 250_000
# Ten digits number payments and cards; nine hundred thousand merchants have six.
MAX_PAYMENTS = 9_999_999_999

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Request:
    """What a run is to do; lives for the run. `period` holds the days that are missing."""

    mode: Literal["initial", "incremental"]
    period: Period
    state_dir: Path
    output_dir: Path
    style: FileStyle
    workers: int
    config: WorldConfig
    # The command line forks; a program that may have started threads must not.
    start_method: StartMethod = "spawn"
    # The dated folder for the world that this one replaces; empty where it replaces none.
    replaces: str = ""


@dataclass(frozen=True)
class Held:
    """A world that this process holds: it, its state's checksum, and an earlier run's journal."""

    world: World | None
    base: str | None
    records: list[dict[str, Any]]
    locks: list[int]


def missing_before(world: World, manifest: dict[str, Any] | None) -> str:
    """Return a warning where the folder's manifest does not reach the world's last day; or ""."""
    ends = [resource["period"]["end"] for resource in (manifest or {"resources": []})["resources"]]
    last = iso(world.last_day)
    if world.last_day < world.start_day or last in ends or max(ends, default="") > last:
        return ""
    found = f"ends with {max(ends)}" if ends else "is missing"
    return (
        f"the manifest in this folder {found}, but the world has lived through {last}: files of "
        "earlier days are elsewhere or lost, and gen verify will say so"
    )


@dataclass
class Outcome:
    """What a run did; lives until it is reported."""

    world: World
    period: Period
    rows: int = 0
    files: list[dict[str, Any]] = field(default_factory=list)
    resumed_from: int | None = None
    moved_aside: list[str] = field(default_factory=list)
    warning: str = ""


def _header(request: Request, base: str | None) -> dict[str, Any]:
    return {
        "mode": request.mode,
        "start": iso(request.period.start),
        "end": iso(request.period.end),
        "style": str(request.style),
        "output_dir": from_state(request.state_dir, request.output_dir),
        "config": request.config.fingerprint,
        "base": base,
        "replaces": bool(request.replaces),
    }


def _is_same_run(found: dict[str, Any], header: dict[str, Any]) -> bool:
    """Return whether a journal's run is the one that begins now, cut short.

    The start may differ: what the earlier part of the run has committed is done.
    """
    return {**found, "start": None} == {**header, "start": None} and (
        found["start"] <= header["start"]
    )


class _Run:
    """The state of a run in progress; lives for the run."""

    def __init__(
        self, request: Request, world: World, base: str | None, chunks: list[Period]
    ) -> None:
        self.request = request
        self._period_from = {chunk.start: chunk for chunk in chunks}
        self._period_to = {chunk.end: chunk for chunk in chunks}
        self.world = world
        self.header = _header(request, base)
        self.label = ""
        self.pending: list[dict[str, Any]] = []
        self.chunk: ChunkFile | None = None
        self.beside: ThreadPoolExecutor | None = None
        self.merchants: dict[int, Future[dict[str, Any]]] = {}
        self.last_state: Future[list[bytes]] | None = None
        self.outcome = Outcome(world, request.period)
        self.committed_at = self.checked_at = monotonic()
        self.journal: Journal

    def begin(self, records: list[dict[str, Any]], rules: Rules) -> None:
        """Go on from an earlier run's journal if it is the same run, else begin anew."""
        request = self.request
        same = bool(records) and _is_same_run(records[0], self.header)
        folders = {request.output_dir}
        # Where the earlier run was, another world may be at work by now.
        if records and is_free(other := output_of(request.state_dir, records[0])):
            folders.add(other)
        if same:
            self.header["start"] = records[0]["start"]
        self.label = f"{request.mode} {self.header['start']}..{self.header['end']}"
        if same and len(records) > 1 and self._resume(records[-1], rules):
            kept = {partial_path(request.output_dir, e["path"]).name for e in self.pending}
            if self.chunk is not None:
                kept.add(self.chunk.path.name)
            discard_work(request.state_dir, folders, frozenset(kept))
            self.journal = Journal(request.state_dir, records[0], records=len(records))
            return
        discard_work(request.state_dir, folders, frozenset())
        self.journal = Journal(request.state_dir, self.header)

    def _resume(self, checkpoint: dict[str, Any], rules: Rules) -> bool:
        """Take up the work that a checkpoint names; False if it is not all there."""
        output_dir = self.request.output_dir
        pending = checkpoint["pending"]
        for entry in pending:
            work = partial_path(output_dir, entry["path"])
            if not still_whole(work, entry["hash"].removeprefix("sha256:")):
                return False
        chunk = None
        if checkpoint["chunk"] is not None:
            period = Period(*checkpoint["chunk"]["period"])
            mark = checkpoint["chunk"]
            chunk = ChunkFile.resume(output_dir, period, self.request.style, mark)
            if chunk is None:
                return False
        self.pending, self.chunk = pending, chunk
        while self.world.last_day < checkpoint["day"]:
            self.world, _ = step_day(self.world, rules)
        self.outcome.resumed_from = checkpoint["day"]
        return True

    def take(self, task: Task, parts: list[Bytes]) -> None:
        """Write a task's bytes; at a chunk's end make its files whole and perhaps commit."""
        chunk = self.chunk
        if chunk is None:
            period = self._period_from[self.world.last_day + 1]
            chunk = self.chunk = ChunkFile(self.request.output_dir, period, self.request.style)
        for part in parts:
            chunk.append(part, 0)
        chunk.rows += task.rows
        self.outcome.rows += task.rows
        if task.world is None:
            return
        self.world = task.world
        if self.world.last_day == chunk.period.end:
            self._finish(chunk)
        if self.pending and self._commit_is_due():
            self.commit()
        elif monotonic() - self.checked_at >= CHECKPOINT_SECONDS:
            self._checkpoint()

    def look_ahead(self, world: World) -> None:
        """Let a thread make what a chunk's end needs, while its last payments are rendered."""
        chunk = self._period_to.get(world.last_day)
        if chunk is None:
            return
        self.beside = self.beside or ThreadPoolExecutor(1)
        self.merchants[world.last_day] = self.beside.submit(self._write_merchants, world, chunk)
        if world.last_day == self.request.period.end:
            self.last_state = self.beside.submit(lambda: list(state_pieces(world)))

    def _write_merchants(self, world: World, period: Period) -> dict[str, Any]:
        frame = merchants_frame(world, period, load_reference().places)
        name = self.request.style.path("merchants", period)
        mark = write_merchants(self.request.output_dir, frame, name)
        return file_entry(
            "merchants", name, period, self.label, mark["rows"], mark["bytes"], mark["sha256"]
        )

    def _finish(self, chunk: ChunkFile) -> None:
        chunk.finish()
        period = chunk.period
        made = self.merchants.pop(period.end, None)
        self.pending += [
            made.result() if made else self._write_merchants(self.world, period),
            file_entry(
                "transactions", chunk.name, period, self.label, chunk.rows, chunk.bytes,
                chunk.sha256,
            ),
        ]  # fmt: skip
        self.chunk = None

    def _commit_is_due(self) -> bool:
        if self.world.last_day == self.request.period.end:
            return True
        return self.chunk is None and monotonic() - self.committed_at >= COMMIT_SECONDS

    def commit(self) -> None:
        request = self.request
        places = request.state_dir, request.output_dir
        moves = plan_moves(*places, request.replaces) if self.header["replaces"] else None
        is_last = self.world.last_day == request.period.end
        made = self.last_state.result() if self.last_state and is_last else None
        state = made or state_pieces(self.world)
        checksum = commit(*places, self.journal, self.world, state, self.pending, moves)
        if moves:
            self.outcome.moved_aside = aside_folders(*places, moves)
        self.outcome.files += self.pending
        self.outcome.world = self.world
        self.pending = []
        self.header = {**self.header, "base": checksum, "replaces": False}
        if is_last:
            self.journal.finish()
        else:
            self.journal.restart(self.header)
        self.committed_at = self.checked_at = monotonic()

    def _checkpoint(self) -> None:
        chunk = self.chunk and {"period": list(self.chunk.period), **self.chunk.mark()}
        self.journal.append({"day": self.world.last_day, "pending": self.pending, "chunk": chunk})
        self.checked_at = monotonic()

    def close(self) -> None:
        """Close what is open; the files stay."""
        if self.beside is not None:
            self.beside.shutdown(cancel_futures=True)
        if self.chunk is not None:
            self.chunk.close()
        self.journal.close()

    def abandon(self) -> None:
        """Remove the work files, unless a commit was decided, which the next run finishes."""
        self.close()
        if self.journal.decided:
            return
        discard_work(self.request.state_dir, {self.request.output_dir}, frozenset())
        if self.outcome.files or self.header["start"] != iso(self.request.period.start):
            # A part is committed: its header tells the next run that it goes on with this one.
            self.journal.rewind()
        else:
            self.journal.finish()


def plan_chunks(period: Period, manifest: dict[str, Any] | None) -> list[Period]:
    """Return the monthly chunks of a period, cut where files that the manifest lists begin or end.

    After a recovery the files of some days are there already: made again under the same names,
    they are found equal.
    """
    cuts = set()
    for resource in (manifest or {"resources": []})["resources"]:
        start = parse_date(resource["period"]["start"], "period")
        end = parse_date(resource["period"]["end"], "period")
        if start >= period.start:
            cuts |= {start, end + 1}
    chunks = []
    for chunk in month_chunks(period):
        inner = sorted(cut for cut in cuts if chunk.start < cut <= chunk.end)
        starts = [chunk.start, *inner]
        ends = [*(cut - 1 for cut in inner), chunk.end]
        chunks += [Period(*pair) for pair in zip(starts, ends, strict=True)]
    return chunks


def _check_capacity(world: World, rules: Rules, period: Period) -> None:
    expected = world.total_transactions + expected_rows(world, rules, period)
    if expected > MAX_PAYMENTS:
        raise UsageError(
            f"--end-date = {iso(period.end)}: the world would have about {expected:,} payments; "
            f"expected at most {MAX_PAYMENTS:,}, which ten digits number; choose an earlier date "
            "or fewer merchants"
        )


def execute(
    request: Request, held: Held, on_progress: Progress = lambda _day, _rows: None
) -> Outcome:
    """Do a run on a world that is held (none yet: one is born), and return what was done.

    Raises StorageError, ConflictError, WorkerError; whatever was committed before stays, and the
    same call again goes on from there.
    """
    rules = compile_rules(request.config, load_reference())
    past = None if request.replaces else held.world
    workers = _worker_count(request, rules, past)
    # The workers get ready while the first merchants are born.
    with Renderer(rules, request.style, workers, held.locks, request.start_method) as renderer:
        world = past or create_world(request.config, request.period.start, rules.reference.places)
        run, chunks = _prepare(request, held, world.with_config(request.config), rules)
        try:
            return _generate(run, rules, {chunk.end for chunk in chunks}, renderer, on_progress)
        except (StorageError, ConflictError, MemoryError):
            run.abandon()
            raise
        finally:
            run.close()


def _worker_count(request: Request, rules: Rules, past: World | None) -> int:
    if past is None:
        rows = expected_first_rows(rules, request.period)
    else:
        rows = expected_rows(past, rules, request.period)
    return (request.workers or os.cpu_count() or 1) if rows >= WORKER_ROWS else 1


def _prepare(request: Request, held: Held, world: World, rules: Rules) -> tuple[_Run, list[Period]]:
    """Return the run, begun or taken up again, and its chunks; nothing is made of it so far."""
    _check_capacity(world, rules, request.period)
    if request.replaces and held.world is not None:
        # The files that are moved aside are those of the world that is replaced, no other's.
        check_same_world(request.output_dir, held.world)
    leaving = frozenset(replaced_names(request.output_dir) if request.replaces else ())
    manifest = None if request.replaces else check_same_world(request.output_dir, world)
    chunks = plan_chunks(request.period, manifest)
    names = {request.style.path(t, c) for c in chunks for t in TABLES}
    check_targets(request.output_dir, request.period, names, leaving)
    run = _Run(request, world, held.base, chunks)
    run.outcome.warning = missing_before(world, manifest)
    run.begin(held.records, rules)
    return run, chunks


def _days(
    run: _Run, rules: Rules, ahead: Callable[[World], None]
) -> Iterator[tuple[World, DayPlan]]:
    world = run.world
    while world.last_day < run.request.period.end:
        world, plan = step_day(world, rules)
        ahead(world)
        yield world, plan


def _generate(
    run: _Run,
    rules: Rules,
    last_days: set[int],
    renderer: Renderer,
    on_progress: Progress,
) -> Outcome:
    on_progress(run.world.last_day, 0)
    ahead = run.look_ahead if renderer.has_workers else lambda _world: None
    for task, parts in renderer.render(cut_tasks(_days(run, rules, ahead), last_days)):
        run.take(task, parts)
        on_progress(run.world.last_day, run.outcome.rows)
    if run.world.last_day == run.request.period.end and run.pending:
        # A run that was cut short between its last chunk and the commit.
        run.commit()
    return run.outcome
