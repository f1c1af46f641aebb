"""One run at a time on a world, one publish at a time of a folder; nothing is left behind.

A run locks the folders themselves, a publish a file in the data folder: the two may go on at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import filelock
import orjson

from payworld.errors import LockedError, StorageError
from payworld.storage.files import naming, read_bytes, remove

__all__ = [
    "HOLDER",
    "PUBLISHING",
    "drop_dead_notes",
    "hold",
    "hold_publishing",
    "is_free",
    "locked_folder",
]

# Who holds a folder: in each folder that is held, the same bytes.
HOLDER = ".holder.json"
# Who publishes a data folder; the file itself is locked, and there as long as the publish.
PUBLISHING = ".publishing.json"


def _take(descriptor: int, path: Path) -> bool:
    """Lock what is open, unless another process has; return whether it is ours now."""
    with naming(path, "lock"):
        return bool(filelock.lock_descriptor(descriptor, blocking=False))


def _holder(note: Path) -> str:
    try:
        holder = orjson.loads(read_bytes(note))
        return f"process {int(holder['pid'])} holds it since {holder['since']}"
    except (StorageError, ValueError, KeyError, TypeError):
        return "another process holds it"


@contextmanager
def locked_folder(folder: Path) -> Iterator[int]:
    """Hold the exclusive lock of a folder; LockedError at once if another process has it."""
    with naming(folder, "lock"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not _take(descriptor, folder):
            raise LockedError(
                f"another run is at work on {str(folder)!r}: {_holder(folder / HOLDER)}; wait "
                "until it ends (`gen status` works meanwhile)"
            )
        yield descriptor
    finally:
        os.close(descriptor)


def is_free(folder: Path) -> bool:
    """Return whether a folder is there and no other process holds it."""
    try:
        with locked_folder(folder):
            return True
    except (LockedError, StorageError):
        return False


@contextmanager
def hold(state_dir: Path, output_dir: Path | None, since: str) -> Iterator[list[int]]:
    """Hold a world: the locks of its folders, and in each a note of who holds it.

    Yields the lock descriptors, which worker processes close so as not to keep the lock alive.
    Without an output folder the state alone is held.
    """
    folders = [state_dir, *([] if output_dir is None else [output_dir])]
    seen_from_state = os.path.relpath(folders[-1].resolve(), state_dir.resolve())
    note = orjson.dumps({"pid": os.getpid(), "since": since, "output_dir": seen_from_state})
    with ExitStack() as stack:
        descriptors = [stack.enter_context(locked_folder(folder)) for folder in folders]
        drop_dead_notes(state_dir)
        # The state's is removed last: a signal in between leaves the one that leads to the other.
        # And each is, whatever the other one's removal meets with.
        for folder in folders:
            remove(folder / HOLDER)
            stack.callback(remove, folder / HOLDER)
            with naming(folder / HOLDER, "write"):
                (folder / HOLDER).write_bytes(note)
        yield descriptors


@contextmanager
def hold_publishing(output_dir: Path, since: str) -> Iterator[None]:
    """Hold a data folder for publishing; LockedError at once if another process does.

    Runs and readers do not heed it. Where the folder is missing or read-only, it holds nothing:
    reading suffices to publish.
    """
    if not os.access(output_dir, os.W_OK | os.X_OK):
        yield
        return
    note = output_dir / PUBLISHING
    descriptor = _locked_note(note)
    try:
        # For people alone: a full disk is no reason not to publish.
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, orjson.dumps({"pid": os.getpid(), "since": since}))
        yield
    finally:
        try:
            # While it is locked: it is ours alone.
            remove(note)
        finally:
            os.close(descriptor)


def _locked_note(note: Path) -> int:
    """Return a descriptor of a note that is there and locked by it; LockedError if another has."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    while True:
        with naming(note, "lock"):
            descriptor = os.open(note, flags, 0o644)
        try:
            if not _take(descriptor, note):
                raise LockedError(
                    f"another publish of {str(note.parent)!r} is at work: {_holder(note)}; wait "
                    "until it ends, then publish again"
                )
            # Its holder may have removed it between our two steps: then another one counts.
            with suppress(OSError):
                if os.path.samestat(os.fstat(descriptor), note.lstat()):
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def drop_dead_notes(state_dir: Path) -> None:
    """Remove the notes of a run that was killed. Call it with the state folder locked.

    The note beside the state tells where the other one is, which is the run's if it is equal.
    """
    with suppress(StorageError, ValueError, KeyError, TypeError):
        note = read_bytes(state_dir / HOLDER)
        other = Path(os.path.normpath(state_dir.resolve() / orjson.loads(note)["output_dir"]))
        with suppress(LockedError), locked_folder(other):
            if other != state_dir and read_bytes(other / HOLDER) == note:
                remove(other / HOLDER)
    remove(state_dir / HOLDER)
