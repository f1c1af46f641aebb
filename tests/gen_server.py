"""Starts gen many times over, without the half second that each start on the command line costs.

It is the fault tests' driver with the one fault that other tests want: a SIGKILL at a chosen
operation on the disk, or at a chosen moment.
"""

import signal
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.faults.driver import ROOT, Ended, Fault, FaultServer

__all__ = ["ROOT", "Ended", "GenServer"]


class GenServer:
    """Runs gen in forked processes; lives for the tests that share it."""

    def __init__(self) -> None:
        self._server = FaultServer()

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._server.__exit__(kind, error, tb)

    def run(
        self,
        *arguments: str | Path,
        cwd: Path = ROOT,
        environment: Mapping[str, str] | None = None,
        patches: Mapping[str, float] | None = None,
        today: date | None = None,
        kill_operation: int = 0,
        kill_after: float | None = None,
    ) -> Ended:
        """Return a run of gen that has ended.

        `patches` sets constants by their dotted names; `kill_operation` counts from 1, and a
        write is torn in its middle.
        """
        return self._server.run(
            *arguments,
            cwd=cwd,
            environment=environment,
            patches=patches,
            today=today,
            fault=Fault(kill_operation, "torn"),
            signal_after=None if kill_after is None else (signal.SIGKILL, kill_after),
        )
