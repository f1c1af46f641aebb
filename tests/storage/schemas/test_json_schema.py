"""jsonschema takes the schemas of gen schema, and the rows that payworld prints as JSON."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import polars as pl
import pytest
from tests.gen_server import GenServer
from tests.written_tables import Written, table_of

from payworld.reports.tables import find_tables
from payworld.storage.schemas import schema_text, to_format


def json_rows(name: str, path: Path) -> list[dict[str, Any]]:
    """Return rows as gen preview and gen finance print them: decimals and times as texts."""
    frame = pl.read_parquet(path)
    columns = table_of(name).columns
    frame = frame.with_columns(
        pl.col(c.name).dt.to_string("%Y-%m-%dT%H:%M:%S" + "Z" * (c.type == "instant"))
        for c in columns
        if c.type in {"datetime", "instant"}
    )
    texts = [c.name for c in columns if c.type in {"decimal", "date"}]
    return frame.with_columns(pl.col(texts).cast(pl.String)).to_dicts()


@pytest.fixture
def validator(name: str) -> jsonschema.Draft202012Validator:
    schema = json.loads(schema_text(find_tables(name), "json-schema"))
    jsonschema.Draft202012Validator.check_schema(schema)
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    return jsonschema.Draft202012Validator(schema, format_checker=checker)


def test_json_rows_are_valid(
    name: str, written: dict[str, Written], validator: jsonschema.Draft202012Validator
) -> None:
    for row in json_rows(name, written[name].parquet)[:300]:
        validator.validate(row)


def test_json_rows_that_are_wrong_are_found(
    name: str, written: dict[str, Written], validator: jsonschema.Draft202012Validator
) -> None:
    (row, *_) = json_rows(name, written[name].parquet)
    key = table_of(name).primary_key[0]
    assert not validator.is_valid({k: v for k, v in row.items() if k != key})
    assert not validator.is_valid(row | {"more": 1})
    for column in table_of(name).columns:
        if not column.nullable:
            assert not validator.is_valid(row | {column.name: None}), column.name
        assert not validator.is_valid(row | {column.name: []}), column.name
        if column.values or column.type in {"decimal", "date", "datetime", "integer"}:
            assert not validator.is_valid(row | {column.name: "1.5x"}), column.name


def test_finance_s_own_json_is_valid(server: GenServer, tmp_path: Path) -> None:
    out = tmp_path / "users.json"
    users = ["--num-users", "8", "--as-of", "2025-11-03", "-q"]
    assert server.run("finance", *users, "--output", out).code == 0
    document = json.loads(out.read_bytes())
    schema = to_format(find_tables("finance"), "json-schema")
    jsonschema.Draft202012Validator.check_schema(schema)
    for table in ("users", "accounts", "transactions"):
        row_schema = {"$ref": f"#/$defs/{table}", "$defs": schema["$defs"]}
        validator = jsonschema.Draft202012Validator(row_schema)
        assert document[table]
        for row in document[table]:
            validator.validate(row)
