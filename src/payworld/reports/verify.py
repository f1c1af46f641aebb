"""Do the files hold what the manifest, the state and the laws say? In bounded memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from payworld.engine.replay import rules_by_era
from payworld.errors import StorageError
from payworld.reports.laws import PaymentLaws
from payworld.schema import MERCHANTS, TRANSACTIONS
from payworld.storage.files import file_sha256, other_than_file
from payworld.storage.manifest import SUMMED, check_same_world
from payworld.storage.read import read_batches
from payworld.storage.reference import load_reference
from payworld.storage.style import check_inside, data_files
from payworld.synthesis.frames import merchants_frame
from payworld.timeline import Period, iso, parse_date
from payworld.world.state import World

__all__ = ["Breach", "Report", "verify"]

# Breaches told of one file; the rest are counted.
TOLD = 20
LAST_PAID = "last_transaction_date"


@dataclass(frozen=True)
class Breach:
    """One thing that is not as it should be. `row` counts data rows from 1; 0: the whole file."""

    file: str
    row: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}{f', row {self.row:,}' if self.row else ''}: {self.what}"


@dataclass
class Report:
    """What a verification found; lives until it is printed. `files` counts those that were read."""

    files: int = 0
    missing: int = 0
    rows: int = 0
    breaches: list[Breach] = field(default_factory=list)
    untold: int = 0

    def add(self, file: str, row: int, what: str) -> None:
        """Note a breach; beyond some for a file it is counted alone."""
        if sum(breach.file == file for breach in self.breaches) < TOLD:
            self.breaches.append(Breach(file, row, what))
        else:
            self.untold += 1

    @property
    def total(self) -> int:
        """Return the number of breaches."""
        return len(self.breaches) + self.untold


def _check_bytes(report: Report, path: Path, resource: dict[str, Any]) -> bool:
    """Check a file against its entry in the manifest; returns whether it can be read on."""
    name = resource["path"]
    if not os.path.lexists(path):
        report.missing += 1
        report.add(name, 0, "the file is missing; make it again with gen regenerate")
        return False
    if kind := other_than_file(path):
        report.add(name, 0, f"a {kind} stands in place of the file; gen regenerate moves it aside")
        return False
    report.files += 1
    size = path.stat().st_size
    if size != resource["bytes"]:
        report.add(name, 0, f"{size:,} bytes; the manifest says {resource['bytes']:,}")
    if f"sha256:{file_sha256(path)}" != resource["hash"]:
        report.add(name, 0, "its SHA-256 is not the manifest's: the content was changed")
    return True


def _check_way(report: Report, output_dir: Path, name: str) -> bool:
    """Return whether the folders on the way to a file are folders, not links to elsewhere."""
    try:
        check_inside(output_dir, name)
    except StorageError as error:
        report.add(name, 0, str(error))
        return False
    return True


def _period(resource: dict[str, Any]) -> Period:
    start, end = resource["period"]["start"], resource["period"]["end"]
    return Period(parse_date(start, "period.start"), parse_date(end, "period.end"))


def _check_merchants(
    report: Report, path: Path, resource: dict[str, Any], world: World, laws: PaymentLaws
) -> None:
    """Check a merchants file against the history in the state, and the payments that were read."""
    period = _period(resource)
    expected = merchants_frame(_as_of(world, laws), period, load_reference().places)
    found = pl.concat(list(read_batches(path, MERCHANTS)) or [expected.clear()])
    report.rows += len(found)
    if len(found) != len(expected):
        report.add(resource["path"], 0, f"{len(found):,} rows; the state has {len(expected):,}")
        return
    for column in expected.columns:
        source = "state says"
        wrong = found[column].ne_missing(expected[column])
        if column == LAST_PAID:
            source = "payments say"
            if not laws.knows_through(period.end):
                # It lies between the last payment that was read and the file's end.
                late = found[column] > date.fromordinal(period.end)
                early = found[column].fill_null(date.min) < expected[column]
                wrong = (late | early).fill_null(value=False)
        for row in wrong.arg_true().head(TOLD).to_list():
            value, should = found[column][row], expected[column][row]
            report.add(resource["path"], row + 1, f"{column} = {value}; the {source} {should}")


def _as_of(world: World, laws: PaymentLaws) -> World:
    """Return the world with the latest payments as the files tell of them so far."""
    last_paid = laws.last_paid.astype(world.merchants.last_paid.dtype)
    return replace(world, merchants=replace(world.merchants, last_paid=last_paid))


def _check_coverage(report: Report, periods: list[Period], world: World) -> None:
    """Check that the payments' files tell of every day once."""
    day = world.start_day
    for period in sorted(periods):
        if period.start > day:
            gap = f"{iso(day)} to {iso(period.start - 1)}"
            report.add("datapackage.json", 0, f"no file tells of {gap}")
        elif period.start < day:
            report.add("datapackage.json", 0, f"two files tell of {iso(period.start)}")
        day = max(day, period.end + 1)
    if day <= world.last_day:
        gap = f"{iso(day)} to {iso(world.last_day)}"
        report.add("datapackage.json", 0, f"no file tells of {gap}")


def _payments(path: Path, report: Report, name: str) -> Iterator[pl.DataFrame]:
    try:
        yield from read_batches(path, TRANSACTIONS)
    except StorageError as error:
        report.add(name, 0, str(error))


def _check_payments(report: Report, path: Path, resource: dict[str, Any], laws: PaymentLaws) -> int:
    """Check a file's payments one by one and together; returns how many there are."""
    name, rows = resource["path"], 0
    sums = dict.fromkeys(SUMMED, Decimal("0.00"))
    for batch in _payments(path, report, name):
        for row, what in laws.check(batch, _period(resource), TOLD):
            report.add(name, rows + row + 1, what)
        rows += len(batch)
        sums = {column: total + Decimal(batch[column].sum()) for column, total in sums.items()}
    report.rows += rows
    if rows != resource["rows"]:
        laws.end_file(resource["rows"])
        report.add(name, 0, f"{rows:,} rows; the manifest says {resource['rows']:,}")
    for column, told in resource.get("sums", {}).items():
        if (found := str(sums.get(column))) != told:
            report.add(name, 0, f"{column} adds up to {found}; the manifest says {told}")
    return rows


def _check_file(
    report: Report, output_dir: Path, resource: dict[str, Any], world: World, laws: PaymentLaws
) -> int:
    """Check one file; returns the payments that it holds."""
    name, period, path = resource["path"], _period(resource), output_dir / resource["path"]
    is_payments = resource["table"] == "transactions"
    if period.end > world.last_day:
        last = iso(world.last_day)
        report.add(name, 0, f"it tells of days after {last}, the last that the world has lived")
        return 0
    if is_payments:
        laws.begin_file(period)
    if not (_check_way(report, output_dir, name) and _check_bytes(report, path, resource)):
        laws.end_file(int(resource["rows"]) if is_payments else 0)
        return 0
    if not is_payments:
        try:
            _check_merchants(report, path, resource, world, laws)
        except StorageError as error:
            report.add(name, 0, str(error))
        return 0
    return _check_payments(report, path, resource, laws)


def verify(
    world: World, output_dir: Path, on_file: Callable[[str], None] = lambda _name: None
) -> Report:
    """Return what is wrong with the files of a world: against manifest, state and laws.

    Memory does not grow with the files. Raises StorageError if the manifest cannot be read.
    """
    report = Report()
    manifest = check_same_world(output_dir, world)
    if manifest is None:
        report.add("datapackage.json", 0, f"it is missing in {str(output_dir)!r}")
        return report
    # Merchants after the payments of their period: those tell the day of the last one.
    resources = sorted(
        manifest["resources"],
        key=lambda r: (r["period"]["end"], r["table"] == "merchants", r["path"]),
    )
    reference = load_reference()
    laws = PaymentLaws(world, rules_by_era(world, reference), reference)
    payments = 0
    for resource in resources:
        on_file(resource["path"])
        payments += _check_file(report, output_dir, resource, world, laws)
    listed = {resource["path"] for resource in resources}
    for name in sorted(data_files(output_dir) - listed):
        report.add(name, 0, "it is not in the manifest, but readers of the folder would take it")
    transactions = [_period(r) for r in resources if r["table"] == "transactions"]
    _check_coverage(report, transactions, world)
    if not report.total and payments != world.total_transactions:
        report.add(
            "merchants.json",
            0,
            f"total_transactions = {world.total_transactions:,}; the files hold {payments:,}",
        )
    return report
