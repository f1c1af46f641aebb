"""gen --initial and gen --incremental: what is asked, what is done, what is said."""

import json
from datetime import date
from pathlib import Path

import pytest
from tests.builders import (
    LIVELY_WORLD,
    SMALL_WORLD,
    STATE,
    Folders,
    digests,
    period,
    stats,
    write_config,
)
from tests.gen_server import Ended, GenServer

from payworld.storage.state_file import read_state


class Caller:
    """Someone at a shell, with a configuration of a small world; lives for a test."""

    def __init__(self, server: GenServer, root: Path) -> None:
        self.server = server
        self.folders = Folders(root)
        self.config = write_config(root / "world.yaml", SMALL_WORLD)

    def gen(self, *arguments: str, today: date | None = None, **environment: str) -> Ended:
        return self.server.run(
            *arguments,
            *("--config", self.config, *self.folders.options),
            today=today,
            environment=environment,
            cwd=self.folders.root,
        )

    def begin(self, *more: str) -> Ended:
        ended = self.gen("--initial", *period("2024-01-01", "2024-01-10"), "-f", *more)
        assert ended.code == 0, ended.stderr
        return ended


@pytest.fixture
def caller(server: GenServer, tmp_path: Path) -> Caller:
    return Caller(server, tmp_path)


def test_help_names_every_option_and_command(server: GenServer) -> None:
    ended = server.run("--help")
    assert (ended.code, ended.stderr) == (0, "")
    for option in (
        "--initial", "--incremental", "--start-date", "--end-date", "--date", "--output-dir",
        "--state-dir", "--config", "--seed", "--format", "--workers", "-f", "--force",
        "--dry-run", "--debug", "-q", "--quiet", "--json", "--replace", "--accept-config-changes",
        "status", "config",
    ):  # fmt: skip
        assert option in ended.stdout, option
    assert "Exit codes" in ended.stdout


def test_without_a_mode_it_prints_its_help_and_ends_with_2(server: GenServer) -> None:
    ended = server.run()
    assert (ended.code, ended.stdout) == (2, "")
    assert "--initial" in ended.stderr


def test_without_force_and_without_a_terminal_it_names_the_option_and_writes_nothing(
    caller: Caller,
) -> None:
    before = stats(caller.folders.root)
    ended = caller.gen("--initial", *period("2024-01-01", "2024-01-10"))
    assert (ended.code, ended.stdout) == (2, "")
    assert "-f" in ended.stderr
    assert "--force" in ended.stderr
    assert stats(caller.folders.root) == before


def test_initial_writes_one_pair_of_files_for_each_month(caller: Caller) -> None:
    ended = caller.gen("--initial", *period("2023-12-30", "2024-02-01"), "-f")
    assert ended.code == 0
    chunks = ("2023-12-30_2023-12-31", "2024-01-01_2024-01-31", "2024-02-01_2024-02-01")
    assert caller.folders.names() == {
        f"{table}_{chunk}.csv" for table in ("merchants", "transactions") for chunk in chunks
    }


def test_parquet_is_written_on_demand_and_may_stand_beside_csv(caller: Caller) -> None:
    caller.begin()
    assert (
        caller.gen("--incremental", "--date", "2024-01-11", "-f", "--format", "parquet").code == 0
    )
    assert caller.folders.names() == {
        "merchants_2024-01-01_2024-01-10.csv",
        "transactions_2024-01-01_2024-01-10.csv",
        "merchants_2024-01-11_2024-01-11.parquet",
        "transactions_2024-01-11_2024-01-11.parquet",
    }


def test_json_goes_to_stdout_and_messages_to_stderr(caller: Caller) -> None:
    ended = caller.begin("--json")
    data = ended.data
    assert (data["done"], data["mode"], data["days"]) == (True, "initial", 10)
    assert (data["start_date"], data["end_date"]) == ("2024-01-01", "2024-01-10")
    by_table = {file["table"]: file for file in data["files"]}
    assert by_table["transactions"]["rows"] == data["rows"] == data["total_transactions"]
    assert data["opened"] == data["merchants"] >= 40
    assert data["active_merchants"] == data["merchants"] - data["churned"]
    for file in data["files"]:
        path = caller.folders.output / file["path"]
        assert path.stat().st_size == file["bytes"]
    assert "payments" in ended.stderr
    assert f"{data['rows']:,}" in ended.stderr


def test_json_of_a_run_with_nothing_to_do_says_so(caller: Caller) -> None:
    caller.begin()
    ended = caller.gen("--incremental", "--date", "2024-01-05", "-f", "--json")
    assert ended.code == 0
    assert ended.data["rows"] == 0
    assert ended.data["files"] == []
    assert "already generated through 2024-01-10" in ended.data["message"]


def test_quiet_prints_errors_alone(caller: Caller) -> None:
    ended = caller.begin("-q")
    assert (ended.stdout, ended.stderr) == ("", "")
    done = caller.gen("--incremental", "--date", "2024-01-05", "-f", "-q")
    assert (done.code, done.stdout, done.stderr) == (0, "", "")
    wrong = caller.gen("--incremental", "--date", "2024-13-05", "-f", "-q")
    assert wrong.code == 2
    assert "2024-13-05" in wrong.stderr


def test_the_closing_table_tells_of_files_rows_merchants_cards_and_speed(caller: Caller) -> None:
    stderr = caller.begin().stderr
    for word in ("days", "payments", "merchants", "opened", "changed", "churned", "stored cards",
                 "rows/s", "files", "transactions_2024-01-01_2024-01-10.csv"):  # fmt: skip
        assert word in stderr, word


def test_incremental_goes_on_to_yesterday(caller: Caller) -> None:
    caller.begin()
    ended = caller.gen("--incremental", "-f", "--json", "-q", today=date(2024, 1, 14))
    assert ended.data["end_date"] == "2024-01-13"
    again = caller.gen("--incremental", "-f", today=date(2024, 1, 14))
    assert again.code == 0
    assert "already generated through 2024-01-13" in again.stderr


def test_initial_without_an_end_date_ends_yesterday(caller: Caller) -> None:
    ended = caller.gen(
        "--initial", "--start-date", "2024-01-12", "-f", "--json", "-q", today=date(2024, 1, 14)
    )
    assert (ended.data["start_date"], ended.data["end_date"]) == ("2024-01-12", "2024-01-13")


def test_incremental_without_a_world_shows_how_to_make_one(caller: Caller) -> None:
    before = stats(caller.folders.root)
    ended = caller.gen("--incremental", "-f")
    assert ended.code == 3
    assert "gen --initial" in ended.stderr
    assert stats(caller.folders.root) == before


def test_a_gap_is_filled_and_said_so_before_and_after(caller: Caller) -> None:
    caller.begin()
    dates = period("2024-01-13", "2024-01-14")
    note = "2024-01-11 to 2024-01-12"
    planned = caller.gen("--incremental", *dates, "--dry-run")
    assert note in planned.stdout
    ended = caller.gen("--incremental", *dates, "-f", "--json")
    assert note in ended.data["note"]
    assert note in ended.stderr
    assert (ended.data["start_date"], ended.data["days"]) == ("2024-01-11", 4)


def test_a_start_inside_the_past_goes_on_from_the_last_day(caller: Caller) -> None:
    caller.begin()
    ended = caller.gen("--incremental", *period("2024-01-05", "2024-01-12"), "-f", "--json")
    assert (ended.data["start_date"], ended.data["end_date"]) == ("2024-01-11", "2024-01-12")
    assert "goes on from 2024-01-11" in ended.stderr


def test_dates_before_the_world_are_refused(caller: Caller) -> None:
    caller.begin()
    ended = caller.gen("--incremental", "--date", "2023-12-31", "-f")
    assert ended.code == 2
    assert "the world begins on 2024-01-01" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--initial", "--incremental", *period("2024-01-01", "2024-01-02")], "one of the two"),
        (["--incremental", "--replace"], "--replace goes with --initial"),
        (["--initial", "--date", "2024-01-01"], "--date goes with --incremental"),
        (["--incremental", "--date", "2024-01-01", "--end-date", "2024-01-02"], "either --date"),
        (["--initial"], "--initial needs --start-date"),
        (["--initial", *period("2024-01-05", "2024-01-01")], "lies after --end-date"),
        (["--initial", *period("2024-02-30", "2024-03-01")], "no such day"),
        (["--initial", *period("01.02.2024", "2024-03-01")], "YYYY-MM-DD"),
        (["--initial", *period("٢٠٢٤-01-01", "2024-03-01")], "YYYY-MM-DD"),
        (["--initial", *period("1899-12-31", "2024-03-01")], "out of range"),
        (["--initial", *period("2024-01-01", "2200-01-01")], "out of range"),
        (["--initial", *period("2024-01-01", "2024-01-02"), "--seed", "-1"], "seed"),
        (["--initial", *period("2024-01-01", "2024-01-02"), "--seed", "x"], "seed"),
        (["--initial", *period("2024-01-01", "2024-01-02"), "--format", "xlsx"], "format"),
        (["--initial", *period("2024-01-01", "2024-01-02"), "--workers", "-2"], "workers"),
        (["--inital"], "--initial"),
    ],
    ids=lambda value: " ".join(value)[-50:] if isinstance(value, list) else "",
)
def test_wrong_usage_ends_with_2_names_what_was_expected_and_writes_nothing(
    server: GenServer, tmp_path: Path, arguments: list[str], expected: str
) -> None:
    ended = server.run(*arguments, "-f", cwd=tmp_path)
    assert (ended.code, ended.stdout) == (2, "")
    assert expected in ended.stderr
    assert "Traceback" not in ended.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("given", [[], ["--json"]], ids=["text", "json"])
def test_a_dry_run_writes_nothing(caller: Caller, given: list[str]) -> None:
    before = stats(caller.folders.root)
    ended = caller.gen("--initial", *period("2024-01-30", "2024-02-02"), "--dry-run", *given)
    assert ended.code == 0
    assert stats(caller.folders.root) == before
    assert "transactions_2024-02-01_2024-02-02.csv" in ended.stdout
    if given:
        assert ended.data["days"] == 4
        assert len(ended.data["files"]) == 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("keys", "dates"),
    [
        ({}, ("2024-01-01", "2024-03-31")),
        ({}, ("2024-10-20", "2024-12-31")),
        ({"initial_merchants": 300, "monthly_growth_rate": 0.0}, ("2024-06-12", "2024-06-20")),
        ({"merchant_sizes": {"small": {"daily_tx_range": [4, 6]}}}, ("2024-02-01", "2024-04-30")),
    ],
    ids=["default", "into winter", "a week", "other counts"],
)
def test_the_estimate_of_a_dry_run_is_within_15_percent_of_the_truth(
    server: GenServer, tmp_path: Path, keys: dict[str, object], dates: tuple[str, str]
) -> None:
    folders = Folders(tmp_path)
    config = write_config(tmp_path / "world.yaml", keys)
    run = ["--initial", *period(*dates), "--config", config, "--json", *folders.options]
    planned = server.run(*run, "--dry-run").data["expected_rows"]
    made = server.run(*run, "-f", "-q").data["rows"]
    assert planned == pytest.approx(made, rel=0.15)


def test_a_dry_run_of_what_is_done_says_so(caller: Caller) -> None:
    caller.begin()
    ended = caller.gen("--incremental", "--date", "2024-01-10", "--dry-run")
    assert ended.code == 0
    assert "already generated through 2024-01-10" in ended.stderr


def test_another_configuration_is_named_key_by_key_and_stops_the_run(caller: Caller) -> None:
    caller.begin()
    before = stats(caller.folders.root)
    other = write_config(
        caller.folders.root / "world.yaml",
        SMALL_WORLD | {"monthly_growth_rate": 0.5, "seasonality": {"january": 2.0}},
    )
    assert other == caller.config
    ended = caller.gen("--incremental", "--date", "2024-01-12", "-f")
    assert ended.code == 2
    assert "monthly_growth_rate: 0.08 -> 0.5" in ended.stderr
    assert "seasonality.january: 1.0 -> 2.0" in ended.stderr
    assert "--accept-config-changes" in ended.stderr
    assert {k: v for k, v in stats(caller.folders.root).items() if k != other} == {
        k: v for k, v in before.items() if k != other
    }


def test_accepted_changes_hold_from_the_next_day_on_and_are_kept(
    caller: Caller, server: GenServer
) -> None:
    caller.begin()
    past = digests(caller.folders.output)
    changed = SMALL_WORLD | {"payment_statuses": {"approved": 0.0, "declined": 1.0, "failed": 0.0}}
    write_config(caller.config, changed)
    accepted = caller.gen("--incremental", "--date", "2024-01-11", "-f", "--accept-config-changes")
    assert accepted.code == 0, accepted.stderr
    rows = (caller.folders.output / "transactions_2024-01-11_2024-01-11.csv").read_text()
    assert all(",declined," in row for row in rows.splitlines()[1:])
    assert (
        past.items()
        <= (
            digests(caller.folders.output) | {k: v for k, v in past.items() if "datapackage" in k}
        ).items()
    )
    # From then on it is the world's own: no question, with the file or without.
    assert caller.gen("--incremental", "--date", "2024-01-12", "-f").code == 0
    assert server.run(
        "--incremental", "--date", "2024-01-13", "-f", *caller.folders.options
    ).code == 0  # fmt: skip
    status = json.loads(server.run("status", "--json", *caller.folders.options).stdout)
    assert status["configuration_changes"] == ["2024-01-11"]
    state = json.loads((caller.folders.state / STATE).read_bytes())
    assert [era["from_date"] for era in state["configuration"]] == ["2024-01-01", "2024-01-11"]


@pytest.mark.parametrize("key", ["initial_merchants", "merchant_names", "seed"])
def test_what_only_matters_at_birth_cannot_change_even_if_accepted(
    caller: Caller, key: str
) -> None:
    caller.begin()
    value = {"initial_merchants": 41, "merchant_names": ["Best Store"], "seed": 7}[key]
    write_config(caller.config, SMALL_WORLD | {key: value})
    ended = caller.gen("--incremental", "--date", "2024-01-12", "-f", "--accept-config-changes")
    assert ended.code == 2
    assert f"{key} cannot change in a living world" in ended.stderr


def test_an_incremental_run_without_a_configuration_goes_on_with_the_worlds_own(
    server: GenServer, tmp_path: Path
) -> None:
    config = write_config(tmp_path / "world.yaml", LIVELY_WORLD | {"seed": 9})
    folders = Folders(tmp_path)
    run = ["--initial", *period("2024-01-01", "2024-01-03"), "-f", "--config", config]
    assert server.run(*run, *folders.options).code == 0
    assert server.run("--incremental", "--date", "2024-01-04", "-f", *folders.options).code == 0
    world, _ = read_state(folders.state)
    assert (world.seed, world.config.initial_merchants) == (9, 40)


def test_a_damaged_state_ends_with_3_and_is_not_touched(caller: Caller) -> None:
    caller.begin()
    path = caller.folders.state / STATE
    path.write_bytes(path.read_bytes()[:-100])
    before = stats(caller.folders.root)
    ended = caller.gen("--incremental", "--date", "2024-01-12", "-f")
    assert ended.code == 3
    assert STATE in ended.stderr
    assert "Nothing was written" in ended.stderr
    assert stats(caller.folders.root) == before


def test_a_state_of_a_newer_payworld_ends_with_3_and_says_which(caller: Caller) -> None:
    caller.begin()
    path = caller.folders.state / STATE
    document = json.loads(path.read_bytes()) | {"format_version": 99, "generator_version": "9.9"}
    path.write_text(json.dumps(document), encoding="utf-8")
    ended = caller.gen("--incremental", "--date", "2024-01-12", "-f")
    assert ended.code == 3
    assert "format_version = 99" in ended.stderr
    assert "9.9" in ended.stderr


def test_the_output_may_not_lie_in_the_state_folder(server: GenServer, tmp_path: Path) -> None:
    options = ["--state-dir", str(tmp_path / "s"), "--output-dir", str(tmp_path / "s" / "o")]
    ended = server.run("--initial", *period("2024-01-01", "2024-01-02"), "-f", *options)
    assert ended.code == 2
    assert "--output-dir" in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_where_and_nothing_else_does(caller: Caller) -> None:
    plain = caller.gen("--initial", *period("2024-01-05", "2024-01-01"), "-f")
    debug = caller.gen("--initial", *period("2024-01-05", "2024-01-01"), "-f", "--debug")
    assert "Traceback" not in plain.stderr
    assert "Traceback" in debug.stderr
    assert (plain.code, debug.code) == (2, 2)
