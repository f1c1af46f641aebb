"""Reads JSON that is laid out as gen finance writes it, column by column."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import orjson
import polars as pl

from payworld.storage.database import columnar
from payworld.storage.database.columnar import (
    FrameItem,
    Part,
    checked,
    done_in_order,
    pieces,
    require,
    with_times,
)
from payworld.storage.database.frames import Frame, dtype
from payworld.storage.database.records import column_names
from payworld.storage.finance_files import TABLES

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["read_document", "read_lines"]

_META, *_FIRST_LETTERS = (ord(table[0]) for table in ("meta", *TABLES))
_TABLE_KEY = b'{"table"'
_NEWLINE, _OPEN, _CLOSE = b"\n{}"
# Between two records of a document, and the same when its line breaks are tabs.
_BETWEEN = b"\n    },\n    {"
_TABBED_BETWEEN = b"\t    },\t    {"
_SPACE = b" \t\r\n"
_TO_TABS = bytes.maketrans(b"\n", b"\t")


def read_lines(path: Path) -> Iterator[FrameItem]:
    """Yield what a file of JSON Lines holds; UnusualError where it wants a closer look."""
    return done_in_order(_lines(path))


def read_document(path: Path) -> Iterator[FrameItem]:
    """Yield what a document holds that is indented by two spaces, in memory that does not grow."""
    return done_in_order(_document(path))


def _lines(path: Path) -> Iterator[Part]:
    metas = 0
    with path.open("rb") as file:
        for lines in pieces(file):
            for table, part in _by_table(lines):
                if table == "meta":
                    metas += 1
                    require(metas == 1)
                    yield partial(_meta_line, part)
                else:
                    yield partial(_parse_records, part, table, ("table",))
        require(file.tell())


def _by_table(lines: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the lines of each table; what lies between a line's ends is for the parser to check."""
    letters = np.frombuffer(lines, np.uint8)
    ends = np.append(np.flatnonzero(letters == _NEWLINE), len(letters))
    starts = np.append(0, ends[:-1] + 1)
    # Behind the quote after the key, with or without a space before it.
    letter_at = lines.find(b'"', len(_TABLE_KEY)) + 1
    require(lines.startswith(_TABLE_KEY) and letter_at <= len(_TABLE_KEY) + 3)
    require((ends - starts).min() > letter_at)
    require((letters[starts] == _OPEN).all() and (letters[ends - 1] == _CLOSE).all())
    kinds = letters[starts + letter_at]
    changes = np.flatnonzero(kinds[1:] != kinds[:-1]) + 1
    runs: dict[int, list[bytes]] = {_META: [], **{letter: [] for letter in _FIRST_LETTERS}}
    for first, end in pairwise((0, *changes.tolist(), len(kinds))):
        require(int(kinds[first]) in runs)
        runs[int(kinds[first])].append(lines[starts[first] : ends[end - 1]])
    for table, parts in zip(("meta", *TABLES), runs.values(), strict=True):
        if parts:
            yield table, b"\n".join(parts)


def _meta_line(text: bytes) -> dict[str, Any]:
    meta = _meta(text)
    require(meta.get("table") == "meta")
    return meta


def _meta(text: bytes) -> dict[str, Any]:
    meta = orjson.loads(text)
    require(isinstance(meta, dict))
    return dict(meta)


def _parse_records(lines: bytes, table: str, extra: tuple[str, ...] = ()) -> Frame:
    """Return the records of lines, each one object; the table's name stands in an extra key."""
    import pyarrow as pa
    from pyarrow import json

    # One object a line and none inside it: PyArrow takes several in one line, and crashes at
    # a null among them.
    n_lines = lines.count(b"\n") + 1
    require(lines.startswith(b"{") and lines.endswith(b"}"))
    require(lines.count(b"{") == lines.count(b"}") == n_lines)
    names = column_names(table)
    schema = pa.schema(
        [(name, pa.string()) for name in extra] + [(name, _arrow_type(name)) for name in names]
    )
    arrow = json.read_json(
        pa.BufferReader(lines),
        read_options=json.ReadOptions(use_threads=False, block_size=len(lines) + 1),
        parse_options=json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error"),
    )
    arrow.validate(full=True)
    rows = with_times(pl.DataFrame(arrow))
    require(len(rows) == n_lines)
    for name in extra:
        require((rows[name] == table).all() and not rows[name].null_count())
    return checked(table, rows)


def _arrow_type(name: str) -> pa.DataType:
    import pyarrow as pa

    # A time is a text in JSON.
    types = {pl.Boolean(): pa.bool_(), pl.Int64(): pa.int64(), pl.Float64(): pa.float64()}
    return types.get(dtype(name), pa.string())


def _document(path: Path) -> Iterator[Part]:
    with path.open("rb") as file:
        head, mark, text = file.read(columnar.PIECE_BYTES).partition(_opening(TABLES[0]))
        # What comes before the lists, as a document of its own.
        require(mark and (head == b"{" or head.endswith(b",")))
        document = _meta(head.removesuffix(b",") + b"}")
        require(set(document) <= {"meta"})
        if "meta" in document:
            meta = document["meta"]
            require(isinstance(meta, dict))
            yield partial(dict, meta)
        following = [b"," + _opening(table) for table in TABLES[1:]]
        for table, end in zip(TABLES, (*following, b"\n}"), strict=True):
            text = yield from _section(file, text, table, b"\n  ]" + end)
        require(not text.strip(_SPACE) and not file.read().strip(_SPACE))


def _opening(table: str) -> bytes:
    return b'\n  "%s": [\n' % table.encode()


def _section(file: BinaryIO, text: bytes, table: str, end: bytes) -> Generator[Part, None, bytes]:
    """Yield the records of a list until its end; return the text behind it."""
    while (at := text.find(end)) < 0:
        cut = text.rfind(_BETWEEN)
        if cut >= 0:
            yield partial(_parse_indented, text[: cut + len(b"\n    }")], table)
            text = text[cut + len(b"\n    },\n") :]
        more = file.read(columnar.PIECE_BYTES)
        require(more and len(text) <= columnar.PIECE_BYTES)
        text += more
    yield partial(_parse_indented, text[:at], table)
    return text[at + len(end) :]


def _parse_indented(records: bytes, table: str) -> Frame:
    # A line break inside a text is not JSON, and neither is a tab: the parser refuses both.
    lines = records.translate(_TO_TABS).replace(_TABBED_BETWEEN, b"\t}\n{").strip(b"\t ")
    return _parse_records(lines, table)
