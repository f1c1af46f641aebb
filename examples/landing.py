"""The half of an ingest that is the same for every engine; the other examples import it.

Which files are there and which are new, whether their bytes are those that were published, how to
read them, and what the loaded tables have to add up to. That comes from the manifest alone: a file
that is loaded is not read again, and may be moved away.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

__all__ = [
    "MONEY",
    "BusyError",
    "IngestError",
    "RawFile",
    "check_equal",
    "checked_new_files",
    "column_sum",
    "files_of",
    "main",
    "money_sums",
    "read_batches",
    "read_manifest",
    "rows_by_file",
    "sums_by_file",
]

MONEY = ("payment_amount", "transactional_cost_amount", "mdr_amount", "net_profit")
ZERO = Decimal("0.00")


class IngestError(Exception):
    """The landing zone or the tables are not what they should be; the message says how."""


class BusyError(IngestError):
    """Another ingest is at work on the same tables."""


@dataclass(frozen=True)
class RawFile:
    """A file of the landing zone, as the manifest describes it; `sums` are of payments alone."""

    path: Path
    name: str
    table: str
    is_csv: bool
    columns: tuple[str, ...]
    rows: int
    sums: dict[str, Decimal]
    hash: str
    start: date
    end: date


def read_manifest(raw_data: Path) -> list[RawFile]:
    """Return every published file, in the order to load them: merchants before their payments.

    The manifest alone says what is there. It is replaced at once, and names a file only when that
    is whole: an ingest may run at any time, also while gen does.
    """
    path = raw_data / "datapackage.json"
    try:
        resources = json.loads(path.read_bytes())["resources"]
    except FileNotFoundError:
        raise IngestError(
            f"there is no {str(path)!r}: name the folder that gen writes to"
        ) from None
    files = [_raw_file(raw_data, resource) for resource in resources]
    return sorted(files, key=lambda file: (file.start, file.table))


def _raw_file(raw_data: Path, resource: dict[str, Any]) -> RawFile:
    return RawFile(
        path=raw_data / resource["path"],
        name=resource["path"],
        table=resource["table"],
        # A compressed file is "csv" too: engines tell the compression by the file's name.
        is_csv=resource["format"] == "csv",
        columns=tuple(field["name"] for field in resource["schema"]["fields"]),
        rows=resource["rows"],
        # Text there, as a number of JSON would be binary.
        sums={name: Decimal(value) for name, value in resource.get("sums", {}).items()},
        hash=resource["hash"],
        start=date.fromisoformat(resource["period"]["start"]),
        end=date.fromisoformat(resource["period"]["end"]),
    )


def files_of(files: Iterable[RawFile], table: str) -> list[RawFile]:
    """Return the files of one table, in order."""
    return [file for file in files if file.table == table]


def checked_new_files(files: list[RawFile], loaded: Mapping[str, str]) -> list[RawFile]:
    """Return the files that are not loaded yet, once their bytes are seen to be the published ones.

    `loaded` has the hash of each loaded file by name. Files never change, so one that has, or that
    the manifest does not list, means that these tables were loaded from another world.
    """
    listed = {file.name: file.hash for file in files}
    for name, known in loaded.items():
        if listed.get(name) != known:
            says = f"says {listed[name]}" if name in listed else "does not list it"
            raise IngestError(
                f"{name} was loaded as {known}, but the manifest {says}: this is another world; "
                "load it into another --target"
            )
    new = [file for file in files if file.name not in loaded]
    for file in new:
        there = file.path.is_file()
        if not there or file.hash != f"sha256:{_sha256(file.path)}":
            raise IngestError(
                f"{str(file.path)!r} is not loaded yet, and is "
                f"{'not the file that was published' if there else 'gone'}; make it again with "
                f"gen regenerate --start-date {file.start} --end-date {file.end}"
            )
    return new


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_batches(file: RawFile, schema: pa.Schema) -> pa.RecordBatchReader:
    """Return a file's rows as Arrow batches of exactly a schema; nothing is guessed.

    A value that does not fit, or a null where none may be, raises pyarrow.ArrowInvalid.
    """
    if file.is_csv:
        options = pa_csv.ConvertOptions(
            column_types=schema, include_columns=schema.names, strings_can_be_null=True
        )
        source: Iterator[pa.RecordBatch] = pa_csv.open_csv(file.path, convert_options=options)
    else:
        source = pq.ParquetFile(file.path).iter_batches(columns=schema.names)
    return pa.RecordBatchReader.from_batches(schema, (batch.cast(schema) for batch in source))


def rows_by_file(files: Iterable[RawFile], table: str) -> dict[str, int]:
    """Return the rows that each file of a table has by the manifest; a night may have none."""
    return {file.name: file.rows for file in files_of(files, table) if file.rows}


def sums_by_file(files: Iterable[RawFile]) -> dict[str, dict[str, Decimal]]:
    """Return the sums of each file's payments by the manifest; a night may have none."""
    return {file.name: file.sums for file in files_of(files, "transactions") if file.rows}


def money_sums(files: Iterable[RawFile]) -> dict[str, Decimal]:
    """Return the sum that each money column of all payments has by the manifest."""
    by_file = sums_by_file(files).values()
    return {name: sum((sums.get(name, ZERO) for sums in by_file), ZERO) for name in MONEY}


def column_sum(column: pa.Array) -> Decimal:
    """Return the exact sum of a decimal column."""
    return pc.sum(column).as_py() or ZERO


def check_equal(what: str, expected: object, found: object) -> None:
    """Raise IngestError unless two results are the same; of mappings it tells what differs."""
    if expected == found:
        return
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        keys = [key for key in {**expected, **found} if expected.get(key) != found.get(key)]
        expected = {key: expected.get(key) for key in keys}
        found = {key: found.get(key) for key in keys}
    raise IngestError(f"{what}: expected {expected}, found {found}")


def main(description: str, ingest: Callable[[Path, Path], Iterable[str]]) -> None:
    """Run an ingest from the command line and print its summary.

    Exit codes are those of gen: 1 if it fails, 2 for wrong usage, 75 if another one is at work.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--raw-data", type=Path, default=Path("raw_data"), help="the folder that gen writes to"
    )
    parser.add_argument("--target", type=Path, required=True, help="the folder for the tables")
    arguments = parser.parse_args()
    try:
        arguments.target.mkdir(parents=True, exist_ok=True)
        for line in ingest(arguments.raw_data, arguments.target):
            print(line)
    except IngestError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        sys.exit(os.EX_TEMPFAIL if isinstance(error, BusyError) else 1)
