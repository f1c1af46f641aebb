"""What a run is asked to do, what it holds meanwhile, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from payworld.config import WorldConfig
from payworld.engine.workers import StartMethod
from payworld.storage.style import FileStyle
from payworld.timeline import Period
from payworld.world.state import World

__all__ = ["Held", "Outcome", "Request"]


@dataclass(frozen=True)
class Request:
    """What a run is to do; lives for the run. `period` holds the days that are missing."""

    mode: Literal["initial", "incremental"]
    period: Period
    state_dir: Path
    output_dir: Path
    style: FileStyle
    workers: int
    config: WorldConfig
    # The command line forks; a program that may have started threads must not.
    start_method: StartMethod = "spawn"
    # The dated folder for the world that this one replaces; empty where it replaces none.
    replaces: str = ""


@dataclass(frozen=True)
class Held:
    """A world that this process holds: it, its state's checksum, and an earlier run's journal."""

    world: World | None
    base: str | None
    records: list[dict[str, Any]]
    locks: list[int]


@dataclass
class Outcome:
    """What a run did; lives until it is reported."""

    world: World
    period: Period
    rows: int = 0
    files: list[dict[str, Any]] = field(default_factory=list)
    resumed_from: int | None = None
    moved_aside: list[str] = field(default_factory=list)
    warning: str = ""
