"""Reads a table of its own file, CSV or Parquet, in batches of columns."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from payworld.errors import StorageError
from payworld.storage.database.records import BATCH_ROWS, COLUMNS, Batch, unknown
from payworld.storage.files import naming
from payworld.storage.finance_files import TIME_FORMAT

if TYPE_CHECKING:
    from pyarrow import RecordBatch
    from pyarrow.parquet import ParquetFile

__all__ = ["read_csv", "read_parquet"]

# float() takes more: white space, underscores, digits of other scripts, nan and inf.
_NUMBER = re.compile(r"-?[0-9]{1,20}(?:[.][0-9]{1,20})?(?:[eE][-+]?[0-9]{1,3})?")


def _check_header(header: Iterable[str], table: str, source: str) -> None:
    names = [column.name for column in COLUMNS[table]]
    given = list(header)
    for name in given:
        if name not in names or given.count(name) > 1:
            raise StorageError(f"{source}: column {unknown(name, names)}")
    for name in names:
        if name not in given:
            raise StorageError(f"{source}: column {name!r} is missing; found {', '.join(given)}")


def read_csv(path: Path, table: str) -> Iterator[Batch]:
    """Yield the batches of a table in CSV; StorageError names file and line."""
    source = str(path)
    with naming(path, "read"), path.open(encoding="utf-8-sig", newline="") as text:
        lines = csv.reader(text, strict=True)
        try:
            header = next(lines, [])
            _check_header(header, table, source)
            rows: list[list[str]] = []
            numbers: list[int] = []
            for row in lines:
                if len(row) != len(header):
                    raise StorageError(
                        f"{source}: line {lines.line_num}: {len(row)} fields; expected "
                        f"{len(header)}"
                    )
                rows.append(row)
                numbers.append(lines.line_num)
                if len(rows) == BATCH_ROWS:
                    yield _from_texts(rows, header, table, numbers)
                    rows, numbers = [], []
            if rows:
                yield _from_texts(rows, header, table, numbers)
        except UnicodeDecodeError as error:
            raise StorageError(f"{source}: not UTF-8; save the file as UTF-8") from error
        except csv.Error as error:
            raise StorageError(f"{source}: line {lines.line_num}: not CSV: {error}") from error


def _from_texts(rows: list[list[str]], header: list[str], table: str, numbers: list[int]) -> Batch:
    columns: Mapping[str, Sequence[str]] = dict(zip(header, zip(*rows, strict=True), strict=True))
    typed = {
        column.name: [
            _TEXT_TYPES.get(column.name, str)(text) if text else None
            for text in columns[column.name]
        ]
        for column in COLUMNS[table]
    }
    return Batch(table, typed, numbers, "line {} (" + table + ")")


def _whole(text: str) -> int | str:
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) < 20 else text


def _number(text: str) -> float | str:
    return float(text) if _NUMBER.fullmatch(text) else text


def _flag(text: str) -> bool | str:
    return {"true": True, "false": False}.get(text, text)


# A text that does not convert stays one, and fails its column's check.
_TEXT_TYPES: Mapping[str, Callable[[str], Any]] = {
    **dict.fromkeys(("balance", "limit", "min_payment", "amount"), _whole),
    **dict.fromkeys(("consent", "is_overdue", "pending"), _flag),
    "apr": _number,
}


def _with_texts(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame with its times as ISO 8601 texts; those with a zone in UTC."""
    texts = []
    for name, kind in frame.schema.items():
        if isinstance(kind, pl.Datetime):
            time = pl.col(name).dt.cast_time_unit("us")
            if kind.time_zone:
                time = time.dt.convert_time_zone("UTC")
            # A fraction of a second only where there is one.
            texts.append(time.dt.to_string(f"{TIME_FORMAT}%.f"))
    return frame.with_columns(texts)


def _arrow_batches(file: ParquetFile, names: list[str]) -> Iterator[RecordBatch]:
    # One row group at a time: a walk over all of them keeps what it has read.
    for group in range(file.num_row_groups):
        yield from file.iter_batches(BATCH_ROWS, [group], columns=names)


def read_parquet(path: Path, table: str) -> Iterator[Batch]:
    """Yield the batches of a table in Parquet; StorageError names the file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [column.name for column in COLUMNS[table]]
    first = 0
    try:
        with naming(path, "read"), pq.ParquetFile(path) as file:
            _check_header(file.schema_arrow.names, table, str(path))
            for arrow in _arrow_batches(file, names):
                frame = _with_texts(pl.DataFrame(arrow))
                numbers = range(first, first + len(frame))
                label = f"row {{}} ({table})"
                yield Batch(table, frame.to_dict(as_series=False), numbers, label)
                first += len(frame)
    except (pa.ArrowException, pl.exceptions.PolarsError) as error:
        raise StorageError(f"{path}: not readable as Parquet: {error}") from error
