"""What the jobs share: gen that can be killed at an exact moment."""

from collections.abc import Iterator

import pytest
from tests.faults.driver import FaultServer


@pytest.fixture(scope="session")
def faults() -> Iterator[FaultServer]:
    with FaultServer() as running:
        yield running
