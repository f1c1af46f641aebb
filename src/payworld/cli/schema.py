"""gen schema: the columns of a table, for people and in the languages of engines."""

from __future__ import annotations

from textwrap import wrap

from payworld.cli.output import guarded, print_text
from payworld.errors import UsageError
from payworld.schema import Column, Product, Table

__all__ = ["show_schema"]


def show_schema(name: str | None, form: str, debug: bool) -> None:
    """Print a table's columns, or those of all tables of a product (by default the world)."""
    with guarded(debug):
        from payworld.reports.tables import find_tables
        from payworld.storage.schemas import FORMATS, schema_text

        if form != "table" and form not in FORMATS:
            raise UsageError(f"--as = {form!r}: expected one of table, {', '.join(FORMATS)}")
        product = find_tables("world" if name is None else name)
        if form == "table":
            _print_tables(product)
        else:
            print_text(schema_text(product, form))


def _type_text(column: Column) -> str:
    match column.type:
        case "decimal":
            return f"decimal({column.precision}, {column.scale})"
        case "integer":
            return f"int{column.bits}"
    return column.type


def _key_text(table: Table, column: Column) -> str:
    if column.name in table.primary_key:
        return "primary"
    return "foreign" if column.name in table.foreign_keys else ""


def _meaning(table: Table, column: Column) -> str:
    words = column.description.rstrip(".")
    if column.unit:
        words += f" ({column.unit})"
    if column.name in table.foreign_keys:
        words += f" -> {table.foreign_keys[column.name]}"
    return f"{words}: {', '.join(column.values)}" if column.values else words


def _print_tables(product: Product) -> None:
    from payworld.cli.tables import print_table, shown_width

    for number, table in enumerate(product.tables):
        if number:
            print_text()
        title = f"{product.name}.{table.name}: {table.description}"
        print_text("\n".join(wrap(title, shown_width())))
        print_text()
        print_table(
            ["column", "type", "null", "key", "meaning"],
            [
                [
                    column.name,
                    _type_text(column),
                    "yes" if column.nullable else "no",
                    _key_text(table, column),
                    _meaning(table, column),
                ]
                for column in table.columns
            ],
            wrapped="meaning",
        )
