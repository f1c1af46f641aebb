"""gen recover: back to the last state that verifies; nothing is deleted."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from payworld.errors import (
    ConflictError,
    StateCorruptError,
    StateError,
    StateMissingError,
    StateNewerError,
    StorageError,
)
from payworld.storage.archive import ASIDE, ASIDE_FOLDER, drop_empty
from payworld.storage.commit import NEXT_STATE, discard_work, output_of, recover
from payworld.storage.files import (
    fsync_folder,
    make_below,
    naming,
    read_bytes,
    remove,
    replace_file,
    write_durably,
)
from payworld.storage.journal import JOURNAL, read_journal
from payworld.storage.lock import is_free
from payworld.storage.manifest import STAGED
from payworld.storage.state_file import PREVIOUS, STATE, read_world, state_checksum, way_out
from payworld.storage.style import is_work_file
from payworld.world.state import World

__all__ = ["Recovery", "recover_state"]

COPY = f".{STATE}.recovered"
# What else an unfinished run may leave beside the state.
STATE_WORK = (NEXT_STATE, f"{JOURNAL}.next", f".{PREVIOUS}.next")


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

    A commit that was decided and cut short is finished first: its own state may be the good one.
    Raises StateError where no state verifies, StorageError where something stands in the way;
    nothing is moved then.
    """
    with suppress(StateError, StorageError, ConflictError):
        recover(state_dir)
    current, previous = state_dir / STATE, state_dir / PREVIOUS
    there = os.path.lexists(current)
    if there:
        world, problem = _try_read(current)
        if world is not None:
            return Recovery(world, None, "")
    else:
        problem = f"{STATE} is missing"
    world = _try_read(previous)[0] if os.path.lexists(previous) else None
    if world is None:
        kind = StateCorruptError if there else StateMissingError
        raise kind(f"{str(current)!r}: {problem}. Nothing was changed. {way_out(state_dir)}")
    work = _work_of(state_dir)
    _check_removable(state_dir, work)
    drop_empty(state_dir)
    aside = state_dir / ASIDE / stamp / STATE if there else None
    copy = state_dir / COPY

    def make_aside() -> None:
        if aside is not None:
            make_below(aside.parent, state_dir, ASIDE_FOLDER)

    try:
        make_aside()
        # The copy is whole before the damaged file gives up its name.
        write_durably(copy, read_bytes(previous))
        # Before the state verifies: a recovery that was cut short would find nothing to do then.
        discard_work(state_dir, work, frozenset())
        remove(state_dir / JOURNAL)
        if aside is not None:
            # Empty as it was, it went with the work.
            make_aside()
            with naming(current, "move aside"):
                current.rename(aside)
            fsync_folder(aside.parent)
        replace_file(copy, current)
    except StorageError:
        if not there or os.path.lexists(current):
            # Nothing has been moved.
            with suppress(StorageError):
                remove(copy)
            drop_empty(state_dir)
        raise
    return Recovery(world, aside, problem)


def _work_of(state_dir: Path) -> set[Path]:
    """Return the data folder of an unfinished run that began from the damaged state, if any."""
    records = _safe_journal(state_dir)
    # Another world may be at work there by now.
    return {folder for r in records[:1] if is_free(folder := output_of(state_dir, r))}


def _check_removable(state_dir: Path, output_dirs: set[Path]) -> None:
    """Raise StorageError for a folder with the name of a work file, which could not be removed."""
    paths = [state_dir / name for name in (JOURNAL, *STATE_WORK, COPY)]
    for folder in output_dirs:
        with naming(folder, "read"):
            names = [path.name for path in folder.iterdir()]
        paths += [folder / name for name in names if name == STAGED or is_work_file(name)]
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            with naming(path, "remove"):
                raise IsADirectoryError(errno.EISDIR, "", str(path))


def _safe_journal(state_dir: Path) -> list[dict[str, str]]:
    try:
        return read_journal(state_dir)
    except StorageError:
        return []
