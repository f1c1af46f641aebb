"""Texts gathered and concatenated without a copy are the texts that Polars itself would give."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payworld.synthesis.texts import TextTable, concatenated, text_buffers

LONG = st.text(min_size=13, max_size=40)
ANY = st.text(max_size=40)


@given(st.lists(st.tuples(ANY, ANY, ANY), max_size=50))
def test_rows_are_concatenated_in_order(rows: list[tuple[str, str, str]]) -> None:
    columns = [pl.Series([row[i] for row in rows], dtype=pl.String) for i in range(3)]
    parts = concatenated(columns, end="\n")
    assert b"".join(parts).decode() == "".join(f"{a}{b}{c}\n" for a, b, c in rows)


@given(st.lists(LONG, min_size=1, max_size=50), st.data())
def test_a_column_that_was_sliced_or_gathered_gives_its_own_texts(
    texts: list[str], data: st.DataObject
) -> None:
    column = pl.Series(texts)
    first = data.draw(st.integers(0, len(texts) - 1))
    for some in (column, column[first:], column[::-1], column.gather([first, first])):
        assert b"".join(text_buffers(some)).decode() == "".join(some.to_list())


def test_many_rows_need_no_copy() -> None:
    """Else the quick way would never be taken, and nobody would see it."""
    columns = [pl.Series([f"a long enough text {row}" for row in range(20_000)])] * 2
    whole = b"".join(parts := concatenated(columns, end="\n"))
    assert len(parts) > 1
    assert whole.count(b"\n") == 20_000


def test_padding_in_front_of_a_text_is_left_out() -> None:
    rows = np.array([b"..thirteen bytes", b"....twelve and 1"])
    table = TextTable.of_rows(rows, np.array([2, 3]))
    assert table.take(np.array([1, 0, 1])).to_list() == [
        ".twelve and 1", "thirteen bytes", ".twelve and 1"
    ]  # fmt: skip


@pytest.mark.parametrize("size", [1, 12, 13, 60])
def test_a_table_behind_another_keeps_its_texts(size: int) -> None:
    first = TextTable.of(pl.Series(["x" * size, "the first table's own text"]))
    both = first.followed_by(TextTable.of(pl.Series(["y" * size, "the second table's own text"])))
    assert both.take(np.array([3, 0, 2, 1])).to_list() == [
        "the second table's own text", "x" * size, "y" * size, "the first table's own text"
    ]  # fmt: skip
