"""The golden worlds: bytes change in a commit that means it, and in no other.

After a change that is meant: `python tests/golden/refresh.py`.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.golden.worlds import CONFIG, make_worlds, read_golden, versions


@pytest.fixture(scope="module")
def hashes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return make_worlds(tmp_path_factory.mktemp("golden"))


def test_the_golden_worlds_have_their_committed_bytes(
    hashes: dict[str, str], tmp_path: Path, record_property: object
) -> None:
    golden = read_golden()
    differing = {
        name: (golden["versions"].get(name), present)
        for name, present in versions().items()
        if golden["versions"].get(name) != present
    }
    if not differing:
        assert hashes == golden["sha256"], "meant? then: python tests/golden/refresh.py"
        return
    # With other libraries the committed hashes need not hold; that the world is a function of
    # its configuration must, and so must its files.
    assert callable(record_property)
    record_property("golden", f"hashes hold for other versions: {differing}")
    sys.stderr.write(f"golden hashes not compared, other versions: {differing}\n")
    assert make_worlds(tmp_path) == hashes
    assert hashes.keys() == golden["sha256"].keys()


def test_the_golden_worlds_hold_both_formats_a_leap_day_and_two_runs(
    hashes: dict[str, str],
) -> None:
    names = {Path(name).name for name in hashes}
    for suffix in ("csv", "parquet"):
        for table in ("merchants", "transactions"):
            assert f"{table}_2024-02-27_2024-02-29.{suffix}" in names
            assert f"{table}_2024-03-02_2024-03-02.{suffix}" in names
    assert CONFIG["initial_merchants"] == 60
    # The format is no part of the world: both states are the same file.
    assert hashes["csv/state/merchants.json"] == hashes["parquet/state/merchants.json"]


@pytest.mark.slow
def test_the_command_line_makes_the_golden_world_too(
    hashes: dict[str, str], tmp_path: Path
) -> None:
    config = tmp_path / "world.yaml"
    config.write_text(json.dumps(CONFIG), encoding="utf-8")
    for mode in (["--initial", "--start-date", "2024-02-27", "--end-date", "2024-03-01",
                  "--config", str(config)], ["--incremental", "--date", "2024-03-02"]):  # fmt: skip
        subprocess.run([sys.executable, "-m", "payworld", *mode, "-f", "-q"], cwd=tmp_path,
                       check=True)  # fmt: skip
    import hashlib

    made = {
        f"csv/{path.relative_to(tmp_path)}": hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in ("state", "raw_data")
        for path in (tmp_path / folder).glob("*.*")
    }
    assert made == {name: value for name, value in hashes.items() if name.startswith("csv/")}


def test_the_refresh_command_is_where_it_is_said_to_be() -> None:
    assert Path(__file__).with_name("refresh.py").is_file()
    assert read_golden()["versions"].keys() == versions().keys()
