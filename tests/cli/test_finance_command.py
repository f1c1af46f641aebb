"""gen finance as a user calls it, from the outside."""

import contextlib
import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

from payworld.cli.clock import today
from payworld.cli.finance import app
from payworld.datasets.personal_finance import generate_dataset

AS_OF = ("--as-of", "2025-11-03")
VARIABLES = ("SEED", "FINANCE_CONFIG", "DATABASE_URL", "QUIET", "DEBUG")


class Outcome(NamedTuple):
    """What a call of the command left behind."""

    returncode: int
    stdout: str
    stderr: str


def finance(folder: Path, *arguments: str, **variables: str) -> Outcome:
    environment = {f"PAYWORLD_{name}": None for name in VARIABLES} | variables
    with contextlib.chdir(folder):
        result = CliRunner().invoke(app, list(arguments), env=environment)
    return Outcome(result.exit_code, result.stdout, result.stderr)


def counts(database: Path) -> tuple[int, ...]:
    connection = sqlite3.connect(database)
    try:
        return tuple(
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
            for table in ("users", "accounts", "transactions")
        )
    finally:
        connection.close()


def listed(numbers: Sequence[int]) -> str:
    return "{:,} users, {:,} accounts, {:,} transactions".format(*numbers)


def test_without_options_it_writes_50_users_as_of_today(tmp_path: Path) -> None:
    before = today()
    run = finance(tmp_path)
    assert run.returncode == 0, run.stderr
    data = json.loads((tmp_path / "data/users.json").read_text())
    assert len(data["users"]) == 50
    assert data["meta"]["seed"] == 42
    assert data["meta"]["as_of"] in {before.isoformat(), today().isoformat()}
    numbers = [len(data[table]) for table in ("users", "accounts", "transactions")]
    assert run.stdout == f"Wrote data/users.json: {listed(numbers)}\n"
    assert run.stderr == ""


def test_the_options_say_what_is_written(tmp_path: Path) -> None:
    arguments = ("--num-users", "100", "--output", "out/u.json", "--seed", "7", *AS_OF)
    assert finance(tmp_path, *arguments).returncode == 0
    data = json.loads((tmp_path / "out/u.json").read_text())
    assert data == generate_dataset(100, seed=7, as_of="2025-11-03")


def test_the_module_is_a_program(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "payworld.finance", "--num-users", "100", "--load", *AS_OF]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    numbers = counts(tmp_path / "data/payworld.db")
    assert run.stdout.splitlines()[-1] == f"Loaded {listed(numbers)}"
    assert run.stderr == ""


def test_load_ends_with_the_figures_of_the_database(tmp_path: Path) -> None:
    run = finance(tmp_path, "--load", *AS_OF)
    assert run.returncode == 0, run.stderr
    numbers = counts(tmp_path / "data/payworld.db")
    assert run.stdout.splitlines()[-1] == f"Loaded {listed(numbers)}"
    assert numbers[0] == 50


def test_loading_again_fails_replaces_or_appends_as_told(tmp_path: Path) -> None:
    assert finance(tmp_path, "--load", *AS_OF).returncode == 0
    before = counts(tmp_path / "data/payworld.db")
    again = finance(tmp_path, "--load", *AS_OF)
    assert again.returncode == 1
    assert "already holds 50 users" in again.stderr
    assert counts(tmp_path / "data/payworld.db") == before
    other = ("--seed", "9", "-o", "data/other.json", "--load", *AS_OF)
    appended = finance(tmp_path, *other, "--if-exists", "append")
    assert appended.returncode == 0, appended.stderr
    assert counts(tmp_path / "data/payworld.db")[0] == 100
    replaced = finance(tmp_path, "load", "data/users.json", "--if-exists", "replace")
    assert replaced.stdout == f"Loaded {listed(before)}\n"
    assert counts(tmp_path / "data/payworld.db") == before


def test_a_database_that_cannot_take_the_file_is_named_before_the_file_is_made(
    tmp_path: Path,
) -> None:
    assert finance(tmp_path, "--num-users", "3", "--load", *AS_OF).returncode == 0
    before = (tmp_path / "data/users.json").read_bytes()
    again = finance(tmp_path, "--num-users", "4", "--load", "--force", *AS_OF)
    assert (again.returncode, again.stdout) == (1, "")
    assert "the database already holds 3 users" in again.stderr
    assert (tmp_path / "data/users.json").read_bytes() == before
    nobody = "postgresql+asyncpg://ann@127.0.0.1:1/finance"
    down = finance(tmp_path, "--load", "--database-url", nobody, "-o", "new.json", *AS_OF)
    assert (down.returncode, down.stdout) == (1, "")
    assert "cannot be used" in down.stderr
    assert not (tmp_path / "new.json").exists()


@pytest.mark.parametrize("file_format", ["jsonl", "csv", "parquet"])
def test_every_format_loads(tmp_path: Path, file_format: str) -> None:
    run = finance(tmp_path, "--format", file_format, "--num-users", "20", "--load", *AS_OF)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == f"Loaded {listed(counts(tmp_path / 'data/payworld.db'))}"


def test_by_default_csv_and_parquet_do_not_share_a_folder(tmp_path: Path) -> None:
    for file_format, seed in (("csv", "1"), ("parquet", "2")):
        options = ("--format", file_format, "--num-users", "3", "--seed", seed)
        assert finance(tmp_path, *options, *AS_OF).returncode == 0
    for folder in ("finance_csv", "finance_parquet"):
        run = finance(tmp_path, "load", f"data/{folder}", "--if-exists", "replace")
        assert run.returncode == 0, run.stderr


def test_the_ending_of_the_output_may_name_the_format(tmp_path: Path) -> None:
    assert finance(tmp_path, "-o", "u.jsonl", *AS_OF).returncode == 0
    assert (tmp_path / "u.jsonl").read_text().startswith('{"table":"meta"')
    wrong = finance(tmp_path, "-o", "u.jsonl", "--format", "json", *AS_OF)
    assert wrong.returncode == 2
    assert "--output" in wrong.stderr


def test_equal_data_is_done_and_other_data_needs_force(tmp_path: Path) -> None:
    assert finance(tmp_path, *AS_OF).returncode == 0
    before = (tmp_path / "data/users.json").read_bytes()
    again = finance(tmp_path, *AS_OF)
    assert (again.returncode, "Already there" in again.stdout) == (0, True)
    other = finance(tmp_path, "--seed", "2", "--load", *AS_OF)
    assert other.returncode == 1
    assert "--force" in other.stderr
    assert (tmp_path / "data/users.json").read_bytes() == before
    assert not (tmp_path / "data/payworld.db").exists()
    assert finance(tmp_path, "--seed", "2", "--force", *AS_OF).returncode == 0
    assert (tmp_path / "data/users.json").read_bytes() != before


def test_options_come_before_environment_before_file_before_defaults(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("seed: 5\nnum_users: 3\n")

    def meta(*arguments: str, **variables: str) -> tuple[int, int]:
        run = finance(tmp_path, "--force", "--config", "c.yaml", *arguments, **variables)
        assert run.returncode == 0, run.stderr
        data = json.loads((tmp_path / "data/users.json").read_text())
        return data["meta"]["seed"], len(data["users"])

    assert meta() == (5, 3)
    assert meta(PAYWORLD_SEED="6") == (6, 3)
    assert meta("--seed", "7", "--num-users", "4", PAYWORLD_SEED="6") == (7, 4)


def test_the_printed_configuration_is_one_that_changes_nothing(tmp_path: Path) -> None:
    printed = finance(tmp_path, "--print-config")
    assert printed.returncode == 0
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "c.yaml").write_text(printed.stdout)
    assert finance(tmp_path, *AS_OF).returncode == 0
    with_config = finance(tmp_path, "--config", "c.yaml", *AS_OF)
    assert "Already there" in with_config.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (("--num-users", "0"), 2, "num_users = 0"),
        (("--num-users", "10000001"), 2, "num_users"),
        (("--num-users", "many"), 2, "--num-users"),
        (("--seed", "-1"), 2, "seed = -1"),
        (("--as-of", "2025-02-30"), 2, "--as-of"),
        (("--as-of", "tomorrow"), 2, "--as-of"),
        (("--format", "xml"), 2, "--format"),
        (("--config", "missing.yaml"), 2, "missing.yaml"),
        (("--load", "--if-exists", "maybe"), 2, "--if-exists"),
        (("--load", "--database-url", "mysql://ann:secret@h/d"), 2, "--database-url"),
        (("--if-exists", "replace"), 2, "--if-exists has no effect without --load"),
        (("--database-url", "sqlite:///x.db"), 2, "--database-url has no effect without --load"),
        (("--database-url", "sqlite:///x.db", "load", "a.json"), 2, "write the options after it"),
        (("--format", "csv", "load", "a.json"), 2, "--format stands before 'load'"),
        (("--output", ""), 2, "expected the name of a file"),
        (("--output", "u.json.gz"), 2, "does not compress"),
        (("--output", "-"), 2, "gen finance writes files"),
        (("--output", "."), 2, "expected the name of a file"),
        (("load", "missing.json"), 1, "missing.json"),
        (("load",), 2, "FILE"),
        (("--nothing",), 2, "--nothing"),
        (("unload",), 2, "unload"),
    ],
)
def test_bad_input_is_named_and_nothing_written(
    tmp_path: Path, arguments: tuple[str, ...], code: int, named: str
) -> None:
    run = finance(tmp_path, *arguments)
    assert run.returncode == code
    assert named.lower() in run.stderr.lower()
    assert "Traceback" not in run.stderr
    assert "secret" not in run.stderr
    assert not (tmp_path / "data").exists() or not list((tmp_path / "data").iterdir())


def test_a_wrong_configuration_names_the_key_and_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("transactions: {pending_shar: 0.1}\n")
    run = finance(tmp_path, "--config", "c.yaml")
    assert run.returncode == 2
    assert "did you mean 'pending_share'?" in run.stderr
    assert "gen finance --print-config" in run.stderr


def test_debug_shows_where(tmp_path: Path) -> None:
    assert "Traceback" in finance(tmp_path, "load", "missing.json", "--debug").stderr


def test_quiet_says_nothing(tmp_path: Path) -> None:
    run = finance(tmp_path, "--load", "--quiet", *AS_OF)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert counts(tmp_path / "data/payworld.db")[0] == 50


def test_help_does_not_wait_for_heavy_imports() -> None:
    script = (
        "import sys; sys.argv = ['gen', '--help']\n"
        "from payworld.finance import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'polars', 'pyarrow', 'sqlalchemy', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "--if-exists" in run.stdout


def test_without_the_extra_files_are_written_and_a_load_names_it(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "for name in ('sqlalchemy', 'aiosqlite', 'asyncpg', 'greenlet'): sys.modules[name] = None\n"
        "from payworld.finance import main, generate_user\n"
        "assert generate_user(7)['consent'] is False\n"
        "main()\n"
    )
    command = [sys.executable, "-c", script, *AS_OF, "--num-users", "3"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    load = subprocess.run(
        [*command, "--load"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert load.returncode == 1
    assert "payworld[db]" in load.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_a_run_that_is_stopped_leaves_no_half_file(
    tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    options = ("--num-users", "2000000", "--format", "jsonl", *AS_OF)
    command = [sys.executable, "-m", "payworld.finance", *options]
    partial = tmp_path / "data/.users.jsonl.partial"
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and not (partial.exists() and partial.stat().st_size):
            time.sleep(0.01)
        process.send_signal(sent)
        message = process.communicate()[1]
    assert process.returncode == code
    assert "Traceback" not in message
    assert not (tmp_path / "data/users.jsonl").exists()
    assert partial.exists() == (sent == signal.SIGKILL)
    assert finance(tmp_path, "--num-users", "3", "--format", "jsonl", *AS_OF).returncode == 0
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["users.jsonl"]
