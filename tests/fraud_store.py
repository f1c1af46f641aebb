"""S3 and SSM on loopback for the fraud stream, behind a proxy that injects failures."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer
from tests.object_store import pass_answer_on

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
        pass_answer_on(self, answer, data)

    def _fail(self, kind: str) -> None:
        if kind == "break":
            self.rfile.read(min(int(self.headers.get("Content-Length") or 0), 70_000))
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        self._body()
        status, code = {
            "denied": (403, "AccessDenied"),
            "throttled": (503, "SlowDown"),
            "expired": (400, "ExpiredToken"),
        }[kind]
        # An answer to HEAD has no body.
        _respond(self, status, b"" if self.command == "HEAD" else _error(code))

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


def put_parameter(moto: tuple[str, int], name: str, value: str) -> None:
    client = boto3.client("ssm", endpoint_url=f"http://{moto[0]}:{moto[1]}")
    client.put_parameter(Name=name, Value=value, Type="String")
    client.close()


def keys(client: Any, bucket: str) -> list[str]:
    return [item["Key"] for item in client.list_objects_v2(Bucket=bucket).get("Contents", [])]


def local() -> Path:
    return Path("outputs") / KEY


def write_payments(path: Path, width: int = 1) -> Path:
    """Write as many rows as the name says, each of a width in bytes."""
    rows = pa.array([bytes([row % 256]) * width for row in range(3_000)])
    pq.write_table(pa.table({"amount": rows}), path, compression="none", use_dictionary=False)
    return path
