"""Makes the tables ready for a load, in its transaction: checked, emptied, with indexes or none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from payworld.errors import ConflictError
from payworld.storage.database.urls import WAIT_SECONDS
from payworld.storage.finance_files import TABLES

if TYPE_CHECKING:
    from sqlalchemy import Connection, Index, Table

__all__ = ["check_rows", "has_tables", "make_indexes", "prepare", "tables"]

# Two loads into one PostgreSQL database wait for each other here: "payworld" in ASCII.
_LOCK = 0x706179776F726C64
# 4 MB of pages, and the threads beside the first one.
_SORTING = {"cache_size": -4096, "threads": 4}


def tables() -> list[Table]:
    """Return the tables, parents first."""
    from payworld.storage.database.models import Base

    return [Base.metadata.tables[name] for name in TABLES]


def prepare(connection: Connection, if_exists: str) -> bool:
    """Make the tables ready; return whether they are empty and without indexes."""
    from sqlalchemy import delete
    from sqlalchemy.schema import CreateTable

    _wait_for_others(connection)
    held = check_rows(connection, if_exists)
    for table in tables():
        if table.name not in held:
            connection.execute(CreateTable(table))
    is_bulk = if_exists == "replace" or not any(held.values())
    if any(held.values()):
        make_indexes(connection)
    if is_bulk:
        # With the indexes still there: PostgreSQL looks up the children of every row that goes,
        # which without one is a walk over the whole table, rows that are gone included.
        for table in reversed(tables()):
            if held.get(table.name):
                connection.execute(delete(table))
        _drop_indexes(connection, held)
    return is_bulk


def check_rows(connection: Connection, if_exists: str) -> dict[str, int]:
    """Return the rows of each of the tables that is there; ConflictError if they are in the way."""
    held = _rows_held(connection)
    if any(held.values()) and if_exists == "fail":
        rows = ", ".join(f"{held.get(name, 0):,} {name}" for name in TABLES)
        raise ConflictError(
            f"the database already holds {rows}; nothing was changed: say --if-exists replace "
            "to swap them for the file's, or --if-exists append to add the file's to them"
        )
    return held


def has_tables(connection: Connection) -> bool:
    """Return whether any of the tables is there, with rows or without."""
    from sqlalchemy import inspect

    return not set(TABLES).isdisjoint(inspect(connection).get_table_names())


def _wait_for_others(connection: Connection) -> None:
    """Wait until no other load is on its way; SQLite has one writer at a time by itself.

    PostgreSQL would wait for ever, here and for the tables. A bound that is there already, of
    the URL's `timeout` or of the role, is left as it is; this one holds until the end of the
    transaction.
    """
    if connection.dialect.name == "postgresql":
        bound = connection.exec_driver_sql("SHOW lock_timeout").scalar_one()
        if bound == "0":
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {round(WAIT_SECONDS * 1000)}")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")


def _rows_held(connection: Connection) -> dict[str, int]:
    """Return the rows of each of the tables that is there."""
    from sqlalchemy import inspect

    existing = set(inspect(connection).get_table_names())
    held = {}
    for table in tables():
        if table.name in existing:
            _check_columns(connection, table)
            held[table.name] = _count(connection, table)
    return held


def _drop_indexes(connection: Connection, names: Iterable[str]) -> None:
    from sqlalchemy import inspect
    from sqlalchemy.schema import DropIndex

    _check_references(connection)
    for table in tables():
        if table.name in names:
            there = {index["name"] for index in inspect(connection).get_indexes(table.name)}
            for index in _in_order(table):
                if index.name in there:
                    connection.execute(DropIndex(index))


def _in_order(table: Table) -> list[Index]:
    return sorted(table.indexes, key=lambda index: str(index.name))


def _check_columns(connection: Connection, table: Table) -> None:
    """Refuse a table of the same name that belongs to something else."""
    from sqlalchemy import inspect

    there = {
        column["name"]: column["type"] for column in inspect(connection).get_columns(table.name)
    }
    missing = ", ".join(sorted(column.name for column in table.columns if column.name not in there))
    if missing:
        raise _foreign(table, f"without {missing}")
    for column in table.columns:
        wanted, found = column.type.dialect_impl(connection.dialect), there[column.name]
        if _kind(wanted) != "other" and _kind(found) != _kind(wanted):
            raise _foreign(table, f"its {column.name} is {found}, not {_kind(wanted)}")


def _foreign(table: Table, difference: str) -> ConflictError:
    return ConflictError(
        f"the database has a table {table.name!r} of another kind ({difference}); nothing was "
        "changed: name another database"
    )


def _kind(column_type: Any) -> str:
    """Return the kind of a column where a wrong one would take values and spoil them."""
    from sqlalchemy import Integer, Uuid

    kinds = (("a whole number", Integer), ("a UUID", Uuid))
    return next((name for name, kind in kinds if isinstance(column_type, kind)), "other")


def _count(connection: Connection, table: Table) -> int:
    from sqlalchemy import func, select

    return connection.execute(select(func.count()).select_from(table)).scalar_one()


def _check_references(connection: Connection) -> None:
    """Let PostgreSQL check foreign keys now: it changes no index while checks are pending."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")


def make_indexes(connection: Connection) -> None:
    """Make the indexes that are not there: after a bulk load, one sort is cheaper."""
    from sqlalchemy import inspect
    from sqlalchemy.schema import CreateIndex

    _check_references(connection)
    with _sorting_in_pieces(connection):
        for table in tables():
            there = {index["name"] for index in inspect(connection).get_indexes(table.name)}
            for index in _in_order(table):
                if index.name not in there:
                    connection.execute(CreateIndex(index))


@contextmanager
def _sorting_in_pieces(connection: Connection) -> Iterator[None]:
    """Let SQLite sort what exceeds a small cache in a second thread, piece by piece.

    It takes half the time of one sort that begins when all rows have been read.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    before = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in _SORTING}
    try:
        _set_pragmas(connection, _SORTING)
        yield
    finally:
        # One whose statement was cancelled takes no more.
        if not connection.invalidated:
            _set_pragmas(connection, before)


def _set_pragmas(connection: Connection, values: Mapping[str, int]) -> None:
    for name, value in values.items():
        # A build of SQLite without threads answers with none.
        connection.exec_driver_sql(f"PRAGMA {name} = {value}").close()
