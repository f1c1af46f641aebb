"""How files are named and laid out: the one place that makes and reads their paths.

A file's path tells its table, its days, its format and compression. Flat, all files stand side by
side; hive, a month's files stand in folders that name its values, which engines take as partitions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal, get_args

from payworld.config import RunSettings
from payworld.errors import StorageError
from payworld.schema import TABLES
from payworld.storage.files import check_folder, naming
from payworld.timeline import Period

__all__ = [
    "PARTITION",
    "Compression",
    "FileFormat",
    "FileStyle",
    "Layout",
    "check_inside",
    "data_files",
    "days_of",
    "drop_empty_partitions",
    "is_data_file",
    "is_work_file",
    "partial_path",
    "partition_folders",
]

FileFormat = Literal["csv", "parquet"]
Compression = Literal["none", "gzip", "zstd"]
Layout = Literal["flat", "hive"]

# What messages call a folder of the hive layout.
PARTITION = "the partition folder"

# What each compression adds to the name: the suffixes by which readers know it.
_SUFFIXES: dict[str, str] = {"none": "", "gzip": ".gz", "zstd": ".zst"}

_TABLE = "|".join(TABLES)
_DATE = r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
_FILE = rf"({_TABLE})_{_DATE}_{_DATE}\.(csv|csv\.gz|csv\.zst|parquet)"
_DATA_FILE = re.compile(rf"(?:({_TABLE})/year=[0-9]{{4}}/month=[0-9]{{2}}/)?{_FILE}", re.ASCII)
_WORK_FILE = re.compile(rf"\.{_FILE}\.partial(\.whole)?", re.ASCII)
_PARTITION = re.compile(r"(year=[0-9]{4}|month=[0-9]{2})", re.ASCII)


@dataclass(frozen=True)
class FileStyle:
    """How a run's files are written; lives for the run.

    Parquet is compressed inside, so `compression` is a CSV file's.
    """

    format: FileFormat = "csv"
    compression: Compression = "none"
    layout: Layout = "flat"

    def path(self, table: str, period: Period) -> str:
        """Return the path of a chunk's file below the output folder.

        >>> FileStyle("csv", "gzip", "hive").path("merchants", Period(738887, 738888))
        'merchants/year=2024/month=01/merchants_2024-01-02_2024-01-03.csv.gz'
        """
        name = f"{table}_{period}.{self.format}{_SUFFIXES[self.compression]}"
        if self.layout == "flat":
            return name
        first = date.fromordinal(period.start)
        return f"{table}/year={first.year:04d}/month={first.month:02d}/{name}"

    @classmethod
    def asked(cls, settings: RunSettings) -> FileStyle:
        """Return the style that a run's settings ask for."""
        return cls(settings.format, settings.compression, settings.layout)

    @classmethod
    def of(cls, path: str) -> FileStyle:
        """Return the style that a published file's path tells of."""
        match = _DATA_FILE.fullmatch(path)
        if match is None:
            raise StorageError(f"{path!r} is not the path of a file that payworld writes")
        file_format, _, suffix = match[5].partition(".")
        compression = next(c for c in get_args(Compression) if _SUFFIXES[c].strip(".") == suffix)
        return cls(
            "csv" if file_format == "csv" else "parquet",
            compression,
            "hive" if match[1] else "flat",
        )

    @property
    def options(self) -> str:
        """Return the options of the command line that ask for the style.

        >>> FileStyle("parquet", layout="hive").options
        '--format parquet --compression none --layout hive'
        """
        return f"--format {self.format} --compression {self.compression} --layout {self.layout}"

    def __str__(self) -> str:
        """Return the style as a run's journal tells it."""
        return f"{self.format}{_SUFFIXES[self.compression]} {self.layout}"


def is_data_file(path: str) -> bool:
    """Return whether a path below the output folder has the form of a published file's."""
    match = _DATA_FILE.fullmatch(path)
    return match is not None and match[1] in (None, match[2])


def is_work_file(name: str) -> bool:
    """Return whether a name is that of a file in the making."""
    return _WORK_FILE.fullmatch(name) is not None


def days_of(path: str) -> tuple[str, str]:
    """Return the first and last day, YYYY-MM-DD, that a published file's path names."""
    match = _DATA_FILE.fullmatch(path)
    if match is None:
        raise StorageError(f"{path!r} is not the path of a file that payworld writes")
    return match[3], match[4]


def partial_path(output_dir: Path, path: str) -> Path:
    """Return where a file lies until it is whole, in whatever folder it will stand then.

    Readers skip names that begin with a dot.
    """
    return output_dir / f".{Path(path).name}.partial"


def partition_folders(output_dir: Path) -> Iterator[Path]:
    """Yield the folders of the hive layout, the deepest first; no symbolic link is followed."""
    for table in TABLES:
        yield from _partitions(output_dir / table)


def _partitions(folder: Path) -> Iterator[Path]:
    if folder.is_symlink() or not folder.is_dir():
        return
    with naming(folder, "read"):
        found = sorted(folder.iterdir())
    for below in found:
        if _PARTITION.fullmatch(below.name):
            yield from _partitions(below)
    yield folder


def drop_empty_partitions(output_dir: Path) -> None:
    """Remove the folders of the hive layout that hold nothing."""
    for folder in partition_folders(output_dir):
        with suppress(OSError):
            folder.rmdir()


def data_files(output_dir: Path) -> set[str]:
    """Return the paths below a folder that have the form of a published file's."""
    found = [path.name for path in output_dir.iterdir()]
    for folder in partition_folders(output_dir):
        with naming(folder, "read"):
            found += [path.relative_to(output_dir).as_posix() for path in folder.iterdir()]
    return {path for path in found if is_data_file(path)}


def check_inside(output_dir: Path, path: str) -> Path:
    """Return a published file's full path; StorageError if a folder on the way is a link."""
    full = output_dir / path
    for folder in full.parents:
        if output_dir in folder.parents:
            check_folder(folder, PARTITION)
    return full
