"""A file of every table that payworld writes, as CSV and as Parquet, for tests of schemas."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tests.builders import LIVELY_WORLD, Folders, period, write_config
from tests.gen_server import GenServer

from payworld.reports.tables import find_tables
from payworld.schema import Table

NAMES = (
    "merchants", "transactions", "payments", "users", "accounts", "finance.transactions",
)  # fmt: skip
PRODUCTS = ("world", "fraud", "finance")
ROWS = 400


@dataclass(frozen=True)
class Written:
    """One table as payworld wrote it: the same rows as CSV and as Parquet."""

    csv: Path
    parquet: Path

    @property
    def rows(self) -> int:
        return int(pq.read_metadata(self.parquet).num_rows)


def write_tables(server: GenServer, root: Path) -> dict[str, Written]:
    """Return a file of every table, written by the real commands."""
    found: dict[str, dict[str, Path]] = {name: {} for name in NAMES}
    config = write_config(root / "world.yaml", LIVELY_WORLD)
    for kind in ("csv", "parquet"):
        folders = Folders(root / kind)
        run = ["-f", "-q", "--config", config, "--format", kind, *folders.options]
        assert server.run("--initial", *period("2024-01-29", "2024-01-31"), *run).code == 0
        for name in ("merchants", "transactions"):
            found[name][kind] = folders.output / f"{name}_2024-01-29_2024-01-31.{kind}"
        out = root / kind / "fraud"
        stream = ["--rows", str(ROWS), "--num-workers", "1", "--run-date", "2024-05-06"]
        assert server.run("fraud", *stream, "--format", kind, "--out", out).code == 0
        (found["payments"][kind],) = (out / "payments").rglob(f"*.{kind}")
        out = root / kind / "finance"
        users = ["--num-users", "8", "--as-of", "2025-11-03", "-q"]
        assert server.run("finance", *users, "--format", kind, "--output", out).code == 0
        for name in ("users", "accounts", "finance.transactions"):
            found[name][kind] = out / f"{name.rpartition('.')[2]}.{kind}"
    return {name: Written(**paths) for name, paths in found.items()}


def table_of(name: str) -> Table:
    (table,) = find_tables(name).tables
    return table


def typed_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a Parquet file as Python values; instants have microseconds."""
    table = pq.read_table(path)
    for at, field in enumerate(table.schema):
        if field.type == pa.timestamp("ns", "UTC"):
            micros = table[field.name].cast(pa.timestamp("us", "UTC"), safe=False)
            table = table.set_column(at, field.name, micros)
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows
