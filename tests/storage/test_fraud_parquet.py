from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.datasets.fraud_stream.builders import frame_of, written

from payworld.storage.fraud_parquet import RowGroupJoiner, encode_row_group
from payworld.storage.thrift import Struct, field, read_struct, write_struct

SCHEMA = pa.schema(
    [pa.field("n", pa.int64(), False), pa.field("text", pa.string()), pa.field("kind", pa.string())]
)


def table(start: int, rows: int) -> pa.Table:
    values = [None if n % 5 == 0 else f"kind {n % 3}" for n in range(start, start + rows)]
    kinds = pa.array(values, pa.string())
    return pa.table(
        {
            "n": pa.array(range(start, start + rows), pa.int64()),
            "text": pa.array([f"row {n}" for n in range(start, start + rows)]),
            "kind": kinds.dictionary_encode(),
        }
    )


def join(path: Path, sizes: list[int]) -> pa.Table:
    start, parts = 0, []
    with path.open("wb") as file:

        def write(data: memoryview | bytes) -> None:
            file.write(data)

        joiner = RowGroupJoiner(write)
        for size in sizes:
            parts.append(table(start, size))
            joiner.add(memoryview(encode_row_group(parts[-1], SCHEMA)))
            start += size
        joiner.finish()
    return pa.concat_tables([part.cast(SCHEMA) for part in parts])


@given(sizes=st.lists(st.integers(1, 300), min_size=1, max_size=40))
def test_joined_row_groups_are_one_file(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int]
) -> None:
    path = tmp_path_factory.mktemp("joined") / "joined.parquet"
    expected = join(path, sizes)
    assert pq.read_table(path).equals(expected)
    meta = pq.read_metadata(path)
    assert meta.num_rows == sum(sizes)
    assert [meta.row_group(n).num_rows for n in range(meta.num_row_groups)] == sizes
    assert pl.read_parquet(path)["n"].to_list() == list(range(sum(sizes)))


def test_statistics_find_rows_in_later_row_groups(tmp_path: Path) -> None:
    path = tmp_path / "joined.parquet"
    join(path, [100, 200, 300])
    assert pq.read_table(path, filters=[("n", "=", 450)])["text"].to_pylist() == ["row 450"]
    found = duckdb.read_parquet(str(path)).filter("n = 599").project("text").fetchall()
    assert found == [("row 599",)]


def test_a_footer_goes_through_unchanged() -> None:
    data = bytes(memoryview(encode_row_group(table(0, 1_000), SCHEMA)))
    size = int.from_bytes(data[-8:-4], "little")
    footer = data[-8 - size : -8]
    struct = read_struct(footer)
    assert write_struct(struct) == footer
    rows = field(struct, 3)
    assert rows is not None
    assert rows[2] == 1_000
    assert field(struct, 99) is None


def test_every_kind_of_thrift_value_goes_through() -> None:
    struct: Struct = [
        [1, 1, None], [2, 2, None], [3, 3, 200], [4, 4, -7], [5, 6, 2**40], [6, 7, b"12345678"],
        [7, 8, b"text"], [8, 9, (5, list(range(-20, 20)))], [9, 9, (1, [1, 2])],
        [30, 12, [[1, 5, 3]]], [300, 10, (8, [b"a"])],
    ]  # fmt: skip
    assert [list(entry) for entry in read_struct(write_struct(struct))] == struct
    with pytest.raises(ValueError, match="type 11"):
        read_struct(bytes([0x1B, 0]))


def test_a_file_needs_a_row_group() -> None:
    with pytest.raises(ValueError, match="row group"):
        RowGroupJoiner(lambda _: None).finish()


def test_duckdb_pandas_polars_and_pyarrow_read_the_same(tmp_path: Path) -> None:
    result = written(tmp_path, total_rows=120_000, fraud_rate=0.01)
    path = result.path
    meta = pq.read_metadata(path)
    assert (meta.num_rows, meta.num_row_groups) == (120_000, 2)
    assert {meta.row_group(1).column(n).compression for n in range(24)} == {"SNAPPY"}
    polars = frame_of(path)
    arrow = pq.read_table(path, partitioning=None)
    frame = pd.read_parquet(path, partitioning=None)
    assert pl.DataFrame(pl.from_arrow(arrow)).equals(polars)
    assert list(frame.columns) == polars.columns
    assert str(frame["event_time"].dtype) == "datetime64[ns, UTC]"
    assert frame["label_fraud"].sum() == 1_200
    sums = "count(*), sum(amount)::decimal(18,2), sum(label_fraud::int), count(distinct mcc_code)"
    whole = duckdb.read_parquet(str(path), hive_partitioning=False)
    assert whole.columns == polars.columns
    (count, amount, frauds, codes) = whole.aggregate(sums).fetchall()[0]
    total = round(float(polars["amount"].to_numpy().sum()), 2)
    assert (count, float(amount), frauds) == (120_000, total, 1_200)
    assert codes == polars["mcc_code"].drop_nulls().n_unique()
    hive = duckdb.read_parquet(f"{tmp_path}/payments/*/*/*.parquet", hive_partitioning=True)
    months = hive.project("year, month").distinct().fetchall()
    assert [tuple(map(int, found)) for found in months] == [(2024, 5)]
