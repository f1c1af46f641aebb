"""A file in the making: written under a dot name, locked, and given its final name when whole.

Where the final name is taken, nothing is written: the bytes are compared with those that are there,
and the first that differ are an error.
"""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Self

from payworld.errors import ConflictError, LockedError
from payworld.storage.appended import AppendedFile
from payworld.storage.files import fsync_folder, make_folder, naming, publish, remove

__all__ = ["OutputFile"]


class OutputFile:
    """Bytes on their way to a final name; lives until they are published or given up.

    Leaving the context without `publish` removes what was written, unless `keep` was called.
    What an earlier run kept is there until the first `go_on` or `write`.
    """

    def __init__(self, final: Path, option: str) -> None:
        self.final = final
        self.size = 0
        self._elsewhere = f"write elsewhere with {option}"
        make_folder(final.parent, option)
        self._work = final.with_name(f".{final.name}.partial")
        self._descriptor = self._hold()
        self._file: AppendedFile | None = None
        self._is_begun = self._is_kept = False
        self._there = -1
        try:
            self._there = self._open_final()
        except BaseException:
            self._close()
            raise

    def _hold(self) -> int:
        """Return the work file, open and locked; LockedError if another run is at it."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        while True:
            with naming(self._work, "write"):
                descriptor = os.open(self._work, flags, 0o644)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(descriptor)
                raise LockedError(
                    f"another run is writing {str(self.final)!r}; wait until it ends, or "
                    f"{self._elsewhere}"
                ) from error
            if self._is_ours(descriptor):
                return descriptor
            # Another run published or removed it between the opening and the lock.
            os.close(descriptor)

    def _is_ours(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self._work.lstat())
        except FileNotFoundError:
            return False

    def _open_final(self) -> int:
        """Return what has the final name, open; -1 if nothing has."""
        if not os.path.lexists(self.final):
            return -1
        if not stat.S_ISREG(self.final.lstat().st_mode):
            raise ConflictError(
                f"{str(self.final)!r} exists and is not a plain file; move it away, or "
                f"{self._elsewhere}"
            )
        with naming(self.final, "read"):
            return os.open(self.final, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)

    @property
    def descriptors(self) -> list[int]:
        """Return the open files, one of which holds the lock: worker processes close theirs."""
        return [self._descriptor] + ([self._there] if self._there >= 0 else [])

    @property
    def is_there(self) -> bool:
        """Return whether the final name was taken before: then nothing is written."""
        return self._there >= 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    def _close(self) -> None:
        """Let go of the files; what is neither published nor kept is removed."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._descriptor >= 0:
            # What an earlier run kept stays, if this one ends before it has begun.
            if not self._is_kept and (self._is_begun or not os.fstat(self._descriptor).st_size):
                remove(self._work)
            os.close(self._descriptor)
        if self._there >= 0:
            os.close(self._there)
        self._descriptor = self._there = -1

    def holds(self, size: int) -> bool:
        """Return whether an earlier run left that many bytes, to `go_on` after."""
        left = self._there if self._there >= 0 else self._descriptor
        return os.fstat(left).st_size >= size

    def go_on(self, size: int) -> None:
        """Begin after the first `size` bytes of what an earlier run left; 0: anew."""
        if self._there < 0:
            self._file = AppendedFile(self._work, keep=size)
        else:
            with naming(self._work, "write"):
                os.ftruncate(self._descriptor, 0)
        self.size, self._is_begun = size, True
        self._is_kept = size > 0 and self._there < 0

    def keep(self) -> None:
        """Force what was written to the disk, and leave it there for a later run."""
        if self._file is not None:
            self._file.force()
        self._is_kept = self._there < 0

    def write(self, data: memoryview | bytes) -> None:
        """Append bytes; ConflictError if the final name is taken by others."""
        if not self._is_begun:
            self.go_on(0)
        # Arrow's bytes are signed: as such they would equal no others above 127.
        plain = memoryview(data).cast("B")
        if self._file is not None:
            self._file.append(plain)
        else:
            with naming(self.final, "read"):
                found = os.pread(self._there, len(plain), self.size)
            if plain != found:
                raise self._conflict()
        self.size += len(plain)

    def publish(self) -> None:
        """Give the file its final name, never over other bytes (ConflictError)."""
        if self._there >= 0:
            if os.fstat(self._there).st_size != self.size:
                raise self._conflict()
        else:
            if self._file is not None:
                self._file.force()
            publish(self._work, self.final, "")
            fsync_folder(self.final.parent)
            self._is_kept = True
        self._close()

    def _conflict(self) -> ConflictError:
        return ConflictError(
            f"{str(self.final)!r} exists and holds other bytes: another configuration or version "
            "made it, or it was changed. payworld never overwrites a file: move it away, "
            f"{self._elsewhere}, or give the configuration that made it"
        )
