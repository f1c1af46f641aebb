"""JSON Schema, draft 2020-12, of a row as JSON: as `gen preview --json` and `gen finance` print it.

A decimal is a text there, with all its decimals: as a JSON number it would not be exact.
"""

from __future__ import annotations

from typing import Any

from payworld.schema import Column, Product, Table

__all__ = ["to_json_schema"]

DRAFT = "https://json-schema.org/draft/2020-12/schema"
# The format "date-time" wants an offset, which a local time has not.
_LOCAL_TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}$"


def _decimal(column: Column) -> dict[str, Any]:
    whole = column.precision - column.scale
    return {"type": "string", "pattern": rf"^-?[0-9]{{1,{whole}}}\.[0-9]{{{column.scale}}}$"}


def _integer(column: Column) -> dict[str, Any]:
    bound = 1 << (column.bits - 1)
    return {"type": "integer", "minimum": -bound, "maximum": bound - 1}


def _value(column: Column) -> dict[str, Any]:
    match column.type:
        case "decimal":
            return _decimal(column)
        case "integer":
            return _integer(column)
        case "float":
            return {"type": "number"}
        case "boolean":
            return {"type": "boolean"}
        case "date":
            return {"type": "string", "format": "date"}
        case "datetime":
            return {"type": "string", "pattern": _LOCAL_TIME}
        case "instant":
            return {"type": "string", "format": "date-time"}
    # At least one character: what is missing is null.
    text: dict[str, Any] = {"type": "string", "minLength": 1}
    return text | ({"pattern": column.pattern} if column.pattern else {})


def _property(column: Column) -> dict[str, Any]:
    value = _value(column)
    values: list[str | None] = list(column.values)
    if column.nullable:
        value["type"] = [value["type"], "null"]
        values = [*values, None] if values else []
    if values:
        value = {"enum": values}
    comment = {"$comment": f"unit: {column.unit}"} if column.unit else {}
    examples = {"examples": [column.example]} if _is_text(column) and column.example else {}
    return {"description": column.description, **comment, **value, **examples}


def _is_text(column: Column) -> bool:
    return column.type not in {"integer", "float", "boolean"}


def _row(table: Table) -> dict[str, Any]:
    return {
        "title": table.name,
        "description": table.description,
        "type": "object",
        "properties": {column.name: _property(column) for column in table.columns},
        "required": [column.name for column in table.columns if not column.nullable],
        "additionalProperties": False,
    }


def to_json_schema(product: Product) -> dict[str, Any]:
    """Return the schema of a row of one table, or those of a product under `$defs`."""
    if product.is_one:
        return {"$schema": DRAFT, **_row(product.tables[0])}
    return {
        "$schema": DRAFT,
        "title": product.name,
        "description": product.description,
        "$defs": {table.name: _row(table) for table in product.tables},
    }
