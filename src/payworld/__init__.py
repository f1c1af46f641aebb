"""payworld: a payments world that lives on disk and writes each day's raw files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payworld.version import __version__

if TYPE_CHECKING:
    from payworld.api import (
        Day,
        PublishedFile,
        Simulation,
        generate,
        published_files,
        table_schema,
    )

__all__ = [
    "Day",
    "PublishedFile",
    "Simulation",
    "__version__",
    "generate",
    "published_files",
    "table_schema",
]


def __getattr__(name: str) -> Any:
    # Loaded when first used: `gen --help` imports this package and needs none of it.
    if name in __all__:
        from payworld import api

        return getattr(api, name)
    raise AttributeError(f"module 'payworld' has no attribute {name!r}")
