"""gen publish and --publish: nights that end in object storage, and the repair of a failed one."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.builders import SMALL_WORLD, Folders, period, write_config
from tests.gen_server import GenServer
from tests.object_store import KEY_ID, SECRET, ObjectStore
from tests.publishing import INITIAL, MANIFEST, NIGHT, PLACE, PublishedWorld, folder, nights
from typer.testing import CliRunner

from payworld.cli.app import app
from payworld.cli.publish import SHOWN


@pytest.fixture(scope="module")
def running() -> Iterator[ObjectStore]:
    with ObjectStore() as store:
        yield store


@pytest.fixture
def store(running: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    with running.emptied(monkeypatch) as store:
        yield store


@pytest.fixture
def world(server: GenServer, store: ObjectStore, tmp_path: Path) -> PublishedWorld:
    return PublishedWorld(server, store, tmp_path)


@pytest.mark.slow
def test_every_night_arrives_with_its_manifest_last(world: PublishedWorld) -> None:
    world.begin("--publish", f"{PLACE}/")
    assert world.is_published()
    for day in ("2024-02-02", "2024-02-03", "2024-02-05"):
        world.store.faults.seen.clear()
        ended = world.gen("--incremental", "--date", day, "-f", "--publish", PLACE)
        assert "published 2 files" in ended.stderr
        assert world.is_published()
        puts = world.store.faults.told("PUT", "POST", "DELETE")
        assert len(puts) == 3
        assert puts[-1] == f"PUT /lake/raw/{MANIFEST}"
    keys = world.store.objects()
    # Four files of two months, two of each night, the manifest; nothing of the state.
    assert len(keys) == 4 + 3 * 2 + 1
    assert not any("merchants.json" in key for key in keys)


@pytest.mark.parametrize(
    "style",
    [
        ("--format", "csv", "--compression", "gzip", "--layout", "flat"),
        ("--format", "csv", "--compression", "zstd", "--layout", "hive"),
        ("--format", "parquet", "--layout", "hive"),
    ],
)
def test_files_of_every_style_arrive_under_their_paths(
    world: PublishedWorld, style: tuple[str, ...]
) -> None:
    world.begin(*style, "--publish", PLACE)
    assert world.is_published()
    world.gen(*NIGHT, *style, "--publish", PLACE)
    assert world.is_published()
    listed = json.loads(world.store.read(f"raw/{MANIFEST}"))["resources"]
    assert {f"raw/{file['path']}" for file in listed} == {
        key for key in world.store.objects() if not key.endswith(MANIFEST)
    }


def test_a_night_that_is_there_is_published_without_a_write(world: PublishedWorld) -> None:
    world.begin("--publish", PLACE)
    world.store.faults.seen.clear()
    again = [*INITIAL, "--config", world.config, "--publish", PLACE]
    for command in (again, ["publish", PLACE]):
        ended = world.gen(*command)
        assert "has all 4 files: nothing to publish" in ended.stderr
    assert world.store.faults.told("PUT", "POST", "DELETE") == []


@pytest.mark.parametrize("repair", [[*NIGHT, "--publish", PLACE], ["publish", PLACE]])
def test_a_night_that_could_not_be_published_stands_and_is_published_later(
    world: PublishedWorld, tmp_path: Path, repair: list[str]
) -> None:
    world.begin("--publish", PLACE)
    world.store.faults.on, world.store.faults.kind = "PUT /lake/raw/transactions", "denied"
    ended = world.gen(*NIGHT, "--publish", PLACE, "-q", code=1)
    assert "AccessDenied" in ended.stderr
    assert (
        f"Not published yet:\n  transactions_2024-02-02_2024-02-02.csv\n  {MANIFEST}\n"
        f"To go on: gen publish {PLACE}\n" in ended.stderr
    ), ended.stderr
    assert SECRET not in ended.stderr
    assert KEY_ID in ended.stderr
    # The world is that of a run without a store.
    plain = Folders(tmp_path / "plain")
    world.gen(*INITIAL, "--config", world.config, *plain.options)
    world.gen(*NIGHT, *plain.options)
    assert world.folders.digests() == plain.digests()
    # A consumer goes by the manifest of the night before.
    listed = json.loads(world.store.read(f"raw/{MANIFEST}"))["resources"]
    assert {f"raw/{resource['path']}" for resource in listed} <= set(world.store.objects())
    world.store.faults.on = ""
    world.gen(*repair)
    assert world.is_published()
    assert world.folders.digests() == plain.digests()


def test_the_store_may_be_gone_for_nights(world: PublishedWorld) -> None:
    world.begin()
    away = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    for day in ("2024-02-02", "2024-02-03"):
        ended = world.gen(
            "--incremental", "--date", day, "-f", "--publish", PLACE, code=1, environment=away
        )
        assert "check the connection" in ended.stderr
    ended = world.gen("--incremental", "--date", "2024-02-04", "-f", "--publish", PLACE)
    assert "published 10 files" in ended.stderr
    assert world.is_published()


def test_the_summary_has_a_publish_object(world: PublishedWorld) -> None:
    summary = world.begin("--publish", PLACE, "--json", "-q").data
    assert summary["days"] == 3
    told = summary["publish"]
    assert told["destination"] == PLACE
    assert (told["done"], told["error"], told["manifest"]) == (True, None, "new")
    assert told["uploaded"] == sorted(file["path"] for file in summary["files"])
    assert told["uploaded_bytes"] == sum(file["bytes"] for file in summary["files"])
    again = world.begin("--publish", PLACE, "--json", "-q").data["publish"]
    assert (again["uploaded"], again["already_there"], again["missing"]) == ([], 4, [])
    world.store.faults.on, world.store.faults.kind = "PUT /lake/raw", "denied"
    failed = world.gen(*NIGHT, "--publish", PLACE, "--json", "-q", code=1).data
    assert failed["end_date"] == "2024-02-02"
    assert (failed["done"], failed["publish"]["done"]) == (False, False)
    again = world.gen(*NIGHT, "--publish", PLACE, "--json", "-q", code=1).data
    assert (again["done"], again["message"]) == (False, "already generated through 2024-02-02")
    assert failed["publish"]["missing"][-1] == MANIFEST
    assert "AccessDenied" in failed["publish"]["error"]
    world.store.faults.on = ""
    dry = world.gen("publish", PLACE, "--dry-run", "--json", "-q").data
    assert (len(dry["missing"]), dry["manifest"], dry["dry_run"]) == (2, "replaced", True)
    assert "publish" not in world.gen(*NIGHT, "--json").data


def test_what_was_done_is_said_in_one_line(world: PublishedWorld) -> None:
    world.begin()
    world.store.faults.on, world.store.faults.kind = f"PUT /lake/raw/{MANIFEST}", "denied"
    ended = world.gen("publish", PLACE, code=1)
    assert f"Not published yet:\n  {MANIFEST}\nTo go on: gen publish {PLACE}\n" in ended.stderr
    ended = world.gen("publish", PLACE, "--dry-run")
    assert ended.stderr == f"would publish {MANIFEST} to {PLACE}, which has all 4 files\n"
    world.store.faults.on = ""
    ended = world.gen("publish", PLACE)
    assert ended.stderr == f"published {MANIFEST} to {PLACE}, which has all 4 files\n"
    assert world.gen("publish", PLACE, "-q").stderr == ""
    behind = world.root / "behind"
    shutil.copytree(world.folders.output, behind)
    world.gen(*NIGHT, "--publish", PLACE)
    ended = world.gen("publish", PLACE, "--output-dir", behind)
    assert "has all 4 files: nothing to publish; the datapackage.json there lists more" in (
        ended.stderr
    )
    assert world.is_published()


def test_a_dry_run_asks_the_store_for_nothing_or_only_looks(world: PublishedWorld) -> None:
    ended = world.begin("--publish", PLACE, "--dry-run")
    assert f"then uploaded to {PLACE}" in ended.stdout
    world.begin()
    assert world.begin("--publish", PLACE, "--dry-run", "--json").data["done"]
    assert world.store.faults.seen == []
    ended = world.gen("publish", PLACE, "--dry-run")
    assert "would publish 4 files" in ended.stderr
    assert world.store.faults.told("PUT", "POST", "DELETE") == []


@pytest.mark.slow
def test_where_to_comes_from_the_nearest_source(world: PublishedWorld) -> None:
    keyed = write_config(world.root / "keyed.yaml", {**SMALL_WORLD, "publish": "s3://lake/file"})
    variable = {"PAYWORLD_PUBLISH": "s3://lake/variable"}
    world.begin("--config", keyed)
    assert world.is_published("file")
    world.gen(*NIGHT, "--config", keyed, environment=variable)
    assert world.is_published("variable")
    world.gen(*NIGHT, "--config", keyed, "--publish", "s3://lake/typed", environment=variable)
    assert world.is_published("typed")
    assert not world.is_published("file")
    world.gen("publish", "--config", keyed)
    assert world.is_published("file")
    world.store.faults.seen.clear()
    # An empty one: not this time.
    world.gen("--incremental", "--date", "2024-02-03", "-f", "--config", keyed, "--publish", "")
    assert world.store.faults.seen == []
    for prefix, command in (
        ("file", ["publish", "--config", keyed]),
        ("variable", ["publish", "--config", keyed]),
        ("typed", ["publish", "s3://lake/typed", "--config", keyed]),
    ):
        world.gen(*command, environment={} if prefix == "file" else variable)
        assert world.is_published(prefix)


def test_where_to_is_no_part_of_the_world(world: PublishedWorld, tmp_path: Path) -> None:
    world.begin("--publish", PLACE)
    plain = Folders(tmp_path / "plain")
    world.gen(*INITIAL, "--config", world.config, *plain.options)
    assert world.folders.digests() == plain.digests()
    keyed = write_config(tmp_path / "keyed.yaml", {"publish": "s3://lake/elsewhere"})
    # No change of the configuration that would have to be accepted.
    world.gen(*NIGHT, "--config", keyed)
    assert b"s3://" not in (world.folders.state / "merchants.json").read_bytes()


def test_gen_config_shows_where_to(server: GenServer, tmp_path: Path) -> None:
    text = server.run("config").stdout
    assert "# where a run's files are uploaded to, s3://bucket/prefix; empty: nowhere\n" in text
    keyed = write_config(tmp_path / "keyed.yaml", {"publish": "s3://lake/raw//"})
    assert 'publish: "s3://lake/raw"\n' in server.run("config", "--config", keyed).stdout


@pytest.mark.parametrize(
    "address",
    [
        "lake/raw", "s3:/lake", "s3://", "s3:///raw", "https://lake/raw", "s3://la ke/raw",
        "s3://lake/a//b", "s3://lake/../b", "s3://lake/a?b", "s3://lake/a\nb", "S3://lake/raw",
        f"s3://{KEY_ID}:{SECRET}@lake/raw", f"s3://lake/{'x' * 801}", "s3://-lake/raw",
    ],
)  # fmt: skip
def test_an_address_that_is_none_ends_with_2_and_nothing_is_written(
    world: PublishedWorld, address: str
) -> None:
    before = sorted(world.root.rglob("*"))
    for command in ([*INITIAL, "--publish", address], ["publish", address]):
        ended = world.gen(*command, code=2)
        assert "publish = " in ended.stderr
        assert SECRET not in ended.stderr
    assert sorted(world.root.rglob("*")) == before
    assert world.store.faults.seen == []


def test_gen_publish_without_an_address_or_files_says_so(
    world: PublishedWorld,
) -> None:
    ended = world.gen("publish", code=2)
    assert "expected gen publish s3://bucket/prefix" in ended.stderr
    ended = world.gen("publish", PLACE, code=1)
    assert "there is no datapackage.json in 'raw_data'" in ended.stderr
    world.begin()
    ended = world.gen("publish", PLACE, "--state-dir", ".", code=2)
    assert "lies in the state folder" in ended.stderr


@pytest.mark.parametrize(
    ("environment", "place", "said"),
    [
        ({}, "s3://nolake/raw", "NoSuchBucket"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, PLACE, "set AWS_PROFILE, or"),
        ({"AWS_PROFILE": "none"}, PLACE, "check AWS_PROFILE"),
        ({"AWS_ENDPOINT_URL": "nonsense"}, PLACE, "Invalid endpoint: nonsense"),
    ],
)
def test_what_a_user_gets_wrong_is_said(
    world: PublishedWorld, environment: dict[str, str], place: str, said: str
) -> None:
    world.begin("-q", "--output-dir", "my data")
    ended = world.gen("publish", place, "--output-dir", "my data", code=1, environment=environment)
    assert said in ended.stderr
    assert f"  {MANIFEST}\nTo go on: gen publish {place} --output-dir 'my data'\n" in ended.stderr
    assert SECRET not in ended.stderr


def test_the_files_of_another_world_are_left(world: PublishedWorld) -> None:
    world.begin("--publish", PLACE)
    before = world.store.objects()
    again = [*INITIAL, "--config", world.config, "--replace", "--seed", "7"]
    ended = world.gen(*again, "--publish", PLACE, code=1)
    assert "holds the files of another world (seed 42" in ended.stderr
    assert "name another prefix" in ended.stderr
    assert world.store.objects() == before
    world.gen("publish", "s3://lake/seed7")
    # The folder has what was moved aside, too: it is not published.
    assert set(world.store.objects()) - set(before) == {
        f"seed7/{path.name}" for path in world.folders.output.iterdir() if path.is_file()
    }


def test_a_file_changed_on_the_disk_is_published_when_made_again(
    world: PublishedWorld,
) -> None:
    world.begin()
    path = world.folders.output / "transactions_2024-01-30_2024-01-31.csv"
    path.write_bytes(path.read_bytes().replace(b"approved", b"APPROVED", 1))
    ended = world.gen("publish", PLACE, code=1)
    assert "gen regenerate --start-date 2024-01-30 --end-date 2024-01-31" in ended.stderr
    assert f"raw/{MANIFEST}" not in world.store.objects()
    world.gen("regenerate", *period("2024-01-30", "2024-01-31"))
    world.gen("publish", PLACE)
    objects = world.store.objects()
    assert objects[f"raw/{path.name}"] == path.read_bytes()
    assert len(objects) == 5


def test_a_lost_file_is_published_when_made_again(world: PublishedWorld) -> None:
    folders = ["--output-dir", "my data", "--state-dir", "its state"]
    world.begin(*folders, "-q")
    lost = [f"merchants_2024-0{days}.csv" for days in ("1-30_2024-01-31", "2-01_2024-02-01")]
    for name in lost:
        (world.root / "my data" / name).unlink()
    ended = world.gen("publish", PLACE, *folders, "--json", code=1)
    for name in lost:
        assert f"'my data/{name}' is gone, and is not published; make it again" in ended.stderr
    assert f"\nNot published yet:\n  {lost[0]}\n  {lost[1]}\n  {MANIFEST}\n" in ended.stderr
    assert (
        "To go on: gen regenerate --start-date 2024-01-30 --end-date 2024-02-01 --state-dir "
        f"'its state' --output-dir 'my data', and then gen publish {PLACE} --output-dir 'my data'\n"
    ) in ended.stderr
    assert "whole on this disk" not in ended.stderr
    assert [found["path"] for found in ended.data["refused"]] == lost
    assert "is gone" in ended.data["refused"][0]["reason"]
    # The others are there already.
    assert len(ended.data["uploaded"]) == 2
    world.gen("regenerate", *period("2024-01-30", "2024-02-01"), *folders)
    assert world.gen("publish", PLACE, *folders, "--json", "-q").data["uploaded"] == lost
    assert f"raw/{MANIFEST}" in world.store.objects()


def test_all_that_is_not_published_is_named_up_to_a_page(world: PublishedWorld) -> None:
    files = nights(SHOWN + 2)
    folder(world.folders.output, files)
    world.store.faults.on, world.store.faults.kind = "GET /lake", "denied"
    ended = world.gen("publish", PLACE, "--json", code=1)
    listed = [line.strip() for line in ended.stderr.splitlines() if line.startswith("  ")]
    assert listed == [*sorted(files)[:SHOWN], "and 3 more; --json lists them all"]
    assert ended.data["missing"] == [*sorted(files), MANIFEST]
    assert ended.data["refused"] == []


def test_without_boto3_nothing_is_begun(
    monkeypatch: pytest.MonkeyPatch, store: ObjectStore, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "boto3", None)
    for command in ([*INITIAL, "--publish", PLACE], ["publish", PLACE]):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 1
        assert "payworld[s3]" in result.stderr
    assert list(tmp_path.iterdir()) == []
    assert store.faults.seen == []
