"""Opens the database of a URL, and says in plain words why it cannot be used."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from payworld.errors import PayworldError, StorageError
from payworld.storage.database.urls import masked, parse_url
from payworld.storage.files import naming

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["naming_database", "open_engine"]

# SQLSTATE of a lock that was waited for in vain, and of two that waited for each other.
_LOCK_STATES = ("55P03", "40P01")


def _reason(error: BaseException) -> str:
    cause: Any = getattr(error, "orig", None) or error
    text = str(cause).strip() or type(cause).__name__
    # The adapter puts the class of the driver's error before its message.
    return re.sub(r"^<class '[^']*'>: ", "", text.splitlines()[0])


def _way_out(error: BaseException, reason: str) -> str:
    """Return what to do about an error; of others the reason says all that is known."""
    cause: Any = getattr(error, "orig", None) or error
    if getattr(cause, "sqlstate", None) in _LOCK_STATES or "is locked" in reason:
        return (
            ". Another program holds what the load needs: try again when it is done, or let the "
            "URL end in ?timeout= with more seconds to wait"
        )
    if "disk is full" in reason or "disk I/O error" in reason:
        return (
            ". Free some space where it is, or let TMPDIR name a larger folder: that is where "
            "SQLite sorts for its indexes"
        )
    is_closed = "unable to open" in reason or "readonly" in reason
    if isinstance(error, OSError) or is_closed or _is_refusal(cause):
        return ". Check that it runs, that the URL is right and that the user may write"
    return ""


def _is_refusal(cause: Any) -> bool:
    """Return whether a server lets this user not in, or not write."""
    state = str(getattr(cause, "sqlstate", "") or "")
    # Classes of SQLSTATE: connection, authorization, no such database, shut down; no privilege.
    return state[:2] in ("08", "28", "3D", "57") or state == "42501"


@contextmanager
def naming_database(url: str) -> Iterator[None]:
    """Turn what a driver raises into a StorageError that names the database, not its password."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except PayworldError:
        raise
    except Exception as error:
        # The drivers' own errors have no common root with SQLAlchemy's.
        is_drivers = type(error).__module__.split(".")[0] in ("asyncpg", "sqlite3")
        if not is_drivers and not isinstance(error, SQLAlchemyError | OSError):
            raise
        reason = _reason(error)
        raise StorageError(
            f"the database {masked(url)!r} cannot be used: {reason}; nothing was changed"
            f"{_way_out(error, reason)}"
        ) from error


@asynccontextmanager
async def open_engine(url: str) -> AsyncIterator[AsyncEngine]:
    """Open an engine for a URL and dispose of it; connecting makes a SQLite file's folder.

    A server is called at once, so that one that is down is told before any work is done.
    """
    parsed, connect_args = parse_url(url)
    from sqlalchemy import event
    from sqlalchemy.ext.asyncio import create_async_engine

    is_sqlite = parsed.get_backend_name() == "sqlite"
    engine = create_async_engine(parsed, connect_args=connect_args)
    try:
        if is_sqlite:
            # A file that is refused before anything is written leaves no folder.
            event.listen(engine.sync_engine, "do_connect", lambda *_: _make_folder(parsed.database))
            event.listen(engine.sync_engine, "do_connect", _try_sqlite)
            event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        else:
            async with engine.connect():
                pass
        yield engine
    finally:
        await engine.dispose()


def _make_folder(database: str | None) -> None:
    if database and not database.startswith("file:"):
        folder = Path(database).parent
        with naming(folder, "make"):
            folder.mkdir(parents=True, exist_ok=True)


def _try_sqlite(_dialect: object, _record: object, args: list[Any], options: Any) -> None:
    """Open a SQLite file in this thread first, which raises what is wrong with it.

    aiosqlite's own thread outlives a failed opening, and prints a traceback when the event loop
    is gone by then.
    """
    sqlite3.connect(*args, **options).close()


def _prepare_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    # 64 MB of pages: random ids touch the whole index of a table. Larger pages, which only a new
    # database takes, make inserting a fifth cheaper.
    for pragma in ("page_size = 8192", "foreign_keys = ON", "cache_size = -65536"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
