"""What all tests share: property-based tests that repeat, a clean environment, a ready gen."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from tests.gen_server import GenServer
from tests.large_world import LargeWorld

# Derandomised: the same examples on every machine, so that a failure is everybody's.
settings.register_profile(
    "payworld",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("payworld")


@pytest.fixture(autouse=True)
def no_settings_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide what the caller's environment says to payworld."""
    for name in list(os.environ):
        if name.startswith("PAYWORLD_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def server() -> Iterator[GenServer]:
    """A process that starts gen again and again, without loading it anew each time."""
    with GenServer() as running:
        yield running


@pytest.fixture(scope="session")
def large_world() -> LargeWorld:
    """A year of more than 20,000 merchants in memory; about three seconds."""
    return LargeWorld.live()
