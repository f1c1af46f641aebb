"""Each decision has its record, and each record its three parts."""

import re
from datetime import date
from pathlib import Path

import pytest
from tools.make_docs import ROOT

from payworld import Simulation, generate
from payworld.schema import TRANSACTIONS
from payworld.storage.csv import csv_header, write_csv_text

FOLDER = ROOT / "docs" / "decisions"
RECORDS = sorted(FOLDER.glob("[0-9]*.md"))


def test_records_are_numbered_without_gaps() -> None:
    assert [int(path.name[:4]) for path in RECORDS] == list(range(1, len(RECORDS) + 1))


@pytest.mark.parametrize("name", [path.name for path in RECORDS])
def test_a_record_has_a_question_a_choice_and_what_was_measured(name: str) -> None:
    text = (FOLDER / name).read_text(encoding="utf-8")
    assert text.startswith(f"# {int(name[:4])}. ")
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    assert parts[1::2] == ["Question", "Choice", "Measured"]
    assert all(part.strip() for part in parts[2::2])


@pytest.mark.parametrize("name", [path.name for path in RECORDS])
def test_a_record_is_short_and_listed(name: str) -> None:
    assert len((FOLDER / name).read_text(encoding="utf-8").splitlines()) <= 60
    assert f"]({name})" in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_the_csv_of_record_2_is_what_the_plain_writer_gives(tmp_path: Path) -> None:
    start, end = date(2024, 1, 1), date(2024, 1, 4)
    state, data, keys = tmp_path / "state", tmp_path / "data", {"initial_merchants": 60}
    generate(start, end_date=end, config=keys, state_dir=state, output_dir=data)
    days = Simulation.create(start, initial_merchants=60).days(until=end)
    plain = csv_header(TRANSACTIONS.names) + b"".join(
        write_csv_text(day.transactions()) for day in days
    )
    assert (data / "transactions_2024-01-01_2024-01-04.csv").read_bytes() == plain
