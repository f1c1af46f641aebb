"""The files of a stream, filled row group by row group, so that a killed run can go on."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Protocol

from payworld.datasets.fraud_stream.encode import Encoded
from payworld.datasets.fraud_stream.schema import FraudSchema
from payworld.storage.fraud_parquet import RowGroupJoiner
from payworld.storage.fraud_progress import Checkpoint, Progress
from payworld.storage.output_file import OutputFile

__all__ = ["CHECKPOINT_GROUPS", "StreamOutput"]

# Row groups between two checkpoints: a few seconds of one process's work.
CHECKPOINT_GROUPS = 16


class _Filler(Protocol):
    def add(self, fragment: memoryview) -> None: ...

    def tell(self) -> tuple[bytes, ...]: ...

    def finish(self) -> None: ...


class _Lines:
    """Fills a CSV file; lives for a file."""

    def __init__(self, file: OutputFile, schema: FraudSchema) -> None:
        self.add = file.write
        if not file.size:
            header = io.StringIO()
            csv.writer(header, lineterminator="\n").writerow(schema.columns)
            file.write(header.getvalue().encode())

    def tell(self) -> tuple[bytes, ...]:
        """Return nothing: lines need none of those before them."""
        return ()

    def finish(self) -> None:
        """Do nothing: a CSV file is whole after its last line."""


class StreamOutput:
    """Fills the payments' file and, if wanted, the labels'; lives for a run.

    `progress` is None where a run is too short for checkpoints. What an earlier run did is in
    `groups`: the number of row groups that are there already.
    """

    def __init__(
        self,
        files: Sequence[OutputFile],
        file_format: str,
        schema: FraudSchema,
        progress: Progress | None,
    ) -> None:
        self._files, self._progress = files, progress
        done = progress.resume() if progress else []
        self.groups = done[-1].groups if done else 0
        self.frauds = done[-1].frauds if done else 0
        self._fillers: list[_Filler] = []
        for place, file in enumerate(files):
            if place == 0 and file_format == "csv":
                self._fillers.append(_Lines(file, schema))
            else:
                told = [part for checkpoint in done for part in checkpoint.parts[place]]
                self._fillers.append(RowGroupJoiner(file.write, file.size, told))

    def add(self, encoded: Encoded) -> None:
        """Append a row group to each file."""
        for filler, data in zip(self._fillers, (encoded.data, encoded.labels), strict=False):
            filler.add(data)
        self.groups += 1
        self.frauds += encoded.frauds
        if self._progress and self.groups % CHECKPOINT_GROUPS == 0:
            sizes = tuple(file.size for file in self._files)
            parts = tuple(filler.tell() for filler in self._fillers)
            self._progress.add(Checkpoint(self.groups, self.frauds, sizes, parts))

    def finish(self) -> None:
        """Give the files their names, the payments' last."""
        for filler in self._fillers:
            filler.finish()
        for file in reversed(self._files):
            file.publish()
        if self._progress:
            self._progress.remove()
