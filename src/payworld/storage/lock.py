"""One run at a time on a world: locks on the folders themselves, which leave nothing behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import filelock
import orjson

from payworld.errors import LockedError
from payworld.storage.files import naming, remove

__all__ = ["HOLDER", "hold", "locked_folder"]

HOLDER = ".holder.json"


def _holder(state_dir: Path) -> str:
    try:
        holder = orjson.loads((state_dir / HOLDER).read_bytes())
        return f"process {int(holder['pid'])} holds it since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process holds it"


@contextmanager
def locked_folder(folder: Path, state_dir: Path) -> Iterator[int]:
    """Hold the exclusive lock of a folder; LockedError at once if another process has it."""
    with naming(folder, "lock"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with naming(folder, "lock"):
            free = filelock.lock_descriptor(descriptor, blocking=False)
        if not free:
            raise LockedError(
                f"another run is at work on {str(folder)!r}: {_holder(state_dir)}; wait until it "
                "ends (`gen status` works meanwhile)"
            )
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def hold(state_dir: Path, output_dir: Path, since: str) -> Iterator[list[int]]:
    """Hold a world: the locks of its state and output folders, and a note of who holds them.

    Yields the lock descriptors, which worker processes close so as not to keep the lock alive.
    """
    with ExitStack() as stack:
        descriptors = [stack.enter_context(locked_folder(state_dir, state_dir))]
        if not output_dir.samefile(state_dir):
            descriptors.append(stack.enter_context(locked_folder(output_dir, state_dir)))
        note = state_dir / HOLDER
        try:
            remove(note)
            with naming(note, "write"):
                note.write_bytes(orjson.dumps({"pid": os.getpid(), "since": since}))
            yield descriptors
        finally:
            remove(note)
