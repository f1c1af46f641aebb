"""Uploads to S3: whole or not at all, with retries and checksums.

boto3 is imported where it is needed: the extra [s3].
"""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from payworld.errors import (
    ConfigError,
    ConflictError,
    MissingExtraError,
    PayworldError,
    StorageError,
)
from payworld.storage.files import file_sha256
from payworld.storage.fraud_files import check_whole, stream_key
from payworld.storage.s3_errors import advice, code, without_passwords, without_secrets

__all__ = [
    "ARTIFACTS_PARAMETER",
    "RAW_PARAMETER",
    "AwsError",
    "Uploader",
    "checked_bucket",
    "require_boto3",
]

RAW_PARAMETER = "/fraud/raw_bucket_name"
ARTIFACTS_PARAMETER = "/fraud/artifacts_bucket_name"

_PART_BYTES = 16 << 20
_ATTEMPTS = 5
_CONNECT_SECONDS = 5
_READ_SECONDS = 60
# Under this name an object keeps the hash of the whole file: a multipart checksum is another.
_HASH = "sha256"
# Without the right to list, S3 does not tell whether an object is there.
_UNKNOWN = ("403", "404", "AccessDenied", "NoSuchBucket", "NoSuchKey")

_RIGHTS = "give this identity the right to it (s3:PutObject, s3:GetObject, ssm:GetParameter)"
_BUSY = "AWS is throttling: try again later"
_NO_BUCKET = "make the bucket, or name another in RAW_BUCKET"
# Besides what s3_errors advises; an answer to HEAD has no code but the status.
_ADVICE = {
    "AccessDenied": _RIGHTS,
    "AccessDeniedException": _RIGHTS,
    "AllAccessDisabled": _RIGHTS,
    "403": _RIGHTS,
    "NoSuchBucket": _NO_BUCKET,
    "404": _NO_BUCKET,
    "ParameterNotFound": "create the parameter, or name the bucket in RAW_BUCKET",
    "SlowDown": _BUSY,
    "503": _BUSY,
    "ThrottlingException": _BUSY,
    "400": "renew or correct the credentials, and check the region",
    "InvalidSignatureException": "check the credentials",
    "UnrecognizedClientException": "check the credentials",
    "BadDigest": "bytes were damaged on their way: try again",
    "NoSuchUpload": "another program ended this upload: try again",
    "NoCredentialsError": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile",
    "NoRegionError": "set AWS_DEFAULT_REGION",
}

# A bucket's name or the ARN of an access point, as boto3 takes them.
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]|arn:[!-~]+")


class AwsError(PayworldError):
    """AWS refused or could not be reached; local files are kept."""

    exit_code = 2


def require_boto3() -> None:
    """Raise MissingExtraError if boto3 is not installed."""
    if importlib.util.find_spec("boto3") is None:
        raise MissingExtraError("boto3", "s3")


class Uploader:
    """Uploads files of the fraud stream, as a context; lives for a command.

    `raw_bucket` is the payments' bucket; None: the one that SSM names.
    """

    def __init__(self, raw_bucket: str | None) -> None:
        require_boto3()
        self._raw_bucket = raw_bucket
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    def upload(self, path: Path) -> str:
        """Upload a file and return its s3:// address; AwsError says how to try again."""
        if not path.is_file():
            raise StorageError(f"cannot upload {str(path)!r}: there is no such file")
        key = stream_key(path)
        check_whole(path)
        command = f"`gen fraud upload {shlex.quote(str(path))}`"
        try:
            bucket = self._bucket(key)
            self._send(path, bucket, key)
        except AwsError as error:
            raise AwsError(
                f"{error}. The local file is kept: upload it again with {command}"
            ) from error
        except ConflictError as error:
            raise ConflictError(
                f"{error}. The local file is kept: then upload it with {command}"
            ) from error
        return f"s3://{bucket}/{key}"

    def _bucket(self, key: str) -> str:
        if key.startswith("payments/") and self._raw_bucket:
            return checked_bucket(self._raw_bucket)
        name = RAW_PARAMETER if key.startswith("payments/") else ARTIFACTS_PARAMETER
        try:
            answer = self._client("ssm").get_parameter(Name=name, WithDecryption=True)
        except Exception as error:
            raise self._explained(f"cannot read the SSM parameter {name}", error) from error
        bucket = str(answer["Parameter"]["Value"])
        if not _BUCKET.fullmatch(bucket):
            raise AwsError(
                f"the SSM parameter {name} holds {bucket!r}: expected the name of a bucket alone; "
                "correct the parameter"
            )
        return bucket

    def _send(self, path: Path, bucket: str, key: str) -> None:
        from boto3.s3.transfer import TransferConfig

        transfer = TransferConfig(
            multipart_threshold=_PART_BYTES, multipart_chunksize=_PART_BYTES, max_concurrency=4
        )
        size, digest = path.stat().st_size, file_sha256(path)
        if self._is_stored(bucket, key, digest):
            return
        extra = {"ChecksumAlgorithm": "SHA256", "Metadata": {_HASH: digest}}
        try:
            # A multipart upload becomes an object when it is completed, and is aborted on errors.
            self._s3.upload_file(str(path), bucket, key, ExtraArgs=extra, Config=transfer)
            stored = self._s3.head_object(Bucket=bucket, Key=key)["ContentLength"]
        except Exception as error:
            what = f"cannot upload {str(path)!r} to s3://{bucket}/{key}"
            raise self._explained(what, error) from error
        if stored != size:
            raise AwsError(f"s3://{bucket}/{key} holds {stored:,} bytes, the file {size:,}")

    def _is_stored(self, bucket: str, key: str, digest: str) -> bool:
        """Return whether an object is there with these bytes; ConflictError if payments differ."""
        try:
            found = self._s3.head_object(Bucket=bucket, Key=key)
        except Exception as error:
            if code(error) in _UNKNOWN:
                return False
            said = self._in_words(error, bucket, key)
            raise self._explained(f"cannot look for s3://{bucket}/{key}", said) from error
        is_same: bool = found.get("Metadata", {}).get(_HASH) == digest
        if not is_same and key.startswith("payments/"):
            raise ConflictError(
                f"s3://{bucket}/{key} exists and holds other bytes; payworld never overwrites "
                "payments: remove the object, or name another bucket"
            )
        return is_same

    def _in_words(self, error: Exception, bucket: str, key: str) -> Exception:
        """Return the error that GET gives where HEAD, whose answers have no body, gave a number."""
        if code(error).isdigit():
            try:
                self._s3.get_object(Bucket=bucket, Key=key, Range="bytes=0-0")["Body"].close()
            except Exception as other:  # noqa: BLE001  # the first error holds if this says no more
                return error if code(other) in ("", "NoSuchKey", "InvalidRange") else other
        return error

    @cached_property
    def _session(self) -> Any:
        import boto3

        return boto3.session.Session()

    @cached_property
    def _s3(self) -> Any:
        return self._client("s3")

    def _client(self, service: str) -> Any:
        from botocore.config import Config

        config = Config(
            retries={"max_attempts": _ATTEMPTS, "mode": "standard"},
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            s3={"addressing_style": "path" if _has_own_endpoint() else "auto"},
        )
        client = self._session.client(service, config=config)
        self._open.callback(client.close)
        return client

    def _explained(self, what: str, error: Exception) -> AwsError:
        """Return an error of AWS with its reason and way out, and without credentials."""
        message = without_passwords(f"{what}: {error}; {advice(error, _ADVICE)}")
        # No session: the error is that there can be none.
        return AwsError(without_secrets(message, self.__dict__.get("_session")))


def checked_bucket(name: str) -> str:
    """Return a bucket's name as RAW_BUCKET gives it; ConfigError if it can be none."""
    if not _BUCKET.fullmatch(name):
        raise ConfigError(
            f"RAW_BUCKET = {name!r}: expected the name of a bucket alone, such as my-bucket: 3 or "
            "more letters, digits, '.', '-', '_'"
        )
    return name


def _has_own_endpoint() -> bool:
    """Return whether the servers are not AWS's own: most of those know no bucket's host name."""
    return any(os.environ.get(name) for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"))
