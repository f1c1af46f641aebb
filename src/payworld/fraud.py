"""The fraud stream for programs; `python -m payworld.fraud` is `gen fraud`.

Names are imported when they are first used, so that this module costs nothing by itself.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from pathlib import Path

    import polars as pl

    from payworld.datasets.fraud_stream.api import (
        FraudColumns,
        label_fraud,
        load_catalogs,
        load_config,
        sample_entities,
        sample_timestamps,
    )
    from payworld.datasets.fraud_stream.config import FraudConfig
    from payworld.datasets.fraud_stream.schema import FraudSchema

__all__ = [
    "FraudColumns",
    "generate",
    "label_fraud",
    "load_catalogs",
    "load_config",
    "main",
    "sample_entities",
    "sample_timestamps",
    "write_catalogs",
]


def generate(
    config: FraudConfig, schema: FraudSchema | None = None, run_date: date | None = None
) -> Iterator[pl.DataFrame]:
    """Yield the stream as frames of config.chunk_size rows, the last one shorter.

    Dates that the configuration leaves open are the 30 days before run_date (None: today).
    """
    from payworld.cli.clock import today
    from payworld.datasets.fraud_stream import api

    return api.generate(config, schema, run_date or today())


def write_catalogs(
    folder: str | Path, config: FraudConfig, run_date: date | None = None
) -> list[Path]:
    """Write customers, merchants and cards as Parquet files to a folder; returns their paths.

    Cards expire after the configuration's end date (None: the day before run_date, or today).
    """
    from payworld.cli.clock import today
    from payworld.datasets.fraud_stream import api

    return api.write_catalogs(folder, config, run_date or today())


def main() -> None:
    """Run `gen fraud` with the arguments of the command line."""
    from payworld.cli.fraud import main as run

    run()


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module("payworld.datasets.fraud_stream.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if __name__ == "__main__":
    main()
