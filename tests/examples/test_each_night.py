"""Each example, run after every night and once more, holds exactly what was published."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.examples.lakes import EXAMPLES, check_bronze
from tests.examples.nights import Landing
from tests.examples.runner import ExampleServer


def loaded(stdout: str) -> int:
    """Return how many files a run says that it has loaded."""
    words = [line.partition("loaded ")[2].split() for line in stdout.splitlines()]
    return sum(int(found[0]) for found in words if found)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("options", ["--format csv", "--format parquet"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_after_every_night_the_tables_hold_what_was_published_and_nothing_twice(
    nights: Callable[[str], list[Landing]],
    examples: Callable[[str], ExampleServer],
    tmp_path: Path,
    name: str,
    options: str,
) -> None:
    example, before = examples(name), 0
    for landing in nights(options):
        ended = example.run(landing.raw_data, tmp_path)
        done = landing.folders.root.name
        assert ended.code == 0, f"{done}: {ended.stderr}"
        files = len(landing.files())
        assert loaded(ended.stdout) == files - before, done
        again = example.run(landing.raw_data, tmp_path)
        assert (again.code, loaded(again.stdout)) == (0, 0), again.stderr
        check_bronze(name, landing, tmp_path)
        before = files
        for column, total in landing.money().items():
            assert f"{column:<26} {total:>16,}: as the manifest says\n" in again.stdout
    assert before == 18


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "options",
    ["--format csv", "--compression gzip", "--layout hive --compression zstd",
     "--layout hive --format parquet"],
)  # fmt: skip
@pytest.mark.parametrize("name", EXAMPLES)
def test_nights_that_were_missed_are_loaded_by_one_run(
    nights: Callable[[str], list[Landing]],
    examples: Callable[[str], ExampleServer],
    tmp_path: Path,
    name: str,
    options: str,
) -> None:
    lived = nights(options)
    for landing, files in ((lived[0], 4), (lived[-1], 14)):
        ended = examples(name).run(landing.raw_data, tmp_path)
        assert (ended.code, loaded(ended.stdout)) == (0, files), ended.stderr
        check_bronze(name, landing, tmp_path)
