"""Writes personal-finance tables as JSON, JSON Lines, CSV or Parquet: whole, or not at all.

JSON is one document and is put together in memory; the other formats are written block by
block, in memory that does not grow with the number of users.
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import orjson
import polars as pl

from payworld.errors import ConflictError, LockedError, StorageError
from payworld.storage.files import file_sha256, fsync_folder, naming, remove, replace_file

__all__ = ["CATEGORIES", "FORMATS", "TABLES", "TIME_FORMAT", "Tables", "records", "write_tables"]

FORMATS = ("json", "jsonl", "csv", "parquet")
TABLES = ("users", "accounts", "transactions")
CATEGORIES = (
    "FOOD_AND_DRINK",
    "GENERAL_MERCHANDISE",
    "TRANSPORTATION",
    "ENTERTAINMENT",
    "UTILITIES",
    "HEALTHCARE",
    "INCOME",
)
TIME_FORMAT = "%Y-%m-%dT%H:%M:%S"

Tables: TypeAlias = tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]
"""Users, accounts and transactions of some users."""

_CHUNK_ROWS = 20_000
_META = "meta.json"


def write_tables(
    output: Path,
    file_format: str,
    meta: Mapping[str, Any],
    blocks: Iterable[Tables],
    replace: bool,
) -> bool:
    """Write the blocks to the output; return whether anything was new.

    JSON and JSON Lines are one file. CSV and Parquet are a folder: a file for each table, and
    meta.json, which appears last. Equal bytes that are there already are left alone; other
    bytes are a ConflictError, unless they are to be replaced.
    """
    if file_format in ("json", "jsonl"):
        finals = [output]
    else:
        names = [*(f"{table}.{file_format}" for table in TABLES), _META]
        finals = [output / name for name in names]
    with ExitStack() as stack:
        files = [stack.enter_context(_work_file(final)) for final in finals]
        with naming(output, "write"):
            _WRITERS[file_format](files, meta, blocks)
            for file in files:
                file.flush()
                os.fsync(file.fileno())
        return _publish_all(finals, replace)


def _work_path(final: Path) -> Path:
    return final.with_name(f".{final.name}.partial")


@contextmanager
def _work_file(final: Path) -> Iterator[BinaryIO]:
    """Open the work file of a final name for this process alone; remove it at the end."""
    with naming(final, "write"):
        if final.is_dir():
            raise OSError(errno.EISDIR, "", str(final))
    work = _work_path(final)
    with naming(final.parent, "make"):
        final.parent.mkdir(parents=True, exist_ok=True)
    with naming(final, "write"):
        descriptor = os.open(work, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    # On a full disk the closing fails too: it writes what is still held back.
    with naming(final, "write"), os.fdopen(descriptor, "wb") as file:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Another run may have published this very file between the two calls.
            if os.fstat(descriptor).st_ino != work.stat().st_ino:
                raise BlockingIOError
            os.ftruncate(descriptor, 0)
        except (BlockingIOError, FileNotFoundError) as error:
            raise LockedError(
                f"another run is writing {str(final)!r}; wait until it is done, or name another "
                "--output"
            ) from error
        try:
            yield file
        finally:
            remove(work)


def _publish_all(finals: list[Path], replace: bool) -> bool:
    new = [final for final in finals if not _is_there(final, replace)]
    meta = finals[-1]
    if new and meta.name == _META and os.path.lexists(meta):
        # Until all files are new, nobody shall take those of two data sets for one.
        remove(meta)
        fsync_folder(meta.parent)
        new = [*new, meta] if meta not in new else new
    for final in new:
        if os.path.lexists(final):
            replace_file(_work_path(final), final)
        else:
            with naming(final, "publish"):
                _work_path(final).rename(final)
    if new:
        fsync_folder(finals[0].parent)
    return bool(new)


def _is_there(final: Path, replace: bool) -> bool:
    """Return whether the final name has equal bytes; ConflictError if others may not go."""
    if not os.path.lexists(final):
        return False
    if final.is_symlink() or not final.is_file():
        raise StorageError(
            f"{str(final)!r} is a symbolic link or no regular file, which payworld does not "
            "replace; name another --output"
        )
    if file_sha256(final) == file_sha256(_work_path(final)):
        return True
    if not replace:
        raise ConflictError(
            f"{str(final)!r} exists and holds other data; it was left as it is: say --force to "
            "replace it, or name another --output"
        )
    return False


def records(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Return rows as they stand in JSON: ISO 8601 times, no keys without a value."""
    times = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime)]
    rows = frame.with_columns(pl.col(times).dt.to_string(TIME_FORMAT)).to_dicts()
    if "limit" not in frame.columns:
        return rows
    return [{key: value for key, value in row.items() if value is not None} for row in rows]


def _write_json(files: list[BinaryIO], meta: Mapping[str, Any], blocks: Iterable[Tables]) -> None:
    (file,) = files
    users, accounts, transactions = (pl.concat(parts) for parts in zip(*blocks, strict=True))
    transactions = transactions.sort("date", maintain_order=True)
    # The document of one key has the indentation that its part has in the whole one.
    file.write(orjson.dumps({"meta": meta}, option=orjson.OPT_INDENT_2).removesuffix(b"\n}"))
    for name, frame in zip(TABLES, (users, accounts, transactions), strict=True):
        file.write(b',\n  "%s": [' % name.encode())
        for first in range(0, len(frame), _CHUNK_ROWS):
            rows = records(frame.slice(first, _CHUNK_ROWS))
            text = orjson.dumps({"": rows}, option=orjson.OPT_INDENT_2)
            file.write(b"," if first else b"")
            file.write(text.removeprefix(b'{\n  "": [').removesuffix(b"\n  ]\n}"))
        file.write(b"\n  ]")
    file.write(b"\n}\n")


def _write_jsonl(files: list[BinaryIO], meta: Mapping[str, Any], blocks: Iterable[Tables]) -> None:
    (file,) = files
    file.write(orjson.dumps({"table": "meta", **meta}, option=orjson.OPT_APPEND_NEWLINE))
    for users, accounts, transactions in blocks:
        for name, frame in (("users", users), ("accounts", accounts)):
            for row in records(frame):
                line = {"table": name, **row}
                file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        table = pl.lit("transactions").alias("table")
        lines = io.BytesIO()
        transactions.select(
            table, pl.all().exclude("date"), pl.col("date").dt.to_string(TIME_FORMAT)
        ).select("table", *transactions.columns).write_ndjson(lines)
        file.write(lines.getbuffer())


def _write_csv(files: list[BinaryIO], meta: Mapping[str, Any], blocks: Iterable[Tables]) -> None:
    *tables, meta_file = files
    for number, block in enumerate(blocks):
        for file, frame in zip(tables, block, strict=True):
            lines = io.BytesIO()
            frame.write_csv(lines, include_header=number == 0, datetime_format=TIME_FORMAT)
            file.write(lines.getbuffer())
    _write_meta(meta_file, meta)


def _write_parquet(
    files: list[BinaryIO], meta: Mapping[str, Any], blocks: Iterable[Tables]
) -> None:
    import pyarrow.parquet as pq

    *tables, meta_file = files
    writers: list[Any] = []
    repeated = ("user_id", "account_id", "category", "merchant_name")
    with ExitStack() as stack:
        for group in _in_groups(blocks):
            arrow = [frame.to_arrow() for frame in group]
            if not writers:
                for file, table in zip(tables, arrow, strict=True):
                    columns = [name for name in repeated if name in table.column_names]
                    writer = pq.ParquetWriter(
                        file, table.schema, compression="snappy", use_dictionary=columns
                    )
                    writers.append(stack.enter_context(writer))
            for writer, table in zip(writers, arrow, strict=True):
                writer.write_table(table)
    _write_meta(meta_file, meta)


def _in_groups(blocks: Iterable[Tables]) -> Iterator[Tables]:
    """Yield the blocks joined to groups of about 50,000 transactions, a good row group."""
    held: list[Tables] = []
    for block in blocks:
        held.append(block)
        if sum(len(tables[2]) for tables in held) >= 50_000:
            yield _joined(held)
            held = []
    if held:
        yield _joined(held)


def _joined(blocks: list[Tables]) -> Tables:
    users, accounts, transactions = (pl.concat(parts) for parts in zip(*blocks, strict=True))
    return users, accounts, transactions


def _write_meta(file: BinaryIO, meta: Mapping[str, Any]) -> None:
    option = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    file.write(orjson.dumps(meta, option=option))


_Writer: TypeAlias = Callable[[list[BinaryIO], Mapping[str, Any], Iterable[Tables]], None]
_WRITERS: Mapping[str, _Writer] = {
    "json": _write_json,
    "jsonl": _write_jsonl,
    "csv": _write_csv,
    "parquet": _write_parquet,
}
