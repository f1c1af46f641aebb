"""gen finance: users, accounts and transactions to a file and into a database."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

from payworld.cli.options import Debug

if TYPE_CHECKING:
    from payworld.datasets.personal_finance import FinanceConfig

__all__ = ["app"]

FORMATS = ("json", "jsonl", "csv", "parquet")
DEFAULT_OUTPUT = {
    "json": Path("data/users.json"),
    "jsonl": Path("data/users.jsonl"),
    "csv": Path("data/finance_csv"),
    "parquet": Path("data/finance_parquet"),
}
DEFAULT_DATABASE = "sqlite+aiosqlite:///data/payworld.db"
TITLE = "gen finance: pass it with --config; a file may hold only the keys that it changes"
LOG_SECONDS = 5.0

app = typer.Typer(
    name="finance",
    help="Users with accounts and a believable history, as files and in a database.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

DatabaseUrl = Annotated[
    str,
    typer.Option(
        envvar="PAYWORLD_DATABASE_URL",
        metavar="URL",
        help="SQLite or PostgreSQL; a password is better kept in the environment.",
    ),
]
IfExists = Annotated[
    str,
    typer.Option(
        metavar="fail|replace|append",
        help="Where the database holds data already: fail, replace or append.",
    ),
]
Quiet = Annotated[
    bool, typer.Option("-q", "--quiet", envvar="PAYWORLD_QUIET", help="Print errors alone.")
]


@app.callback(invoke_without_command=True)
def generate(
    context: typer.Context,
    num_users: Annotated[
        int | None, typer.Option(metavar="INTEGER", help="Users, 1 to 10,000,000 [50].")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="PATH",
            help="File; for csv and parquet a folder [data/users.json].",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            envvar="PAYWORLD_SEED", metavar="INTEGER", help="Equal seeds make equal data [42]."
        ),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="The day before which all happened, YYYY-MM-DD [today]."),
    ] = None,
    file_format: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="json|jsonl|csv|parquet", help="json, jsonl, csv or parquet [json]."
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            envvar="PAYWORLD_FINANCE_CONFIG",
            metavar="FILE",
            help="YAML file with the keys to change.",
        ),
    ] = None,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print every knob as commented YAML, and stop.")
    ] = False,
    load: Annotated[bool, typer.Option("--load", help="Load the file into the database.")] = False,
    database_url: DatabaseUrl = DEFAULT_DATABASE,
    if_exists: IfExists = "fail",
    force: Annotated[
        bool, typer.Option("-f", "--force", help="Replace an output that holds other data.")
    ] = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Generate users with accounts and a believable history."""
    with _guarded(debug):
        _check_places(context, load)
        if context.invoked_subcommand is not None:
            return
        settings = _read_config(config, {"seed": seed, "num_users": num_users})
        if print_config:
            from payworld.cli.output import print_text
            from payworld.config import to_commented_yaml

            print_text(to_commented_yaml(settings, TITLE), nl=False)
            return
        (path, kind), date = _target(output, file_format), _as_of(as_of)
        if load:
            from payworld.storage.database.load import check_database

            check_database(database_url, if_exists)
        _write(path, kind, settings, date, force, quiet)
        if load:
            # A folder may hold both kinds of tables.
            is_folder = kind in ("csv", "parquet")
            _load(path / f"users.{kind}" if is_folder else path, database_url, if_exists, quiet)


@app.command("load")
def load_command(
    file: Annotated[Path, typer.Argument(help="A file or folder that gen finance wrote.")],
    database_url: DatabaseUrl = DEFAULT_DATABASE,
    if_exists: IfExists = "fail",
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Load an existing file into a database: all of it, or nothing."""
    with _guarded(debug):
        _load(file, database_url, if_exists, quiet)


def _check_places(context: typer.Context, load: bool) -> None:
    """Refuse options that would have no effect where they stand."""
    from payworld.errors import UsageError

    given = [
        f"--{'format' if name == 'file_format' else name.replace('_', '-')}"
        for name in context.params
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    ]
    command = context.invoked_subcommand
    if command is not None and given:
        raise UsageError(
            f"{given[0]} stands before {command!r}, where it has no effect: write the options "
            f"after it, as in gen finance {command} FILE --if-exists replace"
        )
    idle = [name for name in ("--database-url", "--if-exists") if name in given]
    if idle and not load:
        raise UsageError(f"{idle[0]} has no effect without --load: add --load, or leave it out")


def _guarded(debug: bool) -> AbstractContextManager[None]:
    from payworld.cli.output import guarded

    return guarded(debug, stopped="nothing was half-written; a database has all of a load, or none")


def _read_config(path: Path | None, options: dict[str, Any]) -> FinanceConfig:
    """Return the configuration: options (if not None) over file over defaults."""
    from payworld.config import parse_document, validate
    from payworld.datasets.personal_finance import FinanceConfig
    from payworld.storage.text_files import read_text

    given = {} if path is None else parse_document(read_text(path, "--config"), str(path))
    printed_by = "gen finance --print-config"
    validate(FinanceConfig, given, str(path), printed_by=printed_by)
    given |= {key: value for key, value in options.items() if value is not None}
    return validate(FinanceConfig, given, "the options", printed_by=printed_by)


def _as_of(text: str | None) -> str:
    from payworld.cli.clock import today
    from payworld.timeline import iso, parse_date

    return today().isoformat() if text is None else iso(parse_date(text, "--as-of"))


def _target(output: Path | None, file_format: str | None) -> tuple[Path, str]:
    """Return where to write and in which format; the output's ending may name it."""
    from payworld.errors import UsageError

    ending = "" if output is None else output.suffix.lower().removeprefix(".")
    if file_format is None:
        file_format = ending if ending in FORMATS else "json"
    if file_format not in FORMATS:
        raise UsageError(f"--format = {file_format!r}: expected one of {', '.join(FORMATS)}")
    if ending in FORMATS and ending != file_format:
        raise UsageError(
            f"--output = {str(output)!r} ends in .{ending}, but --format is {file_format}: "
            "change one of them"
        )
    if output is not None and not output.name and file_format in ("json", "jsonl"):
        raise UsageError(f"--output = {str(output)!r}: expected the name of a file")
    if ending in ("gz", "zst", "zip", "bz2", "xz"):
        raise UsageError(
            f"--output = {str(output)!r} ends in .{ending}, but gen finance does not compress: "
            "leave the ending out"
        )
    if output == Path("-"):
        raise UsageError("--output = '-': gen finance writes files; name one, such as data/u.json")
    return output or DEFAULT_OUTPUT[file_format], file_format


def _write(
    path: Path, file_format: str, config: FinanceConfig, as_of: str, force: bool, quiet: bool
) -> None:
    from payworld.datasets.personal_finance import write_dataset

    with _progress(config.num_users, "users", quiet) as update:
        counts, is_new = write_dataset(
            path,
            config.num_users,
            as_of=as_of,
            file_format=file_format,
            config=config,
            replace=force,
            progress=update,
        )
    if not quiet:
        from payworld.cli.output import print_text

        word = "Wrote" if is_new else "Already there, with the same bytes:"
        print_text(f"{word} {path}: {_listed(counts)}")


def _load(path: Path, url: str, if_exists: str, quiet: bool) -> None:
    from contextlib import ExitStack

    from payworld.storage.database.load import load_file

    with ExitStack() as stack:

        def on_valid(counts: dict[str, int]) -> Callable[[int], None]:
            return stack.enter_context(_progress(sum(counts.values()), "rows loaded", quiet))

        counts = load_file(path, url, if_exists, on_valid)
    if not quiet:
        from payworld.cli.output import print_text

        print_text(f"Loaded {_listed(counts)}")


def _listed(counts: dict[str, int]) -> str:
    """Return counts as in: 50 users, 104 accounts, 6,092 transactions."""
    return ", ".join(f"{n:,} {table[:-1] if n == 1 else table}" for table, n in counts.items())


@contextmanager
def _progress(total: int, unit: str, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Yield a function to call with each part done: a bar on a terminal, lines elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield (lambda _done: None) if quiet else _log_lines(total, unit)
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(unit, total=total)
        yield lambda done: bar.update(task, advance=done)


def _log_lines(total: int, unit: str) -> Callable[[int], None]:
    from payworld.cli.output import say

    told, so_far = monotonic(), 0

    def update(done: int) -> None:
        nonlocal told, so_far
        so_far += done
        if monotonic() - told >= LOG_SECONDS:
            told = monotonic()
            say(f"{so_far:,} of {total:,} {unit}")

    return update
