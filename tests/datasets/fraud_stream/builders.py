"""What the fraud stream's tests share: small configurations, frames, runs of the program."""

import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from payworld.datasets.fraud_stream.config import FraudConfig, config_from_text
from payworld.datasets.fraud_stream.run import FraudRun, RunResult
from payworld.datasets.fraud_stream.schema import own_schema

__all__ = [
    "RUN_DATE",
    "SMALL",
    "configured",
    "frame_of",
    "gen_fraud",
    "most_with_a_burst",
    "written",
]

RUN_DATE = date(2024, 5, 6)

# Small catalogs: the hashing of 100,000 cards is most of a small run.
SMALL: dict[str, Any] = {
    "total_rows": 20_000,
    "num_workers": 1,
    "catalog": {"num_customers": 800, "num_merchants": 120, "num_cards": 1500},
}


def configured(**changes: Any) -> FraudConfig:
    """Return the small configuration with changes, its dates filled in."""
    merged: dict[str, Any] = {**SMALL}
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = {**merged[key], **value} if both else value
    return config_from_text("", "test", merged).dated(RUN_DATE)


def written(
    out: Path, file_format: str = "parquet", explain: bool = False, **changes: Any
) -> RunResult:
    """Write a stream in this process and return what was written."""
    config = configured(out_dir=str(out), **changes)
    run = FraudRun(config, own_schema(), RUN_DATE, file_format, explain)
    return run.write(lambda _: None)


def frame_of(path: Path) -> pl.DataFrame:
    """Return a file's rows alone: the folders of its path are no columns."""
    return pl.read_parquet(path, hive_partitioning=False)


def gen_fraud(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the program in a process of its own, as a user does."""
    command = [sys.executable, "-m", "payworld.fraud", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def most_with_a_burst(frame: pl.DataFrame, window_s: int) -> int:
    """Return the most frauds of a merchant in any stretch of time that holds one of a burst.

    The frame has merchant_id, event_time and label_origin; other payments than frauds are ignored.
    """
    most = 0
    fraud = frame.filter(pl.col("label_origin") != "none").sort("event_time")
    for _, part in fraud.group_by("merchant_id", maintain_order=True):
        times = part["event_time"].dt.timestamp("ns").to_numpy()
        in_burst = np.cumsum((part["label_origin"] == "burst").to_numpy())
        starts = np.arange(len(times))
        ends = np.searchsorted(times, times + window_s * 1_000_000_000, side="left")
        has_burst = np.append(0, in_burst)[ends] > np.append(0, in_burst)[starts]
        most = max(most, int(((ends - starts) * has_burst).max()))
    return most
