"""A small world that lives through two months and several nights, and what its files hold."""

import csv
import gzip
import io
import json
import shutil
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tests.builders import LIVELY_WORLD, MANIFEST, STATE, Folders, period, write_config
from tests.faults.driver import Ended, Fault, FaultServer

from payworld.schema import TABLES, Column

# Tens of merchants, and every kind of event.
WORLD = {**LIVELY_WORLD, "initial_merchants": 12, "max_new_merchants_per_month": 8}
MONEY = ("payment_amount", "transactional_cost_amount", "mdr_amount", "net_profit")
INITIAL = ("--initial", *period("2024-01-01", "2024-02-29"))
# By day: nights, a catch-up of five days, another night, and a catch-up over the month's end.
NIGHTS = ("2024-03-01", "2024-03-02", "2024-03-03", "2024-03-08", "2024-03-09", "2024-04-02")
TWICE, KILLED = "2024-03-02", "2024-03-03"


@dataclass(frozen=True)
class NightlyWorld:
    """A world in a folder of its own; lives for a test."""

    faults: FaultServer
    folders: Folders
    options: tuple[str, ...] = ()

    def gen(self, *command: str, fault: Fault | None = None) -> Ended:
        self.folders.root.mkdir(exist_ok=True)
        config = write_config(self.folders.root / "world.yaml", WORLD)
        return self.faults.run(
            *command, "-f", "-q", "--config", config, *self.options, *self.folders.options,
            fault=fault,
        )  # fmt: skip

    def begin(self) -> None:
        ended = self.gen(*INITIAL)
        assert ended.code == 0, ended.stderr

    def night(self, day: str) -> None:
        ended = self.gen("--incremental", "--date", day)
        assert ended.code == 0, ended.stderr

    def killed_night(self, day: str) -> None:
        """Kill a run when its files have their final names, and the manifest knows nothing."""
        counted = NightlyWorld(self.faults, self.copied("counted"), self.options)
        operations = counted.gen("--incremental", "--date", day).operations
        at = next(
            number
            for number, (name, *paths) in enumerate(operations, start=1)
            if name in ("rename", "replace") and paths[-1].endswith(f"/{MANIFEST}")
        )
        before = Landing(self.folders).files()
        ended = self.gen("--incremental", "--date", day, fault=Fault(at))
        assert ended.code == -9
        assert Landing(self.folders).files() == before
        assert [path for path in self.folders.output.rglob("transactions_*") if day in path.name]

    def copied(self, name: str) -> Folders:
        """Return the world once more, in a folder beside this one."""
        root = self.folders.root.with_name(f"{self.folders.root.name} {name}")
        shutil.copytree(self.folders.root, root)
        return Folders(root)

    def lives(self) -> Iterator["Landing"]:
        """Live two months and the nights; yields a copy after each run, a killed one too."""
        self.begin()
        yield self._as_of("two months")
        for day in NIGHTS:
            if day == KILLED:
                self.killed_night(day)
                yield self._as_of(f"{day} killed")
            self.night(day)
            yield self._as_of(day)
            if day == TWICE:
                self.night(day)
                yield self._as_of(f"{day} again")

    def _as_of(self, done: str) -> "Landing":
        return Landing(self.copied(done))


_READ: dict[tuple[str, str], list[tuple[Any, ...]]] = {}


@dataclass(frozen=True)
class Landing:
    """What a world has published so far; lives for a test."""

    folders: Folders

    @property
    def raw_data(self) -> Path:
        return self.folders.output

    def files(self, table: str = "") -> list["Published"]:
        document = json.loads((self.raw_data / MANIFEST).read_bytes())
        found = [Published(self.raw_data, resource) for resource in document["resources"]]
        return [file for file in found if table in ("", file.table)]

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        """Return the rows of all published files of a table, in order, typed by hand."""
        rows = []
        for file in self.files(table):
            # Files never change: each is read once.
            if (file.table, file.hash) not in _READ:
                _READ[file.table, file.hash] = file.rows()
            rows += _READ[file.table, file.hash]
        return rows

    def money(self) -> dict[str, Decimal]:
        """Return the sums of the money columns over the published files."""
        places = {name: TABLES["transactions"].names.index(name) for name in MONEY}
        rows = self.rows("transactions")
        return {name: sum((row[at] for row in rows), Decimal(0)) for name, at in places.items()}

    def history(self) -> "History":
        return History(json.loads((self.folders.state / STATE).read_bytes())["merchants"])


@dataclass(frozen=True)
class Published:
    """A file that the manifest names; lives for a look at it."""

    folder: Path
    resource: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.resource["path"])

    @property
    def table(self) -> str:
        return str(self.resource["table"])

    @property
    def hash(self) -> str:
        return str(self.resource["hash"])

    @property
    def end(self) -> date:
        return date.fromisoformat(self.resource["period"]["end"])

    @property
    def count(self) -> int:
        return int(self.resource["rows"])

    def rows(self) -> list[tuple[Any, ...]]:
        """Return the rows; CSV by Python's own reader, each value by hand."""
        path = self.folder / self.name
        columns = TABLES[self.table].columns
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            return list(zip(*(table[column.name].to_pylist() for column in columns), strict=True))
        with _open_text(path) as file:
            lines = csv.reader(file, strict=True)
            assert next(lines) == [column.name for column in columns]
            return [
                tuple(value(column, text) for column, text in zip(columns, line, strict=True))
                for line in lines
            ]


def _open_text(path: Path) -> Any:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    if path.suffix == ".zst":
        data = pa.CompressedInputStream(pa.OSFile(str(path)), "zstd").read()
        return io.StringIO(data.decode("utf-8"), newline="")
    return path.open(encoding="utf-8", newline="")


_PARSERS: dict[str, Callable[[str], Any]] = {
    "decimal": Decimal,
    "integer": int,
    "date": date.fromisoformat,
    "datetime": datetime.fromisoformat,
}


def value(column: Column, text: str | None) -> Any:
    """Return the value of a text in a column; empty is null."""
    return _PARSERS.get(column.type, str)(text) if text else None


@dataclass(frozen=True)
class History:
    """The merchants of merchants.json with all their versions; lives for a look at it."""

    merchants: dict[str, list[dict[str, Any]]]

    def dimension(self) -> list[dict[str, Any]]:
        """Return what an SCD type 2 dimension has to be: every column, and the validity."""
        rows = []
        for _, versions in sorted(self.merchants.items()):
            days = [date.fromisoformat(version["effective_date"]) for version in versions]
            for version, day, until in zip(versions, days, [*days[1:], None], strict=True):
                typed = {
                    column.name: version[column.name]
                    if column.type == "integer"
                    else value(column, version[column.name])
                    for column in TABLES["merchants"].columns
                }
                validity = {"valid_from": day, "valid_to": until, "is_current": until is None}
                rows.append(typed | validity)
        return rows

    @cached_property
    def _days(self) -> dict[str, list[str]]:
        return {
            merchant: [version["effective_date"] for version in versions]
            for merchant, versions in self.merchants.items()
        }

    def version_on(self, merchant: str, day: date) -> int:
        """Return the number of the version in force on a day."""
        at = bisect_right(self._days[merchant], day.isoformat()) - 1
        return int(self.merchants[merchant][at]["version"])
