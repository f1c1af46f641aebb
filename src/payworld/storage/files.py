"""The few things done to files, each with a clear error: write whole, fsync, publish, check.

Work in progress has a name that begins with a dot; a final name appears by a rename alone.
Symbolic links are never followed where payworld writes.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from payworld.errors import ConflictError, NoSpaceError, StorageError

__all__ = [
    "begin_writing",
    "check_folder",
    "check_free",
    "file_sha256",
    "fsync_folder",
    "fsync_folders",
    "make_below",
    "make_folder",
    "naming",
    "open_partial",
    "other_than_file",
    "publish",
    "read_bytes",
    "remove",
    "replace_file",
    "write_durably",
]

_CHUNK = 1 << 20

_REASONS = {
    errno.ENOSPC: "no space left on the device; free some space and run the same command again",
    errno.EDQUOT: "the disk quota is used up; free some space and run the same command again",
    errno.EFBIG: "the file would exceed the size limit (ulimit -f); raise it and run again",
    errno.EACCES: "permission denied; make it accessible to this user",
    errno.EPERM: "the operation is not permitted; make it accessible to this user",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.ELOOP: "it is a symbolic link, which payworld does not follow; name the real path",
    errno.EISDIR: "a folder stands where a file is expected; move it away",
    errno.ENOTDIR: "a file stands where a folder is expected; move it away or name another",
    errno.ENAMETOOLONG: "the name is too long for the file system",
    errno.ENOENT: "there is no such file or folder",
}


_KINDS = {
    stat.S_IFLNK: "symbolic link",
    stat.S_IFDIR: "folder",
    stat.S_IFIFO: "named pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFBLK: "device",
    stat.S_IFCHR: "device",
}


def other_than_file(path: Path) -> str:
    """Return what stands at a path if it is no plain file, in words; empty if it is or is gone."""
    try:
        return _KINDS.get(stat.S_IFMT(path.lstat().st_mode), "")
    except OSError:
        return ""


def _reason(path: Path, error: OSError) -> str:
    kind = other_than_file(path)
    if kind and kind not in ("symbolic link", "folder"):
        return f"a {kind} stands where a file is expected; move it away"
    return _REASONS.get(error.errno or 0, error.strerror or str(error))


@contextmanager
def naming(path: Path, action: str, needed: int = 0, bound: str = "at least") -> Iterator[None]:
    """Turn an OSError into a StorageError that names path, action, reason and way out."""
    try:
        yield
    except OSError as error:
        reason = _reason(path, error)
        space = f" ({bound} {needed:,} bytes are needed)" if needed else ""
        kind = NoSpaceError if error.errno in (errno.ENOSPC, errno.EDQUOT) else StorageError
        raise kind(f"cannot {action} {str(path)!r}: {reason}{space}") from error


def check_folder(path: Path, option: str) -> bool:
    """Return whether a folder is there; StorageError if something else has its name."""
    with naming(path, "use"):
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            return False
    if stat.S_ISLNK(mode):
        raise StorageError(
            f"{option} {str(path)!r} is a symbolic link, which payworld does not follow; name the "
            "real folder"
        )
    if not stat.S_ISDIR(mode):
        raise StorageError(
            f"{option} {str(path)!r} is a {other_than_file(path) or 'file'}, not a folder; move it "
            "away or name another"
        )
    return True


def make_folder(path: Path, option: str) -> list[Path]:
    """Make a folder with its parents if it is not there, and check that it can be written.

    Returns the folders that were made, deepest first; none is left behind on an error.
    """
    missing: list[Path] = []
    try:
        with naming(path, "make"):
            missing = [above for above in (path, *path.parents) if not above.exists()]
            path.mkdir(parents=True, exist_ok=True)
        for above in missing:
            fsync_folder(above.parent)
        check_folder(path, option)
        if not os.access(path, os.W_OK | os.X_OK):
            raise StorageError(
                f"{option} {str(path)!r}: permission denied or read-only; make it writable or "
                "name another folder"
            )
    except BaseException:
        for above in missing:
            with suppress(OSError):
                above.rmdir()
        raise
    return missing


def make_below(below: Path, folder: Path, what: str) -> None:
    """Make a folder some levels below a folder, following no symbolic link on the way.

    Raises StorageError, with the words for what it is, if it cannot be written.
    """
    for path in [*reversed(below.parents), below]:
        if folder in path.parents:
            with naming(path, "make"), suppress(FileExistsError):
                path.mkdir()
            check_folder(path, what)
    if not os.access(below, os.W_OK | os.X_OK):
        raise StorageError(
            f"{what} {str(below)!r}: permission denied or read-only; make it writable"
        )


def read_bytes(path: Path, at_most: int = -1) -> bytes:
    """Return the (first) bytes of a regular file; StorageError if it is a link or no file."""
    with naming(path, "read"):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise IsADirectoryError(errno.EISDIR, "not a regular file", str(path))
            return file.read(at_most)


def open_partial(path: Path, keep: int = 0) -> int:
    """Return a descriptor to append to a partial file, cut to its first `keep` bytes."""
    with naming(path, "write"):
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o644)
        try:
            os.ftruncate(descriptor, keep)
            os.lseek(descriptor, keep, os.SEEK_SET)
        except BaseException:
            os.close(descriptor)
            if not keep:
                # Nothing in it is wanted.
                with suppress(OSError):
                    path.unlink()
            raise
        return descriptor


def write_all(descriptor: int, data: memoryview | bytes | bytearray, path: Path) -> None:
    """Write all of the data; StorageError names the path and the space it needs."""
    view = memoryview(data)
    with naming(path, "write", needed=len(view)):
        while view:
            view = view[os.write(descriptor, view) :]


def begin_writing(descriptor: int, start: int, length: int) -> None:
    """Let the kernel begin to write a range of a file to the disk, without waiting for it.

    On Linux that is a side effect of the advice that the range is not needed; elsewhere nothing
    happens. It is a matter of speed alone, so errors do not matter.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            os.posix_fadvise(descriptor, start, length, os.POSIX_FADV_DONTNEED)


def fsync_file(descriptor: int, path: Path) -> None:
    """Force a file's bytes to the disk."""
    # A file system that allots space late refuses here what it took before.
    with naming(path, "write", needed=os.fstat(descriptor).st_size):
        os.fsync(descriptor)


def fsync_folder(path: Path) -> None:
    """Force a folder's names to the disk."""
    with naming(path, "write"):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def fsync_folders(place: Path, paths: Iterable[Path]) -> None:
    """Force the names of all folders from a place down to the paths, the deepest first."""
    folders = {place} | {f for path in paths for f in path.parents if place in f.parents}
    for folder in sorted(folders, key=lambda folder: len(folder.parts), reverse=True):
        if folder.is_dir():
            fsync_folder(folder)


def write_durably(path: Path, data: bytes | bytearray) -> None:
    """Write a whole work file and force it to the disk; on an error it is removed."""
    descriptor = open_partial(path)
    try:
        write_all(descriptor, data, path)
        fsync_file(descriptor, path)
    except BaseException:
        remove(path)
        raise
    finally:
        os.close(descriptor)


def replace_file(work: Path, final: Path) -> None:
    """Give a work file its final name, in place of what had it; the folder is forced too."""
    with naming(final, "replace"):
        if final.is_symlink() or final.is_dir():
            raise OSError(errno.ELOOP if final.is_symlink() else errno.EISDIR, "", str(final))
        work.replace(final)
    fsync_folder(final.parent)


def publish(work: Path, final: Path, sha256: str) -> None:
    """Give a work file its final name, never over other bytes.

    If the name is taken by equal bytes, the work file is dropped; by others, ConflictError.
    """
    check_free(final, sha256)
    if os.path.lexists(final):
        remove(work)
        return
    with naming(final, "publish"):
        work.rename(final)


def check_free(final: Path, sha256: str) -> None:
    """Raise ConflictError if a final name is taken by anything but a file of equal bytes."""
    with naming(final, "publish"):
        try:
            final.lstat()
        except FileNotFoundError:
            return
    if final.is_symlink() or not final.is_file() or file_sha256(final) != sha256:
        raise ConflictError(
            f"{str(final)!r} exists and holds other bytes: another world, configuration or version "
            "made it, or it was changed. payworld never overwrites a file: move it away, or give "
            "the configuration that made it, and run again"
        )


def remove(path: Path) -> None:
    """Remove a work file if it is there."""
    with naming(path, "remove"):
        path.unlink(missing_ok=True)


def file_sha256(path: Path, at_most: int | None = None) -> str:
    """Return the SHA-256 of a file or of its first bytes, as hexadecimal digits."""
    return prefix_hash(path, at_most).hexdigest()


def prefix_hash(path: Path, at_most: int | None = None) -> hashlib._Hash:
    """Return the running SHA-256 of a file's first bytes (all, by default)."""
    digest = hashlib.sha256()
    left = at_most if at_most is not None else 1 << 62
    with naming(path, "read"):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            while left and (chunk := file.read(min(_CHUNK, left))):
                digest.update(chunk)
                left -= len(chunk)
    return digest
