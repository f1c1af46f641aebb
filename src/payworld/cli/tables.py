"""Tables for people: as wide as the terminal, as wide as needed where the output is piped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from textwrap import wrap

import typer

from payworld.cli.output import is_terminal, print_text

__all__ = ["plain", "print_table", "shown_width", "table_widths"]

GAP = "  "
# For output that goes into a file or another program: no line is cut.
UNBOUND = 100_000
# A column whose text may break stays at least so wide.
LEAST = 16


def shown_width() -> int:
    """Return how many characters a line may have: COLUMNS, or the terminal's, or no bound."""
    if is_terminal() or os.environ.get("COLUMNS", "").isdecimal():
        return max(shutil.get_terminal_size().columns, 20)
    return UNBOUND


def plain(value: object) -> str:
    r"""Return a value as text that cannot steer a terminal.

    >>> plain("a\x1b[2Jb") == "a\ufffd[2Jb"
    True
    """
    text = str(value)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def _cells(text: str) -> int:
    """Return how wide a text is on a terminal."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def table_widths(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """Return the width of each column.

    >>> table_widths(["a", "b"], [["1", "three"], ["22", ""]])
    [2, 5]
    """
    return [max(map(_cells, column)) for column in zip(headers, *rows, strict=True)]


def _bold(text: str) -> str:
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    # Where stdout is no terminal, print_text takes the style out again.
    return typer.style(text, bold=True) if wanted else text


def _lines(row: Sequence[str], widths: Sequence[int], right: Collection[int]) -> Iterator[str]:
    """Yield the lines of a row; a text that is wider than its column breaks."""
    broken = [
        [text] if _cells(text) <= width else wrap(text, width)
        for text, width in zip(row, widths, strict=True)
    ]
    for number in range(max(map(len, broken))):
        parts = []
        for at, (lines, width) in enumerate(zip(broken, widths, strict=True)):
            text = lines[number] if number < len(lines) else ""
            space = " " * (width - _cells(text))
            parts.append(space + text if at in right else text + space)
        yield GAP.join(parts).rstrip()


def print_table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Collection[str] = (),
    wrapped: str | None = None,
) -> None:
    """Print a table on stdout; columns in `right` are figures, the one in `wrapped` may break."""
    widths = table_widths(headers, rows)
    if wrapped is not None:
        at = headers.index(wrapped)
        others = sum(widths) - widths[at] + len(GAP) * (len(widths) - 1)
        widths[at] = min(widths[at], max(shown_width() - others, LEAST))
    figures = {headers.index(name) for name in right}
    lines = [_bold(line) for line in _lines(headers, widths, figures)]
    lines += [line for row in rows for line in _lines(row, widths, figures)]
    print_text("\n".join(lines))
