"""Where the command line begins. Imports next to nothing, so that Ctrl-C finds it ready at once."""

from __future__ import annotations

import os
import signal
from typing import NoReturn

__all__ = ["main"]

_WORDS = {signal.SIGINT: b"interrupted", signal.SIGTERM: b"terminated"}


def _end(number: int, _frame: object) -> NoReturn:
    # Not by an exception: a half-imported extension module may swallow it or die of it.
    os.write(2, b"\n" + _WORDS[signal.Signals(number)] + b": no command was at work\n")
    os._exit(128 + number)


def main() -> None:
    """Run the command line; the console scripts' entry."""
    # Pydantic would look through all installed packages for plugins of its own.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    for number in _WORDS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
    from payworld.cli.app import main as run

    run()
