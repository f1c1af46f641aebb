"""merchants.json: read and verified, written whole."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from payworld.errors import (
    StateCorruptError,
    StateError,
    StateGoneError,
    StateMissingError,
    StateNewerError,
    StorageError,
    UsageError,
)
from payworld.storage.files import read_bytes
from payworld.storage.reference import load_reference
from payworld.world.codec import FORMAT_VERSION, from_document, migrate, to_document
from payworld.world.state import World

__all__ = [
    "PREVIOUS",
    "STATE",
    "encode_state",
    "format_version",
    "read_state",
    "read_world",
    "state_checksum",
]

STATE = "merchants.json"
PREVIOUS = "merchants.previous.json"

_KEY = b'"checksum": "'
_BLANK = b"0" * 64
# The checksum is the file's first key, so that it is found without parsing.
_SEARCH = 200
SEARCH_VERSION = 400


def encode_state(world: World) -> bytearray:
    """Return the bytes of merchants.json; the checksum covers every other byte."""
    document = to_document(world, load_reference())
    data = bytearray(b'{\n  "checksum": "' + _BLANK + b'"')
    for key, value in document.items():
        data += b',\n  "' + key.encode() + b'": '
        if isinstance(value, Iterator):
            _add_pieces(data, value)
        else:
            data += _indented(value)
    data += b"\n}\n"
    at = data.index(_KEY) + len(_KEY)
    data[at : at + 64] = hashlib.sha256(data).hexdigest().encode()
    return data


def _indented(value: Any) -> bytes:
    """Return a value as JSON that stands one level down: no text holds a raw line feed."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).replace(b"\n", b"\n  ")


def _add_pieces(data: bytearray, pieces: Iterator[dict[str, Any]]) -> None:
    """Add one object that comes in pieces."""
    begun = False
    for piece in pieces:
        if piece:
            data += b"," if begun else b"{"
            # Without the piece's own braces.
            data += _indented(piece)[1 : -len(b"\n  }")]
            begun = True
    data += b"\n  }" if begun else b"{}"


def state_checksum(data: bytes | bytearray) -> str:
    """Return the checksum that a state file carries; StateCorruptError if it does not verify."""
    at = data.find(_KEY, 0, _SEARCH)
    if at < 0:
        raise StateCorruptError("it has no checksum")
    at += len(_KEY)
    given = data[at : at + 64]
    digest = hashlib.sha256(data[:at])
    digest.update(_BLANK)
    digest.update(memoryview(data)[at + 64 :])
    if given != digest.hexdigest().encode():
        raise StateCorruptError("its checksum does not match its content")
    return digest.hexdigest()


def format_version(data: bytes) -> int:
    """Return the format version that a state file names near its beginning; 0 if none."""
    match = re.search(rb'"format_version": ?([0-9]{1,6})', data[:SEARCH_VERSION])
    return int(match[1]) if match else 0


def _document(data: bytes | bytearray) -> dict[str, Any]:
    if not data.strip():
        raise StateCorruptError("it is empty")
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise StateCorruptError(f"it is not whole JSON: {error}") from error
    if not isinstance(document, dict):
        raise StateCorruptError("it is not a JSON object")
    if isinstance(version := document.get("format_version"), int) and version <= FORMAT_VERSION:
        # Before a migration reads it; of a newer format its own payworld is to judge.
        state_checksum(data)
    return migrate(document)


def read_world(data: bytes | bytearray) -> World:
    """Return the world of a state file's bytes; StateError says what is wrong."""
    try:
        return from_document(_document(data), load_reference())
    except UsageError as error:
        # A date in it that is none.
        raise StateCorruptError(str(error)) from error


def read_state(state_dir: Path) -> tuple[World, str]:
    """Return the world in a state folder and its checksum.

    Raises StateMissingError if there is none, another StateError, with the way out, if it does
    not verify.
    """
    path = state_dir / STATE
    try:
        path.lstat()
    except FileNotFoundError:
        if os.path.lexists(state_dir / PREVIOUS):
            raise StateGoneError(
                f"{STATE} is missing in {str(state_dir)!r}, but {PREVIOUS} is there: to go back to "
                "it: gen recover; to begin another world in its place: gen --initial --replace"
            ) from None
        raise StateMissingError(
            f"there is no world in {str(state_dir)!r} ({STATE} is missing); make one: "
            "gen --initial --start-date YYYY-MM-DD --end-date YYYY-MM-DD"
        ) from None
    except OSError as error:
        raise StorageError(f"cannot read {str(path)!r}: {error.strerror}") from error
    data = read_bytes(path)
    try:
        return read_world(data), state_checksum(data)
    except StateError as error:
        way_out = (
            ""
            if isinstance(error, StateNewerError)
            else " To go back to the last state that verifies: gen recover"
        )
        raise type(error)(
            f"{str(path)!r} cannot be used: {error}. Nothing was written.{way_out}"
        ) from error
