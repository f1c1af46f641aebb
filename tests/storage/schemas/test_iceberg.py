"""PyIceberg makes the tables of gen schema and takes the rows of payworld's files."""

from pathlib import Path

import pyarrow.parquet as pq
from tests.written_tables import Written, table_of, typed_rows

from payworld.reports.tables import find_tables
from payworld.storage.schemas import schema_text


def test_an_iceberg_table_of_the_schema_takes_the_rows(
    name: str, written: dict[str, Written], tmp_path: Path
) -> None:
    from pyiceberg.catalog.sql import SqlCatalog
    from pyiceberg.schema import Schema

    schema = Schema.model_validate_json(schema_text(find_tables(name), "iceberg"))
    catalog = SqlCatalog("test", uri="sqlite://", warehouse=tmp_path.as_uri())
    try:
        catalog.create_namespace("bronze")
        made = catalog.create_table(f"bronze.{table_of(name).name}", schema=schema)
        rows = pq.read_table(written[name].parquet)
        made.append(rows.cast(made.schema().as_arrow(), safe=False))
        found = made.scan().to_arrow()
    finally:
        catalog.engine.dispose()
    assert found.to_pylist() == typed_rows(written[name].parquet)
    keys = {made.schema().find_column_name(at) for at in made.schema().identifier_field_ids}
    assert keys == set(table_of(name).primary_key)
    docs = {field.name: field.doc for field in made.schema().fields}
    assert docs == {column.name: column.description for column in table_of(name).columns}
    required = {field.name for field in made.schema().fields if field.required}
    assert required == {column.name for column in table_of(name).columns if not column.nullable}
