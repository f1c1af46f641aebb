"""Files of days that a world lived before its state was taken back, and has yet to live again."""

from __future__ import annotations

from itertools import takewhile
from typing import Any

from payworld.storage.style import FileStyle
from payworld.timeline import iso

__all__ = ["files_after", "how_to_remake"]


def files_after(manifest: dict[str, Any] | None, last_day: int) -> list[dict[str, Any]]:
    """Return the resources of a manifest about days after one, in order of their days."""
    resources: list[dict[str, Any]] = [] if manifest is None else manifest["resources"]
    return [resource for resource in resources if resource["period"]["end"] > iso(last_day)]


def how_to_remake(resources: list[dict[str, Any]]) -> tuple[str, str]:
    """Return up to which day, and with which options, one run makes files again as they are.

    That is all of them where their style is one, else those up to its first change.
    """
    style = FileStyle.of(resources[0]["path"])
    alike = list(takewhile(lambda resource: FileStyle.of(resource["path"]) == style, resources))
    return max(resource["period"]["end"] for resource in alike), style.options
