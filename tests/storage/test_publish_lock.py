"""One publish at a time of a data folder: a lock that runs do not heed, and that leaves nothing."""

import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import filelock
import pytest

from payworld.errors import LockedError, StorageError
from payworld.storage.lock import PUBLISHING, hold, hold_publishing

SINCE = "2024-01-01T00:00:00Z"


def hold_until_told(output: Path, told: Connection) -> None:
    with hold_publishing(output, SINCE):
        told.send(os.getpid())
        told.recv()


@pytest.fixture
def other(tmp_path: Path) -> Connection:
    """Return the line to another process that may hold the folder."""
    ours, theirs = multiprocessing.get_context("fork").Pipe()
    process = multiprocessing.get_context("fork").Process(
        target=hold_until_told, args=(tmp_path, theirs), daemon=True
    )
    process.start()
    return ours


def test_a_second_publish_ends_at_once_and_names_the_first(
    tmp_path: Path, other: Connection
) -> None:
    pid = other.recv()
    told = f"another publish of '{tmp_path}' is at work: process {pid} holds it since {SINCE}"
    with pytest.raises(LockedError, match=told), hold_publishing(tmp_path, SINCE):
        pass
    # A run is not kept from its work.
    (tmp_path / "state").mkdir()
    with hold(tmp_path / "state", tmp_path, SINCE):
        pass
    other.send("go")
    multiprocessing.active_children()[0].join(10)
    with hold_publishing(tmp_path, SINCE):
        assert (tmp_path / PUBLISHING).exists()
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_a_dead_publish_holds_nothing_and_its_note_is_removed_by_the_next(
    tmp_path: Path, other: Connection
) -> None:
    os.kill(other.recv(), signal.SIGKILL)
    multiprocessing.active_children()[0].join(10)
    assert (tmp_path / PUBLISHING).exists()
    with hold_publishing(tmp_path, SINCE):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_lock_goes_on_with_the_file_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its holder may end, and remove the file, when another has opened and not yet locked it."""
    note, take = tmp_path / PUBLISHING, filelock.lock_descriptor
    taken: list[int] = []

    def take_late(descriptor: int, *, blocking: bool) -> bool:
        if not taken:
            note.unlink()
        taken.append(descriptor)
        return take(descriptor, blocking=blocking)

    monkeypatch.setattr(filelock, "lock_descriptor", take_late)
    with hold_publishing(tmp_path, SINCE):
        assert len(taken) == 2
        assert note.exists()
    assert not note.exists()


def test_a_folder_that_is_missing_or_read_only_is_published_without_a_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hold_publishing(tmp_path / "none", SINCE):
        pass
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    with hold_publishing(tmp_path, SINCE):
        assert list(tmp_path.iterdir()) == []


def test_what_is_no_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / PUBLISHING).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="symbolic link"), hold_publishing(tmp_path, SINCE):
        pass
    assert not (tmp_path / "elsewhere").exists()
