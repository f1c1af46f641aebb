"""Law 1: equal seed, configuration and version give equal files and an equal merchants.json."""

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from tests.builders import LIVELY_WORLD, Folders, csv_text, period, write_config
from tests.gen_server import GenServer

from payworld import Simulation
from payworld.storage.state_file import encode_state

START = date(2024, 2, 28)

SURROUNDINGS = {
    "here": {"PYTHONHASHSEED": "0", "TZ": "UTC", "LC_ALL": "C.UTF-8"},
    "elsewhere": {"PYTHONHASHSEED": "4711", "TZ": "Pacific/Kiritimati", "LC_ALL": "C"},
}


@pytest.mark.slow
@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_two_processes_with_other_hash_seeds_time_zones_and_folders_write_the_same_bytes(
    tmp_path: Path, file_format: str
) -> None:
    config = write_config(tmp_path / "world.yaml", LIVELY_WORLD)
    run = ["-f", "-q", "--config", config, "--format", file_format]
    written = []
    for name, environment in SURROUNDINGS.items():
        folders = Folders(tmp_path / name)
        cwd = tmp_path / f"{name} cwd"
        cwd.mkdir()
        for mode in (
            ["--initial", *period("2024-02-25", "2024-03-05")],
            ["--incremental", "--date", "2024-03-07"],
        ):
            subprocess.run(
                [sys.executable, "-m", "payworld", *mode, *run, *folders.options],
                cwd=cwd,
                env={**os.environ, **environment},
                check=True,
            )
        written.append(folders.digests())
    assert written[0] == written[1]
    # Two months and a day after, two tables each, the manifest and the state.
    assert len(written[0]) == 8


def test_relative_folders_mean_the_callers_and_change_no_byte(
    tmp_path: Path, server: GenServer
) -> None:
    config = write_config(tmp_path / "world.yaml", LIVELY_WORLD)
    run = ["--initial", *period("2024-02-28", "2024-03-01"), "-f", "--config", config]
    absolute, relative = Folders(tmp_path / "a"), Folders(tmp_path / "b")
    relative.root.mkdir()
    assert server.run(*run, *absolute.options).code == 0
    assert server.run(*run, cwd=relative.root).code == 0
    assert relative.digests() == absolute.digests()


def test_global_generators_are_neither_read_nor_moved() -> None:
    def live() -> tuple[bytes, bytes]:
        simulation = Simulation.create(START, **LIVELY_WORLD)
        text = csv_text([simulation.step() for _ in range(3)])
        return text, bytes(encode_state(simulation.world))

    # Whatever the global generator was at, the world does not ask it.
    before = np.random.get_state(legacy=False)  # noqa: NPY002, TID251
    first = live()
    after = np.random.get_state(legacy=False)  # noqa: NPY002, TID251
    assert str(before) == str(after)
    np.random.seed(1)  # noqa: NPY002, TID251
    assert live() == first


@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1])
def test_equal_seeds_make_equal_worlds_and_other_seeds_others(seed: int) -> None:
    def text(value: int) -> bytes:
        simulation = Simulation.create(START, initial_merchants=15, seed=value)
        return csv_text([simulation.step() for _ in range(2)]) + encode_state(simulation.world)

    assert text(seed) == text(seed)
    assert text(seed) != text(seed ^ 1)
