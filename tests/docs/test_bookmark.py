"""The bookmark recipe of docs/landing_zone.md loses nothing, whatever fails on the way."""

import shutil
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from tests.publishing import FILES, MANIFEST, MERCHANTS, PAYMENTS, folder
from tools.make_docs import ROOT, fences, make_checkout, run_script

pytestmark = pytest.mark.slow

PAGE = ROOT / "docs" / "landing_zone.md"
(RECIPE,) = (
    fence.text for fence in fences(PAGE.read_text(encoding="utf-8")) if "through.new" in fence.text
)
# Reads what is on its standard input, as many loaders do.
LOADER = """#!/bin/sh
cat > /dev/null
if [ -e broken ] && [ "$(cat broken)" = "$(basename "$1")" ]; then exit 5; fi
basename "$1" >> loaded
"""
# Where there is no jq: as much of it as the recipe wants.
JQ = f"""#!{sys.executable}
import json, sys
found = json.load(open(sys.argv[3]))
words = {{".through": [found["through"]], ".files[].absolute_path": [
    file["absolute_path"] for file in found["files"]
]}}[sys.argv[2]]
print("".join(f"{{word}}\\n" for word in words), end="")
sys.exit(None in words)
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    make_checkout(tmp_path)
    programs = {"load_into_bronze": LOADER} | ({} if shutil.which("jq") else {"jq": JQ})
    for name, text in programs.items():
        (tmp_path / ".venv" / "bin" / name).write_text(text, encoding="utf-8")
        (tmp_path / ".venv" / "bin" / name).chmod(0o755)
    folder(tmp_path / "raw_data", FILES)
    return tmp_path


def ingest(checkout: Path) -> CompletedProcess[str]:
    # What the recipe says of errors itself is to do, not what run_script sets.
    return run_script(f"set +eu +o pipefail\n{RECIPE}", checkout)


def loaded(checkout: Path) -> list[str]:
    return (checkout / "loaded").read_text(encoding="utf-8").splitlines()


def test_every_file_is_loaded_once(checkout: Path) -> None:
    for _ in range(2):
        ended = ingest(checkout)
        assert ended.returncode == 0, ended.stdout
        assert loaded(checkout) == [MERCHANTS, PAYMENTS]
        assert (checkout / "through").read_text() == "2024-01-31\n"


@pytest.mark.parametrize("broken", [MERCHANTS, PAYMENTS])
def test_a_load_that_fails_moves_no_bookmark_and_is_made_up_for(
    checkout: Path, broken: str
) -> None:
    (checkout / "broken").write_text(f"{broken}\n")
    assert ingest(checkout).returncode == 5
    assert not (checkout / "through").exists()
    (checkout / "broken").unlink()
    assert ingest(checkout).returncode == 0
    assert loaded(checkout)[-2:] == [MERCHANTS, PAYMENTS]


@pytest.mark.parametrize("bookmark", ["", "2023-12-31\n"])
def test_a_list_that_fails_moves_no_bookmark_and_spoils_none(checkout: Path, bookmark: str) -> None:
    if bookmark:
        (checkout / "through").write_text(bookmark)
    away = (checkout / "raw_data" / MANIFEST).rename(checkout / MANIFEST)
    ended = ingest(checkout)
    assert ended.returncode == 3, ended.stdout
    assert "there is no datapackage.json" in ended.stdout
    assert (checkout / "through").exists() == bool(bookmark)
    assert not (checkout / "loaded").exists()
    away.rename(checkout / "raw_data" / MANIFEST)
    assert ingest(checkout).returncode == 0
    assert loaded(checkout) == [MERCHANTS, PAYMENTS]
    assert (checkout / "through").read_text() == "2024-01-31\n"


def test_a_lost_file_stops_it_until_it_is_made_again(checkout: Path) -> None:
    lost = (checkout / "raw_data" / PAYMENTS).rename(checkout / PAYMENTS)
    ended = ingest(checkout)
    assert ended.returncode == 1
    assert f"lost: {PAYMENTS}" in ended.stdout
    assert not (checkout / "through").exists()
    lost.rename(checkout / "raw_data" / PAYMENTS)
    assert ingest(checkout).returncode == 0
    assert loaded(checkout) == [MERCHANTS, PAYMENTS]
