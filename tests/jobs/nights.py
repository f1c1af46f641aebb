"""A landing zone that fills night by night, for every job: two months, then nights of all kinds."""

import json
import shutil
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path
from typing import Any

import polars as pl
from tests.builders import LIVELY_WORLD, MANIFEST, STATE, Folders, write_config
from tests.faults.driver import Ended, Fault, FaultServer, When

from payworld.schema import TRANSACTIONS
from payworld.storage.manifest import read_manifest
from payworld.storage.read import read_batches

FIRST_NIGHT = date(2024, 2, 29)
# Options of nights that follow each other, each on top of what went before.
CHANGES = (
    ["--compression", "gzip"],
    ["--layout", "hive"],
    ["--format", "parquet", "--compression", "none"],
)
# The payments of the second month in CSV, for who hurts them.
FEBRUARY = "transactions_2024-02-01_2024-02-29.csv"
MONEY = ("payment_amount", "transactional_cost_amount", "mdr_amount", "net_profit")


@dataclass(frozen=True)
class Night:
    """What the landing zone is after a run of gen; `days` are those that came with it."""

    name: str
    folders: Folders
    days: list[date]

    @property
    def manifest(self) -> list[dict[str, Any]]:
        """Return the files that the manifest lists."""
        document = read_manifest(self.folders.output)
        assert document is not None
        resources: list[dict[str, Any]] = document["resources"]
        return resources

    def rows(self, table: str) -> dict[str, int]:
        """Return the rows of each file of a table that has any, as the manifest tells."""
        return {f["path"]: f["rows"] for f in self.manifest if f["table"] == table and f["rows"]}

    def money(self) -> tuple[Decimal, ...]:
        """Return the sum of each column of MONEY over all payments, read without an engine."""
        sums = [
            batch.select(pl.col(MONEY).sum())
            for path in self.rows("transactions")
            for batch in read_batches(self.folders.output / path, TRANSACTIONS)
        ]
        return pl.concat(sums).sum().row(0)

    def history(self) -> set[tuple[str, int, date, date | None]]:
        """Return merchant, version and first and next version's first day from merchants.json."""
        state = json.loads((self.folders.state / STATE).read_bytes())
        found = set()
        for merchant, versions in state["merchants"].items():
            days = [date.fromisoformat(version["effective_date"]) for version in versions]
            for number, (start, end) in enumerate(zip_longest(days, days[1:]), start=1):
                found.add((merchant, number, start, end))
        return found


class Nights:
    """Runs gen on a world of its own, with the options given; lives for a test."""

    def __init__(self, faults: FaultServer, root: Path, *options: str) -> None:
        self._faults = faults
        self.folders = Folders(root)
        root.mkdir()
        config = write_config(root / "world.yaml", LIVELY_WORLD)
        self._options = ["-f", "--config", config, *options]

    def __iter__(self) -> Iterator[Night]:
        """Yield the landing zone after each run; take it before the next one begins."""
        yield self.begin()
        yield self.to(date(2024, 3, 1))
        yield self.to(date(2024, 3, 2))
        yield self._run("the same night again", _until(date(2024, 3, 2)))
        yield self.killed(date(2024, 3, 3), "write", ".transactions_")
        yield self.killed(date(2024, 3, 3), "rename", MANIFEST)
        yield self.to(date(2024, 3, 3))
        yield self.to(date(2024, 3, 4), date(2024, 3, 5))

    def begin(self) -> Night:
        """Begin the world, with two months."""
        command = ("--initial", "--start-date", "2024-01-01", "--end-date", FIRST_NIGHT.isoformat())
        return self._run("two months", command, FIRST_NIGHT)

    def to(self, *days: date, options: Sequence[str] = ()) -> Night:
        """Make these days in one run; options given here hold from now on."""
        self._options += options
        return self._run(f"{len(days)} nights, to {days[-1]}", _until(days[-1]), *days)

    def _run(self, name: str, command: tuple[str, ...], *days: date) -> Night:
        ended = self._gen(self.folders, command)
        assert ended.code == 0, ended.stderr
        return Night(name, self.folders, list(days))

    def killed(self, day: date, operation: str, path: str) -> Night:
        """Kill a run in its first such operation, found by a rehearsal in a copy."""
        command = _until(day)
        copy = Folders(self.folders.root.with_name(self.folders.root.name + "-rehearsal"))
        shutil.copytree(self.folders.root, copy.root)
        operations = self._gen(copy, command).operations
        shutil.rmtree(copy.root)
        at = next(
            number
            for number, (name, *paths) in enumerate(operations, start=1)
            if name in (operation, "replace") and Path(paths[-1]).name.startswith(path)
        )
        when: When = "torn" if operation == "write" else "before"
        ended = self._gen(self.folders, command, Fault(at, when))
        assert ended.code == -signal.SIGKILL
        return Night(f"killed in {operation} of {path}", self.folders, [])

    def _gen(self, folders: Folders, command: tuple[str, ...], fault: Fault | None = None) -> Ended:
        return self._faults.run(*command, *self._options, *folders.options, fault=fault)


def _until(day: date) -> tuple[str, ...]:
    return ("--incremental", "--date", day.isoformat())


def alter(path: Path) -> None:
    """Change the amount of a file's first payment: as many rows, and as many bytes."""
    lines = path.read_bytes().split(b"\n")
    at = lines[0].split(b",").index(b"payment_amount")
    values = lines[1].split(b",")
    values[at] = (b"1" if values[at][:1] == b"2" else b"2") + values[at][1:]
    lines[1] = b",".join(values)
    path.write_bytes(b"\n".join(lines))


def regenerate(faults: FaultServer, folders: Folders) -> None:
    """Make the files of the second month again."""
    days = ("--start-date", "2024-02-01", "--end-date", FIRST_NIGHT.isoformat())
    ended = faults.run("regenerate", *days, *folders.options)
    assert ended.code == 0, ended.stderr
