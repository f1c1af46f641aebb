"""Measures gen fraud: CPU-seconds and memory of whole processes, and the gain of workers.

Bars: a million rows with one worker in at most 2.5 CPU-seconds and 400 MB, and four times as
many rows per CPU-second as a vectorised rival that needs 12.1 CPU-seconds and 1.7 GB for the same
job; 20 million rows in the same memory; two workers at least 1.6 times as fast as one.

    python benchmarks/fraud.py                  # a million rows, three times
    python benchmarks/fraud.py --all            # 20 million rows and two workers too
    python benchmarks/fraud.py --out /dev/shm   # without the disk, which can be the slowest part
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

MILLION = 1_000_000
MOST_CPU_SECONDS = 2.5
MOST_MEGABYTES = 400
RIVAL_CPU_SECONDS = 12.1
LEAST_GAIN_OVER_RIVAL = 4
LEAST_GAIN_OF_TWO = 1.6


@dataclass(frozen=True)
class Measured:
    """What one process and its workers took; memory is that of the largest process."""

    rows: int
    workers: int
    cpu_seconds: float
    wall_seconds: float
    megabytes: float

    def __str__(self) -> str:
        return (
            f"{self.rows:>12,} rows, {self.workers} worker(s): {self.cpu_seconds:6.2f} CPU s, "
            f"{self.wall_seconds:6.2f} s, {self.megabytes:5.0f} MB"
        )


def measure(rows: int, workers: int, out: Path) -> Measured:
    """Return what a run of its own took; its files are removed."""
    with tempfile.TemporaryDirectory(dir=out) as folder:
        command = [sys.executable, "-m", "payworld.fraud", "--rows", str(rows), "--out", folder]
        command += ["--num-workers", str(workers), "--log-level", "error"]
        began = time.perf_counter()
        process = os.posix_spawn(sys.executable, command, os.environ)
        _, status, usage = os.wait4(process, 0)
        wall = time.perf_counter() - began
        if status != 0:
            raise SystemExit(f"{' '.join(command)} ended with status {status}")
    # wait4 counts the workers too: their parent waited for them.
    cpu = usage.ru_utime + usage.ru_stime
    return Measured(rows, workers, cpu, wall, usage.ru_maxrss / 1024)


def bar(name: str, value: float, limit: float, at_most: bool) -> bool:
    """Print how a value stands to its bar and return whether it holds."""
    holds = value <= limit if at_most else value >= limit
    word = "at most" if at_most else "at least"
    say(f"{'ok  ' if holds else 'MISS'} {name}: {value:.2f}, {word} {limit:g}")
    return holds


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Measure, print, and exit with 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=MILLION, help="payments of a run")
    parser.add_argument("--repeat", type=int, default=3, help="runs, of which the median counts")
    parser.add_argument("--all", action="store_true", help="20 times the rows, and two workers")
    parser.add_argument("--out", type=Path, default=None, help="folder for what runs write")
    given = parser.parse_args()
    runs = []
    for _ in range(given.repeat):
        runs.append(measure(given.rows, 1, given.out))
        say(str(runs[-1]))
    cpu = statistics.median(run.cpu_seconds for run in runs)
    memory = max(run.megabytes for run in runs)
    size = given.rows / MILLION
    held = [
        bar("CPU seconds", cpu, MOST_CPU_SECONDS * max(size, 1), at_most=True),
        bar("MB", memory, MOST_MEGABYTES, at_most=True),
    ]
    if given.rows >= MILLION:
        gain = RIVAL_CPU_SECONDS * size / cpu
        held.append(bar("times the rival", gain, LEAST_GAIN_OVER_RIVAL, at_most=False))
    if given.all:
        large = [measure(20 * given.rows, workers, given.out) for workers in (1, 2)]
        for run in large:
            say(str(run))
        held.append(bar("MB", max(run.megabytes for run in large), MOST_MEGABYTES, at_most=True))
        gain = large[0].wall_seconds / large[1].wall_seconds
        held.append(bar("gain of two workers", gain, LEAST_GAIN_OF_TWO, at_most=False))
    raise SystemExit(0 if all(held) else 1)


if __name__ == "__main__":
    main()
