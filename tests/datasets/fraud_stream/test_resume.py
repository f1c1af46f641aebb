"""Law 4: a run that was killed, or failed, goes on where it was, to the same bytes."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from tests.datasets.fraud_stream.builders import RUN_DATE, configured

from payworld.datasets.fraud_stream import output, run
from payworld.datasets.fraud_stream.encode import Encoded
from payworld.datasets.fraud_stream.plan import GROUP_ROWS
from payworld.datasets.fraud_stream.run import FraudRun, RunResult
from payworld.datasets.fraud_stream.schema import schema_from_text
from payworld.storage.output_file import OutputFile

GROUPS = 5
# Few columns are made fast; the last payment of a card is what depends on the rows before.
SCHEMA = schema_from_text(
    "{version: '1', fields: [{name: event_time}, {name: previous_txn_id}, {name: label_fraud}]}",
    "test",
)
ROWS = (GROUPS - 1) * GROUP_ROWS + 1_000


class Stopped(Exception):
    """What ends a run in these tests."""


@pytest.fixture(autouse=True)
def checkpoints_at_each_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "CHECKPOINT_GROUPS", 1)
    monkeypatch.setattr(run, "CHECKPOINT_GROUPS", 1)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    root = tmp_path_factory.mktemp("undisturbed")
    for file_format in ("parquet", "csv"):
        write(root / file_format, file_format)
    return {name: digests(root / name) for name in ("parquet", "csv")}


def write(out: Path, file_format: str = "parquet", **changes: Any) -> RunResult:
    config = configured(total_rows=ROWS, fraud_rate=0.01, out_dir=str(out), **changes)
    stream = FraudRun(config, SCHEMA, RUN_DATE, file_format, explain=True)
    return stream.write(lambda _: None)


def digests(out: Path) -> dict[str, str]:
    """Return the hash of every file, hidden ones too, by its relative name."""
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }


def hidden(out: Path, ending: str) -> Path:
    (path,) = (p for p in out.rglob(f".payments*{ending}"))
    return path


def stop_after(monkeypatch: pytest.MonkeyPatch, groups: int) -> None:
    """Let the next run fail when it has got so many row groups more."""
    add: Callable[..., None] = output.StreamOutput.add
    left = cycle([*[False] * groups, True])

    def failing(self: output.StreamOutput, encoded: Encoded) -> None:
        if next(left):
            monkeypatch.setattr(output.StreamOutput, "add", add)
            raise Stopped
        add(self, encoded)

    monkeypatch.setattr(output.StreamOutput, "add", failing)


@pytest.mark.parametrize("file_format", ["parquet", "csv"])
@pytest.mark.parametrize("stops", [(1,), (4,), (1, 1, 2), (2, 0, 1)], ids=str)
def test_a_run_goes_on_where_it_was_to_the_same_bytes(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    undisturbed: dict[str, dict[str, str]],
    stops: tuple[int, ...],
    file_format: str,
) -> None:
    for groups in stops:
        stop_after(monkeypatch, groups)
        with pytest.raises(Stopped):
            write(tmp_path, file_format)
    result = write(tmp_path, file_format)
    assert result.resumed_rows == sum(stops) * GROUP_ROWS
    assert result.frauds == round(ROWS * 0.01)
    assert digests(tmp_path) == undisturbed[file_format]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_more_workers_go_on_where_one_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: dict[str, dict[str, str]]
) -> None:
    stop_after(monkeypatch, 1)
    with pytest.raises(Stopped):
        write(tmp_path)
    assert write(tmp_path, num_workers=3, batch_size=1).resumed_rows == GROUP_ROWS
    assert digests(tmp_path) == undisturbed["parquet"]


@pytest.mark.parametrize("changes", [{"seed": 1}, {"fraud_rate": 0.02}, {"null_geo_rate": 0.5}])
def test_another_configuration_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    given = {"total_rows": 2 * GROUP_ROWS + 9, **changes, "out_dir": str(tmp_path / "out")}
    stream = FraudRun(configured(**given), SCHEMA, RUN_DATE)
    stop_after(monkeypatch, 1)
    with pytest.raises(Stopped):
        FraudRun(configured(**given | {"seed": 7}), SCHEMA, RUN_DATE).write(lambda _: None)
    assert stream.write(lambda _: None).resumed_rows == 0
    given["out_dir"] = str(tmp_path / "fresh")
    FraudRun(configured(**given), SCHEMA, RUN_DATE).write(lambda _: None)
    assert digests(tmp_path / "out") == digests(tmp_path / "fresh")


def test_a_torn_journal_costs_what_it_no_longer_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: dict[str, dict[str, str]]
) -> None:
    stop_after(monkeypatch, 3)
    with pytest.raises(Stopped):
        write(tmp_path)
    journal = hidden(tmp_path, ".progress")
    journal.write_bytes(journal.read_bytes()[:-9])
    stop_after(monkeypatch, 1)
    with pytest.raises(Stopped):
        write(tmp_path)
    assert write(tmp_path).resumed_rows == 3 * GROUP_ROWS
    assert digests(tmp_path) == undisturbed["parquet"]


@pytest.mark.parametrize("size", [0, 1_000_000])
def test_a_file_that_lost_bytes_goes_on_where_it_has_all(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    undisturbed: dict[str, dict[str, str]],
    size: int,
) -> None:
    stop_after(monkeypatch, 3)
    with pytest.raises(Stopped):
        write(tmp_path)
    os.truncate(hidden(tmp_path, ".partial"), size)
    assert write(tmp_path).resumed_rows == 0
    assert digests(tmp_path) == undisturbed["parquet"]


def test_a_run_that_fails_before_it_begins_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after(monkeypatch, 2)
    with pytest.raises(Stopped):
        write(tmp_path)
    with monkeypatch.context() as patch:

        def fail(*_: object) -> None:
            raise Stopped

        patch.setattr(run, "make_plan", fail)
        with pytest.raises(Stopped):
            write(tmp_path)
    assert write(tmp_path).resumed_rows == 2 * GROUP_ROWS


@pytest.mark.parametrize("published", ["labels", "payments"])
def test_a_kill_while_names_are_given_loses_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    undisturbed: dict[str, dict[str, str]],
    published: str,
) -> None:
    publish = OutputFile.publish

    def then_stop(file: OutputFile) -> None:
        publish(file)
        if published in file.final.name:
            raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(OutputFile, "publish", then_stop)
        with pytest.raises(Stopped):
            write(tmp_path)
    assert write(tmp_path).resumed_rows >= (GROUPS - 1) * GROUP_ROWS
    assert digests(tmp_path) == undisturbed["parquet"]


KILLED = """
import sys
from payworld.datasets.fraud_stream import output, run
output.CHECKPOINT_GROUPS = run.CHECKPOINT_GROUPS = 2
from payworld.cli.fraud import main
main()
"""


@pytest.mark.slow
def test_a_killed_run_leaves_no_named_file_and_the_next_one_goes_on(tmp_path: Path) -> None:
    (tmp_path / "fraud.yaml").write_text(
        "total_rows: 900_000\ncatalog: {num_cards: 2000, num_merchants: 300}\n"
    )
    command = [sys.executable, "-c", KILLED, "--config", "fraud.yaml", "--run-date", "2024-05-06"]
    process = subprocess.Popen(
        [*command, "--num-workers", "2"], cwd=tmp_path, stderr=subprocess.PIPE
    )
    folder = tmp_path / "outputs/payments/year=2024/month=05"
    name = "payments_900_000_2024-05-06.parquet"
    journal = folder / f".{name}.progress"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not journal.exists():
        time.sleep(0.01)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert sorted(path.name for path in folder.iterdir()) == [f".{name}.partial", journal.name]
    # Workers end with their parent.
    while time.monotonic() < deadline and any(_alive(int(pid)) for pid in children):
        time.sleep(0.05)
    assert children
    assert not any(_alive(int(pid)) for pid in children)
    given = {"cwd": tmp_path, "check": True, "capture_output": True, "text": True}
    again = subprocess.run([*command, "--num-workers", "1"], **given)  # type: ignore[call-overload]
    assert "of a run that was stopped" in again.stderr
    subprocess.run([*command, "--num-workers", "2", "--out", "fresh"], **given)  # type: ignore[call-overload]
    assert digests(tmp_path / "outputs") == digests(tmp_path / "fresh")


def _alive(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
