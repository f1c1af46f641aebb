"""Reads text files that a user names on the command line."""

from __future__ import annotations

from pathlib import Path

from payworld.config.document import MAX_DOCUMENT_BYTES
from payworld.errors import ConfigError

__all__ = ["read_text"]


def read_text(path: Path, name: str) -> str:
    """Return a YAML file's text; ConfigError names the option and says why it cannot be read."""
    wanted = "expected a YAML file"
    try:
        if not (path.is_file() or path.is_fifo()):
            reason = "it is a folder or device" if path.exists() else "there is no such file"
            raise ConfigError(f"{name} = {str(path)!r}: {reason}; {wanted}")
        with path.open("rb") as file:
            data = file.read(MAX_DOCUMENT_BYTES + 1)
        if len(data) > MAX_DOCUMENT_BYTES:
            raise ConfigError(
                f"{name} = {str(path)!r}: expected at most {MAX_DOCUMENT_BYTES:,} bytes"
            )
        return data.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{name} = {str(path)!r}: byte {error.start} is not UTF-8; save the file as UTF-8"
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{name} = {str(path)!r}: {reason}; {wanted}") from error
