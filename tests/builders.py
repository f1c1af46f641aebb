"""Builders that tests share: folders of a world, small configurations, what is on the disk."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from payworld import Day, Simulation
from payworld.storage.state_file import encode_state, read_world
from payworld.world.birth import draw_name_pools
from payworld.world.state import NamePools

STATE = "merchants.json"
MANIFEST = "datapackage.json"
# The state before the last commit: how many commits a run makes is a matter of time.
PREVIOUS = "merchants.previous.json"

SMALL_WORLD: dict[str, Any] = {"initial_merchants": 40}

# So much happens in it that a few weeks hold every kind of event.
LIVELY_WORLD: dict[str, Any] = {
    "initial_merchants": 40,
    "monthly_growth_rate": 0.6,
    "max_new_merchants_per_month": 60,
    "monthly_churn_rate": 0.4,
    "max_churned_merchants_per_month": 40,
    "attribute_change_multiplier": 20.0,
    "card_store_probability": 0.2,
    "max_stored_cards": 150,
}


@dataclass(frozen=True)
class Folders:
    """Where a world lives in a test."""

    root: Path

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def output(self) -> Path:
        return self.root / "raw_data"

    @property
    def options(self) -> list[str]:
        """Return the options that name the folders."""
        return ["--state-dir", str(self.state), "--output-dir", str(self.output)]

    def digests(self) -> dict[str, str]:
        """Return the SHA-256 of every file of both folders, but the state before the last one."""
        return {
            name: digest
            for folder in (self.state, self.output)
            for name, digest in digests(folder).items()
            if name != f"{folder.name}/{PREVIOUS}"
        }

    def names(self) -> set[str]:
        """Return the names of the published data files."""
        return {path.name for path in self.output.glob("*_*_*.*") if path.name[0] != "."}


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file in a folder, hidden ones too, by relative name."""
    if not folder.exists():
        return {}
    return {
        str(path.relative_to(folder.parent)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def stats(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Return inode, mtime and size of every file and folder, hidden ones too."""
    found = {}
    for path in sorted(folder.rglob("*")):
        stat = path.lstat()
        # A folder's own times move when a lock's note comes and goes in it.
        found[str(path)] = (stat.st_ino, stat.st_mtime_ns if path.is_file() else 0, stat.st_size)
    return found


def write_config(path: Path | str, keys: Mapping[str, Any]) -> str:
    """Write configuration keys as YAML (JSON is YAML); returns the path."""
    Path(path).write_text(json.dumps(keys), encoding="utf-8")
    return str(path)


def period(start: str, end: str) -> list[str]:
    """Return the options of a period."""
    return ["--start-date", start, "--end-date", end]


def transaction_lines(output: Path) -> list[bytes]:
    """Return the rows of all transactions files, in order of the files' periods."""
    lines: list[bytes] = []
    for path in sorted(output.glob("transactions_*.csv")):
        lines += path.read_bytes().splitlines()[1:]
    return lines


def merchant_versions(output: Path) -> list[dict[str, str]]:
    """Return the versions of all merchants files without last_transaction_date."""
    import csv

    rows = []
    for path in sorted(output.glob("merchants_*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            rows += list(csv.DictReader(file))
    for row in rows:
        del row["last_transaction_date"]
    return rows


_POOLS: dict[int, NamePools] = {}


def pools_once(seed: int) -> NamePools:
    """Return the name pools of a seed, made once a process: they cost more than a small world."""
    if seed not in _POOLS:
        _POOLS[seed] = draw_name_pools(seed)
    return _POOLS[seed]


def days_between(start: date, end: date) -> Iterator[date]:
    """Yield every date from start to end, both included."""
    while start <= end:
        yield start
        start += timedelta(days=1)


def reopened(simulation: Simulation) -> Simulation:
    """Return the simulation as another process would find it: written down and read again."""
    return Simulation(read_world(encode_state(simulation.world)))


def csv_text(days: Iterable[Day]) -> bytes:
    """Return the payments of days as one plain CSV."""
    frame = pl.concat([day.transactions() for day in days])
    return frame.write_csv(datetime_format="%Y-%m-%dT%H:%M:%S").encode()
