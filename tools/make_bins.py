"""Make, or check, the table of card BINs: `src/payworld/storage/data/card_bins.csv`.

    python3.11 tools/make_bins.py            # write the table
    python3.11 tools/make_bins.py --check    # exit code 1 and a list of faults, or 0

A BIN here is the first six digits of a card number: it fixes brand, type and issuer. The
numbers are synthetic: a 64-bit hash draws each one inside its brand's public range. None is
copied from a BIN list, so a real BIN of the same digits may belong to someone else.

The table depends on nothing but the constants below: no seed, no clock, no network.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import defaultdict
from fractions import Fraction
from hashlib import blake2b
from math import isqrt
from pathlib import Path
from typing import NamedTuple

TABLE_PATH = Path(__file__).parents[1] / "src/payworld/storage/data/card_bins.csv"
HEADER = "bin,brand,card_type,issuer,weight"
GROUP_WEIGHT = 10_000
MAX_ISSUER_LENGTH = 20
MIN_ROWS, MAX_ROWS = 250, 350
MIN_BINS = 2
PER_MILLE, PERCENT = 1000, 100

TypeAndBrand = tuple[str, str]


class BinRange(NamedTuple):
    """Six-digit numbers of a brand, both ends included, and the percent of its BINs there."""

    first: int
    last: int
    share_percent: int


class BinRow(NamedTuple):
    """One row of the table; `weight` is parts of 10,000 within its (card_type, brand)."""

    bin: str
    brand: str
    card_type: str
    issuer: str
    weight: int


# The ranges are the ones the networks publish (ISO/IEC 7812 prefixes), without Discover's
# partner ranges (UnionPay, JCB, Diners). The percents are our own rounded estimates: the older
# prefixes carry most US cards; a draw uniform over the digits would hide 6011 altogether.
BRAND_RANGES: dict[str, tuple[BinRange, ...]] = {
    "Visa": (BinRange(400_000, 499_999, 100),),
    "Mastercard": (BinRange(510_000, 559_999, 85), BinRange(222_100, 272_099, 15)),
    "Amex": (BinRange(370_000, 379_999, 90), BinRange(340_000, 349_999, 10)),
    "Discover": (
        BinRange(601_100, 601_199, 60),
        BinRange(650_000, 659_999, 30),
        BinRange(644_000, 649_999, 10),
    ),
}

# Per mille of US purchase transactions within (card_type, brand). Every figure is our own
# rounded estimate: it follows the rough order of issuer rankings such as the Nilson Report's
# and of issuers' public statements about the brand they issue, but copies no published number.
# Small issuers stand for the long tail. How much each type and brand weighs is configuration.
ISSUER_PER_MILLE: dict[TypeAndBrand, dict[str, int]] = {
    ("debit", "Visa"): {
        "Chase": 200, "Bank of America": 185, "Wells Fargo": 165, "PNC": 55, "U.S. Bank": 50,
        "Truist": 50, "Navy Federal": 50, "TD Bank": 40, "USAA": 35, "Regions": 30,
        "Bancorp": 30, "Stride Bank": 20, "M&T Bank": 15, "First Citizens": 12, "SECU": 10,
        "Woodforest": 10, "Charles Schwab": 8, "Zions": 7, "PenFed": 6, "Synovus": 6,
        "First Horizon": 6, "Frost Bank": 6, "Arvest": 4,
    },
    ("debit", "Mastercard"): {
        "Capital One": 230, "Citi": 130, "Fifth Third": 110, "Citizens": 100, "Huntington": 80,
        "KeyBank": 75, "BMO": 65, "Santander": 60, "Bancorp": 40, "SoFi": 30, "Ally": 25,
        "BECU": 15, "Golden 1": 12, "Comerica": 10, "Webster Bank": 8, "HSBC": 5,
        "SchoolsFirst": 5,
    },
    ("credit", "Visa"): {
        "Chase": 370, "Bank of America": 150, "Capital One": 90, "Wells Fargo": 80, "Citi": 75,
        "U.S. Bank": 75, "Navy Federal": 40, "USAA": 30, "Credit One": 20, "PNC": 12,
        "TD Bank": 12, "Truist": 10, "FNBO": 8, "PenFed": 5, "Merrick Bank": 5,
        "Synchrony": 5, "Bread Financial": 4, "Regions": 4, "Barclays": 3, "M&T Bank": 2,
    },
    ("credit", "Mastercard"): {
        "Capital One": 310, "Citi": 290, "Barclays": 90, "Synchrony": 75, "Goldman Sachs": 60,
        "Bank of America": 55, "Chase": 35, "Bread Financial": 30, "Fifth Third": 12,
        "First Premier": 10, "Citizens": 10, "BMO": 6, "KeyBank": 5, "Huntington": 4,
        "U.S. Bank": 4, "Wells Fargo": 4,
    },
    # Amex and Discover issue nearly all of their own cards.
    ("credit", "Amex"): {"American Express": 970, "Navy Federal": 20, "FNBO": 10},
    ("credit", "Discover"): {"Discover": 980, "Synchrony": 20},
    # Prepaid cards come from the few banks behind programmes such as wallets and benefit cards.
    ("prepaid", "Visa"): {
        "Sutton Bank": 300, "Green Dot": 200, "Pathward": 170, "Bancorp": 120, "U.S. Bank": 80,
        "Bank of America": 50, "Fifth Third": 20, "Stride Bank": 20, "PNC": 15,
        "Central Bank": 15, "Wells Fargo": 10,
    },
    ("prepaid", "Mastercard"): {
        "Pathward": 320, "Green Dot": 180, "Comerica": 170, "Bancorp": 110, "Fifth Third": 50,
        "Sutton Bank": 50, "U.S. Bank": 40, "Cross River": 30, "Republic Bank": 25,
        "KeyBank": 25,
    },
}  # fmt: skip


def mix(*parts: str | int) -> int:
    """Return a 64-bit hash of the parts, equal on every platform and Python version.

    >>> mix("Chase", "Visa", 0) == mix("Chase", "Visa", 0) != mix("Chase", "Visa", 1)
    True
    """
    text = "|".join(map(str, parts))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def bin_count(per_mille: int) -> int:
    """Return how many BINs an issuer has in a group: they grow with the root of its share.

    >>> [bin_count(share) for share in (4, 60, 200, 970)]
    [2, 3, 5, 12]
    """
    # isqrt, not sqrt: integers leave nothing to a platform's rounding.
    return max(isqrt(per_mille // 6), MIN_BINS)


def pick_range(brand: str, key: int) -> BinRange:
    """Return the range of the brand at percentile `key % 100` of its BINs."""
    percentile = key % PERCENT
    for bin_range in BRAND_RANGES[brand]:
        if percentile < bin_range.share_percent:
            return bin_range
        percentile -= bin_range.share_percent
    raise ValueError(f"BRAND_RANGES[{brand!r}]: share_percent must sum to 100")


def pick_bin(product: tuple[str, str, str], index: int, taken: set[int]) -> int:
    """Return a BIN not in `taken` for the index-th BIN of (card_type, brand, issuer)."""
    attempt = 0
    while True:
        bin_range = pick_range(product[1], mix(*product, index, attempt, "range"))
        width = bin_range.last - bin_range.first + 1
        number = bin_range.first + mix(*product, index, attempt, "number") % width
        if number not in taken:
            return number
        attempt += 1


def apportion(shares: list[Fraction], total: int) -> list[int]:
    """Return whole parts of `total` nearest to the shares (largest remainder, ties to first).

    >>> apportion([Fraction(1), Fraction(1), Fraction(1)], 100)
    [34, 33, 33]
    """
    whole = sum(shares)
    exact = [share * total / whole for share in shares]
    parts = [int(value) for value in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: parts[i] - exact[i])
    for i in by_remainder[: total - sum(parts)]:
        parts[i] += 1
    return parts


def bin_shares(per_mille: int) -> list[Fraction]:
    """Return the share of each BIN of one issuer, per mille: the k-th weighs 1/k of the first.

    Our own choice: most of an issuer's payments come from its one or two largest products.
    """
    raw = [Fraction(1, k) for k in range(1, bin_count(per_mille) + 1)]
    whole = sum(raw)
    return [per_mille * share / whole for share in raw]


def build_rows() -> list[BinRow]:
    """Return the whole table sorted by BIN; a BIN taken by an earlier product is redrawn."""
    taken: set[int] = set()
    rows = []
    for (card_type, brand), issuers in ISSUER_PER_MILLE.items():
        shares = [(issuer, s) for issuer, mille in issuers.items() for s in bin_shares(mille)]
        weights = apportion([share for _, share in shares], GROUP_WEIGHT)
        index: defaultdict[str, int] = defaultdict(int)
        for (issuer, _), weight in zip(shares, weights, strict=True):
            number = pick_bin((card_type, brand, issuer), index[issuer], taken)
            index[issuer] += 1
            taken.add(number)
            rows.append(BinRow(str(number), brand, card_type, issuer, weight))
    return sorted(rows)


def render(rows: list[BinRow]) -> bytes:
    """Return the table as CSV: UTF-8, LF; no field ever needs a quote."""
    lines = [HEADER, *(",".join(map(str, row)) for row in rows)]
    return ("\n".join(lines) + "\n").encode()


def parse(data: bytes) -> list[BinRow]:
    """Return the rows of a rendered table; ValueError where its form is wrong."""
    text = data.decode("utf-8")
    if "\r" in text or '"' in text or not text.endswith("\n"):
        raise ValueError("expected LF line ends, a final LF and no quotes")
    header, *lines = text.removesuffix("\n").split("\n")
    if header != HEADER:
        raise ValueError(f"header is {header!r}, expected {HEADER!r}")
    rows = []
    for number, line in enumerate(lines, start=2):
        fields = line.split(",")
        if len(fields) != len(BinRow._fields) or not re.fullmatch(r"[1-9][0-9]*", fields[-1]):
            raise ValueError(f"line {number}: {line!r}; expected {HEADER}, a positive weight")
        number_text, brand, card_type, issuer, weight = fields
        rows.append(BinRow(number_text, brand, card_type, issuer, int(weight)))
    return rows


def row_faults(row: BinRow) -> list[str]:
    """Return what is wrong with one row by itself."""
    faults = []
    if (row.card_type, row.brand) not in ISSUER_PER_MILLE:
        faults.append(f"{row}: no such card_type and brand")
    ranges = BRAND_RANGES.get(row.brand, ())
    if not re.fullmatch(r"[0-9]{6}", row.bin):
        faults.append(f"{row}: bin must be six digits")
    elif not any(r.first <= int(row.bin) <= r.last for r in ranges):
        faults.append(f"{row}: bin is outside the ranges of its brand")
    if len(row.issuer) > MAX_ISSUER_LENGTH or not re.fullmatch(
        r"[A-Za-z0-9.&]+( [A-Za-z0-9.&]+)*", row.issuer
    ):
        faults.append(f"{row}: issuer must be at most {MAX_ISSUER_LENGTH} plain characters")
    if row.weight < 1:
        faults.append(f"{row}: weight must be at least 1")
    return faults


def table_faults(rows: list[BinRow]) -> list[str]:
    """Return what is wrong with the table: its rows, order, size, groups and products."""
    faults = [fault for row in rows for fault in row_faults(row)]
    bins = [row.bin for row in rows]
    if bins != sorted(set(bins)):
        faults.append("bins must be unique and ascending")
    if not MIN_ROWS <= len(rows) <= MAX_ROWS:
        faults.append(f"{len(rows)} rows; expected {MIN_ROWS} to {MAX_ROWS}")
    group_weights = dict.fromkeys(ISSUER_PER_MILLE, 0)
    product_bins: defaultdict[tuple[str, str, str], int] = defaultdict(int)
    for row in rows:
        group = (row.card_type, row.brand)
        group_weights[group] = group_weights.get(group, 0) + row.weight
        product_bins[(*group, row.issuer)] += 1
    faults += [
        f"{group}: weights sum to {weight}; expected {GROUP_WEIGHT}"
        for group, weight in group_weights.items()
        if weight != GROUP_WEIGHT
    ]
    faults += [
        f"{product}: {count} BINs; expected at least {MIN_BINS}"
        for product, count in product_bins.items()
        if count < MIN_BINS
    ]
    return faults


def constant_faults() -> list[str]:
    """Return what is wrong with the constants of this file."""
    faults = [
        f"ISSUER_PER_MILLE[{group}] sums to {sum(issuers.values())}; expected {PER_MILLE}"
        for group, issuers in ISSUER_PER_MILLE.items()
        if sum(issuers.values()) != PER_MILLE
    ]
    return faults + [
        f"BRAND_RANGES[{brand!r}]: share_percent must sum to 100"
        for brand, ranges in BRAND_RANGES.items()
        if sum(r.share_percent for r in ranges) != PERCENT
    ]


def file_faults(path: Path) -> list[str]:
    """Return what is wrong with the table on disk, staleness against this script included."""
    try:
        data = path.read_bytes()
        faults = table_faults(parse(data))
    except (OSError, ValueError) as error:
        return [str(error)]
    if data != render(build_rows()):
        faults.append("the file is not what this script makes")
    return faults


def main() -> int:
    """Write or check the table; return the exit code."""
    parser = argparse.ArgumentParser(description="Make or check the table of card BINs.")
    parser.add_argument("--check", action="store_true", help="check the file; write nothing")
    only_check = parser.parse_args().check
    faults = constant_faults()
    if not faults:
        faults = file_faults(TABLE_PATH) if only_check else table_faults(build_rows())
    if faults:
        print(*faults, sep="\n", file=sys.stderr)
        remedy = "run tools/make_bins.py without --check" if only_check else "nothing was written"
        print(f"{TABLE_PATH}: {len(faults)} fault(s); {remedy}", file=sys.stderr)
        return 1
    if not only_check:
        TABLE_PATH.parent.mkdir(parents=True, exist_ok=True)
        TABLE_PATH.write_bytes(render(build_rows()))
    print(f"{TABLE_PATH}: {'ok' if only_check else 'written'}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
