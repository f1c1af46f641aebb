"""What an ingest does when something is not as it should be: a clear message, and no wrong row."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest
from tests.builders import MANIFEST, Folders, period
from tests.examples.lakes import EXAMPLES, check_bronze
from tests.examples.nights import Landing, NightlyWorld
from tests.examples.runner import Ended, ExampleServer
from tests.faults.driver import FaultServer

ROOT = Path(__file__).resolve().parents[2]
Nights = Callable[[str], list[Landing]]
Examples = Callable[[str], ExampleServer]
CENT = Decimal("0.01")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.parametrize("name", EXAMPLES)]


def check_refused(ended: Ended, *words: str) -> None:
    assert ended.code == 1, ended.stderr or ended.stdout
    assert "Traceback" not in ended.stderr
    assert ended.stderr.count("\n") == 1
    missing = [word for word in words if word not in ended.stderr]
    assert missing == [], ended.stderr


def copied(landing: Landing, root: Path) -> Landing:
    shutil.copytree(landing.folders.root, root)
    return Landing(Folders(root))


def test_a_file_that_is_not_the_published_one_is_not_loaded(
    nights: Nights, examples: Examples, tmp_path: Path, name: str
) -> None:
    first, later = nights("--format csv")[:2]
    assert examples(name).run(first.raw_data, tmp_path / "lake").code == 0
    landing = copied(later, tmp_path / "world")
    changed = landing.files("transactions")[-1]
    path = landing.raw_data / changed.name
    data = path.read_bytes()
    for bad in (data.replace(b"approved", b"declined", 1), data[: len(data) // 2]):
        path.write_bytes(bad)
        check_refused(examples(name).run(landing.raw_data, tmp_path / "lake"), changed.name)
    path.unlink()
    check_refused(
        examples(name).run(landing.raw_data, tmp_path / "lake"), changed.name, "gen regenerate"
    )
    path.write_bytes(data)
    ended = examples(name).run(landing.raw_data, tmp_path / "lake")
    assert ended.code == 0, ended.stderr
    check_bronze(name, landing, tmp_path / "lake")


def test_another_world_is_refused(
    faults: FaultServer, nights: Nights, examples: Examples, tmp_path: Path, name: str
) -> None:
    landing = nights("--format csv")[0]
    assert examples(name).run(landing.raw_data, tmp_path / "lake").code == 0
    # The same names with other bytes, and other names.
    for days in (period("2024-01-01", "2024-02-29"), period("2024-01-05", "2024-01-20")):
        world = NightlyWorld(faults, Folders(tmp_path / days[-1]), ("--seed", "7"))
        assert world.gen("--initial", *days).code == 0
        ended = examples(name).run(world.folders.output, tmp_path / "lake")
        check_refused(ended, "another world", "--target")
    check_bronze(name, landing, tmp_path / "lake")


def test_a_manifest_that_counts_otherwise_is_told_of(
    nights: Nights, examples: Examples, tmp_path: Path, name: str
) -> None:
    landing = copied(nights("--format csv")[0], tmp_path / "world")
    path = landing.raw_data / MANIFEST
    document = json.loads(path.read_bytes())
    document["resources"][1]["rows"] += 1
    path.write_text(json.dumps(document), encoding="utf-8")
    check_refused(examples(name).run(landing.raw_data, tmp_path / "lake"), "rows", "expected")


def test_a_manifest_that_sums_up_otherwise_is_told_of(
    nights: Nights, examples: Examples, tmp_path: Path, name: str
) -> None:
    landing = copied(nights("--format csv")[0], tmp_path / "world")
    path = landing.raw_data / MANIFEST
    text = path.read_bytes()
    document = json.loads(text)
    sums = document["resources"][1]["sums"]
    sums["mdr_amount"] = str(Decimal(sums["mdr_amount"]) + CENT)
    path.write_text(json.dumps(document), encoding="utf-8")
    refused = examples(name).run(landing.raw_data, tmp_path / "lake")
    check_refused(refused, "sums of", sums["mdr_amount"] if name.startswith("duckdb") else "mdr")
    path.write_bytes(text)
    ended = examples(name).run(landing.raw_data, tmp_path / "lake")
    assert ended.code == 0, ended.stderr


def test_a_loaded_file_may_be_moved_away_and_is_not_read_again(
    nights: Nights, examples: Examples, tmp_path: Path, name: str
) -> None:
    first, later = nights("--format csv")[:2]
    assert examples(name).run(first.raw_data, tmp_path / "lake").code == 0
    landing = copied(later, tmp_path / "world")
    gone, altered, *_ = landing.files("transactions")
    (landing.raw_data / gone.name).unlink()
    # Bytes that nobody looks at.
    (landing.raw_data / altered.name).write_bytes(b"?")
    for _ in range(2):
        ended = examples(name).run(landing.raw_data, tmp_path / "lake")
        assert ended.code == 0, ended.stderr
    check_bronze(name, later, tmp_path / "lake")


def test_a_new_file_that_is_gone_is_named_before_anything_is_loaded(
    nights: Nights, examples: Examples, tmp_path: Path, name: str
) -> None:
    first, later = nights("--format csv")[:2]
    assert examples(name).run(first.raw_data, tmp_path / "lake").code == 0
    landing = copied(later, tmp_path / "world")
    gone = landing.raw_data / landing.files("transactions")[-1].name
    data = gone.read_bytes()
    gone.unlink()
    days = "gen regenerate --start-date 2024-03-01 --end-date 2024-03-01"
    ended = examples(name).run(landing.raw_data, tmp_path / "lake")
    check_refused(ended, gone.name, "gone", "not loaded", days)
    # The merchants of that night too.
    check_bronze(name, first, tmp_path / "lake")
    gone.write_bytes(data)
    ended = examples(name).run(landing.raw_data, tmp_path / "lake")
    assert ended.code == 0, ended.stderr
    check_bronze(name, later, tmp_path / "lake")


def test_a_folder_without_a_manifest_is_told_of(
    examples: Examples, tmp_path: Path, name: str
) -> None:
    ended = examples(name).run(tmp_path, tmp_path / "lake")
    check_refused(ended, str(tmp_path / MANIFEST), "gen")


def test_two_at_once_load_nothing_twice(
    nights: Nights, examples: Examples, tmp_path: Path, name: str
) -> None:
    first, *_, last = nights("--format csv")
    assert examples(name).run(first.raw_data, tmp_path / "lake").code == 0
    with ThreadPoolExecutor() as pool, ExampleServer(name) as other:
        servers = [examples(name), other]
        ended = list(pool.map(lambda server: server.run(last.raw_data, tmp_path / "lake"), servers))
    # Whoever comes second is told so, or finds nothing to do.
    assert {run.code for run in ended} <= {0, os.EX_TEMPFAIL}, [run.stderr for run in ended]
    final = examples(name).run(last.raw_data, tmp_path / "lake")
    assert final.code == 0, final.stderr
    check_bronze(name, last, tmp_path / "lake")


def test_a_missing_package_is_named_with_what_to_install(name: str) -> None:
    package = {"duckdb": "duckdb", "iceberg": "pyiceberg", "delta": "deltalake"}
    engine = name.partition("_")[0]
    code = (
        f"import sys, runpy; sys.modules[{package[engine]!r}] = None; "
        f"sys.path.insert(0, 'examples'); runpy.run_path('examples/{name}.py', run_name='__main__')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert f"needs {package[engine]}" in ended.stderr.lower()
    assert ("pip install duckdb" if engine == "duckdb" else f"[{engine}]") in ended.stderr
