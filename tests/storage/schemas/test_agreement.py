"""The schema says what the files hold, in every format and for every table."""

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.written_tables import Written, table_of

from payworld.errors import UsageError
from payworld.reports.tables import find_tables
from payworld.schema import Column
from payworld.storage.schemas import FORMATS, schema_text

# The types that Parquet files must have, by what the schema says of a column.
ARROW = {
    "string": pa.string(),
    "category": pa.string(),
    "float": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "datetime": pa.timestamp("us"),
    "instant": pa.timestamp("ns", "UTC"),
}


def arrow_of(column: Column) -> pa.DataType:
    if column.type == "decimal":
        return pa.decimal128(column.precision, column.scale)
    if column.type == "integer":
        return {8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}[column.bits]
    return ARROW[column.type]


def test_the_schema_says_what_the_files_hold(name: str, written: dict[str, Written]) -> None:
    table = table_of(name)
    found = pq.read_schema(written[name].parquet)
    types = [pa.string() if pa.types.is_large_string(f.type) else f.type for f in found]
    assert found.names == table.names
    assert types == [arrow_of(column) for column in table.columns]
    assert written[name].csv.read_text(encoding="utf-8").split("\n")[0] == ",".join(table.names)


def test_nulls_values_and_patterns_are_as_the_schema_says(
    name: str, written: dict[str, Written]
) -> None:
    frame = pl.read_parquet(written[name].parquet)
    for column in table_of(name).columns:
        values = frame[column.name]
        assert column.nullable or values.null_count() == 0, column.name
        if column.values:
            assert set(values.drop_nulls()) <= set(column.values), column.name
        if column.pattern:
            assert values.drop_nulls().str.contains(column.pattern).all(), column.name
    key = frame.select(table_of(name).primary_key)
    assert key.is_unique().all()


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_names_every_column(form: str, name: str) -> None:
    text = schema_text(find_tables(name), form)
    assert [n for n in table_of(name).names if n not in text] == []


def test_an_unknown_format_and_one_that_takes_a_single_table_are_refused() -> None:
    with pytest.raises(UsageError, match="form = 'xml': expected one of frictionless"):
        schema_text(find_tables("merchants"), "xml")
    with pytest.raises(UsageError, match=r"name one of world\.merchants, world\.transactions"):
        schema_text(find_tables("world"), "iceberg")
    assert not {form for form, value in FORMATS.items() if not value.holds_many} - {"iceberg"}
