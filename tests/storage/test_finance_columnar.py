"""The short way of reading finance files takes what gen finance writes, and nothing by mistake.

Whatever it takes must be what the long way takes too, value for value.
"""

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from payworld.datasets.personal_finance import generate_dataset, write_dataset
from payworld.errors import StorageError
from payworld.randomness import stream
from payworld.storage.database import columnar
from payworld.storage.database.columnar import FrameItem, UnusualError
from payworld.storage.database.frames import Frame
from payworld.storage.database.readers import Source, open_source
from payworld.storage.database.spool import Spool
from payworld.storage.database.validate import _look_closer, validate_source

AS_OF = "2025-11-03"
FORMATS = ("json", "jsonl", "csv", "parquet")
Contents = tuple[dict[str, Any], dict[str, pl.DataFrame]]

# What breaks a file, or bends it: pieces of syntax, numbers and letters that are read in two ways.
TOKENS = [
    *(b"null", b"true", b'"', b"{", b"}", b"[", b"]", b",", b":", b"\n", b"\r\n", b"\t", b" "),
    *(b"0", b"-", b"+", b"1e3", b"1.0", b"NaN", b"0x1F", b"99999999999999999999", b"\xef\xbb\xbf"),
    *(b"\\u0000", b"\\ud800", b"\xff", b"\xc3\xa9", b"\x00", b"\x1f", b"\x7f", b'""', b"'"),
    *(b"},\n    {", b"}\n    {", b'"table":"users",', b"\n  ],", b"\n  ]", b"\n    }", b"T24"),
]
VALUES = [
    *(b'"x"', b"12", b"-5", b'"2025-02-30T10:00:00"', b'"2025-02-03 10:00:00"', b'"a{b"', b"1e0"),
    *(b'"2025-02-03T10:00:60"', b'"0000-02-03T10:00:00"', b'"+2025-2-03T10:00:00"', b'"a@b.c"'),
    *(
        b'"2025-02-03T10:00:00Z"',
        b'"2025-02-03T10:00:00.5"',
        b'"\xc3\xa9@b.example"',
        b"1000000001",
    ),
]

ALL = [*TOKENS, *VALUES]


def make(path: Path, users: int, file_format: str, seed: int = 5) -> Path:
    write_dataset(path, users, as_of=AS_OF, seed=seed, file_format=file_format)
    return path


def contents(items: Iterable[FrameItem]) -> Contents:
    meta = dict[str, Any]()
    frames: dict[str, list[pl.DataFrame]] = {}
    for item in items:
        if isinstance(item, Frame):
            frames.setdefault(item.table, []).append(item.rows)
        else:
            meta = item
    return meta, {table: pl.concat(parts) for table, parts in frames.items()}


def taken(source: Source) -> Contents | None:
    """Return what the short way reads, None where it leaves the file to the long one."""
    try:
        return contents(source.frames())
    except (UnusualError, StorageError):
        return None


def assert_equal(short: Contents, long: Contents) -> None:
    assert short[0] == long[0]
    assert short[1].keys() == long[1].keys()
    for table, rows in short[1].items():
        assert rows.schema == long[1][table].schema
        assert rows.equals(long[1][table])


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize(("seed", "piece"), [(1, 300), (2, 7_001), (3, 100_000), (4, 8 << 20)])
def test_files_of_gen_finance_need_no_closer_look(
    tmp_path: Path, file_format: str, seed: int, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columnar, "PIECE_BYTES", piece)
    users = 3 if piece < 1_000 else 60
    source = open_source(make(tmp_path / "out", users, file_format, seed))
    short = taken(source)
    if piece < 1_000 and file_format == "json":
        # Its meta object alone is larger.
        assert short is None
        return
    assert short is not None
    assert len(short[1]["users"]) == users
    assert_equal(short, contents(_look_closer(source)))


def bent(text: bytes, choice: np.random.Generator) -> bytes:
    """Return a text with one to three changes."""
    for _ in range(choice.choice((1, 1, 2, 3))):
        at = int(choice.integers(len(text)))
        lines = text.split(b"\n")
        line, other = choice.integers(len(lines), size=2).tolist()
        token = TOKENS[choice.integers(len(TOKENS))]
        match choice.integers(9):
            case 0:
                text = text[:at] + choice.bytes(1) + text[at + 1 :]
            case 1:
                text = text[:at] + token + text[at:]
            case 2:
                text = text[:at] + text[at + 1 + len(token) :]
            case 3:
                text = b"\n".join([*lines[:line], lines[other], *lines[line:]])
            case 4:
                text = b"\n".join(lines[:line] + lines[line + 1 :]) or b"\n"
            case 5 | 6:
                digit = re.compile(rb"[0-9]").search(text, at)
                at = digit.start() if digit else at
                text = text[:at] + b"%d" % choice.integers(10) + text[at + 1 :]
            case _:
                values = list(re.finditer(rb'[:,] ?("[^"\n]*"|[-0-9.]+|true|false)', text))
                start, end = values[choice.integers(len(values))].span(1) if values else (at, at)
                text = text[:start] + ALL[choice.integers(len(ALL))] + text[end:]
    return text


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("file_format", ["json", "jsonl", "csv"])
def test_what_the_short_way_takes_the_long_way_takes_alike(
    tmp_path: Path, file_format: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    choice = stream(seed, f"test.bent_{file_format}")
    path = make(tmp_path / "out", 1, file_format, seed)
    file = path / ("users.csv" if seed % 2 else "accounts.csv") if path.is_dir() else path
    whole = file.read_bytes()
    n_taken = 0
    for _ in range(60):
        monkeypatch.setattr(columnar, "PIECE_BYTES", int(choice.choice((2_000, 8 << 20))))
        file.write_bytes(bent(whole, choice))
        source = open_source(path)
        short = taken(source)
        if short is not None:
            assert_equal(short, contents(_look_closer(source)))
            n_taken += 1
    assert 0 < n_taken < 60


def with_line(line: str) -> Callable[[str], str]:
    """Return a change that adds a line before the last one."""
    return lambda text: "\n".join([*text.splitlines()[:-1], line, text.splitlines()[-1], ""])


FIRST_USER = '{"table":"users",'
LINES: list[tuple[str, Callable[[str], str]]] = [
    ("a null, at which PyArrow crashes", with_line("null")),
    ("a null behind a record", lambda text: text.replace("}\n", "} null\n", 1)),
    ("two records in one line", lambda text: text.replace("}\n" + FIRST_USER, "}" + FIRST_USER)),
    ("an empty line", with_line("")),
    ("a line of something else", with_line('{"table":"budgets","id":"1"}')),
    ("a table that begins as meta does", lambda text: '{"table":"merchants"}\n' + text),
    ("a record that begins as meta does", with_line('{"table":"meta","table":"users","id":"1"}')),
    ("a table by another name", lambda text: text.replace(FIRST_USER, '{"table":"uzers",', 1)),
    ("a second meta object", lambda text: text.splitlines()[0] + "\n" + text),
    (
        "a meta object that is none",
        lambda text: text.replace('{"table":"meta",', '{"table":"meta"'),
    ),
    ("a number that is none", lambda text: text.replace('"balance":', '"balance":NaN,"x":', 1)),
    ("a key twice", lambda text: text.replace(FIRST_USER, FIRST_USER + '"consent":true,', 1)),
    ("a key more", lambda text: text.replace(FIRST_USER, FIRST_USER + '"age":3,', 1)),
    ("a key less", lambda text: text.replace('"consent":false,', "", 1)),
    ("other line breaks", lambda text: text.replace("\n", "\r\n")),
    ("another order of keys", lambda text: text.replace(FIRST_USER, '{"consent":false,', 1)),
    ("a mark at the start", lambda text: "\ufeff" + text),
    ("nothing", lambda _text: ""),
]


@pytest.mark.parametrize("change", [c for _, c in LINES], ids=[name for name, _ in LINES])
def test_other_lines_are_left_to_a_closer_look(
    tmp_path: Path, change: Callable[[str], str]
) -> None:
    path = make(tmp_path / "users.jsonl", 2, "jsonl")
    path.write_text(change(path.read_text()), newline="")
    assert taken(open_source(path)) is None


DOCUMENTS: list[tuple[str, Callable[[str], str]]] = [
    ("a comma missing", lambda text: text.replace("    },\n    {", "    }\n    {", 1)),
    ("a comma at the end", lambda text: text.replace("    }\n  ]", "    },\n  ]", 1)),
    ("a tab in a text", lambda text: text.replace('"USD"', '"US\tD"', 1)),
    ("a line break in a text", lambda text: text.replace('"USD"', '"US\nD"', 1)),
    ("an end in a text", lambda text: text.replace('"USD"', '"USD\n    },\n    {"', 1)),
    ("a null in a list", lambda text: text.replace("    {\n", "    null,\n    {\n", 1)),
    ("something behind", lambda text: text + "{}"),
    ("a form feed behind", lambda text: text + "\f"),
    ("another key", lambda text: text.replace('{\n  "meta"', '{\n  "notes": 1,\n  "meta"', 1)),
    ("a comma missing before a list", lambda text: text.replace('},\n  "users"', '}\n  "users"')),
    ("no end", lambda text: text[: len(text) // 2]),
    (
        "a list that comes twice",
        lambda text: text.replace('  "users": [\n', '  "users": [],\n  "users": [\n'),
    ),
    ("another indentation", lambda text: json.dumps(json.loads(text), indent=4)),
    ("no indentation", lambda text: json.dumps(json.loads(text))),
]


@pytest.mark.parametrize("change", [c for _, c in DOCUMENTS], ids=[name for name, _ in DOCUMENTS])
def test_other_documents_are_left_to_a_closer_look(
    tmp_path: Path, change: Callable[[str], str]
) -> None:
    path = make(tmp_path / "users.json", 2, "json")
    path.write_text(change(path.read_text()))
    assert taken(open_source(path)) is None


def test_a_document_without_meta_as_python_writes_it_is_taken(tmp_path: Path) -> None:
    data = generate_dataset(3, as_of=AS_OF, seed=5)
    del data["meta"]
    path = tmp_path / "users.json"
    path.write_text(json.dumps(data, indent=2))
    source = open_source(path)
    short = taken(source)
    assert short is not None
    assert_equal(short, contents(_look_closer(source)))


def test_letters_of_all_scripts_are_taken_as_they_are(tmp_path: Path) -> None:
    data = generate_dataset(3, as_of=AS_OF, seed=5)
    data["users"][0]["name"] = "Žofie 李 🦊 \u2028\u00a0é"
    for path in (tmp_path / "escaped.json", tmp_path / "plain.json"):
        path.write_text(json.dumps(data, indent=2, ensure_ascii=path.stem == "escaped"))
        short = taken(open_source(path))
        assert short is not None
        assert short[1]["users"]["name"][0] == data["users"][0]["name"]


def test_lines_as_python_writes_them_are_taken(tmp_path: Path) -> None:
    path = make(tmp_path / "users.jsonl", 3, "jsonl")
    text = "".join(f"{json.dumps(json.loads(line))}\n" for line in path.read_text().splitlines())
    path.write_text(text)
    assert '{"table": "users", "id": ' in text
    short = taken(open_source(path))
    assert short is not None
    assert_equal(short, contents(_look_closer(open_source(path))))


CELLS = ["0x1F", " 12", "+12", "1_000", "1e3", "", "99999999999999999999", '"12"', "12\r"]


@pytest.mark.parametrize("cell", CELLS)
def test_numbers_that_pyarrow_would_take_are_left_to_a_closer_look(
    tmp_path: Path, cell: str
) -> None:
    path = make(tmp_path / "out", 2, "csv") / "accounts.csv"
    header, first, *others = path.read_text().split("\n")
    cells = first.split(",")
    cells[header.split(",").index("balance")] = cell
    path.write_text("\n".join([header, ",".join(cells), *others]), newline="")
    assert taken(open_source(tmp_path / "out")) is None


PARQUET: list[tuple[str, pl.Expr, bool]] = [
    ("shorter numbers", pl.col("amount").cast(pl.Int32), True),
    ("times in milliseconds", pl.col("date").dt.cast_time_unit("ms"), True),
    ("times in nanoseconds", pl.col("date").dt.cast_time_unit("ns"), True),
    ("numbers with a fraction", pl.col("amount").cast(pl.Float64), False),
    ("times with a zone", pl.col("date").dt.replace_time_zone("Europe/Prague"), False),
    ("times as texts", pl.col("date").dt.to_string("%Y-%m-%dT%H:%M:%S"), False),
    ("years that no date has", pl.col("date").dt.offset_by("9000y"), False),
    ("a value less", pl.when(pl.int_range(pl.len()) > 0).then("category"), False),
]


@pytest.mark.parametrize(
    ("change", "is_taken"), [case[1:] for case in PARQUET], ids=[case[0] for case in PARQUET]
)
def test_parquet_is_taken_by_its_types(tmp_path: Path, change: pl.Expr, is_taken: bool) -> None:
    path = make(tmp_path / "out", 2, "parquet") / "transactions.parquet"
    pl.read_parquet(path).with_columns(change).write_parquet(path)
    source = open_source(tmp_path / "out")
    short = taken(source)
    assert (short is not None) == is_taken
    if short is not None:
        assert_equal(short, contents(_look_closer(source)))


def texts_of_other_bytes(n: int) -> pa.Array:
    """Return n texts of three bytes each that are not UTF-8."""
    ends = np.arange(0, 3 * n + 1, 3, dtype=np.int32).tobytes()
    return pa.StringArray.from_buffers(n, pa.py_buffer(ends), pa.py_buffer(b"\xff\xfe\xfd" * n))


@pytest.mark.parametrize("unit", ["ms", "us"])
@pytest.mark.parametrize("number", [-(2**63), 2**63 - 1, -62_135_596_800_001_000])
def test_times_that_no_date_has_are_named(tmp_path: Path, unit: str, number: int) -> None:
    path = make(tmp_path / "out", 2, "parquet") / "users.parquet"
    table = pq.read_table(path)
    times = pa.array([number] * len(table), pa.int64()).cast(pa.timestamp(unit))
    pq.write_table(
        table.set_column(table.column_names.index("created_at"), "created_at", times), path
    )
    named = rf"row 0 \(users\)\.created_at = '{number}': expected an ISO 8601"
    with Spool() as spool, pytest.raises(StorageError, match=named):
        validate_source(open_source(tmp_path / "out"), spool)


def test_texts_that_are_not_utf8_are_named(tmp_path: Path) -> None:
    path = make(tmp_path / "out", 2, "parquet") / "users.parquet"
    table = pq.read_table(path)
    names = texts_of_other_bytes(len(table))
    pq.write_table(table.set_column(table.column_names.index("name"), "name", names), path)
    with Spool() as spool, pytest.raises(StorageError, match=r"users\.parquet: not readable.*UTF"):
        validate_source(open_source(tmp_path / "out"), spool)


def test_tables_line_by_line_in_another_layout_wait_in_few_parts(tmp_path: Path) -> None:
    path = make(tmp_path / "users.jsonl", 20, "jsonl")
    meta, *lines = (json.loads(line) for line in path.read_text().splitlines())
    # A table after the other, in turn, and with the table at the end.
    by_table = [[row for row in lines if row["table"] == table] for table in ("users", "accounts")]
    others = [row for row in lines if row["table"] == "transactions"]
    mixed = [row for rows in zip(*by_table, others, strict=False) for row in rows]
    rest = [row for row in lines if row not in mixed]
    text = "".join(f"{json.dumps(dict(sorted(row.items())))}\n" for row in [meta, *mixed, *rest])
    path.write_text(text)
    assert taken(open_source(path)) is None
    with Spool() as spool:
        assert validate_source(open_source(path), spool) == meta["counts"]
        assert len(list(spool.frames())) == 3


def test_a_reference_that_was_there_when_it_was_checked_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path / "users.jsonl", 2, "jsonl")
    whole = path.read_text()
    lines = whole.splitlines()
    owner = next(json.loads(line)["user_id"] for line in lines if '"user_id"' in line)
    other = owner[:-4] + ("0000" if owner[-4:] != "0000" else "1111")
    path.write_text(whole.replace(f'"user_id":"{owner}"', f'"user_id":"{other}"', 1))
    source = open_source(path)
    batches = source.batches

    def mended(table: str) -> Any:
        path.write_text(whole)
        return batches(table)

    monkeypatch.setattr(source, "batches", mended)
    with Spool() as spool, pytest.raises(StorageError, match="was changed while it was read"):
        validate_source(source, spool)


def test_a_closer_look_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columnar, "PIECE_BYTES", 5_000)
    path = make(tmp_path / "users.jsonl", 20, "jsonl")
    *lines, last = path.read_text().splitlines()
    # Another order of keys is valid, and comes when others have been taken already.
    record = json.loads(last)
    path.write_text("\n".join([*lines, json.dumps(dict(sorted(record.items()))), ""]))
    assert taken(open_source(path)) is None
    with Spool() as spool:
        counts = validate_source(open_source(path), spool)
        frames = list(spool.frames())
    assert counts == json.loads(lines[0])["counts"]
    assert (
        sum(len(rows) for table, rows in frames if table == "transactions")
        == (counts["transactions"])
    )
    assert frames[-1].rows["id"][-1] == record["id"]
