"""Moves a world aside as another takes its place: nothing is ever deleted.

The moves are a part of the new world's first commit: until that is decided the old world stands
untouched, whatever happens; after it, any later run finishes them.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from payworld.errors import StorageError
from payworld.storage.files import fsync_folders, make_below, naming
from payworld.storage.manifest import MANIFEST, read_manifest
from payworld.storage.state_file import PREVIOUS, STATE
from payworld.storage.style import check_inside, drop_empty_partitions, is_data_file

__all__ = [
    "ASIDE",
    "ASIDE_FOLDER",
    "aside_folders",
    "do_moves",
    "drop_empty",
    "plan_moves",
    "replaced_names",
]

# Readers of the data folder skip names that begin with an underscore.
ASIDE = "_replaced"
ASIDE_FOLDER = "the folder for what is moved aside"
_DATED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9-]{8}Z(-[0-9]+)?", re.ASCII)


def replaced_names(output_dir: Path) -> list[str]:
    """Return the names in an output folder that a replaced world takes with it."""
    manifest = read_manifest(output_dir) or {"resources": []}
    names = [*(resource["path"] for resource in manifest["resources"]), MANIFEST]
    return [name for name in names if os.path.lexists(output_dir / name)]


def plan_moves(state_dir: Path, output_dir: Path, stamp: str) -> dict[str, Any]:
    """Return what is moved aside, by name alone, and make the dated folders for it.

    Raises StorageError if the folders cannot be made; nothing has been moved then.
    """
    number = 1
    folder = stamp
    while any(os.path.lexists(place / ASIDE / folder) for place in (state_dir, output_dir)):
        number += 1
        folder = f"{stamp}-{number}"
    moves = {
        "folder": folder,
        "output": replaced_names(output_dir),
        "state": [name for name in (PREVIOUS, STATE) if os.path.lexists(state_dir / name)],
    }
    for place, names in ((output_dir, moves["output"]), (state_dir, moves["state"])):
        if names:
            make_below(place / ASIDE / folder, place, ASIDE_FOLDER)
    return moves


def aside_folders(state_dir: Path, output_dir: Path, moves: dict[str, Any]) -> list[str]:
    """Return the folders that the moves fill."""
    places = ((output_dir, moves["output"]), (state_dir, moves["state"]))
    return [str(place / ASIDE / moves["folder"]) for place, names in places if names]


def do_moves(state_dir: Path, output_dir: Path, moves: dict[str, Any]) -> None:
    """Do the moves that have not been done: where the target is there, that one has been."""
    for place, names in ((output_dir, moves["output"]), (state_dir, moves["state"])):
        aside = place / ASIDE / moves["folder"]
        for name in names:
            if Path(name).name != name and not is_data_file(name):
                raise StorageError(f"the journal names {name!r}, which is outside {str(place)!r}")
            check_inside(place, name)
            if os.path.lexists(aside / name) or not os.path.lexists(place / name):
                continue
            make_below((aside / name).parent, place, ASIDE_FOLDER)
            with naming(place / name, "move aside"):
                (place / name).rename(aside / name)
        if names:
            fsync_folders(place, [folder / name for name in names for folder in (place, aside)])
            drop_empty_partitions(place)


def drop_empty(place: Path) -> None:
    """Remove dated folders that nothing came into: a run was cut short before it moved anything."""
    aside = place / ASIDE
    if aside.is_symlink():
        return
    with suppress(OSError):
        for folder in list(aside.iterdir()):
            if _DATED.fullmatch(folder.name) and not folder.is_symlink():
                drop_empty_partitions(folder)
                with suppress(OSError):
                    folder.rmdir()
        aside.rmdir()
