"""NumPy arrays as Arrow arrays without a copy.

Built from buffers: `pa.array` imports pandas, even for a list, a third of a second for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from payworld.world.arrays import BoolArray

__all__ = ["bitmap", "booleans", "dictionary", "numbers", "strings"]

_TYPES = {
    np.dtype(np.int8): pa.int8(), np.dtype(np.int16): pa.int16(), np.dtype(np.int32): pa.int32(),
    np.dtype(np.int64): pa.int64(), np.dtype(np.float64): pa.float64(),
}  # fmt: skip


def bitmap(present: BoolArray | None) -> pa.Buffer | None:
    """Return Arrow's validity bits of a mask; None for no mask."""
    return None if present is None else pa.py_buffer(np.packbits(present, bitorder="little"))


def numbers(
    values: np.ndarray, present: BoolArray | None = None, kind: pa.DataType | None = None
) -> pa.Array:
    """Return numbers as an Arrow array, null where not present."""
    buffers = [bitmap(present), pa.py_buffer(np.ascontiguousarray(values))]
    return pa.Array.from_buffers(kind or _TYPES[values.dtype], len(values), buffers)


def booleans(values: BoolArray) -> pa.Array:
    """Return truth values as an Arrow array."""
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, bitmap(values)])


def strings(values: Sequence[str]) -> pa.Array:
    """Return texts as an Arrow string array.

    >>> strings(["a", "bc"]).to_pylist()
    ['a', 'bc']
    """
    encoded = [value.encode() for value in values]
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    return pa.StringArray.from_buffers(
        len(values), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))
    )


def dictionary(
    codes: np.ndarray, values: pa.Array, present: BoolArray | None = None
) -> pa.DictionaryArray:
    """Return codes of values as an Arrow dictionary array, null where not present."""
    return pa.DictionaryArray.from_arrays(numbers(codes, present), values)
