"""The journal: whole records count, a torn last line does not."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payworld.errors import StorageError
from payworld.storage.journal import JOURNAL, Journal, read_journal

HEADER = {"mode": "initial", "end": "2024-01-31"}


def written(folder: Path, count: int) -> list[dict[str, Any]]:
    journal = Journal(folder, HEADER)
    records = [{"day": day, "note": "ü\n"} for day in range(count)]
    for record in records:
        journal.append(record)
    journal.close()
    return [HEADER, *records]


def test_no_journal_is_no_records(tmp_path: Path) -> None:
    assert read_journal(tmp_path) == []


def test_records_come_back_in_order(tmp_path: Path) -> None:
    assert read_journal(tmp_path) == [] != written(tmp_path, 3)
    assert read_journal(tmp_path) == [HEADER, *[{"day": d, "note": "ü\n"} for d in range(3)]]


@settings(max_examples=40)
@given(cut=st.integers(0, 200))
def test_a_torn_last_line_is_ignored_wherever_it_was_torn(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    records = written(folder, 4)
    path = folder / JOURNAL
    data = path.read_bytes()
    kept = data[: max(0, len(data) - cut)]
    path.write_bytes(kept)
    # A record is whole with its last byte, the line's end or not.
    lines = data.splitlines(keepends=True)
    ends = [len(b"".join(lines[: n + 1])) for n in range(len(lines))]
    whole = [r for r, end in zip(records, ends, strict=True) if len(kept) >= end - 1]
    assert read_journal(folder) == whole


@given(at=st.integers(0, 400), bit=st.integers(0, 7))
@settings(max_examples=60)
def test_a_damaged_record_ends_the_journal(
    tmp_path_factory: pytest.TempPathFactory, at: int, bit: int
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    records = written(folder, 8)
    path = folder / JOURNAL
    data = bytearray(path.read_bytes())
    at %= len(data)
    data[at] ^= 1 << bit
    path.write_bytes(data)
    found = read_journal(folder)
    assert found == records[: len(found)]
    # Only a damaged end of line may leave the record before it whole.
    assert len(found) <= data[:at].count(b"\n") + 1


def test_after_a_torn_line_records_are_added_behind_the_last_whole_one(tmp_path: Path) -> None:
    written(tmp_path, 2)
    path = tmp_path / JOURNAL
    path.write_bytes(path.read_bytes() + b'12345678 {"day": 2')
    journal = Journal(tmp_path, HEADER, records=3)
    journal.append({"day": 99})
    journal.close()
    assert [record.get("day") for record in read_journal(tmp_path)] == [None, 0, 1, 99]


def test_a_journal_without_a_whole_record_cannot_be_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / JOURNAL).write_bytes(b"torn")
    assert read_journal(tmp_path) == []
    with pytest.raises(StorageError):
        Journal(tmp_path, HEADER, records=1)


def test_it_begins_again_and_ends_without_a_trace(tmp_path: Path) -> None:
    journal = Journal(tmp_path, HEADER)
    journal.append({"commit": {}}, durably=True)
    decided = [journal.decided]
    journal.restart({"mode": "incremental"})
    decided.append(journal.decided)
    assert decided == [True, False]
    assert read_journal(tmp_path) == [{"mode": "incremental"}]
    journal.finish()
    assert list(tmp_path.iterdir()) == []
