"""Loads a finance file into a database: validated first, then one transaction, all or nothing."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from payworld.errors import ConflictError, StorageError, UsageError
from payworld.storage.database.engine import naming_database, open_engine
from payworld.storage.database.layout import make_indexes, prepare, tables
from payworld.storage.database.readers import open_source
from payworld.storage.database.records import COLUMNS, Batch, shown
from payworld.storage.database.spool import Spool
from payworld.storage.database.urls import parse_url, require
from payworld.storage.database.validate import validate_source

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

__all__ = ["IF_EXISTS", "check_driver", "check_mode", "load_data_from_json", "load_file"]

IF_EXISTS = ("fail", "replace", "append")
_TIMES = ("created_at", "date")
_FLAGS = ("consent", "pending")
_LOOKUP_ROWS = 5_000

Progress = Callable[[int], None]


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
                counts = validate_source(source, spool.add)
                progress = on_valid(counts) if on_valid else None
                async with engine.connect() as connection, connection.begin():
                    await _fill(connection, spool, source.name, if_exists, progress)
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
        counts = validate_source(source, spool.add)
        is_inside = session.in_transaction()
        if is_inside:
            # In SQLite a savepoint outside a transaction would be one, and its end a commit.
            await _ensure_begun(await session.connection())
        async with session.begin_nested() if is_inside else session.begin():
            connection = await session.connection()
            await _fill(connection, spool, source.name, if_exists)
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
    source: str,
    if_exists: str,
    progress: Progress | None = None,
) -> None:
    check_driver(connection)
    await _ensure_begun(connection)
    is_bulk = await connection.run_sync(prepare, if_exists)
    for batch in spool.batches():
        if not is_bulk:
            await connection.run_sync(_refuse_duplicates, batch, source)
        await _insert(connection, batch)
        if progress is not None:
            progress(len(batch.numbers))
    if is_bulk:
        await connection.run_sync(make_indexes)


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


def _refuse_duplicates(connection: Connection, batch: Batch, source: str) -> None:
    """Raise ConflictError if the database has an id or email of the batch already."""
    from sqlalchemy import select

    table = next(table for table in tables() if table.name == batch.table)
    for field in ("id", "email") if batch.table == "users" else ("id",):
        values = batch.columns[field]
        column = table.columns[field]
        for first in range(0, len(values), _LOOKUP_ROWS):
            part = values[first : first + _LOOKUP_ROWS]
            found = select(column).where(column.in_(part))
            taken = set(connection.execute(found).scalars())
            if taken:
                row = next(row for row, value in enumerate(values) if value in taken)
                raise ConflictError(
                    f"{source}: {batch.place(row)}.{field} = {shown(values[row])}: the database "
                    "has it already; nothing was changed"
                )


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time


def _times(texts: list[str]) -> list[datetime]:
    """Return ISO 8601 times without a zone; those with one in UTC."""
    return list(map(_time, texts))


def _sqlite_times(texts: list[str]) -> list[str]:
    """Return ISO 8601 times as SQLAlchemy keeps them in SQLite.

    >>> _sqlite_times(["2025-11-02T18:30:00"])
    ['2025-11-02 18:30:00.000000']
    """
    # A valid time of this length is such a one: longer ones have fractions or zones.
    if set(map(len, texts)) != {len("2025-11-02T18:30:00")}:
        return [time.isoformat(" ", "microseconds") for time in _times(texts)]
    lines = "\n".join(texts)
    # One replacement for all: a format for each costs ten times as much.
    return (lines.replace("T", " ").replace("\n", ".000000\n") + ".000000").split("\n")


def _sqlite_flags(flags: list[bool]) -> bytes:
    """Return flags as 0 and 1: for each that is a bool, sqlite3 would look for an adapter."""
    return bytes(flags)


def _rows(
    batch: Batch, conversions: Mapping[str, Callable[[list[Any]], Iterable[object]]]
) -> Iterator[tuple[object, ...]]:
    columns = [
        conversions.get(column.name, iter)(batch.columns[column.name])
        for column in COLUMNS[batch.table]
    ]
    return zip(*columns, strict=True)


_POSTGRES = dict.fromkeys(_TIMES, _times)
_SQLITE: dict[str, Callable[[list[Any]], Iterable[object]]] = {
    **dict.fromkeys(_TIMES, _sqlite_times),
    **dict.fromkeys(_FLAGS, _sqlite_flags),
}


async def _insert(connection: AsyncConnection, batch: Batch) -> None:
    """Add a batch by the driver's fastest way: COPY in PostgreSQL, executemany in SQLite."""
    names = [column.name for column in COLUMNS[batch.table]]
    # SQLAlchemy's own executemany took a quarter longer: it looks at every value.
    driver: Any = (await connection.get_raw_connection()).driver_connection
    if connection.dialect.name == "postgresql":
        await driver.copy_records_to_table(
            batch.table, records=_rows(batch, _POSTGRES), columns=names
        )
    else:
        marks = ", ".join("?" * len(names))
        quoted = ", ".join(f'"{name}"' for name in names)
        # Names of our own tables and columns alone.
        statement = f'INSERT INTO "{batch.table}" ({quoted}) VALUES ({marks})'  # noqa: S608
        await driver.executemany(statement, _rows(batch, _SQLITE))
