"""--accept-config-changes: kept from the next day on, and never dropped in silence."""

from pathlib import Path

import pytest
from tests.builders import SMALL_WORLD, Folders, period, write_config
from tests.gen_server import GenServer

CHANGE = {**SMALL_WORLD, "weekend_multiplier": 0.9}


@pytest.fixture
def folders(server: GenServer, tmp_path: Path) -> Folders:
    folders = Folders(tmp_path)
    config = write_config(tmp_path / "world.yaml", SMALL_WORLD)
    options = ["-f", "-q", "--config", config, *folders.options]
    assert server.run("--initial", *period("2024-01-01", "2024-01-03"), *options).code == 0
    return folders


def test_on_a_day_that_is_done_the_changes_are_said_not_to_be_kept(
    server: GenServer, folders: Folders
) -> None:
    before = folders.digests()
    config = write_config(folders.root / "changed.yaml", CHANGE)
    run = ["--incremental", "-f", "--config", config, *folders.options]
    ended = server.run(*run, "--date", "2024-01-03", "--accept-config-changes", "--json")
    assert ended.code == 0
    for told in (ended.stderr, ended.data["message"]):
        assert "already generated through 2024-01-03" in told
        assert "the configuration changes were not kept" in told
        assert "from 2024-01-04 on" in told
    assert folders.digests() == before
    # What was said holds: the next run knows nothing of them.
    assert server.run(*run, "--date", "2024-01-04").code == 2
    assert server.run(*run, "--date", "2024-01-04", "--accept-config-changes").code == 0
    status = server.run("status", "--json", *folders.options)
    assert status.data["configuration_changes"] == ["2024-01-04"]


def test_without_changes_nothing_is_said_of_them(server: GenServer, folders: Folders) -> None:
    run = ["--incremental", "-f", "--date", "2024-01-03", *folders.options]
    ended = server.run(*run, "--accept-config-changes")
    assert (ended.code, "not kept" in ended.stderr) == (0, False)
