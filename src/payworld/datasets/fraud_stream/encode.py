"""Row groups as bytes: Parquet fragments or CSV lines."""

from __future__ import annotations

import io
from dataclasses import dataclass

import pyarrow as pa

from payworld.datasets.fraud_stream.columns import Renderer
from payworld.datasets.fraud_stream.plan import BLOCK_ROWS
from payworld.datasets.fraud_stream.schema import FraudSchema
from payworld.storage.fraud_parquet import encode_row_group

__all__ = ["FORMATS", "Encoded", "GroupEncoder", "plain_table"]

FORMATS = ("parquet", "csv")
# Decimals in CSV: cents, and the millionths of a degree that places have.
_DECIMALS = {"amount": 2, "latitude": 6, "longitude": 6}
_LABEL_SCHEMA = pa.schema(
    [pa.field("transaction_id", pa.string(), False), pa.field("origin", pa.string(), False)]
)


@dataclass(frozen=True)
class Encoded:
    """A row group's bytes, its labels' bytes (none if not wanted), and how many are fraud."""

    data: memoryview
    labels: memoryview
    frauds: int


def plain_table(table: pa.Table, schema: FraudSchema) -> pa.Table:
    """Return a rendered table with the schema's own types instead of dictionaries."""
    return table.cast(schema.arrow())


@dataclass(frozen=True, eq=False)
class GroupEncoder:
    """Renders row groups and encodes them, in any process; lives for a run."""

    renderer: Renderer
    schema: FraudSchema
    file_format: str
    explain: bool

    def encode(self, number: int) -> Encoded:
        """Return the bytes of a row group; groups are asked for in rising order."""
        group = self.renderer.group(number)
        labels = memoryview(b"")
        if self.explain:
            labels = memoryview(encode_row_group(self.renderer.labels(group), _LABEL_SCHEMA))
        table = self.renderer.table(group)
        if self.file_format == "parquet":
            data = memoryview(encode_row_group(table, self.schema.arrow()))
        else:
            data = _csv_lines(table, self.schema)
        return Encoded(data, labels, int((group.origin > 0).sum()))


def _csv_lines(table: pa.Table, schema: FraudSchema) -> memoryview:
    """Return a rendered table as CSV without a header.

    The dialect is RFC 4180, LF, empty for null, fixed decimals, UTC.
    """
    # Parquet does without Polars: a tenth of a second.
    import polars as pl

    decimals = [
        pl.col(field.column).cast(pl.Decimal(38, _DECIMALS[field.name]))
        for field in schema.fields
        if field.name in _DECIMALS
    ]
    buffer = io.BytesIO()
    # In parts: the texts of a whole row group take 100 MB.
    for first in range(0, table.num_rows, BLOCK_ROWS):
        part = plain_table(table.slice(first, BLOCK_ROWS), schema)
        frame = pl.DataFrame(pl.from_arrow(part)).with_columns(decimals)
        frame.write_csv(buffer, include_header=False, datetime_format="%Y-%m-%dT%H:%M:%S%.9fZ")
    return buffer.getbuffer()
