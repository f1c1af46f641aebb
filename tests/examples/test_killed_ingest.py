"""An ingest killed anywhere loads nothing twice and loses nothing: the next run makes it good."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.examples.lakes import EXAMPLES, check_bronze
from tests.examples.nights import Landing
from tests.examples.runner import SIGKILL, ExampleServer

# Where Iceberg keeps absolute paths the lake has to stand in one place: it is put back there.
LAKE, SAVED = "lake", "saved"


def restore(root: Path) -> Path:
    shutil.rmtree(root / LAKE, ignore_errors=True)
    if (root / SAVED).exists():
        shutil.copytree(root / SAVED, root / LAKE)
    return root / LAKE


def put_together(lines: str) -> list[str]:
    """Return what a run printed about the tables, not about itself."""
    return [line for line in lines.splitlines() if "loaded" not in line]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("begun", [False, True], ids=["first night", "later night"])
def test_a_run_killed_at_a_step_is_made_good_by_the_next(
    nights: Callable[[str], list[Landing]],
    examples: Callable[[str], ExampleServer],
    tmp_path: Path,
    name: str,
    begun: bool,
) -> None:
    example, lived = examples(name), nights("--format csv")
    if begun:
        assert example.run(lived[0].raw_data, tmp_path / LAKE).code == 0
        shutil.copytree(tmp_path / LAKE, tmp_path / SAVED)
    landing = lived[int(begun)]
    undisturbed = example.run(landing.raw_data, restore(tmp_path))
    assert undisturbed.code == 0, undisturbed.stderr
    failures = []
    # A first night is a later one with more files: a few steps of it will do.
    steps = range(1, undisturbed.steps + 1, 1 if begun else max(1, undisturbed.steps // 4))
    for step in steps:
        lake = restore(tmp_path)
        killed = example.run(landing.raw_data, lake, kill_step=step)
        assert killed.code == SIGKILL
        ended = example.run(landing.raw_data, lake)
        if ended.code != 0 or put_together(ended.stdout) != put_together(undisturbed.stdout):
            failures.append(f"step {step}: {ended.code} {ended.stdout} {ended.stderr}")
        else:
            check_bronze(name, landing, lake)
    assert failures == [], f"{len(failures)} of {len(steps)}"
    assert len(steps) >= (6 if begun else 3)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", EXAMPLES)
def test_runs_killed_by_the_clock_again_and_again_come_to_the_same_end(
    nights: Callable[[str], list[Landing]],
    examples: Callable[[str], ExampleServer],
    tmp_path: Path,
    name: str,
) -> None:
    example, landing = examples(name), nights("--format csv")[-1]
    seconds = example.run(landing.raw_data, tmp_path / "undisturbed").seconds
    codes = [
        example.run(landing.raw_data, tmp_path / LAKE, kill_after=seconds * part / 10).code
        for part in range(1, 10)
    ]
    assert SIGKILL in codes
    ended = example.run(landing.raw_data, tmp_path / LAKE)
    assert ended.code == 0, ended.stderr
    check_bronze(name, landing, tmp_path / LAKE)
