"""What documents repeat of the code is what the code says."""

import doctest
import json
import re
from pathlib import Path

import pytest
import typer.main
from tools import make_docs
from tools.make_docs import (
    CONFIGURATION,
    DICTIONARY,
    ROOT,
    configuration_page,
    data_dictionary,
    fences,
    make_checkout,
    run_python,
    run_script,
)

from payworld.cli.app import app
from payworld.schema import TABLES

REFRESH = "run .venv/bin/python tools/make_docs.py"


def test_the_data_dictionary_is_up_to_date() -> None:
    assert DICTIONARY.read_text(encoding="utf-8") == data_dictionary(), REFRESH


def test_the_data_dictionary_has_every_column() -> None:
    page = DICTIONARY.read_text(encoding="utf-8")
    assert [
        column.name
        for table in TABLES.values()
        for column in table.columns
        if f"| `{column.name}` |" not in page
    ] == []


def test_the_configuration_page_holds_what_gen_config_prints(tmp_path: Path) -> None:
    page = CONFIGURATION.read_text(encoding="utf-8")
    assert page == configuration_page(page), REFRESH
    make_checkout(tmp_path)
    assert f"```yaml\n{run_script('gen config', tmp_path).stdout}```\n" in page


def test_the_examples_in_the_script_hold() -> None:
    assert doctest.testmod(make_docs).failed == 0


def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def options_of(command: str | None) -> dict[str, tuple[str, ...]]:
    """Return each option of gen, or of one of its commands, and its environment variable."""
    group = typer.main.get_command(app)
    found = group if command is None else getattr(group, "commands")[command]  # noqa: B009
    options = {}
    for parameter in found.params:
        variable = getattr(parameter, "envvar", None)
        names = [variable] if isinstance(variable, str) else list(variable or ())
        for name in parameter.opts:
            options[name] = tuple(names)
    return options


def test_the_readme_lists_the_options_of_a_run_and_their_variables() -> None:
    table = readme().partition("| option of a run |")[2].partition("\n\n")[0]
    rows = [row.split(" | ") for row in table.splitlines()[2:]]
    told: dict[str, tuple[str, ...]] = {}
    for row in rows:
        names, variables = re.findall(r"`(-[^`]+)`", row[0]), re.findall(r"`(\w+)`", row[1])
        for at, name in enumerate(names):
            # `-f`, `--force` share one; `--start-date`, `--end-date` have one each.
            own = variables[at : at + 1] if len(variables) == len(names) else variables
            told[name] = tuple(own)
    known = options_of(None)
    del known["--version"]
    assert told == known


def test_the_readme_lists_every_command() -> None:
    group = typer.main.get_command(app)
    commands = set(getattr(group, "commands"))  # noqa: B009
    # Those who are told of besides: products of their own.
    assert {name for name in commands if f"`gen {name}" not in readme()} == set()
    told = set(re.findall(r"^\| `gen ([a-z]+)", readme(), re.MULTILINE))
    assert told <= commands


@pytest.fixture
def small_world(tmp_path: Path) -> Path:
    make_checkout(tmp_path)
    ended = run_script(
        "echo 'initial_merchants: 5' > small.yaml\n"
        "gen --initial --start-date 2024-01-01 --end-date 2024-01-01 --config small.yaml -f -q",
        tmp_path,
    )
    assert ended.returncode == 0, ended.stdout
    return tmp_path


def state_page() -> str:
    return (ROOT / "docs" / "state_file.md").read_text(encoding="utf-8")


def test_the_state_s_page_lists_its_keys_in_order(small_world: Path) -> None:
    table = state_page().partition("## Key by key")[2].partition("\n\nDates")[0]
    told = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    state = json.loads((small_world / "state" / "merchants.json").read_bytes())
    assert told == list(state)


def test_the_checksum_snippet_tells_a_whole_state_from_an_altered_one(small_world: Path) -> None:
    snippet = next(f.text for f in fences(state_page()) if f.language == "python")
    path = small_world / "state" / "merchants.json"
    assert run_python(snippet, small_world).returncode == 0
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"seed": 42', b'"seed": 43', 1))
    assert run_python(snippet, small_world).returncode != 0
