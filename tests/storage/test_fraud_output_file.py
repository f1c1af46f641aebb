"""A file gets its name when it is whole, and never another's bytes."""

from pathlib import Path

import pyarrow as pa
import pytest

from payworld.errors import ConflictError, LockedError
from payworld.storage.output_file import OutputFile

BYTES = bytes(range(256)) * 3


def write(path: Path, *parts: bytes) -> None:
    with OutputFile(path, "--out") as file:
        for part in parts:
            file.write(part)
        file.publish()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_two_runs_cannot_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with OutputFile(path, "--out") as first:
        with pytest.raises(LockedError, match="another run"):
            OutputFile(path, "--out")
        first.write(BYTES)
        first.publish()
    assert path.read_bytes() == BYTES
    assert names(tmp_path) == ["a"]


def test_equal_bytes_are_done_already(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write(path, BYTES)
    before = path.stat()
    with OutputFile(path, "--out") as file:
        # Arrow's buffers hold signed bytes.
        file.write(memoryview(pa.py_buffer(BYTES[:300])))
        file.write(memoryview(BYTES)[300:])
        file.publish()
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("there", [BYTES[:-1], BYTES + b"x", b"", BYTES[:5] + b"x" + BYTES[6:]])
def test_other_bytes_are_never_overwritten(tmp_path: Path, there: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(there)
    with pytest.raises(ConflictError, match="other bytes"):
        write(path, BYTES[:400], BYTES[400:])
    assert path.read_bytes() == there
    assert names(tmp_path) == ["a"]


def test_the_first_byte_that_differs_ends_the_run(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"other bytes")
    with OutputFile(path, "--out") as file, pytest.raises(ConflictError):
        file.write(BYTES)


def test_what_is_no_file_is_told_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("elsewhere")
    for name in ("folder", "link"):
        with pytest.raises(ConflictError, match="not a plain file"):
            OutputFile(tmp_path / name, "--out")
    assert names(tmp_path) == ["folder", "link"]


def test_what_is_given_up_leaves_nothing_unless_it_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with OutputFile(path, "--out") as file:
        file.write(BYTES)
    assert names(tmp_path) == []
    with OutputFile(path, "--out") as file:
        file.write(BYTES)
        file.keep()
    with OutputFile(path, "--out") as file:
        # It ends before it begins.
        assert file.holds(len(BYTES))
        assert not file.holds(len(BYTES) + 1)
    with OutputFile(path, "--out") as file:
        file.go_on(10)
        file.write(b"end")
        file.publish()
    assert path.read_bytes() == BYTES[:10] + b"end"
    assert names(tmp_path) == ["a"]


def test_what_is_kept_and_not_gone_on_with_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with OutputFile(path, "--out") as file:
        file.write(BYTES)
        file.keep()
    write(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a"]
