"""An S3-compatible store on loopback, with a proxy before it that records and spoils requests."""

import base64
import hashlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import boto3
import pytest
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

SECRET = "wJalrXUtnFEMI/K7MDENG-bPxRfiCYEXAMPLE"  # noqa: S105  # no one's: AWS's example
KEY_ID = "AKIDEXAMPLE1234"

_CONDITIONS = ("if-none-match", "if-match")


@dataclass(frozen=True)
class Request:
    """A request as it came to the proxy."""

    method: str
    path: str
    headers: dict[str, str]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass
class Faults:
    """What the proxy does to requests that `on` picks by method and path.

    break: cut the connection within the body; lost: do what is asked and cut the connection before
    the answer; corrupt: turn a bit of the body on its way; stall: say nothing; denied, throttled,
    gone, contended: refuse so. `hook` is called before.
    """

    on: str = ""
    kind: str = ""
    times: int = 1_000_000
    hook: Callable[[], object] | None = None
    # A store that has not heard of conditional writes.
    heeds_conditions: bool = True
    knows_conditions: bool = True
    seen: list[Request] = field(default_factory=list)
    stalled: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def told(self, *methods: str) -> list[str]:
        """Return the requests of some methods so far, in order."""
        return [str(request) for request in self.seen if request.method in methods]


def pass_answer_on(handler: BaseHTTPRequestHandler, answer: HTTPResponse, data: bytes) -> None:
    """Give the client of a proxy what the server behind it has answered."""
    handler.send_response(answer.status)
    for name, value in answer.getheaders():
        if name.lower() not in ("transfer-encoding", "connection", "date", "server"):
            handler.send_header(name, value)
    if answer.getheader("Content-Length") is None:
        handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)


class _Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store: "ObjectStore"

    def _handle(self) -> None:
        faults = self.store.faults
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers)
        faults.seen.append(request)
        conditional = any(name in headers for name in _CONDITIONS)
        if faults.on and faults.on in str(request) and faults.times > 0:
            faults.times -= 1
            if faults.hook is not None:
                faults.hook()
            if faults.kind:
                self._fail(faults.kind)
                return
        if conditional and not faults.knows_conditions:
            self._refuse(501, "NotImplemented")
        else:
            self._pass_on(faults.heeds_conditions)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _pass_on(
        self, heeds_conditions: bool, answers: bool = True, corrupts: bool = False
    ) -> None:
        body = bytearray(self._body())
        if corrupts:
            body[len(body) // 2] ^= 1
        told = self.headers.get("x-amz-checksum-sha256")
        # As S3 does; moto believes what it is told.
        if told and base64.b64decode(told) != hashlib.sha256(body).digest():
            self._answer_refusal(400, "BadDigest")
            return
        dropped = {"expect"} if heeds_conditions else {"expect", *_CONDITIONS}
        headers = {k: v for k, v in self.headers.items() if k.lower() not in dropped}
        with closing(HTTPConnection(*self.store.upstream, timeout=30)) as connection:
            connection.request(self.command, self.path, bytes(body), headers)
            answer = connection.getresponse()
            data = answer.read()
        if not answers:
            self._cut()
            return
        pass_answer_on(self, answer, data)

    def _fail(self, kind: str) -> None:
        if kind == "break":
            self.rfile.read(min(int(self.headers.get("Content-Length") or 0), 70_000))
            self._cut()
        elif kind == "lost":
            self._pass_on(heeds_conditions=True, answers=False)
        elif kind == "corrupt":
            self._pass_on(heeds_conditions=True, corrupts=True)
        elif kind == "stall":
            self.store.faults.stalled.set()
            self.store.faults.released.wait(60)
            self.close_connection = True
        else:
            codes = {
                "denied": (403, "AccessDenied"),
                "throttled": (503, "SlowDown"),
                "gone": (404, "NoSuchUpload"),
                "contended": (409, "ConditionalRequestConflict"),
            }
            self._refuse(*codes[kind])

    def _cut(self) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def _refuse(self, status: int, code: str) -> None:
        self._body()
        self._answer_refusal(status, code)

    def _answer_refusal(self, status: int, code: str) -> None:
        text = f"<Error><Code>{code}</Code><Message>no {KEY_ID} {SECRET}</Message></Error>"
        body = b"" if self.command == "HEAD" else text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _handle

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def retry_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let retries of this process's requests wait for nothing."""
    backoff = "botocore.retries.standard.ExponentialBackoff.delay_amount"
    monkeypatch.setattr(backoff, lambda _self, _context: 0.0)
    monkeypatch.setattr("payworld.storage.s3.PAUSE_SECONDS", 0.0)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients are killed here."""


class ObjectStore:
    """moto's server behind the proxy, with an empty bucket `lake`; lives for the tests sharing it.

    `client` goes to the store itself, past the proxy and its records.
    """

    def __init__(self) -> None:
        self.faults = Faults()
        self._moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)

    def __enter__(self) -> Self:
        self._moto.start()
        self.upstream = self._moto.get_host_and_port()
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Proxy,), {"store": self}))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.client = boto3.client(
            "s3",
            endpoint_url=f"http://{self.upstream[0]}:{self.upstream[1]}",
            region_name="us-east-1",
            aws_access_key_id=KEY_ID,
            aws_secret_access_key=SECRET,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.client.close()
        self._server.shutdown()
        self._server.server_close()
        self._moto.stop()

    @property
    def environment(self) -> dict[str, str]:
        """Return what a client's environment must say."""
        return {
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._server.server_port}",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @contextmanager
    def emptied(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Self]:
        """Be as new, with this process's environment set to use the store."""
        for name in list(os.environ):
            if name.startswith("AWS_"):
                monkeypatch.delenv(name)
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)
        self.faults = Faults()
        with closing(HTTPConnection(*self.upstream)) as connection:
            connection.request("POST", "/moto-api/reset")
            assert connection.getresponse().read()
        self.client.create_bucket(Bucket="lake")
        yield self
        self.faults.released.set()

    def objects(self) -> dict[str, bytes]:
        """Return what a consumer sees in the bucket."""
        listed = self.client.list_objects_v2(Bucket="lake").get("Contents", [])
        return {item["Key"]: self.read(item["Key"]) for item in listed}

    def read(self, key: str) -> bytes:
        """Return an object's content."""
        body = self.client.get_object(Bucket="lake", Key=key)["Body"]
        with closing(body):
            return bytes(body.read())

    def unfinished(self) -> list[str]:
        """Return the keys of multipart uploads that are neither completed nor aborted."""
        uploads = self.client.list_multipart_uploads(Bucket="lake").get("Uploads", [])
        return [upload["Key"] for upload in uploads]

    def age(self, key: str, seconds: int) -> None:
        """Let an object be older than it is."""
        backend = s3_backends["123456789012"]["aws"]
        found = backend.get_object("lake", key)
        assert found is not None
        found.last_modified -= timedelta(seconds=seconds)
