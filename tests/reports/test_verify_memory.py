"""`gen verify` reads in pieces: its memory does not grow with the length of the history."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.builders import Folders, write_config
from tests.gen_server import GenServer

MEASURED = """
import resource, sys
from payworld.cli.entry import main
try:
    main()
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""


def peak(folders: Folders) -> int:
    """Return the peak memory of a verification, in KiB."""
    ended = subprocess.run(
        [sys.executable, "-c", MEASURED, "verify", *folders.options],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "all is as it should be" in ended.stderr
    return int(ended.stderr.split()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_ten_times_the_rows_take_about_the_same_memory(
    server: GenServer, tmp_path: Path, file_format: str
) -> None:
    config = write_config(
        tmp_path / "world.yaml", {"initial_merchants": 4_000, "max_stored_cards": 1_000}
    )
    peaks, sizes = [], []
    for name, end in (("short", "2024-01-03"), ("long", "2024-01-30")):
        folders = Folders(tmp_path / name)
        run = ["-f", "-q", "--config", config, "--format", file_format, *folders.options]
        ended = server.run("--initial", "--start-date", "2024-01-01", "--end-date", end, *run)
        assert ended.code == 0, ended.stderr
        peaks.append(peak(folders))
        sizes.append(sum(path.stat().st_size for path in folders.output.iterdir()))
    # Of the rows that came in addition, next to nothing stays.
    assert sizes[1] > sizes[0] * 7
    assert peaks[1] < peaks[0] * 1.25, (peaks, sizes)
