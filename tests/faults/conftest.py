"""What the fault tests share: a gen that can be hurt."""

from collections.abc import Iterator

import pytest
from tests.faults.driver import FaultServer


@pytest.fixture(scope="session")
def faults() -> Iterator[FaultServer]:
    """A process that starts gen again and again, with a fault each time."""
    with FaultServer() as running:
        yield running
