"""What a command means for the world that is there: run, replace, or nothing to do. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from payworld.config import WorldConfig
from payworld.config.model import BIRTH_KEYS
from payworld.errors import StateMissingError, UsageError
from payworld.timeline import LAST_DATE, Period, iso
from payworld.world.state import World

__all__ = ["Decision", "changed_keys", "check_config", "decide_incremental", "decide_initial"]


@dataclass(frozen=True)
class Decision:
    """What to do; `note` is for the user, `period` the days to make (None: nothing to do)."""

    mode: Literal["initial", "incremental"]
    period: Period | None
    note: str = ""
    replaces: bool = False


def changed_keys(old: WorldConfig, new: WorldConfig) -> list[str]:
    """Return the keys whose values differ, as `key: old -> new`, nested keys with dots."""

    def walk(a: Any, b: Any, name: str) -> list[str]:
        if isinstance(a, dict) and isinstance(b, dict):
            found = []
            for key in a:
                found += walk(a[key], b[key], f"{name}.{key}" if name else key)
            return found
        return [] if a == b else [f"{name}: {a} -> {b}"]

    return walk(old.model_dump(mode="json"), new.model_dump(mode="json"), "")


def check_config(world: World, config: WorldConfig, accepted: bool) -> None:
    """Raise UsageError if a living world is asked to run with another configuration."""
    changes = changed_keys(world.config, config)
    if not changes:
        return
    listed = "\n  ".join(changes)
    fixed = sorted({change.partition(":")[0].partition(".")[0] for change in changes} & BIRTH_KEYS)
    if fixed:
        raise UsageError(
            f"the configuration differs from the world's:\n  {listed}\n{', '.join(fixed)} cannot "
            "change in a living world: leave it out, or begin another world with gen --initial "
            "--replace"
        )
    if not accepted:
        raise UsageError(
            f"the configuration differs from the world's:\n  {listed}\nTo let it hold from "
            f"{iso(world.last_day + 1)} on, add --accept-config-changes; to keep the world's, "
            "leave these keys out"
        )


def _is_same_world(world: World, start: int, config: WorldConfig) -> bool:
    return world.start_day == start and world.eras[0].config == config and world.config == config


def decide_initial(
    world: World | None,
    unfinished: dict[str, Any] | None,
    asked: Period,
    config: WorldConfig,
    replace: bool,
) -> Decision:
    """Return what `gen --initial` means; UsageError if another world is in the way."""
    if world is None:
        return Decision("initial", asked)
    same = _is_same_world(world, asked.start, config)
    if same and world.last_day >= asked.end and (not replace or world.last_day == asked.end):
        return Decision("initial", None, f"already generated through {iso(world.last_day)}")
    # A replacement that was cut short before its first commit has not touched this world.
    cut_short = unfinished is not None and (
        unfinished.get("mode") == "initial"
        and unfinished.get("end") == iso(asked.end)
        and not unfinished.get("replaces")
    )
    if same and cut_short:
        return Decision(
            "initial",
            Period(world.last_day + 1, asked.end),
            f"goes on after {iso(world.last_day)}, where an earlier run was cut short",
        )
    if replace:
        return Decision(
            "initial",
            asked,
            f"the world of {iso(world.start_day)} to {iso(world.last_day)} is moved aside",
            replaces=True,
        )
    raise UsageError(
        f"there is a world already: seed {world.seed}, {iso(world.start_day)} to "
        f"{iso(world.last_day)}. To go on with it: gen --incremental. To put another in its place "
        "(the old one is moved aside): gen --initial --replace"
    )


def decide_incremental(world: World | None, start: int | None, end: int) -> Decision:
    """Return what `gen --incremental` means: every day missing up to and including the end."""
    if world is None:
        raise StateMissingError(
            "there is no world to go on with; make one: "
            "gen --initial --start-date YYYY-MM-DD --end-date YYYY-MM-DD"
        )
    first_asked = end if start is None else min(start, end)
    if first_asked < world.start_day:
        raise UsageError(
            f"the world begins on {iso(world.start_day)}: {iso(first_asked)} lies before it; "
            f"expected a date from then on, up to {LAST_DATE}"
        )
    if end <= world.last_day:
        return Decision("incremental", None, f"already generated through {iso(world.last_day)}")
    first = world.last_day + 1
    note = ""
    if start is not None and start > first:
        note = f"the days from {iso(first)} to {iso(start - 1)} are missing: they are made too"
    elif start is not None and start < first:
        note = f"already generated through {iso(world.last_day)}: goes on from {iso(first)}"
    return Decision("incremental", Period(first, end), note)
