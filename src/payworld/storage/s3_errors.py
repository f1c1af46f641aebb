"""What boto3 raises, in words: the reason, what to do about it, and no secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

__all__ = ["LEAST_SECRET", "advice", "code", "reason", "without_passwords", "without_secrets"]

_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
# AWS's secrets have 40 characters and more. What is shorter is a word, as "test" before a local
# store, and stands in names as well: without them no message could be read.
LEAST_SECRET = 16

_RIGHTS = (
    "give this identity s3:ListBucket, s3:GetObject, s3:PutObject, s3:AbortMultipartUpload and "
    "s3:ListBucketMultipartUploads there"
)
_KEYS = "check the credentials"
_ADVICE = {
    "AccessDenied": _RIGHTS,
    "AllAccessDisabled": _RIGHTS,
    "403": _RIGHTS,
    "NoSuchBucket": "make the bucket, or name another",
    "ExpiredToken": "renew the credentials",
    "ExpiredTokenException": "renew the credentials",
    "TokenRefreshRequired": "renew the credentials",
    "InvalidAccessKeyId": _KEYS,
    "InvalidToken": _KEYS,
    "SignatureDoesNotMatch": _KEYS,
    "RequestTimeTooSkewed": "set this machine's clock",
    "SlowDown": "the store is throttling: try again later",
    "BadDigest": "bytes were damaged on their way: publish again",
    "EntityTooLarge": "the store takes no files of that size",
    "NoSuchUpload": "another program ended this upload: publish again when it is done",
    "ConditionalRequestConflict": "another program writes there too: publish again when it is done",
    "NoCredentialsError": "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "PartialCredentialsError": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, both",
    "CredentialRetrievalError": _KEYS,
    "ProfileNotFound": "check AWS_PROFILE and the file with the profiles",
    "ConfigParseError": "correct that file",
    "TokenRetrievalError": "log in again: aws sso login",
    "SSOTokenLoadError": "log in again: aws sso login",
    "UnauthorizedSSOTokenError": "log in again: aws sso login",
}


_NOWHERE = "check the connection, the region and AWS_ENDPOINT_URL"


def code(error: BaseException) -> str:
    """Return the code that a store answered with; empty: there was no answer."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def advice(error: BaseException, own: Mapping[str, str] | None = None) -> str:
    """Return what to do about an error of boto3, or about what caused it.

    `own` goes over what is advised elsewhere, by code or by the name of the class.

    >>> advice(TimeoutError("no answer"))
    'check the connection, the region and AWS_ENDPOINT_URL'
    """
    known = {**_ADVICE, **(own or {})}
    for cause in _causes(error):
        names = [code(cause), *(kind.__name__ for kind in type(cause).__mro__)]
        for name in names:
            if name in known:
                return known[name]
    return _NOWHERE


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def without_passwords(message: str) -> str:
    """Return a message without the user and password of the addresses in it.

    >>> without_passwords("no answer from http://me:se/cr@t@127.0.0.1:9/raw")
    'no answer from http://***@127.0.0.1:9/raw'
    """
    # A password may hold an unquoted slash or @: up to the last @ of the address.
    return re.sub(r"://\S*@", "://***@", message)


def reason(error: Exception) -> str:
    """Return what an error of boto3 says, and what to do about it.

    >>> reason(TimeoutError("no answer"))
    'no answer; check the connection, the region and AWS_ENDPOINT_URL'
    """
    return without_passwords(f"{error}; {advice(error)}")


def without_secrets(message: str, session: Any) -> str:
    """Return a message without the secrets that a botocore session uses (None: no session).

    An access key id is none: it tells whose credentials were used.
    """
    secrets = [os.environ.get(name) for name in _SECRETS]
    # What cannot be read cannot be in the message.
    with suppress(Exception):
        credentials = session.get_credentials()
        secrets += [credentials.secret_key, credentials.token]
    # The longest first: one may be the beginning of another.
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        if len(secret) >= LEAST_SECRET:
            message = message.replace(secret, "***")
    return message
