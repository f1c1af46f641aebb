"""The Python API: the same worlds as the command line, in memory unless asked otherwise."""

import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.builders import SMALL_WORLD, Folders, period, write_config
from tests.gen_server import GenServer

import payworld
from payworld import Simulation, generate
from payworld.errors import ConfigError, StateMissingError, UsageError
from payworld.schema import MERCHANTS, TRANSACTIONS, frame_schema
from payworld.storage.state_file import encode_state

START = date(2024, 2, 28)


def test_each_day_is_there_as_polars_arrow_and_pandas() -> None:
    day = Simulation.create(START, **SMALL_WORLD).step()
    frame = day.transactions()
    assert (day.date, frame.height) == (START, day.payments)
    assert frame.schema == frame_schema(TRANSACTIONS)
    assert day.merchants().schema == frame_schema(MERCHANTS)
    assert day.to_arrow().to_pylist() == frame.to_dicts()
    assert day.to_pandas()["payment_id"].tolist() == frame["payment_id"].to_list()
    assert_frame_equal(pl.concat(day.blocks()), frame)


def test_a_simulation_never_touches_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    simulation = Simulation.create(START, **SMALL_WORLD)
    for day in simulation.days(date(2024, 3, 2)):
        assert day.transactions().height
    assert list(tmp_path.iterdir()) == []


def test_days_are_lived_one_after_another_up_to_the_last() -> None:
    simulation = Simulation.create(START, **SMALL_WORLD)
    assert simulation.last_date == date(2024, 2, 27)
    dates = [day.date for day in simulation.days(date(2024, 3, 1))]
    assert dates == [START, date(2024, 2, 29), date(2024, 3, 1)]
    assert simulation.last_date == date(2024, 3, 1)
    assert list(simulation.days(date(2024, 3, 1))) == []


def test_a_fork_goes_its_own_way_and_leaves_the_other_alone() -> None:
    simulation = Simulation.create(START, **SMALL_WORLD)
    simulation.step()
    other = simulation.fork()
    other.configure({"payment_statuses": {"approved": 0.0, "declined": 1.0, "failed": 0.0}})
    here, there = simulation.step().transactions(), other.step().transactions()
    assert set(there["payment_status"]) == {"declined"}
    assert "approved" in set(here["payment_status"])
    assert here["payment_amount"].equals(there["payment_amount"])


def test_what_matters_at_birth_alone_cannot_be_configured_later() -> None:
    simulation = Simulation.create(START, **SMALL_WORLD)
    simulation.step()
    with pytest.raises(UsageError, match="initial_merchants cannot change"):
        simulation.configure({"initial_merchants": 41})
    with pytest.raises(ConfigError, match="did you mean 'seed'"):
        simulation.configure({"sead": 1})


@pytest.mark.parametrize("start", [date(1899, 12, 31), date(2200, 1, 1)])
def test_dates_out_of_the_calendar_are_refused(start: date) -> None:
    with pytest.raises(UsageError, match="expected a date between"):
        Simulation.create(start)


def test_the_calendar_ends() -> None:
    simulation = Simulation.create(date(2199, 12, 31), **SMALL_WORLD)
    assert simulation.step().date == date(2199, 12, 31)
    with pytest.raises(UsageError, match="the calendar of payworld ends"):
        simulation.step()


def test_opening_a_world_on_the_disk_and_stepping_it_leaves_the_disk_alone(
    server: GenServer, tmp_path: Path
) -> None:
    folders = Folders(tmp_path)
    config = write_config(tmp_path / "world.yaml", SMALL_WORLD)
    run = ["-f", "-q", "--config", config, *folders.options]
    assert server.run("--initial", *period("2024-02-28", "2024-02-29"), *run).code == 0
    before = folders.digests()
    opened = Simulation.open(folders.state)
    day = opened.step()
    assert folders.digests() == before
    # The night that the command line then makes is the one that was foreseen.
    assert server.run("--incremental", "--date", "2024-03-01", *run).code == 0
    written = pl.read_csv(
        folders.output / "transactions_2024-03-01_2024-03-01.csv", schema=frame_schema(TRANSACTIONS)
    )
    assert_frame_equal(written, day.transactions())
    assert encode_state(Simulation.open(folders.state).world) == encode_state(opened.world)


def test_no_world_to_open_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(StateMissingError, match="gen --initial"):
        Simulation.open(tmp_path)


def test_generate_writes_what_the_command_line_writes(server: GenServer, tmp_path: Path) -> None:
    called, typed = Folders(tmp_path / "called"), Folders(tmp_path / "typed")
    outcome = generate(
        START, end_date=date(2024, 3, 1), state_dir=called.state, output_dir=called.output,
        config=SMALL_WORLD,
    )  # fmt: skip
    assert outcome is not None
    assert outcome.rows == outcome.world.total_transactions > 0
    again = generate(end_date=date(2024, 3, 1), state_dir=called.state, output_dir=called.output)
    assert again is None
    assert generate(
        end_date=date(2024, 3, 2), state_dir=called.state, output_dir=called.output
    )  # fmt: skip
    config = write_config(tmp_path / "world.yaml", SMALL_WORLD)
    run = ["-f", "-q", "--config", config, *typed.options]
    assert server.run("--initial", *period("2024-02-28", "2024-03-01"), *run).code == 0
    assert server.run("--incremental", "--date", "2024-03-02", *run).code == 0
    assert called.digests() == typed.digests()


def test_generate_refuses_another_configuration_and_a_world_without_a_start(
    tmp_path: Path,
) -> None:
    folders = Folders(tmp_path)
    places: dict[str, Any] = {"state_dir": folders.state, "output_dir": folders.output}
    with pytest.raises(UsageError, match="start_date = None"):
        generate(end_date=START, **places)
    generate(START, end_date=START, config=SMALL_WORLD, **places)
    with pytest.raises(UsageError, match="monthly_growth_rate"):
        generate(end_date=date(2024, 3, 2), config={"monthly_growth_rate": 0.5}, **places)
    for start, end in ((date(2019, 1, 1), date(2024, 3, 2)), (None, START - timedelta(1))):
        with pytest.raises(UsageError, match="the world begins on"):
            generate(start, end_date=end, **places)
    assert generate(START, end_date=START, **places) is None


def test_the_package_offers_what_it_lists() -> None:
    assert {name: getattr(payworld, name) for name in payworld.__all__}.keys() == {
        "Day", "PublishedFile", "Simulation", "__version__", "generate", "published_files",
        "table_schema",
    }  # fmt: skip
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = payworld.nothing


def test_workers_do_not_wait_for_ever_in_a_program_that_has_used_polars(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\n"
        "from datetime import date\n"
        "from pathlib import Path\n"
        "import payworld\n"
        "import payworld.engine.run as run\n"
        "if __name__ == '__main__':\n"
        "    run.WORKER_ROWS = 0\n"
        "    world = payworld.Simulation.create(date(2024, 1, 1), initial_merchants=300)\n"
        "    world.step().transactions().group_by('merchant_id').len().sort('len')\n"
        "    for workers in (1, 2):\n"
        "        folder = Path(sys.argv[1]) / str(workers)\n"
        "        payworld.generate(\n"
        "            date(2024, 1, 1), end_date=date(2024, 1, 3), workers=workers,\n"
        "            state_dir=folder / 'state', output_dir=folder / 'raw_data',\n"
        "        )\n"
    )
    command = [sys.executable, str(program), str(tmp_path)]
    subprocess.run(command, check=True, timeout=60)
    one, two = (
        {p.name: p.read_bytes() for p in sorted((tmp_path / workers / "raw_data").iterdir())}
        for workers in ("1", "2")
    )
    assert one == two
    assert len(one) == 3
