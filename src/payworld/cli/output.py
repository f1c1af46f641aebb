"""How commands speak: messages on stderr, data on stdout, errors without a traceback."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from operator import attrgetter
from typing import Any, TextIO

import typer

from payworld.cli.signals import Signals, Terminated
from payworld.errors import PayworldError, StorageError

__all__ = ["guarded", "is_terminal", "print_json", "print_text", "say", "unwritable"]

STOPPED = "the world is as of its last commit"


def say(message: str) -> None:
    """Print a message for people, on stderr."""
    typer.echo(message, err=True)


def print_text(text: str = "", nl: bool = True) -> None:
    """Print data on stdout, by default as a line; StorageError if it cannot be written.

    A reader who has gone has what it wanted (`| head`): the rest goes nowhere, and the command on
    to the exit code that it would have had.
    """
    if _stdout() is None:
        # Nothing would be printed, and nobody told.
        raise StorageError("cannot write to standard output: it is closed")
    try:
        typer.echo(text, nl=nl)
    except BrokenPipeError:
        _drop_stdout()
    except OSError as error:
        raise unwritable(error) from error


def unwritable(error: OSError) -> StorageError:
    """Return what is to be said of stdout, which nothing is written to any more."""
    _drop_stdout()
    return StorageError(f"cannot write to standard output: {error.strerror}")


def _drop_stdout() -> None:
    # What waits to be written would fail once more as Python ends.
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def is_terminal() -> bool:
    """Return whether stdout is a terminal."""
    stdout = _stdout()
    return stdout is not None and stdout.isatty()


def _stdout() -> TextIO | None:
    # None where a program was started with it closed.
    return sys.stdout


def print_json(data: Any) -> None:
    """Print data as indented JSON on stdout."""
    import orjson

    print_text(orjson.dumps(data, option=orjson.OPT_INDENT_2).decode())


def _stopped(number: int, stopped: str, resume: str) -> typer.Exit:
    """Say how things are after a signal; returns the exit that stands for it."""
    word = "interrupted" if number == signal.SIGINT else "terminated"
    say(f"\n{word}: {stopped}{'; ' + resume if resume else ''}")
    return typer.Exit(128 + number)


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
    with Signals() as signals:
        try:
            try:
                signals.begin()
                yield
            finally:
                signals.end()
        except typer.Exit:
            raise
        except typer.Abort:
            # Ctrl-C or Ctrl-D at a question.
            raise _stopped(signal.SIGINT, stopped, resume="") from None
        except PayworldError as error:
            _report(debug, f"error: {error}")
            raise typer.Exit(exit_code(error)) from None
        except (KeyboardInterrupt, Terminated):
            raise _stopped(signals.number or signal.SIGINT, stopped, resume) from None
        except BrokenPipeError:
            # The reader of our messages has gone; there is nobody to tell.
            _drop_stdout()
            raise typer.Exit(1) from None
        except Exception as error:  # noqa: BLE001  # the last resort: never a traceback
            if signals.number:
                # It came within a lock of the standard library, which then complains of it.
                raise _stopped(signals.number, stopped, resume) from None
            _report(debug, _unexpected(error))
            raise typer.Exit(1) from None


def _unexpected(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "error: out of memory; fewer --workers need less"
    return f"error: unexpected {type(error).__name__}: {error}; --debug shows where"


def _report(debug: bool, message: str) -> None:
    if debug:
        from payworld.storage.s3_errors import without_passwords

        say(without_passwords(traceback.format_exc()).rstrip())
    say(message)
