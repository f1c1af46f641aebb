"""The commit protocol: files first, state last, recovery by rolling forward.

prepare   data files whole under their partial names, fsynced; the next state and the next
          manifest staged beside the present ones, fsynced. All space is taken here.
decide    a commit record in the journal, fsynced.
publish   data files renamed to their final names; then the manifest; then, as the one commit
          point, merchants.json.

A crash before the decision leaves the old world; a crash after it is finished by the next run,
whatever that run was asked to do.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

from payworld.errors import StateCorruptError, StateError, StorageError
from payworld.storage.archive import do_moves, drop_empty
from payworld.storage.files import (
    check_folder,
    check_free,
    file_sha256,
    fsync_folder,
    fsync_folders,
    make_below,
    naming,
    publish,
    read_bytes,
    remove,
    replace_file,
    write_durably,
)
from payworld.storage.journal import JOURNAL, Journal, read_journal
from payworld.storage.manifest import STAGED, publish_manifest, read_manifest, stage_manifest
from payworld.storage.state_file import (
    PREVIOUS,
    SEARCH_VERSION,
    STATE,
    format_version,
    state_checksum,
    state_pieces,
    write_state,
)
from payworld.storage.style import (
    PARTITION,
    drop_empty_partitions,
    is_work_file,
    partial_path,
)
from payworld.world.codec import FORMAT_VERSION
from payworld.world.state import World

__all__ = [
    "commit",
    "discard_work",
    "from_state",
    "output_of",
    "recover",
    "stage_state",
]

NEXT_STATE = ".merchants.json.next"


def stage_state(state_dir: Path, world: World, is_wanted: Callable[[], bool] = lambda: True) -> str:
    """Write the next state beside the present one, durably; returns its checksum.

    Raises CancelledError, and leaves nothing, as soon as it is wanted no more.
    """

    def pieces() -> Iterator[bytes]:
        for piece in state_pieces(world):
            if not is_wanted():
                raise CancelledError
            yield piece

    return write_state(state_dir / NEXT_STATE, pieces())


def commit(
    state_dir: Path,
    output_dir: Path,
    journal: Journal,
    world: World,
    state: str,
    entries: list[dict[str, Any]],
    moves: dict[str, Any] | None = None,
) -> None:
    """Publish the entries' files and the world that made them.

    `state` is the checksum of the world's state, which `stage_state` has given; `moves` tells what
    of an earlier world is moved aside first. Raises ConflictError, before anything is decided, if
    a final name is taken by other bytes.
    """
    leaving = set(moves["output"]) if moves else set()
    for entry in entries:
        if entry["path"] not in leaving:
            check_free(output_dir / entry["path"], entry["hash"].removeprefix("sha256:"))
        make_below((output_dir / entry["path"]).parent, output_dir, PARTITION)
    stage_manifest(output_dir, world, entries, anew=moves is not None)
    record = {
        "output_dir": from_state(state_dir, output_dir),
        "state": state,
        "entries": entries,
        "moves": moves,
    }
    # Their names too: the decision must not outlive what it names.
    fsync_folder(output_dir)
    fsync_folder(state_dir)
    journal.append({"commit": record}, durably=True)
    _roll_forward(state_dir, record)


def from_state(state_dir: Path, output_dir: Path) -> str:
    """Return the output folder as seen from the state folder: the two may be moved together."""
    return os.path.relpath(output_dir.resolve(), state_dir.resolve())


def output_of(state_dir: Path, record: dict[str, Any]) -> Path:
    """Return the output folder that a journal's record names."""
    return Path(os.path.normpath(state_dir.resolve() / record["output_dir"]))


def _check_output(output_dir: Path) -> None:
    if not check_folder(output_dir, "the output folder of a run that was cut short,"):
        raise StorageError(
            f"a run was cut short while it published files to {str(output_dir)!r}, which is gone; "
            "put it back and run again"
        )


def _is_committed(state_dir: Path, checksum: str) -> bool:
    """Return whether the state is that of a commit; also if it cannot be read any more."""
    if not os.path.lexists(state_dir / STATE):
        return False
    try:
        return state_checksum(read_bytes(state_dir / STATE)) == checksum
    except (StateCorruptError, StorageError):
        return True


def _is_all_there(state_dir: Path, record: dict[str, Any]) -> bool:
    """Return whether everything that a decided commit has yet to publish is there."""
    if not os.path.lexists(state_dir / NEXT_STATE):
        # With its final name it was the last; what is gone now was lost later.
        return _is_committed(state_dir, record["state"])
    output_dir, entries = output_of(state_dir, record), record["entries"]
    for entry in entries:
        places = partial_path(output_dir, entry["path"]), output_dir / entry["path"]
        if not any(still_whole(p, entry["hash"].removeprefix("sha256:")) for p in places):
            return False
    if os.path.lexists(output_dir / STAGED):
        return True
    manifest = read_manifest(output_dir) or {"resources": []}
    listed = {(resource["path"], resource["hash"]) for resource in manifest["resources"]}
    return {(entry["path"], entry["hash"]) for entry in entries} <= listed


def _withdraw(state_dir: Path, records: list[dict[str, Any]]) -> dict[str, Any]:
    """Take back a commit that cannot be finished: its days are made again. Returns the header."""
    record, header = records[-1]["commit"], records[0]
    if record["moves"]:
        # A part of the world that is replaced may have been moved already.
        do_moves(state_dir, output_of(state_dir, record), record["moves"])
        header = {**header, "base": None, "replaces": False}
    journal = Journal(state_dir, header)
    journal.close()
    return header


def _roll_forward(state_dir: Path, record: dict[str, Any]) -> None:
    output_dir = output_of(state_dir, record)
    if record["moves"]:
        do_moves(state_dir, output_dir, record["moves"])
    for entry in record["entries"]:
        sha256 = entry["hash"].removeprefix("sha256:")
        work, final = partial_path(output_dir, entry["path"]), output_dir / entry["path"]
        if work.exists():
            make_below(final.parent, output_dir, PARTITION)
            publish(work, final, sha256)
    fsync_folders(output_dir, [output_dir / entry["path"] for entry in record["entries"]])
    publish_manifest(output_dir)
    _replace_state(state_dir)


def _check_staged(state_dir: Path, checksum: str) -> None:
    """Raise StateCorruptError if the state that waits is not the one that was decided on."""
    staged = state_dir / NEXT_STATE
    if staged.exists() and state_checksum(read_bytes(staged)) != checksum:
        raise StateCorruptError(
            f"{str(staged)!r} is not the state that the journal names; remove it and "
            f"{str(state_dir / JOURNAL)!r} to go back to the last committed state"
        )


def _replace_state(state_dir: Path) -> None:
    staged, current = state_dir / NEXT_STATE, state_dir / STATE
    if not staged.exists():
        return
    if current.exists():
        _keep_previous(state_dir)
    replace_file(staged, current)


def _keep_previous(state_dir: Path) -> None:
    """Keep the present state beside the next one; both names exist at every instant."""
    _keep_as(state_dir, PREVIOUS)
    version = format_version(read_bytes(state_dir / STATE, SEARCH_VERSION))
    if version != FORMAT_VERSION:
        # The file as the older payworld wrote it stays for that payworld.
        _keep_as(state_dir, f"merchants.format-{version}.json")


def _keep_as(state_dir: Path, name: str) -> None:
    link = state_dir / f".{PREVIOUS}.next"
    remove(link)
    with naming(link, "write"):
        try:
            os.link(state_dir / STATE, link)
        except OSError:
            # A file system without hard links.
            write_durably(link, read_bytes(state_dir / STATE))
        link.replace(state_dir / name)
    # A rename between two names of one file, as after a crash right here, leaves both.
    remove(link)


def recover(state_dir: Path) -> list[dict[str, Any]]:
    """Finish a commit that was decided and cut short; returns the journal's records.

    Call it with the world held. After a finished commit the records are the header alone, with
    the new state as its base.
    """
    records = read_journal(state_dir)
    if not records or "commit" not in records[-1]:
        return records
    record = records[-1]["commit"]
    _check_staged(state_dir, record["state"])
    _check_output(output_of(state_dir, record))
    if not _is_all_there(state_dir, record):
        return [_withdraw(state_dir, records)]
    _roll_forward(state_dir, record)
    header = {**records[0], "base": record["state"], "replaces": False}
    if record["entries"][-1]["period"]["end"] == header["end"]:
        remove(state_dir / JOURNAL)
        fsync_folder(state_dir)
        return []
    journal = Journal(state_dir, header)
    journal.close()
    return [header]


def discard_work(state_dir: Path, output_dirs: set[Path], keep: frozenset[str]) -> None:
    """Remove work files of runs that will not go on, except those with the names to keep."""
    for name in (NEXT_STATE, f"{JOURNAL}.next", f".{PREVIOUS}.next"):
        remove(state_dir / name)
    drop_empty(state_dir)
    for folder in output_dirs:
        if not folder.is_dir():
            continue
        remove(folder / STAGED)
        drop_empty(folder)
        for path in folder.iterdir():
            if is_work_file(path.name) and path.name not in keep:
                remove(path)
        # Made for files that did not come.
        drop_empty_partitions(folder)


def still_whole(path: Path, sha256: str) -> bool:
    """Return whether a finished work file is there and holds the bytes it should."""
    try:
        return path.is_file() and not path.is_symlink() and file_sha256(path) == sha256
    except (OSError, StateError):
        return False
