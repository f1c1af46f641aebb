"""Card numbers that exist only as hashes: Luhn-valid, of the schemes' test ranges."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from payworld.datasets.fraud_stream.texts import hex_digits
from payworld.randomness import hash_bits
from payworld.world.arrays import ByteArray, IntArray

__all__ = ["SCHEMES", "card_numbers", "hash_numbers"]

# Each scheme's published test prefix, share of cards, and digits of a number.
SCHEMES = ("VISA", "MASTERCARD", "AMEX", "DISCOVER")
SCHEME_SHARES = (0.52, 0.33, 0.09, 0.06)
_PREFIXES = (400000, 555555, 378282, 601111)
_DIGITS = (16, 16, 15, 16)

# Coprime with 10, so that multiplying by it permutes the account numbers.
_STEP = 387_420_489


def card_numbers(seed: int, ordinals: IntArray, scheme: int) -> ByteArray:
    """Return one distinct number per card of a scheme, as digits 0 to 9, shape (n, digits).

    The last digit makes it valid by Luhn (ISO/IEC 7812-1, annex B).
    """
    digits = _DIGITS[scheme]
    room = 10 ** (digits - 7)
    first = int(hash_bits(seed, "fraud.card_number", np.array([scheme]))[0] % np.uint64(room))
    account = (ordinals * _STEP + first) % room
    number = _PREFIXES[scheme] * room + account
    places = 10 ** np.arange(digits - 2, -1, -1, dtype=np.int64)
    payload = (number[:, None] // places % 10).astype(np.uint8)
    doubled = payload[:, ::-1].copy()
    doubled[:, ::2] *= 2
    doubled -= (doubled > 9) * np.uint8(9)
    check = (10 - doubled.sum(axis=1) % 10) % 10
    return np.column_stack([payload, check.astype(np.uint8)])


def hash_numbers(numbers: ByteArray) -> NDArray[np.uint32]:
    """Return the SHA-256 of each number's ASCII digits in hexadecimal, shape (n, 16)."""
    width = numbers.shape[1]
    text = (numbers + ord("0")).astype(np.uint8).tobytes()
    sha256 = hashlib.sha256
    digests = b"".join(
        [sha256(text[at : at + width]).digest() for at in range(0, len(text), width)]
    )
    words = np.frombuffer(digests, ">u8").astype(np.uint64)
    return hex_digits(words).reshape(-1, 16)
