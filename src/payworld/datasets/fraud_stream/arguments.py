"""What programs give: checked, and told in one clear error where it is of no use."""

from __future__ import annotations

from datetime import date, datetime
from numbers import Integral
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from payworld.errors import UsageError
from payworld.randomness import MAX_SEED

__all__ = ["check_count", "check_seed", "frame_of", "path_of", "plain_date"]

_MOST_SAMPLES = 1_000_000_000
# How to make one of what is nearly one.
_MADE_OF = {
    "LazyFrame": ": call collect() on it",
    "RecordBatch": ": pyarrow.Table.from_batches([batch])",
    "DataFrame": ": pyarrow.Table.from_pandas(frame)",
}


def path_of(given: Any, name: str) -> Path:
    """Return what was given for a path as one; UsageError if it is none."""
    if not isinstance(given, str | Path) or not str(given):
        raise UsageError(f"{name} = {given!r}: expected a path, as a text or pathlib.Path")
    return Path(given)


def plain_date(given: Any) -> date:
    """Return what was given for the run date; UsageError if it is no date alone."""
    if not isinstance(given, date) or isinstance(given, datetime):
        raise UsageError(f"run_date = {given!r}: expected a datetime.date")
    return given


def check_count(n: int) -> None:
    """Raise UsageError unless n is a number of samples."""
    if not _is_whole(n, _MOST_SAMPLES):
        raise UsageError(f"n = {n!r}: expected a whole number, 0 to {_MOST_SAMPLES:,}")


def check_seed(seed: int) -> None:
    """Raise UsageError unless it is a seed."""
    if not _is_whole(seed, MAX_SEED):
        raise UsageError(f"seed = {seed!r}: expected a whole number, 0 to {MAX_SEED}")


def _is_whole(value: Any, most: int) -> bool:
    """Return whether a value is a whole number, 0 to most."""
    if isinstance(value, bool):
        return False
    return isinstance(value, Integral) and 0 <= int(value) <= most


def frame_of(given: pl.DataFrame | pa.Table) -> pl.DataFrame:
    """Return the same rows as a Polars frame; UsageError if it is no frame."""
    if isinstance(given, pl.DataFrame):
        return given
    if not isinstance(given, pa.Table):
        hint = _MADE_OF.get(type(given).__name__, "")
        raise UsageError(
            f"got a {type(given).__name__}; expected a Polars frame or Arrow table{hint}"
        )
    return pl.DataFrame(pl.from_arrow(given))
