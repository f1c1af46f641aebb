"""A file that grows by direct writes holds what was appended, however it was appended."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payworld.errors import StorageError
from payworld.storage import appended
from payworld.storage.appended import AppendedFile, writing

BLOCK = 8192


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appended, "BLOCK_BYTES", BLOCK)
    monkeypatch.setattr(appended, "FLUSH_BYTES", BLOCK)


def some_bytes(n: int, seed: int = 0) -> bytes:
    return bytes((seed + i * 7 + i // 251) % 256 for i in range(n))


@pytest.mark.parametrize("direct", [True, False])
@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.one_of(st.integers(0, 3 * BLOCK), st.sampled_from(["flush", "force", "reopen"])),
        max_size=12,
    )
)
def test_it_holds_what_was_appended(
    tmp_path_factory: pytest.TempPathFactory, direct: bool, steps: list[int | str]
) -> None:
    path = tmp_path_factory.mktemp("appended") / ".file.partial"
    with pytest.MonkeyPatch.context() as patch:
        if not direct:
            patch.setattr(appended, "_open_direct", lambda _path: None)
        file, expected = AppendedFile(path), b""
        for seed, step in enumerate(steps):
            if isinstance(step, int):
                piece = some_bytes(step, seed)
                file.append(piece)
                expected += piece
            elif step == "reopen":
                file.flush()
                file.close()
                # A kill leaves more than the mark that a run goes on from.
                with path.open("ab") as more:
                    more.write(b"what came after the mark")
                file = AppendedFile(path, keep=len(expected))
            else:
                getattr(file, step)()
                assert path.read_bytes()[: len(expected)] == expected
        file.force()
        file.close()
        assert path.read_bytes() == expected
        assert file.size == len(expected)


def test_whole_blocks_are_written_directly_where_the_disk_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directly: list[int] = []
    plain = os.pwrite

    def watched(descriptor: int, data: Any, at: int) -> int:
        flags = int(
            Path(f"/proc/self/fdinfo/{descriptor}").read_text().split("flags:")[1].split()[0], 8
        )
        directly.append(len(data) if flags & os.O_DIRECT else 0)
        return plain(descriptor, data, at)

    monkeypatch.setattr(os, "pwrite", watched)
    file = AppendedFile(tmp_path / "file")
    file.append(some_bytes(3 * BLOCK + 5))
    file.force()
    file.close()
    probe = tmp_path / "probe"
    probe.touch()
    can = appended._open_direct(probe) is not None
    assert directly == [BLOCK if can else 0] * 3 + [0]
    assert (tmp_path / "file").read_bytes() == some_bytes(3 * BLOCK + 5)


@pytest.mark.parametrize("refusal", [errno.EINVAL, errno.EOPNOTSUPP])
def test_a_disk_that_refuses_direct_writes_gets_plain_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: int
) -> None:
    plain, refused = os.pwrite, []
    direct: list[int] = []
    opened = appended._open_direct

    def open_direct(path: Path) -> int | None:
        # The page cache's, so that the test does the same on every file system.
        direct.append(os.open(path, os.O_WRONLY))
        return direct[0]

    def refusing(descriptor: int, data: Any, at: int) -> int:
        if descriptor in direct:
            refused.append(at)
            raise OSError(refusal, os.strerror(refusal))
        return plain(descriptor, data, at)

    assert opened is not None
    monkeypatch.setattr(appended, "_open_direct", open_direct)
    monkeypatch.setattr(os, "pwrite", refusing)
    file = AppendedFile(tmp_path / "file")
    file.append(some_bytes(4 * BLOCK))
    file.force()
    file.close()
    assert refused == [0]
    assert (tmp_path / "file").read_bytes() == some_bytes(4 * BLOCK)


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EFBIG, errno.EIO])
def test_what_the_thread_cannot_write_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: int
) -> None:
    def full(*_: Any) -> int:
        raise OSError(reason, os.strerror(reason))

    file = AppendedFile(tmp_path / "file")
    monkeypatch.setattr(os, "pwrite", full)
    # By the same call, where the thread was quick.
    with pytest.raises(StorageError, match=r"cannot write '.*file'.*8,192 bytes are needed"):  # noqa: PT012
        file.append(some_bytes(BLOCK))
        file.flush()
    file.close()
    file.close()


def test_a_large_file_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with writing(tmp_path / "whole") as file:
        file.append(some_bytes(BLOCK + 1))
    assert (tmp_path / "whole").read_bytes() == some_bytes(BLOCK + 1)

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(StorageError, match="no space left"), writing(tmp_path / "none") as file:
        file.append(some_bytes(2 * BLOCK))
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("at", [0, 3, BLOCK - 2, BLOCK, BLOCK + 7])
def test_bytes_that_were_appended_can_be_overwritten(tmp_path: Path, at: int) -> None:
    expected = bytearray(some_bytes(BLOCK + 20))
    with writing(tmp_path / "file") as file:
        file.append(expected)
        file.overwrite(at, b"12345")
        file.append(b"more" * BLOCK)
    expected[at : at + 5] = b"12345"
    assert (tmp_path / "file").read_bytes() == bytes(expected) + b"more" * BLOCK
