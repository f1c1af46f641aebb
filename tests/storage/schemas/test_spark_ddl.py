"""Spark's column lists and statements, read by a strict reader of their grammar."""

import re
from dataclasses import replace

import duckdb
import pytest
from tests.written_tables import table_of

from payworld.reports.tables import find_tables
from payworld.schema import Column, Table
from payworld.storage.schemas import schema_text

SPARK_COLUMN = re.compile(
    r"`(?P<name>[a-z_]+)` (?P<type>[A-Z_]+(?:\(\d+, \d+\))?)(?P<null> NOT NULL)? "
    r"COMMENT '(?P<comment>(?:[^'\\]|\\['\\])*)'"
)
SPARK_TYPES = {
    "string": "STRING",
    "category": "STRING",
    "float": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "datetime": "TIMESTAMP_NTZ",
    "instant": "TIMESTAMP",
}


def spark_type(column: Column) -> str:
    if column.type == "decimal":
        return f"DECIMAL({column.precision}, {column.scale})"
    if column.type == "integer":
        return {8: "TINYINT", 16: "SMALLINT", 32: "INT", 64: "BIGINT"}[column.bits]
    return SPARK_TYPES[column.type]


def spark_columns(text: str) -> list[tuple[str, str, bool, str]]:
    """Return name, type, nullability and comment of each column; the text has nothing else."""
    found, at = [], 0
    while match := SPARK_COLUMN.match(text, at):
        comment = re.sub(r"\\(.)", r"\1", match["comment"])
        found.append((match["name"], match["type"], match["null"] is None, comment))
        at = match.end()
        if text[at : at + 2] == ",\n":
            at += 2
    assert at == len(text), text[at:]
    return found


def expected_spark_columns(table: Table) -> list[tuple[str, str, bool, str]]:
    return [(c.name, spark_type(c), c.nullable, c.description) for c in table.columns]


def test_spark_s_column_list_says_names_types_nulls_and_comments(name: str) -> None:
    text = schema_text(find_tables(name), "spark-ddl")
    assert spark_columns(text) == expected_spark_columns(table_of(name))


@pytest.mark.parametrize("product", ["world", "fraud", "finance"])
def test_spark_s_statements_make_every_table_of_a_product(product: str) -> None:
    tables = find_tables(product).tables
    statements = schema_text(find_tables(product), "spark-ddl").split("\n\n")
    for statement, table in zip(statements, tables, strict=True):
        head, _, body = statement.partition(" (\n")
        columns, _, tail = body.rpartition("\n) USING PARQUET COMMENT ")
        assert head == f"CREATE TABLE `{table.name}`"
        assert tail == f"'{table.description}';".replace("file's", "file\\'s")
        lines = "\n".join(line.removeprefix("    ") for line in columns.split("\n"))
        assert spark_columns(lines) == expected_spark_columns(table)


def test_quotes_and_backslashes_of_a_comment_are_kept() -> None:
    world = find_tables("merchants")
    column = replace(world.tables[0].columns[0], description="the \\ of the 'source'")
    product = replace(world, tables=(replace(world.tables[0], columns=(column,)),))
    ((_, _, _, comment),) = spark_columns(schema_text(product, "spark-ddl"))
    assert comment == column.description
    table = replace(world.tables[0], columns=(column,), primary_key=("merchant_id",))
    with duckdb.connect() as database:
        database.execute(schema_text(replace(world, tables=(table,)), "duckdb"))
        found = database.execute("SELECT comment FROM duckdb_columns() WHERE NOT internal")
        assert found.fetchall() == [(column.description,)]
