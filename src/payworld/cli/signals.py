"""SIGINT and SIGTERM end a command in payworld's own code, never in the middle of others'."""

from __future__ import annotations

import signal
import sys
import time
from types import FrameType
from typing import Any, Self

__all__ = ["Signals", "Terminated"]

STOPPING = (signal.SIGINT, signal.SIGTERM)
GRACE_SECONDS = 0.25
IMPORT_SECONDS = 1.5
PATIENCE_SECONDS = 1.0
AGAIN_SECONDS = 0.01


class Terminated(BaseException):
    """SIGTERM came; a BaseException, so that no handler of errors takes it for one."""


def _is_ours(frame: FrameType) -> bool:
    name = str(frame.f_globals.get("__name__"))
    return name.partition(".")[0] == "payworld" and name != __name__


def _others(frame: FrameType | None) -> list[FrameType]:
    """Return the frames of others' code from this one on, up to the one that ours called."""
    frames = []
    while frame is not None and not _is_ours(frame):
        frames.append(frame)
        frame = frame.f_back
    return frames


def _is_stopping() -> bool:
    return isinstance(sys.exc_info()[1], (KeyboardInterrupt, Terminated))


def _trace_no_calls(*_: object) -> None:
    """Leave frames alone that are entered from now on."""


class Signals:
    """Raises KeyboardInterrupt or Terminated in the command that a signal is to end.

    Not wherever the signal finds Python: in code of others what is raised may be lost (in a
    destructor), kill an extension module (while it imports another one) or leave a lock held.
    So the call that our own code made of it is let return, and what it returns is the exception;
    or, where it waits for something, it is raised there after GRACE_SECONDS.
    """

    def __init__(self) -> None:
        self.number = 0
        self._came_at = 0.0
        self._raised_at: float | None = None
        self._over = False
        self._traced: FrameType | None = None
        self._handlers = {n: signal.getsignal(n) for n in (*STOPPING, signal.SIGALRM)}
        self._hook = sys.unraisablehook

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._disarm()
        sys.unraisablehook = self._hook
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def begin(self) -> None:
        """Raise from now on, in the caller or whatever it calls."""
        sys.unraisablehook = self._on_unraisable
        signal.signal(signal.SIGALRM, self._on_alarm)
        for number in STOPPING:
            # A shell lets its background jobs ignore Ctrl-C.
            if self._handlers[number] is not signal.SIG_IGN:
                signal.signal(number, self._on_signal)

    def end(self) -> None:
        """Raise what has not been raised yet; nothing is raised after this."""
        if self.number and self._raised_at is None:
            self._raise()
        self._over = True

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._over or (self.number and self._raised_at is None):
            return
        # Whoever is impatient presses twice.
        if self._raised_at is not None and now - self._raised_at < PATIENCE_SECONDS:
            return
        # Polars, too, raises KeyboardInterrupt for SIGINT: what that unwinds is not disturbed.
        is_raised = not self.number and _is_stopping()
        self.number, self._came_at = self.number or number, now
        self._raised_at = now if is_raised else None
        if not is_raised:
            self._arm(frame)

    def _on_alarm(self, _number: int, frame: FrameType | None) -> None:
        if self._over or self._raised_at is not None:
            return
        names = {str(other.f_globals.get("__name__")) for other in _others(frame)}
        waited = time.monotonic() - self._came_at
        if waited < GRACE_SECONDS:
            self._arm(frame)
        elif "importlib._bootstrap" in names and waited < IMPORT_SECONDS:
            signal.setitimer(signal.ITIMER_REAL, GRACE_SECONDS)
        else:
            self._raise()

    def _on_unraisable(self, ignored: sys.UnraisableHookArgs) -> None:
        if not issubclass(ignored.exc_type, (KeyboardInterrupt, Terminated)) or self._over:
            self._hook(ignored)
            return
        # Here it would be lost again.
        self._raised_at, self._came_at = None, time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)

    def _arm(self, frame: FrameType | None) -> None:
        others = _others(frame)
        if not others:
            self._raise()
        signal.setitimer(signal.ITIMER_REAL, GRACE_SECONDS)
        self._traced = others[-1]
        self._traced.f_trace, self._traced.f_trace_lines = self._on_event, False
        sys.settrace(_trace_no_calls)

    def _on_event(self, _frame: FrameType, event: str, _argument: object) -> Any:
        if event == "return":
            self._raise()
        return self._on_event

    def _disarm(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        if self._traced is not None:
            sys.settrace(None)
            self._traced.f_trace, self._traced.f_trace_lines = None, True
            self._traced = None

    def _raise(self) -> None:
        self._disarm()
        if self._over:
            return
        self._raised_at = time.monotonic()
        raise KeyboardInterrupt if self.number == signal.SIGINT else Terminated
