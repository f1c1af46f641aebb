"""What gen fraud says where AWS is not usable: the reason, the way out, and no secrets."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests import fraud_store
from tests.fraud_store import KEY, NAME, RUN, Faults, keys, local, put_parameter, write_payments
from typer.testing import CliRunner, Result

from payworld.cli.fraud import app

aws, moto = fraud_store.aws, fraud_store.moto


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, list(arguments))
    assert "Traceback" not in result.output
    return result


@pytest.fixture
def raw(aws: tuple[Any, Faults], monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Faults]:
    aws[0].create_bucket(Bucket="raw")
    monkeypatch.setenv("RAW_BUCKET", "raw")
    return aws


@pytest.mark.parametrize("realism", ["v1", "v2"])
@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("AWS_PROFILE", "nope", "check AWS_PROFILE"),
        ("AWS_CONFIG_FILE", "broken.ini", "correct that file"),
    ],
)
def test_a_configuration_of_aws_that_is_not_usable_keeps_the_file_and_tells_how_to_go_on(
    raw: tuple[Any, Faults],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    said: str,
    realism: str,
) -> None:
    Path("broken.ini").write_text("[profile\nregion")
    monkeypatch.setenv(variable, value)
    result = run(*RUN, "--s3", "--realism", realism)
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert (
        "The local file is kept: upload it again with `gen fraud upload outputs/" in result.stderr
    )
    assert str(local()) in result.stderr.splitlines()[-1]
    assert local().exists()
    assert keys(raw[0], "raw") == []


def test_a_password_in_the_endpoint_is_not_printed(
    raw: tuple[Any, Faults], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://user:s3cr3tpw@127.0.0.1:9")
    result = run(*RUN, "--s3")
    assert result.exit_code == 2, result.output
    assert "http://***@127.0.0.1:9/raw" in result.stderr
    assert "s3cr3tpw" not in result.output
    assert raw[1].seen == []
    assert "check the connection" in result.stderr


def test_nor_is_it_with_a_traceback(
    raw: tuple[Any, Faults], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://user:s3cr3tpw@127.0.0.1:9")
    result = CliRunner().invoke(app, [*RUN, "--s3", "--debug"])
    assert "Traceback" in result.stderr
    assert "s3cr3tpw" not in result.output
    assert raw[1].seen == []


@pytest.mark.parametrize(
    ("kind", "said"), [("throttled", "throttling: try again"), ("expired", "renew the credentials")]
)
def test_a_failure_of_the_first_question_is_told_with_its_reason(
    raw: tuple[Any, Faults], kind: str, said: str
) -> None:
    raw[1].on, raw[1].kind = "/raw", kind
    result = run(*RUN, "--s3")
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert "check the connection" not in result.stderr
    assert f"gen fraud upload {local()}" in result.stderr
    assert raw[1].seen[0].startswith("HEAD /raw")


def test_a_passing_failure_of_the_first_question_alone_is_told_by_its_number(
    raw: tuple[Any, Faults],
) -> None:
    raw[1].on, raw[1].kind = "HEAD /raw", "throttled"
    result = run(*RUN, "--s3")
    assert result.exit_code == 2, result.output
    assert "(503)" in result.stderr
    assert "throttling: try again" in result.stderr


@pytest.mark.parametrize("name", ["Bad Bucket!", "s3://raw", "ab", "raw/payments", "-raw"])
def test_a_bucket_that_can_be_none_is_found_before_the_work(
    raw: tuple[Any, Faults], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("RAW_BUCKET", name)
    result = run(*RUN, "--s3")
    assert result.exit_code == 1, result.output
    assert f"RAW_BUCKET = {name!r}: expected the name of a bucket alone" in result.stderr
    assert not Path("outputs").exists()
    path = write_payments(Path(NAME))
    assert "expected the name of a bucket" in run("upload", str(path)).stderr
    assert raw[1].seen == []


def test_a_parameter_that_holds_no_bucket_is_named(
    aws: tuple[Any, Faults], moto: tuple[str, int]
) -> None:
    put_parameter(moto, "/fraud/raw_bucket_name", "s3://raw")
    result = run("upload", str(write_payments(Path(NAME))))
    assert result.exit_code == 2, result.output
    assert "/fraud/raw_bucket_name holds 's3://raw': expected the name of a bucket" in result.stderr
    assert f"gen fraud upload {NAME}" in result.stderr
    assert aws[1].seen


def table(**columns: list[Any]) -> pa.Table:
    return pa.table(columns)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("payments_1_2024-13-06.parquet", b"text", "2024-13-06 is no day of the calendar"),
        ("payments_1_2024-02-30.csv", b"a\n1\n", "2024-02-30 is no day of the calendar"),
        ("payments_1_2024-12-06.parquet", b"text", "it is not a whole Parquet file"),
        ("payments_2_2024-12-06.parquet", table(amount=[1.0]), "it holds 1 payments"),
        ("payments_1_2024-12-06.csv", b"", "it holds 0 payments"),
        ("payments_2_2024-12-06.csv", b"amount\n1.00\n", "it holds 1 payments"),
        ("payments_1_2024-12-06.csv", b"amount\n1.00", "its last line does not end"),
        ("payments_1__2024-12-06.csv", b"amount\n1.00\n", "is not a file of the fraud stream"),
        ("cards.parquet", b"PAR1", "it is not a whole Parquet file"),
        ("cards.parquet", table(amount=[1.0]), "its first column is amount"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_not_uploaded(
    raw: tuple[Any, Faults], name: str, content: bytes | pa.Table, said: str
) -> None:
    if isinstance(content, bytes):
        Path(name).write_bytes(content)
    else:
        pq.write_table(content, name)
    result = run("upload", name)
    assert result.exit_code == 1, result.output
    assert said in result.stderr
    assert repr(name) in result.stderr
    assert raw[1].seen == []


def test_a_csv_file_is_uploaded(raw: tuple[Any, Faults]) -> None:
    result = run(*RUN, "--s3", "--format", "csv")
    assert result.exit_code == 0, result.output
    assert keys(raw[0], "raw") == [KEY.replace(".parquet", ".csv")]
