"""A bucket of object storage: a few calls over boto3, each error explained and without secrets.

boto3 is imported where it is needed: the extra [s3].
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from time import sleep
from typing import Any, TypeVar

from payworld.errors import MissingExtraError, PublishError
from payworld.storage.s3_errors import code, reason, without_secrets

__all__ = ["Bucket", "ContendedError", "Stored", "again_if_contended", "require_boto3"]

T = TypeVar("T")

# How long a server may be silent, and how often a request is tried: botocore's standard mode
# waits between attempts, longer each time.
CONNECT_SECONDS = 10
READ_SECONDS = 60
ATTEMPTS = 5
# Before a contended upload is tried again; before each further time twice as long.
PAUSE_SECONDS = 0.5
# What an interrupted run may still ask for.
LAST_SECONDS = 1
# An S3 multipart upload has 10,000 parts at most, of 5 MiB at least but for the last.
MAX_PARTS = 10_000

_SHA256 = "sha256"
_CHUNK = 1 << 20
# The condition of a write does not hold, by the names that stores give it.
_NOT_MET = frozenset(["PreconditionFailed", "NoSuchKey", "NoSuchUpload", "412"])
# Whether it holds is open, for another write of the key is under way.
_CONTENDED = "ConditionalRequestConflict"
_ABSENT = frozenset(["NoSuchKey", "NotFound", "404"])


def require_boto3() -> None:
    """Raise MissingExtraError if boto3 is not installed."""
    if importlib.util.find_spec("boto3") is None:
        raise MissingExtraError("boto3", "s3")


class ContendedError(PublishError):
    """Another write of the key was under way; S3 wants the whole upload to be made again."""


def again_if_contended(upload: Callable[[], T]) -> T:
    """Return what an upload returns, which is made again as long as it is contended."""
    for attempt in range(ATTEMPTS - 1):
        with suppress(ContendedError):
            return upload()
        sleep(PAUSE_SECONDS * 2**attempt)
    return upload()


@dataclass(frozen=True)
class Stored:
    """An object as the bucket tells of it; lives for a publish.

    `sha256` is that of its content; None: the bucket does not know.
    """

    size: int
    etag: str
    modified: datetime
    sha256: str | None = None


class Bucket:
    """A bucket's objects. Its methods raise PublishError; lives for a publish.

    Written objects carry their SHA-256, which the store checks as they arrive.
    """

    def __init__(self, name: str) -> None:
        require_boto3()
        self._name = name
        self._core: Any = None

    def close(self) -> None:
        """Close the connections."""
        if "_client" in self.__dict__:
            self._client.close()

    @cached_property
    def _session(self) -> Any:
        import boto3
        import botocore.session

        self._core = botocore.session.get_session()
        return boto3.session.Session(botocore_session=self._core)

    @cached_property
    def _client(self) -> Any:
        """The client, made within the first request: its errors are explained like others."""
        return self._connect(CONNECT_SECONDS, READ_SECONDS, ATTEMPTS)

    def _connect(self, connect_seconds: float, read_seconds: float, attempts: int) -> Any:
        from botocore.config import Config

        def client(style: str) -> Any:
            config = Config(
                retries={"total_max_attempts": attempts, "mode": "standard"},
                connect_timeout=connect_seconds,
                read_timeout=read_seconds,
                tcp_keepalive=True,
                s3={"addressing_style": style},
            )
            return self._session.client("s3", config=config)

        made = client("auto")
        settings = self._core.get_scoped_config().get("s3")
        chosen = settings.get("addressing_style") if isinstance(settings, dict) else None
        if not chosen and ".amazonaws.com" in made.meta.endpoint_url:
            return made
        made.close()
        # Few of the other stores know a host name for each bucket.
        return client(chosen or "path")

    def objects(self, prefix: str) -> dict[str, Stored]:
        """Return the objects whose keys begin with a prefix, by key."""
        found = {}
        with self._asking(f"cannot list s3://{self._name}/{prefix}"):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._name, Prefix=prefix):
                for item in page.get("Contents", []):
                    found[item["Key"]] = Stored(item["Size"], item["ETag"], item["LastModified"])
        return found

    def head(self, key: str) -> Stored | None:
        """Return what is stored under a key; None: nothing."""
        with self._asking(f"cannot look at {self._address(key)}"):
            answer = self._found(
                self._client.head_object, Bucket=self._name, Key=key, ChecksumMode="ENABLED"
            )
        return None if answer is None else _stored(answer)

    def read(self, key: str) -> tuple[bytes, Stored] | None:
        """Return a small object's content and what is told of it; None: there is none."""
        with self._asking(f"cannot read {self._address(key)}"):
            answer = self._found(self._client.get_object, Bucket=self._name, Key=key)
            return None if answer is None else (answer["Body"].read(), _stored(answer))

    def sha256(self, key: str) -> str:
        """Return the SHA-256 of an object's content, which is read for it."""
        digest = hashlib.sha256()
        with self._asking(f"cannot read {self._address(key)}"):
            body = self._client.get_object(Bucket=self._name, Key=key)["Body"]
            for chunk in body.iter_chunks(_CHUNK):
                digest.update(chunk)
        return digest.hexdigest()

    def put(
        self, key: str, data: bytes, content_type: str, sha256: str, replaces: str = ""
    ) -> bool:
        """Store an object where none is, or in place of the one with an ETag.

        Returns False if the key is taken, or what it holds is not what is to be replaced.
        """

        def put() -> bool:
            with self._asking(f"cannot upload to {self._address(key)}"):
                return self._write(
                    self._client.put_object,
                    {"IfMatch": replaces} if replaces else {"IfNoneMatch": "*"},
                    Bucket=self._name,
                    Key=key,
                    Body=data,
                    ContentType=content_type,
                    ChecksumAlgorithm="SHA256",
                    ChecksumSHA256=_base64(sha256),
                    Metadata={_SHA256: sha256},
                )

        return again_if_contended(put)

    def begin(self, key: str, content_type: str, sha256: str) -> str:
        """Begin an upload in parts and return its id; nothing is visible before it is whole."""
        with self._asking(f"cannot begin to upload to {self._address(key)}"):
            answer = self._client.create_multipart_upload(
                Bucket=self._name,
                Key=key,
                ContentType=content_type,
                ChecksumAlgorithm="SHA256",
                Metadata={_SHA256: sha256},
            )
        return str(answer["UploadId"])

    def part(self, key: str, upload: str, number: int, data: bytes) -> dict[str, Any]:
        """Upload a part, counted from 1, and return what `complete` wants to know of it."""
        checksum = _base64(hashlib.sha256(data).hexdigest())
        with self._asking(f"cannot upload part {number} of {self._address(key)}"):
            answer = self._client.upload_part(
                Bucket=self._name,
                Key=key,
                UploadId=upload,
                PartNumber=number,
                Body=data,
                ChecksumAlgorithm="SHA256",
                ChecksumSHA256=checksum,
            )
        # A store that knows no checksums does not want to hear of them either.
        known = {"ChecksumSHA256": checksum} if "ChecksumSHA256" in answer else {}
        return {"PartNumber": number, "ETag": answer["ETag"], **known}

    def complete(self, key: str, upload: str, parts: list[dict[str, Any]]) -> bool:
        """Make an object of the parts where none is; False if the key is taken or the upload gone.

        Raises ContendedError where the parts have to be uploaded again.
        """
        with self._asking(f"cannot complete the upload to {self._address(key)}"):
            return self._write(
                self._client.complete_multipart_upload,
                {"IfNoneMatch": "*"},
                Bucket=self._name,
                Key=key,
                UploadId=upload,
                MultipartUpload={"Parts": parts},
            )

    def abort(self, key: str, upload: str, at_once: bool = False) -> None:
        """Give an upload in parts up, if it is still there; `at_once`: or never mind."""
        with self._asking(f"cannot abort an upload to {self._address(key)}"):
            client = self._connect(LAST_SECONDS, LAST_SECONDS, 1) if at_once else self._client
            self._found(client.abort_multipart_upload, Bucket=self._name, Key=key, UploadId=upload)

    def unfinished(self, key: str) -> list[str]:
        """Return the ids of uploads in parts that were begun for a key and never ended."""
        with self._asking(f"cannot list the unfinished uploads to {self._address(key)}"):
            # By the whole key: some stores list nothing for the beginning of one.
            pages = self._client.get_paginator("list_multipart_uploads")
            return [
                str(item["UploadId"])
                for page in pages.paginate(Bucket=self._name, Prefix=key)
                for item in page.get("Uploads", [])
                if item["Key"] == key
            ]

    def _address(self, key: str) -> str:
        return f"s3://{self._name}/{key}"

    def _found(self, call: Callable[..., Any], **arguments: Any) -> Any:
        """Return a call's answer; None if what it asks about is not there."""
        from botocore.exceptions import ClientError

        try:
            return call(**arguments)
        except ClientError as error:
            if code(error) in _ABSENT | {"NoSuchUpload"}:
                return None
            raise

    def _write(
        self, call: Callable[..., Any], condition: Mapping[str, str], **arguments: Any
    ) -> bool:
        from botocore.exceptions import ClientError

        try:
            call(**arguments, **condition)
        except ClientError as error:
            if code(error) in _NOT_MET:
                return False
            if code(error) != "NotImplemented":
                raise
            # A store without conditional writes; the caller has just looked at the key.
            call(**arguments)
        return True

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        """Turn what boto3 raises into a PublishError with its reason and way out."""
        try:
            yield
        except PublishError:
            raise
        # botocore raises ValueError for an endpoint that is none, and what urllib3 raises.
        except Exception as error:
            kind = ContendedError if code(error) == _CONTENDED else PublishError
            raise kind(without_secrets(f"{what}: {reason(error)}", self._core)) from error


def _stored(answer: Mapping[str, Any]) -> Stored:
    told = answer.get("ChecksumSHA256")
    # An object made of parts has a checksum of their checksums, and a dash in its ETag.
    if told and "-" not in answer["ETag"] + told:
        sha256 = base64.b64decode(told).hex()
    else:
        sha256 = answer.get("Metadata", {}).get(_SHA256)
    return Stored(answer["ContentLength"], answer["ETag"], answer["LastModified"], sha256)


def _base64(hexadecimal: str) -> str:
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()
