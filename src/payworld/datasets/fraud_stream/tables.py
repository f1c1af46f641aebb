"""The fraud stream's columns as a table of payworld.schema, from the package's YAML."""

from __future__ import annotations

from typing import Any

from payworld.datasets.fraud_stream.schema import FieldSpec, own_schema
from payworld.schema import Column, Product, Table

__all__ = ["fraud_product"]

_TYPES: dict[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "timestamp[ns, UTC]": {"type": "instant"},
    "int8": {"type": "integer", "bits": 8},
    "int16": {"type": "integer", "bits": 16},
    "float64": {"type": "float"},
    "bool": {"type": "boolean"},
}


def _column(field: FieldSpec) -> Column:
    example = str(field.example)
    return Column(
        name=field.column,
        description=str(field.description),
        example=example.lower() if isinstance(field.example, bool) else example,
        nullable=bool(field.nullable),
        values=field.enum or (),
        **_TYPES[str(field.dtype)],
    )


def fraud_product() -> Product:
    """Return the one table of `gen fraud`: its files are called payments, and so is it.

    >>> fraud_product().tables[0].primary_key
    ('transaction_id',)
    """
    schema = own_schema()
    table = Table(
        name="payments",
        description=str(schema.description),
        primary_key=(str(schema.primary_key),),
        event_time=str(schema.event_time),
        columns=tuple(map(_column, schema.fields)),
    )
    return Product("fraud", "A labelled stream of card payments.", (table,))
