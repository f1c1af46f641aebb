"""gen history: a merchant's versions with what changed, and its payments by month."""

import csv
import gzip
import json
from collections import defaultdict
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.builders import LIVELY_WORLD, STATE, Folders, period, stats, write_config
from tests.gen_server import GenServer

from payworld.reports.history import read_history
from payworld.storage.state_file import read_state

MONEY = ("volume", "mdr", "net_profit")


def make(server: GenServer, root: Path) -> Folders:
    """Make a world of three months, whose last nights are compressed and in Parquet."""
    folders = Folders(root)
    config = write_config(root / "world.yaml", LIVELY_WORLD)
    run = ["-f", "-q", "--config", config, *folders.options]
    assert server.run("--initial", *period("2024-01-25", "2024-03-02"), *run).code == 0
    packed = ["--incremental", "--date", "2024-03-04", "--compression", "gzip"]
    assert server.run(*packed, *run).code == 0
    last = ["--incremental", "--date", "2024-03-06", "--format", "parquet"]
    assert server.run(*last, *run).code == 0
    return folders


@pytest.fixture(scope="module")
def folders(server: GenServer, tmp_path_factory: pytest.TempPathFactory) -> Folders:
    return make(server, tmp_path_factory.mktemp("history"))


@pytest.fixture(scope="module")
def lives(folders: Folders) -> dict[str, list[dict[str, Any]]]:
    state = json.loads((folders.state / STATE).read_bytes())
    found: dict[str, list[dict[str, Any]]] = state["merchants"]
    return found


def payments(folders: Folders) -> list[dict[str, str]]:
    """Return every payment as texts."""
    import polars as pl

    rows: list[dict[str, str]] = []
    for path in sorted(folders.output.glob("transactions_*")):
        if path.suffix != ".parquet":
            data = path.read_bytes()
            text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
            rows += list(csv.DictReader(text.splitlines()))
        else:
            rows += pl.read_parquet(path).with_columns(pl.all().cast(pl.String)).to_dicts()
    return rows


def months_of(rows: list[dict[str, str]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the figures of each merchant and month, reckoned row by row."""
    found: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for row in rows:
        month = row["payment_timestamp"][:7]
        figures = found[row["merchant_id"]].setdefault(
            month, {"payments": 0, "approved": 0, **dict.fromkeys(MONEY, Decimal("0.00"))}
        )
        figures["payments"] += 1
        if row["payment_status"] == "approved":
            figures["approved"] += 1
            figures["volume"] += Decimal(row["payment_amount"])
            figures["mdr"] += Decimal(row["mdr_amount"])
            figures["net_profit"] += Decimal(row["net_profit"])
    return found


def history(server: GenServer, folders: Folders, merchant: str) -> Any:
    ended = server.run("history", merchant, "--json", *folders.options)
    assert (ended.code, ended.stderr) == (0, "")
    return ended.data


def test_versions_are_those_of_the_state(
    server: GenServer, folders: Folders, lives: dict[str, list[dict[str, Any]]]
) -> None:
    many = max(lives, key=lambda name: len(lives[name]))
    gone = next(name for name, life in lives.items() if life[-1]["status"] == "churned")
    for name in (many, gone, list(lives)[-1]):
        found = history(server, folders, name)
        without = [{k: v for k, v in v.items() if k != "changes"} for v in found["versions"]]
        assert without == lives[name]
        for key in ("merchant_name", "status", "churn_date", "last_transaction_date"):
            assert found[key] == lives[name][-1][key]


def test_what_changed_is_what_differs_from_the_version_before(
    folders: Folders, lives: dict[str, list[dict[str, Any]]]
) -> None:
    world, _ = read_state(folders.state)
    seen: set[str] = set()
    own = {"effective_date", "version", "change_type", "churn_date"}
    for name, life in lives.items():
        if len(life) == 1:
            continue
        versions = read_history(world, folders.root / "nowhere", name).versions
        assert versions[0]["changes"] == {}
        for before, version in pairwise(versions):
            differing = {
                key: {"old": before[key], "new": version[key]}
                for key in version
                if key not in {*own, "changes"} and before[key] != version[key]
            }
            assert version["changes"] == differing != {}
            seen.add(version["change_type"])
    assert seen == {"mdr_change", "phone_change", "email_change", "address_change", "churn"}


def test_months_add_up_to_the_payments_in_the_files(
    folders: Folders, lives: dict[str, list[dict[str, Any]]]
) -> None:
    world, _ = read_state(folders.state)
    expected = months_of(payments(folders))
    assert len({month for months in expected.values() for month in months}) == 3
    for name in lives:
        found = read_history(world, folders.output, name)
        assert {
            m.month: {key: getattr(m, key) for key in ("payments", "approved", *MONEY)}
            for m in found.months
        } == expected.get(name, {}), name
        assert [m.month for m in found.months] == sorted(m.month for m in found.months)
        assert found.total.payments == sum(m["payments"] for m in expected[name].values())


def test_json_gives_money_with_its_cents_and_a_total(server: GenServer, folders: Folders) -> None:
    found = history(server, folders, "M000001")["payments"]
    for month in (*found["by_month"], found["total"]):
        for name in MONEY:
            assert month[name] == str(Decimal(month[name]).quantize(Decimal("0.01")))
    for name in ("payments", "approved"):
        assert found["total"][name] == sum(month[name] for month in found["by_month"])
    for name in MONEY:
        total = sum(Decimal(month[name]) for month in found["by_month"])
        assert Decimal(found["total"][name]) == total
    assert (found["complete"], found["lost"]) == (True, [])


def test_only_files_of_days_on_which_it_could_trade_are_read(
    server: GenServer, folders: Folders, lives: dict[str, list[dict[str, Any]]]
) -> None:
    spans = sorted(
        path.name.partition(".")[0].split("_")[1:] for path in folders.output.glob("transactions_*")
    )
    assert len(spans) == 5
    read = set()
    for name, life in lives.items():
        first, last = life[-1]["creation_date"], life[-1]["last_transaction_date"]
        if last is not None and name[-1] == "1":
            expected = sum(end >= first and start <= last for start, end in spans)
            assert history(server, folders, name)["payments"]["files_read"] == expected
            read.add(expected)
    assert min(read) < 5


def test_text_tells_the_same_to_people(
    server: GenServer, folders: Folders, lives: dict[str, list[dict[str, Any]]]
) -> None:
    name = max(lives, key=lambda name: len(lives[name]))
    data = history(server, folders, name)
    ended = server.run("history", name, *folders.options)
    assert (ended.code, ended.stderr) == (0, "")
    first, second, *_ = ended.stdout.splitlines()
    assert first.startswith(f"{name}  {data['merchant_name']} ({data['industry']}, ")
    assert data["creation_date"] in second
    for version in data["versions"]:
        line = next(
            line
            for line in ended.stdout.splitlines()
            if line.split()[:3]
            == [str(version["version"]), version["effective_date"], version["change_type"]]
        )
        for column, change in version["changes"].items():
            assert f"{column} {change['old']} -> {change['new']}" in line
    lines = {line.split()[0]: line.split() for line in ended.stdout.splitlines() if line}
    for month in (*data["payments"]["by_month"], {"month": "total", **data["payments"]["total"]}):
        assert lines[month["month"]][1:] == [
            f"{month['payments']:,}",
            f"{month['approved']:,}",
            *(f"{Decimal(month[key]):,}" for key in MONEY),
        ]


def test_a_merchant_that_is_gone_is_said_to_be(
    server: GenServer, folders: Folders, lives: dict[str, list[dict[str, Any]]]
) -> None:
    name = next(name for name, life in lives.items() if life[-1]["status"] == "churned")
    text = server.run("history", name, *folders.options).stdout
    assert f"gone since {lives[name][-1]['churn_date']}" in text


def test_lines_keep_to_the_width(
    server: GenServer, folders: Folders, lives: dict[str, list[dict[str, Any]]]
) -> None:
    name = max(lives, key=lambda name: len(lives[name]))
    ended = server.run("history", name, *folders.options, environment={"COLUMNS": "80"})
    assert max(map(len, ended.stdout.splitlines())) <= 80


@pytest.mark.parametrize("asked", ["M000007", "m000007", "7", "M7", " M000007 "])
def test_the_number_is_what_counts(server: GenServer, folders: Folders, asked: str) -> None:
    assert history(server, folders, asked)["merchant_id"] == "M000007"


def test_an_unknown_merchant_is_told_the_range_and_what_is_near(
    server: GenServer, folders: Folders, lives: dict[str, list[dict[str, Any]]]
) -> None:
    last = list(lives)[-1]
    word = lives["M000003"][0]["merchant_name"].split()[-1]
    for asked, near in (
        ("M000000", None), ("M999999999", None), ("M0000312", "M000031"), ("M00013000", None),
        (word.upper(), word), ("qqqq", None), ("", None), ("M00000x", None),
        (lives["M000003"][0]["merchant_name"] + "s", "M000003"),
    ):  # fmt: skip
        ended = server.run("history", asked, *folders.options)
        assert (ended.code, ended.stdout) == (2, ""), asked
        assert f"expected M000001 to {last}" in ended.stderr
        assert ("did you mean" in ended.stderr) == (near is not None), ended.stderr
        assert near is None or near in ended.stderr.partition("did you mean")[2]


def test_lost_files_are_told_of_and_the_rest_counted(server: GenServer, tmp_path: Path) -> None:
    folders = make(server, tmp_path)
    whole = history(server, folders, "M000001")["payments"]
    lost = "transactions_2024-02-01_2024-02-29.csv"
    (folders.output / lost).unlink()
    ended = server.run("history", "M000001", "--json", *folders.options)
    assert ended.code == 1
    found = ended.data["payments"]
    assert (found["lost"], found["complete"]) == ([lost], False)
    assert f"{lost} is missing" in ended.stderr
    assert found["by_month"] == [m for m in whole["by_month"] if m["month"] != "2024-02"]
    again = ["regenerate", *period("2024-02-01", "2024-02-29"), *folders.options]
    assert ended.stderr.endswith(f"with the same bytes: gen {' '.join(again)}\n")
    text = server.run("history", "M000001", *folders.options)
    assert text.code == 1
    assert "payments of its days are lost: the figures are those of the others" in text.stderr
    assert "2024-02" not in text.stdout.partition("\nmonth ")[2]
    assert server.run(*again).code == 0
    assert history(server, folders, "M000001")["payments"] == whole


def test_without_a_manifest_the_versions_are_told_all_the_same(
    server: GenServer, folders: Folders, tmp_path: Path
) -> None:
    options = ["--state-dir", str(folders.state), "--output-dir", str(tmp_path / "none")]
    ended = server.run("history", "M000001", "--json", *options)
    assert ended.code == 0
    assert "there is no datapackage.json" in ended.stderr
    assert ended.data["versions"]
    assert ended.data["payments"]["by_month"] == []
    assert ended.data["payments"]["complete"] is False
    assert "payments" not in server.run("history", "M000001", *options).stdout


def test_files_of_another_world_are_refused(
    server: GenServer, folders: Folders, tmp_path: Path
) -> None:
    other = Folders(tmp_path)
    run = ["--initial", *period("2024-01-25", "2024-01-25"), "-f", "-q", "--seed", "7"]
    assert server.run(*run, *other.options).code == 0
    options = ["--state-dir", str(folders.state), "--output-dir", str(other.output)]
    ended = server.run("history", "M000001", *options)
    assert (ended.code, ended.stdout) == (1, "")
    assert "another world" in ended.stderr


def test_without_a_world_it_ends_with_3(server: GenServer, tmp_path: Path) -> None:
    ended = server.run("history", "M000001", *Folders(tmp_path).options)
    assert (ended.code, ended.stdout) == (3, "")
    assert "gen --initial" in ended.stderr


def test_it_changes_nothing(server: GenServer, folders: Folders) -> None:
    before = stats(folders.root)
    assert server.run("history", "M000001", *folders.options).code == 0
    assert stats(folders.root) == before
