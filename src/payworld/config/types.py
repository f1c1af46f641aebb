"""Field types that the configuration models share: strict numbers, shares, ranges, texts."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict

__all__ = [
    "AmountRange",
    "Count",
    "CountRange",
    "Destination",
    "Factor",
    "Number",
    "Rate4",
    "RateRange",
    "Section",
    "Share",
    "ShareRange",
    "Switch",
    "Text",
    "is_plain_text",
]

T = TypeVar("T", int, float)

# What pandas.read_csv takes for a missing value unless told otherwise: such a name would not
# read back equal.
_READ_AS_NULL = frozenset(
    [
        "#n/a",
        "#n/a n/a",
        "#na",
        "-1.#ind",
        "-1.#qnan",
        "-nan",
        "1.#ind",
        "1.#qnan",
        "<na>",
        "n/a",
        "na",
        "nan",
        "none",
        "null",
    ]
)

# What DuckDB, pandas or Polars take for a truth value, a number or a date where a whole column
# is such.
_READ_AS_OTHER = re.compile(
    r"t|f|y|n|true|false|yes|no|on|off"
    r"|inf|infinity|nan\(.*\)|[0-9][0-9_,.]*e[-+]?[0-9]+|0[xbo][0-9a-f_]+"
    r"|epoch|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*",
    re.ASCII,
)


# What makes DuckDB, which guesses a file's dialect from its text, take an apostrophe for the quote
# or a backslash for the escape, and with it misread rows that hold none.
_TAKEN_FOR_QUOTE = re.compile(r"^'|'$|,'|',")
_TAKEN_FOR_ESCAPE = re.compile(r"\\(\"|$)")


class Section(BaseModel):
    """A part of the configuration: frozen, unknown keys rejected; lives for a run."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=False)


def _rising(bounds: tuple[T, T]) -> tuple[T, T]:
    if bounds[0] > bounds[1]:
        raise ValueError(f"the range is upside down: {bounds[0]} > {bounds[1]}")
    return bounds


def _decimals(digits: int) -> AfterValidator:
    def check(value: float) -> float:
        if abs(value * 10**digits - round(value * 10**digits)) > 1e-6:
            raise ValueError(f"at most {digits} decimals")
        return value

    return AfterValidator(check)


def is_plain_text(text: str) -> str:
    """Return the text if every CSV reader gives it back as it is; ValueError says why not."""
    for char in text:
        if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}:
            raise ValueError(f"control or formatting character U+{ord(char):04X} is not allowed")
    if text != text.strip() or not text:
        raise ValueError("must not be empty or begin or end with white space")
    if text[0] in "=+-@":
        raise ValueError(f"must not begin with {text[0]!r}: spreadsheets would run it as a formula")
    if _TAKEN_FOR_QUOTE.search(text):
        raise ValueError(
            "an apostrophe must not stand at the beginning, at the end or beside a comma: readers "
            "take it for the quote of the file"
        )
    if _TAKEN_FOR_ESCAPE.search(text):
        raise ValueError(
            "a backslash must not stand at the end or before a double quote: readers take it for "
            "the escape of the file"
        )
    if text.lower() in _READ_AS_NULL:
        raise ValueError("readers take this word for a missing value")
    if not any(char.isalpha() for char in text) or _READ_AS_OTHER.fullmatch(text.lower()):
        raise ValueError("must hold a letter, and not read as a number, a date or a truth value")
    return text


# S3 allows 3 to 63 lower-case characters; other stores allow more.
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}")
# An object's key has 1,024 bytes at most, and a file's name must fit in.
_PREFIX_BYTES = 800


def _destination(text: str) -> str:
    """Return an address in object storage without the slashes at its end; empty: none.

    >>> _destination("s3://lake/raw/")
    's3://lake/raw'
    """
    if not text:
        return ""
    scheme, _, rest = text.partition("://")
    if scheme != "s3":
        raise ValueError("expected s3://bucket/prefix")
    bucket, _, prefix = rest.partition("/")
    if "@" in bucket or ":" in bucket:
        raise ValueError("credentials do not belong here: give them by AWS_PROFILE or the like")
    if not _BUCKET.fullmatch(bucket):
        raise ValueError(
            "expected s3://bucket/prefix, the bucket's name of 2 to 63 letters, digits, '.', '_', "
            "'-'"
        )
    prefix = prefix.rstrip("/")
    if prefix and any(part in {"", ".", ".."} for part in prefix.split("/")):
        raise ValueError("the prefix has an empty part, '.' or '..'; expected s3://bucket/a/b")
    if any(char in "?#\\" or unicodedata.category(char)[0] == "C" for char in prefix):
        raise ValueError("'?', '#', backslashes and control characters are not allowed")
    if len(prefix.encode()) > _PREFIX_BYTES:
        raise ValueError(f"the prefix is longer than {_PREFIX_BYTES} bytes")
    return f"s3://{bucket}/{prefix}".rstrip("/")


Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Count = Annotated[int, Strict()]
Switch = Annotated[bool, Strict()]
Share = Annotated[float, Strict(), Field(ge=0, le=1, allow_inf_nan=False)]
Factor = Annotated[float, Strict(), Field(ge=0, le=100, allow_inf_nan=False)]
Rate4 = Annotated[float, Strict(), Field(ge=0, le=1, allow_inf_nan=False), _decimals(4)]
_Cents = Annotated[float, Strict(), Field(ge=0.01, le=1_000_000, allow_inf_nan=False), _decimals(2)]
_Payments = Annotated[int, Strict(), Field(ge=1, le=10_000)]
Text = Annotated[str, Strict(), Field(min_length=1, max_length=100), AfterValidator(is_plain_text)]

ShareRange = Annotated[tuple[Share, Share], AfterValidator(_rising)]
Destination = Annotated[str, Strict(), AfterValidator(_destination)]
RateRange = Annotated[tuple[Rate4, Rate4], AfterValidator(_rising)]
AmountRange = Annotated[tuple[_Cents, _Cents], AfterValidator(_rising)]
CountRange = Annotated[tuple[_Payments, _Payments], AfterValidator(_rising)]
