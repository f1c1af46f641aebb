"""Holding a world for a run: folders checked, locks taken, an earlier crash repaired."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from payworld.errors import (
    LockedError,
    StateError,
    StateMissingError,
    StorageError,
    UsageError,
)
from payworld.storage.commit import recover
from payworld.storage.files import check_folder, make_folder
from payworld.storage.journal import read_journal
from payworld.storage.lock import HOLDER, drop_dead_notes, hold, locked_folder
from payworld.storage.state_file import read_state
from payworld.world.state import World

__all__ = ["check_paths", "hold_world", "peek"]


def check_paths(state_dir: Path, output_dir: Path) -> None:
    """Raise UsageError or StorageError if the folders cannot be what they are named as."""
    for path, option in ((state_dir, "--state-dir"), (output_dir, "--output-dir")):
        text = str(path)
        try:
            text.encode()
        except UnicodeEncodeError:
            raise UsageError(f"{option} = {text!r}: the name is not UTF-8; name another") from None
        if "\0" in text:
            raise UsageError(f"{option} = {text!r}: a NUL character; name another folder")
        check_folder(path, option)
    state, output = state_dir.resolve(), output_dir.resolve()
    if output == state or state in output.parents:
        raise UsageError(
            f"--output-dir = {str(output_dir)!r} lies in the state folder {str(state_dir)!r}: "
            "expected a folder of its own; name another"
        )


def peek(state_dir: Path, repair: bool = True) -> tuple[World | None, dict[str, Any] | None]:
    """Return the world (None: there is none) and the header of a run cut short, if any.

    Reads alone; but with `repair`, a commit which a crash cut short is finished first.
    Raises LockedError if a run is at work, StateError if the state does not verify.
    """
    if not check_folder(state_dir, "--state-dir"):
        return None, None
    records = read_journal(state_dir)
    if repair and (records or os.path.lexists(state_dir / HOLDER)):
        with locked_folder(state_dir):
            records = recover(state_dir)
            # Its holder is dead, or the lock would be taken.
            drop_dead_notes(state_dir)
    header = records[0] if records else None
    try:
        return read_state(state_dir)[0], header
    except StateMissingError:
        return None, header


@contextmanager
def hold_world(
    state_dir: Path, output_dir: Path, since: str, unreadable: bool = False
) -> Iterator[tuple[World | None, str | None, list[dict[str, Any]], list[int]]]:
    """Hold a world for writing; yields it, its checksum, a journal's records and the locks.

    Raises LockedError at once if another run holds it. With `unreadable`, a state that does not
    verify counts as none: it is about to be moved aside. Folders that were made for it and that
    nothing came into are removed at the end.
    """
    made: list[Path] = []
    try:
        made += make_folder(state_dir, "--state-dir")
        made += make_folder(output_dir, "--output-dir")
        with hold(state_dir, output_dir, since) as locks:
            records = recover(state_dir)
            world, base = None, None
            try:
                world, base = read_state(state_dir)
            except StateMissingError:
                pass
            except StateError:
                if not unreadable:
                    raise
            yield world, base, records, locks
    finally:
        _unmake(made)


def _unmake(folders: list[Path]) -> None:
    # Deepest first; what is not empty, or another run has taken meanwhile, stays.
    for folder in sorted(folders, key=lambda path: -len(path.parts)):
        with suppress(OSError, LockedError, StorageError), locked_folder(folder):
            folder.rmdir()
