"""Catalogs on the disk: one Parquet file each, all of them or none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from payworld.errors import ConfigError, ConflictError, StorageError
from payworld.storage.files import naming
from payworld.storage.fraud_parquet import encode_row_group
from payworld.storage.output_file import OutputFile

__all__ = ["read_tables", "write_tables"]

_MEGABYTE = 1_000_000


def write_tables(
    folder: Path, tables: Mapping[str, pa.Table], row_group: int, max_size_mb: float, option: str
) -> dict[Path, bool]:
    """Write each table to <folder>/<name>.parquet; returns the paths, and whether each was there.

    Nothing is published if one is larger than max_size_mb (ConfigError).
    """
    with _explaining(), ExitStack() as stack:
        files = []
        for name, table in tables.items():
            data = encode_row_group(table, table.schema, row_group)
            if data.size > max_size_mb * _MEGABYTE:
                raise ConfigError(
                    f"the catalog of {name} takes {data.size / _MEGABYTE:.2f} MB for "
                    f"{table.num_rows:,} rows; expected at most catalog.max_size_mb = "
                    f"{max_size_mb:g}: raise that, or lower catalog.num_{name}"
                )
            file = stack.enter_context(OutputFile(folder / f"{name}.parquet", option))
            file.write(memoryview(data))
            files.append(file)
        there = {file.final: file.is_there for file in files}
        for file in files:
            file.publish()
    return there


@contextmanager
def _explaining() -> Iterator[None]:
    """Say of catalogs that are not those of an earlier run why that can be."""
    try:
        yield
    except ConflictError as error:
        raise ConflictError(
            f"{error}. Catalogs are those of a seed, of the keys of `catalog` and of the month of "
            "the last day, after which cards expire: give each of these a folder of its own"
        ) from error


def read_tables(folder: Path, columns: Mapping[str, tuple[str, ...]]) -> dict[str, pa.Table]:
    """Return the tables of a folder by name; StorageError if one is missing or no catalog."""
    tables = {}
    for name, wanted in columns.items():
        path = folder / f"{name}.parquet"
        try:
            # Without threads: worker processes are forked after this.
            with naming(path, "read"), path.open("rb") as source:
                table = pq.read_table(source, use_threads=False, pre_buffer=False)
        except pa.ArrowException as error:
            raise StorageError(
                f"{str(path)!r} is not a whole Parquet file; write the catalogs again"
            ) from error
        missing = [column for column in wanted if column not in table.column_names]
        if missing:
            raise StorageError(
                f"{str(path)!r} has no column {missing[0]!r}; expected {', '.join(wanted)}: write "
                "the catalogs again"
            )
        tables[name] = table
    return tables
