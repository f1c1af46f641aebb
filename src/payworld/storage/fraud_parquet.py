"""One Parquet file from row groups that any process may have encoded.

A row group is encoded as a small Parquet file of its own. The whole file is their data one
after another, and one footer with all row groups, their offsets moved to where the data went.
So the bytes do not depend on who encoded what.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from payworld.storage.thrift import Struct, field, read_struct, write_struct

__all__ = ["RowGroupJoiner", "encode_row_group"]

_MAGIC = b"PAR1"
# Field numbers of parquet.thrift.
_NUM_ROWS, _ROW_GROUPS = 3, 4
_COLUMNS, _GROUP_ROWS, _GROUP_OFFSET, _ORDINAL = 1, 3, 5, 7
_CHUNK_OFFSET, _CHUNK_META = 2, 3
_PAGE_OFFSETS = (9, 10, 11)
_STRUCT = 12

# A dictionary of every card of a row group is worth keeping: its hashes do not compress.
_DICTIONARY_BYTES = 64 << 20


def encode_row_group(table: pa.Table, schema: pa.Schema, row_group: int = 1 << 30) -> pa.Buffer:
    """Return a table as the bytes of a Snappy Parquet file.

    `schema` has the types that readers see; columns may come as dictionaries of them.
    """
    sink = pa.BufferOutputStream()
    encoded = [
        name for name in table.column_names if pa.types.is_dictionary(table.schema.field(name).type)
    ]
    typed = pa.schema(
        [pa.field(f.name, table.schema.field(f.name).type, f.nullable) for f in schema]
    )
    with pq.ParquetWriter(
        sink,
        typed,
        compression="snappy",
        use_dictionary=encoded,
        dictionary_pagesize_limit=_DICTIONARY_BYTES,
        store_schema=False,
    ) as writer:
        writer.write_table(pa.Table.from_arrays(table.columns, schema=typed), row_group)
    return sink.getvalue()


def _footer(fragment: memoryview) -> tuple[bytes, int]:
    """Return a Parquet file's footer, and where its data ends."""
    (size,) = struct.unpack("<I", fragment[-8:-4])
    end = len(fragment) - 8 - size
    return bytes(fragment[end : end + size]), end


def _moved(group: Struct, by: int, ordinal: int) -> bytes:
    """Return a row group's entry with its offsets moved."""
    columns = field(group, _COLUMNS)
    chunks: Sequence[Struct] = columns[2][1] if columns is not None else ()
    for chunk in chunks:
        meta = field(chunk, _CHUNK_META)
        entries = [field(chunk, _CHUNK_OFFSET)]
        entries += [field(meta[2], number) for number in _PAGE_OFFSETS] if meta else []
        for entry in entries:
            # 0 means "not told" where a chunk's metadata is in the footer alone.
            if entry is not None and entry[2] > 0:
                entry[2] += by
    if (offset := field(group, _GROUP_OFFSET)) is not None:
        offset[2] += by
    if (number := field(group, _ORDINAL)) is not None:
        # It has 16 bits; readers do without where there are more row groups than that.
        number[2] = min(ordinal, 32_767)
    return write_struct(group)


def _rows(group: Struct) -> int:
    rows = field(group, _GROUP_ROWS)
    return rows[2] if rows is not None else 0


class RowGroupJoiner:
    """Writes fragments as one Parquet file; lives for a file.

    `told` are the bytes that an earlier one told when it had written `size` bytes: the file goes
    on after them.
    """

    def __init__(
        self,
        write: Callable[[memoryview | bytes], None],
        size: int = 0,
        told: Sequence[bytes] = (),
    ) -> None:
        self._write = write
        # The footer of the first fragment, then the entries of all row groups.
        self._told = list(told)
        self._new = len(told)
        self.rows = sum(_rows(read_struct(group)) for group in told[1:])
        self._at = size
        if not size:
            write(_MAGIC)
            self._at = len(_MAGIC)

    def add(self, fragment: memoryview) -> None:
        """Append the row groups of a fragment."""
        raw, end = _footer(fragment)
        if not self._told:
            self._told.append(raw)
        groups = field(read_struct(raw), _ROW_GROUPS)
        for group in groups[2][1] if groups is not None else ():
            self.rows += _rows(group)
            self._told.append(_moved(group, self._at - len(_MAGIC), len(self._told) - 1))
        self._write(fragment[len(_MAGIC) : end])
        self._at += end - len(_MAGIC)

    def tell(self) -> tuple[bytes, ...]:
        """Return what the footer needs of the row groups since it was told last."""
        new = tuple(self._told[self._new :])
        self._new = len(self._told)
        return new

    def finish(self) -> None:
        """Write the footer: the file is whole."""
        if not self._told:
            raise ValueError("a Parquet file needs a row group")
        footer, groups = read_struct(self._told[0]), self._told[1:]
        for number, value in ((_NUM_ROWS, self.rows), (_ROW_GROUPS, (_STRUCT, groups))):
            entry = field(footer, number)
            if entry is not None:
                entry[2] = value
        data = write_struct(footer)
        self._write(data + struct.pack("<I", len(data)) + _MAGIC)
