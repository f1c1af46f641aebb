"""A run: catalogs, plan, row groups, one whole file."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from payworld.datasets.fraud_stream.calendar import make_calendar
from payworld.datasets.fraud_stream.catalog_tables import from_tables, to_tables
from payworld.datasets.fraud_stream.catalogs import Catalogs, make_catalogs
from payworld.datasets.fraud_stream.columns import Renderer
from payworld.datasets.fraud_stream.config import FraudConfig
from payworld.datasets.fraud_stream.encode import GroupEncoder
from payworld.datasets.fraud_stream.plan import make_plan
from payworld.datasets.fraud_stream.schema import FraudSchema
from payworld.datasets.fraud_stream.workers import GroupSource, worker_count
from payworld.storage.fraud_catalogs import read_tables, write_tables
from payworld.storage.fraud_parquet import RowGroupJoiner
from payworld.storage.output_file import OutputFile

__all__ = [
    "CATALOG_COLUMNS",
    "FraudRun",
    "RunResult",
    "output_path",
    "read_catalogs",
    "save_catalogs",
]

_OPTION = "--out"

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
    labels: Path | None
    catalogs: tuple[Path, ...]


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
        catalog_paths: tuple[Path, ...] = ()
        if config.realism == "v2":
            folder = Path(config.out_dir) / "catalog"
            catalog_paths = tuple(save_catalogs(folder, config))
            catalogs = read_catalogs(folder)
        else:
            catalogs = make_catalogs(config)
        with ExitStack() as stack:
            path = output_path(config, self.run_date, "payments", self.file_format)
            file = stack.enter_context(OutputFile(path, _OPTION))
            labels = None
            if self.explain:
                name = output_path(config, self.run_date, "labels", "parquet")
                labels = stack.enter_context(OutputFile(name, _OPTION))
            frauds = self._fill(catalogs, file, labels, say)
            for written in (labels, file):
                if written is not None:
                    written.publish()
        return RunResult(
            path,
            config.total_rows,
            frauds,
            file.size,
            labels.final if labels else None,
            catalog_paths,
        )

    def _fill(
        self,
        catalogs: Catalogs,
        file: OutputFile,
        labels: OutputFile | None,
        say: Callable[[str], None],
    ) -> int:
        """Write all row groups and return the number of frauds."""
        plan = make_plan(self.config, catalogs)
        renderer = Renderer(plan, catalogs, self.schema)
        encoder = GroupEncoder(renderer, self.schema, self.file_format, self.explain)
        workers = worker_count(self.config.num_workers, plan.groups)
        inherited = [file.descriptor] + ([labels.descriptor] if labels else [])
        frauds = rows = 0
        with GroupSource(
            encoder, plan.groups, workers, self.config.batch_size, inherited
        ) as source:
            add, finish = _sink(file, self.file_format, self.schema)
            label_joiner = RowGroupJoiner(labels.write) if labels else None
            for number, encoded in enumerate(source.groups()):
                add(encoded.data)
                if label_joiner:
                    label_joiner.add(encoded.labels)
                frauds += encoded.frauds
                rows = plan.first_row(plan.blocks_of(number)[-1]) + plan.rows_of(
                    plan.blocks_of(number)[-1]
                )
                say(f"{rows:,} of {plan.rows:,} rows")
            finish()
            if label_joiner:
                label_joiner.finish()
        return frauds


def _sink(
    file: OutputFile, file_format: str, schema: FraudSchema
) -> tuple[Callable[[memoryview], None], Callable[[], None]]:
    """Return what adds a row group to a file, and what finishes it."""
    if file_format == "parquet":
        joiner = RowGroupJoiner(file.write)
        return joiner.add, joiner.finish
    header = io.StringIO()
    csv.writer(header, lineterminator="\n").writerow(schema.columns)
    file.write(header.getvalue().encode())
    return file.write, lambda: None


def output_path(config: FraudConfig, run_date: date, table: str, file_format: str) -> Path:
    """Return where a table's file of a run goes."""
    name = f"{table}_{config.total_rows:_}_{run_date.isoformat()}.{file_format}"
    months = f"year={run_date.year:04}/month={run_date.month:02}"
    return Path(config.out_dir) / table / months / name


def save_catalogs(folder: Path, config: FraudConfig) -> list[Path]:
    """Write the catalogs of a configuration whose dates are known, and return their paths."""
    catalog = config.catalog
    return write_tables(
        folder,
        to_tables(make_catalogs(config)),
        catalog.parquet_row_group_size,
        catalog.max_size_mb,
        _OPTION,
    )


def read_catalogs(folder: Path) -> Catalogs:
    """Return the catalogs of a folder."""
    return from_tables(read_tables(folder, CATALOG_COLUMNS))
