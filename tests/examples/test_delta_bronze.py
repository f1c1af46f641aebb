"""examples/delta_bronze.py: the schema's types, the merged dimension, time travel, one writer."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from tests.examples.lakes import delta_table
from tests.examples.nights import Landing
from tests.examples.runner import ROOT, ExampleServer

from payworld.schema import TABLES, Column

EXAMPLE = "delta_bronze"
PLAIN_TYPES = {"integer": "integer", "date": "date", "datetime": "timestamp_ntz"}


def expected_type(column: Column) -> str:
    if column.type == "decimal":
        return f"decimal({column.precision},{column.scale})"
    return PLAIN_TYPES.get(column.type, "string")


def dimension(target: Path) -> list[dict[str, object]]:
    rows = delta_table(target, "silver/dim_merchant").to_pyarrow_table().to_pylist()
    return sorted(rows, key=lambda row: (row["merchant_id"], row["version"]))


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_after_every_night_the_merged_dimension_is_the_history(
    nights: Callable[[str], list[Landing]],
    examples: Callable[[str], ExampleServer],
    tmp_path: Path,
) -> None:
    merges = []
    for landing in nights("--format csv"):
        ended = examples(EXAMPLE).run(landing.raw_data, tmp_path)
        assert ended.code == 0, ended.stderr
        expected = landing.history().dimension()
        for row in expected:
            del row["last_transaction_date"]
        assert dimension(tmp_path) == expected
        merges.append(delta_table(tmp_path, "silver/dim_merchant").version())
    # A night without a new version merges nothing; every other night commits once.
    assert merges[0] == 1
    assert {after - before for before, after in pairwise(merges)} == {0, 1}


@pytest.mark.slow
def test_tables_have_the_schema_s_types_and_a_commit_for_each_file(
    nights: Callable[[str], list[Landing]],
    examples: Callable[[str], ExampleServer],
    tmp_path: Path,
) -> None:
    lived = nights("--format csv")
    for landing in (lived[0], lived[-1], lived[-1]):
        ended = examples(EXAMPLE).run(landing.raw_data, tmp_path)
        assert ended.code == 0, ended.stderr
    for name, described in TABLES.items():
        table = delta_table(tmp_path, f"bronze/{name}")
        assert [(f.name, f.type.type, f.nullable) for f in table.schema().fields] == [
            (column.name, expected_type(column), column.nullable) for column in described.columns
        ]
        commits = [commit for commit in reversed(table.history()) if "file" in commit]
        found = [
            (commit["file"], commit["hash"], commit["operationMetrics"]["num_added_rows"])
            for commit in commits
        ]
        assert found == [(file.name, file.hash, file.count) for file in landing.files(name)]
        for file in landing.files(name):
            digits = file.hash.removeprefix("sha256:")[:15]
            assert table.transaction_version(file.name) == int(digits, 16)


@pytest.mark.slow
def test_last_week_s_count_is_what_was_loaded_then(
    nights: Callable[[str], list[Landing]],
    examples: Callable[[str], ExampleServer],
    tmp_path: Path,
) -> None:
    # The last night but one ends on 9 March, eight days after the first.
    landing = nights("--format csv")[-2]
    ended = examples(EXAMPLE).run(landing.raw_data, tmp_path)
    files = landing.files("transactions")
    then = sum(file.count for file in files if str(file.end) <= "2024-03-02")
    assert 0 < then < sum(file.count for file in files)
    assert ended.stdout.endswith(f"{then:,} payments in the files up to 2024-03-02\n")


@pytest.mark.slow
def test_of_two_that_saw_the_same_tables_one_is_refused(
    nights: Callable[[str], list[Landing]],
    examples: Callable[[str], ExampleServer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, later = nights("--format csv")[:2]
    assert examples(EXAMPLE).run(first.raw_data, tmp_path).code == 0
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    import landing

    from examples import delta_bronze

    tables = [delta_table(tmp_path, "bronze/transactions") for _ in range(2)]
    file = landing.read_manifest(later.raw_data)[-1]
    delta_bronze.append(tables[0], file)
    with pytest.raises(landing.BusyError, match=r"bronze/transactions.*run this again"):
        delta_bronze.append(tables[1], file)
    assert delta_table(tmp_path, "bronze/transactions").count() == sum(
        found.count for found in later.files("transactions")
    )
