import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import yaml
from typer.testing import CliRunner, Result

from payworld.cli.fraud import app
from payworld.storage.output_file import OutputFile

RUN = ("--run-date", "2024-05-06", "--num-workers", "1")
FOLDER = Path("outputs/payments/year=2024/month=05")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_a_run_says_what_it_wrote() -> None:
    result = run("--rows", "2_500", *RUN, "--fraud-rate", "0.01", "--explain-labels")
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    path = FOLDER / "payments_2_500_2024-05-06.parquet"
    assert f"{path}: 2,500 rows, 25 fraud" in result.stderr
    frame = pl.read_parquet(path)
    assert (len(frame), frame["label_fraud"].sum()) == (2_500, 25)
    labels = pl.read_parquet("outputs/labels/year=2024/month=05/labels_2_500_2024-05-06.parquet")
    assert len(labels) == 25
    assert set(labels["origin"]) <= {"model", "burst", "filled"}
    fraud = frame.filter("label_fraud")["transaction_id"].to_list()
    assert labels["transaction_id"].to_list() == fraud


def test_options_go_over_the_file() -> None:
    Path("fraud.yaml").write_text("total_rows: 100\nseed: 1\nout_dir: elsewhere\n")
    result = run("--config", "fraud.yaml", "--rows", "300", *RUN, "--log-level", "error")
    assert result.exit_code == 0, result.output
    assert result.output == ""
    folder = Path("elsewhere/payments/year=2024/month=05")
    assert [p.name for p in folder.iterdir()] == ["payments_300_2024-05-06.parquet"]


def test_every_option_is_taken() -> None:
    Path("schema.yaml").write_text("version: '1'\nfields: [{name: amount, alias: usd}]\n")
    result = run(
        "--rows", "50", "--out", "o", "--seed", "7", "--fraud-rate", "0.1",
        "--start-date", "2024-01-01", "--end-date", "2024-01-07", "--num-workers", "1",
        "--batch-size", "10", "--chunk-size", "10", "--realism", "v2",
        "--weekday-weights", '{"0": 1, "1": 1}',
        "--time-components", '[{"mean_hour": 12, "std_hours": 1, "weight": 1}]',
        "--schema", "schema.yaml", "--run-date", "2024-05-06", "--no-s3", "--log-level", "debug",
        "--format", "csv",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    lines = Path("o/payments/year=2024/month=05/payments_50_2024-05-06.csv").read_text()
    assert lines.splitlines()[0] == "usd"
    assert len(lines.splitlines()) == 51
    assert "50 of 50 rows" in result.stderr
    assert Path("o/catalog/cards.parquet").exists()


def test_the_printed_configuration_is_a_configuration() -> None:
    printed = run("--print-config", "--rows", "77", "--weekday-weights", "[1,1,1,1,1,0,0]")
    assert printed.exit_code == 0
    assert "total_rows: 77" in printed.stdout
    Path("fraud.yaml").write_text(printed.stdout)
    assert run("--config", "fraud.yaml", "--print-config").stdout == printed.stdout
    assert not Path("outputs").exists()


def test_the_printed_schema_is_a_schema() -> None:
    printed = run("--print-schema")
    Path("schema.yaml").write_text(printed.stdout)
    assert run("--schema", "schema.yaml", "--print-schema").stdout == printed.stdout
    assert printed.stdout.count("- name: ") == 24


def test_the_schema_in_force_is_printed_whole() -> None:
    Path("mine.yaml").write_text("version: 2.0\nfields: [{name: card_scheme, alias: brand}]\n")
    printed = run("--schema", "mine.yaml", "--print-schema")
    data = yaml.safe_load(printed.stdout)
    assert data["version"] == "2.0"
    (field,) = data["fields"]
    assert (field["name"], field["alias"], field["dtype"]) == ("card_scheme", "brand", "string")
    assert field["enum"] == ["VISA", "MASTERCARD", "AMEX", "DISCOVER"]
    Path("again.yaml").write_text(printed.stdout)
    assert run("--schema", "again.yaml", "--print-schema").stdout == printed.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--rows", "0"), "--rows: total_rows = 0"),
        (("--fraud-rate", "1.5"), "--fraud-rate: fraud_rate = 1.5"),
        (("--realism", "v9"), "--realism: realism = 'v9'"),
        (("--start-date", "2024-02-30"), "--start-date: temporal.start_date = '2024-02-30'"),
        (("--start-date", "2024-03-02", "--end-date", "2024-03-01"), "swap them"),
        (("--start-date", "2024-03-02", "--end-date", "2024-03-01"), "--end-date: temporal.end_d"),
        (("--start-date", "2024-06-01"), "after the end date"),
        (("--run-date", "yesterday"), "--run-date = 'yesterday'"),
        (("--weekday-weights", "{"), "--weekday-weights = '{': not JSON"),
        (("--weekday-weights", '{"9": 1}'), "unknown weekday '9'"),
        (("--weekday-weights", "[1, 2]"), "or a list of seven"),
        (("--weekday-weights", "{}"), "--weekday-weights: temporal.weekday_weights"),
        (("--weekday-weights", '{"0": 1, "0": 2}'), "the same key twice in 0, 0"),
        (("--weekday-weights", "[" * 100_000), "[...': not JSON: maximum recursion depth"),
        (("--time-components", "[]"), "expected a list of 1 to 100 peaks"),
        (("--time-components", '[{"mean_hours": 1}]'), "did you mean 'mean_hour'"),
        (("--time-components", '[{"mean_hour": 1}]'), "--time-components: temporal"),
        (("--format", "xml"), "--format = 'xml': expected one of parquet, csv"),
        (("--log-level", "loud"), "--log-level = 'loud'"),
        (("--config", "none.yaml"), "--config = 'none.yaml': there is no such file"),
        (("--schema", "none.yaml"), "--schema = 'none.yaml': there is no such file"),
        (("--config", "."), "'.'"),
        (("--config", "bad.yaml"), "is not UTF-8"),
        (("--config", "typo.yaml"), "did you mean 'total_rows'"),
        (("--config", "half.yaml", "--rows", "5"), "half.yaml:\n  total_rows = 1000.5"),
        (("--out", ""), "--out: out_dir = '': expected text of at least 1 character"),
        (("--schema", "no_version.yaml"), "version: missing; give it a value\n"),
        (("--out", "file.txt"), "file.txt"),
    ],
)
def test_bad_input_exits_1_with_a_message_and_writes_nothing(
    here: Path, arguments: tuple[str, ...], said: str
) -> None:
    Path("bad.yaml").write_bytes(b"seed: \xff")
    Path("typo.yaml").write_text("total_row: 5")
    Path("half.yaml").write_text("total_rows: 1000.5")
    Path("no_version.yaml").write_text("fields: [{name: amount}]")
    Path("file.txt").write_text("in the way")
    before = sorted(here.rglob("*"))
    result = run(*RUN, *arguments)
    assert result.exit_code == 1, result.output
    assert said in result.stderr
    assert "Traceback" not in result.output
    assert result.stdout == ""
    assert sorted(here.rglob("*")) == before


def test_a_usage_error_exits_2() -> None:
    assert run("--rows", "many").exit_code == 2
    rate = run("--fraud-rate", "abc")
    assert rate.exit_code == 2
    assert "'--fraud-rate': 'abc'; expected a number" in rate.stderr
    assert run("--nonsense").exit_code == 2


def test_a_number_may_have_an_exponent_in_the_option_and_in_the_file() -> None:
    printed = run("--fraud-rate", "1e-5", "--print-config").stdout
    assert "fraud_rate: 1.0e-05\n" in printed
    Path("fraud.yaml").write_text(printed)
    assert run("--config", "fraud.yaml", "--print-config").stdout == printed
    Path("own.yaml").write_text("fraud_rate: 1e-5")
    assert run("--config", "own.yaml", "--print-config").stdout == printed


def test_help_says_what_sizes_do() -> None:
    words = " ".join(run("--help").stdout.split())
    assert "Rows that each of several workers makes in one go: 1 to 8 row groups" in words
    assert "a file is made of whole row groups of 98,304 rows, whatever it says" in words


def test_debug_shows_where() -> None:
    result = CliRunner().invoke(app, ["--config", "none.yaml", "--debug"])
    assert result.exit_code == 1
    assert "Traceback" in result.stderr


def test_an_unexpected_failure_exits_1_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the moon")

    monkeypatch.setattr("payworld.datasets.fraud_stream.run.make_plan", fail)
    result = run("--rows", "10", *RUN)
    assert result.exit_code == 1
    assert "unexpected RuntimeError: the moon" in result.stderr
    assert list(FOLDER.iterdir()) == []


def test_a_taken_name_is_not_overwritten() -> None:
    assert "wrote outputs/payments" in run("--rows", "10", *RUN).stderr
    again = run("--rows", "10", *RUN)
    assert (again.exit_code, again.stderr[:13]) == (0, "already there")
    before = (FOLDER / "payments_10_2024-05-06.parquet").read_bytes()
    result = run("--rows", "10", "--seed", "1", *RUN)
    assert result.exit_code == 1
    assert "other bytes" in result.stderr
    assert (FOLDER / "payments_10_2024-05-06.parquet").read_bytes() == before


def test_what_was_there_is_told_as_such() -> None:
    arguments = ("--rows", "10", "--realism", "v2", "--explain-labels", *RUN)
    first, again = run(*arguments).stderr, run(*arguments).stderr
    assert [line.split()[0] for line in first.splitlines()] == ["wrote"] * 5
    assert again == first.replace("wrote", "already there:")


def test_customers_that_cannot_be_as_skewed_as_wanted_are_a_warning() -> None:
    Path("equal.yaml").write_text("catalog: {customer_zipf_exponent: 0, num_cards: 5000}")
    told = run("--config", "equal.yaml", "--rows", "10", *RUN)
    assert told.exit_code == 0
    assert "warning: 9" in told.stderr
    assert "catalog.customer_zipf_exponent = 0 says" in told.stderr
    quiet = run("--config", "equal.yaml", "--rows", "10", *RUN, "--log-level", "error")
    assert quiet.output == ""
    assert "warning" not in run("--rows", "9", *RUN).stderr


def test_a_run_whose_file_another_one_writes_exits_75() -> None:
    with OutputFile(FOLDER / "payments_10_2024-05-06.parquet", "--out"):
        result = run("--rows", "10", *RUN)
    assert result.exit_code == 75
    assert "another run is writing" in result.stderr


def test_a_full_disk_is_a_clear_error() -> None:
    script = 'ulimit -f 100; exec "$0" -m payworld.fraud --rows 20000 --num-workers 1'
    result = subprocess.run(
        ["bash", "-c", script, sys.executable], capture_output=True, text=True, check=False
    )
    assert result.returncode == 1, result.stderr
    assert "size limit" in result.stderr
    assert [path for path in Path("outputs").rglob("*") if path.is_file()] == []


def test_an_interrupt_leaves_no_file() -> None:
    command = [sys.executable, "-c", INTERRUPTED]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 130, result.stderr
    assert "interrupted: what is not whole has no name yet; run the same command" in result.stderr
    assert "Traceback" not in result.stderr
    assert [path for path in Path("outputs").rglob("*") if path.is_file()] == []


INTERRUPTED = """
import os, signal
from payworld.cli.fraud import main
from payworld.datasets.fraud_stream.output import StreamOutput
import sys
sys.argv = ["gen", "--rows", "400000", "--num-workers", "2"]
add = StreamOutput.add
def then(*given):
    add(*given)
    os.kill(os.getpid(), signal.SIGINT)
StreamOutput.add = then
main()
"""


def test_the_module_offers_the_public_functions_and_imports_nothing() -> None:
    script = (
        "import sys, payworld.fraud as fraud; "
        "assert 'numpy' not in sys.modules and 'polars' not in sys.modules; "
        "assert all(callable(getattr(fraud, name)) for name in fraud.__all__); "
        "frame = next(fraud.generate(fraud.load_config().model_copy(update={'total_rows': 9}))); "
        "assert frame.shape == (9, 24)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    missing = "import payworld.fraud as fraud; fraud.nonsense"
    result = subprocess.run([sys.executable, "-c", missing], capture_output=True, check=False)
    assert b"AttributeError" in result.stderr


def test_the_command_line_is_there_at_once() -> None:
    script = (
        "import sys, payworld.cli.fraud; "
        "assert not {'numpy', 'polars', 'pyarrow', 'pydantic', 'boto3'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("option", ["--print-schema", "--print-config"])
def test_a_full_device_behind_standard_output_is_told(option: str) -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "payworld.fraud", option],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert result.returncode == 1
    assert "cannot write to standard output: No space left on device" in result.stderr
    assert "unexpected" not in result.stderr
