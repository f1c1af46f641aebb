"""dbt sources: version 2 YAML with columns, types, descriptions and data tests."""

from __future__ import annotations

from typing import Any

from payworld.schema import Column, Product, Table

__all__ = ["to_dbt_sources"]

_INTEGERS = {8: "tinyint", 16: "smallint", 32: "integer", 64: "bigint"}
_TYPES = {
    "string": "varchar",
    "category": "varchar",
    "float": "double",
    "boolean": "boolean",
    "date": "date",
    "datetime": "timestamp",
    "instant": "timestamptz",
}


def _type(column: Column) -> str:
    if column.type == "decimal":
        return f"decimal({column.precision}, {column.scale})"
    if column.type == "integer":
        return _INTEGERS[column.bits]
    return _TYPES[column.type]


def _tests(table: Table, column: Column, source: str, known: set[str]) -> list[Any]:
    tests: list[Any] = []
    if not column.nullable:
        tests.append("not_null")
    if table.primary_key == (column.name,):
        tests.append("unique")
    if column.values:
        tests.append({"accepted_values": {"arguments": {"values": list(column.values)}}})
    other, _, field = table.foreign_keys.get(column.name, "").partition(".")
    if other in known:
        to = f"source('{source}', '{other}')"
        tests.append({"relationships": {"arguments": {"to": to, "field": field}}})
    return tests


def _column(table: Table, column: Column, source: str, known: set[str]) -> dict[str, Any]:
    tests = _tests(table, column, source, known)
    return {
        "name": column.name,
        "data_type": _type(column),
        "description": column.description,
        **({"data_tests": tests} if tests else {}),
    }


def to_dbt_sources(product: Product) -> str:
    """Return a sources file; freshness is for the project to say.

    The source is `payworld` for the living world, `payworld_<product>` for another.
    """
    import yaml

    source = "payworld" if product.name == "world" else f"payworld_{product.name}"
    known = {table.name for table in product.tables}
    tables = [
        {
            "name": table.name,
            "description": table.description,
            "columns": [_column(table, c, source, known) for c in table.columns],
        }
        for table in product.tables
    ]
    document = {
        "version": 2,
        "sources": [{"name": source, "description": product.description, "tables": tables}],
    }
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
    return text.rstrip("\n")
