"""Measures `gen finance` against its bars; `python benchmarks/finance.py --help` tells more.

Every figure is of a process of its own: CPU seconds (user and system, start-up included), wall
seconds and peak memory. The exit code is 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

AS_OF = "2025-11-03"
CPU_SECONDS = 10.0
ROWS_A_SECOND = 100_000
MEMORY_RATIO = 1.15


class Cost(NamedTuple):
    """What a process took."""

    cpu_seconds: float
    wall_seconds: float
    peak_megabytes: float


def measure(*arguments: str) -> Cost:
    """Run `gen finance` with arguments and return what it took."""
    command = [sys.executable, "-m", "payworld.finance", "--quiet", *arguments]
    if arguments[0] == "load":
        command = [sys.executable, "-m", "payworld.finance", *arguments, "--quiet"]
    began = time.monotonic()
    process = subprocess.Popen(command)  # this very program
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    cpu = usage.ru_utime + usage.ru_stime
    # Linux counts KiB, macOS bytes.
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return Cost(cpu, time.monotonic() - began, usage.ru_maxrss / unit)


def show(name: str, value: str, bar: str, met: bool) -> bool:
    """Print one line of the report; return whether the bar is met."""
    sys.stdout.write(f"{name:<58}{value:>24}   {bar:<20}{'ok' if met else 'MISSED'}\n")
    return met


def make(folder: Path, users: int, file_format: str, name: str = "all") -> Cost:
    """Make a file or folder of users and return what it took."""
    return measure(
        *("--num-users", str(users), "--as-of", AS_OF),
        *("--format", file_format, "--output", str(folder / f"{name}-{file_format}")),
    )


def generate(folder: Path, users: int, file_format: str) -> bool:
    """Measure the making of a file, and its memory against a quarter of the users."""
    few = make(folder, users // 4, file_format, "few")
    cost = make(folder, users, file_format)
    name = f"{users:,} users to {file_format}"
    bar = CPU_SECONDS * users / 10_000
    ratio = cost.peak_megabytes / few.peak_megabytes
    fast = show(
        name, f"{cost.cpu_seconds:.2f} CPU-seconds", f"at most {bar:g}", cost.cpu_seconds <= bar
    )
    flat = show(
        f"{name}: memory to that of a quarter",
        f"{cost.peak_megabytes:.0f} MB, x {ratio:.2f}",
        f"at most x {MEMORY_RATIO}",
        ratio <= MEMORY_RATIO,
    )
    return fast and flat


def load(folder: Path, file_format: str) -> bool:
    """Measure a load into a new SQLite database, validation and start-up included."""
    path = folder / f"all-{file_format}"
    database = folder / f"{file_format}.db"
    cost = measure("load", str(path), "--database-url", f"sqlite+aiosqlite:///{database}")
    rows = sum(counts(path, file_format).values())
    speed = rows / cost.wall_seconds
    # On a busy machine the clock counts what others do, the CPU time does not.
    show(
        f"{file_format} into SQLite: {rows:,} rows, by CPU time",
        f"{rows / cost.cpu_seconds:,.0f} rows/CPU-second",
        "for information",
        True,
    )
    return show(
        f"{file_format} into SQLite: {rows:,} rows, by the clock",
        f"{speed:,.0f} rows/s",
        f"at least {ROWS_A_SECOND:,}",
        speed >= ROWS_A_SECOND,
    )


def counts(path: Path, file_format: str) -> dict[str, int]:
    """Return the rows of each table, as the meta object of a file or folder says."""
    if file_format == "json":
        meta = json.loads(path.read_bytes())["meta"]
    elif path.is_dir():
        meta = json.loads((path / "meta.json").read_text())
    else:
        with path.open(encoding="utf-8") as lines:
            meta = json.loads(lines.readline())
    found: dict[str, int] = meta["counts"]
    return found


def main() -> int:
    """Measure everything and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=10_000)
    users = parser.parse_args().users
    with tempfile.TemporaryDirectory(prefix="payworld-bench-") as name:
        folder = Path(name)
        met = [generate(folder, users, file_format) for file_format in ("jsonl", "parquet")]
        for file_format in ("json", "csv"):
            make(folder, users, file_format)
        met += [load(folder, file_format) for file_format in ("parquet", "jsonl", "json", "csv")]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
