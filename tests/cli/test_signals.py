"""Where a signal ends a command: in payworld's code, wherever it comes."""

import importlib.util
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import typer

from payworld.cli import signals as subject
from payworld.cli.output import guarded
from payworld.cli.signals import Signals, Terminated


def send(number: int = signal.SIGTERM, whole: list[str] | None = None) -> str:
    """Be code of others, which notes that it has come to its end."""
    os.kill(os.getpid(), number)
    if whole is not None:
        whole.append("whole")
    return "whole"


def send_and(act: Callable[..., None]) -> Callable[..., None]:
    """Return code of others that is signalled and goes on."""

    def acting(*arguments: object) -> None:
        send()
        act(*arguments)

    return acting


def ours(source: str, **names: Any) -> Callable[[], list[str]]:
    """Return a function of payworld's own that notes in a list what it has come to."""
    lines = ["def run():", *(f"    {line}" for line in source.strip().splitlines())]
    scope = {"__name__": "payworld.probe", "came_to": [], "send": send, **names}
    exec("\n".join(lines), scope)  # noqa: S102  # code that belongs to no file of the tests

    def run() -> list[str]:
        scope["run"]()
        return list(scope["came_to"])

    run.__dict__["came_to"] = scope["came_to"]
    return run


@contextmanager
def caught(kind: type[BaseException] = Terminated) -> Iterator[Signals]:
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)]
    hook = sys.unraisablehook
    with Signals() as signals:
        signals.begin()
        with pytest.raises(kind):
            yield signals
    assert sys.gettrace() is None
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert sys.unraisablehook is hook
    after = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)]
    assert after == before


@pytest.mark.parametrize(
    ("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]
)
def test_a_signal_in_others_code_is_raised_when_that_returns(
    number: signal.Signals, kind: type[BaseException]
) -> None:
    whole: list[str] = []
    run = ours("came_to.append(send(number, whole))", number=number, whole=whole)
    with caught(kind) as signals:
        run()
    assert whole == ["whole"]
    assert run.__dict__["came_to"] == []
    assert signals.number == number


def test_a_signal_in_our_code_is_raised_there() -> None:
    run = ours("os.kill(os.getpid(), 15)\ncame_to.append('more')", os=os)
    with caught():
        run()
    assert run.__dict__["came_to"] == []


@pytest.mark.parametrize("last", ["send()", "[send() for _ in 'once']", "return send()"])
def test_what_our_code_holds_is_let_go_of(last: str) -> None:
    """As by any exception of the call: not between the body of a with and its exit."""

    class Held:
        def __init__(self) -> None:
            self.is_held = False

        def __enter__(self) -> None:
            self.is_held = True

        def __exit__(self, *_: object) -> None:
            self.is_held = False

    held = Held()
    run = ours(f"with held:\n    came_to.append(held.is_held)\n    {last}", held=held)
    with caught():
        run()
    assert run.__dict__["came_to"] == [True]
    assert not held.is_held


def test_an_interrupt_that_others_have_raised_is_not_raised_again() -> None:
    """Polars, while it computes, has a handler of its own; Python's may come to run after it."""

    def interrupted() -> None:
        raise KeyboardInterrupt

    run = ours(
        """
try:
    interrupted()
finally:
    send(2)
    came_to.append('tidy')
""",
        interrupted=interrupted,
    )
    with caught(KeyboardInterrupt):
        run()
    assert run.__dict__["came_to"] == ["tidy"]


def test_a_signal_while_others_code_fails_wins() -> None:
    with caught():
        ours("remove('/no such file')", remove=send_and(os.remove))()


def test_a_signal_in_a_destructor_is_not_lost() -> None:
    class Gone:
        def __init__(self, act: Callable[[], object]) -> None:
            self.act = act

        def __del__(self) -> None:
            self.act()

    for act in (send, ours("os.kill(os.getpid(), 15)", os=os)):
        run = ours("gone.pop()\nfor _ in forever: pass", gone=[Gone(act)], forever=count())
        with caught():
            run()


def test_what_others_lose_in_destructors_is_still_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda ignored: told.append(ignored.exc_type))

    class Gone:
        def __del__(self) -> None:
            raise LookupError

    with Signals() as signals:
        signals.begin()
        ours("gone.pop()", gone=[Gone()])()
        signals.end()
    assert told == [LookupError]


def test_others_code_that_waits_is_left_soon() -> None:
    began = time.monotonic()
    with caught():
        ours("wait(20)", wait=send_and(time.sleep))()
    assert time.monotonic() - began < 5


def test_a_module_is_loaded_whole_before_a_signal_ends_the_command(tmp_path: Path) -> None:
    module = tmp_path / "slow_to_load.py"
    module.write_text("import time\ntime.sleep(0.4)\nloaded = True\n")
    spec = importlib.util.spec_from_file_location("slow_to_load", module)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    run = ours("load(module)", module=loaded, load=send_and(spec.loader.exec_module))
    with caught():
        run()
    assert loaded.loaded


def test_pressing_twice_does_not_disturb_what_tidies_up(monkeypatch: pytest.MonkeyPatch) -> None:
    source = """
try:
    send()
finally:
    send()
    came_to.append('tidy')
"""
    run = ours(source)
    with caught():
        run()
    assert run.__dict__["came_to"] == ["tidy"]
    # One who has waited long may break that off, too.
    monkeypatch.setattr(subject, "PATIENCE_SECONDS", 0)
    run = ours(source)
    with caught():
        run()
    assert run.__dict__["came_to"] == []


def test_a_signal_after_the_end_changes_nothing() -> None:
    with Signals() as signals:
        signals.begin()
        signals.end()
        assert ours("came_to.append(send())")() == ["whole"]


def test_a_signal_at_the_very_end_is_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, guarded(resume="go on so"):
        send(signal.SIGINT)
    assert ended.value.exit_code == 130
    expected = "interrupted: the world is as of its last commit; go on so"
    assert capsys.readouterr().err.strip() == expected


def test_what_ignores_ctrl_c_goes_on_doing_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with guarded():
            assert ours("came_to.append(send(2))")() == ["whole"]
    finally:
        signal.signal(signal.SIGINT, before)
