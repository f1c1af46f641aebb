"""DDL: statements for DuckDB, column lists and statements for Spark."""

from __future__ import annotations

from payworld.schema import Column, Product, Table

__all__ = ["to_duckdb", "to_spark_ddl"]

_DUCKDB = {
    "string": "VARCHAR",
    "category": "VARCHAR",
    "float": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "datetime": "TIMESTAMP",
    "instant": "TIMESTAMPTZ",
}
_SPARK = {
    "string": "STRING",
    "category": "STRING",
    "float": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    # TIMESTAMP would move a local time by the zone of the session.
    "datetime": "TIMESTAMP_NTZ",
    "instant": "TIMESTAMP",
}
_INTEGERS = {8: "TINYINT", 16: "SMALLINT", 32: "INTEGER", 64: "BIGINT"}


def _quoted(text: str) -> str:
    """Return a text as a literal of standard SQL.

    >>> print(_quoted("the merchant's place"))
    'the merchant''s place'
    """
    return "'" + text.replace("'", "''") + "'"


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _duckdb_type(column: Column) -> str:
    if column.values:
        return f"ENUM ({', '.join(map(_quoted, column.values))})"
    if column.type == "decimal":
        return f"DECIMAL({column.precision}, {column.scale})"
    if column.type == "integer":
        return _INTEGERS[column.bits]
    return _DUCKDB[column.type]


def _references(table: Table, tables: tuple[Table, ...]) -> list[str]:
    """Return the foreign keys to tables that come before, where the target is unique."""
    before = {other.name: other for other in tables[: tables.index(table)]}
    lines = []
    for name, target in table.foreign_keys.items():
        other, _, field = target.partition(".")
        if other in before and before[other].primary_key == (field,):
            lines.append(f"FOREIGN KEY ({_name(name)}) REFERENCES {_name(other)} ({_name(field)})")
    return lines


def _duckdb_table(table: Table, tables: tuple[Table, ...]) -> str:
    key = ", ".join(_name(name) for name in table.primary_key)
    lines = [
        f"{_name(column.name)} {_duckdb_type(column)}{'' if column.nullable else ' NOT NULL'}"
        for column in table.columns
    ]
    lines += [f"PRIMARY KEY ({key})", *_references(table, tables)]
    body = ",\n".join(f"    {line}" for line in lines)
    comments = [f"COMMENT ON TABLE {_name(table.name)} IS {_quoted(table.description)};"]
    comments += [
        f"COMMENT ON COLUMN {_name(table.name)}.{_name(column.name)} IS "
        f"{_quoted(column.description)};"
        for column in table.columns
    ]
    return f"CREATE TABLE {_name(table.name)} (\n{body}\n);\n" + "\n".join(comments)


def to_duckdb(product: Product) -> str:
    """Return statements that make the tables, with keys, enums and comments."""
    return "\n\n".join(_duckdb_table(table, product.tables) for table in product.tables)


def _spark_type(column: Column) -> str:
    if column.type == "decimal":
        return f"DECIMAL({column.precision}, {column.scale})"
    if column.type == "integer":
        return _INTEGERS[column.bits].replace("INTEGER", "INT")
    return _SPARK[column.type]


def _spark_literal(text: str) -> str:
    # Spark's literals know the backslash, and take '' for two literals side by side.
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _spark_columns(table: Table) -> list[str]:
    return [
        f"`{column.name.replace('`', '``')}` {_spark_type(column)}"
        f"{'' if column.nullable else ' NOT NULL'} COMMENT {_spark_literal(column.description)}"
        for column in table.columns
    ]


def to_spark_ddl(product: Product) -> str:
    """Return the column list of one table, or the CREATE TABLE statements of a product.

    A column list is what `StructType.fromDDL` and a reader's `schema()` take. Without USING, a
    statement would ask for Hive in some sessions; `iceberg` or `delta` can take Parquet's place.
    """
    if product.is_one:
        return ",\n".join(_spark_columns(product.tables[0]))
    return "\n\n".join(
        f"CREATE TABLE `{table.name}` (\n"
        + ",\n".join(f"    {line}" for line in _spark_columns(table))
        + f"\n) USING PARQUET COMMENT {_spark_literal(table.description)};"
        for table in product.tables
    )
