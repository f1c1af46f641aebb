"""Where settings come from: command line, environment, configuration file, default."""

from itertools import pairwise
from pathlib import Path

import pytest
from tests.builders import SMALL_WORLD, Folders, period, write_config
from tests.gen_server import Ended, GenServer

from payworld.config import Config, parse_document, to_commented_yaml, validate
from payworld.storage.state_file import read_state

DAY = period("2024-01-01", "2024-01-01")


def begin(server: GenServer, cwd: Path, *arguments: str, **environment: str) -> Ended:
    ended = server.run(
        "--initial", *DAY, "-f", *arguments, cwd=cwd,
        environment={f"PAYWORLD_{name.upper()}": value for name, value in environment.items()},
    )  # fmt: skip
    assert ended.code == 0, ended.stderr
    return ended


def seed_in(folder: Path) -> int:
    return read_state(folder)[0].seed


def test_the_seed_comes_from_the_nearest_source(server: GenServer, tmp_path: Path) -> None:
    plain = write_config(tmp_path / "plain.yaml", SMALL_WORLD)
    seeded = write_config(tmp_path / "seeded.yaml", SMALL_WORLD | {"seed": 1})
    # (configuration file, environment, command line) and what wins.
    for number, (config, environment, typed, winner) in enumerate(
        [
            (plain, {}, [], 42),
            (seeded, {}, [], 1),
            (seeded, {"seed": "2"}, [], 2),
            (seeded, {"seed": "2"}, ["--seed", "3"], 3),
            (plain, {"seed": "2"}, [], 2),
        ]
    ):
        cwd = tmp_path / str(number)
        cwd.mkdir()
        begin(server, cwd, "--config", config, *typed, **environment)
        assert seed_in(cwd / "state") == winner


def test_folders_format_and_workers_follow_the_same_order(
    server: GenServer, tmp_path: Path
) -> None:
    config = write_config(
        tmp_path / "world.yaml",
        SMALL_WORLD | {"output_dir": "f_out", "state_dir": "f_state", "format": "parquet"},
    )
    begin(server, tmp_path, "--config", config)
    assert {path.suffix for path in (tmp_path / "f_out").glob("transactions_*")} == {".parquet"}
    begin(server, tmp_path, "--config", config, "--state-dir", "c_state",
          output_dir="e_out", state_dir="e_state", format="csv", workers="1")  # fmt: skip
    assert {path.suffix for path in (tmp_path / "e_out").glob("transactions_*")} == {".csv"}
    assert (tmp_path / "c_state").is_dir()
    assert not (tmp_path / "e_state").exists()


def test_everything_a_run_needs_may_come_from_the_environment(
    server: GenServer, tmp_path: Path
) -> None:
    config = write_config(tmp_path / "world.yaml", SMALL_WORLD)
    ended = server.run(
        "--initial",
        cwd=tmp_path,
        environment={
            "PAYWORLD_START_DATE": "2024-01-01",
            "PAYWORLD_END_DATE": "2024-01-02",
            "PAYWORLD_CONFIG": config,
            "PAYWORLD_FORCE": "1",
            "PAYWORLD_QUIET": "1",
            "PAYWORLD_SEED": "5",
        },
    )
    assert (ended.code, ended.stdout, ended.stderr) == (0, "", "")
    assert seed_in(tmp_path / "state") == 5


def test_dates_on_the_command_line_win_over_those_of_the_environment(
    server: GenServer, tmp_path: Path
) -> None:
    config = write_config(tmp_path / "world.yaml", SMALL_WORLD)
    ended = begin(server, tmp_path, "--config", config, "--json", start_date="2023-01-01")
    assert ended.data["start_date"] == "2024-01-01"


def test_gen_config_prints_the_whole_configuration_and_it_changes_nothing(
    server: GenServer, tmp_path: Path
) -> None:
    ended = server.run("config")
    assert (ended.code, ended.stderr) == (0, "")
    assert parse_document(ended.stdout, "gen config") == Config().model_dump(mode="json")
    printed = tmp_path / "printed.yaml"
    printed.write_text(ended.stdout, encoding="utf-8")
    plain, given = Folders(tmp_path / "plain"), Folders(tmp_path / "given")
    begin(server, tmp_path, *plain.options)
    begin(server, tmp_path, "--config", str(printed), *given.options)
    assert plain.digests() == given.digests()
    # Nor is it a change in the eyes of a living world.
    ended = server.run(
        "--incremental", "--date", "2024-01-02", "-f", "--config", printed, *plain.options
    )
    assert ended.code == 0, ended.stderr


def test_gen_config_with_a_file_prints_what_is_then_in_force(
    server: GenServer, tmp_path: Path
) -> None:
    keys = SMALL_WORLD | {"seasonality": {"march": 3.0}, "merchant_names": ["Käse & Söhne, GmbH"]}
    ended = server.run("config", "--config", write_config(tmp_path / "world.yaml", keys))
    printed = validate(Config, parse_document(ended.stdout, "printed"), "printed")
    assert printed.initial_merchants == 40
    assert printed.seasonality.march == 3.0
    assert printed.seasonality.june == 1.2
    assert printed.merchant_names == ("Käse & Söhne, GmbH",)


def test_every_key_that_gen_config_prints_has_a_comment_above_it(server: GenServer) -> None:
    lines = server.run("config").stdout.splitlines()
    for before, line in pairwise(lines):
        if not line.lstrip().startswith(("#", "-")):
            assert before.lstrip().startswith("#"), line


def test_gen_config_says_units_and_ranges() -> None:
    text = to_commented_yaml(Config(), "title")
    assert "0 to 2^63-1" in text
    assert "USD, 0.01 to 1,000,000" in text
    assert "0 to 100" in text
    assert "sums to 1" in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("initial_merchant: 5\n", "did you mean 'initial_merchants'"),
        ("seasonality: {janury: 1.0}\n", "did you mean 'january'"),
        ("seed: 1\nseed: 2\n", "duplicate key 'seed'"),
        ("monthly_growth_rate: .nan\n", "monthly_growth_rate"),
        ("monthly_growth_rate: 1.5\n", "less than or equal to 1"),
        ("- a\n- b\n", "expected keys with values"),
        ("seed: [1\n", "line 2"),
    ],
)
def test_a_wrong_configuration_file_ends_with_2_and_names_file_key_and_expectation(
    server: GenServer, tmp_path: Path, text: str, expected: str
) -> None:
    path = tmp_path / "world.yaml"
    path.write_text(text, encoding="utf-8")
    ended = server.run("--initial", *DAY, "-f", "--config", path, cwd=tmp_path)
    assert (ended.code, ended.stdout) == (2, "")
    assert expected in ended.stderr
    assert str(path) in ended.stderr
    assert [found.name for found in tmp_path.iterdir()] == ["world.yaml"]


def test_a_configuration_file_that_is_not_there_or_not_text_is_named(
    server: GenServer, tmp_path: Path
) -> None:
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"seed: \xff\n")
    for path, expected in ((tmp_path / "none.yaml", "no such file"), (tmp_path, "folder"),
                           (binary, "UTF-8")):  # fmt: skip
        ended = server.run("--initial", *DAY, "-f", "--config", path, cwd=tmp_path)
        assert ended.code == 2
        assert expected in ended.stderr
        assert str(path) in ended.stderr
