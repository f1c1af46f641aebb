"""Frictionless Table Schemas, and the Data Package of a product."""

from __future__ import annotations

from typing import Any

from payworld.schema import Column, Product, Table

__all__ = ["DIALECT", "frictionless_schema", "to_frictionless"]

_TYPES = {
    "string": "string",
    "category": "string",
    "integer": "integer",
    "decimal": "number",
    "float": "number",
    "boolean": "boolean",
    "date": "date",
    "datetime": "datetime",
    "instant": "datetime",
}
DIALECT = {
    "header": True,
    "csv": {"delimiter": ",", "lineTerminator": "\n", "quoteChar": '"'},
}


def _field(column: Column) -> dict[str, Any]:
    constraints: dict[str, Any] = {"required": not column.nullable}
    if column.values:
        constraints["enum"] = list(column.values)
    if column.pattern:
        constraints["pattern"] = column.pattern
    return {
        "name": column.name,
        "type": _TYPES[column.type],
        "description": column.description,
        **({"unit": column.unit} if column.unit else {}),
        "constraints": constraints,
    }


def frictionless_schema(table: Table) -> dict[str, Any]:
    """Return a table's Frictionless Table Schema.

    >>> from payworld.schema import MERCHANTS
    >>> frictionless_schema(MERCHANTS)["primaryKey"]
    ['merchant_id', 'version']
    """
    return {
        "fields": [_field(column) for column in table.columns],
        "primaryKey": list(table.primary_key),
        "missingValues": [""],
    }


def _foreign_keys(table: Table, known: set[str]) -> dict[str, Any]:
    """Return the foreign keys that point to a table of the same package."""
    keys = []
    for name, target in table.foreign_keys.items():
        other, _, field = target.partition(".")
        if other in known:
            keys.append({"fields": [name], "reference": {"resource": other, "fields": [field]}})
    return {"foreignKeys": keys} if keys else {}


def to_frictionless(product: Product) -> dict[str, Any]:
    """Return the Table Schema of one table, or the Data Package of a product.

    A package names `<table>.csv` as the path of each table.
    """
    if product.is_one:
        return frictionless_schema(product.tables[0])
    known = {table.name for table in product.tables}
    return {
        "$schema": "https://datapackage.org/profiles/2.0/datapackage.json",
        "name": f"payworld-{product.name}",
        "description": product.description,
        "resources": [
            {
                "type": "table",
                "name": table.name,
                "description": table.description,
                "path": f"{table.name}.csv",
                "scheme": "file",
                "format": "csv",
                "mediatype": "text/csv",
                "encoding": "utf-8",
                "dialect": DIALECT,
                "schema": frictionless_schema(table) | _foreign_keys(table, known),
            }
            for table in product.tables
        ],
    }
