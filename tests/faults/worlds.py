"""Small worlds for the fault tests: a starting point, a command, and what it should end in."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.builders import LIVELY_WORLD, MANIFEST, PREVIOUS, STATE, Folders
from tests.faults.driver import Ended, Fault, FaultServer

from payworld.storage.state_file import state_checksum

SMALL = {**LIVELY_WORLD, "initial_merchants": 5}
# Nothing depends on how fast the machine is: the n-th operation is the same one in each run.
STEADY: dict[str, float] = {
    "payworld.engine.work.COMMIT_SECONDS": 1e9,
    "payworld.engine.work.CHECKPOINT_SECONDS": 1e9,
}
# Every chunk is committed alone, and every task writes a checkpoint.
OFTEN: dict[str, float] = {
    "payworld.engine.work.COMMIT_SECONDS": 0,
    "payworld.engine.work.CHECKPOINT_SECONDS": 0,
    "payworld.engine.tasks.TASK_ROWS": 1,
}

INITIAL = ("--initial", "--start-date", "2024-01-30", "--end-date", "2024-02-02")
LATER = ("--incremental", "--date", "2024-02-04")

_MESSAGE = re.compile(r"^[Ee]rror: ", re.MULTILINE)
_CRASH = re.compile(r"error: unexpected \w+:")
_STAMP = re.compile(r"_replaced/[^/]+/")


def contents(folders: Folders, previous: bool = True) -> dict[str, str]:
    """Return the SHA-256 of every file, hidden ones too, without the stamps of moved folders."""
    found = {}
    for path in sorted(folders.root.rglob("*")):
        name = _STAMP.sub("_replaced/*/", str(path.relative_to(folders.root)))
        if path.is_file() and name.startswith(("state/", "raw_data/")):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    if not previous:
        found.pop(f"state/{PREVIOUS}", None)
    return found


def left_behind(folders: Folders) -> list[str]:
    """Return the names of work files, wherever they are, and of empty folders in the world's."""
    inside = [*folders.state.rglob("*"), *folders.output.rglob("*")]
    empty = [path for path in inside if path.is_dir() and not any(path.iterdir())]
    return sorted(str(path) for path in {*folders.root.rglob(".*"), *empty})


def make_config(root: Path, keys: Mapping[str, Any] = SMALL) -> Path:
    """Write the configuration beside the world's folders."""
    path = root / "world.yaml"
    path.write_text(json.dumps(dict(keys)), encoding="utf-8")
    return path


def run_options(folders: Folders, file_format: str = "csv") -> list[str]:
    """Return the options that every run of a world in a folder has."""
    config = folders.root / "world.yaml"
    return ["-f", "--config", str(config), "--format", file_format, *folders.options]


def begin(
    faults: FaultServer, root: Path, keys: Mapping[str, Any] = SMALL, file_format: str = "csv"
) -> Folders:
    """Return a world that has lived the four days of INITIAL."""
    folders = Folders(root)
    root.mkdir(parents=True, exist_ok=True)
    make_config(root, keys)
    ended = faults.run(*INITIAL, *run_options(folders, file_format))
    assert ended.code == 0, ended.stderr
    return folders


@dataclass
class Case:
    """A world, a command on it, and what the command leaves when nothing disturbs it."""

    faults: FaultServer
    template: Folders
    command: tuple[str, ...]
    file_format: str = "csv"
    patches: Mapping[str, float] = field(default_factory=dict)
    call: str | None = None
    # The state before the last one depends on how often a run commits.
    previous: bool = True
    runs: int = 0

    def run(self, folders: Folders, fault: Fault | None = None, **how: Any) -> Ended:
        options = folders.options
        if self.command[0].startswith("--"):
            options = run_options(folders, self.file_format)
        self.runs += 1
        return self.faults.run(
            *self.command, *options,
            patches={**STEADY, **self.patches}, call=self.call, fault=fault, **how,
        )  # fmt: skip

    def copy(self, root: Path) -> Folders:
        """Return the world once more, in a folder of its own."""
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(self.template.root, root, symlinks=True)
        return Folders(root)

    def undisturbed(self, root: Path) -> tuple[Ended, dict[str, str]]:
        folders = self.copy(root)
        ended = self.run(folders)
        assert ended.code == 0, ended.stderr
        assert left_behind(folders) == []
        return ended, contents(folders, self.previous)

    def half_done(self, folders: Folders, expected: dict[str, str]) -> list[str]:
        """Return the files under final names that are neither as before nor as they should be."""
        before = contents(self.template)
        wrong = []
        for name, digest in contents(folders).items():
            path = folders.root / name
            if path.name.startswith(".") or digest in (before.get(name), expected.get(name)):
                continue
            if name.startswith(("state/_replaced", "raw_data/_replaced")) or path.name in (
                PREVIOUS, STATE, MANIFEST,
            ):  # fmt: skip
                wrong += [] if _is_whole(path) else [name]
            else:
                wrong.append(name)
        return wrong

    def check_resumed(
        self, folders: Folders, expected: dict[str, str], again: Callable[[], Ended] | None = None
    ) -> str:
        """Run the same command again; return what is wrong then, if anything."""
        ended = again() if again is not None else self.run(folders)
        if ended.code != 0:
            return f"the next run ended with {ended.code}: {ended.stderr}"
        if left_behind(folders):
            return f"left behind: {left_behind(folders)}"
        found = contents(folders, self.previous)
        if found != expected:
            names = {*found.items()} ^ {*expected.items()}
            return f"other bytes: {sorted({name for name, _ in names})}"
        return ""


def _is_whole(path: Path) -> bool:
    data = path.read_bytes()
    if path.name in (STATE, PREVIOUS):
        return state_checksum(data) in data.decode()
    return path.name != MANIFEST or "resources" in json.loads(data)


def check_message(ended: Ended, code: int, *words: str) -> str:
    """Return what is wrong with how a run told of its error, if anything."""
    text = ended.stderr
    if ended.code != code:
        return f"exit code {ended.code}, expected {code}: {text or ended.stdout}"
    if "Traceback" in text or _CRASH.search(text) or not text.strip():
        return f"no clear message: {text!r}"
    if len(_MESSAGE.findall(text)) != 1:
        return f"{len(_MESSAGE.findall(text))} messages: {text!r}"
    missing = [word for word in words if word not in text]
    return f"it does not say {missing}: {text!r}" if missing else ""
