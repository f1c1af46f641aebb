"""Files that cannot be loaded: the message names the record and the field; nothing is written."""

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payworld.datasets.personal_finance import generate_dataset, write_dataset
from payworld.errors import StorageError
from payworld.storage.database.load import load_file
from payworld.storage.database.readers import open_source
from payworld.storage.database.spool import Spool
from payworld.storage.database.validate import validate_source

AS_OF = "2025-11-03"
TABLES = ("users", "accounts", "transactions")
DATA = generate_dataset(6, as_of=AS_OF, seed=1)
CARD = next(at for at, row in enumerate(DATA["accounts"]) if row["type"] == "credit")
BANK = next(at for at, row in enumerate(DATA["accounts"]) if row["type"] == "depository")


def copy() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(json.dumps(DATA))
    return data


def check(path: Path) -> dict[str, int]:
    with Spool() as spool:
        return validate_source(open_source(path), spool)


def refused(path: Path, database: Path) -> str:
    database = database.parent / "no folder yet" / database.name
    with pytest.raises(StorageError) as caught:
        load_file(path, f"sqlite+aiosqlite:///{database}")
    assert not database.parent.exists()
    return str(caught.value)


WRONG_VALUES = [
    ("users", 2, "id", 7),
    ("users", 2, "id", "7"),
    ("users", 2, "id", DATA["users"][2]["id"].upper()),
    ("users", 2, "name", ""),
    ("users", 2, "name", "x" * 201),
    ("users", 2, "name", "Ann\x00Lee"),
    ("users", 2, "name", None),
    ("users", 2, "email", "ann"),
    ("users", 2, "email", ["a@b.example"]),
    ("users", 2, "consent", 0),
    ("users", 2, "consent", "false"),
    ("users", 2, "created_at", "yesterday"),
    ("users", 2, "created_at", 1730000000),
    ("users", 2, "created_at", "2025-02-30T10:00:00"),
    ("users", 2, "created_at", "2025-02-20"),
    ("users", 2, "created_at", "2025-W10-1"),
    ("users", 2, "created_at", "20250220T101010"),
    ("users", 2, "created_at", "2025-02-20\n10:00:00"),
    ("users", 2, "created_at", "2025-02-20x10:00:00"),
    ("users", 2, "created_at", "2025-02-20T10:00"),
    ("users", 2, "created_at", "0001-01-01T00:00:00+14:00"),
    ("users", 2, "created_at", "9999-12-31T23:59:59-14:00"),
    ("accounts", 1, "user_id", {}),
    ("accounts", 1, "type", "loan"),
    ("accounts", 1, "subtype", "piggy_bank"),
    ("accounts", 1, "mask", "123"),
    ("accounts", 1, "mask", 1234),
    ("accounts", 1, "balance", 12.5),
    ("accounts", 1, "balance", True),
    ("accounts", 1, "currency", "EUR"),
    ("accounts", CARD, "limit", None),
    ("accounts", CARD, "limit", -1),
    ("accounts", CARD, "balance", DATA["accounts"][CARD]["limit"] + 1),
    ("accounts", CARD, "apr", "12.99"),
    ("accounts", CARD, "apr", 100.5),
    ("accounts", CARD, "is_overdue", 1),
    ("accounts", BANK, "limit", 100_000),
    ("transactions", 57, "account_id", None),
    ("transactions", 57, "date", ""),
    ("transactions", 57, "date", "2025-13-01T00:00:00"),
    ("transactions", 57, "amount", "4550"),
    ("transactions", 57, "amount", 45.5),
    ("transactions", 57, "amount", None),
    ("transactions", 57, "amount", 10**15),
    ("transactions", 57, "amount", -(10**15)),
    ("transactions", 57, "amount", 10**30),
    ("transactions", 57, "amount", 2**63),
    ("transactions", 57, "category", "food"),
    ("transactions", 57, "category", []),
    ("transactions", 57, "merchant_name", 5),
    ("transactions", 57, "pending", "no"),
]


@pytest.mark.parametrize(
    ("table", "row", "field", "value"), WRONG_VALUES, ids=lambda value: repr(value)[:30]
)
def test_a_wrong_value_is_named_with_its_record_and_field(
    tmp_path: Path, table: str, row: int, field: str, value: Any
) -> None:
    data = copy()
    data[table][row][field] = value
    (tmp_path / "users.json").write_text(json.dumps(data))
    message = refused(tmp_path / "users.json", tmp_path / "payworld.db")
    assert f"{table}[{row}].{field}" in message
    assert "expected" in message


@pytest.mark.parametrize(
    ("table", "field"),
    [("users", "email"), ("accounts", "mask"), ("transactions", "amount")],
)
def test_a_missing_key_is_named(tmp_path: Path, table: str, field: str) -> None:
    data = copy()
    del data[table][4][field]
    (tmp_path / "users.json").write_text(json.dumps(data))
    message = refused(tmp_path / "users.json", tmp_path / "payworld.db")
    assert f"{table}[4].{field}: missing" in message


def test_an_unknown_key_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    data = copy()
    data["transactions"][4]["amonut"] = data["transactions"][4].pop("amount")
    (tmp_path / "users.json").write_text(json.dumps(data))
    message = refused(tmp_path / "users.json", tmp_path / "payworld.db")
    assert "transactions[4].'amonut': unknown key; did you mean 'amount'?" in message


def edit(change: Callable[[dict[str, Any]], object]) -> bytes:
    data = copy()
    change(data)
    return json.dumps(data).encode()


WRONG_DOCUMENTS = [
    (b"", "is empty"),
    (b"  \n", "is empty"),
    (b"[]", "is a list"),
    (b"null", "expected an object"),
    (b'{"users": []}', "accounts: missing"),
    (b'{"users": [], "accounts": [], "transactions": []}', "holds no users"),
    (edit(lambda d: d.update(users={})), "users = {}: expected a list"),
    (edit(lambda d: d.update(user=[])), "did you mean 'users'"),
    (edit(lambda d: d["users"].append(5)), "users[6] = 5: expected an object"),
    (edit(lambda d: d.update(meta=5)), "meta = 5: expected an object"),
    (edit(lambda d: d["meta"].update(counts=5)), "meta.counts = 5: expected an object"),
    (edit(lambda d: d["meta"].update(counts=None)), "meta.counts = None: expected an object"),
    (edit(lambda d: d["transactions"].pop()), "the file is incomplete"),
    (json.dumps(DATA).encode()[:-100], "not JSON"),
    (b"NaN", "is a number; expected an object"),
    (b'{"meta": {"seed": NaN}}', "meta.seed = NaN: expected a JSON value"),
    (b'{"users": [{"id": NaN, "name": "\\ud800"}]}', "line 1, column 19: not JSON"),
    (b'{"users": [{"id": "\\ud800"}]}', "not JSON"),
    (b'{"users": [nan]}', "line 1, column 12: not JSON"),
    (b'{\n"users": [{"id": 1 2}]}', "line 2, column 20: not JSON"),
    (json.dumps(DATA).encode("utf-16"), "UTF-16"),
    (json.dumps(DATA).encode("utf-16-be"), "UTF-16"),
    (json.dumps(DATA).replace("example", "exämple").encode("latin-1"), "not UTF-8"),
    (b"\x89PNG\r\n\x1a\n" + bytes(100), "UTF"),
    (b"[" * 100_000, "not JSON"),
    (gzip.compress(json.dumps(DATA).encode(), mtime=0), "is compressed by gzip; unpack it first"),
    (b"SQLite format 3\0" + bytes(100), "is a SQLite database"),
    (b"PAR1" + bytes(100), "is Parquet"),
    (edit(lambda d: d["users"][2].update(phone=1)), "'phone': unknown key; known keys: "),
]


@pytest.mark.parametrize(("content", "named"), WRONG_DOCUMENTS, ids=lambda v: str(v)[:25])
def test_a_wrong_document_is_told(tmp_path: Path, content: bytes, named: str) -> None:
    (tmp_path / "users.json").write_bytes(content)
    assert named in refused(tmp_path / "users.json", tmp_path / "payworld.db")


NUMBERS = {
    "NaN": "NaN",
    "Infinity": "Infinity",
    "-Infinity": "-Infinity",
    "1e999": "1e999",
    "-1e400": "-1e400",
    "-9223372036854775809": "-9223372036854775809",
    "18446744073709551616": "18446744073709551616",
    "1" + "0" * 30: "1" + "0" * 30,
    "1" + "0" * 400: "1" + "0" * 76 + "...",
    "-" + "9" * 9999: "-" + "9" * 76 + "...",
}


@pytest.mark.parametrize("one_line", [False, True])
@pytest.mark.parametrize(("number", "shown"), NUMBERS.items(), ids=[text[:21] for text in NUMBERS])
@pytest.mark.parametrize(
    ("table", "field"), [("accounts", "balance"), ("accounts", "apr"), ("transactions", "amount")]
)
def test_a_number_that_json_or_64_bits_do_not_hold_is_named_as_it_stands(
    tmp_path: Path, table: str, field: str, number: str, shown: str, one_line: bool
) -> None:
    data = copy()
    row = CARD if table == "accounts" else 57
    data[table][row][field] = "mark"
    lines = [json.dumps({"table": name} | row) for name in TABLES for row in data[name]]
    text = json.dumps(data, indent=None if one_line else 2)
    (tmp_path / "users.json").write_text(text.replace('"mark"', number))
    (tmp_path / "users.jsonl").write_text("\n".join(lines).replace('"mark"', number))
    message = refused(tmp_path / "users.json", tmp_path / "payworld.db")
    assert f"users.json: {table}[{row}].{field} = {shown}: expected a" in message
    message = refused(tmp_path / "users.jsonl", tmp_path / "payworld.db")
    number_of_line = 1 + next(at for at, line in enumerate(lines) if '"mark"' in line)
    assert f"line {number_of_line} ({table}).{field} = {shown}: expected a" in message


def test_a_byte_order_mark_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "users.json").write_text(json.dumps(DATA), encoding="utf-8-sig")
    assert check(tmp_path / "users.json") == DATA["meta"]["counts"]


def test_a_file_without_meta_loads(tmp_path: Path) -> None:
    data = copy()
    del data["meta"]
    (tmp_path / "users.json").write_text(json.dumps(data))
    assert check(tmp_path / "users.json") == DATA["meta"]["counts"]


def test_null_stands_for_an_absent_credit_field(tmp_path: Path) -> None:
    data = copy()
    data["accounts"][BANK]["limit"] = None
    (tmp_path / "users.json").write_text(json.dumps(data))
    assert check(tmp_path / "users.json") == DATA["meta"]["counts"]


@pytest.mark.parametrize("table", ["users", "accounts", "transactions"])
def test_a_repeated_id_is_named_with_both_records(tmp_path: Path, table: str) -> None:
    data = copy()
    data[table].append(data[table][3])
    del data["meta"]
    (tmp_path / "users.json").write_text(json.dumps(data))
    message = refused(tmp_path / "users.json", tmp_path / "payworld.db")
    assert f"{table}[{len(data[table]) - 1}].id" in message
    assert f"{table}[3] has it too" in message


def test_a_repeated_email_is_named(tmp_path: Path) -> None:
    data = copy()
    data["users"][5]["email"] = data["users"][1]["email"]
    (tmp_path / "users.json").write_text(json.dumps(data))
    message = refused(tmp_path / "users.json", tmp_path / "payworld.db")
    assert "users[5].email" in message
    assert "users[1] has it too" in message


@pytest.mark.parametrize(
    ("table", "field", "parent"),
    [("accounts", "user_id", "users"), ("transactions", "account_id", "accounts")],
)
def test_a_missing_parent_is_named(tmp_path: Path, table: str, field: str, parent: str) -> None:
    data = copy()
    data[table][6][field] = "00000000-0000-4000-8000-000000000000"
    (tmp_path / "users.json").write_text(json.dumps(data))
    message = refused(tmp_path / "users.json", tmp_path / "payworld.db")
    assert f"{table}[6].{field} = '00000000-0000-4000-8000-000000000000'" in message
    assert f"one of the file's {parent}" in message


def test_emails_that_differ_in_case_alone_are_two_as_in_the_database(tmp_path: Path) -> None:
    data = copy()
    data["users"][5]["email"] = data["users"][1]["email"].upper()
    data["accounts"][CARD]["balance"] = data["accounts"][CARD]["limit"]
    (tmp_path / "users.json").write_text(json.dumps(data))
    counts = load_file(tmp_path / "users.json", f"sqlite+aiosqlite:///{tmp_path / 'p.db'}")
    assert counts == DATA["meta"]["counts"]


@pytest.mark.parametrize("at", [1, -1])
def test_a_second_meta_line_is_named_with_the_first(
    tmp_path: Path, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Small pieces, so that the two are not of one piece.
    monkeypatch.setattr("payworld.storage.database.readers._LINES_BYTES", 1000)
    lines = lines_of(tmp_path)
    lines.insert(at % (len(lines) + 1), lines[0])
    (tmp_path / "users.jsonl").write_bytes(b"".join(lines))
    message = refused(tmp_path / "users.jsonl", tmp_path / "payworld.db")
    assert f"line {at % len(lines) + 1:,}: a second meta object; line 1 is one" in message


def test_a_meta_line_with_a_number_that_is_none_is_named(tmp_path: Path) -> None:
    lines = lines_of(tmp_path)
    lines[0] = lines[0].replace(b'"seed":1', b'"seed":NaN')
    (tmp_path / "users.jsonl").write_bytes(b"".join(lines))
    message = refused(tmp_path / "users.jsonl", tmp_path / "payworld.db")
    assert "meta.seed = NaN: expected a JSON value" in message


def lines_of(tmp_path: Path) -> list[bytes]:
    write_dataset(tmp_path / "users.jsonl", 6, as_of=AS_OF, seed=1, file_format="jsonl")
    return (tmp_path / "users.jsonl").read_bytes().splitlines(keepends=True)


def test_a_wrong_line_of_json_lines_is_named(tmp_path: Path) -> None:
    lines = lines_of(tmp_path)
    for change, named in (
        (b'{"table":"loans"}\n', "line 30: table = 'loans'"),
        (b"{not json}\n", "line 30, column 2: not JSON"),
        (b"[1]\n", "line 30: table = None"),
        (lines[29].replace(b'"amount":', b'"amount":"'), "line 30, column"),
        (lines[29].replace(b'"pending":', b'"pended":'), "line 30 (transactions).'pended'"),
        (re.sub(rb'"amount":-?', b'"amount":0.', lines[29]), "line 30 (transactions).amount"),
    ):
        (tmp_path / "users.jsonl").write_bytes(b"".join([*lines[:29], change, *lines[30:]]))
        assert named in refused(tmp_path / "users.jsonl", tmp_path / "payworld.db")


def test_blank_lines_and_any_order_of_lines_load(tmp_path: Path) -> None:
    lines = [*lines_of(tmp_path)[::-1], b"\n", b"  \n"]
    (tmp_path / "users.jsonl").write_bytes(b"\n".join(lines))
    counts = load_file(tmp_path / "users.jsonl", f"sqlite+aiosqlite:///{tmp_path / 'p.db'}")
    assert counts == DATA["meta"]["counts"]


def test_json_lines_cut_short_are_incomplete(tmp_path: Path) -> None:
    lines = lines_of(tmp_path)
    (tmp_path / "users.jsonl").write_bytes(b"".join(lines[:-5]))
    assert "incomplete" in refused(tmp_path / "users.jsonl", tmp_path / "payworld.db")


def folder(tmp_path: Path, file_format: str) -> Path:
    write_dataset(tmp_path / "out", 6, as_of=AS_OF, seed=1, file_format=file_format)
    return tmp_path / "out"


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        (b"pending\n", b"pended\n", "column 'pended': unknown key; did you mean 'pending'?"),
        (b",pending\n", b"\n", "column 'pending' is missing"),
        (b"false\n", b"False\n", ".pending = 'False'"),
        (b"false\n", b"false,1\n", "8 fields; expected 7"),
        (b"FOOD_AND_DRINK,", b'"FOOD_AND_DRINK,', "not CSV"),
        (b",FOOD_AND", b".5,FOOD_AND", ".amount = "),
        (b",FOOD_AND", b"9999999999999999,FOOD_AND", ".amount = "),
        (b"T", b"\xff", "not UTF-8"),
    ],
)
def test_wrong_csv_is_named(tmp_path: Path, old: bytes, new: bytes, named: str) -> None:
    path = folder(tmp_path, "csv") / "transactions.csv"
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))
    assert named in refused(tmp_path / "out", tmp_path / "payworld.db")


def test_lines_of_csv_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    path = folder(tmp_path, "csv") / "users.csv"
    header, *lines = path.read_text().splitlines(keepends=True)
    lines[0] = (
        lines[0].replace(",", ',"', 1).replace(",", '\n\r\n\r",', 2).replace('\n\r\n\r"', "", 1)
    )
    lines[3] = lines[3].replace("false", "no")
    with path.open("w", newline="") as text:
        text.write("".join([header, *lines]))
    batch = next(open_source(tmp_path / "out").batches("users"))
    assert batch.columns["name"][0].endswith("\n\r\n\r")
    assert list(batch.numbers) == [5, 6, 7, 8, 9, 10]
    with path.open("w", newline="") as text:
        text.write("".join([header, *lines[:4], "alone\n"]))
    assert "line 9: 1 fields; expected 5" in refused(tmp_path / "out", tmp_path / "payworld.db")


@pytest.mark.parametrize("amount", ["", "-", "1\n2", "+5", "5 ", "1e3", "٤", "1" * 20])
def test_an_amount_of_csv_that_is_no_whole_number_is_named(tmp_path: Path, amount: str) -> None:
    path = folder(tmp_path, "csv") / "transactions.csv"
    rows = path.read_text().splitlines()
    fields = rows[3].split(",")
    rows[3] = ",".join([*fields[:3], f'"{amount}"', *fields[4:]])
    path.write_text("\n".join(rows) + "\n")
    shown = repr(amount or None)
    assert f".amount = {shown}" in refused(tmp_path / "out", tmp_path / "payworld.db")


def test_parquet_of_other_types_is_named(tmp_path: Path) -> None:
    path = folder(tmp_path, "parquet") / "transactions.parquet"
    rows = pl.read_parquet(path)
    rows.with_columns(pl.col("amount") / 100).write_parquet(path)
    message = refused(tmp_path / "out", tmp_path / "payworld.db")
    assert "row 0 (transactions).amount" in message


@pytest.mark.parametrize("kind", [pl.Date, pl.Time, pl.Duration])
def test_parquet_times_that_are_none_are_named(tmp_path: Path, kind: Any) -> None:
    path = folder(tmp_path, "parquet") / "transactions.parquet"
    pl.read_parquet(path).with_columns(pl.lit(1).cast(kind).alias("date")).write_parquet(path)
    message = refused(tmp_path / "out", tmp_path / "payworld.db")
    assert "row 0 (transactions).date" in message
    assert "ISO 8601" in message


def test_parquet_times_with_a_zone_are_those_of_utc_as_in_json(tmp_path: Path) -> None:
    path = folder(tmp_path, "parquet") / "transactions.parquet"
    rows = pl.read_parquet(path)
    zoned = pl.col("date").dt.replace_time_zone("UTC").dt.convert_time_zone("America/New_York")
    rows.with_columns(zoned + pl.duration(microseconds=250)).write_parquet(path)
    source = open_source(tmp_path / "out")
    times = [time for batch in source.batches("transactions") for time in batch.columns["date"]]
    assert times == [f"{time}.000250" for time in rows["date"].dt.to_string("%Y-%m-%dT%H:%M:%S")]
    assert check(tmp_path / "out")["transactions"] == len(rows)


@pytest.mark.parametrize("rate", ["1_5", " 15", "15.", "nan", "inf", "٢١", "0x15"])
def test_a_rate_that_only_python_would_read_is_named(tmp_path: Path, rate: str) -> None:
    path = folder(tmp_path, "csv") / "accounts.csv"
    text = path.read_text()
    apr = str(DATA["accounts"][CARD]["apr"])
    assert f",{apr}," in text
    path.write_text(text.replace(f",{apr},", f",{rate},", 1))
    assert f".apr = {rate!r}" in refused(tmp_path / "out", tmp_path / "payworld.db")


def test_a_folder_that_is_not_whole_is_told(tmp_path: Path) -> None:
    meta = folder(tmp_path, "csv") / "meta.json"
    meta.unlink()
    assert "has no meta.json" in refused(tmp_path / "out", tmp_path / "payworld.db")
    meta.write_text("")
    message = refused(tmp_path / "out", tmp_path / "payworld.db")
    assert "meta.json: is empty; expected an object" in message
    meta.write_text("{}")
    assert check(tmp_path / "out")["users"] == 6


def test_a_line_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    write_dataset(tmp_path / "users.jsonl", 6, as_of=AS_OF, seed=1, file_format="jsonl")
    lines = (tmp_path / "users.jsonl").read_bytes().split(b"\n")
    lines[4] = lines[4].replace(b'"name":"', b'"name":"\xe9')
    (tmp_path / "users.jsonl").write_bytes(b"\n".join(lines))
    assert "line 5, byte " in refused(tmp_path / "users.jsonl", tmp_path / "payworld.db")


def test_a_file_that_is_no_parquet_is_told(tmp_path: Path) -> None:
    (folder(tmp_path, "parquet") / "accounts.parquet").write_text("hello")
    message = refused(tmp_path / "out", tmp_path / "payworld.db")
    assert "accounts.parquet: not readable as Parquet" in message


def test_a_folder_without_a_table_is_told(tmp_path: Path) -> None:
    (folder(tmp_path, "csv") / "accounts.csv").unlink()
    assert "accounts.csv" in refused(tmp_path / "out", tmp_path / "payworld.db")
    (tmp_path / "empty").mkdir()
    assert "no users.csv" in refused(tmp_path / "empty", tmp_path / "payworld.db")


def test_a_folder_of_both_kinds_asks_for_a_name(tmp_path: Path) -> None:
    path = folder(tmp_path, "csv")
    write_dataset(path, 6, as_of=AS_OF, seed=1, file_format="parquet")
    assert "both" in refused(path, tmp_path / "payworld.db")
    assert check(path / "users.parquet") == check(path / "users.csv")


@given(data=st.binary(max_size=300))
@settings(max_examples=150, deadline=None)
def test_no_bytes_bring_a_traceback(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp()
    for name in ("fuzz.json", "fuzz.jsonl"):
        (folder / name).write_bytes(data)
        with pytest.raises(StorageError):
            check(folder / name)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(
    where=st.sampled_from(
        [(table, key) for table in ("users", "accounts", "transactions") for key in DATA[table][0]]
    ),
    value=JSON,
)
@settings(max_examples=200, deadline=None)
def test_any_value_is_taken_or_named(
    where: tuple[str, str], value: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    table, key = where
    data = copy()
    data[table][0][key] = value
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(data))
    message = ""
    try:
        check(path)
    except StorageError as error:
        message = str(error)
    assert message == "" or message.startswith(str(path))
