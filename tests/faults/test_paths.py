"""Permissions, links, and folders where files should be: refused, and nothing outside touched."""

import os
import shutil
import socket
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import chdir, suppress
from pathlib import Path

import orjson
import pytest
from tests.builders import MANIFEST, PREVIOUS, STATE, Folders
from tests.faults.driver import FaultServer
from tests.faults.test_disk_full import can_mount, small_disk
from tests.faults.worlds import (
    INITIAL,
    LATER,
    Case,
    begin,
    check_message,
    contents,
    left_behind,
    make_config,
    run_options,
)

NOBODY = 65534
CHUNK = "transactions_2024-02-03_2024-02-04.csv"
MERCHANTS = "merchants_2024-02-03_2024-02-04.csv"
OUTSIDE = "outside"

Change = Callable[[Folders], None]


def linked(name: str) -> Change:
    """Move what has a name outside and leave a symbolic link to it."""

    def change(folders: Folders) -> None:
        shutil.move(folders.root / name, folders.root / OUTSIDE / "moved")
        (folders.root / name).symlink_to(folders.root / OUTSIDE / "moved")

    return change


def link_to(name: str, target: str = "file") -> Change:
    """Make a symbolic link to something outside."""

    def change(folders: Folders) -> None:
        (folders.root / name).symlink_to(folders.root / OUTSIDE / target)

    return change


def folder_at(name: str) -> Change:
    def change(folders: Folders) -> None:
        path = folders.root / name
        if path.exists():
            path.unlink()
        (path / "in it").mkdir(parents=True)

    return change


def file_at(name: str) -> Change:
    def change(folders: Folders) -> None:
        if (folders.root / name).exists():
            shutil.rmtree(folders.root / name)
        (folders.root / name).write_text("a file")

    return change


def pipe_at(name: str) -> Change:
    def change(folders: Folders) -> None:
        (folders.root / name).unlink(missing_ok=True)
        os.mkfifo(folders.root / name)

    return change


def socket_at(name: str) -> Change:
    def change(folders: Folders) -> None:
        (folders.root / name).unlink(missing_ok=True)
        # The name of a socket is at most some hundred bytes long: bound to from inside.
        with chdir((folders.root / name).parent), socket.socket(socket.AF_UNIX) as made:
            made.bind(Path(name).name)

    return change


def device_at(name: str) -> Change:
    """Make what /dev/null is; without the rights for it, a pipe."""

    def change(folders: Folders) -> None:
        (folders.root / name).unlink(missing_ok=True)
        try:
            os.mknod(folders.root / name, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        except PermissionError:
            os.mkfifo(folders.root / name)

    return change


REFUSED: dict[str, tuple[Change, int, tuple[str, ...]]] = {
    "state/ is a link": (linked("state"), 1, ("--state-dir", "symbolic link")),
    "raw_data/ is a link": (linked("raw_data"), 1, ("--output-dir", "symbolic link")),
    "the state is a link": (linked(f"state/{STATE}"), 1, (STATE, "symbolic link")),
    "the manifest is a link": (linked(f"raw_data/{MANIFEST}"), 1, (MANIFEST, "symbolic link")),
    "the target is a link": (link_to(f"raw_data/{CHUNK}"), 1, (CHUNK, "symbolic link")),
    "the target links to nothing": (link_to(f"raw_data/{CHUNK}", "no"), 1, (CHUNK, "link")),
    "the journal is a link": (link_to("state/.journal"), 1, (".journal", "symbolic link")),
    "state/ is a file": (file_at("state"), 1, ("--state-dir", "not a folder")),
    "raw_data/ is a file": (file_at("raw_data"), 1, ("--output-dir", "not a folder")),
    "the state is a folder": (folder_at(f"state/{STATE}"), 1, (STATE, "folder")),
    "the manifest is a folder": (folder_at(f"raw_data/{MANIFEST}"), 1, (MANIFEST, "folder")),
    "the target is a folder": (folder_at(f"raw_data/{CHUNK}"), 1, (CHUNK, "folder")),
    "the other target is a folder": (folder_at(f"raw_data/{MERCHANTS}"), 1, (MERCHANTS, "folder")),
    "the journal is a folder": (folder_at("state/.journal"), 1, (".journal", "folder")),
    "the note is a folder": (folder_at("state/.holder.json"), 1, (".holder.json", "folder")),
    "a partial is a folder": (folder_at(f"raw_data/.{CHUNK}.partial"), 1, (CHUNK, "folder")),
    "the previous state is a folder": (folder_at(f"state/{PREVIOUS}"), 1, (PREVIOUS, "folder")),
    "the next state is a folder": (folder_at("state/.merchants.json.next"), 1, ("folder",)),
    "the state is a pipe": (pipe_at(f"state/{STATE}"), 1, (STATE, "named pipe")),
    "the manifest is a pipe": (pipe_at(f"raw_data/{MANIFEST}"), 1, (MANIFEST, "named pipe")),
    "the journal is a pipe": (pipe_at("state/.journal"), 1, (".journal", "named pipe")),
    "the target is a pipe": (pipe_at(f"raw_data/{CHUNK}"), 1, (CHUNK, "named pipe")),
    "the state is a socket": (socket_at(f"state/{STATE}"), 1, (STATE, "a socket stands")),
    "the manifest is a socket": (socket_at(f"raw_data/{MANIFEST}"), 1, (MANIFEST, "a socket")),
    "the journal is a socket": (socket_at("state/.journal"), 1, (".journal", "a socket stands")),
    "the target is a socket": (socket_at(f"raw_data/{CHUNK}"), 1, (CHUNK, "is a socket")),
    "the state is a device": (device_at(f"state/{STATE}"), 1, (STATE, " stands where a file")),
    "the target is a device": (device_at(f"raw_data/{CHUNK}"), 1, (CHUNK, "where a file would")),
}

# Work files are payworld's own: what has their names is removed, never written through.
REMOVED = {
    "partial": f"raw_data/.{CHUNK}.partial",
    "partial of merchants": f"raw_data/.{MERCHANTS}.partial",
    "next manifest": "raw_data/.datapackage.json.next",
    "next state": "state/.merchants.json.next",
    "next journal": "state/.journal.next",
    "note of the holder": "state/.holder.json",
    "next previous state": "state/.merchants.previous.json.next",
    "previous state": f"state/{PREVIOUS}",
}


def tree(path: Path) -> dict[str, str]:
    """Return what is in a folder: bytes of files, targets of links, kinds of the rest."""
    found = {}
    for item in sorted(path.rglob("*")):
        kind = str(item.readlink()) if item.is_symlink() else oct(item.stat().st_mode)
        found[str(item.relative_to(path))] = kind + (
            item.read_bytes().hex() if item.is_file() and not item.is_symlink() else ""
        )
    return found


@pytest.fixture(scope="module")
def template(faults: FaultServer, tmp_path_factory: pytest.TempPathFactory) -> Folders:
    return begin(faults, tmp_path_factory.mktemp("paths") / "world")


def changed_world(faults: FaultServer, template: Folders, root: Path) -> tuple[Case, Folders]:
    case = Case(faults, template, LATER)
    folders = case.copy(root)
    (root / OUTSIDE).mkdir()
    (root / OUTSIDE / "file").write_text("not payworld's")
    (root / OUTSIDE / "folder").mkdir()
    return case, folders


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_as_it_should_be_is_refused_by_name_and_left_alone(
    faults: FaultServer, tmp_path: Path, template: Folders, name: str
) -> None:
    change, code, words = REFUSED[name]
    case, folders = changed_world(faults, template, tmp_path / "world")
    change(folders)
    before = tree(folders.root)
    assert check_message(case.run(folders), code, *words) == ""
    assert tree(folders.root) == before


@pytest.mark.parametrize("name", REMOVED)
def test_a_link_with_the_name_of_a_work_file_is_never_followed(
    faults: FaultServer, tmp_path: Path, template: Folders, name: str
) -> None:
    case, folders = changed_world(faults, template, tmp_path / "world")
    link_to(REMOVED[name])(folders)
    outside = tree(folders.root / OUTSIDE)
    ended = case.run(folders)
    assert ended.code == 0, ended.stderr
    assert tree(folders.root / OUTSIDE) == outside
    assert left_behind(folders) == []
    assert not any(path.is_symlink() for path in folders.root.rglob("*"))


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_regenerate_never_writes_through_a_link(
    faults: FaultServer, tmp_path: Path, file_format: str
) -> None:
    world = begin(faults, tmp_path / "template", file_format=file_format)
    lost = f"transactions_2024-01-30_2024-01-31.{file_format}"
    (world.output / lost).unlink()
    case = Case(faults, world, ("regenerate", *INITIAL[1:]), file_format)
    for name in (f".{lost}.partial", f".{lost}.partial.whole", lost):
        _, folders = changed_world(faults, world, tmp_path / "world")
        link_to(f"raw_data/{name}")(folders)
        outside = tree(folders.root / OUTSIDE)
        ended = case.run(folders)
        assert tree(folders.root / OUTSIDE) == outside, name
        assert ended.code in (0, 1)
        if ended.code == 0:
            assert not (folders.output / lost).is_symlink()
            assert left_behind(folders) in ([], [str(folders.output / name)])


@pytest.mark.parametrize(
    ("command", "folder"),
    [
        (("recover",), "state"),
        (("regenerate", *INITIAL[1:]), "raw_data"),
        ((*INITIAL, "--replace", "--seed", "3"), "raw_data"),
        ((*INITIAL, "--replace", "--seed", "3"), "state"),
    ],
)
def test_nothing_is_moved_aside_through_a_link(
    faults: FaultServer, tmp_path: Path, template: Folders, command: tuple[str, ...], folder: str
) -> None:
    _, folders = changed_world(faults, template, tmp_path / "world")
    case = Case(faults, folders, LATER)
    assert case.run(folders).code == 0
    for path in (folders.state / STATE, folders.output / "transactions_2024-02-01_2024-02-02.csv"):
        if command[0] in ("recover", "regenerate"):
            path.write_bytes(path.read_bytes()[:-9] if folder in str(path.parent) else
                             path.read_bytes())  # fmt: skip
    link_to(f"{folder}/_replaced", "folder")(folders)
    before = tree(folders.root / OUTSIDE)
    ended = Case(faults, folders, command).run(folders)
    assert check_message(ended, 1, "_replaced", "symbolic link") == ""
    assert tree(folders.root / OUTSIDE) == before


@pytest.mark.parametrize("name", ["../outside/file", "/etc/hostname", "sub/file.csv", "..", ""])
@pytest.mark.parametrize("command", ["verify", "regenerate", "run", "replace"])
def test_a_manifest_that_names_files_elsewhere_is_refused(
    faults: FaultServer, tmp_path: Path, template: Folders, name: str, command: str
) -> None:
    _, folders = changed_world(faults, template, tmp_path / "world")
    path = folders.output / MANIFEST
    document = orjson.loads(path.read_bytes())
    document["resources"][0]["path"] = name
    path.write_bytes(orjson.dumps(document))
    before = tree(folders.root)
    arguments = {
        "verify": ("verify",),
        "regenerate": ("regenerate", *INITIAL[1:]),
        "run": LATER,
        "replace": (*INITIAL, "--replace", "--seed", "3"),
    }
    ended = Case(faults, folders, arguments[command]).run(folders)
    assert check_message(ended, 1, MANIFEST, repr(name)) == ""
    assert tree(folders.root) == before


@pytest.fixture
def everybodys() -> Iterator[Path]:
    """A folder that a user without rights can reach, as pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="payworld-nobody-") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path
        for item in path.rglob("*"):
            with suppress(OSError):
                item.chmod(0o755)


FORBIDDEN: dict[str, tuple[str, int, tuple[str, ...]]] = {
    "state/ cannot be written": ("state", 0o555, ("--state-dir", "permission denied")),
    "raw_data/ cannot be written": ("raw_data", 0o555, ("--output-dir", "permission denied")),
    "state/ cannot be entered": ("state", 0o000, ("state", "denied; make it accessible")),
    "state/ can be listed alone": ("state", 0o444, ("state", "denied; make it accessible")),
    "raw_data/ cannot be entered": ("raw_data", 0o000, ("raw_data", "denied or read-only; make")),
    "the state cannot be read": (f"state/{STATE}", 0o000, (STATE, "permission denied")),
    "the manifest cannot be read": (f"raw_data/{MANIFEST}", 0, (MANIFEST, "permission denied")),
    "the configuration cannot be read": ("world.yaml", 0o000, ("--config", "not readable")),
}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_what_this_user_may_not_do_is_named(
    faults: FaultServer, everybodys: Path, template: Folders, name: str
) -> None:
    target, mode, words = FORBIDDEN[name]
    case = Case(faults, template, LATER)
    folders = case.copy(everybodys / "world")
    for path in (folders.root, *folders.root.rglob("*")):
        if os.getuid() == 0:
            os.chown(path, NOBODY, NOBODY)
    before = contents(folders)
    (folders.root / target).chmod(mode)
    ended = case.run(folders, user=NOBODY if os.getuid() == 0 else None)
    assert check_message(ended, 2 if "not readable" in words else 1, *words) == ""
    (folders.root / target).chmod(0o755)
    assert contents(folders) == before
    assert left_behind(folders) == []


def refused_by(template: Folders, root: Path) -> dict[str, tuple[tuple[str, ...], int]]:
    """Return commands that are refused, and their exit codes; `root` has no world."""
    world = (*INITIAL, "--config", str(template.root / "world.yaml"))
    other = ("--state-dir", str(root / "new" / "state"), "--output-dir", str(root / "new" / "raw"))
    shared = ("--state-dir", str(root / "new" / "s"), "--output-dir", str(template.output))
    sharing = ("--state-dir", str(template.state), "--output-dir", str(root / "new" / "r"))
    return {
        "no world to go on with": (("--incremental", "-f", *other), 3),
        "no world to look at": (("status", *other), 3),
        "no world to verify": (("verify", *other), 3),
        "no world to recover": (("recover", *other), 3),
        "no world to make files of": (("regenerate", *INITIAL[1:], *other), 3),
        "too many payments": ((*world, "--end-date", "2199-12-31", "-f", *other), 2),
        "no answer": ((*world, *other), 2),
        "another world's data folder": ((*world, "--seed", "9", "-f", *shared), 1),
        "the same, to replace": ((*world, "--replace", "--seed", "9", "-f", *shared), 1),
        "a world is there": ((*world, "--seed", "9", "-f", *sharing), 2),
        "files are nowhere": (("regenerate", *INITIAL[1:], *sharing), 1),
        "nothing to do": (("--incremental", "--date", "2024-02-01", "-f", *sharing), 0),
        "a plan": ((*world, "--dry-run", *other), 0),
    }


@pytest.mark.parametrize("name", refused_by(Folders(Path()), Path()))
def test_a_refused_command_leaves_nothing_behind(
    faults: FaultServer, tmp_path: Path, template: Folders, name: str
) -> None:
    arguments, code = refused_by(template, tmp_path)[name]
    before = tree(template.root)
    ended = faults.run(*arguments)
    if name == "too many payments":
        # Five merchants never have as many.
        ended = faults.run(*arguments, patches={"payworld.engine.run.MAX_PAYMENTS": 1000})
    assert ended.code == code, ended.stderr
    assert list(tmp_path.iterdir()) == []
    assert tree(template.root) == before


def test_a_folder_that_cannot_be_made_is_named(faults: FaultServer, everybodys: Path) -> None:
    everybodys.chmod(0o555)
    folders = Folders(everybodys / "new")
    ended = faults.run(*INITIAL, "-f", *folders.options, user=NOBODY if os.getuid() == 0 else None)
    assert check_message(ended, 1, str(folders.state), "permission denied") == ""
    assert list(everybodys.iterdir()) == []


def test_a_file_system_that_is_read_only_is_named(
    faults: FaultServer, tmp_path: Path, template: Folders
) -> None:
    case = Case(faults, template, LATER)
    if not can_mount(tmp_path / "probe"):
        # Without root, folders that may not be written are the nearest thing.
        folders = case.copy(tmp_path / "world")
        folders.state.chmod(0o555)
        assert check_message(case.run(folders), 1, "--state-dir", "read-only") == ""
        return
    with small_disk(tmp_path / "disk", 4096):
        shutil.copytree(template.root, tmp_path / "disk", dirs_exist_ok=True)
        folders = Folders(tmp_path / "disk")
        before = contents(folders)
        subprocess.run(["mount", "-o", "remount,ro", str(folders.root)], check=True)
        assert check_message(case.run(folders), 1, "--state-dir", "read-only") == ""
        status = faults.run("status", *folders.options)
        assert status.code == 0, status.stderr
        assert contents(folders) == before


def test_folders_with_odd_names_are_folders_like_others(
    faults: FaultServer, tmp_path: Path
) -> None:
    root = tmp_path / "a b 'c' \"d\"\n\té 日本 *?[x] $(id) ; -- #"
    root.mkdir()
    make_config(root)
    folders = Folders(root)
    ended = faults.run(*INITIAL, *run_options(folders))
    assert ended.code == 0, ended.stderr
    assert faults.run("verify", *folders.options).code == 0
    assert left_behind(folders) == []
