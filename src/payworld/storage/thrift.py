"""Thrift's compact protocol, as far as Parquet footers need it: read, change, write again.

A struct is a list of [field id, type, value]; a list is a pair of its element type and its
values. What a reader here does not know by name goes through unchanged.
"""

from __future__ import annotations

from typing import Any

__all__ = ["Struct", "field", "read_struct", "write_struct"]

Struct = list[list[Any]]

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_INTEGERS = (4, 5, 6)


class _Reader:
    """A place in a footer's bytes; lives while they are read."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def raw(self, size: int) -> bytes:
        self.at += size
        return self.data[self.at - size : self.at]

    def unsigned(self) -> int:
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def signed(self) -> int:
        value = self.unsigned()
        return value >> 1 ^ -(value & 1)

    def value(self, kind: int) -> Any:
        if kind in (_TRUE, _FALSE):
            return None
        if kind in _INTEGERS:
            return self.signed()
        if kind == _BINARY:
            return self.raw(self.unsigned())
        if kind in (_LIST, _SET):
            return self.elements()
        if kind == _STRUCT:
            return self.struct()
        if kind == _DOUBLE:
            return self.raw(8)
        if kind == _BYTE:
            return self.byte()
        raise ValueError(f"a Parquet footer with a Thrift type {kind}")

    def elements(self) -> tuple[int, list[Any]]:
        head = self.byte()
        size = head >> 4 if head >> 4 != 15 else self.unsigned()
        kind = head & 15
        if kind in (_TRUE, _FALSE):
            return kind, [self.byte() for _ in range(size)]
        return kind, [self.value(kind) for _ in range(size)]

    def struct(self) -> Struct:
        fields: Struct = []
        number = 0
        while head := self.byte():
            number = number + (head >> 4) if head >> 4 else self.signed()
            fields.append([number, head & 15, self.value(head & 15)])
        return fields


def _unsigned(out: bytearray, value: int) -> None:
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def _signed(out: bytearray, value: int) -> None:
    _unsigned(out, value << 1 if value >= 0 else (-value << 1) - 1)


def _write_value(out: bytearray, kind: int, value: Any) -> None:
    if kind in (_TRUE, _FALSE):
        return
    if kind in _INTEGERS:
        _signed(out, value)
    elif kind == _BINARY:
        _unsigned(out, len(value))
        out += value
    elif kind in (_LIST, _SET):
        _write_elements(out, *value)
    elif kind == _STRUCT:
        out += write_struct(value)
    elif kind == _DOUBLE:
        out += value
    else:
        out.append(value)


def _write_elements(out: bytearray, kind: int, values: list[Any]) -> None:
    if len(values) < 15:
        out.append(len(values) << 4 | kind)
    else:
        out.append(0xF0 | kind)
        _unsigned(out, len(values))
    for value in values:
        if kind in (_TRUE, _FALSE):
            out.append(value)
        elif isinstance(value, bytes | bytearray) and kind == _STRUCT:
            # A struct that was written before.
            out += value
        else:
            _write_value(out, kind, value)


def read_struct(data: bytes) -> Struct:
    """Return the struct of its compact bytes."""
    return _Reader(data).struct()


def write_struct(struct: Struct) -> bytes:
    """Return the compact bytes of a struct.

    >>> write_struct(read_struct(bytes.fromhex("1502260400"))).hex()
    '1502260400'
    """
    out = bytearray()
    before = 0
    for number, kind, value in struct:
        if 0 < number - before < 16:
            out.append(number - before << 4 | kind)
        else:
            out.append(kind)
            _signed(out, number)
        before = number
        _write_value(out, kind, value)
    out.append(0)
    return bytes(out)


def field(struct: Struct, number: int) -> list[Any] | None:
    """Return the entry [id, type, value] of a field, to read or to change; None if not there."""
    return next((entry for entry in struct if entry[0] == number), None)
