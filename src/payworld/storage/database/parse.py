"""Parses JSON: fast, or slowly where a message shall show a number as the file has it."""

from __future__ import annotations

import json
from typing import Any

import orjson

from payworld.errors import StorageError

__all__ = ["BOM", "EXPECTED", "Literal", "parse_json"]

EXPECTED = "users, accounts and transactions"
BOM = b"\xef\xbb\xbf"
# How files begin that are taken for JSON by their names.
_OTHER_KINDS = {
    b"\x1f\x8b": "is compressed by gzip; unpack it first",
    b"(\xb5/\xfd": "is compressed by zstd; unpack it first",
    b"PK\x03\x04": "is a zip archive; unpack it first",
    b"SQLite format 3\0": "is a SQLite database; expected a file that gen finance wrote",
    b"PAR1": "is Parquet; let its name be that of its table, as in users.parquet",
}
# Digits and sign of the longest number of 64 bits: a longer one is kept as it is written.
_LONGEST = 20


class Literal(str):
    """A number that no column holds, as it is written: NaN, 1e999, a thousand digits."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def parse_json(
    data: bytes,
    source: str,
    line: int | None = None,
    as_written: bool = False,
    expected: str = EXPECTED,
) -> Any:
    """Return parsed JSON; StorageError tells an encoding that is not UTF-8 from bad JSON.

    A number that JSON or 64 bits do not hold is a Literal, so that the check of its field can
    name it. Where only some digits would be lost it is one with `as_written` alone.

    Args:
        data: the text.
        source: the file, for messages.
        line: the number of the data's first line, if it is one of a file of many documents.
        as_written: whether large numbers are kept as the file has them.
        expected: what an empty text should have held.
    """
    data = data.removeprefix(BOM)
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        problem = error
    else:
        return _with_literals(data)[0] if as_written else document
    for mark, kind in _OTHER_KINDS.items():
        if data.startswith(mark):
            raise StorageError(f"{source}: {kind}") from problem
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:1000]:
        raise StorageError(f"{source}: looks like UTF-16 or UTF-32; save it as UTF-8") from problem
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise StorageError(
            f"{source}: {'' if line is None else f'line {line:,}, '}byte {error.start:,} is not "
            "UTF-8; save the file as UTF-8"
        ) from problem
    if not data.strip():
        raise StorageError(f"{source}: is empty; expected {expected}")
    try:
        document, literals = _with_literals(data)
        # Python reads half of a pair of surrogates too, which no encoding holds.
        orjson.dumps(document)
    except (TypeError, ValueError, RecursionError):
        document, literals = None, []
    if literals:
        return document
    raise StorageError(
        f"{source}: line {problem.lineno + (line or 1) - 1:,}, column {problem.colno}: not JSON: "
        f"{problem.msg}"
    ) from problem


def _with_literals(data: bytes) -> tuple[Any, list[Literal]]:
    """Return a document of Python's own parser, and the numbers in it that are Literals."""
    literals: list[Literal] = []

    def keep(text: str) -> Literal:
        literals.append(Literal(text))
        return literals[-1]

    def whole(text: str) -> int | Literal:
        return int(text) if len(text) <= _LONGEST else keep(text)

    def number(text: str) -> float | Literal:
        value = float(text)
        return value if abs(value) < float("inf") else keep(text)

    document = json.loads(data, parse_constant=keep, parse_int=whole, parse_float=number)
    return document, literals
