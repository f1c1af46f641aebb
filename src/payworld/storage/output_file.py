"""A file in the making: written under a dot name, locked, and given its final name when whole."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from payworld.errors import LockedError
from payworld.storage.files import (
    file_sha256,
    fsync_file,
    fsync_folder,
    make_folder,
    naming,
    publish,
    remove,
    write_all,
)

__all__ = ["OutputFile"]


class OutputFile:
    """Bytes on their way to a final name; lives until they are published or given up.

    Leaving the context without `publish` removes what was written.
    """

    def __init__(self, final: Path, option: str) -> None:
        self.final = final
        self.size = 0
        make_folder(final.parent, option)
        self._work = final.with_name(f".{final.name}.partial")
        self._descriptor = self._hold()

    def _hold(self) -> int:
        """Return the work file, open, locked and empty; LockedError if another run is at it."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        while True:
            with naming(self._work, "write"):
                descriptor = os.open(self._work, flags, 0o644)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(descriptor)
                raise LockedError(
                    f"another run is writing {str(self.final)!r}; wait until it ends, or write "
                    "elsewhere with --out"
                ) from error
            if self._is_ours(descriptor):
                with naming(self._work, "write"):
                    os.ftruncate(descriptor, 0)
                return descriptor
            # Another run published or removed it between the opening and the lock.
            os.close(descriptor)

    def _is_ours(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self._work.lstat())
        except FileNotFoundError:
            return False

    @property
    def descriptor(self) -> int:
        """Return the open file, which holds the lock: worker processes close their copy."""
        return self._descriptor

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._descriptor >= 0:
            remove(self._work)
            os.close(self._descriptor)
            self._descriptor = -1

    def write(self, data: memoryview | bytes) -> None:
        """Append bytes."""
        write_all(self._descriptor, data, self._work)
        self.size += len(data)

    def publish(self) -> None:
        """Give the file its final name, never over other bytes (ConflictError)."""
        fsync_file(self._descriptor, self._work)
        taken = os.path.lexists(self.final)
        publish(self._work, self.final, file_sha256(self._work) if taken else "")
        fsync_folder(self.final.parent)
        os.close(self._descriptor)
        self._descriptor = -1
