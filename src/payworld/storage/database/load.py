"""Loads a finance file into a database: validated first, then one transaction, all or nothing."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from payworld.errors import ConflictError, StorageError, UsageError
from payworld.storage.database.engine import naming_database, open_engine
from payworld.storage.database.frames import FLAGS, TIMES, Frame
from payworld.storage.database.layout import check_rows, has_tables, make_indexes, prepare, tables
from payworld.storage.database.readers import Source, open_source
from payworld.storage.database.records import shown
from payworld.storage.database.spool import Spool
from payworld.storage.database.urls import parse_url, require
from payworld.storage.database.validate import validate_source

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

__all__ = [
    "IF_EXISTS",
    "check_database",
    "check_driver",
    "check_mode",
    "load_data_from_json",
    "load_file",
]

IF_EXISTS = ("fail", "replace", "append")
_LOOKUP_ROWS = 5_000
_INSERT_ROWS = 30_000

Progress = Callable[[int], None]


def check_database(url: str, if_exists: str) -> None:
    """Raise what a load would raise whatever its file is, before that file is made.

    A wrong URL or mode is a UsageError, a server that is down a StorageError, rows that are in
    the way a ConflictError. A SQLite file that is not there is not made.
    """
    check_mode(if_exists)
    parsed, _ = parse_url(url)
    if parsed.get_backend_name() != "sqlite" or Path(parsed.database or "").is_file():
        require("sqlalchemy", "greenlet")
        asyncio.run(_check_database(url, if_exists))


async def _check_database(url: str, if_exists: str) -> None:
    with naming_database(url):
        async with open_engine(url) as engine, engine.connect() as connection:
            await connection.run_sync(check_rows, if_exists)


def load_file(
    path: Path,
    url: str,
    if_exists: str = "fail",
    on_valid: Callable[[dict[str, int]], Progress] | None = None,
) -> dict[str, int]:
    """Load a finance file or folder into the database of a URL; return the rows of each table.

    `on_valid` is called with the rows of each table when the file is found valid, and returns
    what is to be called with the rows of each batch.
    """
    require("sqlalchemy", "greenlet")
    check_mode(if_exists)
    parse_url(url)
    with _without_cycle_search():
        return asyncio.run(_load_file(path, url, if_exists, on_valid))


@contextmanager
def _without_cycle_search() -> Iterator[None]:
    """Spare Python the search for cycles in a million records that have none."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


async def _load_file(
    path: Path,
    url: str,
    if_exists: str,
    on_valid: Callable[[dict[str, int]], Progress] | None,
) -> dict[str, int]:
    source = open_source(path)
    with naming_database(url):
        # A server that is down is told before the work of reading the file.
        async with open_engine(url) as engine:
            with Spool() as spool:
                counts = validate_source(source, spool)
                progress = on_valid(counts) if on_valid else None
                async with engine.connect() as connection:
                    is_new = await _trust_references(connection)
                    async with connection.begin():
                        await _fill(connection, spool, source, if_exists, progress, is_new)
    return counts


async def load_data_from_json(
    session: AsyncSession, path: str | Path, if_exists: str = "fail"
) -> dict[str, int]:
    """Load a finance file through a session; return the rows of each table.

    A session without a transaction is committed, or rolled back on an error. Inside a
    transaction of the caller's the load is a savepoint, and the commit is the caller's.
    """
    require("sqlalchemy", "greenlet")
    check_mode(if_exists)
    url = _url_of(session)
    if not isinstance(path, str | Path):
        raise UsageError(f"path = {path!r}: expected a text or a Path")
    source = open_source(Path(path))
    with naming_database(url), Spool() as spool:
        counts = validate_source(source, spool)
        is_inside = session.in_transaction()
        if is_inside:
            # In SQLite a savepoint outside a transaction would be one, and its end a commit.
            await _ensure_begun(await session.connection())
        async with session.begin_nested() if is_inside else session.begin():
            connection = await session.connection()
            await _fill(connection, spool, source, if_exists)
    return counts


def _url_of(session: object) -> str:
    """Return the database of a session; UsageError for anything but a session that has one."""
    from sqlalchemy.exc import UnboundExecutionError
    from sqlalchemy.ext.asyncio import AsyncSession

    if not isinstance(session, AsyncSession):
        raise UsageError(
            f"session: is a {type(session).__name__}; expected an AsyncSession of SQLAlchemy"
        )
    try:
        return str(session.get_bind().engine.url)
    except UnboundExecutionError as error:
        raise UsageError("session: is bound to no engine; write AsyncSession(engine)") from error


def check_mode(if_exists: str) -> None:
    """Raise UsageError for an unknown way to treat a database that holds data."""
    if if_exists not in IF_EXISTS:
        raise UsageError(f"--if-exists = {if_exists!r}: expected one of {', '.join(IF_EXISTS)}")


async def _fill(
    connection: AsyncConnection,
    spool: Spool,
    source: Source,
    if_exists: str,
    progress: Progress | None = None,
    is_new: bool = False,
) -> None:
    check_driver(connection)
    await _ensure_begun(connection)
    if is_new and await connection.run_sync(has_tables):
        raise ConflictError(
            "another program has made the tables at this moment; nothing was changed: try again"
        )
    is_bulk = await connection.run_sync(prepare, if_exists)
    for table, rows in spool.frames():
        for part in rows.iter_slices(_INSERT_ROWS):
            frame = Frame(table, part)
            if not is_bulk:
                await connection.run_sync(_refuse_duplicates, frame, source)
            await _insert(connection, frame)
            if progress is not None:
                progress(len(part))
    if is_bulk:
        await connection.run_sync(make_indexes)


async def _trust_references(connection: AsyncConnection) -> bool:
    """Let SQLite not look up each reference where the tables will be new; return whether they are.

    The file's references are checked already, and nothing else refers to a table that is not
    there. Tables that are there may have references and triggers of their own.
    """
    if connection.dialect.name != "sqlite" or await connection.run_sync(has_tables):
        await connection.rollback()
        return False
    await connection.rollback()
    # Inside a transaction it would have no effect.
    await connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
    await connection.rollback()
    return True


def check_driver(connection: AsyncConnection) -> None:
    """Raise StorageError for another driver: each has a fast way of its own for many rows."""
    dialect = connection.dialect
    if dialect.driver not in ("aiosqlite", "asyncpg"):
        raise StorageError(
            f"a session on {dialect.name}+{dialect.driver} cannot load; expected "
            "sqlite+aiosqlite or postgresql+asyncpg"
        )


async def _ensure_begun(connection: AsyncConnection) -> None:
    """Begin a transaction that covers the making of tables too.

    Python's sqlite3 begins one by itself only before a change of rows.
    """
    if connection.dialect.name == "sqlite":
        raw = await connection.get_raw_connection()
        driver: Any = raw.driver_connection
        if not driver.in_transaction:
            await connection.exec_driver_sql("BEGIN IMMEDIATE")


def _refuse_duplicates(connection: Connection, frame: Frame, source: Source) -> None:
    """Raise ConflictError if the database has an id or email of the records already."""
    from sqlalchemy import select

    table = next(table for table in tables() if table.name == frame.table)
    for field in ("id", "email") if frame.table == "users" else ("id",):
        values = frame.rows[field].to_list()
        column = table.columns[field]
        for first in range(0, len(values), _LOOKUP_ROWS):
            part = values[first : first + _LOOKUP_ROWS]
            found = select(column).where(column.in_(part))
            taken = set(connection.execute(found).scalars())
            if taken:
                value = next(value for value in values if value in taken)
                raise ConflictError(
                    f"{source.name}: {source.place(frame.table, field, value)}.{field} = "
                    f"{shown(value)}: the database has it already; nothing was changed"
                )


def _as_sqlite_keeps(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows with times as SQLAlchemy keeps them in SQLite, and flags as 0 and 1.

    For each value that is a bool sqlite3 would look for an adapter.
    """
    flags = [name for name in rows.columns if name in FLAGS]
    times = [name for name in rows.columns if name in TIMES]
    return rows.with_columns(
        pl.col(flags).cast(pl.UInt8), pl.col(times).dt.to_string("%Y-%m-%d %H:%M:%S%.6f")
    )


async def _insert(connection: AsyncConnection, frame: Frame) -> None:
    """Add records by the driver's fastest way: COPY in PostgreSQL, executemany in SQLite."""
    # SQLAlchemy's own executemany took a quarter longer: it looks at every value.
    driver: Any = (await connection.get_raw_connection()).driver_connection
    names = frame.rows.columns
    if connection.dialect.name == "postgresql":
        await driver.copy_records_to_table(frame.table, records=_rows(frame.rows), columns=names)
    else:
        marks = ", ".join("?" * len(names))
        quoted = ", ".join(f'"{name}"' for name in names)
        # Names of our own tables and columns alone.
        statement = f'INSERT INTO "{frame.table}" ({quoted}) VALUES ({marks})'  # noqa: S608
        await driver.executemany(statement, _rows(_as_sqlite_keeps(frame.rows)))


def _rows(frame: pl.DataFrame) -> Iterator[tuple[object, ...]]:
    # Half the time of Polars' own rows.
    return zip(*(column.to_list() for column in frame), strict=True)
