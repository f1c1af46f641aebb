"""Moves a world aside before another takes its place: nothing is ever deleted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from payworld.errors import StorageError
from payworld.storage.files import fsync_folder, make_aside, naming
from payworld.storage.journal import Journal
from payworld.storage.manifest import MANIFEST, read_manifest
from payworld.storage.state_file import PREVIOUS, STATE

__all__ = ["finish_moves", "move_world_aside", "pending_moves"]

# Readers of the data folder skip names that begin with an underscore.
ASIDE = "_replaced"


def move_world_aside(state_dir: Path, output_dir: Path, stamp: str) -> list[str]:
    """Move the state and the files that the manifest lists to dated folders; returns them.

    The moves are written down first, so that a later run finishes what a crash cut short.
    """
    manifest = read_manifest(output_dir) or {"resources": []}
    names = [resource["path"] for resource in manifest["resources"]]
    moves = [
        *_moves(output_dir, [*names, MANIFEST], stamp),
        *_moves(state_dir, [PREVIOUS, STATE], stamp),
    ]
    journal = Journal(state_dir, {"mode": "replace"})
    journal.append({"moves": moves}, durably=True)
    journal.close()
    finish_moves(moves)
    journal.finish()
    return sorted({str(Path(target).parent) for _, target in moves})


def _moves(folder: Path, names: list[str], stamp: str) -> list[list[str]]:
    aside = folder / ASIDE / stamp
    number = 1
    while os.path.lexists(aside):
        number += 1
        aside = folder / ASIDE / f"{stamp}-{number}"
    found = [name for name in names if os.path.lexists(folder / name)]
    for name in found:
        if (folder / name).parent.resolve() != folder.resolve():
            raise StorageError(f"the manifest names {name!r}, which is outside {str(folder)!r}")
    return [[str((folder / name).absolute()), str((aside / name).absolute())] for name in found]


def finish_moves(moves: list[list[str]]) -> None:
    """Do the moves that have not been done."""
    folders: set[Path] = set()
    for source, target in ((Path(a), Path(b)) for a, b in moves):
        if not os.path.lexists(source):
            continue
        make_aside(target.parent, source.parent)
        with naming(source, "move aside"):
            if os.path.lexists(target):
                raise StorageError(f"{str(target)!r} exists; move it away and run again")
            source.rename(target)
        folders |= {source.parent, target.parent, target.parent.parent}
    for folder in sorted(folders):
        fsync_folder(folder)


def pending_moves(records: list[dict[str, Any]]) -> list[list[str]] | None:
    """Return the moves that a journal tells of, None if it is not a replacement's."""
    if not records or records[0].get("mode") != "replace":
        return None
    return next((record["moves"] for record in records if "moves" in record), [])
