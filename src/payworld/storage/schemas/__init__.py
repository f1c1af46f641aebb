"""The columns of payworld.schema in the languages of other tools: pure functions of tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

from payworld.errors import UsageError
from payworld.schema import Product
from payworld.storage.schemas.avro import to_avro
from payworld.storage.schemas.dbt import to_dbt_sources
from payworld.storage.schemas.frictionless import to_frictionless
from payworld.storage.schemas.iceberg import to_iceberg
from payworld.storage.schemas.json_schema import to_json_schema
from payworld.storage.schemas.sql import to_duckdb, to_spark_ddl

__all__ = ["FORMATS", "schema_text", "to_format"]


class _Format(NamedTuple):
    """A language: how tables are said in it, and whether it can say several at once."""

    render: Callable[[Product], Any]
    holds_many: bool


FORMATS: dict[str, _Format] = {
    "frictionless": _Format(to_frictionless, holds_many=True),
    "json-schema": _Format(to_json_schema, holds_many=True),
    "avro": _Format(to_avro, holds_many=True),
    "spark-ddl": _Format(to_spark_ddl, holds_many=True),
    "iceberg": _Format(to_iceberg, holds_many=False),
    "duckdb": _Format(to_duckdb, holds_many=True),
    "dbt-sources": _Format(to_dbt_sources, holds_many=True),
}


def to_format(product: Product, form: str) -> Any:
    """Return tables in a format: JSON types where it is JSON, else text.

    Raises UsageError for an unknown format, and where the format takes one table alone.
    """
    if form not in FORMATS:
        raise UsageError(f"form = {form!r}: expected one of {', '.join(FORMATS)}")
    render, holds_many = FORMATS[form]
    if len(product.tables) > 1 and not holds_many:
        names = ", ".join(f"{product.name}.{table.name}" for table in product.tables)
        raise UsageError(f"the format {form!r} describes one table: name one of {names}")
    return render(product)


def schema_text(product: Product, form: str) -> str:
    """Return tables in a format as text, without a line feed at the end."""
    found = to_format(product, form)
    if isinstance(found, str):
        return found
    return orjson.dumps(found, option=orjson.OPT_INDENT_2).decode()
