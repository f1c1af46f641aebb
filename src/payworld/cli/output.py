"""How commands speak: messages on stderr, data on stdout, errors without a traceback."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from types import FrameType
from typing import Any

import typer

from payworld.errors import PayworldError

__all__ = ["guarded", "print_json", "say"]

INTERRUPTED = 130
TERMINATED = 143

STOPPED = "the world is as of its last commit"


class _Terminated(BaseException):
    """SIGTERM came; a BaseException, so that no handler of errors takes it for one."""


def _noting(came: list[int]) -> Callable[[int, FrameType | None], None]:
    def stop(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        raise KeyboardInterrupt if number == signal.SIGINT else _Terminated

    return stop


def _not_lost(came: list[int]) -> Callable[[sys.UnraisableHookArgs], None]:
    """Return a hook that sends a signal again which came where Python ignores what is raised."""
    before = sys.unraisablehook

    def hook(ignored: sys.UnraisableHookArgs) -> None:
        if not issubclass(ignored.exc_type, (KeyboardInterrupt, _Terminated)) or not came:
            before(ignored)
            return
        again = threading.Timer(0.01, os.kill, (os.getpid(), came[-1]))
        again.daemon = True
        again.start()

    return hook


def say(message: str) -> None:
    """Print a message for people, on stderr."""
    typer.echo(message, err=True)


def print_json(data: Any) -> None:
    """Print data as indented JSON on stdout."""
    import orjson

    typer.echo(orjson.dumps(data, option=orjson.OPT_INDENT_2).decode())


def _stopped(interrupted: bool, stopped: str, resume: str) -> typer.Exit:
    """Say how things are after an interrupt; returns the exit that stands for it."""
    # Whoever is impatient presses twice.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    word = "interrupted" if interrupted else "terminated"
    say(f"\n{word}: {stopped}{'; ' + resume if resume else ''}")
    return typer.Exit(INTERRUPTED if interrupted else TERMINATED)


@contextmanager
def guarded(
    debug: bool = False,
    resume: str = "",
    stopped: str = STOPPED,
    exit_code: Callable[[PayworldError], int] = attrgetter("exit_code"),
) -> Iterator[None]:
    """Turn errors and signals into one clear message and the exit code they stand for.

    After an interrupt, `stopped` says how things are and `resume` how to go on. `exit_code` gives
    an error's exit code, where a command has its own.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    came: list[int] = []
    unraisable, sys.unraisablehook = sys.unraisablehook, _not_lost(came)
    signal.signal(signal.SIGTERM, _noting(came))
    # A shell lets its background jobs ignore Ctrl-C.
    if before[signal.SIGINT] is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _noting(came))
    try:
        yield
    except typer.Exit:
        raise
    except typer.Abort:
        # Ctrl-C or Ctrl-D at a question.
        say(f"\ninterrupted: {stopped}")
        raise typer.Exit(INTERRUPTED) from None
    except PayworldError as error:
        _report(debug, f"error: {error}")
        raise typer.Exit(exit_code(error)) from None
    except (KeyboardInterrupt, _Terminated) as stop:
        raise _stopped(isinstance(stop, KeyboardInterrupt), stopped, resume) from None
    except BrokenPipeError:
        # The reader of our output has gone; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
    except Exception as error:  # noqa: BLE001  # the last resort: never a traceback
        if came:
            # The signal came within a lock of the standard library, which then complains of it.
            raise _stopped(came[-1] == signal.SIGINT, stopped, resume) from None
        _report(debug, _unexpected(error))
        raise typer.Exit(1) from None
    finally:
        sys.unraisablehook = unraisable
        for number, handler in before.items():
            signal.signal(number, handler)


def _unexpected(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "error: out of memory; fewer --workers need less"
    return f"error: unexpected {type(error).__name__}: {error}; --debug shows where"


def _report(debug: bool, message: str) -> None:
    if debug:
        traceback.print_exc()
    say(message)
