"""Reads database URLs, and shows them without their passwords."""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, NamedTuple

from payworld.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    from sqlalchemy import URL

__all__ = ["WAIT_SECONDS", "Address", "masked", "parse_url", "require"]

_EXPECTED = "expected sqlite+aiosqlite:///FILE or postgresql+asyncpg://USER@HOST:PORT/DATABASE"
_DRIVERS = {
    "sqlite": "aiosqlite",
    "sqlite+aiosqlite": "aiosqlite",
    "postgres": "asyncpg",
    "postgresql": "asyncpg",
    "postgresql+asyncpg": "asyncpg",
}
# Seconds to wait for a server to answer, or for another program to let go of what it locked.
WAIT_SECONDS = 10.0
# What follows the question mark: SQLite's own need uri=true; host and port may name a socket.
_SQLITE_PARAMETERS = frozenset({"mode", "cache", "immutable", "nolock", "psow", "vfs"})
_POSTGRES_PARAMETERS = frozenset({"host", "port", "user", "password", "passfile", "ssl"})
_TIMEOUTS = ("timeout", "connect_timeout")


class Address(NamedTuple):
    """A database as SQLAlchemy wants it: the URL, and what the driver takes besides."""

    url: URL
    connect_args: dict[str, Any]


def masked(url: str) -> str:
    """Return a database URL without its password, however wrong the URL is.

    >>> masked("postgresql://ann:secret@db.example/finance?password=secret")
    'postgresql://ann:***@db.example/finance?password=***'
    >>> masked("ann:secret"), masked("postgresql://ann:secret")
    ('ann:***', 'postgresql://ann:***')
    """
    url = re.sub(r"(?is)((?:password|passfile)\s*=\s*)[^&]*", r"\1***", url)
    if "//" not in url:
        return re.sub(r"(?s):.*", ":***", url)
    if "@" in url:
        return re.sub(r"(?s)(//[^:/@]*):.*@", r"\1:***@", url)
    # Without an @ the text after the colon is a port, or a password that was cut off.
    return re.sub(r"((?<!/)//[^:/?[]*):(?![0-9]*(?:[/?]|$))[^/?]*", r"\1:***", url)


def require(*packages: str) -> None:
    """Raise MissingExtraError if a package of the extra `db` is not installed."""
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise MissingExtraError(package, "db") from error


def _wrong(url: str, problem: str) -> UsageError:
    return UsageError(f"--database-url = {masked(url)!r}: {problem}")


def parse_url(url: str) -> Address:
    """Return the address with its asynchronous driver; UsageError for any other database."""
    require("sqlalchemy", "greenlet")
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise _wrong(url, f"not a database URL; {_EXPECTED}") from error
    driver = _DRIVERS.get(parsed.drivername)
    if driver is None:
        raise _wrong(url, f"{parsed.drivername!r} is not supported; {_EXPECTED}")
    require(driver)
    if driver == "aiosqlite":
        return _sqlite(url, parsed.set(drivername="sqlite+aiosqlite"))
    return _postgres(url, parsed.set(drivername="postgresql+asyncpg"))


def _sqlite(url: str, parsed: URL) -> Address:
    if parsed.host or parsed.username:
        raise _wrong(url, "a SQLite file has no host; write three slashes before its name")
    path = parsed.database or ""
    is_memory = path in ("", ":memory:", "file::memory:") or parsed.query.get("mode") == "memory"
    if is_memory:
        raise _wrong(
            url, "names no file: a database in memory is gone when the command ends; " + _EXPECTED
        )
    is_uri = str(parsed.query.get("uri", "")).lower() in ("true", "1", "yes", "on")
    known = _SQLITE_PARAMETERS if is_uri else frozenset[str]()
    _check_parameters(url, parsed, known | {"uri", "timeout"})
    timeout = _timeout(url, parsed)
    return Address(parsed.difference_update_query(_TIMEOUTS), {"timeout": timeout})


def _postgres(url: str, parsed: URL) -> Address:
    if not parsed.database:
        raise _wrong(url, f"names no database; {_EXPECTED}")
    if "@" in f"{parsed.host}{parsed.database}":
        raise _wrong(url, "has more than one @; in a user, password or name write it as %40")
    if parsed.port is not None and not 0 < parsed.port < 65_536:
        raise _wrong(url, f"{parsed.port} is no port; expected 1 to 65535")
    extra = {"sslmode", "application_name", *_TIMEOUTS}
    _check_parameters(url, parsed, _POSTGRES_PARAMETERS | extra)
    connect_args: dict[str, Any] = {"timeout": _timeout(url, parsed)}
    # The names that PostgreSQL's own library has for them, as hosting services print them.
    if mode := parsed.query.get("sslmode"):
        connect_args["ssl"] = mode
    settings = {}
    if name := parsed.query.get("application_name"):
        settings["application_name"] = str(name)
    if "timeout" in parsed.query:
        settings["lock_timeout"] = str(max(round(connect_args["timeout"] * 1000), 1))
    if settings:
        connect_args["server_settings"] = settings
    return Address(parsed.difference_update_query(extra), connect_args)


def _check_parameters(url: str, parsed: URL, known: Collection[str]) -> None:
    for name, value in parsed.query.items():
        if name not in known:
            names = ", ".join(sorted(known))
            raise _wrong(url, f"the parameter {name!r} is not supported; known are {names}")
        if not isinstance(value, str):
            raise _wrong(url, f"the parameter {name!r} stands there twice")


def _timeout(url: str, parsed: URL) -> float:
    for name in _TIMEOUTS:
        if (text := parsed.query.get(name)) is not None:
            try:
                seconds = float(str(text))
            except ValueError:
                seconds = math.nan
            if not 0 < seconds <= 86_400:
                raise _wrong(url, f"{name} = {text!r}: expected seconds, above 0 to 86,400")
            return seconds
    return WAIT_SECONDS
