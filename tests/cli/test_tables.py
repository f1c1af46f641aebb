"""Tables in the terminal: widths, colours, wide characters."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from payworld.cli.tables import UNBOUND, plain, print_table, shown_width


def shown(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_columns_are_as_wide_as_their_widest_cell(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["name", "n"], [["a", "1"], ["longer", "1,000"]], right=["n"])
    assert shown(capsys) == ["name        n", "a           1", "longer  1,000"]


def test_wide_characters_take_two_cells(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["name", "n"], [["日本", "1"], ["abcd", "2"]])
    assert shown(capsys) == ["name  n", "日本  1", "abcd  2"]


def test_one_column_breaks_where_the_width_asks_for_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "24")
    print_table(["n", "text"], [["1", "some words that are too long"]], wrapped="text")
    assert shown(capsys) == ["n  text", "1  some words that are", "   too long"]


def test_without_a_terminal_no_line_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert shown_width() == UNBOUND
    for wrong in ("", "wide", "-3"):
        monkeypatch.setenv("COLUMNS", wrong)
        assert shown_width() == UNBOUND
    monkeypatch.setenv("COLUMNS", "3")
    assert shown_width() == 20


def test_text_cannot_steer_a_terminal() -> None:
    assert plain("a\x1b[2J\n\tb\u202e") == "a\ufffd[2J\ufffd\ufffdb\ufffd"
    assert plain("Café 日本") == "Café 日本"


def on_terminal(environment: dict[str, str], tmp_path: Path) -> bytes:
    """Return what a table looks like on a terminal."""
    code = 'from payworld.cli.tables import print_table; print_table(["a"], [["1"]])'
    master, slave = pty.openpty()
    kept = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "TERM"}}
    subprocess.run(
        [sys.executable, "-c", code], stdout=slave, check=True, cwd=tmp_path,
        env={"TERM": "xterm", **kept, **environment},
    )  # fmt: skip
    os.close(slave)
    text = os.read(master, 1_000)
    os.close(master)
    return text


def test_the_head_is_bold_on_a_terminal_unless_it_may_not(tmp_path: Path) -> None:
    assert on_terminal({}, tmp_path).startswith(b"\x1b[1ma\x1b[0m\r\n")
    for refused in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert on_terminal(refused, tmp_path) == b"a\r\n1\r\n"
