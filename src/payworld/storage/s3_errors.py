"""What boto3 raises, in words: the reason, what to do about it, and no secrets."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

__all__ = ["code", "reason", "without_secrets"]

_SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")

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
    "NoCredentialsError": "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "PartialCredentialsError": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, both",
    "CredentialRetrievalError": _KEYS,
    "ProfileNotFound": "check AWS_PROFILE and the file with the profiles",
    "ConfigParseError": "correct that file",
    "TokenRetrievalError": "log in again: aws sso login",
    "SSOTokenLoadError": "log in again: aws sso login",
    "UnauthorizedSSOTokenError": "log in again: aws sso login",
}


def code(error: Exception) -> str:
    """Return the code that a store answered with; empty: there was no answer."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def reason(error: Exception) -> str:
    """Return what an error of boto3 says, and what to do about it.

    >>> reason(TimeoutError("no answer"))
    'no answer; check the connection, the region and AWS_ENDPOINT_URL'
    """
    names = [code(error), *(kind.__name__ for kind in type(error).__mro__)]
    advice = next((_ADVICE[name] for name in names if name in _ADVICE), None)
    return f"{error}; {advice or 'check the connection, the region and AWS_ENDPOINT_URL'}"


def without_secrets(message: str, session: Any) -> str:
    """Return a message without the credentials that a botocore session uses (None: no session)."""
    secrets = [os.environ.get(name) for name in _SECRETS]
    # What cannot be read cannot be in the message.
    with suppress(Exception):
        credentials = session.get_credentials()
        secrets += [credentials.access_key, credentials.secret_key, credentials.token]
    for secret in secrets:
        if secret:
            message = message.replace(secret, "***")
    return message
