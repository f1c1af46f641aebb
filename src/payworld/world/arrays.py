"""Array types, and the freezing that keeps a World immutable."""

from __future__ import annotations

from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["BoolArray", "ByteArray", "FloatArray", "Int32Array", "IntArray", "frozen"]

IntArray: TypeAlias = NDArray[np.int64]
Int32Array: TypeAlias = NDArray[np.int32]
FloatArray: TypeAlias = NDArray[np.float64]
BoolArray: TypeAlias = NDArray[np.bool_]
ByteArray: TypeAlias = NDArray[np.uint8]

A = TypeVar("A", bound=np.ndarray)


def frozen(array: A) -> A:
    """Return the same array, made read-only: a World never changes under its reader."""
    array.setflags(write=False)
    return array
