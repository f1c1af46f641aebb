"""examples/iceberg_bronze.py: types from the schema, a snapshot a file, time travel, one writer."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.examples.lakes import iceberg_table
from tests.examples.nights import Landing
from tests.examples.runner import ROOT, ExampleServer

from payworld.schema import TABLES, Column

EXAMPLE = "iceberg_bronze"
PLAIN_TYPES = {"integer": "int", "date": "date", "datetime": "timestamp"}


def expected_type(column: Column) -> str:
    if column.type == "decimal":
        return f"decimal({column.precision}, {column.scale})"
    return PLAIN_TYPES.get(column.type, "string")


@pytest.mark.slow
def test_tables_have_the_schema_s_types_and_a_snapshot_for_each_file(
    nights: Callable[[str], list[Landing]],
    examples: Callable[[str], ExampleServer],
    tmp_path: Path,
) -> None:
    lived = nights("--format csv")
    for landing in (lived[0], lived[-1], lived[-1]):
        ended = examples(EXAMPLE).run(landing.raw_data, tmp_path)
        assert ended.code == 0, ended.stderr
    for name, described in TABLES.items():
        table = iceberg_table(tmp_path, name)
        assert [(f.name, str(f.field_type), f.optional) for f in table.schema().fields] == [
            (column.name, expected_type(column), column.nullable) for column in described.columns
        ]
        summaries = [snapshot.summary for snapshot in table.snapshots()]
        found = [
            (summary["payworld.file"], summary["payworld.hash"], summary["added-records"] or "0")
            for summary in summaries
            if summary is not None
        ]
        assert found == [(file.name, file.hash, str(file.count)) for file in landing.files(name)]


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

    from examples import iceberg_bronze

    tables = [iceberg_table(tmp_path, "transactions") for _ in range(2)]
    file = landing.read_manifest(later.raw_data)[-1]
    iceberg_bronze.append(tables[0], file)
    with pytest.raises(landing.BusyError, match=r"bronze\.transactions; run this again"):
        iceberg_bronze.append(tables[1], file)
    assert iceberg_table(tmp_path, "transactions").scan().count() == sum(
        found.count for found in later.files("transactions")
    )
