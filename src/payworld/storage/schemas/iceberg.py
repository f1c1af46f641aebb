"""An Iceberg schema as JSON: what PyIceberg's model and a REST catalog take."""

from __future__ import annotations

from typing import Any

from payworld.schema import Column, Product

__all__ = ["to_iceberg"]

_TYPES = {
    "string": "string",
    "category": "string",
    "float": "double",
    "boolean": "boolean",
    "date": "date",
    "datetime": "timestamp",
    # Microseconds: nanoseconds want a table of format version 3.
    "instant": "timestamptz",
}


def _type(column: Column) -> str:
    if column.type == "decimal":
        return f"decimal({column.precision}, {column.scale})"
    if column.type == "integer":
        return "long" if column.bits > 32 else "int"
    return _TYPES[column.type]


def to_iceberg(product: Product) -> dict[str, Any]:
    """Return the schema of one table; field ids count from 1 in the order of the columns."""
    (table,) = product.tables
    ids = {name: number for number, name in enumerate(table.names, start=1)}
    return {
        "type": "struct",
        "schema-id": 0,
        "identifier-field-ids": [ids[name] for name in table.primary_key],
        "fields": [
            {
                "id": ids[column.name],
                "name": column.name,
                "required": not column.nullable,
                "type": _type(column),
                "doc": column.description,
            }
            for column in table.columns
        ],
    }
