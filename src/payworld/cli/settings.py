"""From options, environment, file and defaults to one validated configuration."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

from payworld.cli.output import guarded, print_text
from payworld.config import (
    Config,
    RunSettings,
    WorldConfig,
    parse_document,
    to_commented_yaml,
    validate,
)
from payworld.storage.text_files import read_text
from payworld.world.state import World

__all__ = ["folder_options", "overlaid", "read_settings", "show_config"]

FOLDERS = ("state_dir", "output_dir")
TITLE = (
    "payworld configuration: pass it with --config; a file may hold only the keys that it changes"
)


def read_settings(path: Path | None, options: dict[str, Any]) -> tuple[Config, dict[str, Any]]:
    """Return the configuration and the keys that were given: options (if not None) over file."""
    given = {} if path is None else parse_document(read_text(path, "--config"), str(path))
    source = "the command line" if path is None else str(path)
    validate(Config, given, source)
    given = given | {key: value for key, value in options.items() if value is not None}
    home = os.environ.get("PAYWORLD_HOME")
    if home:
        # Set by generate_data.sh: where the default folders lie, from whatever folder it is run.
        places = {key: str(Path(home) / RunSettings.model_fields[key].default) for key in FOLDERS}
        given = places | given
    return validate(Config, given, "the options"), given


def folder_options(config: RunSettings, folders: tuple[str, ...] = FOLDERS) -> str:
    """Return the options that name folders which are not the usual ones, for a command to show.

    >>> folder_options(RunSettings(output_dir="my data"))
    " --output-dir 'my data'"
    """
    return "".join(
        f" --{name.replace('_', '-')} {shlex.quote(getattr(config, name))}"
        for name in folders
        if getattr(config, name) != RunSettings.model_fields[name].default
    )


def overlaid(world: World, given: dict[str, Any]) -> WorldConfig:
    """Return the world's configuration with the keys that were given."""
    keys = {key: value for key, value in given.items() if key in WorldConfig.model_fields}
    return validate(WorldConfig, keys, "the configuration", base=world.config)


def show_config(path: Path | None, debug: bool) -> None:
    """Print the configuration in force with a file (or none)."""
    with guarded(debug):
        config, _ = read_settings(path, {})
        print_text(to_commented_yaml(config, TITLE), nl=False)
