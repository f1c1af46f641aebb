"""What the fraud stream's tests share: small configurations, frames, runs of the program."""

import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from payworld.datasets.fraud_stream.config import FraudConfig, config_from_text
from payworld.datasets.fraud_stream.run import FraudRun, RunResult
from payworld.datasets.fraud_stream.schema import own_schema

__all__ = ["RUN_DATE", "SMALL", "configured", "frame_of", "gen_fraud", "written"]

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
