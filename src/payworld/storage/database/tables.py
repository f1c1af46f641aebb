"""Reads a table of its own file, CSV or Parquet, in batches of columns."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from payworld.errors import StorageError
from payworld.storage.database.frames import FLAGS, WHOLE_NUMBERS, is_date
from payworld.storage.database.records import BATCH_ROWS, COLUMNS, Batch, column_names, unknown
from payworld.storage.files import naming
from payworld.storage.finance_files import TIME_FORMAT

if TYPE_CHECKING:
    from pyarrow import RecordBatch
    from pyarrow.parquet import ParquetFile

__all__ = ["arrow_batches", "read_csv", "read_parquet"]

# float() takes more: white space, underscores, digits of other scripts, nan and inf.
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_LINE_BREAK = re.compile(r"\r\n|\r|\n")
_NUMBER = re.compile(r"-?[0-9]{1,20}(?:[.][0-9]{1,20})?(?:[eE][-+]?[0-9]{1,3})?")


def _check_header(header: Iterable[str], table: str, source: str) -> None:
    names = column_names(table)
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
            while True:
                before = lines.line_num
                rows = list(islice(lines, BATCH_ROWS))
                if not rows:
                    break
                numbers = _line_numbers(rows, before, lines.line_num)
                if set(map(len, rows)) != {len(header)}:
                    at = next(at for at, row in enumerate(rows) if len(row) != len(header))
                    raise StorageError(
                        f"{source}: line {numbers[at]}: {len(rows[at])} fields; expected "
                        f"{len(header)}"
                    )
                yield _from_texts(rows, header, table, numbers)
        except UnicodeDecodeError as error:
            raise StorageError(f"{source}: not UTF-8; save the file as UTF-8") from error
        except csv.Error as error:
            raise StorageError(f"{source}: line {lines.line_num}: not CSV: {error}") from error


def _line_numbers(rows: list[list[str]], before: int, last: int) -> Sequence[int]:
    """Return the last line of each row, those before the first and the last one given."""
    if last - before == len(rows):
        return range(before + 1, last + 1)
    # A quoted field may hold line breaks.
    breaks = [1 + sum(len(_LINE_BREAK.findall(field)) for field in row) for row in rows]
    return [before + lines for lines in accumulate(breaks)]


def _from_texts(
    rows: list[list[str]], header: list[str], table: str, numbers: Sequence[int]
) -> Batch:
    columns: Mapping[str, Sequence[str]] = dict(zip(header, zip(*rows, strict=True), strict=True))
    typed = {
        column.name: _TEXT_TYPES.get(column.name, _texts)(columns[column.name])
        for column in COLUMNS[table]
    }
    return Batch(table, typed, numbers, "line {} (" + table + ")")


def _texts(texts: Sequence[str]) -> list[Any]:
    return [text or None for text in texts] if "" in texts else list(texts)


def _whole_numbers(texts: Sequence[str]) -> list[Any]:
    if all(map(_WHOLE.fullmatch, texts)):
        return list(map(int, texts))
    return [int(text) if _WHOLE.fullmatch(text) else text or None for text in texts]


def _numbers(texts: Sequence[str]) -> list[Any]:
    return [float(text) if _NUMBER.fullmatch(text) else text or None for text in texts]


def _flags(texts: Sequence[str]) -> list[Any]:
    return list(map(_FLAGS.get, texts, texts))


# A text that does not convert stays one, and fails its column's check.
_FLAGS: Mapping[str, Any] = {"true": True, "false": False, "": None}
_TEXT_TYPES: Mapping[str, Callable[[Sequence[str]], list[Any]]] = {
    **dict.fromkeys(WHOLE_NUMBERS, _whole_numbers),
    **dict.fromkeys(FLAGS, _flags),
    "apr": _numbers,
}


def _with_texts(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame with its times as ISO 8601 texts; those with a zone in UTC."""
    texts = []
    for name, kind in frame.schema.items():
        if isinstance(kind, pl.Datetime):
            time = pl.when(is_date(name, kind)).then(name).dt.cast_time_unit("us")
            if kind.time_zone:
                time = time.dt.convert_time_zone("UTC")
            # A fraction of a second only where there is one; what is no date stays a number.
            text = time.dt.to_string(f"{TIME_FORMAT}%.f")
            texts.append(pl.coalesce(text, pl.col(name).to_physical().cast(pl.String)))
    return frame.with_columns(texts)


def arrow_batches(file: ParquetFile, names: list[str], n_rows: int) -> Iterator[RecordBatch]:
    """Yield some columns of a Parquet file, n rows at a time at most."""
    # One row group at a time: a walk over all of them keeps what it has read.
    for group in range(file.num_row_groups):
        for batch in file.iter_batches(n_rows, [group], columns=names):
            # Polars takes for granted that texts are UTF-8.
            batch.validate(full=True)
            yield batch


def read_parquet(path: Path, table: str) -> Iterator[Batch]:
    """Yield the batches of a table in Parquet; StorageError names the file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = column_names(table)
    first = 0
    try:
        with naming(path, "read"), pq.ParquetFile(path) as file:
            _check_header(file.schema_arrow.names, table, str(path))
            for arrow in arrow_batches(file, names, BATCH_ROWS):
                frame = _with_texts(pl.DataFrame(arrow))
                numbers = range(first, first + len(frame))
                label = f"row {{}} ({table})"
                yield Batch(table, frame.to_dict(as_series=False), numbers, label)
                first += len(frame)
    except (pa.ArrowException, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise StorageError(f"{path}: not readable as Parquet: {error}") from error
