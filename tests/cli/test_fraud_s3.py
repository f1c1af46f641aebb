"""Uploads against moto's server over HTTP, through a proxy that injects failures."""

import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests import fraud_store
from tests.fraud_store import (
    KEY,
    KEY_ID,
    NAME,
    RUN,
    SECRET,
    Faults,
    keys,
    local,
    put_parameter,
    write_payments,
)
from typer.testing import CliRunner

from payworld.cli import fraud_command
from payworld.cli.fraud import app
from payworld.errors import MissingExtraError
from payworld.storage import fraud_s3
from payworld.storage.fraud_s3 import AwsError, Uploader

aws, moto = fraud_store.aws, fraud_store.moto


def test_uploads_to_the_bucket_of_the_environment(
    aws: tuple[Any, Faults], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, _ = aws
    client.create_bucket(Bucket="raw")
    monkeypatch.setenv("RAW_BUCKET", "raw")
    result = CliRunner().invoke(app, [*RUN, "--s3"])
    assert result.exit_code == 0, result.output
    assert result.stdout == f"s3://raw/{KEY}\n"
    stored = client.get_object(Bucket="raw", Key=KEY)["Body"].read()
    assert stored == local().read_bytes()
    head = client.head_object(Bucket="raw", Key=KEY, ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"]


def test_uploads_catalogs_and_payments_to_the_buckets_that_ssm_names(
    aws: tuple[Any, Faults], moto: tuple[str, int]
) -> None:
    client, _ = aws
    client.create_bucket(Bucket="lake")
    client.create_bucket(Bucket="art")
    put_parameter(moto, "/fraud/raw_bucket_name", "lake")
    put_parameter(moto, "/fraud/artifacts_bucket_name", "art")
    result = CliRunner().invoke(app, [*RUN, "--s3", "--realism", "v2"])
    assert result.exit_code == 0, result.output
    names = [f"catalogues/{name}.parquet" for name in ("cards", "customers", "merchants")]
    assert keys(client, "art") == names
    assert keys(client, "lake") == [KEY]
    assert result.stdout.splitlines()[-1] == f"s3://lake/{KEY}"
    assert len(result.stdout.splitlines()) == 4


@pytest.mark.parametrize(
    ("on", "kind", "said"),
    [
        ("PUT /raw", "denied", "AccessDenied"),
        ("PUT /raw", "throttled", "throttling"),
        ("PUT /raw", "break", "check the connection"),
        ("GetParameter", "denied", "/fraud/raw_bucket_name"),
    ],
)
def test_a_failure_of_aws_exits_2_keeps_the_file_and_tells_how_to_go_on(
    aws: tuple[Any, Faults], monkeypatch: pytest.MonkeyPatch, on: str, kind: str, said: str
) -> None:
    client, faults = aws
    client.create_bucket(Bucket="raw")
    if on != "GetParameter":
        monkeypatch.setenv("RAW_BUCKET", "raw")
    faults.on, faults.kind = on, kind
    result = CliRunner().invoke(app, [*RUN, "--s3"])
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert f"gen fraud upload outputs/{KEY}" in result.stderr
    assert SECRET not in result.output
    # Whose rights they are that do not do; a broken connection tells nothing of it.
    assert (f"no {KEY_ID} ***" in result.stderr) == (kind != "break")
    assert "Traceback" not in result.output
    assert result.stdout == ""
    assert local().stat().st_size > 0
    assert keys(client, "raw") == []


def test_what_is_left_to_upload_is_named(
    aws: tuple[Any, Faults], moto: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, _ = aws
    client.create_bucket(Bucket="raw")
    monkeypatch.setenv("RAW_BUCKET", "raw")
    put_parameter(moto, "/fraud/artifacts_bucket_name", "gone")
    result = CliRunner().invoke(app, [*RUN, "--s3", "--realism", "v2"])
    assert result.exit_code == 2, result.output
    assert "gen fraud upload outputs/catalog/customers.parquet" in result.stderr
    assert f"cards.parquet, outputs/{KEY}" in result.stderr


def test_upload_again_after_a_failure_finishes_it(
    aws: tuple[Any, Faults], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, faults = aws
    monkeypatch.setenv("RAW_BUCKET", "raw")
    failed = CliRunner().invoke(app, [*RUN, "--s3"])
    assert failed.exit_code == 2, failed.output
    assert "NoSuchBucket" in failed.stderr
    assert "make the bucket" in failed.stderr
    client.create_bucket(Bucket="raw")
    result = CliRunner().invoke(app, ["upload", str(local())])
    assert result.exit_code == 0, result.output
    assert result.stdout == f"s3://raw/{KEY}\n"
    assert keys(client, "raw") == [KEY]
    assert faults.seen


def test_what_is_stored_already_is_not_sent_again(
    aws: tuple[Any, Faults], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, faults = aws
    client.create_bucket(Bucket="raw")
    monkeypatch.setenv("RAW_BUCKET", "raw")
    for _ in range(2):
        assert CliRunner().invoke(app, [*RUN, "--s3"]).stdout == f"s3://raw/{KEY}\n"
    assert sum(seen.startswith("PUT /raw") for seen in faults.seen) == 1


def test_stored_payments_are_never_overwritten(
    aws: tuple[Any, Faults], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, _ = aws
    client.create_bucket(Bucket="raw")
    client.put_object(Bucket="raw", Key=KEY, Body=b"another's")
    monkeypatch.setenv("RAW_BUCKET", "raw")
    result = CliRunner().invoke(app, [*RUN, "--s3"])
    assert result.exit_code == 1, result.output
    assert f"s3://raw/{KEY} exists and holds other bytes" in result.stderr
    assert (
        f"The local file is kept: then upload it with `gen fraud upload {local()}`" in result.stderr
    )
    assert client.get_object(Bucket="raw", Key=KEY)["Body"].read() == b"another's"
    assert local().exists()


def test_without_the_right_to_look_it_is_uploaded(
    aws: tuple[Any, Faults], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, faults = aws
    client.create_bucket(Bucket="raw")
    monkeypatch.setenv("RAW_BUCKET", "raw")
    faults.on, faults.kind, faults.times = "HEAD /raw", "denied", 1
    assert CliRunner().invoke(app, [*RUN, "--s3"]).exit_code == 0
    assert keys(client, "raw") == [KEY]


@pytest.mark.parametrize("kind", ["throttled", "break"])
def test_passing_faults_are_retried(
    aws: tuple[Any, Faults], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    client, faults = aws
    client.create_bucket(Bucket="raw")
    monkeypatch.setenv("RAW_BUCKET", "raw")
    faults.on, faults.kind, faults.times = "PUT /raw", kind, 2
    result = CliRunner().invoke(app, [*RUN, "--s3"])
    assert result.exit_code == 0, result.output
    assert keys(client, "raw") == [KEY]


@pytest.mark.parametrize("on", ["partNumber=2", "POST /raw"])
def test_a_multipart_upload_that_breaks_in_the_middle_leaves_nothing(
    aws: tuple[Any, Faults], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, on: str
) -> None:
    client, faults = aws
    client.create_bucket(Bucket="raw")
    monkeypatch.setattr(fraud_s3, "_PART_BYTES", 5 << 20)
    path = write_payments(tmp_path / NAME, 4_000)
    faults.on, faults.kind = on, "break"
    with Uploader("raw") as uploader, pytest.raises(AwsError, match="upload it again"):
        uploader.upload(path)
    assert keys(client, "raw") == []
    assert client.list_multipart_uploads(Bucket="raw").get("Uploads", []) == []
    faults.on = ""
    with Uploader("raw") as uploader:
        uploader.upload(path)
    assert client.get_object(Bucket="raw", Key=KEY)["Body"].read() == path.read_bytes()


def test_without_credentials_or_a_server_the_message_says_so(
    aws: tuple[Any, Faults], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = write_payments(tmp_path / NAME)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("RAW_BUCKET", "raw")
    refused = CliRunner().invoke(app, ["upload", str(path)])
    assert refused.exit_code == 2
    assert "check the connection" in refused.stderr
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    result = CliRunner().invoke(app, ["upload", str(path)])
    assert result.exit_code == 2
    assert "set AWS_ACCESS_KEY_ID" in result.stderr
    assert aws[1].on == ""


def test_a_missing_parameter_names_it(aws: tuple[Any, Faults], tmp_path: Path) -> None:
    path = tmp_path / "cards.parquet"
    pq.write_table(pa.table({"card_pan_hash": ["a"]}), path)
    result = CliRunner().invoke(app, ["upload", str(path)])
    assert result.exit_code == 2
    assert "/fraud/artifacts_bucket_name" in result.stderr
    assert "create the parameter" in result.stderr
    assert aws[1].seen


@pytest.mark.parametrize("name", ["notes.txt", "payments.parquet"])
def test_other_files_are_not_uploaded(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    result = CliRunner().invoke(app, ["upload", str(tmp_path / name)])
    assert result.exit_code == 1
    assert "payments_<rows>_<run date>" in result.stderr
    missing = CliRunner().invoke(app, ["upload", str(tmp_path / NAME)])
    assert missing.exit_code == 1
    assert "no such file" in missing.stderr


def test_without_boto3_nothing_is_generated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "boto3", None)
    result = CliRunner().invoke(app, [*RUN, "--s3"])
    assert result.exit_code == 1
    assert "payworld[s3]" in result.stderr
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(MissingExtraError):
        fraud_s3.require_boto3()
    assert fraud_command.RAW_BUCKET == "RAW_BUCKET"
