"""Published files changed or gone: verify names each breach, regenerate makes them again."""

import csv
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.builders import MANIFEST, STATE, Folders
from tests.faults.driver import FaultServer
from tests.faults.worlds import (
    LATER,
    Case,
    begin,
    check_message,
    contents,
    left_behind,
    run_options,
)

CHUNK = "transactions_2024-01-30_2024-01-31.csv"
VERSIONS = "merchants_2024-01-30_2024-01-31.csv"
REGENERATE = ("regenerate", "--start-date", "2024-01-01", "--end-date", "2024-12-31")


@pytest.fixture(scope="module", params=["csv", "parquet"])
def world(
    request: pytest.FixtureRequest, faults: FaultServer, tmp_path_factory: pytest.TempPathFactory
) -> Folders:
    root = tmp_path_factory.mktemp(request.param) / "world"
    folders = begin(faults, root, file_format=request.param)
    ended = faults.run(*LATER, *run_options(folders, request.param))
    assert ended.code == 0, ended.stderr
    return folders


@pytest.fixture(scope="module")
def csv_world(faults: FaultServer, tmp_path_factory: pytest.TempPathFactory) -> Folders:
    return begin(faults, tmp_path_factory.mktemp("breaches") / "world")


Rows = list[dict[str, str]]
Change = Callable[[Rows], int | None]


def in_row(number: int, column: str, value: str) -> Change:
    def change(rows: Rows) -> None:
        rows[number - 1][column] = value

    return change


def without_row(number: int) -> Change:
    def change(rows: Rows) -> None:
        del rows[number - 1]

    return change


def row_again(number: int) -> Change:
    def change(rows: Rows) -> None:
        rows.insert(number, rows[number - 1])

    return change


def without_last(rows: Rows) -> None:
    del rows[-1]


def swapped(rows: Rows) -> None:
    rows[4], rows[5] = rows[5], rows[4]


def of_type(payment_type: str, column: str, value: str) -> Change:
    """Change the first row of a type, and return which it is."""

    def change(rows: Rows) -> int:
        number = next(n for n, row in enumerate(rows, 1) if row["payment_type"] == payment_type)
        rows[number - 1][column] = value
        return number

    return change


def at_time(number: int, time: str) -> Change:
    def change(rows: Rows) -> None:
        day = rows[number - 1]["payment_timestamp"][:10]
        rows[number - 1]["payment_timestamp"] = f"{day}T{time}"

    return change


def other_last_day(rows: Rows) -> int:
    """Change a merchant's day of the last payment by one; the state alone cannot tell."""
    number = next(n for n, r in enumerate(rows, 1) if r["last_transaction_date"] == "2024-01-31")
    rows[number - 1]["last_transaction_date"] = "2024-01-30"
    return number


# The change, the file, the row that must be named (0: the file alone), and words of the breach.
BREACHES: dict[str, tuple[str, Change, int, str]] = {
    "a payment's merchant": (CHUNK, in_row(7, "merchant_id", "M000999"), 7, "merchant_id"),
    "an amount": (CHUNK, in_row(9, "payment_amount", "9999.99"), 9, "mdr_amount"),
    "a negative amount": (CHUNK, in_row(9, "payment_amount", "-1.00"), 9, "not above 0"),
    "a cost": (CHUNK, in_row(3, "transactional_cost_amount", "0.99"), 3, "transactional_cost"),
    "a profit": (CHUNK, in_row(5, "net_profit", "77.00"), 5, "net_profit"),
    "an mdr amount": (CHUNK, in_row(5, "mdr_amount", "77.00"), 5, "mdr_amount"),
    "a card's BIN": (CHUNK, in_row(2, "card_bin", "999999"), 2, "card_bin"),
    "a card's issuer": (CHUNK, in_row(2, "card_issuer", "Nobody's"), 2, "card_issuer"),
    "a card's number": (CHUNK, in_row(4, "card_profile_id", "CARD0000999999"), 4, "card_profile"),
    "a cost rate": (CHUNK, in_row(6, "transactional_cost_rate", "0.9000"), 6, "cost_rate"),
    "a payment's number": (CHUNK, in_row(8, "payment_id", "TXN0000009999"), 8, "payment_id"),
    "a status": (CHUNK, in_row(8, "payment_status", "foo"), 8, "approved, declined, failed"),
    "a type": (CHUNK, in_row(8, "payment_type", ""), 8, "payment_type is none of card_present"),
    "a day outside": (CHUNK, in_row(1, "payment_timestamp", "2024-01-29T10:00:00"), 1, ""),
    "a payment less": (CHUNK, without_row(10), 10, "payment_id"),
    "a payment twice": (CHUNK, row_again(10), 11, "payment_id"),
    "payments out of order": (CHUNK, swapped, 5, "payment_id"),
    "a time before the one above": (CHUNK, at_time(6, "08:00:00"), 6, "before the payment above"),
    "a time before opening": (CHUNK, at_time(1, "07:59:59"), 1, "business hours, 08:00 to 22:00"),
    "a time at closing": (CHUNK, at_time(1, "22:00:00"), 1, "business hours, 08:00 to 22:00"),
    "a place far from the merchant": (
        CHUNK,
        of_type("card_present", "payment_lat", "40.000001"),
        0,
        "not the merchant's place",
    ),
    "a place that is none": (
        CHUNK,
        of_type("online", "payment_lng", "-40.000000"),
        0,
        "not a buyer's place",
    ),
    "an empty place": (CHUNK, of_type("online", "payment_lat", ""), 0, "not a buyer's place"),
    "a last payment": (VERSIONS, other_last_day, 0, "the payments say 2024-01-31"),
    "no last payment": (
        VERSIONS,
        in_row(1, "last_transaction_date", ""),
        1,
        "last_transaction_date = None",
    ),
    "a name": (VERSIONS, in_row(2, "merchant_name", "Other"), 2, "merchant_name = Other"),
    "an mdr rate": (VERSIONS, in_row(3, "mdr_rate", "0.0999"), 3, "mdr_rate"),
    "a version less": (VERSIONS, without_row(2), 0, "rows; the state has"),
}


def rewritten(path: Path, change: Change) -> int | None:
    """Change rows of a file and let the manifest agree, so that the laws alone can tell.

    Returns the row that the change names, if it does.
    """
    reader = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline=""))
    rows = list(reader)
    row = change(rows)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, reader.fieldnames or [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8", newline="")
    import hashlib

    manifest = path.parent / MANIFEST
    document = orjson.loads(manifest.read_bytes())
    for resource in document["resources"]:
        if resource["path"] == path.name:
            data = path.read_bytes()
            resource |= {
                "bytes": len(data),
                "rows": len(rows),
                "hash": f"sha256:{hashlib.sha256(data).hexdigest()}",
            }
    manifest.write_bytes(orjson.dumps(document))
    return row


@pytest.mark.parametrize("name", BREACHES)
def test_verify_names_the_file_and_row_of_a_breach_of_the_laws(
    faults: FaultServer, tmp_path: Path, csv_world: Folders, name: str
) -> None:
    file, change, row, words = BREACHES[name]
    folders = Case(faults, csv_world, ()).copy(tmp_path / "world")
    row = rewritten(folders.output / file, change) or row
    before = contents(folders)
    ended = faults.run("verify", "--json", *folders.options)
    assert ended.code == 1, ended.stderr
    found = [(b["file"], b["row"] or 0) for b in ended.data["breaches"] if words in b["what"]]
    assert (file, row) in found, ended.data["breaches"]
    assert contents(folders) == before


def other_sum(resource: dict[str, Any]) -> None:
    resource["sums"]["net_profit"] = "-1.00"


def without_last_row(resource: dict[str, Any]) -> None:
    resource["rows"] -= 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (other_sum, "net_profit adds up to "),
        (without_last_row, " rows; the manifest says "),
    ],
)
def test_verify_holds_a_file_against_its_control_totals(
    faults: FaultServer,
    tmp_path: Path,
    csv_world: Folders,
    change: Callable[[dict[str, Any]], None],
    words: str,
) -> None:
    folders = Case(faults, csv_world, ()).copy(tmp_path / "world")
    document = orjson.loads((folders.output / MANIFEST).read_bytes())
    change(next(r for r in document["resources"] if r["path"] == CHUNK))
    (folders.output / MANIFEST).write_bytes(orjson.dumps(document))
    ended = faults.run("verify", "--json", *folders.options)
    assert ended.code == 1, ended.stderr
    assert any(b["file"] == CHUNK and words in b["what"] for b in ended.data["breaches"])


@pytest.mark.parametrize("damage", ["cut", "a flipped bit", "the last row gone"])
def test_verify_does_not_blame_whole_files_for_a_damaged_one_before_them(
    faults: FaultServer, tmp_path: Path, csv_world: Folders, damage: str
) -> None:
    folders = Case(faults, csv_world, ()).copy(tmp_path / "world")
    chunk, later = folders.output / CHUNK, "transactions_2024-02-01_2024-02-02.csv"
    data = bytearray(chunk.read_bytes())
    if damage == "cut":
        chunk.write_bytes(data[:-4_000])
    elif damage == "a flipped bit":
        data[len(data) // 2] ^= 0x04
        chunk.write_bytes(data)
    else:
        rewritten(chunk, without_last)
    ended = faults.run("verify", "--json", *folders.options)
    assert ended.code == 1, ended.stderr
    files = [breach["file"] for breach in ended.data["breaches"]]
    assert CHUNK in files
    if damage == "the last row gone":
        # The manifest agrees on the rows: the numbers after it tell, once each.
        assert files.count(later) <= 2
    else:
        assert later not in files


def test_verify_names_changed_bytes_lost_files_and_days_that_are_nowhere(
    faults: FaultServer, tmp_path: Path, csv_world: Folders
) -> None:
    folders = Case(faults, csv_world, ()).copy(tmp_path / "world")
    later = "transactions_2024-02-01_2024-02-02.csv"
    (folders.output / later).unlink()
    chunk = folders.output / CHUNK
    chunk.write_bytes(chunk.read_bytes() + b"\n")
    (folders.output / VERSIONS).write_bytes(b"\xff\xfe\0")
    ended = faults.run("verify", *folders.options)
    assert ended.code == 1
    for words in (
        f"{later}: the file is missing; make it again with gen regenerate",
        f"{CHUNK}: its SHA-256 is not the manifest's",
        f"{CHUNK}: 19,850 bytes; the manifest says 19,849",
        f"{VERSIONS}: it cannot be read as merchants",
    ):
        assert words in ended.stdout, ended.stdout
    # A lost file is not one that was verified.
    assert "verified 3 files (1 missing), " in ended.stderr, ended.stderr
    document = orjson.loads((csv_world.output / MANIFEST).read_bytes())
    document["resources"] = [r for r in document["resources"] if r["path"] != later]
    (folders.output / MANIFEST).write_bytes(orjson.dumps(document))
    ended = faults.run("verify", *folders.options)
    assert "no file tells of 2024-02-01 to 2024-02-02" in ended.stdout
    (folders.output / MANIFEST).unlink()
    ended = faults.run("verify", *folders.options)
    assert (ended.code, "datapackage.json: it is missing" in ended.stdout) == (1, True)


def test_the_day_of_the_last_payment_is_checked_as_far_as_payments_were_read(
    faults: FaultServer, tmp_path: Path, csv_world: Folders
) -> None:
    folders = Case(faults, csv_world, ()).copy(tmp_path / "world")
    later = "merchants_2024-02-01_2024-02-02.csv"
    (folders.output / CHUNK).unlink()

    def told() -> list[str]:
        found = faults.run("verify", "--json", *folders.options).data["breaches"]
        assert CHUNK in {breach["file"] for breach in found}
        return [b["what"] for b in found if b["file"] == later and "last_trans" in b["what"]]

    # Without January's payments, a day in January may be right; none after the file's end is.
    assert told() == []
    rewritten(folders.output / later, in_row(1, "last_transaction_date", "2024-01-12"))
    january = told()
    rewritten(folders.output / later, in_row(1, "last_transaction_date", "2024-02-03"))
    assert len(told()) == 1
    # The merchant paid in February: then the day in January is wrong after all.
    assert all("the payments say 2024-02" in what for what in january)


def test_verify_takes_a_world_as_it_is_for_whole(faults: FaultServer, world: Folders) -> None:
    ended = faults.run("verify", *world.options)
    assert (ended.code, ended.stdout) == (0, "")


def test_a_parquet_file_with_other_values_is_seen(faults: FaultServer, tmp_path: Path) -> None:
    world = begin(faults, tmp_path / "world", file_format="parquet")
    path = world.output / CHUNK.replace("csv", "parquet")
    table = pq.read_table(path)
    names = table.column_names.index("merchant_id")
    values = ["M000999", *table.column("merchant_id").to_pylist()[1:]]
    pq.write_table(table.set_column(names, "merchant_id", pa.array(values)), path)
    ended = faults.run("verify", *world.options)
    assert ended.code == 1
    assert f"{path.name}, row 1: TXN0000000001: merchant_id" in ended.stdout
    path.write_bytes(path.read_bytes()[:-7])
    ended = faults.run("verify", *world.options)
    assert ended.code == 1
    assert f"{path.name}: it cannot be read" in ended.stdout


@pytest.mark.slow
def test_every_lost_or_changed_file_is_made_again_byte_for_byte(
    faults: FaultServer, tmp_path: Path, world: Folders
) -> None:
    expected = contents(world)
    case = Case(faults, world, REGENERATE)
    names = sorted(world.names())
    assert len(names) == 6
    for name in [*names, "all"]:
        for lost in (True, False):
            folders = case.copy(tmp_path / "world")
            for path in [folders.output / n for n in (names if name == "all" else [name])]:
                path.unlink() if lost else path.write_bytes(path.read_bytes()[1:])
            ended = case.run(folders)
            assert ended.code == 0, ended.stderr
            found = {k: v for k, v in contents(folders).items() if "_replaced" not in k}
            assert found == expected
            moved = [p for p in folders.output.glob("_replaced/*/*") if p.is_file()]
            assert len(moved) == (0 if lost else len(names) if name == "all" else 1)
            assert left_behind(folders) == []


def test_regenerate_explains_why_it_cannot(
    faults: FaultServer, tmp_path: Path, csv_world: Folders
) -> None:
    case = Case(faults, csv_world, REGENERATE)

    def refused(change: Callable[[Folders], object], *options: str) -> tuple[int, str]:
        folders = case.copy(tmp_path / "world")
        change(folders)
        before = contents(folders)
        command = options or REGENERATE[1:]
        ended = faults.run("regenerate", *command, *folders.options)
        assert check_message(ended, ended.code) == ""
        assert contents(folders) == before
        assert left_behind(folders) == []
        return ended.code, ended.stderr

    def other_version(folders: Folders) -> None:
        path = folders.output / MANIFEST
        document = json.loads(path.read_text())
        for resource in document["resources"]:
            resource["hash"] = "sha256:" + "0" * 64
        path.write_text(json.dumps(document))

    def later_than_the_world(folders: Folders) -> None:
        path = folders.output / MANIFEST
        document = json.loads(path.read_text())
        document["resources"][-1]["period"]["end"] = "2024-02-09"
        path.write_text(json.dumps(document))

    code, text = refused(lambda f: (f.output / MANIFEST).unlink())
    assert (code, "no datapackage.json" in text) == (1, True), text
    code, text = refused(other_version)
    assert (code, "byte for byte" in text, "version" in text) == (1, True, True), text
    code, text = refused(later_than_the_world)
    assert (code, "gen --incremental" in text) == (2, True), text
    code, text = refused(lambda f: (f.state / STATE).unlink())
    assert (code, STATE in text) == (3, True), text
    days = ("--start-date", "2025-01-01", "--end-date", "2025-01-02")
    code, text = refused(lambda _: None, *days)
    assert (code, "gen --incremental" in text) == (2, True), text
    days = ("--start-date", "2024-02-02", "--end-date", "2024-02-01")
    code, text = refused(lambda _: None, *days)
    assert (code, "--start-date" in text) == (2, True), text


@pytest.mark.parametrize("kind", ["folder", "named pipe", "symbolic link"])
def test_what_stands_in_place_of_a_file_is_named_and_moved_aside(
    faults: FaultServer, tmp_path: Path, csv_world: Folders, kind: str
) -> None:
    folders = Case(faults, csv_world, ()).copy(tmp_path / "world")
    path = folders.output / CHUNK
    path.rename(tmp_path / "kept")
    if kind == "folder":
        path.mkdir()
    elif kind == "named pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(tmp_path / "kept")
    ended = faults.run("verify", *folders.options)
    assert ended.code == 1
    assert f"{CHUNK}: a {kind} stands in place of the file" in ended.stdout
    ended = faults.run(*REGENERATE, *folders.options)
    assert ended.code == 0, ended.stderr
    assert path.read_bytes() == (tmp_path / "kept").read_bytes()
    assert len(list(folders.output.glob(f"_replaced/*/{CHUNK}"))) == 1
    assert faults.run("verify", *folders.options).code == 0


def test_a_regeneration_that_was_killed_as_it_moved_a_file_leaves_no_empty_folder(
    faults: FaultServer, world: Folders, tmp_path: Path
) -> None:
    """The next one comes in another second, with another dated folder."""
    folders = Case(faults, world, LATER).copy(tmp_path / "killed")
    begun = folders.output / "_replaced" / "2020-01-02T03-04-05Z"
    for name in ("transactions/year=2024/month=01", "merchants"):
        (begun / name).mkdir(parents=True)
    kept = folders.output / "_replaced" / "2020-01-02T03-04-06Z" / "merchants.csv"
    kept.parent.mkdir()
    kept.write_text("moved aside")
    ended = faults.run(*REGENERATE, *folders.options)
    assert ended.code == 0, ended.stderr
    assert not begun.exists()
    assert kept.read_text() == "moved aside"
