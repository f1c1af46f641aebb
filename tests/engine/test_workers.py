"""Which cores a run's processes use: all that they may, and each one of its own."""

import os
import subprocess
import sys

import pytest

from payworld.engine.processes import core_count, cores, stay_on

# Prints the cores of a run's first process and of its worker, and those that are left at the end.
RUN = """
import os, sys
from payworld.config import WorldConfig
from payworld.engine.workers import Renderer
from payworld.storage.reference import load_reference
from payworld.storage.style import FileStyle
from payworld.synthesis.rules import compile_rules

rules = compile_rules(WorldConfig(), load_reference())
with Renderer(rules, FileStyle(), int(sys.argv[1]), [], "fork") as renderer:
    children = open(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read().split()
    while any(os.sched_getaffinity(int(child)) == set({first}) for child in children):
        pass
    print(sorted(os.sched_getaffinity(0)))
    print([sorted(os.sched_getaffinity(int(child))) for child in children])
print(sorted(os.sched_getaffinity(0)))
"""


def told(workers: int) -> list[str]:
    # A worker begins with its parent's cores and then takes its own.
    first = cores() if workers == len(cores()) else []
    script = RUN.replace("{first}", repr(first))
    done = subprocess.run(
        [sys.executable, "-c", script, str(workers)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_processes_that_take_all_cores_stay_on_one_each() -> None:
    allowed = cores()
    expected = [allowed[:1], [[core] for core in allowed[1:]], allowed]
    assert told(len(allowed)) == [str(line) for line in expected]


def test_more_processes_than_cores_may_be_anywhere() -> None:
    allowed, workers = cores(), len(cores()) + 1
    expected = [allowed, [allowed] * (workers - 1), allowed]
    assert told(workers) == [str(line) for line in expected]


def test_the_cores_are_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    before = cores()
    stay_on(before[:1])
    assert core_count() == 1
    stay_on(before)
    assert cores() == before
    # Elsewhere nobody can tell which, but how many there are.
    monkeypatch.delattr(os, "sched_getaffinity")
    assert cores() == []
    assert core_count() == os.cpu_count()
    stay_on(cores())
