"""gen: parse, call, print. Heavy imports wait inside the commands, so that help is instant."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from payworld.cli.finance import app as finance_app
from payworld.cli.fraud import app as fraud_app
from payworld.cli.looking import add_looking_commands
from payworld.cli.options import (
    ConfigFile,
    Debug,
    DryRun,
    Json,
    OutputDir,
    Publish,
    Quiet,
    StateDir,
    whole_number,
)

__all__ = ["app", "main"]

EPILOG = (
    "Exit codes: 0 done, 1 failed, 2 usage, 3 state missing or damaged, 75 locked, "
    "130 interrupted, 143 terminated."
)

app = typer.Typer(
    name="gen",
    help="A payments world that lives on disk and writes each day's raw files.",
    epilog=EPILOG,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from payworld.version import __version__

        typer.echo(f"payworld {__version__}")
        raise typer.Exit


def _from_environment(context: typer.Context, option: str) -> bool:
    source = context.get_parameter_source(option)
    return source is not None and source.name == "ENVIRONMENT"


def _is_typed(context: typer.Context, option: str) -> bool:
    source = context.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"


@app.callback(invoke_without_command=True)
def run(
    context: typer.Context,
    initial: Annotated[
        bool, typer.Option("--initial", help="Begin a world: --start-date to --end-date.")
    ] = False,
    incremental: Annotated[
        bool,
        typer.Option(
            "--incremental", help="Go on with the world: every missing day, to yesterday."
        ),
    ] = False,
    start_date: Annotated[
        str | None,
        typer.Option(envvar="PAYWORLD_START_DATE", metavar="DATE", help="First day, YYYY-MM-DD."),
    ] = None,
    end_date: Annotated[
        str | None,
        typer.Option(
            envvar="PAYWORLD_END_DATE", metavar="DATE", help="Last day, YYYY-MM-DD [yesterday]."
        ),
    ] = None,
    date: Annotated[
        str | None,
        typer.Option(
            "--date",
            envvar="PAYWORLD_DATE",
            metavar="DATE",
            help="With --incremental: the last day.",
        ),
    ] = None,
    output_dir: OutputDir = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    seed: Annotated[
        int | None,
        typer.Option(
            envvar="PAYWORLD_SEED",
            parser=whole_number,
            metavar="INTEGER",
            help="Equal seeds make equal worlds [42].",
        ),
    ] = None,
    file_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            envvar="PAYWORLD_FORMAT",
            metavar="csv|parquet",
            help="csv or parquet [csv].",
        ),
    ] = None,
    compression: Annotated[
        str | None,
        typer.Option(
            envvar="PAYWORLD_COMPRESSION",
            metavar="none|gzip|zstd",
            help="Of CSV files: none, gzip, zstd [none].",
        ),
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(
            envvar="PAYWORLD_LAYOUT",
            metavar="flat|hive",
            help="flat, or hive: year=2024/month=01 [flat].",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            envvar="PAYWORLD_WORKERS",
            parser=whole_number,
            metavar="INTEGER",
            help="Processes that render [all cores].",
        ),
    ] = None,
    publish: Publish = None,
    force: Annotated[
        bool, typer.Option("-f", "--force", envvar="PAYWORLD_FORCE", help="Ask no question.")
    ] = False,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            envvar="PAYWORLD_REPLACE",
            help="With --initial: move an existing world aside first.",
        ),
    ] = False,
    accept_config_changes: Annotated[
        bool,
        typer.Option(
            "--accept-config-changes",
            envvar="PAYWORLD_ACCEPT_CONFIG_CHANGES",
            help="Let another configuration hold from now on.",
        ),
    ] = False,
    dry_run: DryRun = False,
    json: Annotated[
        bool,
        typer.Option(
            "--json", envvar="PAYWORLD_JSON", help="Print a summary of the run as JSON on stdout."
        ),
    ] = False,
    quiet: Quiet = False,
    debug: Debug = False,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Begin a payments world or go on with it; or, with a command, look at it."""
    if context.invoked_subcommand is not None:
        if initial or incremental:
            raise typer.BadParameter(
                f"--initial and --incremental go without a command, not with "
                f"{context.invoked_subcommand!r}"
            )
        return
    if not (initial or incremental):
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)
    from payworld.cli.tuning import tune_process

    tune_process()
    from payworld.cli.generate import Arguments, generate

    # What is typed goes before what stands in the environment, also where the two exclude
    # each other.
    if _from_environment(context, "date") and (
        initial or _is_typed(context, "start_date") or _is_typed(context, "end_date")
    ):
        date = None
    if _is_typed(context, "date"):
        start_date = None if _from_environment(context, "start_date") else start_date
        end_date = None if _from_environment(context, "end_date") else end_date

    generate(
        Arguments(
            initial=initial,
            incremental=incremental,
            start_date=start_date,
            end_date=end_date,
            date=date,
            output_dir=output_dir,
            state_dir=state_dir,
            config=config,
            seed=seed,
            file_format=file_format,
            compression=compression,
            layout=layout,
            workers=workers,
            publish=publish,
            force=force,
            replace=replace,
            accept_config_changes=accept_config_changes,
            dry_run=dry_run,
            json=json,
            quiet=quiet,
            debug=debug,
        )
    )


@app.command()
def status(
    state_dir: StateDir = None,
    output_dir: OutputDir = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Tell what world is here: dates, merchants, cards, payments, files."""
    from payworld.cli.status import show_status

    show_status(state_dir, output_dir, json, debug)


@app.command("config")
def config_command(config: ConfigFile = None, debug: Debug = False) -> None:
    """Print the whole configuration as commented YAML: every knob, unit, default, range."""
    from payworld.cli.settings import show_config

    show_config(config, debug)


@app.command()
def verify(
    state_dir: StateDir = None,
    output_dir: OutputDir = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Check every file against the manifest, the state and the laws; exit code 1 on a breach."""
    from payworld.cli.tuning import tune_process

    tune_process()
    from payworld.cli.repair import verify_files

    verify_files(state_dir, output_dir, json, debug)


@app.command()
def recover(
    state_dir: StateDir = None,
    output_dir: OutputDir = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Go back to the last state that verifies, where merchants.json is damaged or gone."""
    from payworld.cli.repair import recover_world

    recover_world(state_dir, output_dir, json, debug)


@app.command()
def regenerate(
    start_date: Annotated[str, typer.Option(metavar="DATE", help="First day, YYYY-MM-DD.")],
    end_date: Annotated[str, typer.Option(metavar="DATE", help="Last day, YYYY-MM-DD.")],
    state_dir: StateDir = None,
    output_dir: OutputDir = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Make lost or changed files of the past again, byte for byte."""
    from payworld.cli.tuning import tune_process

    tune_process()
    from payworld.cli.repair import regenerate_files

    regenerate_files(state_dir, output_dir, start_date, end_date, json, debug)


@app.command("publish")
def publish_command(
    destination: Annotated[
        str | None,
        typer.Argument(envvar="PAYWORLD_PUBLISH", metavar="s3://BUCKET/PREFIX", help="Where to."),
    ] = None,
    output_dir: OutputDir = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    dry_run: DryRun = False,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Upload to object storage what is not there yet, the manifest last."""
    from payworld.cli.publish import Arguments, publish_files

    publish_files(
        Arguments(destination, output_dir, state_dir, config, dry_run, json, quiet, debug)
    )


add_looking_commands(app)
app.add_typer(fraud_app, name="fraud")
app.add_typer(finance_app, name="finance")


def main() -> None:
    """Run the command line; the console scripts' entry."""
    try:
        app()
    except OSError as error:
        # Of --help and --version: commands have a guard of their own.
        from payworld.cli.output import say, unwritable

        say(f"error: {unwritable(error)}")
        sys.exit(1)
