"""The schema in force: which fields, in which order, under which names, of which types."""

from __future__ import annotations

import difflib
from functools import lru_cache
from typing import Annotated, Any

import pyarrow as pa
from pydantic import BeforeValidator, Field, field_validator

from payworld.config.document import parse_document, to_plain_yaml, validate
from payworld.config.types import Section, Switch
from payworld.errors import ConfigError
from payworld.storage.package_tables import read_package_text

__all__ = ["FieldSpec", "FraudSchema", "arrow_type", "own_schema", "own_text", "schema_from_text"]

_TYPES = {
    "string": pa.string(),
    "timestamp[ns, UTC]": pa.timestamp("ns", "UTC"),
    "int8": pa.int8(),
    "int16": pa.int16(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
}


def _version_text(value: Any) -> Any:
    # YAML reads an unquoted version as a number.
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


_Version = Annotated[str, BeforeValidator(_version_text), Field(min_length=1)]


class FieldSpec(Section):
    """One column: what it is called, holds and means."""

    name: str = Field(description="the generator's name of the field")
    alias: str | None = Field(None, description="the column's name, if another")
    dtype: str | None = Field(None, description="type of the values")
    description: str | None = Field(None, description="what the values mean")
    nullable: Switch | None = Field(None, description="whether values can be missing")
    example: Any = Field(None, description="a value")
    enum: tuple[str, ...] | None = Field(None, description="every value that occurs")

    @field_validator("alias")
    @classmethod
    def _is_a_name(cls, value: str | None) -> str | None:
        if value is not None and not (value.isprintable() and value == value.strip() != ""):
            raise ValueError("expected printable characters without white space at the ends")
        return value

    @property
    def column(self) -> str:
        """Return the name of the column."""
        return self.alias or self.name


class FraudSchema(Section):
    """A list of columns; lives for a run."""

    version: _Version = Field(description="version of the schema")
    name: str | None = Field(None, description="name of the table")
    description: str | None = Field(None, description="what the table holds")
    primary_key: str | None = Field(None, description="field that identifies a row")
    event_time: str | None = Field(None, description="field by which rows are ordered")
    fields: tuple[FieldSpec, ...] = Field(description="columns in order")

    @field_validator("fields", mode="before")
    @classmethod
    def _some(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple) or not value:
            raise ValueError("expected a list of fields, one at least, each with its name")
        return tuple(value)

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns, in order."""
        return tuple(field.column for field in self.fields)

    def to_yaml(self) -> str:
        """Return the whole schema as YAML; it reads back equal."""
        data = self.model_dump(mode="json", exclude_none=True)
        return to_plain_yaml(data)

    def arrow(self) -> pa.Schema:
        """Return the columns as an Arrow schema."""
        return pa.schema([pa.field(f.column, arrow_type(f), bool(f.nullable)) for f in self.fields])


def arrow_type(field: FieldSpec) -> pa.DataType:
    """Return the Arrow type of a field whose dtype is known."""
    return _TYPES[str(field.dtype)]


def own_text() -> str:
    """Return the text of the package's schema."""
    return read_package_text("payworld.datasets.fraud_stream", "transaction_schema.yaml")


@lru_cache(maxsize=1)
def own_schema() -> FraudSchema:
    """Return the package's schema."""
    data = parse_document(own_text(), "transaction_schema.yaml")
    return validate(FraudSchema, data, "transaction_schema.yaml")


def _completed(field: FieldSpec, source: str) -> FieldSpec:
    """Return a field with what it leaves out taken from the package's schema."""
    known = {own.name: own for own in own_schema().fields}
    own = known.get(field.name)
    if own is None:
        near = difflib.get_close_matches(field.name, known, n=1, cutoff=0.6)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ConfigError(
            f"{source}: field {field.name!r} is unknown{hint} The generator knows "
            f"{', '.join(known)}; rename one of them with `alias: {field.name}`, or remove it"
        )
    for name in ("dtype", "nullable"):
        given, ours = getattr(field, name), getattr(own, name)
        if given is not None and given != ours:
            raise ConfigError(
                f"{source}: field {field.name!r}: {name} = {given!r}; expected {ours!r}: a schema "
                "may reorder, rename by alias, or drop fields"
            )
    if field.enum is not None and set(field.enum) != set(own.enum or ()):
        expected = f"{list(own.enum)}" if own.enum else "none"
        raise ConfigError(
            f"{source}: field {field.name!r}: enum = {list(field.enum)}; expected {expected}"
        )
    given = {key: value for key, value in field.model_dump().items() if value is not None}
    return own.model_copy(update={**given, "enum": own.enum})


def schema_from_text(text: str, source: str) -> FraudSchema:
    """Return the schema of a YAML text; ConfigError says what is wrong, and the known fields."""
    schema = validate(
        FraudSchema, parse_document(text, source), source, printed_by="gen fraud --print-schema"
    )
    fields = tuple(_completed(field, source) for field in schema.fields)
    seen: set[str] = set()
    for field in fields:
        if field.column in seen:
            raise ConfigError(f"{source}: two fields are called {field.column!r}; give an alias")
        seen.add(field.column)
    names = {field.name for field in fields}
    for key in ("primary_key", "event_time"):
        named = getattr(schema, key)
        if named is not None and named not in names:
            raise ConfigError(
                f"{source}: {key} = {named!r}: no such field here; expected one of "
                f"{', '.join(sorted(names))}, or leave the key out"
            )
    return schema.model_copy(update={"fields": fields})
