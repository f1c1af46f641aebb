"""examples/nightly: the commands are real, and the schedulers take them as the README says."""

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from tests.builders import Folders
from tests.examples.nights import INITIAL, Landing, NightlyWorld
from tests.faults.driver import Fault, FaultServer

ROOT = Path(__file__).resolve().parents[2]
NIGHTLY = ROOT / "examples" / "nightly"


class Unit(configparser.ConfigParser):
    """A unit file, in which a key may come twice; lives for a test."""

    def __init__(self, name: str) -> None:
        super().__init__(interpolation=None, comment_prefixes=("#",), strict=False)
        self.text = (NIGHTLY / name).read_text(encoding="utf-8")
        self.read_string(self.text)

    def commands(self) -> list[list[str]]:
        return [shlex.split(line) for line in re.findall(r"^ExecStart=(.*)$", self.text, re.M)]


def cron_commands() -> list[list[str]]:
    """Return the commands of the crontab's one entry, each without its redirection."""
    lines = (NIGHTLY / "crontab").read_text(encoding="utf-8").splitlines()
    entries = [line for line in lines if re.match(r"[0-9*]", line)]
    assert len(entries) == 1
    assert "%" not in entries[0], "cron takes it for a line feed"
    minute, hours, *rest, command = entries[0].split(maxsplit=5)
    assert (minute, hours, rest) == ("30", "2-5", ["*", "*", "*"])
    return [shlex.split(part.partition(">")[0]) for part in command.split("&&")]


def unit_commands() -> list[list[str]]:
    """Return the commands of the service, in order."""
    return Unit("payworld.service").commands()


COMMANDS: dict[str, Callable[[], list[list[str]]]] = {
    "crontab": cron_commands,
    "systemd": unit_commands,
}


def test_the_crontab_names_the_folders_that_generate_data_names() -> None:
    text = (NIGHTLY / "crontab").read_text(encoding="utf-8")
    variables = dict(re.findall(r"^([A-Z_]+)=(.*)$", text, re.M))
    assert variables["PAYWORLD_STATE_DIR"] == "/srv/payworld/state"
    assert variables["PAYWORLD_OUTPUT_DIR"] == "/srv/payworld/raw_data"


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("scheduler", COMMANDS)
def test_the_commands_make_every_missing_day_and_load_it_also_when_repeated(
    faults: FaultServer, tmp_path: Path, scheduler: str
) -> None:
    generate, ingest = COMMANDS[scheduler]()
    assert Path(generate[0]).name in ("generate_data.sh", "gen")
    world = NightlyWorld(faults, Folders(tmp_path / "payworld"))
    assert world.gen(*INITIAL).code == 0
    options = [*generate[1:], *world.folders.options]
    # Killed on the first night, not started on the second; the third does it all.
    killed = faults.run(*options, today=date(2024, 3, 2), fault=Fault(12))
    assert killed.code == -9
    for _ in range(2):
        ended = faults.run(*options, today=date(2024, 3, 4))
        assert ended.code == 0, ended.stderr
        command = [
            argument.replace("/srv/payworld/", "").replace("/srv/lake", str(tmp_path / "lake"))
            for argument in ingest[1:]
        ]
        command = [str(world.folders.output) if part == "raw_data" else part for part in command]
        loaded = subprocess.run(
            [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=True
        )
        landing = Landing(world.folders)
        assert [str(file.end) for file in landing.files()][-1] == "2024-03-03"
        assert f"{len(landing.rows('transactions')):,} payments" in loaded.stdout


def test_systemd_retries_what_a_retry_can_help() -> None:
    unit = Unit("payworld.service")
    service, text = unit["Service"], unit.text
    assert service["Type"] == "oneshot"
    assert service["Restart"] == "on-failure"
    assert service["RestartPreventExitStatus"].split() == ["2", "3"]
    # The ingest, a second ExecStart, would start after every code that counts as success.
    assert "SuccessExitStatus" not in service
    assert not any(part.startswith("-") for part in re.findall(r"^ExecStart=(.*)$", text, re.M))
    timer = Unit("payworld.timer")["Timer"]
    assert timer["Persistent"] == "true"


def test_the_table_tells_of_every_exit_code_that_gen_has() -> None:
    table = (NIGHTLY / "README.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| ([0-9]+) \|", table, re.M)
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    documented = page.partition("\n## Exit codes\n")[2].partition("\n## ")[0]
    assert told == re.findall(r"^\| ([0-9]+) \|", documented, re.M)


def test_systemd_itself_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    for name in ("payworld.service", "payworld.timer"):
        text = (NIGHTLY / name).read_text(encoding="utf-8")
        # It looks for the programs and the user, which this machine has not.
        text = re.sub(r"/srv/\S+/(gen|python)", "/bin/true", text).replace("=payworld", "=root")
        (tmp_path / name).write_text(text, encoding="utf-8")
        assert "[Unit]\nDescription=" in text
    if shutil.which("systemd-analyze"):
        ended = subprocess.run(
            ["systemd-analyze", "verify", *map(str, sorted(tmp_path.iterdir()))],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (ended.returncode, ended.stderr) == (0, "")
