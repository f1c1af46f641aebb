"""Whether a commit's names are free, asked before a run begins its work."""

from __future__ import annotations

from pathlib import Path

from payworld.errors import ConflictError
from payworld.storage.commit import NEXT_STATE
from payworld.storage.files import other_than_file
from payworld.storage.manifest import read_manifest
from payworld.storage.state_file import PREVIOUS
from payworld.storage.style import check_inside, data_files, days_of
from payworld.storage.taken_back import files_after, how_to_remake
from payworld.timeline import Period, iso

__all__ = ["check_state_targets", "check_targets"]


def check_targets(
    output_dir: Path, period: Period, targets: set[str], leaving: frozenset[str]
) -> None:
    """Raise ConflictError if the folder holds other files about the days to come.

    Names that are leaving, because they are moved aside, do not count.
    """
    if not output_dir.is_dir():
        return
    for name in sorted(data_files(output_dir) - targets - leaving):
        first, last = days_of(name)
        if first <= iso(period.end) and last >= iso(period.start):
            raise ConflictError(
                f"{str(output_dir / name)!r} already tells of days in {iso(period.start)} to "
                f"{iso(period.end)}, which this world has not lived yet; "
                f"{_remake(output_dir, name, period)}move it away or name another --output-dir"
            )
    for name in sorted(targets):
        kind = other_than_file(check_inside(output_dir, name))
        if kind and name not in leaving:
            raise ConflictError(
                f"{str(output_dir / name)!r} is a {kind} where a file would be published; move it "
                "away"
            )


def check_state_targets(state_dir: Path) -> None:
    """Raise ConflictError if a folder has the name of what a commit writes beside the state."""
    for name in (PREVIOUS, NEXT_STATE, f".{PREVIOUS}.next"):
        if other_than_file(state_dir / name) == "folder":
            raise ConflictError(
                f"{str(state_dir / name)!r} is a folder where a file would be written; move it away"
            )


def _remake(output_dir: Path, name: str, period: Period) -> str:
    """Return how a file that the manifest lists is made again; empty: it does not list it."""
    ahead = files_after(read_manifest(output_dir), period.start - 1)
    if name not in {resource["path"] for resource in ahead}:
        return ""
    until, options = how_to_remake(ahead)
    return (
        "it is from before the state was taken back, and a run that ends on "
        f"{until}, with {options}, makes it again with equal bytes; do that, or "
    )
