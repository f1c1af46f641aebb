"""fastavro takes the schemas of gen schema, and the rows of payworld's files by them."""

import json
from pathlib import Path

import fastavro
from tests.written_tables import Written, table_of, typed_rows

from payworld.reports.tables import find_tables
from payworld.storage.schemas import schema_text, to_format


def test_avro_files_of_the_schema_hold_the_rows(
    name: str, written: dict[str, Written], tmp_path: Path
) -> None:
    schema = fastavro.parse_schema(json.loads(schema_text(find_tables(name), "avro")))
    rows = typed_rows(written[name].parquet)
    with (tmp_path / "rows.avro").open("wb") as file:
        fastavro.writer(file, schema, rows, strict=True)
    with (tmp_path / "rows.avro").open("rb") as file:
        assert list(fastavro.reader(file)) == rows


def test_avro_refuses_what_the_schema_does_not_allow(written: dict[str, Written]) -> None:
    schema = fastavro.parse_schema(to_format(find_tables("merchants"), "avro"))
    (row, *_) = typed_rows(written["merchants"].parquet)
    assert fastavro.validate(row, schema)
    for wrong in ({"status": "asleep"}, {"merchant_id": None}, {"version": "1"}):
        assert not fastavro.validate(row | wrong, schema, raise_errors=False), wrong
    assert fastavro.validate(row | {"churn_date": None}, schema)


def test_avro_s_union_of_a_product_takes_rows_of_each_table(written: dict[str, Written]) -> None:
    schema = fastavro.parse_schema(to_format(find_tables("finance"), "avro"))
    for name in ("users", "accounts", "finance.transactions"):
        (row, *_) = typed_rows(written[name].parquet)
        record = (f"payworld.finance.{table_of(name).name}", row)
        assert fastavro.validate(record, schema), name
