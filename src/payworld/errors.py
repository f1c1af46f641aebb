"""Every error that payworld raises on purpose, as one tree.

PayworldError                 exit code 1
├── UsageError                2: an option, a date or a key is not usable
│   └── ConfigError           2: the configuration document
├── StateError                3: merchants.json
│   ├── StateMissingError     3: there is no world here
│   ├── StateGoneError        3: merchants.json is gone, but the state before it is there
│   ├── StateCorruptError     3: it does not verify
│   └── StateNewerError       3: a newer payworld wrote it
├── LockedError               75: another run, or another publish, is at work (EX_TEMPFAIL)
├── StorageError              1: a path cannot be read or written
│   ├── NoSpaceError          1: the disk or the quota is full
│   └── LostFileError         1: a published file is gone, or is not what the manifest says
├── ConflictError             1: a final name is taken by other bytes
├── PublishError              1: object storage refused, or could not be reached
├── WorkerError               1: a worker process died
└── MissingExtraError         1: an optional dependency is not installed

A message names the thing, its value, what was expected and the way out.
"""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "ConflictError",
    "LockedError",
    "LostFileError",
    "MissingExtraError",
    "NoSpaceError",
    "PayworldError",
    "PublishError",
    "StateCorruptError",
    "StateError",
    "StateGoneError",
    "StateMissingError",
    "StateNewerError",
    "StorageError",
    "UsageError",
    "WorkerError",
]


class PayworldError(Exception):
    """The root: anything that a user can be told in one message."""

    exit_code = 1


class UsageError(PayworldError):
    """An option, a date or a value that cannot be used; nothing was written."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration document that does not validate; nothing was written."""


class StateError(PayworldError):
    """The state file is missing or unusable; nothing was written."""

    exit_code = 3


class StateMissingError(StateError):
    """There is no merchants.json in the state folder."""


class StateGoneError(StateError):
    """merchants.json is gone, but the state before it is still there."""


class StateCorruptError(StateError):
    """merchants.json does not verify: truncated, altered or not a world at all."""


class StateNewerError(StateError):
    """merchants.json has a format version that this payworld does not know."""


class LockedError(PayworldError):
    """Another process holds the world, or publishes the folder."""

    exit_code = 75


class StorageError(PayworldError):
    """A file or folder cannot be read, written or trusted."""


class NoSpaceError(StorageError):
    """The disk or the user's quota is full."""


class LostFileError(StorageError):
    """A published file is gone or is not what the manifest says; it can be made again."""


class ConflictError(PayworldError):
    """A file with other bytes stands where a published file would go."""


class PublishError(PayworldError):
    """Object storage refused a request or could not be reached; local files are whole."""


class WorkerError(PayworldError):
    """A worker process ended before its work was done."""


class MissingExtraError(PayworldError):
    """A command needs an optional dependency that is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"this command needs the package {package!r}, which is not installed; "
            f"install the extra: pip install 'payworld[{extra}]', in a checkout -e '.[{extra}]'"
        )
