"""Reads finance files of any layout in batches of Python values, so that errors have a place.

JSON documents are read whole, the other formats piece by piece.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from payworld.errors import StorageError
from payworld.storage.database import columnar_json, columnar_tables
from payworld.storage.database.columnar import FrameItem
from payworld.storage.database.parse import BOM, EXPECTED, Literal, parse_json
from payworld.storage.database.records import (
    BATCH_ROWS,
    COLUMNS,
    Batch,
    column_names,
    shown,
    unknown,
)
from payworld.storage.database.tables import read_csv, read_parquet
from payworld.storage.files import naming
from payworld.storage.finance_files import TABLES

__all__ = ["Item", "Source", "open_source"]

_LINES_BYTES = 4 << 20
_JSON_KINDS = {
    list: "a list",
    str: "a text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    Literal: "a number",
    type(None): "null",
}

Item: TypeAlias = "Batch | dict[str, Any]"
"""A batch of records, or the file's meta object."""


class Source:
    """A finance file or folder that can be read several times; lives for a load."""

    def __init__(
        self,
        path: Path,
        read: Callable[[bool], Iterator[Item]],
        read_frames: Callable[[], Iterator[FrameItem]],
    ) -> None:
        self.path = path
        self.name = str(path)
        self.frames = read_frames
        """Yields the meta object, if any, and all records checked; UnusualError where only a
        closer look can tell, and OSError."""
        self._read = read

    def items(self, as_written: bool = False) -> Iterator[Item]:
        """Yield the meta object, if any, and every batch.

        With `as_written` the large numbers of JSON are not rounded, which takes ten times as
        long: for messages.
        """
        with naming(self.path, "read"):
            yield from self._read(as_written)

    def batches(self, table: str) -> Iterator[Batch]:
        """Yield every batch of a table."""
        for item in self.items():
            if isinstance(item, Batch) and item.table == table:
                yield item

    def place(self, table: str, field: str, value: object) -> str:
        """Return the name of the first record with a value, as messages give it.

        It is the table's where the file has changed since it was read.
        """
        with suppress(StorageError):
            for batch in self.batches(table):
                values = batch.columns[field]
                if value in values:
                    return batch.place(values.index(value))
        return table


def open_source(path: Path) -> Source:
    """Return the source of a file or folder; its format follows from its name."""
    with naming(path, "read"):
        path.stat()
    suffix = path.suffix.lower()
    if path.is_dir():
        return _open_folder(path)
    if suffix in (".csv", ".parquet") and path.stem in TABLES:
        return _folder_source(path.parent, suffix)
    if suffix in (".jsonl", ".ndjson"):
        return _lines_source(path)
    if suffix in (".csv", ".parquet"):
        raise StorageError(
            f"{str(path)!r}: expected a folder with {', '.join(TABLES)}{suffix}, or one of those "
            "files"
        )
    if _looks_like_lines(path):
        return _lines_source(path)
    return Source(path, partial(_read_document, path), partial(columnar_json.read_document, path))


def _lines_source(path: Path) -> Source:
    return Source(path, partial(_read_lines, path), partial(columnar_json.read_lines, path))


def _looks_like_lines(path: Path) -> bool:
    with naming(path, "read"), path.open("rb") as file:
        return file.readline(200).removeprefix(BOM).startswith(b'{"table":')


def _open_folder(path: Path) -> Source:
    found = [kind for kind in (".csv", ".parquet") if (path / f"users{kind}").exists()]
    if len(found) != 1:
        what = "both CSV and Parquet tables" if found else "no users.csv or users.parquet"
        raise StorageError(f"{str(path)!r} holds {what}; name one of the files to load")
    return _folder_source(path, found[0])


def _folder_source(path: Path, suffix: str) -> Source:
    read_table = read_csv if suffix == ".csv" else read_parquet

    def read(_as_written: bool) -> Iterator[Item]:
        yield _folder_meta(path)
        for table in TABLES:
            yield from read_table(path / f"{table}{suffix}", table)

    def read_frames() -> Iterator[FrameItem]:
        yield _folder_meta(path)
        yield from columnar_tables.read_tables(path, suffix)

    return Source(path, read, read_frames)


def _folder_meta(path: Path) -> dict[str, Any]:
    meta = path / "meta.json"
    if not meta.exists():
        raise StorageError(
            f"{str(path)!r} has no meta.json, which gen finance writes last: the folder is not "
            "whole. Run the command that made it again; in a folder of your own let meta.json "
            "hold {}"
        )
    text = meta.read_bytes()
    return _as_meta(parse_json(text, str(meta), expected="an object, {} at least"), str(meta))


def _as_meta(meta: Any, source: str) -> dict[str, Any]:
    if not isinstance(meta, dict):
        raise StorageError(f"{source}: meta = {shown(meta)}: expected an object")
    for key, value in meta.items():
        if isinstance(value, Literal):
            raise StorageError(f"{source}: meta.{key} = {shown(value)}: expected a JSON value")
    return meta


def _read_document(path: Path, as_written: bool) -> Iterator[Item]:
    document = parse_json(path.read_bytes(), str(path), as_written=as_written)
    if not isinstance(document, dict):
        raise StorageError(
            f"{path}: is {_JSON_KINDS[type(document)]}; expected an object with {', '.join(TABLES)}"
        )
    for key in document:
        if key not in (*TABLES, "meta"):
            raise StorageError(f"{path}: {unknown(key, (*TABLES, 'meta'))}")
    if "meta" in document:
        yield _as_meta(document.pop("meta"), str(path))
    for table in TABLES:
        if table not in document:
            raise StorageError(f"{path}: {table}: missing; expected a list of records")
        rows = document.pop(table)
        if not isinstance(rows, list):
            raise StorageError(f"{path}: {table} = {shown(rows)}: expected a list of records")
        for first in range(0, len(rows), BATCH_ROWS):
            part = rows[first : first + BATCH_ROWS]
            numbers = range(first, first + len(part))
            yield _from_rows(part, table, numbers, f"{table}[{{}}]", str(path))


def _read_lines(path: Path, as_written: bool) -> Iterator[Item]:
    number, metas = 1, list[int]()
    with path.open("rb") as file:
        while lines := file.read(_LINES_BYTES) + file.readline():
            if number == 1:
                lines = lines.removeprefix(BOM)
            lines = lines.removesuffix(b"\n")
            places = range(number, number + lines.count(b"\n") + 1)
            rows = _parse_lines(lines, str(path), places, as_written)
            yield from _from_lines(rows, places, path, metas)
            number = places.stop
    if number == 1:
        raise StorageError(f"{path}: is empty; expected {EXPECTED}")


def _from_lines(rows: list[Any], places: range, path: Path, metas: list[int]) -> Iterator[Item]:
    """Yield the items of some lines: each run of lines of one table is a batch.

    The lines of meta objects are added to `metas`: there is one in a file.
    """
    number = places.start
    for table, run in groupby(rows, _table_of):
        part = list(run)
        numbers = range(number, number + len(part))
        number += len(part)
        if table in TABLES:
            label = "line {} (" + table + ")"
            yield _from_rows(part, table, numbers, label, str(path), ("table",))
        elif table == "meta":
            metas.extend(numbers)
            if len(metas) > 1:
                raise StorageError(
                    f"{path}: line {metas[1]:,}: a second meta object; line {metas[0]:,} is one "
                    "already: load the files that were joined here one by one, with --if-exists "
                    "append"
                )
            yield _as_meta(part[0], str(path))
        elif table is not None or any(row is not None for row in part):
            raise StorageError(
                f"{path}: line {numbers[0]:,}: table = {shown(table)}: expected one of meta, "
                f"{', '.join(TABLES)}"
            )


def _table_of(row: Any) -> Any:
    return row.get("table") if type(row) is dict else None


def _parse_lines(lines: bytes, source: str, places: range, as_written: bool) -> list[Any]:
    """Return the parsed lines, None for blank ones; the fast way is one parse for all."""
    rows: list[Any] = []
    if not as_written:
        with suppress(orjson.JSONDecodeError):
            # JSON has no line break inside a text, so these are the ends of the lines.
            rows = orjson.loads(b"[" + lines.replace(b"\n", b",") + b"]")
    if len(rows) == len(places):
        return rows
    return [
        parse_json(line, source, number, as_written) if line.strip() else None
        for number, line in zip(places, lines.split(b"\n"), strict=True)
    ]


def _from_rows(
    rows: list[dict[str, Any]],
    table: str,
    numbers: Sequence[int],
    label: str,
    source: str,
    extra: tuple[str, ...] = (),
) -> Batch:
    """Return JSON records as a batch; StorageError names a missing or unknown key."""
    names = column_names(table)
    optional = {column.name for column in COLUMNS[table] if column.optional}
    batch = Batch(table, {}, numbers, label)
    keys = {*names, *extra}
    # As many keys as wanted, and below each of them found: these and no others.
    if optional or set(map(type, rows)) != {dict} or set(map(len, rows)) != {len(keys)}:
        _check_keys(rows, batch, keys, source)
    for name in names:
        if name in optional:
            batch.columns[name] = [row.get(name) for row in rows]
        else:
            try:
                batch.columns[name] = list(map(itemgetter(name), rows))
            except KeyError:
                _check_keys(rows, batch, keys, source)
                raise
    return batch


def _check_keys(rows: list[dict[str, Any]], batch: Batch, keys: set[str], source: str) -> None:
    for at, row in enumerate(rows):
        if type(row) is not dict:
            raise StorageError(f"{source}: {batch.place(at)} = {shown(row)}: expected an object")
        for key in row.keys() - keys:
            raise StorageError(f"{source}: {batch.place(at)}.{unknown(key, keys)}")
        for column in COLUMNS[batch.table]:
            if column.name not in row and not column.optional:
                raise StorageError(
                    f"{source}: {batch.place(at)}.{column.name}: missing; expected "
                    f"{column.expected}"
                )
