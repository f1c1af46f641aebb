"""Checks a whole finance file before anything is written: values, ids, emails, references."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from payworld.errors import StorageError
from payworld.storage.database.columnar import FrameItem, UnusualError
from payworld.storage.database.frames import Frame, from_batch
from payworld.storage.database.readers import Source
from payworld.storage.database.records import (
    BATCH_ROWS,
    Batch,
    bad_value,
    check_batch,
    is_rounded,
    shown,
)
from payworld.storage.database.spool import Spool
from payworld.storage.finance_files import TABLES

__all__ = ["validate_source"]

_PARENTS = {"accounts": ("user_id", "users"), "transactions": ("account_id", "accounts")}

Prints = NDArray[np.uint64]


class _Index:
    """Eight bytes for each id, email and reference seen; lives for a validation."""

    def __init__(self) -> None:
        self.ids: dict[str, list[Prints]] = {table: [] for table in TABLES}
        self.emails: list[Prints] = []
        self.references: dict[str, list[Prints]] = {table: [] for table in _PARENTS}

    def add(self, frame: Frame) -> None:
        self.ids[frame.table].append(_prints(frame.rows["id"]))
        if frame.table == "users":
            self.emails.append(_prints(frame.rows["email"]))
        else:
            field, _ = _PARENTS[frame.table]
            self.references[frame.table].append(_prints(frame.rows[field].unique()))


def _prints(texts: pl.Series) -> Prints:
    """Return 64 bits of each text; equal ones have equal bits."""
    return texts.hash().to_numpy()


def _joined(parts: list[Prints]) -> Prints:
    return np.concatenate(parts) if parts else np.empty(0, np.uint64)


def _repeated(parts: list[Prints]) -> Prints:
    prints = np.sort(_joined(parts))
    return np.unique(prints[1:][prints[1:] == prints[:-1]])


def validate_source(source: Source, spool: Spool) -> dict[str, int]:
    """Fill the spool with the records; return how many each table has.

    Memory: about twenty bytes a record, eight of them kept, besides what the spool holds (a JSON
    document that is not indented as ours are is held whole). A StorageError names the first bad
    record and field.
    """
    try:
        return _validate(source, source.frames(), spool)
    except (UnusualError, OSError):
        spool.clear()
    return _validate(source, _look_closer(source), spool)


def _look_closer(source: Source) -> Iterator[FrameItem]:
    """Yield what any valid file holds, checked value by value, many records of a table at once."""
    held: dict[str, Batch] = {}
    for item in source.items():
        if not isinstance(item, Batch):
            yield item
            continue
        _check(item, source)
        batch = held.setdefault(item.table, item._replace(columns={}, numbers=[]))
        for name, values in item.columns.items():
            batch.columns.setdefault(name, []).extend(values)
        if len(batch.columns["id"]) >= BATCH_ROWS:
            yield from_batch(held.pop(item.table))
    for batch in held.values():
        yield from_batch(batch)


def _validate(source: Source, items: Iterable[FrameItem], spool: Spool) -> dict[str, int]:
    counts = dict.fromkeys(TABLES, 0)
    index, meta = _Index(), dict[str, Any]()
    for item in items:
        if isinstance(item, Frame):
            index.add(item)
            spool.add(item)
            counts[item.table] += len(item.rows)
        else:
            meta = item
    if not counts["users"]:
        raise StorageError(f"{source.name}: holds no users; expected at least one")
    _check_counts(meta, counts, source.name)
    for table in TABLES:
        _check_unique(source, table, "id", _repeated(index.ids[table]))
    _check_unique(source, "users", "email", _repeated(index.emails))
    for table, (field, parent) in _PARENTS.items():
        known = _joined(index.ids[parent])
        missing = np.setdiff1d(_joined(index.references[table]), known)
        _check_references(source, table, field, parent, missing)
    return counts


def _check(batch: Batch, source: Source) -> None:
    """Check a batch; a number that was rounded is named as it stands in the file."""
    try:
        check_batch(batch, source.name)
    except StorageError:
        found = bad_value(batch)
        if found and is_rounded(batch.columns[found[1].name][found[0]]):
            for item in source.items(as_written=True):
                if isinstance(item, Batch):
                    check_batch(item, source.name)
        raise


def _check_counts(meta: dict[str, Any], counts: dict[str, int], source: str) -> None:
    if "counts" not in meta:
        return
    promised = meta["counts"]
    if not isinstance(promised, dict):
        raise StorageError(
            f"{source}: meta.counts = {shown(promised)}: expected an object with the records of "
            "each table"
        )
    for table, n in counts.items():
        if table in promised and promised[table] != n:
            raise StorageError(
                f"{source}: {n:,} {table}, but meta.counts.{table} = {shown(promised[table])}: "
                "the file is incomplete, or was changed without its meta object"
            )


def _check_unique(source: Source, table: str, field: str, repeated: Prints) -> None:
    if not len(repeated):
        return
    seen: dict[str, str] = {}
    for batch in source.batches(table):
        values = batch.columns[field]
        for row in _rows_with(values, repeated):
            if values[row] in seen:
                raise StorageError(
                    f"{source.name}: {batch.place(row)}.{field} = {shown(values[row])}: expected "
                    f"a value of its own; {seen[values[row]]} has it too"
                )
            seen[values[row]] = batch.place(row)


def _check_references(source: Source, table: str, field: str, parent: str, missing: Prints) -> None:
    if not len(missing):
        return
    for batch in source.batches(table):
        values = batch.columns[field]
        for row in _rows_with(values, missing):
            raise StorageError(
                f"{source.name}: {batch.place(row)}.{field} = {shown(values[row])}: expected the "
                f"id of one of the file's {parent}; there is none"
            )
    raise StorageError(f"{source.name}: was changed while it was read; try again")


def _rows_with(texts: list[str], prints: Prints) -> list[int]:
    rows: list[int] = np.flatnonzero(
        np.isin(_prints(pl.Series(texts, dtype=pl.String, strict=False)), prints)
    ).tolist()
    return rows
