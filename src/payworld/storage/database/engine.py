"""Opens the database of a URL, and says in plain words why it cannot be used."""

from __future__ import annotations

import importlib
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from payworld.errors import MissingExtraError, PayworldError, StorageError, UsageError
from payworld.storage.files import naming

if TYPE_CHECKING:
    from sqlalchemy import URL
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["DEFAULT_URL", "masked", "naming_database", "open_engine", "parse_url", "require"]

DEFAULT_URL = "sqlite+aiosqlite:///data/payworld.db"
_DRIVERS = {
    "sqlite": "aiosqlite",
    "sqlite+aiosqlite": "aiosqlite",
    "postgres": "asyncpg",
    "postgresql": "asyncpg",
    "postgresql+asyncpg": "asyncpg",
}
_CONNECT_SECONDS = 10
_BUSY_SECONDS = 10


def masked(url: str) -> str:
    """Return a database URL without its password.

    >>> masked("postgresql://ann:secret@db.example/finance?password=secret")
    'postgresql://ann:***@db.example/finance?password=***'
    """
    url = re.sub(r"(//[^:/@]*):.*@", r"\1:***@", url)
    return re.sub(r"(?i)((?:password|passfile|sslpassword)=)[^&]*", r"\1***", url)


def require(*packages: str) -> None:
    """Raise MissingExtraError if a package of the extra `db` is not installed."""
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise MissingExtraError(package, "db") from error


def parse_url(url: str) -> URL:
    """Return the URL with its asynchronous driver; UsageError for any other database."""
    require("sqlalchemy", "greenlet")
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    expected = "expected sqlite+aiosqlite:///FILE or postgresql+asyncpg://USER@HOST:PORT/DATABASE"
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise UsageError(
            f"--database-url = {masked(url)!r}: not a database URL; {expected}"
        ) from error
    driver = _DRIVERS.get(parsed.drivername)
    if driver is None:
        raise UsageError(
            f"--database-url = {masked(url)!r}: {parsed.drivername!r} is not supported; {expected}"
        )
    require(driver)
    dialect = "sqlite" if driver == "aiosqlite" else "postgresql"
    if dialect == "postgresql" and not parsed.database:
        raise UsageError(f"--database-url = {masked(url)!r}: names no database; {expected}")
    return parsed.set(drivername=f"{dialect}+{driver}")


def _reason(error: BaseException) -> str:
    cause: Any = getattr(error, "orig", None) or error
    text = str(cause).strip() or type(cause).__name__
    # The adapter puts the class of the driver's error before its message.
    return re.sub(r"^<class '[^']*'>: ", "", text.splitlines()[0])


@contextmanager
def naming_database(url: str) -> Iterator[None]:
    """Turn what a driver raises into a StorageError that names the database, not its password."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except PayworldError:
        raise
    except (SQLAlchemyError, OSError) as error:
        reason = _reason(error)
        raise StorageError(
            f"the database {masked(url)!r} cannot be used: {reason}; nothing was changed. Check "
            "that it runs, that the URL is right and that the user may write"
        ) from error
    except Exception as error:
        # The drivers' own errors have no common root with SQLAlchemy's.
        if type(error).__module__.split(".")[0] not in ("asyncpg", "sqlite3"):
            raise
        raise StorageError(
            f"the database {masked(url)!r} cannot be used: {_reason(error)}; nothing was changed"
        ) from error


@asynccontextmanager
async def open_engine(url: str) -> AsyncIterator[AsyncEngine]:
    """Open an engine for a URL and dispose of it; the folder of a SQLite file is made."""
    parsed = parse_url(url)
    from sqlalchemy import event
    from sqlalchemy.ext.asyncio import create_async_engine

    if parsed.get_backend_name() == "sqlite":
        _make_folder(parsed.database)
        engine = create_async_engine(parsed, connect_args={"timeout": _BUSY_SECONDS})
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    else:
        engine = create_async_engine(parsed, connect_args={"timeout": _CONNECT_SECONDS})
    try:
        yield engine
    finally:
        await engine.dispose()


def _make_folder(database: str | None) -> None:
    if database and database != ":memory:" and not database.startswith("file:"):
        folder = Path(database).parent
        with naming(folder, "make"):
            folder.mkdir(parents=True, exist_ok=True)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    # 64 MB of pages: random ids touch the whole index of a table. Larger pages, which only a new
    # database takes, make inserting a fifth cheaper.
    for pragma in ("page_size = 8192", "foreign_keys = ON", "cache_size = -65536"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
