"""What a run is to be told so that it makes the files of a world that was taken back again."""

import json
import shutil
from pathlib import Path

from tests.builders import SMALL_WORLD, Folders, period, write_config
from tests.gen_server import GenServer
from tests.publishing import MANIFEST, manifest

from payworld.storage.manifest import read_manifest
from payworld.storage.taken_back import files_after, how_to_remake
from payworld.timeline import parse_date

PATHS = [
    "transactions_2024-01-01_2024-01-31.csv.gz",
    "transactions_2024-02-01_2024-02-02.csv.gz",
    "transactions_2024-02-03_2024-02-03.csv.gz",
    "transactions/year=2024/month=02/transactions_2024-02-04_2024-02-04.parquet",
]


def test_files_of_one_style_are_made_again_by_one_run(tmp_path: Path) -> None:
    document = json.loads(manifest(dict.fromkeys(PATHS, b"x")))
    for resource, path in zip(document["resources"], PATHS, strict=True):
        start, end = path.rpartition("/")[2].partition(".")[0].split("_")[1:]
        resource["table"] = "transactions"
        resource["period"] = {"start": start, "end": end}
    (tmp_path / MANIFEST).write_text(json.dumps(document))

    def after(day: str) -> list[str]:
        return [r["path"] for r in files_after(read_manifest(tmp_path), parse_date(day, "a test"))]

    assert after("2024-01-31") == PATHS[1:]
    assert after("2024-02-01") == PATHS[1:]
    assert after("2024-02-04") == []
    gzip = ("2024-02-03", "--format csv --compression gzip --layout flat")
    assert (
        how_to_remake(files_after(read_manifest(tmp_path), parse_date("2024-01-31", "a test")))
        == gzip
    )
    parquet = ("2024-02-04", "--format parquet --compression none --layout hive")
    assert (
        how_to_remake(files_after(read_manifest(tmp_path), parse_date("2024-02-03", "a test")))
        == parquet
    )
    assert files_after(read_manifest(tmp_path / "none"), 1) == []


def test_a_night_that_ends_within_days_that_are_there_is_told_where_to_end(
    server: GenServer, tmp_path: Path
) -> None:
    folders = Folders(tmp_path)
    config = write_config(tmp_path / "world.yaml", SMALL_WORLD)
    run = ["-f", "-q", *folders.options]
    begin = ["--initial", *period("2024-01-01", "2024-01-02"), "--config", config]
    assert server.run(*begin, *run).code == 0
    shutil.copytree(folders.state, tmp_path / "backup")
    assert server.run("--incremental", "--date", "2024-01-05", *run).code == 0
    before = folders.digests()
    shutil.rmtree(folders.state)
    shutil.copytree(tmp_path / "backup", folders.state)
    ended = server.run("--incremental", "--date", "2024-01-03", *run)
    assert ended.code == 1
    told = "a run that ends on 2024-01-05, with --format csv --compression none --layout flat,"
    assert told in ended.stderr
    options = told.partition("with ")[2].strip(",").split()
    assert server.run("--incremental", "--date", "2024-01-05", *options, *run).code == 0
    assert folders.digests() == before
