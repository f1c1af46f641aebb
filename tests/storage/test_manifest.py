"""datapackage.json: each file with schema, rows, bytes, hash; a valid Frictionless package."""

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from tests.builders import LIVELY_WORLD, Folders, period, write_config
from tests.gen_server import GenServer

from payworld.errors import ConflictError, StorageError
from payworld.schema import TABLES
from payworld.storage.manifest import MANIFEST, check_same_world, read_manifest
from payworld.storage.state_file import read_state


@pytest.fixture(scope="module")
def folders(server: GenServer, tmp_path_factory: pytest.TempPathFactory) -> Folders:
    found = Folders(tmp_path_factory.mktemp("manifest"))
    config = write_config(found.root / "world.yaml", LIVELY_WORLD)
    run = ["-f", "-q", "--config", config, *found.options]
    for mode in (
        ["--initial", *period("2024-01-30", "2024-02-01")],
        ["--incremental", "--date", "2024-02-02"],
        ["--incremental", "--date", "2024-02-03", "--format", "parquet"],
    ):
        assert server.run(*mode, *run).code == 0
    return found


@pytest.fixture(scope="module")
def resources(folders: Folders) -> list[dict[str, Any]]:
    document = json.loads((folders.output / MANIFEST).read_bytes())
    return list(document["resources"])


def test_every_file_is_listed_and_every_listed_file_is_there(
    folders: Folders, resources: list[dict[str, Any]]
) -> None:
    assert {resource["path"] for resource in resources} == folders.names()
    assert len(resources) == 8
    assert len({resource["name"] for resource in resources}) == 8


def test_bytes_and_hashes_are_those_of_the_files(
    folders: Folders, resources: list[dict[str, Any]]
) -> None:
    for resource in resources:
        data = (folders.output / resource["path"]).read_bytes()
        assert resource["bytes"] == len(data)
        assert resource["hash"] == f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_rows_are_those_of_the_files(folders: Folders, resources: list[dict[str, Any]]) -> None:
    import pyarrow.parquet as pq

    for resource in resources:
        path = folders.output / resource["path"]
        if path.suffix == ".csv":
            with path.open(encoding="utf-8", newline="") as file:
                rows = sum(1 for _ in csv.reader(file)) - 1
        else:
            rows = pq.read_metadata(path).num_rows
        assert resource["rows"] == rows


def test_sums_are_those_of_the_files_to_the_cent(
    folders: Folders, resources: list[dict[str, Any]]
) -> None:
    import polars as pl

    for resource in resources:
        if resource["table"] == "merchants":
            assert "sums" not in resource
            continue
        path, names = folders.output / resource["path"], list(resource["sums"])
        assert names == ["payment_amount", "transactional_cost_amount", "mdr_amount", "net_profit"]
        frame = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path)
        cents = frame.select(pl.col(names).cast(pl.Float64) * 100).select(
            pl.all().round(0).cast(pl.Int64).sum()
        )
        assert {name: round(float(text) * 100) for name, text in resource["sums"].items()} == (
            cents.to_dicts()[0]
        )
        assert all(len(text.partition(".")[2]) == 2 for text in resource["sums"].values())


def test_columns_are_those_of_the_files_in_their_order(
    folders: Folders, resources: list[dict[str, Any]]
) -> None:
    for resource in resources:
        names = [field["name"] for field in resource["schema"]["fields"]]
        assert names == TABLES[resource["table"]].names
        if resource["path"].endswith(".csv"):
            with (folders.output / resource["path"]).open(encoding="utf-8") as file:
                assert file.readline() == ",".join(names) + "\n"


def test_periods_and_runs_tell_which_night_made_what(resources: list[dict[str, Any]]) -> None:
    runs = {(r["period"]["start"], r["period"]["end"]): r["run"] for r in resources}
    assert runs == {
        ("2024-01-30", "2024-01-31"): "initial 2024-01-30..2024-02-01",
        ("2024-02-01", "2024-02-01"): "initial 2024-01-30..2024-02-01",
        ("2024-02-02", "2024-02-02"): "incremental 2024-02-02..2024-02-02",
        ("2024-02-03", "2024-02-03"): "incremental 2024-02-03..2024-02-03",
    }


@pytest.mark.slow
def test_frictionless_finds_the_package_and_its_csv_rows_valid(folders: Folders) -> None:
    import warnings

    with warnings.catch_warnings():
        # Its own dependencies warn of each other.
        warnings.simplefilter("ignore")
        from frictionless import Package, Resource

        document = json.loads((folders.output / MANIFEST).read_bytes())
        document["resources"] = [r for r in document["resources"] if r["path"].endswith(".csv")]
        assert Package.validate_descriptor(document).valid
        for descriptor in document["resources"]:
            if descriptor["table"] == "merchants":
                resource = Resource.from_descriptor(descriptor, basepath=str(folders.output))
                report = resource.validate()
                assert report.valid, report.flatten(["rowNumber", "fieldName", "message"])[:3]


def test_files_of_another_world_are_not_mixed_in(
    server: GenServer, folders: Folders, tmp_path: Path
) -> None:
    world, _ = read_state(folders.state)
    assert check_same_world(folders.output, world) is not None
    other = tmp_path / "state"
    ended = server.run(
        "--initial", *period("2024-05-01", "2024-05-01"), "-f", "--seed", "8",
        "--state-dir", other, "--output-dir", folders.output,
    )  # fmt: skip
    assert ended.code == 1
    assert "another world" in ended.stderr
    with pytest.raises(ConflictError, match="another world"):
        check_same_world(folders.output, read_world_with_another_seed())


def read_world_with_another_seed() -> Any:
    from datetime import date

    from payworld import Simulation

    return Simulation.create(date(2024, 1, 1), initial_merchants=1, seed=9).world


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"resources": 1}', '{"resources": [{}]}', "{"])
def test_a_manifest_that_is_none_is_refused_with_a_way_out(tmp_path: Path, text: str) -> None:
    assert read_manifest(tmp_path) is None
    (tmp_path / MANIFEST).write_text(text, encoding="utf-8")
    with pytest.raises(StorageError, match="restore it, or move it away"):
        read_manifest(tmp_path)
