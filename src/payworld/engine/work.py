"""A run in progress: rendered tasks go in; chunks, checkpoints and commits come of them."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic
from typing import Any

from payworld.engine.request import Outcome, Request
from payworld.engine.step import step_day
from payworld.engine.tasks import Rendered, Task
from payworld.storage.archive import aside_folders, plan_moves
from payworld.storage.commit import (
    commit,
    discard_work,
    from_state,
    output_of,
    stage_state,
    still_whole,
)
from payworld.storage.journal import Journal
from payworld.storage.lock import is_free
from payworld.storage.manifest import file_entry
from payworld.storage.reference import load_reference
from payworld.storage.sinks import ChunkFile, write_merchants
from payworld.storage.style import partial_path
from payworld.synthesis.rules import Rules
from payworld.timeline import Period, iso
from payworld.world.state import World

__all__ = ["Work"]

# A kill costs the work since the last checkpoint; a checkpoint is one line in the journal.
CHECKPOINT_SECONDS = 3.0
# Whole chunks wait for each other so long: a commit writes the whole state anew.
COMMIT_SECONDS = 30.0


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


class Work:
    """A run in progress: what it writes, marks and commits; lives for the run."""

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
        self.last_state: Future[str] | None = None
        self.is_closed = False
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

    def take(self, task: Task, rendered: Rendered) -> None:
        """Write a task's bytes; at a chunk's end make its files whole and perhaps commit."""
        chunk = self.chunk
        if chunk is None:
            period = self._period_from[self.world.last_day + 1]
            chunk = self.chunk = ChunkFile(self.request.output_dir, period, self.request.style)
        for part in rendered.parts:
            chunk.append(part)
        chunk.count(task.rows, rendered.cents)
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
            self.last_state = self.beside.submit(
                stage_state, self.request.state_dir, world, lambda: not self.is_closed
            )

    def is_busy(self) -> bool:
        """Return whether the thread is at work: it and this one take turns, as Python's do."""
        ahead = (*self.merchants.values(), self.last_state)
        return any(made is not None and not made.done() for made in ahead)

    def _write_merchants(self, world: World, period: Period) -> dict[str, Any]:
        # Imported here, with Polars: the first payments are rendered elsewhere meanwhile.
        from payworld.synthesis.frames import merchants_frame

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
                chunk.sha256, chunk.cents,
            ),
        ]  # fmt: skip
        self.chunk = None

    def _commit_is_due(self) -> bool:
        if self.world.last_day == self.request.period.end:
            return True
        # Once the last state is being staged, under the one name for that, the end is near.
        is_late = monotonic() - self.committed_at >= COMMIT_SECONDS
        return self.chunk is None and is_late and self.last_state is None

    def commit(self) -> None:
        """Publish what is whole, and the world that made it."""
        request = self.request
        places = request.state_dir, request.output_dir
        moves = plan_moves(*places, request.replaces) if self.header["replaces"] else None
        is_last = self.world.last_day == request.period.end
        staged = self.last_state.result() if self.last_state else None
        checksum = staged or stage_state(request.state_dir, self.world)
        commit(*places, self.journal, self.world, checksum, self.pending, moves)
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
        self.is_closed = True
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
