"""The machine's clock and zone decide what "yesterday" is, and nothing else."""

from datetime import date
from pathlib import Path

import pytest
from tests.builders import Folders
from tests.faults.driver import FaultServer
from tests.faults.worlds import Case, begin, contents, make_config, run_options

ZONES = [
    "UTC", "America/New_York", "America/Los_Angeles", "Pacific/Kiritimati", "Pacific/Pago_Pago",
    "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns", "XXX+14:37", "No/Such_Zone", "",
]  # fmt: skip

# The days on which clocks move: in the states of the US, in the EU, and a leap day between.
CLOCK_CHANGES = [("2024-03-09", "2024-03-11"), ("2024-11-02", "2024-11-04"),
                 ("2024-03-30", "2024-04-01"), ("2024-10-26", "2024-10-28"),
                 ("2024-02-28", "2024-03-01")]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("days", CLOCK_CHANGES, ids=lambda days: days[0])
def test_the_zone_of_the_machine_never_reaches_the_data(
    faults: FaultServer, tmp_path: Path, days: tuple[str, str]
) -> None:
    found = set()
    for number, zone in enumerate(ZONES):
        folders = Folders(tmp_path / str(number))
        folders.root.mkdir()
        make_config(folders.root)
        period = ("--start-date", days[0], "--end-date", days[1])
        ended = faults.run(
            "--initial", *period, *run_options(folders), environment={"TZ": zone, "LC_ALL": "C"}
        )
        assert ended.code == 0, ended.stderr
        found.add(tuple(contents(folders).items()))
    assert len(found) == 1


def test_on_days_of_clock_changes_payments_fall_in_business_hours(
    faults: FaultServer, tmp_path: Path
) -> None:
    folders = Folders(tmp_path)
    make_config(tmp_path, {"initial_merchants": 300})
    for first, last in CLOCK_CHANGES[:2]:
        options = ["-f", "--config", str(tmp_path / "world.yaml"), *folders.options]
        mode = ("--initial", "--replace") if folders.state.exists() else ("--initial",)
        ended = faults.run(*mode, "--start-date", first, "--end-date", last, *options)
        assert ended.code == 0, ended.stderr
        lines = (folders.output / f"transactions_{first}_{last}.csv").read_text().splitlines()[1:]
        times = [line.split(",")[1] for line in lines]
        hours = {int(time[11:13]) for time in times}
        assert hours == set(range(8, 22))
        # 2:00 to 3:00 is there once, twice or not at all; no shop is open then.
        per_day = [sum(t.startswith(f"{first[:8]}{int(first[8:]) + d:02d}") for t in times)
                   for d in range(3)]  # fmt: skip
        assert min(per_day) > max(per_day) / 3


@pytest.mark.slow
def test_a_run_across_midnight_makes_the_days_it_was_asked_for_when_it_began(
    faults: FaultServer, tmp_path: Path
) -> None:
    case = Case(faults, begin(faults, tmp_path / "template"), ("--incremental",))
    folders = case.copy(tmp_path / "calm")
    assert case.run(folders, today=date(2024, 2, 5)).code == 0
    expected = contents(folders)
    assert "raw_data/transactions_2024-02-03_2024-02-04.csv" in expected
    folders = case.copy(tmp_path / "midnight")
    # Each look at the clock would find another day.
    midnight = [date(2024, 2, 5), date(2024, 2, 6), date(2024, 2, 7)]
    assert case.run(folders, days_at=midnight).code == 0
    assert contents(folders) == expected
    # Tomorrow night's run goes on after it.
    assert case.run(folders, today=date(2024, 2, 6)).code == 0
    assert folders.names() > {"transactions_2024-02-05_2024-02-05.csv"}


def test_a_clock_set_back_finds_its_days_done(faults: FaultServer, tmp_path: Path) -> None:
    case = Case(faults, begin(faults, tmp_path / "template"), ("--incremental",))
    folders = case.template
    assert case.run(folders, today=date(2024, 2, 5)).code == 0
    before = contents(folders)
    for day in (date(2024, 2, 5), date(2024, 2, 4), date(2024, 1, 31)):
        ended = case.run(folders, today=day)
        assert ended.code == 0
        assert "already generated through 2024-02-04" in ended.stderr
        assert contents(folders) == before
    # Set back to before the world began, or to 1970: a clear word.
    for day in (date(2024, 1, 1), date(1970, 1, 1)):
        ended = case.run(folders, today=day)
        assert ended.code == 2
        assert "the world begins on 2024-01-30" in ended.stderr
        assert contents(folders) == before


def test_time_zones_and_clocks_of_two_runs_may_differ(faults: FaultServer, tmp_path: Path) -> None:
    """A world that moves from one machine to another goes on as if it had not."""
    case = Case(faults, begin(faults, tmp_path / "template"), ("--incremental",))
    found = []
    for name, zones in (("one", ("UTC", "UTC")), ("two", ("Pacific/Kiritimati", "Asia/Tokyo"))):
        folders = case.copy(tmp_path / name)
        for day, zone in zip((5, 6), zones, strict=True):
            ended = case.run(folders, today=date(2024, 2, day), environment={"TZ": zone})
            assert ended.code == 0, ended.stderr
        found.append(contents(folders))
    assert found[0] == found[1]
