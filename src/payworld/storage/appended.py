"""A file that only grows, written past the page cache where the file system can do that.

A chunk is forced to the disk before it gets its name, so its pages in the cache are of no use to
this process, and filling them costs more processor time than all else that is done to a row. So
whole blocks go from memory to the disk directly, by a thread, while the next ones are made. Small
files, and file systems that know no direct writes, take the ordinary way: the bytes are the same.
"""

from __future__ import annotations

import errno
import mmap
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from payworld.storage.files import begin_writing, fsync_file, naming, open_partial, remove

__all__ = ["AppendedFile", "writing"]

# What is written at once: enough for a disk's full speed.
BLOCK_BYTES = 1 << 20
# Blocks that may wait for the disk: its time is not the processor's, while there are some.
BLOCKS = 8
# Direct writes begin and end at multiples of this on all disks in use.
ALIGNED = 4096
# How much is written before the disk is told to begin, where pages are used after all.
FLUSH_BYTES = 32 << 20
# What a file system says that cannot, or at this place or in this size, write directly.
_NOT_DIRECT = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP}


class AppendedFile:
    """A partial file in the making, from a size that is kept on; lives until `close`.

    Raises StorageError, which may come with a later call than the one whose bytes failed.
    """

    def __init__(self, path: Path, keep: int = 0) -> None:
        self.path = path
        self.size = keep
        self._descriptor = open_partial(path, keep)
        # Minus one: not opened so far. None: this file system has no direct writes.
        self._direct: int | None = -1
        self._base = keep - keep % ALIGNED
        self._in_file = keep
        self._told = self._base
        self._block = mmap.mmap(-1, BLOCK_BYTES)
        self._free: list[mmap.mmap] = []
        self._thread: ThreadPoolExecutor | None = None
        self._writing: deque[tuple[Future[None], mmap.mmap]] = deque()
        if keep > self._base:
            with naming(path, "read"):
                self._block[: keep - self._base] = os.pread(
                    self._descriptor, keep - self._base, self._base
                )

    def append(self, data: memoryview | bytes | bytearray) -> None:
        """Add bytes; they are in the file after the next `flush`."""
        view = memoryview(data)
        while view:
            filled = self.size - self._base
            part = view[: BLOCK_BYTES - filled]
            self._block[filled : filled + len(part)] = part
            self.size += len(part)
            view = view[len(part) :]
            if self.size - self._base == BLOCK_BYTES:
                self._send()

    def append_all(self, pieces: Iterable[bytes]) -> str:
        """Add one piece after another; returns the SHA-256 of them together."""
        digest = sha256()
        for piece in pieces:
            self.append(piece)
            digest.update(piece)
        return digest.hexdigest()

    def _send(self) -> None:
        """Let the thread write the full block, and go on with an empty one."""
        self._thread = self._thread or ThreadPoolExecutor(1)
        self._writing.append(
            (self._thread.submit(self._write_block, self._block, self._base), self._block)
        )
        self._base = self._in_file = self.size
        # Those that are written, and at least one where no more may wait.
        while self._writing and (self._writing[0][0].done() or len(self._writing) >= BLOCKS):
            self._take_back()
        self._block = self._free.pop() if self._free else mmap.mmap(-1, BLOCK_BYTES)

    def _take_back(self) -> None:
        """Wait until the oldest block is written, and have it for other bytes."""
        written, block = self._writing.popleft()
        written.result()
        self._free.append(block)

    def _write_block(self, block: mmap.mmap, at: int) -> None:
        view = memoryview(block)
        written = self._write_directly(view, at)
        self._write_through_pages(view[written:], at + written)

    def _write_directly(self, view: memoryview, at: int) -> int:
        """Return how many bytes were written directly: all, or none where that cannot be done."""
        if self._direct == -1:
            self._direct = _open_direct(self.path)
        if self._direct is None:
            return 0
        done = 0
        with naming(self.path, "write", needed=len(view)):
            try:
                while done < len(view) and done % ALIGNED == 0:
                    done += os.pwrite(self._direct, view[done:], at + done)
            except OSError as error:
                if error.errno not in _NOT_DIRECT:
                    raise
                os.close(self._direct)
                self._direct = None
        return done

    def _write_through_pages(self, view: memoryview, at: int) -> None:
        with naming(self.path, "write", needed=len(view)):
            while view:
                written = os.pwrite(self._descriptor, view, at)
                view, at = view[written:], at + written
        if self._direct is None and at - self._told >= FLUSH_BYTES:
            begin_writing(self._descriptor, self._told, at - self._told)
            self._told = at

    def flush(self) -> None:
        """Bring all that was appended into the file: a kill from here on loses none of it."""
        while self._writing:
            self._take_back()
        tail = memoryview(self._block)[self._in_file - self._base : self.size - self._base]
        self._write_through_pages(tail, self._in_file)
        self._in_file = self.size

    def overwrite(self, at: int, data: bytes) -> None:
        """Put bytes in the place of others that were appended."""
        self.flush()
        with naming(self.path, "write", needed=len(data)):
            os.pwrite(self._descriptor, data, at)
        held = max(at, self._base)
        if held < at + len(data):
            self._block[held - self._base : at + len(data) - self._base] = data[held - at :]

    def force(self) -> None:
        """Bring all that was appended to the disk."""
        self.flush()
        fsync_file(self._descriptor, self.path)

    def close(self) -> None:
        """Close the file; what was flushed stays."""
        if self._descriptor < 0:
            return
        if self._thread is not None:
            self._thread.shutdown()
        os.close(self._descriptor)
        if self._direct is not None and self._direct >= 0:
            os.close(self._direct)
        self._descriptor, self._direct = -1, None


def _open_direct(path: Path) -> int | None:
    """Return a descriptor for direct writes, None where the platform or the disk has none."""
    flags = getattr(os, "O_DIRECT", None)
    if flags is not None:
        with suppress(OSError):
            return os.open(path, os.O_WRONLY | flags | os.O_NOFOLLOW | os.O_CLOEXEC)
    return None


@contextmanager
def writing(path: Path) -> Iterator[AppendedFile]:
    """Give a new work file that is forced to the disk at the end; on an error it is removed."""
    file = AppendedFile(path)
    try:
        yield file
        file.force()
    except BaseException:
        file.close()
        remove(path)
        raise
    file.close()
