"""Checks a whole finance file before anything is written: values, ids, emails, references."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payworld.errors import StorageError
from payworld.storage.database.readers import Source
from payworld.storage.database.records import Batch, bad_value, check_batch, is_rounded, shown
from payworld.storage.finance_files import TABLES

__all__ = ["validate_source"]

_PARENTS = {"accounts": ("user_id", "users"), "transactions": ("account_id", "accounts")}
_MIX = np.uint64(0x9E3779B97F4A7C15)

Prints = NDArray[np.uint64]


class _Index:
    """Eight bytes for each id, email and reference seen; lives for a validation."""

    def __init__(self) -> None:
        self.ids: dict[str, list[Prints]] = {table: [] for table in TABLES}
        self.emails: list[Prints] = []
        self.references: dict[str, list[Prints]] = {table: [] for table in _PARENTS}

    def add(self, batch: Batch) -> None:
        self.ids[batch.table].append(_uuid_prints(batch.columns["id"]))
        if batch.table == "users":
            self.emails.append(_text_prints(batch.columns["email"]))
        else:
            field, _ = _PARENTS[batch.table]
            parents = _uuid_prints(set(batch.columns[field]))
            self.references[batch.table].append(parents)


def _uuid_prints(ids: Iterable[str]) -> Prints:
    """Return 64 bits of each UUID; equal ones have equal bits."""
    words = np.frombuffer(bytes.fromhex("".join(ids).replace("-", "")), ">u8").reshape(-1, 2)
    low = words[:, 1].astype(np.uint64) * _MIX
    return np.asarray(words[:, 0].astype(np.uint64) ^ low ^ (low >> np.uint64(32)))


def _text_prints(texts: Iterable[str]) -> Prints:
    digests = (hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return np.frombuffer(b"".join(digests), np.uint64)


def _joined(parts: list[Prints]) -> Prints:
    return np.concatenate(parts) if parts else np.empty(0, np.uint64)


def _repeated(parts: list[Prints]) -> Prints:
    prints = np.sort(_joined(parts))
    return np.unique(prints[1:][prints[1:] == prints[:-1]])


def validate_source(source: Source, keep: Callable[[Batch], None]) -> dict[str, int]:
    """Return the records of each table; StorageError names the first bad record and field.

    `keep` is called with every batch whose values are as expected. Memory: about twenty bytes a
    record, eight of them kept, besides one batch (a JSON document is held whole).
    """
    counts = dict.fromkeys(TABLES, 0)
    index, meta = _Index(), dict[str, Any]()
    for item in source.items():
        if isinstance(item, Batch):
            _check(item, source)
            index.add(item)
            keep(item)
            counts[item.table] += len(item.numbers)
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
    found = bad_value(batch)
    if found and is_rounded(batch.columns[found[1].name][found[0]]):
        for item in source.items(as_written=True):
            if isinstance(item, Batch):
                check_batch(item, source.name)
    check_batch(batch, source.name)


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
    make_prints = _uuid_prints if field == "id" else _text_prints
    for batch in source.batches():
        if batch.table != table:
            continue
        values = batch.columns[field]
        for row in np.flatnonzero(np.isin(make_prints(values), repeated)).tolist():
            if values[row] in seen:
                raise StorageError(
                    f"{source.name}: {batch.place(row)}.{field} = {shown(values[row])}: expected "
                    f"a value of its own; {seen[values[row]]} has it too"
                )
            seen[values[row]] = batch.place(row)


def _check_references(source: Source, table: str, field: str, parent: str, missing: Prints) -> None:
    if not len(missing):
        return
    for batch in source.batches():
        if batch.table != table:
            continue
        values = batch.columns[field]
        for row in np.flatnonzero(np.isin(_uuid_prints(values), missing)).tolist():
            raise StorageError(
                f"{source.name}: {batch.place(row)}.{field} = {shown(values[row])}: expected the "
                f"id of one of the file's {parent}; there is none"
            )
