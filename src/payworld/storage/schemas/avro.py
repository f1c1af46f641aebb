"""Avro record schemas with logical types; a product is a union of records."""

from __future__ import annotations

from typing import Any

from payworld.schema import Column, Product, Table

__all__ = ["to_avro"]

_TYPES: dict[str, Any] = {
    "string": "string",
    "category": "string",
    "float": "double",
    "boolean": "boolean",
    "date": {"type": "int", "logicalType": "date"},
    # Without a zone; Avro 1.10 and newer.
    "datetime": {"type": "long", "logicalType": "local-timestamp-micros"},
    "instant": {"type": "long", "logicalType": "timestamp-micros"},
}


def _type(table: Table, column: Column) -> Any:
    if column.values:
        # A name of its own: an enum of a record may be defined once.
        name = f"{table.name}_{column.name}"
        return {"type": "enum", "name": name, "symbols": list(column.values)}
    if column.type == "decimal":
        return {
            "type": "bytes",
            "logicalType": "decimal",
            "precision": column.precision,
            "scale": column.scale,
        }
    if column.type == "integer":
        return "long" if column.bits > 32 else "int"
    return _TYPES[column.type]


def _field(table: Table, column: Column) -> dict[str, Any]:
    kind = _type(table, column)
    return {
        "name": column.name,
        "doc": column.description,
        **({"type": ["null", kind], "default": None} if column.nullable else {"type": kind}),
    }


def _record(table: Table, namespace: str) -> dict[str, Any]:
    return {
        "type": "record",
        "name": table.name,
        "namespace": namespace,
        "doc": table.description,
        "fields": [_field(table, column) for column in table.columns],
    }


def to_avro(product: Product) -> dict[str, Any] | list[dict[str, Any]]:
    """Return the record of one table, or the union of a product's."""
    records = [_record(table, f"payworld.{product.name}") for table in product.tables]
    return records[0] if product.is_one else records
