"""Options that several commands share, each with its environment variable."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "ConfigFile",
    "Debug",
    "DryRun",
    "Json",
    "OutputDir",
    "Publish",
    "Quiet",
    "StateDir",
    "folder",
    "number",
    "whole_number",
]


def whole_number(text: str) -> int:
    """Return the number that an option's text is; BadParameter names the text."""
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r}; expected a whole number") from None


def number(text: str) -> float:
    """Return the number that an option's text is; BadParameter names the text."""
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r}; expected a number") from None


def folder(text: str) -> Path:
    """Return the path that an option's text is; BadParameter for an empty text."""
    if not text:
        raise typer.BadParameter("the name is empty; expected a folder")
    return Path(text)


StateDir = Annotated[
    Path | None,
    typer.Option(
        "--state-dir",
        envvar="PAYWORLD_STATE_DIR",
        parser=folder,
        metavar="FOLDER",
        help="Folder for merchants.json [state].",
    ),
]
OutputDir = Annotated[
    Path | None,
    typer.Option(
        "--output-dir",
        envvar="PAYWORLD_OUTPUT_DIR",
        parser=folder,
        metavar="FOLDER",
        help="Folder for the data files [raw_data].",
    ),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        envvar="PAYWORLD_CONFIG",
        metavar="FILE",
        help="YAML file with the keys to change.",
    ),
]
Debug = Annotated[bool, typer.Option("--debug", envvar="PAYWORLD_DEBUG", help="Show tracebacks.")]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", envvar="PAYWORLD_DRY_RUN", help="Say what would be made; write nothing."
    ),
]
Quiet = Annotated[
    bool, typer.Option("-q", "--quiet", envvar="PAYWORLD_QUIET", help="Print errors alone.")
]
Publish = Annotated[
    str | None,
    typer.Option(
        envvar="PAYWORLD_PUBLISH",
        metavar="s3://BUCKET/PREFIX",
        help="Upload the files there, after the commit.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
