"""Runs commands and tells what they cost: CPU and wall seconds, peak memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["BIN", "Cost", "best_of", "cost_of", "gen"]

# The console scripts stand beside the interpreter that runs the benchmark.
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Cost:
    """What a command and its children cost: seconds, and the peak memory of the largest in MB."""

    cpu: float
    wall: float
    peak_mb: float


def cost_of(command: list[str | Path], cwd: Path) -> Cost:
    """Run a command to its end and return its cost; CalledProcessError if it fails."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    message = process.stderr.read() if process.stderr else b""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, stderr=message.decode())
    wall = time.perf_counter() - began
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024)


def best_of(costs: list[Cost]) -> Cost:
    """Return the least of each figure: what is left when nothing else disturbs."""
    return Cost(
        min(cost.cpu for cost in costs),
        min(cost.wall for cost in costs),
        max(cost.peak_mb for cost in costs),
    )


def gen(*arguments: str) -> list[str | Path]:
    """Return a command line of gen that asks nothing."""
    return [BIN / "gen", *arguments, "-f", "-q", "--state-dir", "state", "--output-dir", "raw_data"]
