"""Reads tables and documents that ship inside a package of payworld."""

from __future__ import annotations

import csv
from importlib import resources

__all__ = ["read_package_table", "read_package_text"]


def read_package_table(package: str, name: str) -> dict[str, list[str]]:
    """Return the columns of a CSV file in a package's data folder, as texts."""
    path = resources.files(package) / "data" / name
    header, *rows = csv.reader(path.read_text(encoding="utf-8").splitlines())
    return dict(zip(header, map(list, zip(*rows, strict=True)), strict=True))


def read_package_text(package: str, name: str) -> str:
    """Return the text of a file that lies in a package."""
    return (resources.files(package) / name).read_text(encoding="utf-8")
