"""payworld: a payments world that lives on disk and writes each day's raw files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payworld.version import __version__

if TYPE_CHECKING:
    from payworld.api import Day, Simulation, generate

__all__ = ["Day", "Simulation", "__version__", "generate"]


def __getattr__(name: str) -> Any:
    # Loaded when first used: `gen --help` imports this package and needs none of it.
    if name in {"Day", "Simulation", "generate"}:
        from payworld import api

        return getattr(api, name)
    raise AttributeError(f"module 'payworld' has no attribute {name!r}")
