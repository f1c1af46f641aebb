"""examples/airflow/payworld_dag.py: imported by Airflow, and run by it."""

import json
import shutil
import subprocess
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.builders import SMALL_WORLD, STATE, Folders, period, write_config

ROOT = Path(__file__).resolve().parents[3]

# What Airflow and its libraries warn Python of is theirs.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(600)]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """PAYWORLD_HOME: a folder with a .venv/bin for gen."""
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    monkeypatch.setenv("PAYWORLD_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def dag(home: Path) -> Any:
    """The DAG of this home, as Airflow finds it in its folder."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag()
    assert bag.import_errors == {}
    assert list(bag.dags) == ["payworld"]
    dag = bag.dags["payworld"]
    (asset,) = dag.get_task("generate").outlets
    assert asset.uri.removesuffix("/") == f"file://{home}/raw_data"
    return dag


def put_gen(home: Path, exit_code: int) -> Path:
    """Put a gen in place that writes down its folder and arguments; returns where."""
    gen = home / ".venv" / "bin" / "gen"
    gen.write_text(f'#!/bin/sh\nprintf "%s\\n" "$PWD" "$@" >"{home}/call"\nexit {exit_code}\n')
    gen.chmod(0o755)
    return home / "call"


def test_every_night_is_made_in_order_one_run_at_a_time(dag: Any) -> None:
    assert (dag.catchup, dag.max_active_runs) == (True, 1)
    assert dag.start_date.date() == date(2024, 3, 1)
    assert list(dag.task_dict) == ["generate"]
    task = dag.get_task("generate")
    assert task.retries == 5
    assert task.retry_delay == timedelta(minutes=10)


def test_a_run_has_the_date_of_the_day_that_is_over(dag: Any) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    scheduled = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    start = dag.start_date
    runs = scheduled.iter_dagrun_infos_between(start, start.add(days=3))
    assert [(run.logical_date.date(), run.run_after) for run in runs] == [
        (date(2024, 3, day), datetime(2024, 3, day + 1, 2, 30, tzinfo=UTC)) for day in (1, 2, 3)
    ]


@pytest.mark.parametrize(
    ("ds", "arguments"),
    [
        ("2024-03-01", ["--incremental", "--date", "2024-03-01", "-f", "-q"]),
        (None, ["--incremental", "-f", "-q"]),
    ],
)
def test_the_task_runs_gen_in_its_folder(
    dag: Any, home: Path, ds: str | None, arguments: list[str]
) -> None:
    call = put_gen(home, 0)
    dag.get_task("generate").python_callable(ds=ds)
    assert call.read_text(encoding="utf-8").splitlines() == [str(home), *arguments]


@pytest.mark.parametrize(
    ("exit_code", "tried_again"), [(1, True), (75, True), (137, True), (2, False), (3, False)]
)
def test_what_a_retry_cannot_help_is_not_retried(
    dag: Any, home: Path, exit_code: int, tried_again: bool
) -> None:
    from airflow.sdk.exceptions import AirflowException, AirflowFailException

    put_gen(home, exit_code)
    with pytest.raises(AirflowException, match=f"exit code {exit_code};") as raised:
        dag.get_task("generate").python_callable(ds="2024-03-01")
    assert isinstance(raised.value, AirflowFailException) != tried_again


def airflow_run(day: str) -> subprocess.CompletedProcess[str]:
    """Run the DAG as the scheduler would for a day, in the foreground."""
    command = ["airflow", "dags", "test", "payworld", day]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_airflow_makes_the_nights_catches_up_and_repeats_without_harm(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gen = shutil.which("gen")
    assert gen
    (home / ".venv" / "bin" / "gen").symlink_to(gen)
    monkeypatch.setenv("PAYWORLD_CONFIG", write_config(home / "world.yaml", SMALL_WORLD))
    folders = Folders(home)
    first = [gen, "--initial", *period("2024-02-01", "2024-02-29"), "-f", *folders.options]
    subprocess.run(first, check=True, capture_output=True)

    # Three nights have not run.
    ended = airflow_run("2024-03-03")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    state = json.loads((folders.state / STATE).read_bytes())
    assert state["last_generated_date"] == "2024-03-03"
    before = folders.digests()
    assert airflow_run("2024-03-02").returncode == 0
    assert folders.digests() == before
    (folders.state / STATE).write_text("{}", encoding="utf-8")
    ended = airflow_run("2024-03-04")
    assert ended.returncode != 0
    assert "exit code 3" in ended.stdout + ended.stderr
