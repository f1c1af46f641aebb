"""The commands that look at what is there: gen schema, files, preview and history."""

from __future__ import annotations

from typing import Annotated

import typer

from payworld.cli.options import Debug, Json, OutputDir, StateDir

__all__ = ["add_looking_commands"]


def add_looking_commands(app: typer.Typer) -> None:
    """Add the commands to gen; what is heavy waits inside them."""
    for command in (schema, files, preview, history):
        app.command()(command)


def schema(
    table: Annotated[
        str | None,
        typer.Argument(
            help="merchants, transactions, payments, users, accounts, finance.transactions; or "
            "world, fraud, finance for all tables of one [world]."
        ),
    ] = None,
    form: Annotated[
        str,
        typer.Option(
            "--as",
            help="table, frictionless, json-schema, avro, spark-ddl, iceberg, duckdb, dbt-sources.",
        ),
    ] = "table",
    debug: Debug = False,
) -> None:
    """Print the columns of a table, for people or in the language of an engine."""
    from payworld.cli.schema import show_schema

    show_schema(table, form, debug)


def files(
    output_dir: OutputDir = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="DATE",
            help="Only files with a day after this one, YYYY-MM-DD: the last you have.",
        ),
    ] = None,
    table: Annotated[
        str | None, typer.Option(metavar="TABLE", help="Only merchants or transactions.")
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """List the published files, or those that are new; exit code 1 if one of them is lost."""
    from payworld.cli.files import show_files

    show_files(output_dir, since, table, json, debug)


def preview(
    table: Annotated[str, typer.Argument(help="transactions or merchants.")],
    rows: Annotated[
        int, typer.Option("-n", "--rows", metavar="INTEGER", help="How many, 1 to 10,000.")
    ] = 10,
    all_columns: Annotated[
        bool,
        typer.Option("--all-columns", help="Every column, if need be one below the other."),
    ] = False,
    output_dir: OutputDir = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Show the newest rows of a table; the newest comes last."""
    from payworld.cli.preview import show_preview

    show_preview(table, rows, all_columns, output_dir, json, debug)


def history(
    merchant: Annotated[str, typer.Argument(help="The merchant, as M000123.")],
    state_dir: StateDir = None,
    output_dir: OutputDir = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Tell a merchant's life: what changed and when, and its payments by month."""
    from payworld.cli.tuning import tune_process

    tune_process()
    from payworld.cli.history import show_history

    show_history(merchant, state_dir, output_dir, json, debug)
