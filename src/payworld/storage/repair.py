"""gen recover: back to the last state that verifies; nothing is deleted."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from payworld.errors import (
    StateCorruptError,
    StateError,
    StateMissingError,
    StateNewerError,
    StorageError,
)
from payworld.storage.archive import ASIDE
from payworld.storage.commit import discard_work, output_of
from payworld.storage.files import (
    fsync_folder,
    make_aside,
    naming,
    read_bytes,
    replace_file,
    write_durably,
)
from payworld.storage.journal import JOURNAL, read_journal
from payworld.storage.state_file import PREVIOUS, STATE, read_world, state_checksum
from payworld.world.state import World

__all__ = ["Recovery", "recover_state"]


@dataclass(frozen=True)
class Recovery:
    """What a recovery did; `aside` is where the damaged file went, None if none was damaged."""

    world: World
    aside: Path | None
    problem: str


def _try_read(path: Path) -> tuple[World | None, str]:
    """Return the world of a state file, or what is wrong with it.

    Raises StateNewerError for a whole file of a newer payworld: it is not damaged.
    """
    try:
        data = read_bytes(path)
    except StorageError as error:
        return None, str(error)
    try:
        return read_world(data), ""
    except StateNewerError as error:
        try:
            state_checksum(data)
        except StateCorruptError as damage:
            return None, str(damage)
        raise StateNewerError(f"{str(path)!r} is not damaged: {error}") from error
    except StateError as error:
        return None, str(error)


def recover_state(state_dir: Path, stamp: str) -> Recovery:
    """Put the last state that verifies in place of a damaged one. Call it with the world held.

    Raises StateError where no state verifies; nothing is changed then.
    """
    current, previous = state_dir / STATE, state_dir / PREVIOUS
    there = os.path.lexists(current)
    if there:
        world, problem = _try_read(current)
        if world is not None:
            return Recovery(world, None, "")
    else:
        problem = f"{STATE} is missing"
    if not os.path.lexists(previous):
        kind = StateCorruptError if there else StateMissingError
        raise kind(
            f"{str(current)!r}: {problem}; and there is no {PREVIOUS} beside it to go back to. "
            "Restore merchants.json from a backup, or begin another world: "
            "gen --initial --replace"
        )
    world, previous_problem = _try_read(previous)
    if world is None:
        raise StateCorruptError(
            f"{str(current)!r}: {problem}; and {PREVIOUS} does not verify either: "
            f"{previous_problem}. Restore one of them from a backup; nothing was changed"
        )
    aside = None
    if there:
        aside = state_dir / ASIDE / stamp / STATE
        make_aside(aside.parent, state_dir)
    # The copy is whole before the damaged file gives up its name.
    copy = state_dir / f".{STATE}.recovered"
    write_durably(copy, read_bytes(previous))
    if aside is not None:
        with naming(current, "move aside"):
            current.rename(aside)
        fsync_folder(aside.parent)
    # Before the state verifies: a recovery that was cut short would find nothing to do after it.
    _forget_journal(state_dir)
    replace_file(copy, current)
    return Recovery(world, aside, problem)


def _forget_journal(state_dir: Path) -> None:
    """Drop the unfinished work of runs that began from the damaged state."""
    records = _safe_journal(state_dir)
    folders = {output_of(state_dir, record) for record in records[:1]}
    discard_work(state_dir, folders, frozenset())
    with naming(state_dir / JOURNAL, "remove"):
        (state_dir / JOURNAL).unlink(missing_ok=True)


def _safe_journal(state_dir: Path) -> list[dict[str, str]]:
    try:
        return read_journal(state_dir)
    except StorageError:
        return []
