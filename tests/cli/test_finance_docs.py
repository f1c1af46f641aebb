"""Every command and program of docs/finance.md runs, and prints what is shown there."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from payworld.datasets.personal_finance import FinanceConfig

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/finance.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", TEXT, re.DOTALL)


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def as_here(command: str) -> list[str]:
    words = shlex.split(command)
    if words[:2] == ["gen", "finance"]:
        return [sys.executable, "-m", "payworld.finance", *words[2:]]
    assert words[0] == "python"
    return [sys.executable, *words[1:]]


@pytest.mark.slow
def test_every_command_and_program_runs_and_prints_what_is_shown(tmp_path: Path) -> None:
    commands = 0
    for block in blocks("console"):
        for part in block.removeprefix("$ ").split("\n$ "):
            command, _, shown = part.partition("\n")
            printed = run(as_here(command), tmp_path)
            assert shown.strip() in printed, command
            commands += 1
    assert commands >= 8
    programs = blocks("python")
    assert run([sys.executable, "-c", programs[0] + "print(len(history))"], tmp_path) != "0\n"
    assert run([sys.executable, "-c", programs[1]], tmp_path) == "50\n"


def test_the_figures_are_those_of_the_configuration() -> None:
    config = FinanceConfig()
    low, high = config.users.created_days_ago
    assert f"{low} to {high} days before as-of" in TEXT
    assert "{} to {} transactions an account".format(*config.transactions.per_account) in TEXT
    assert f"the {config.transactions.history_days} days before as-of" in TEXT
    for name, weight in config.category_weights:
        words = name.lower().replace("_", " ")
        assert f"{words} {weight:.0%}" in TEXT
    for name, share in config.accounts.subtype_shares:
        assert re.search(rf"`{name}` \({share:.0%}", TEXT)
