"""Lost files made again, byte for byte, from the seed and history in the state."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from payworld.engine.encode import Encoder
from payworld.engine.render import make_encoder, render_task
from payworld.engine.replay import relive
from payworld.engine.tasks import Task, cut_tasks
from payworld.errors import ConflictError, StorageError, UsageError
from payworld.storage.archive import ASIDE, ASIDE_FOLDER, drop_empty
from payworld.storage.files import (
    file_sha256,
    fsync_folder,
    make_below,
    naming,
    publish,
    remove,
)
from payworld.storage.manifest import MANIFEST, check_same_world
from payworld.storage.reference import load_reference
from payworld.storage.sinks import ChunkFile, write_merchants
from payworld.storage.style import PARTITION, FileStyle, check_inside, partial_path
from payworld.synthesis.frames import merchants_frame
from payworld.synthesis.rules import Rules
from payworld.timeline import Period, iso, parse_date
from payworld.world.state import World

__all__ = ["Regenerated", "regenerate"]


@dataclass
class Regenerated:
    """What was made again, what stood already, and what changed files were moved aside to."""

    made: list[str] = field(default_factory=list)
    whole: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)


def _is_whole(output_dir: Path, resource: dict[str, Any]) -> bool:
    path = check_inside(output_dir, resource["path"])
    if path.is_symlink() or not path.is_file():
        return False
    return f"sha256:{file_sha256(path)}" == str(resource["hash"])


def _wanted(
    world: World, output_dir: Path, asked: Period, done: Regenerated
) -> list[dict[str, Any]]:
    """Return the manifest's entries of the days asked for whose files are lost or changed."""
    manifest = check_same_world(output_dir, world)
    if manifest is None:
        raise StorageError(
            f"cannot make files again: {str(output_dir)!r} has no datapackage.json, so what files "
            "there were is not known; restore it from a backup"
        )
    if asked.start > world.last_day or asked.end < world.start_day:
        raise UsageError(
            f"--start-date {iso(asked.start)} to --end-date {iso(asked.end)}: the world knows "
            f"{iso(world.start_day)} to {iso(world.last_day)}; expected days of its past (days to "
            "come are made by gen --incremental)"
        )
    wanted = []
    told: set[int] = set()
    for resource in manifest["resources"]:
        start = parse_date(resource["period"]["start"], "period.start")
        end = parse_date(resource["period"]["end"], "period.end")
        if end < asked.start or start > asked.end:
            continue
        if resource["table"] == "transactions":
            told |= set(range(start, end + 1))
        if end > world.last_day:
            raise UsageError(
                f"{resource['path']!r} tells of days that the world has not lived (it was taken "
                f"back to {iso(world.last_day)}); gen --incremental --date {iso(end)} makes it"
            )
        if _is_whole(output_dir, resource):
            done.whole.append(resource["path"])
        else:
            wanted.append({**resource, "period": Period(start, end)})
    known = range(max(asked.start, world.start_day), min(asked.end, world.last_day) + 1)
    untold = [day for day in known if day not in told]
    if untold:
        raise StorageError(
            f"cannot make the files of {iso(untold[0])} to {iso(untold[-1])} again: "
            f"{str(output_dir / MANIFEST)!r} lists none of those days, so what files there were is "
            "not known. They were written to another --output-dir, or the manifest was lost: "
            "restore it from a backup"
        )
    return wanted


def _put_in_place(
    output_dir: Path, resource: dict[str, Any], sha256: str, stamp: str, done: Regenerated
) -> None:
    """Publish a file made again if it is the one that the manifest lists."""
    name = resource["path"]
    work, final = partial_path(output_dir, name), output_dir / name
    if f"sha256:{sha256}" != resource["hash"]:
        remove(work)
        raise ConflictError(
            f"{name!r} cannot be made again byte for byte: its SHA-256 would be {sha256}, the "
            f"manifest says {resource['hash']}. Most likely another version of payworld or of its "
            "libraries made it; use that version, or restore the file from a backup"
        )
    if os.path.lexists(final):
        aside = output_dir / ASIDE / stamp / name
        make_below(aside.parent, output_dir, ASIDE_FOLDER)
        with naming(final, "move aside"):
            final.rename(aside)
        done.moved.append(str(aside))
    make_below(final.parent, output_dir, PARTITION)
    publish(work, final, sha256)
    fsync_folder(final.parent)
    done.made.append(name)


class _Maker:
    """Makes the wanted files while the past goes by; lives for a regeneration."""

    def __init__(
        self, output_dir: Path, wanted: list[dict[str, Any]], stamp: str, done: Regenerated
    ) -> None:
        self._output_dir, self._stamp, self._done = output_dir, stamp, done
        self._wanted = wanted
        self._chunk: ChunkFile | None = None
        self._days = {
            day
            for item in wanted
            if item["table"] == "transactions"
            for day in range(item["period"].start, item["period"].end + 1)
        }
        self._encoders: dict[tuple[int, FileStyle], Encoder] = {}

    def render(self, task: Task, rules: Rules, day: int) -> None:
        """Render a day's payments into the file that they belong to, if it is wanted."""
        if day not in self._days:
            return
        item = next(
            item
            for item in self._wanted
            if item["table"] == "transactions" and item["period"].start <= day <= item["period"].end
        )
        if self._chunk is None:
            style = FileStyle.of(item["path"])
            self._chunk = ChunkFile(self._output_dir, item["period"], style)
        key = (id(rules), self._chunk.style)
        encoder = self._encoders.setdefault(key, make_encoder(self._chunk.style, rules))
        for part in render_task(task.blocks, rules, encoder).parts:
            self._chunk.append(part)

    def end_day(self, world: World) -> None:
        """Put the files in place whose period ends with the world's last day."""
        for item in self._wanted:
            if item["period"].end != world.last_day:
                continue
            if item["table"] == "merchants":
                frame = merchants_frame(world, item["period"], load_reference().places)
                mark = write_merchants(self._output_dir, frame, item["path"])
                sha256 = mark["sha256"]
            else:
                chunk = self._chunk
                if chunk is None:
                    raise StorageError(f"{item['path']!r}: its days overlap another file's")
                chunk.finish()
                self._chunk = None
                sha256 = chunk.sha256
            _put_in_place(self._output_dir, item, sha256, self._stamp, self._done)

    def close(self) -> None:
        """Drop what is not finished."""
        if self._chunk is not None:
            self._chunk.discard()


def regenerate(
    world: World,
    output_dir: Path,
    asked: Period,
    stamp: str,
    on_day: Callable[[int], None] = lambda _day: None,
) -> Regenerated:
    """Make the lost or changed files of a period again. Call it with the world held.

    Raises UsageError for days outside the world's past, ConflictError where the bytes would not
    be the manifest's; then nothing is put in place.
    """
    done = Regenerated()
    wanted = _wanted(world, output_dir, asked, done)
    drop_empty(output_dir)
    if not wanted:
        return done
    last = max(item["period"].end for item in wanted)
    maker = _Maker(output_dir, wanted, stamp, done)
    try:
        for past, plan, rules in relive(world, load_reference()):
            for task in cut_tasks([(past, plan)], {plan.day}):
                maker.render(task, rules, plan.day)
            maker.end_day(past)
            on_day(plan.day)
            if plan.day >= last:
                break
    finally:
        maker.close()
    return done
