"""Every format, compression and layout holds equal rows, and the whole life of a world."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow.csv
import pytest
from polars.testing import assert_frame_equal
from tests.builders import LIVELY_WORLD, Folders, period, stats, write_config
from tests.gen_server import Ended, GenServer

from payworld import generate
from payworld.errors import StorageError, UsageError
from payworld.schema import TABLES, frame_schema
from payworld.storage.read import read_batches
from payworld.storage.style import FileStyle, data_files, days_of, is_data_file
from payworld.timeline import Period

STYLES = {
    "csv": [],
    "csv in partitions": ["--layout", "hive"],
    "gzip": ["--compression", "gzip"],
    "gzip in partitions": ["--compression", "gzip", "--layout", "hive"],
    "zstd": ["--compression", "zstd"],
    "zstd in partitions": ["--compression", "zstd", "--layout", "hive"],
    "parquet": ["--format", "parquet"],
    "parquet in partitions": ["--format", "parquet", "--layout", "hive"],
}
START, END = "2024-01-30", "2024-02-03"
PATHS = {
    "csv": "transactions_2024-01-30_2024-01-31.csv",
    "gzip in partitions": (
        "transactions/year=2024/month=01/transactions_2024-01-30_2024-01-31.csv.gz"
    ),
    "zstd": "transactions_2024-01-30_2024-01-31.csv.zst",
    "parquet in partitions": (
        "transactions/year=2024/month=01/transactions_2024-01-30_2024-01-31.parquet"
    ),
}


def run(server: GenServer, folders: Folders, *arguments: str | Path) -> Ended:
    config = folders.root.parent / "world.yaml"
    if not config.exists():
        write_config(config, LIVELY_WORLD)
    return server.run(*arguments, "-f", "-q", "--config", config, *folders.options)


@pytest.fixture(scope="module")
def worlds(server: GenServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Folders]:
    """One world in every style: two months at first, a night more, and that night again."""
    written, root = {}, tmp_path_factory.mktemp("styles")
    for name, options in STYLES.items():
        folders = written[name] = Folders(root / name)
        folders.root.mkdir()
        for mode in (
            ["--initial", *period(START, "2024-02-02")],
            ["--incremental", "--date", END],
            ["--incremental", "--date", END],
        ):
            ended = run(server, folders, *mode, *options)
            assert (ended.code, ended.stderr) == (0, ""), name
    return written


@pytest.fixture(params=list(STYLES))
def style(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def resources(folders: Folders) -> list[dict[str, Any]]:
    return list(json.loads((folders.output / "datapackage.json").read_bytes())["resources"])


def paths(folders: Folders, table: str) -> list[Path]:
    return [folders.output / r["path"] for r in resources(folders) if r["table"] == table]


def through_payworld(found: list[Path], table: str) -> pl.DataFrame:
    return pl.concat([batch for path in found for batch in read_batches(path, TABLES[table])])


def through_polars(found: list[Path], table: str) -> pl.DataFrame:
    schema = frame_schema(TABLES[table])
    if found[0].suffix == ".parquet":
        return pl.concat([pl.read_parquet(p, hive_partitioning=False) for p in found])
    return pl.concat([pl.read_csv(p, schema=schema) for p in found])


def through_pandas(found: list[Path], table: str) -> pl.DataFrame:
    schema = frame_schema(TABLES[table])
    if found[0].suffix == ".parquet":
        frames = [pd.read_parquet(p, partitioning=None) for p in found]
        return pl.from_pandas(pd.concat(frames)).cast(schema)
    frames = [pd.read_csv(p, dtype=str, keep_default_na=False, na_values=[""]) for p in found]
    columns = dict.fromkeys(schema, pl.String)
    return typed(pl.from_pandas(pd.concat(frames), schema_overrides=columns), schema)


def through_pyarrow(found: list[Path], table: str) -> pl.DataFrame:
    schema = frame_schema(TABLES[table])
    if found[0].suffix == ".parquet":
        tables = [pyarrow.parquet.read_table(p, partitioning=None) for p in found]
    else:
        kinds = pl.DataFrame(schema=schema).to_arrow().schema
        convert = pyarrow.csv.ConvertOptions(
            column_types=kinds, null_values=[""], strings_can_be_null=True
        )
        tables = [pyarrow.csv.read_csv(p, convert_options=convert) for p in found]
    return pl.concat([pl.DataFrame(t) for t in tables]).cast(schema)


def through_duckdb(found: list[Path], table: str) -> pl.DataFrame:
    schema, files = frame_schema(TABLES[table]), [str(path) for path in found]
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        if found[0].suffix == ".parquet":
            query = "SELECT * FROM read_parquet(?, hive_partitioning = false)"
            return rows_frame(connection.execute(query, [files]).fetchall(), schema)
        query = (
            "SELECT * FROM read_csv(?, header = true, all_varchar = true, "
            "hive_partitioning = false)"
        )
        rows = connection.execute(query, [files]).fetchall()
    return typed(pl.DataFrame(rows, dict.fromkeys(schema, pl.String), orient="row"), schema)


def rows_frame(rows: list[Any], schema: pl.Schema) -> pl.DataFrame:
    plain = {n: pl.String if isinstance(k, pl.Enum) else k for n, k in schema.items()}
    return pl.DataFrame(rows, plain, orient="row").cast(schema)


def typed(texts: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """Return a frame of texts with the schema's types."""
    return texts.select(
        pl.col(name).str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="us").cast(kind)
        if isinstance(kind, pl.Datetime)
        else pl.col(name).str.to_date()
        if kind == pl.Date
        else pl.col(name).cast(kind)
        for name, kind in schema.items()
    )


READERS: dict[str, Callable[[list[Path], str], pl.DataFrame]] = {
    "payworld": through_payworld,
    "polars": through_polars,
    "pandas": through_pandas,
    "pyarrow": through_pyarrow,
    "duckdb": through_duckdb,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("table", TABLES)
def test_every_style_holds_equal_rows_to_every_reader(
    worlds: dict[str, Folders], style: str, table: str, reader: str
) -> None:
    expected = through_payworld(paths(worlds["csv"], table), table)
    assert expected.height > 100 or table == "merchants"
    found = READERS[reader](paths(worlds[style], table), table)
    assert_frame_equal(found, expected, categorical_as_str=True)


def test_the_state_is_the_same_whatever_the_style(worlds: dict[str, Folders], style: str) -> None:
    state = (worlds[style].state / "merchants.json").read_bytes()
    assert state == (worlds["csv"].state / "merchants.json").read_bytes()


@pytest.mark.parametrize("name", PATHS)
def test_files_lie_where_their_style_says(worlds: dict[str, Folders], name: str) -> None:
    found = [resource["path"] for resource in resources(worlds[name])]
    assert PATHS[name] in found
    assert set(found) == data_files(worlds[name].output)
    assert len(found) == 6


def test_the_style_is_read_back_from_the_path(worlds: dict[str, Folders], style: str) -> None:
    asked = dict(zip(*[iter(STYLES[style])] * 2, strict=True))
    for resource in resources(worlds[style]):
        found = FileStyle.of(resource["path"])
        assert found.format == asked.get("--format", "csv")
        assert found.compression == asked.get("--compression", "none")
        assert found.layout == asked.get("--layout", "flat")
        start, end = (date.fromisoformat(day).toordinal() for day in days_of(resource["path"]))
        assert found.path(resource["table"], Period(start, end)) == resource["path"]


@pytest.mark.parametrize(
    "path",
    [
        "../transactions_2024-01-30_2024-01-31.csv",
        "merchants/year=2024/month=01/transactions_2024-01-30_2024-01-31.csv",
        "transactions/year=2024/transactions_2024-01-30_2024-01-31.csv",
        "/transactions_2024-01-30_2024-01-31.csv",
        "transactions_2024-01-30_2024-01-31.csv.bz2",
        "transactions_2024-01-30_2024-01-31.parquet.gz",
        ".transactions_2024-01-30_2024-01-31.csv.partial",
        "transactions_2024-01-30_2024-01-31.csv\n",
    ],
)
def test_no_other_path_is_a_data_file(path: str) -> None:
    assert not is_data_file(path)


def test_verify_and_regenerate_know_every_style(
    server: GenServer, worlds: dict[str, Folders], tmp_path: Path, style: str
) -> None:
    folders = Folders(tmp_path / "world")
    shutil.copytree(worlds[style].root, folders.root)
    before = folders.digests()
    assert server.run("verify", *folders.options).code == 0
    lost = [path for table in TABLES for path in paths(folders, table)]
    for path in lost[::2]:
        path.unlink()
    ended = server.run("verify", *folders.options)
    assert ended.code == 1
    assert "missing" in ended.stdout
    ended = server.run("regenerate", "--start-date", START, "--end-date", END, *folders.options)
    assert ended.code == 0, ended.stderr
    assert folders.digests() == before


@pytest.mark.parametrize("options", [[], ["--layout", "hive"], ["--compression", "gzip"]])
def test_styles_may_change_from_night_to_night(
    server: GenServer, tmp_path: Path, options: list[str]
) -> None:
    folders = Folders(tmp_path / "world")
    folders.root.mkdir()
    assert run(server, folders, "--initial", *period(START, "2024-02-01"), *options).code == 0
    for day, other in (("2024-02-02", ["--layout", "hive"]), ("2024-02-03", [])):
        assert run(server, folders, "--incremental", "--date", day, *other).code == 0
    assert server.run("verify", *folders.options).code == 0
    found = through_payworld(paths(folders, "transactions"), "transactions")
    assert found["payment_timestamp"].dt.date().n_unique() == 5


@pytest.mark.parametrize("style", ["zstd in partitions", "parquet in partitions"])
def test_a_replaced_world_takes_its_partitions_with_it(
    server: GenServer, worlds: dict[str, Folders], tmp_path: Path, style: str
) -> None:
    folders = Folders(tmp_path / "world")
    shutil.copytree(worlds[style].root, folders.root)
    old = {resource["path"] for resource in resources(folders)}
    ended = run(server, folders, "--initial", *period(START, END), "--seed", "9", "--replace")
    assert ended.code == 0, ended.stderr
    (aside,) = (folders.output / "_replaced").iterdir()
    assert data_files(aside) == old
    assert not (folders.output / "transactions").exists()
    assert data_files(folders.output) == {resource["path"] for resource in resources(folders)}
    assert server.run("verify", *folders.options).code == 0


@pytest.mark.parametrize("style", ["csv in partitions", "gzip"])
def test_another_world_s_days_are_seen_in_every_layout(
    server: GenServer, worlds: dict[str, Folders], tmp_path: Path, style: str
) -> None:
    folders = Folders(tmp_path / "world")
    shutil.copytree(worlds[style].output, folders.output)
    (folders.output / "datapackage.json").unlink()
    before = stats(folders.root)
    ended = run(server, folders, "--initial", *period("2024-02-01", "2024-02-10"))
    assert ended.code == 1
    assert "already tells of days in" in ended.stderr
    assert "has not lived yet; move it away or name another --output-dir" in ended.stderr
    assert {k: v[0] for k, v in stats(folders.root).items() if "raw_data/" in k} == {
        k: v[0] for k, v in before.items() if "raw_data/" in k
    }


def test_no_link_is_followed_on_the_way_to_a_partition(server: GenServer, tmp_path: Path) -> None:
    folders, elsewhere = Folders(tmp_path / "world"), tmp_path / "elsewhere"
    folders.output.mkdir(parents=True)
    elsewhere.mkdir()
    (folders.output / "transactions").symlink_to(elsewhere)
    ended = run(server, folders, "--initial", *period(START, END), "--layout", "hive")
    assert ended.code == 1
    assert "symbolic link" in ended.stderr
    assert list(elsewhere.iterdir()) == []
    assert not (folders.state / "merchants.json").exists()


@pytest.mark.parametrize("folder", ["transactions", "merchants/year=2024"])
def test_no_link_is_followed_when_files_are_verified_or_made_again(
    server: GenServer, worlds: dict[str, Folders], tmp_path: Path, folder: str
) -> None:
    folders, elsewhere = Folders(tmp_path / "world"), tmp_path / "elsewhere"
    shutil.copytree(worlds["csv in partitions"].root, folders.root)
    shutil.move(folders.output / folder, elsewhere)
    (folders.output / folder).symlink_to(elsewhere)
    before = stats(elsewhere)
    ended = server.run("verify", *folders.options)
    assert ended.code == 1
    assert "symbolic link" in ended.stdout + ended.stderr
    ended = server.run("regenerate", "--start-date", START, "--end-date", END, *folders.options)
    assert ended.code == 1
    assert "symbolic link" in ended.stderr
    assert stats(elsewhere) == before


def test_a_run_that_cannot_publish_leaves_no_partition_behind(
    server: GenServer, tmp_path: Path
) -> None:
    folders = Folders(tmp_path / "world")
    taken = folders.output / "transactions/year=2024/month=01"
    taken.mkdir(parents=True)
    (taken / "transactions_2024-01-30_2024-01-31.csv").write_text("other bytes")
    ended = run(server, folders, "--initial", *period(START, END), "--layout", "hive")
    assert ended.code == 1
    assert "holds other bytes" in ended.stderr
    left = {path.name for path in folders.output.rglob("*")}
    assert "merchants" not in left
    assert "month=02" not in left


def test_what_does_not_go_together_is_refused(server: GenServer, tmp_path: Path) -> None:
    folders = Folders(tmp_path / "world")
    folders.root.mkdir()
    begin = ["--initial", *period(START, END)]
    for given, said in (
        (["--format", "parquet", "--compression", "zstd"], "goes with format csv"),
        (["--compression", "bzip2"], "none, gzip or zstd"),
        (["--layout", "deep"], "flat or hive"),
    ):
        ended = run(server, folders, *begin, *given)
        assert ended.code == 2, given
        assert said in ended.stderr.replace("'", ""), ended.stderr
        assert not folders.state.exists()
    with pytest.raises(UsageError, match="compression"):
        generate(
            date(2024, 1, 1), end_date=date(2024, 1, 2), file_format="parquet", compression="gzip"
        )
    with pytest.raises(StorageError, match="is not the path of a file"):
        FileStyle.of("other.csv")


def test_a_program_chooses_the_style_too(worlds: dict[str, Folders], tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    generate(
        date(2024, 1, 30), end_date=date(2024, 2, 2), compression="gzip", layout="hive",
        config=LIVELY_WORLD, state_dir=folders.state, output_dir=folders.output,
    )  # fmt: skip
    expected = worlds["gzip in partitions"].output
    for name in data_files(folders.output):
        assert (folders.output / name).read_bytes() == (expected / name).read_bytes()


def test_a_path_too_long_for_a_partition_is_told_before_anything_is_decided(
    server: GenServer, tmp_path: Path
) -> None:
    deep = tmp_path
    while len(str(deep)) < 3_800:
        deep /= "d" * 200
    deep /= "e" * (4_040 - len(str(deep)) - 1)
    folders = Folders(tmp_path / "world")
    folders.root.mkdir()
    config = write_config(tmp_path / "world.yaml", LIVELY_WORLD)
    begin = ["--initial", *period(START, END), "-f", "-q", "--config", config]
    state = ["--state-dir", str(folders.state)]
    ended = server.run(*begin, "--layout", "hive", *state, "--output-dir", str(deep))
    assert ended.code == 1
    assert "too long" in ended.stderr
    assert not (folders.state / ".journal").exists()
    assert server.run(*begin, *folders.options).code == 0


def test_recover_tells_the_options_that_give_equal_files(
    server: GenServer, worlds: dict[str, Folders], tmp_path: Path
) -> None:
    folders = Folders(tmp_path / "world")
    shutil.copytree(worlds["zstd in partitions"].root, folders.root)
    before = folders.digests()
    (folders.state / "merchants.json").write_text("{}")
    ended = server.run("recover", *folders.options)
    assert ended.code == 0, ended.stderr
    style = "--format csv --compression zstd --layout hive"
    said = f"gen --incremental --date 2024-02-03 {style} {' '.join(folders.options)}"
    assert ended.stderr.rstrip().endswith(said)
    # Another style is refused with the same way out.
    ended = server.run("--incremental", "--date", "2024-02-03", "-f", "-q", *folders.options)
    assert ended.code == 1
    assert "already tells of days in 2024-02-03 to 2024-02-03" in ended.stderr
    assert f"a run that ends on 2024-02-03, with {style}, makes it again" in ended.stderr
    ended = server.run(*said.split()[1:], "-f", "-q")
    assert ended.code == 0, ended.stderr
    assert {k: v for k, v in folders.digests().items() if "_replaced" not in k} == before


@pytest.mark.parametrize("style", ["csv", "gzip in partitions", "parquet", "parquet in partitions"])
def test_frictionless_validates_the_package_as_it_stands(
    worlds: dict[str, Folders], style: str
) -> None:
    command = [str(Path(sys.executable).with_name("frictionless")), "validate", "datapackage.json"]
    if style.startswith("parquet"):
        # It does not count the bytes of Parquet files.
        command += ["--skip-errors", "byte-count"]
    found = subprocess.run(command, cwd=worlds[style].output, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout
    assert found.stdout.count("VALID") == 6
    assert "INVALID" not in found.stdout
