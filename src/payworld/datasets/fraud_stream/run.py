"""A run: catalogs, plan, row groups, one whole file."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa

from payworld.datasets.fraud_stream.calendar import make_calendar
from payworld.datasets.fraud_stream.catalog_tables import from_tables, to_tables
from payworld.datasets.fraud_stream.catalogs import Catalogs, make_catalogs
from payworld.datasets.fraud_stream.columns import Renderer
from payworld.datasets.fraud_stream.config import FraudConfig
from payworld.datasets.fraud_stream.encode import GroupEncoder
from payworld.datasets.fraud_stream.output import CHECKPOINT_GROUPS, StreamOutput
from payworld.datasets.fraud_stream.plan import GROUP_ROWS, make_plan
from payworld.datasets.fraud_stream.schema import FraudSchema
from payworld.datasets.fraud_stream.workers import GroupSource, worker_count
from payworld.storage.fraud_catalogs import read_tables, write_tables
from payworld.storage.fraud_progress import Progress
from payworld.storage.output_file import OutputFile
from payworld.version import __version__

__all__ = [
    "CATALOG_COLUMNS",
    "FraudRun",
    "RunResult",
    "output_path",
    "read_catalogs",
    "save_catalogs",
]

_OPTION = "--out"
# What moves no byte of the payments.
_IDLE = {"realism", "num_workers", "batch_size", "chunk_size", "out_dir", "s3_upload"}

CATALOG_COLUMNS: dict[str, tuple[str, ...]] = {
    "customers": ("customer_id", "weight"),
    "merchants": (
        "merchant_id", "mcc_code", "merchant_country", "currency_code", "latitude", "longitude",
        "local_time_offset", "risk", "weight",
    ),
    "cards": (
        "card_pan_hash", "card_scheme", "card_exp_year", "card_exp_month", "customer_id", "risk",
        "weight",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class RunResult:
    """What a run left behind."""

    path: Path
    rows: int
    frauds: int
    size: int
    labels: Path | None = None
    catalogs: tuple[Path, ...] = ()
    resumed_rows: int = 0
    # Those of the paths that held the same bytes before.
    untouched: frozenset[Path] = frozenset()
    # Share of the payments that go to other customers than their popularity says.
    strayed_share: float = 0.0


@dataclass(frozen=True)
class FraudRun:
    """What a run is asked for: a configuration whose dates are known, and how to write it."""

    config: FraudConfig
    schema: FraudSchema
    run_date: date
    file_format: str = "parquet"
    explain: bool = False

    def write(self, say: Callable[[str], None]) -> RunResult:
        """Write the stream (with realism v2 its catalogs first) and return what was written."""
        config = self.config
        # What cannot be planned is found before anything is written.
        make_calendar(config.temporal, config.labels)
        saved: dict[Path, bool] = {}
        if config.realism == "v2":
            folder = Path(config.out_dir) / "catalog"
            saved = save_catalogs(folder, config, _OPTION)
            catalogs = read_catalogs(folder)
        else:
            catalogs = make_catalogs(config)
        with ExitStack() as stack:
            tables = ["payments", "labels"] if self.explain else ["payments"]
            formats = {"payments": self.file_format, "labels": "parquet"}
            paths = [output_path(config, self.run_date, name, formats[name]) for name in tables]
            files = [stack.enter_context(OutputFile(path, _OPTION)) for path in paths]
            result = self._fill(catalogs, files, say)
        untouched = result.untouched | {path for path, was_there in saved.items() if was_there}
        return replace(result, catalogs=tuple(saved), untouched=untouched)

    def _fill(
        self, catalogs: Catalogs, files: list[OutputFile], say: Callable[[str], None]
    ) -> RunResult:
        """Write all row groups that are not there yet, and give the files their names."""
        plan = make_plan(self.config, catalogs)
        renderer = Renderer(plan, catalogs, self.schema)
        encoder = GroupEncoder(renderer, self.schema, self.file_format, self.explain)
        progress = None
        if plan.groups > CHECKPOINT_GROUPS:
            progress = Progress(files, self._fingerprint())
        output = StreamOutput(files, self.file_format, self.schema, progress)
        resumed = min(output.groups * GROUP_ROWS, plan.rows)
        untouched = frozenset(file.final for file in files if file.is_there)
        groups = range(output.groups, plan.groups)
        workers = worker_count(self.config.num_workers, len(groups))
        inherited = [descriptor for file in files for descriptor in file.descriptors]
        with GroupSource(encoder, groups, workers, self.config.batch_size, inherited) as source:
            for encoded in source.encoded():
                output.add(encoded)
                say(f"{min(output.groups * GROUP_ROWS, plan.rows):,} of {plan.rows:,} rows")
            output.finish()
        return RunResult(
            path=files[0].final,
            rows=plan.rows,
            frauds=output.frauds,
            size=files[0].size,
            labels=files[1].final if self.explain else None,
            resumed_rows=resumed,
            untouched=untouched,
            strayed_share=catalogs.strayed_share,
        )

    def _fingerprint(self) -> str:
        """Return what stands for all that the files' bytes depend on."""
        depends = {
            "config": self.config.model_dump(mode="json", exclude=_IDLE),
            "schema": self.schema.model_dump(mode="json"),
            "format": [self.file_format, self.explain, GROUP_ROWS],
            "versions": [__version__, pa.__version__, np.__version__, version("polars")],
        }
        return sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()


def output_path(config: FraudConfig, run_date: date, table: str, file_format: str) -> Path:
    """Return where a table's file of a run goes."""
    name = f"{table}_{config.total_rows:_}_{run_date.isoformat()}.{file_format}"
    months = f"year={run_date.year:04}/month={run_date.month:02}"
    return Path(config.out_dir) / table / months / name


def save_catalogs(folder: Path, config: FraudConfig, option: str) -> dict[Path, bool]:
    """Write the catalogs of a configuration whose dates are known.

    Returns their paths, and whether each was there. `option` is what gave the folder.
    """
    catalog = config.catalog
    return write_tables(
        folder,
        to_tables(make_catalogs(config)),
        catalog.parquet_row_group_size,
        catalog.max_size_mb,
        option,
    )


def read_catalogs(folder: Path) -> Catalogs:
    """Return the catalogs of a folder."""
    return from_tables(read_tables(folder, CATALOG_COLUMNS))
