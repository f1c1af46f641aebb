"""What a power cut can take: the order of system calls, as they were made, not as intended."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.builders import Folders
from tests.faults.driver import FaultServer
from tests.faults.worlds import INITIAL, LATER, OFTEN, begin, make_config, run_options

Operations = list[list[str]]

_CALL = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\) += (-?\d+)")
_DESCRIPTOR = re.compile(r"^\d+<([^>]*)>")
_UNFINISHED = " <unfinished ...>"
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>(.*)")
_NAMES = re.compile(r'"([^"]*)"')
_TRACED = "openat,write,pwrite64,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,mkdir"


def recorded(faults: FaultServer, _: Folders, arguments: list[str], often: bool) -> Operations:
    ended = faults.run(*arguments, patches=OFTEN if often else None)
    assert ended.code == 0, ended.stderr
    return [["rename" if name == "replace" else name, *paths] for name, *paths in ended.done]


def whole_lines(lines: list[str]) -> Iterator[str]:
    """Yield the calls as they end: one that another thread came between has two lines."""
    begun: dict[str, str] = {}
    for line in lines:
        thread, _, call = line.partition(" ")
        if call.endswith(_UNFINISHED):
            begun[thread] = line.removesuffix(_UNFINISHED)
        elif resumed := _RESUMED.match(call.lstrip()):
            yield begun.pop(thread) + resumed[1]
        else:
            yield line


def test_a_call_that_another_came_between_counts_when_it_ends() -> None:
    lines = ["7 fsync(3</a> <unfinished ...>", '8 unlink("/b") = 0', "7 <... fsync resumed>) = 0"]
    assert [*whole_lines(lines)] == ['8 unlink("/b") = 0', "7 fsync(3</a>) = 0"]


def traced(_: FaultServer, folders: Folders, arguments: list[str], often: bool) -> Operations:
    """Return the system calls of a start of its own, as the kernel saw them."""
    script = "from payworld.cli.entry import main; main()"
    if often:
        script = "import payworld.engine.work as w; w.COMMIT_SECONDS = 0; " + script
    log = folders.root / "strace.log"
    subprocess.run(
        ["strace", "-f", "-y", "-qq", "-s", "0", "-o", str(log), "-e", f"trace={_TRACED}",
         sys.executable, "-c", script, *arguments],
        check=True, capture_output=True,
    )  # fmt: skip
    found = []
    for line in whole_lines(log.read_text().splitlines()):
        call = _CALL.match(line)
        if call is None or call[3].startswith("-"):
            continue
        name, given = call[1], call[2]
        described = _DESCRIPTOR.match(given)
        paths = [described[1]] if described and name != "openat" else _NAMES.findall(given)
        if name == "openat" and "O_CREAT" not in given:
            continue
        plain = "create" if name == "openat" else name.removesuffix("2").removesuffix("at")
        found.append([plain, *paths])
    return [op for op in found if op[1].startswith(str(folders.root))]


# The recorder always; the kernel's own account where strace is at hand.
SOURCES: dict[str, Callable[[FaultServer, Folders, list[str], bool], Operations]] = {
    "recorder": recorded,
    **({"strace": traced} if shutil.which("strace") else {}),
}


class PowerCut:
    """Follows what a power cut could take back; notes each name that it would make a lie."""

    def __init__(self, folders: Folders) -> None:
        self.folders = folders
        self.journal = str(folders.state / ".journal")
        self.wrong: list[str] = []
        self.dirty: set[str] = set()
        self.unforced: dict[str, set[str]] = {}
        self.unforced_work: dict[str, set[str]] = {}
        self.decided = False

    def see(self, name: str, path: str, target: str = "") -> None:
        if name in ("create", "write", "pwrite64"):
            self.dirty.add(path)
            if name == "create":
                self.unforced_work.setdefault(str(Path(path).parent), set()).add(path)
        elif name == "fsync":
            self.dirty.discard(path)
            self.unforced.pop(path, None)
            self.unforced_work.pop(path, None)
            if path == self.journal:
                self.decide()
        elif name == "mkdir":
            self.unforced.setdefault(str(Path(path).parent), set()).add(path)
        elif name == "rename":
            self.rename(path, target)
        elif name == "unlink" and path == self.journal:
            if pending := self.unforced.get(str(self.folders.state), set()) - {self.journal}:
                self.wrong.append(f"the journal goes before {pending} are forced")
            self.decided = False

    def decide(self) -> None:
        self.decided = True
        for names in self.unforced_work.values():
            self.wrong += [f"decided before the name of {name} was forced" for name in names]
        self.unforced_work.clear()

    def rename(self, path: str, target: str) -> None:
        kind = Path(target).name
        is_work = kind.startswith(".") and kind != ".journal"
        for names in self.unforced_work.values():
            names.discard(path)
        if path in self.dirty:
            self.dirty.discard(path)
            self.dirty.add(target)
            if not is_work:
                self.wrong.append(f"{target}: renamed before its bytes were forced")
        if kind.startswith(("transactions_", "merchants_")) and not self.decided:
            self.wrong.append(f"{target}: published before the decision was forced")
        pending = self.unforced.get(str(self.folders.output), set())
        if kind in ("datapackage.json", "merchants.json") and pending:
            self.wrong.append(f"{target}: names files whose own names were not forced: {pending}")
        if not is_work:
            self.unforced.setdefault(str(Path(target).parent), set()).add(target)


def check_order(operations: Operations, folders: Folders) -> list[str]:
    """Return every rename to a final name that a power cut could make a lie."""
    watched = PowerCut(folders)
    for operation in operations:
        watched.see(*operation)
    return watched.wrong + [f"never forced: {names}" for names in watched.unforced.values()]


@pytest.mark.slow
@pytest.mark.parametrize("often", [False, True], ids=["one commit", "a commit a chunk"])
@pytest.mark.parametrize("file_format", ["csv", "parquet"])
@pytest.mark.parametrize("source", SOURCES)
def test_nothing_is_named_before_it_is_on_the_disk(
    faults: FaultServer, tmp_path: Path, source: str, file_format: str, often: bool
) -> None:
    folders = Folders(tmp_path / "world")
    folders.root.mkdir()
    make_config(folders.root)
    for command in (INITIAL, LATER):
        arguments = [*command, *run_options(folders, file_format)]
        operations = SOURCES[source](faults, folders, arguments, often)
        assert check_order(operations, folders) == []
        renamed = [Path(op[2]).name for op in operations if op[0] == "rename"]
        assert renamed[-1] == "merchants.json"
        manifest = renamed.index("datapackage.json")
        assert all(n.endswith(file_format) for n in renamed[manifest - 2 : manifest])


def test_the_check_sees_a_file_renamed_too_early(faults: FaultServer, tmp_path: Path) -> None:
    folders = begin(faults, tmp_path / "world")
    operations = recorded(faults, folders, [*LATER, *run_options(folders)], often=False)
    assert check_order(operations, folders) == []
    forced = {path for name, path, *_ in operations if name == "fsync"}
    assert len(forced) >= 8
    for path in forced:
        without = [operation for operation in operations if operation[:2] != ["fsync", path]]
        assert check_order(without, folders) != [], path
