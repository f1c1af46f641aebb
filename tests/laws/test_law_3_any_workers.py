"""Law 3: workers, batch sizes and threads change the speed, never a byte."""

from pathlib import Path

import pytest
from tests.builders import Folders, period, write_config
from tests.gen_server import GenServer

# More than one block of merchants, so that a day can be more than one task.
WIDE_WORLD = {
    "initial_merchants": 1_100,
    "max_new_merchants_per_month": 400,
    "attribute_change_multiplier": 5.0,
    "card_store_probability": 0.1,
}

CUTS: dict[str, dict[str, float]] = {
    "as they come": {},
    "a task a block": {"payworld.engine.tasks.TASK_ROWS": 1},
    "rows a few at a time": {"payworld.engine.render.ENCODE_ROWS": 1},
    "all at once": {
        "payworld.engine.tasks.TASK_ROWS": 1_000_000,
        "payworld.engine.workers.TASK_ROWS": 1_000_000,
        "payworld.engine.workers.SLOT_BYTES": 1_000_000 * 512,
        "payworld.engine.render.ENCODE_ROWS": 1_000_000,
    },
}
STYLES = {
    "csv": ["--format", "csv"],
    "gzip": ["--compression", "gzip"],
    "zstd-hive": ["--compression", "zstd", "--layout", "hive"],
    "parquet": ["--format", "parquet"],
}
EVEN_FOR_A_FEW_ROWS: dict[str, float] = {"payworld.engine.run.WORKER_ROWS": 0}


@pytest.fixture(scope="module")
def expected(
    server: GenServer, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, str]]:
    """What one worker writes, by the style of the files."""
    written = {}
    for style in STYLES:
        root = tmp_path_factory.mktemp(style)
        written[style] = generated(server, root, style, workers=1, patches={})
    return written


def generated(
    server: GenServer, root: Path, style: str, workers: int, patches: dict[str, float]
) -> dict[str, str]:
    config = write_config(root / "world.yaml", WIDE_WORLD)
    folders = Folders(root)
    for mode in (
        ["--initial", *period("2024-02-28", "2024-03-01")],
        ["--incremental", "--date", "2024-03-02"],
    ):
        ended = server.run(
            *mode,
            *("-f", "-q", "--config", config, "--workers", str(workers)),
            *(*STYLES[style], *folders.options),
            patches=patches,
        )
        assert (ended.code, ended.stderr) == (0, "")
    return folders.digests()


@pytest.mark.slow
@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("style", STYLES)
def test_any_number_of_workers_and_any_cut_of_the_work_write_the_same_bytes(
    server: GenServer,
    tmp_path: Path,
    expected: dict[str, dict[str, str]],
    style: str,
    workers: int,
    cut: str,
) -> None:
    patches = {**CUTS[cut], **EVEN_FOR_A_FEW_ROWS}
    found = generated(server, tmp_path, style, workers, patches)
    assert found == expected[style]
    assert len(found) == 8


def test_workers_do_take_part_and_leave_no_process_behind(
    server: GenServer, tmp_path: Path
) -> None:
    """The laws above would hold in vain if one process did it all."""
    config = write_config(tmp_path / "world.yaml", WIDE_WORLD)
    folders = Folders(tmp_path)
    # A slot of no bytes: a worker that renders cannot hand over what it made.
    ended = server.run(
        *("--initial", *period("2024-02-28", "2024-02-29"), "-f", "--workers", "2"),
        *("--config", config, *folders.options),
        patches={**EVEN_FOR_A_FEW_ROWS, "payworld.engine.workers.SLOT_BYTES": 4096},
    )
    assert ended.code == 1
    assert "worker process failed" in ended.stderr
    assert folders.names() == set()
    mine = [
        path.parent.name
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if str(tmp_path).encode() in _read(path)
    ]
    assert mine == []


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.mark.slow
def test_a_world_large_enough_for_workers_is_the_same_with_as_many_as_there_are(
    server: GenServer, tmp_path: Path
) -> None:
    config = write_config(tmp_path / "world.yaml", {"initial_merchants": 20_000})
    written = []
    for workers in ("0", "1"):
        folders = Folders(tmp_path / workers)
        ended = server.run(
            *("--initial", *period("2024-03-01", "2024-03-02"), "-f", "--json", "-q"),
            *("--config", config, "--workers", workers, *folders.options),
        )
        assert ended.code == 0, ended.stderr
        assert ended.data["rows"] > 250_000
        written.append(folders.digests())
    assert written[0] == written[1]
