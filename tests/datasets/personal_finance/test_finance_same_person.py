"""Equal seed, size and date: equal data; and user 7 is the same person in any of them."""

import hashlib
import json
import os
import re
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payworld import finance
from payworld.datasets.personal_finance import (
    FinanceConfig,
    generate_accounts,
    generate_dataset,
    generate_transactions,
    generate_user,
    write_dataset,
)
from payworld.errors import UsageError

AS_OF = "2025-11-03"


def person(data: dict[str, Any], index: int) -> tuple[Any, ...]:
    user = data["users"][index]
    accounts = [row for row in data["accounts"] if row["user_id"] == user["id"]]
    ids = {row["id"] for row in accounts}
    return user, accounts, [row for row in data["transactions"] if row["account_id"] in ids]


@pytest.mark.parametrize("other", [8, 128, 129, 500])
def test_user_7_is_the_same_person_in_a_data_set_of_any_size(other: int) -> None:
    small = generate_dataset(50, as_of=AS_OF)
    assert person(generate_dataset(other, as_of=AS_OF), 7) == person(small, 7)


@given(
    seed=st.integers(0, 2**63 - 1),
    day=st.dates(date(1900, 1, 1), date(2199, 12, 31)),
    index=st.integers(0, 9_999_999),
)
@settings(max_examples=40, deadline=None)
def test_a_person_can_be_made_alone(seed: int, day: date, index: int) -> None:
    user = generate_user(index, seed=seed, as_of=day)
    accounts = generate_accounts(user, seed=seed, as_of=day)
    assert user == generate_user(index, seed=seed, as_of=day.isoformat())
    assert 1 <= len(accounts) <= 3
    for account in accounts:
        assert account["user_id"] == user["id"]
        rows = generate_transactions(account, user, seed=seed, as_of=day)
        assert 20 <= len(rows) <= 100
        assert rows == sorted(rows, key=lambda row: row["date"])
        assert user["created_at"] < rows[0]["date"]
        assert rows[-1]["date"] < day.isoformat()
        assert all((row["amount"] < 0) == (row["category"] == "INCOME") for row in rows)


@pytest.mark.parametrize("index", [0, 7, 127, 128, 199])
def test_the_parts_are_those_of_the_whole(index: int) -> None:
    data = generate_dataset(200, seed=9, as_of=AS_OF)
    user = generate_user(index, seed=9, as_of=AS_OF)
    accounts = generate_accounts(user, seed=9, as_of=AS_OF)
    rows = [
        row
        for account in accounts
        for row in generate_transactions(account, user, seed=9, as_of=AS_OF)
    ]
    whole_user, whole_accounts, whole_rows = person(data, index)
    assert (user, accounts) == (whole_user, whole_accounts)
    assert sorted(rows, key=lambda row: row["id"]) == sorted(whole_rows, key=lambda row: row["id"])


def test_a_data_set_holds_what_its_meta_says() -> None:
    data = generate_dataset(num_users=40, seed=3, as_of=AS_OF)
    meta = data["meta"]
    assert (meta["seed"], meta["as_of"]) == (3, AS_OF)
    assert meta["counts"] == {
        name: len(data[name]) for name in ("users", "accounts", "transactions")
    }
    dates = [row["date"] for row in data["transactions"]]
    assert dates == sorted(dates)


def test_seeds_and_dates_make_other_data() -> None:
    base = generate_dataset(20, seed=1, as_of=AS_OF)
    assert generate_dataset(20, seed=2, as_of=AS_OF)["users"] != base["users"]
    later = generate_dataset(20, seed=1, as_of="2025-11-04")
    assert later["transactions"] != base["transactions"]
    assert [user["id"] for user in later["users"]] == [user["id"] for user in base["users"]]


@pytest.mark.parametrize("file_format", ["json", "jsonl", "csv", "parquet"])
def test_any_process_writes_the_same_bytes(tmp_path: Path, file_format: str) -> None:
    script = (
        "import sys; from pathlib import Path;"
        "from payworld.datasets.personal_finance import write_dataset;"
        "write_dataset(Path(sys.argv[1]), 150, as_of='2025-11-03', seed=5,"
        "file_format=sys.argv[2])"
    )
    write_dataset(tmp_path / "here", 150, as_of=AS_OF, seed=5, file_format=file_format)
    subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "there"), file_format],
        check=True,
        env={
            "PYTHONHASHSEED": "17",
            "POLARS_MAX_THREADS": "1",
            "TZ": "Asia/Tokyo",
            # The same source, where another one is installed.
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
    )
    assert digests(tmp_path / "here") == digests(tmp_path / "there")


def digests(path: Path) -> dict[str, str]:
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    names = ["" if path.is_file() else file.name for file in files]
    return {
        name: hashlib.sha256(file.read_bytes()).hexdigest()
        for name, file in zip(names, files, strict=True)
    }


@pytest.mark.parametrize(
    ("user", "named"),
    [({}, "user"), ({"id": "7"}, "UUID"), ({"id": "0" * 32, "created_at": "soon"}, "created_at")],
)
def test_a_record_that_is_no_user_is_refused(user: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        generate_accounts(user, as_of=AS_OF)


@pytest.mark.parametrize("arguments", [{"seed": -1}, {"seed": 2**63}, {"num_users": 0}])
def test_numbers_out_of_range_are_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="expected"):
        generate_dataset(**arguments, as_of=AS_OF)  # type: ignore[arg-type]


@pytest.mark.parametrize("created", ["2025-10-30T10:00:00", "2026-01-01T00:00:00"])
def test_a_history_too_short_for_the_rules_is_refused(created: str) -> None:
    user = generate_user(0, as_of=AS_OF)
    account = generate_accounts(user, as_of=AS_OF)[0]
    with pytest.raises(UsageError, match="32 days"):
        generate_transactions(account, user | {"created_at": created}, as_of=AS_OF)
    with pytest.raises(UsageError, match="32 days"):
        generate_accounts(user | {"created_at": created}, as_of=AS_OF)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"num_users": "5"}, "num_users = '5': expected a whole number from 1 to 10,000,000"),
        ({"num_users": 1.5}, "num_users = 1.5"),
        ({"num_users": True}, "num_users = True"),
        ({"num_users": 0}, "num_users = 0"),
        ({"seed": 1.5}, "seed = 1.5: expected a whole number"),
        ({"seed": "1"}, "seed = '1'"),
        ({"as_of": 5}, "as_of = 5: expected a date"),
        ({"as_of": None}, "as_of = None"),
        ({"config": {"num_users": 3}}, "config: is a dict; expected a FinanceConfig"),
    ],
    ids=str,
)
def test_a_wrong_argument_is_named(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=re.escape(named)):
        generate_dataset(**({"as_of": AS_OF} | arguments))


def test_an_account_of_another_user_is_refused_and_an_unknown_one_stands_alone() -> None:
    user, other = (generate_user(index, as_of=AS_OF) for index in (7, 8))
    account = generate_accounts(user, as_of=AS_OF)[0]
    with pytest.raises(UsageError, match=r"account.user_id = .*: expected the id of the user"):
        generate_transactions(account, other, as_of=AS_OF)
    with pytest.raises(UsageError, match="UUID as its user_id"):
        generate_transactions(account | {"user_id": 7}, user, as_of=AS_OF)
    with pytest.raises(UsageError, match=r"account.subtype = None"):
        generate_transactions({"id": account["id"]}, user, as_of=AS_OF)
    stranger = {"id": str(UUID(int=5)), "subtype": "checking"}
    rows = generate_transactions(stranger, user, as_of=AS_OF)
    assert {row["account_id"] for row in rows} == {stranger["id"]}
    assert rows == generate_transactions(stranger, user, as_of=AS_OF)
    assert rows[0]["date"] > user["created_at"]


@pytest.mark.parametrize("index", [1.5, "7", None, True])
def test_a_user_has_a_whole_number(index: Any) -> None:
    with pytest.raises(UsageError, match="index = "):
        generate_user(index, as_of=AS_OF)


@pytest.mark.parametrize("user", [5, "ann", None, [], {"id": "0" * 32, "created_at": None}])
def test_what_is_no_user_at_all_is_refused(user: Any) -> None:
    with pytest.raises(UsageError, match="user"):
        generate_accounts(user, as_of=AS_OF)
    account = generate_accounts(generate_user(0, as_of=AS_OF), as_of=AS_OF)[0]
    if user is not None:
        with pytest.raises(UsageError, match="user"):
            generate_transactions(account, user, as_of=AS_OF)


def test_whole_numbers_of_numpy_are_whole_numbers() -> None:
    small = np.int64(5)
    assert generate_user(np.uint8(7), seed=small, as_of=AS_OF) == generate_user(  # type: ignore[arg-type]
        7, seed=5, as_of=AS_OF
    )
    data = generate_dataset(np.int32(3), seed=small, as_of=AS_OF)  # type: ignore[arg-type]
    assert data == generate_dataset(3, seed=5, as_of=AS_OF)
    assert json.loads(json.dumps(data["meta"])) == data["meta"]


def test_the_number_of_users_is_the_arguments_or_the_configurations_or_50() -> None:
    config = FinanceConfig(num_users=3)
    assert len(generate_dataset(as_of=AS_OF, config=config)["users"]) == 3
    assert len(generate_dataset(4, as_of=AS_OF, config=config)["users"]) == 4
    assert len(generate_dataset(as_of=AS_OF)["users"]) == 50
    assert len(finance.generate_dataset(as_of=AS_OF, config=config)["users"]) == 3


@pytest.mark.parametrize("index", [-1, 10_000_000])
def test_a_user_of_no_data_set_is_refused(index: int) -> None:
    with pytest.raises(
        UsageError, match=f"index = {index}: expected a whole number from 0 to 9,999,999"
    ):
        generate_user(index, as_of=AS_OF)
