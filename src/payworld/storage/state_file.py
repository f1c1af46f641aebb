"""merchants.json: read and verified, written whole."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
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
from payworld.storage.appended import writing
from payworld.storage.files import naming, read_bytes
from payworld.storage.reference import load_reference
from payworld.world.codec import FORMAT_VERSION, migrate, to_document
from payworld.world.decode import from_document
from payworld.world.state import World

__all__ = [
    "PREVIOUS",
    "STATE",
    "encode_state",
    "format_version",
    "read_state",
    "read_world",
    "state_checksum",
    "state_pieces",
    "way_out",
    "write_state",
]

STATE = "merchants.json"
PREVIOUS = "merchants.previous.json"

_KEY = b'"checksum": "'
_BLANK = b"0" * 64
_HEAD = b"{\n  " + _KEY
_CHECKSUM_AT = len(_HEAD)
# The checksum is the file's first key, so that it is found without parsing.
_SEARCH = 200
SEARCH_VERSION = 400


def encode_state(world: World) -> bytearray:
    """Return the bytes of merchants.json; the checksum covers every other byte."""
    data = bytearray().join(state_pieces(world))
    data[_CHECKSUM_AT : _CHECKSUM_AT + 64] = hashlib.sha256(data).hexdigest().encode()
    return data


def write_state(path: Path, pieces: Iterable[bytes]) -> str:
    """Write a state from its pieces under a work name, durably; returns its checksum."""
    with writing(path) as file:
        checksum = file.append_all(pieces)
        file.overwrite(_CHECKSUM_AT, checksum.encode())
    return checksum


def state_pieces(world: World) -> Iterator[bytes]:
    """Yield the bytes of merchants.json in order, the checksum still blank."""
    yield _HEAD + _BLANK + b'"'
    for key, value in to_document(world, load_reference()).items():
        yield b',\n  "' + key.encode() + b'": '
        if isinstance(value, Iterator):
            yield from _object_pieces(value)
        else:
            yield _indented(value)
    yield b"\n}\n"


def _indented(value: Any) -> bytes:
    """Return a value as JSON that stands one level down: no text holds a raw line feed."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).replace(b"\n", b"\n  ")


def _object_pieces(pieces: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    """Yield one object that comes in pieces."""
    begun = False
    for piece in pieces:
        if piece:
            # Without the piece's own braces.
            yield (b"," if begun else b"{") + _indented(piece)[1 : -len(b"\n  }")]
            begun = True
    yield b"\n  }" if begun else b"{}"


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
                f"{STATE} is missing in {str(state_dir)!r}, but {PREVIOUS} is there. "
                f"{way_out(state_dir)}"
            ) from None
        raise StateMissingError(
            f"there is no world in {str(state_dir)!r} ({STATE} is missing); make one: "
            "gen --initial --start-date YYYY-MM-DD --end-date YYYY-MM-DD"
        ) from None
    except OSError as error:
        with naming(path, "read"):
            raise error from None
    data = read_bytes(path)
    try:
        return read_world(data), state_checksum(data)
    except StateError as error:
        out = "" if isinstance(error, StateNewerError) else f" {way_out(state_dir)}"
        message = f"{str(path)!r} cannot be used: {error}. Nothing was written.{out}"
        raise type(error)(message) from error


def way_out(state_dir: Path) -> str:
    """Return what helps where merchants.json cannot be read: it depends on the state before it."""
    begin = "begin another world in its place: gen --initial --replace"
    if not os.path.lexists(state_dir / PREVIOUS):
        return (
            f"There is no {PREVIOUS} beside it to go back to: restore {STATE} from a backup, or "
            f"{begin}"
        )
    try:
        read_world(read_bytes(state_dir / PREVIOUS))
    except (StateError, StorageError) as error:
        return (
            f"{PREVIOUS} does not verify either: {error}. Restore one of the two from a backup, or "
            f"{begin}"
        )
    return f"To go back to the last state that verifies: gen recover; to {begin}"
