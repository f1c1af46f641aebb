"""Hostile text in the configuration: refused, or read back equal by whatever reads the files."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from tests.builders import SMALL_WORLD, Folders
from tests.faults.driver import FaultServer
from tests.faults.worlds import check_message, contents

from payworld.config.types import is_plain_text
from payworld.schema import MERCHANTS
from payworld.storage.csv import csv_header, write_csv_text

DAY = "2024-03-10"

HOSTILE = [
    "a,b", 'say "hi"', '"', '""', '"quoted"', "it's", "a;b", "a\tb", "a\nb", "a\r\nb", "a\rb",
    "a\0b", "\0", "a\x07b", "a\x1bb", "a\x7fb", "a\x85b", "a\u2028b", "a\u2029b", "\ufeffa",
    "a\u200bb", "a\u200db", "a\u00adb", "\u202eabc", "a\u2066b", "\u200f\u05e9",
    "\u05e9\u05dc\u05d5\u05dd",
    "مقهى القاهرة", "日本料理 店", "Пекарня", "Café Zoë", "e\u0301", "Ω", "🍕 pizza", "\ud800",
    "\ue000", "\uffff", "=cmd|'/C calc'!A0", "=1+1", "+1", "-1", "@SUM(A1)", "a=b", "a@b", "a-b",
    " =1", "\t=1", "%0a", "NA", "na", "N/A", "NaN", "nan", "null", "NULL", "Null", "None", "none",
    "<NA>", "#N/A", "-NaN", "1.#IND", "inf", "Infinity", "-inf", "007", "7", "1.5", "1e5", "1E5",
    "5e-3", "0x1F", "1_000", "1,000", "$5", "12:30", "2024-01-01", "2024-01-01T10:00:00",
    "2024-01-01T10:00:00Z", "10:00 AM", "Jan 1 2024", "True", "TRUE", "true", "False", "FALSE",
    "false", "T", "F", "t", "f", "yes", "no", "Y", "N", "on", "off", " lead", "trail ", "\u00a0a",
    "a\u3000", "", " ", "  ", ".", "-", "\\", "\\N", "a\\", "a\\nb", "\\\"", "a#b", "#comment",
    "//", "--", "'; DROP TABLE merchants; --", "<script>alert(1)</script>", "${HOME}", "`id`",
    "{{x}}", "%s%n", "x" * 100, "x" * 101, "é" * 100, "a" * 10_000, "M000001", "[1]", "{'a': 1}",
    "1d", "1L", "1j", "0b1", "0o7", "1e", "e1", "1e400", "i", "nan(1)", "NIL", "nil", "undefined",
    "'Round Here'", "'x", "x'", "a,'b", "a',b", "Joe's, Ann's", "a 'b' c", "a,b\\", "a\\\"b",
    "epoch", "today", "now", "infinity", "1 day", "P1D", "00:00:00Z", "1/2/2024", "2024-W01",
]  # fmt: skip

# What YAML itself does not let in, even escaped or quoted.
NO_YAML = {"\ud800"}

Reader = Callable[[Path], dict[str, list[object]]]
COLUMNS = ["merchant_name", "industry"]


def by_csv(path: Path) -> dict[str, list[object]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [row[name] for row in rows] for name in COLUMNS}


def by_duckdb(path: Path) -> dict[str, list[object]]:
    found: dict[str, list[object]] = {}
    with duckdb.connect() as connection:
        for name in COLUMNS:
            # As text, and as another kind of thing where DuckDB takes it for one.
            query = f"SELECT {name}::VARCHAR, typeof({name}) FROM '{path}'"  # noqa: S608
            rows = connection.execute(query).fetchall()
            found[name] = [text if kind == "VARCHAR" else (kind, text) for text, kind in rows]
    return found


def by_pandas(path: Path) -> dict[str, list[object]]:
    frame = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    return {name: list(frame[name]) for name in COLUMNS}


def by_polars(path: Path) -> dict[str, list[object]]:
    frame = pl.read_csv(path) if path.suffix == ".csv" else pl.read_parquet(path)
    return {name: frame[name].to_list() for name in COLUMNS}


def by_pyarrow(path: Path) -> dict[str, list[object]]:
    table = pq.read_table(path)
    return {name: table.column(name).to_pylist() for name in COLUMNS}


READERS: dict[str, dict[str, Reader]] = {
    "csv": {"csv": by_csv, "DuckDB": by_duckdb, "pandas": by_pandas, "Polars": by_polars},
    "parquet": {
        "DuckDB": by_duckdb, "pandas": by_pandas, "Polars": by_polars, "PyArrow": by_pyarrow,
    },
}  # fmt: skip


def misread(path: Path, text: str) -> list[str]:
    """Return the readers that do not give the text back in every row of both columns."""
    wrong = []
    for name, read in READERS[path.suffix[1:]].items():
        found = read(path)
        for column, values in found.items():
            if not values or any(value != text or type(value) is not str for value in values):
                wrong.append(f"{name}: {column} = {values[:1]!r}")
    return wrong


@pytest.mark.slow
@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_hostile_text_is_refused_or_read_back_equal(
    faults: FaultServer, tmp_path: Path, file_format: str
) -> None:
    failures, refused = [], 0
    for number, text in enumerate(HOSTILE):
        folders = Folders(tmp_path / str(number))
        folders.root.mkdir()
        config = folders.root / "hostile.yaml"
        sizes = {size: {"industries": [text]} for size in ("small", "medium", "large")}
        keys = {**SMALL_WORLD, "initial_merchants": 3, "merchant_names": [text],
                "merchant_sizes": sizes}  # fmt: skip
        config.write_text(
            json.dumps(keys, ensure_ascii=max(text, default="") <= "\uffff"), encoding="utf-8"
        )
        days = ("--start-date", DAY, "--end-date", DAY)
        ended = faults.run(
            "--initial", *days, "-f", "--config", config, "--format", file_format, *folders.options
        )
        if ended.code == 0:
            path = folders.output / f"merchants_{DAY}_{DAY}.{file_format}"
            failures += [f"{text[:40]!r}: {wrong}" for wrong in misread(path, text)]
            continue
        refused += 1
        words = ("hostile.yaml",) if text in NO_YAML else ("merchant_names.0", "industries.0")
        if wrong := check_message(ended, 2, *words):
            failures.append(f"{text[:40]!r}: {wrong}")
        if contents(folders):
            failures.append(f"{text[:40]!r}: something was written")
    assert failures == [], "\n".join(failures)
    assert 40 < refused < len(HOSTILE) - 40


@pytest.mark.slow
def test_all_that_is_not_refused_can_stand_in_one_file(faults: FaultServer, tmp_path: Path) -> None:
    accepted = []
    for text in HOSTILE:
        try:
            accepted.append(is_plain_text(text))
        except ValueError:
            continue
    names = sorted({text for text in accepted if 0 < len(text) <= 100})
    folders = Folders(tmp_path)
    config = tmp_path / "hostile.yaml"
    config.write_text(
        json.dumps(
            {**SMALL_WORLD, "initial_merchants": 400, "merchant_names": names}, ensure_ascii=False
        ),
        encoding="utf-8",
    )
    ended = faults.run(
        *("--initial", "--start-date", DAY, "--end-date", DAY, "-f"),
        *("--config", str(config), *folders.options),
    )
    assert ended.code == 0, ended.stderr
    path = folders.output / f"merchants_{DAY}_{DAY}.csv"
    read = {name: reader(path)["merchant_name"] for name, reader in READERS["csv"].items()}
    assert set(read["csv"]) <= set(names)
    assert len(set(read["csv"])) > len(names) / 2
    assert all(found == read["csv"] for found in read.values())
    assert faults.run("verify", *folders.options).code == 0


PIECES = [
    "'", "''", '"', '""', "\\", ",", ";", "|", " ", "a", "Z", "é", "7", "e", ".", ":", "-", "/",
    "#", "_", "NA", "null", "None", "nan", "true", "T", "007", "1e5", "2024-01-01", "10:00 AM",
    "Jan 1 2024",
]  # fmt: skip


def is_accepted(text: str) -> bool:
    try:
        return is_plain_text(text) == text
    except ValueError:
        return False


words = st.lists(st.sampled_from(PIECES), min_size=1, max_size=7).map("".join).filter(is_accepted)


def merchant_rows(names: list[str], industries: list[str], rows: int) -> pl.DataFrame:
    """Return rows as a merchants file has them, names and industries in turn."""
    fixed = {
        "address": "123 Main St", "city": "New York", "state": "NY", "zip_code": "10001",
        "phone": "212-555-0111", "mdr_rate": "0.0320", "size_category": "small",
        "creation_date": DAY, "effective_date": DAY, "status": "active",
        "last_transaction_date": DAY, "version": "1", "change_type": "initial", "churn_date": None,
    }  # fmt: skip
    columns: dict[str, list[str | None]] = {name: [value] * rows for name, value in fixed.items()}
    columns["merchant_id"] = [f"M{row:06d}" for row in range(1, rows + 1)]
    columns["email"] = [f"sales@m{row:06d}.example" for row in range(1, rows + 1)]
    columns["merchant_name"] = [names[row % len(names)] for row in range(rows)]
    columns["industry"] = [industries[row % len(industries)] for row in range(rows)]
    order = [column.name for column in MERCHANTS.columns]
    return pl.DataFrame(columns, schema=dict.fromkeys(order, pl.String))


@pytest.mark.slow
@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(
    names=st.lists(words, min_size=1, max_size=4),
    industries=st.lists(words, min_size=1, max_size=2),
    rows=st.sampled_from([1, 2, 5, 20]),
)
@example(names=["'Round Here'"], industries=["retail"], rows=20)
@example(names=["x'", "a,b"], industries=["retail"], rows=5)
@example(names=["a,'b"], industries=["retail"], rows=2)
@example(names=["Z a"], industries=["a,',"], rows=20)
@example(names=["a b"], industries=[",_b '", "a b"], rows=20)
@example(names=["a b"], industries=[",Z '}b", "a,b,\\"], rows=2)
def test_what_is_accepted_is_read_back_equal_whatever_stands_beside_it(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], industries: list[str], rows: int
) -> None:
    assume(all(map(is_accepted, [*names, *industries])))
    frame = merchant_rows(names, industries, rows)
    path = tmp_path_factory.mktemp("rows") / "merchants.csv"
    path.write_bytes(csv_header(frame.columns) + write_csv_text(frame))
    for name, reader in READERS["csv"].items():
        found = reader(path)
        for column in COLUMNS:
            assert found[column] == frame[column].to_list(), (name, column)


@pytest.mark.parametrize("text", ["Joe's", "Ann's & Joe's", "it's, well, fine", "a\\b", 'the "a"'])
def test_apostrophes_backslashes_and_quotes_within_a_name_are_fine(text: str) -> None:
    assert is_plain_text(text) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("'Round Here'", "an apostrophe must not stand"), ("'Twas", "an apostrophe must not stand"),
        ("a,'b", "an apostrophe must not stand"), ("a,b\\", "a backslash must not stand"),
        ('a\\"b', "a backslash must not stand"),
    ],
)  # fmt: skip
def test_what_a_reader_takes_for_the_dialect_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        is_plain_text(text)
