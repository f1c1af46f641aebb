"""payworld: a payments world that lives on disk and writes each day's raw files."""

from payworld.version import __version__

__all__ = ["__version__"]
