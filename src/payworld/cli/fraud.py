"""gen fraud: the options of the fraud stream. What is heavy waits in fraud_command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from payworld.cli.options import number, whole_number

__all__ = ["app", "main"]

EPILOG = (
    "Exit codes: 0 done, 1 configuration or failure, 2 usage or an AWS error, 75 another run is "
    "writing the same file."
)

app = typer.Typer(
    name="fraud",
    help="A labelled stream of card payments, in Parquet: for fraud models and feature stores.",
    epilog=EPILOG,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

_Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]


def _whole(what: str) -> Any:
    """Return an option for a whole number, which may have underscores."""
    return typer.Option(parser=whole_number, metavar="INTEGER", help=what)


_LogLevel = Annotated[
    str,
    typer.Option(
        "--log-level", metavar="LEVEL", help="debug, info, warning or error: what to say on stderr."
    ),
]


@app.callback(invoke_without_command=True)
def run(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="YAML file with the keys to change."),
    ] = None,
    rows: Annotated[int | None, _whole("Payments [1_000_000].")] = None,
    out: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Output folder [outputs].")
    ] = None,
    seed: Annotated[int | None, _whole("Equal seeds give equal files [42].")] = None,
    fraud_rate: Annotated[
        float | None,
        typer.Option(
            parser=number,
            metavar="SHARE",
            help="Share of fraud, 0 to 1; the count is exact [0.003].",
        ),
    ] = None,
    start_date: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="First day, YYYY-MM-DD [30 days before the run date]."),
    ] = None,
    end_date: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="Last day, YYYY-MM-DD [the day before the run date]."),
    ] = None,
    num_workers: Annotated[int | None, _whole("Processes [all cores].")] = None,
    batch_size: Annotated[
        int | None,
        _whole(
            "Rows that each of several workers makes in one go: 1 to 8 row groups of 98,304 rows "
            "[250_000]."
        ),
    ] = None,
    chunk_size: Annotated[
        int | None,
        _whole(
            "Rows of a frame of payworld.fraud.generate(); a file is made of whole row groups of "
            "98,304 rows, whatever it says [100_000]."
        ),
    ] = None,
    realism: Annotated[
        str | None,
        typer.Option(
            metavar="v1|v2", help="v1: catalogs in memory; v2: written to files first [v1]."
        ),
    ] = None,
    weekday_weights: Annotated[
        str | None, typer.Option(metavar="JSON", help='JSON: {"0": 1, ...}, 0 = Monday to 6.')
    ] = None,
    time_components: Annotated[
        str | None,
        typer.Option(
            metavar="JSON", help='JSON: [{"mean_hour": 9, "std_hours": 2, "weight": 1}, ...].'
        ),
    ] = None,
    schema: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="YAML schema that reorders, renames or drops columns."),
    ] = None,
    run_date: Annotated[
        str | None, typer.Option(metavar="DATE", help="YYYY-MM-DD, a part of file names [today].")
    ] = None,
    s3: Annotated[bool | None, typer.Option("--s3/--no-s3", help="Upload to S3 [no].")] = None,
    file_format: Annotated[
        str, typer.Option("--format", metavar="parquet|csv", help="parquet or csv.")
    ] = "parquet",
    explain_labels: Annotated[
        bool, typer.Option("--explain-labels", help="Write each fraud's origin to a side file.")
    ] = False,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print the configuration as YAML.")
    ] = False,
    print_schema: Annotated[
        bool, typer.Option("--print-schema", help="Print the schema in force as YAML.")
    ] = False,
    log_level: _LogLevel = "info",
    debug: _Debug = False,
) -> None:
    """Write a labelled stream of card payments."""
    if context.invoked_subcommand is not None:
        return
    from payworld.cli.tuning import tune_process

    # Before NumPy and Arrow are loaded.
    tune_process()
    from payworld.cli.fraud_command import Arguments, run_fraud

    run_fraud(
        Arguments(
            config=config,
            options={
                "--rows": ("total_rows", rows),
                "--out": ("out_dir", out),
                "--seed": ("seed", seed),
                "--fraud-rate": ("fraud_rate", fraud_rate),
                "--num-workers": ("num_workers", num_workers),
                "--batch-size": ("batch_size", batch_size),
                "--chunk-size": ("chunk_size", chunk_size),
                "--realism": ("realism", realism),
                "--s3": ("s3_upload", s3),
                "--start-date": ("temporal.start_date", start_date),
                "--end-date": ("temporal.end_date", end_date),
            },
            json_options={
                "--weekday-weights": ("temporal.weekday_weights", weekday_weights),
                "--time-components": ("temporal.time_components", time_components),
            },
            schema=schema,
            run_date=run_date,
            file_format=file_format,
            explain_labels=explain_labels,
            print_config=print_config,
            print_schema=print_schema,
            log_level=log_level,
            debug=debug,
        )
    )


@app.command()
def upload(
    file: Annotated[Path, typer.Argument(help="A payments or catalog file that a run kept.")],
    log_level: _LogLevel = "info",
    debug: _Debug = False,
) -> None:
    """Upload a file that an earlier run wrote, and print its s3:// address."""
    from payworld.cli.fraud_command import upload_file

    upload_file(file, log_level, debug)


def main() -> None:
    """Run `gen fraud` by itself: the entry of `python -m payworld.fraud`."""
    app(prog_name="gen fraud")
