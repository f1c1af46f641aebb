"""What the tests of schemas share: a file of every table, and the names of the tables."""

import pytest
from tests.gen_server import GenServer
from tests.written_tables import NAMES, Written, write_tables


@pytest.fixture(scope="package")
def written(server: GenServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Written]:
    """A file of every table, of runs of the real commands."""
    return write_tables(server, tmp_path_factory.mktemp("schemas"))


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """The name of each table in turn."""
    return str(request.param)
