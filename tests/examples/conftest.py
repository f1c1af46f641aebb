"""What the tests of the examples share: a gen that can be hurt, its nights, the examples."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from tests.builders import Folders
from tests.examples.nights import Landing, NightlyWorld
from tests.examples.runner import ExampleServer
from tests.faults.driver import FaultServer


@pytest.fixture(scope="session")
def faults() -> Iterator[FaultServer]:
    """A process that starts gen again and again, with a fault where a test wants one."""
    with FaultServer() as running:
        yield running


@pytest.fixture(scope="session")
def nights(
    faults: FaultServer, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], list[Landing]]:
    """Return a function that gives what a world has published after each of its runs."""
    lived: dict[str, list[Landing]] = {}

    def live(options: str) -> list[Landing]:
        if options not in lived:
            folders = Folders(tmp_path_factory.mktemp("nights") / "world")
            lived[options] = list(NightlyWorld(faults, folders, tuple(options.split())).lives())
        return lived[options]

    return live


@pytest.fixture(scope="session")
def examples() -> Iterator[Callable[[str], ExampleServer]]:
    """Return a function that gives the process that runs an example."""
    with ExitStack() as stack:
        running: dict[str, ExampleServer] = {}

        def start(name: str) -> ExampleServer:
            if name not in running:
                running[name] = stack.enter_context(ExampleServer(name))
            return running[name]

        yield start
