"""Where a signal ends a command: in payworld's code, wherever it comes."""

import importlib.util
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import typer

from payworld.cli import signals as subject
from payworld.cli.output import guarded
from payworld.cli.signals import Signals, Terminated


def send(number: int = signal.SIGTERM) -> str:
    """Be code of others: what is raised in here would be lost."""
    os.kill(os.getpid(), number)
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
def test_a_signal_in_others_code_is_raised_at_the_next_line_of_ours(
    number: signal.Signals, kind: type[BaseException]
) -> None:
    run = ours("came_to.append(send(number))\ncame_to.append('more')", number=number)
    with caught(kind) as signals:
        run()
    assert run.__dict__["came_to"] == ["whole"]
    assert signals.number == number


def test_a_signal_in_our_last_line_is_raised_as_it_returns() -> None:
    run = ours("return came_to.append(send())")
    outer = ours("inner()\ncame_to.append('more')", inner=run)
    with caught():
        outer()
    assert run.__dict__["came_to"] == ["whole"]
    assert outer.__dict__["came_to"] == []


def test_a_signal_while_others_code_fails_wins() -> None:
    with caught():
        ours("remove('/no such file')", remove=send_and(os.remove))()


def test_a_signal_in_a_destructor_is_not_lost() -> None:
    class Gone:
        def __init__(self, act: Callable[[], object]) -> None:
            self.act = act

        def __del__(self) -> None:
            self.act()

    for act in (send, ours("import os\nos.kill(os.getpid(), 15)\ncame_to.append('more')")):
        run = ours("gone.pop()\ncame_to.append('here')\ncame_to.append('more')", gone=[Gone(act)])
        with caught():
            run()
        assert len(run.__dict__["came_to"]) < 2


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
    came_to.append('more')
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
        assert ours("came_to.append(send())\ncame_to.append('more')")() == ["whole", "more"]


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
            assert ours("came_to.append(send(2))\ncame_to.append('more')")() == ["whole", "more"]
    finally:
        signal.signal(signal.SIGINT, before)
