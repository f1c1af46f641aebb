"""gen recover: what stands in its way is found before anything moves, and its report is told."""

import errno
import os
from pathlib import Path

import pytest
from tests.builders import MANIFEST, STATE, Folders
from tests.faults.driver import Fault, FaultServer
from tests.faults.test_paths import Change, folder_at, link_to, tree
from tests.faults.worlds import LATER, Case, begin, check_message, contents, left_behind

PARTIAL = ".transactions_2024-02-05_2024-02-06.csv.partial"
RECOVERED = "state/.merchants.json.recovered"


@pytest.fixture(scope="module")
def template(faults: FaultServer, tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """A world of two runs, so that there is a state before the present one."""
    folders = begin(faults, tmp_path_factory.mktemp("recovery") / "world")
    assert Case(faults, folders, LATER).run(folders).code == 0
    return folders


def damaged(faults: FaultServer, template: Folders, root: Path) -> Folders:
    folders = Case(faults, template, LATER).copy(root)
    (folders.root / "outside").mkdir()
    (folders.root / "outside" / "file").write_text("not payworld's")
    (folders.state / STATE).write_bytes((folders.state / STATE).read_bytes()[:-9])
    return folders


@pytest.mark.parametrize("gone", [False, True], ids=["damaged", "gone"])
@pytest.mark.parametrize(
    "name",
    [
        ".journal", ".journal.next", ".merchants.json.next", ".merchants.previous.json.next",
        ".merchants.json.recovered", ".holder.json",
    ],
)  # fmt: skip
def test_a_folder_in_the_place_of_a_work_file_is_found_before_anything_moves(
    faults: FaultServer, tmp_path: Path, template: Folders, name: str, gone: bool
) -> None:
    folders = damaged(faults, template, tmp_path / "world")
    if gone:
        (folders.state / STATE).unlink()
    folder_at(f"state/{name}")(folders)
    before = tree(folders.root)
    for _ in range(2):
        ended = faults.run("recover", *folders.options)
        assert check_message(ended, 1, name, "folder stands", "move it away") == ""
        assert tree(folders.root) == before
    (folders.state / name / "in it").rmdir()
    (folders.state / name).rmdir()
    ended = faults.run("recover", *folders.options)
    assert ended.code == 0, ended.stderr
    assert left_behind(folders) == []


def test_a_folder_among_the_unfinished_work_is_found_before_anything_moves(
    faults: FaultServer, tmp_path: Path, template: Folders
) -> None:
    folders = Case(faults, template, LATER).copy(tmp_path / "world")
    night = Case(faults, folders, ("--incremental", "--date", "2024-02-06"))
    writes = [n for n, done in enumerate(night.undisturbed(tmp_path / "whole")[0].operations, 1)
              if PARTIAL in str(done)]  # fmt: skip
    assert night.run(folders, fault=Fault(at=writes[1])).code < 0
    (folders.state / STATE).write_bytes(b"{")
    folder_at(f"raw_data/{PARTIAL}")(folders)
    before = tree(folders.root)
    ended = faults.run("recover", *folders.options)
    assert check_message(ended, 1, PARTIAL, "folder stands") == ""
    assert {k: v for k, v in tree(folders.root).items() if ".holder" not in k} == {
        k: v for k, v in before.items() if ".holder" not in k
    }


def test_a_recovery_that_finds_no_space_leaves_all_as_it_was(
    faults: FaultServer, tmp_path: Path, template: Folders
) -> None:
    folders = damaged(faults, template, tmp_path / "world")
    whole = damaged(faults, template, tmp_path / "whole")
    operations = faults.run("recover", *whole.options).operations
    moved = next(n for n, done in enumerate(operations, 1) if "_replaced" in str(done[1:][-1])
                 and done[0] in ("rename", "replace"))  # fmt: skip
    before = tree(folders.root)
    tried = 0
    for at, done in enumerate(operations[:moved], 1):
        if done[0] not in ("write", "fsync", "create", "mkdir", "rename", "ftruncate"):
            continue
        fault = Fault(at=at, error=errno.EIO)
        ended = faults.run("recover", *folders.options, fault=fault)
        assert check_message(ended, 1) == "", done
        assert tree(folders.root) == before, done
        tried += 1
    assert tried > 5
    assert faults.run("recover", *folders.options).code == 0


def cut_manifest(folders: Folders) -> None:
    (folders.output / MANIFEST).write_bytes(b"{")


def linked_manifest(folders: Folders) -> None:
    (folders.output / MANIFEST).unlink()
    link_to(f"raw_data/{MANIFEST}")(folders)


MANIFESTS: dict[str, Change] = {
    "cut": cut_manifest, "a link": linked_manifest, "a folder": folder_at(f"raw_data/{MANIFEST}")
}  # fmt: skip


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_that_cannot_be_read_does_not_silence_the_report(
    faults: FaultServer, tmp_path: Path, template: Folders, name: str
) -> None:
    folders = damaged(faults, template, tmp_path / "world")
    MANIFESTS[name](folders)
    ended = faults.run("recover", *folders.options)
    assert ended.code == 0, ended.stderr
    for words in (
        "the damaged state: ", "it was moved aside to", "the world is as of 2024-02-02 again",
        "the days from 2024-02-03 to 2024-02-04 will be generated again",
        "transactions_2024-02-03_2024-02-04.csv", "gen --incremental --date 2024-02-04",
        "the files were told of by their names", MANIFEST,
    ):  # fmt: skip
        assert words in ended.stderr
    again = faults.run("recover", "--json", *folders.options)
    assert again.code == 0, again.stderr
    assert again.data["recovered"] is False
    assert "nothing to recover" in again.stderr
    assert MANIFEST in again.stderr
    assert len(again.data["made_again"]) == 2


def test_a_folder_at_the_note_of_the_data_folder_leaves_no_note_beside_the_state(
    faults: FaultServer, tmp_path: Path, template: Folders
) -> None:
    case = Case(faults, template, ("--incremental", "--date", "2024-02-06"))
    folders = case.copy(tmp_path / "world")
    folder_at("raw_data/.holder.json")(folders)
    before = tree(folders.root)
    ended = case.run(folders)
    assert check_message(ended, 1, ".holder.json", "folder stands") == ""
    assert tree(folders.root) == before


def test_a_truncation_that_fails_leaves_no_work_file(
    faults: FaultServer, tmp_path: Path, template: Folders
) -> None:
    case = Case(faults, template, ("--incremental", "--date", "2024-02-06"))
    ended, expected = case.undisturbed(tmp_path / "undisturbed")
    at = [number for number, done in enumerate(ended.operations, 1) if done[0] == "ftruncate"]
    assert len(at) > 2
    for number in at:
        folders = case.copy(tmp_path / "world")
        before = contents(folders)
        failed = case.run(folders, fault=Fault(at=number, error=errno.EIO))
        assert check_message(failed, 1, os.strerror(errno.EIO)) == ""
        assert left_behind(folders) == [], ended.operations[number - 1]
        assert contents(folders) == before
        assert case.check_resumed(folders, expected) == ""
