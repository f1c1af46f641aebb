"""Uploads against moto's server over HTTP, through a proxy that injects failures."""

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from typer.testing import CliRunner

from payworld.cli import fraud_command
from payworld.cli.fraud import app
from payworld.errors import MissingExtraError
from payworld.storage import fraud_s3
from payworld.storage.fraud_s3 import AwsError, Uploader

SECRET = "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLE"  # noqa: S105  # no one's: AWS's example
KEY_ID = "AKIDEXAMPLE1234"
RUN = ["--rows", "3000", "--run-date", "2024-05-06", "--num-workers", "1"]
NAME = "payments_3_000_2024-05-06.parquet"
KEY = f"payments/year=2024/month=05/{NAME}"


@dataclass
class Faults:
    """What the proxy does to requests whose path or target contains a word."""

    on: str = ""
    kind: str = ""
    times: int = 1_000_000
    seen: list[str] = field(default_factory=list)


def _respond(handler: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def _error(code: str) -> bytes:
    return (
        f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>no {KEY_ID} {SECRET}</Message>'
        "</Error>"
    ).encode()


class _Proxy(BaseHTTPRequestHandler):
    """Passes requests on, but for those that a fault is for."""

    protocol_version = "HTTP/1.1"
    upstream: tuple[str, int]
    faults: Faults

    def _handle(self) -> None:
        target = f"{self.command} {self.path} {self.headers.get('X-Amz-Target', '')}"
        faults = self.faults
        faults.seen.append(target)
        if faults.on and faults.on in target and faults.times > 0:
            faults.times -= 1
            self._fail(faults.kind)
        else:
            self._pass_on()

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _pass_on(self) -> None:
        headers = {k: v for k, v in self.headers.items() if k.lower() != "expect"}
        with closing(HTTPConnection(*self.upstream, timeout=30)) as connection:
            connection.request(self.command, self.path, self._body(), headers)
            answer = connection.getresponse()
            data = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "date", "server"):
                self.send_header(name, value)
        if answer.getheader("Content-Length") is None:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _fail(self, kind: str) -> None:
        if kind == "break":
            self.rfile.read(min(int(self.headers.get("Content-Length") or 0), 70_000))
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        self._body()
        status, code = {"denied": (403, "AccessDenied"), "throttled": (503, "SlowDown")}[kind]
        _respond(self, status, _error(code))

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _handle

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def _proxy(upstream: tuple[str, int], faults: Faults) -> ThreadingHTTPServer:
    handler = type("Handler", (_Proxy,), {"upstream": upstream, "faults": faults})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture(scope="module")
def moto() -> Iterator[tuple[str, int]]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server.get_host_and_port()
    server.stop()


@pytest.fixture
def aws(
    moto: tuple[str, int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[tuple[Any, Faults]]:
    faults = Faults()
    proxy = _proxy(moto, faults)
    for name, value in {
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{proxy.server_port}",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("RAW_BUCKET", raising=False)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    # Retries wait as little as they can.
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", _no_delay)
    monkeypatch.chdir(tmp_path)
    client = boto3.client("s3", endpoint_url=f"http://{moto[0]}:{moto[1]}")
    yield client, faults
    client.close()
    proxy.shutdown()
    proxy.server_close()
    with closing(HTTPConnection(*moto)) as connection:
        connection.request("POST", "/moto-api/reset")
        assert connection.getresponse().read()


def _no_delay(_self: object, _context: object) -> float:
    return 0.0


def _ssm(moto: tuple[str, int], name: str, value: str) -> None:
    client = boto3.client("ssm", endpoint_url=f"http://{moto[0]}:{moto[1]}")
    client.put_parameter(Name=name, Value=value, Type="String")
    client.close()


def _keys(client: Any, bucket: str) -> list[str]:
    return [item["Key"] for item in client.list_objects_v2(Bucket=bucket).get("Contents", [])]


def _local() -> Path:
    return Path("outputs") / KEY


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
    assert stored == _local().read_bytes()
    head = client.head_object(Bucket="raw", Key=KEY, ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"]


def test_uploads_catalogs_and_payments_to_the_buckets_that_ssm_names(
    aws: tuple[Any, Faults], moto: tuple[str, int]
) -> None:
    client, _ = aws
    client.create_bucket(Bucket="lake")
    client.create_bucket(Bucket="art")
    _ssm(moto, "/fraud/raw_bucket_name", "lake")
    _ssm(moto, "/fraud/artifacts_bucket_name", "art")
    result = CliRunner().invoke(app, [*RUN, "--s3", "--realism", "v2"])
    assert result.exit_code == 0, result.output
    names = [f"catalogues/{name}.parquet" for name in ("cards", "customers", "merchants")]
    assert _keys(client, "art") == names
    assert _keys(client, "lake") == [KEY]
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
    assert KEY_ID not in result.output
    assert "Traceback" not in result.output
    assert result.stdout == ""
    assert _local().stat().st_size > 0
    assert _keys(client, "raw") == []


def test_what_is_left_to_upload_is_named(
    aws: tuple[Any, Faults], moto: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, _ = aws
    client.create_bucket(Bucket="raw")
    monkeypatch.setenv("RAW_BUCKET", "raw")
    _ssm(moto, "/fraud/artifacts_bucket_name", "gone")
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
    result = CliRunner().invoke(app, ["upload", str(_local())])
    assert result.exit_code == 0, result.output
    assert result.stdout == f"s3://raw/{KEY}\n"
    assert _keys(client, "raw") == [KEY]
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
    assert client.get_object(Bucket="raw", Key=KEY)["Body"].read() == b"another's"
    assert _local().exists()


def test_without_the_right_to_look_it_is_uploaded(
    aws: tuple[Any, Faults], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, faults = aws
    client.create_bucket(Bucket="raw")
    monkeypatch.setenv("RAW_BUCKET", "raw")
    faults.on, faults.kind, faults.times = "HEAD /raw", "denied", 1
    assert CliRunner().invoke(app, [*RUN, "--s3"]).exit_code == 0
    assert _keys(client, "raw") == [KEY]


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
    assert _keys(client, "raw") == [KEY]


@pytest.mark.parametrize("on", ["partNumber=2", "POST /raw"])
def test_a_multipart_upload_that_breaks_in_the_middle_leaves_nothing(
    aws: tuple[Any, Faults], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, on: str
) -> None:
    client, faults = aws
    client.create_bucket(Bucket="raw")
    monkeypatch.setattr(fraud_s3, "_PART_BYTES", 5 << 20)
    path = tmp_path / NAME
    path.write_bytes(bytes(range(256)) * 50_000)
    faults.on, faults.kind = on, "break"
    with Uploader("raw") as uploader, pytest.raises(AwsError, match="upload it again"):
        uploader.upload(path)
    assert _keys(client, "raw") == []
    assert client.list_multipart_uploads(Bucket="raw").get("Uploads", []) == []
    faults.on = ""
    with Uploader("raw") as uploader:
        uploader.upload(path)
    assert client.get_object(Bucket="raw", Key=KEY)["Body"].read() == path.read_bytes()


def test_without_credentials_or_a_server_the_message_says_so(
    aws: tuple[Any, Faults], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / NAME
    path.write_bytes(b"x")
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
    path.write_bytes(b"x")
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
