"""A damaged merchants.json: exit code 3, what is wrong, nothing written, and the way back."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.builders import MANIFEST, PREVIOUS, STATE, Folders
from tests.faults.driver import FaultServer
from tests.faults.worlds import (
    INITIAL,
    LATER,
    Case,
    begin,
    check_message,
    contents,
    left_behind,
    run_options,
)

from payworld.errors import StateError
from payworld.storage.state_file import read_world

BLANK = b"0" * 64


@pytest.fixture(scope="module")
def template(faults: FaultServer, tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """A world of two runs: it has a previous state."""
    folders = begin(faults, tmp_path_factory.mktemp("state") / "world")
    assert Case(faults, folders, LATER).run(folders).code == 0
    return folders


def sealed(document: dict[str, Any]) -> bytes:
    """Return a state file with a checksum that fits whatever is in it."""
    rest = {key: value for key, value in document.items() if key != "checksum"}
    data = orjson.dumps({"checksum": BLANK.decode(), **rest}, option=orjson.OPT_INDENT_2)
    return data.replace(BLANK, hashlib.sha256(data).hexdigest().encode(), 1)


def paths_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each value; of lists and long mappings the first and last items."""
    if path:
        yield path
    if isinstance(value, dict):
        keys = list(value)
        for key in keys if len(keys) <= 20 else [keys[0], keys[-1]]:
            yield from paths_in(value[key], (*path, key))
    elif isinstance(value, list):
        for at in sorted({0, len(value) - 1} - {-1}):
            yield from paths_in(value[at], (*path, at))


def altered(document: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """Return the document with another value at a path; `...` removes it."""
    copy: dict[str, Any] = orjson.loads(orjson.dumps(document))
    place: Any = copy
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return copy


def refusal(data: bytes) -> str:
    """Return how a state is refused; empty if it is taken for a world."""
    try:
        read_world(data)
    except StateError as error:
        return str(error)
    return ""


def test_a_state_truncated_at_any_byte_is_refused(template: Folders) -> None:
    data = (template.state / STATE).read_bytes()
    taken = [at for at in range(len(data)) if not refusal(data[:at])]
    assert taken == []
    assert not refusal(data)


@pytest.mark.slow
def test_a_state_with_any_bit_flipped_is_refused(template: Folders) -> None:
    data = bytearray((template.state / STATE).read_bytes())
    taken = []
    # One bit of each byte, another one from byte to byte, and all bits of the first bytes.
    flips = {(at, at % 8) for at in range(len(data))} | {
        (at, bit) for at in range(600) for bit in range(8)
    }
    for at, bit in sorted(flips):
        data[at] ^= 1 << bit
        if not refusal(bytes(data)):
            taken.append((at, bit))
        data[at] ^= 1 << bit
    assert taken == []


@pytest.mark.parametrize(
    "value", [..., None, True, -1, 1.5, 10**30, "", "x", [], {}, [None], {"a": 1}], ids=repr
)
def test_a_state_with_a_missing_or_wrong_value_anywhere_is_never_a_crash(
    template: Folders, value: Any
) -> None:
    """Sealed with a checksum that fits, so that what lies behind it is reached."""
    document = orjson.loads((template.state / STATE).read_bytes())
    refused = 0
    for path in paths_in(document):
        if path == ("checksum",):
            continue
        try:
            data = sealed(altered(document, path, value))
        except TypeError:
            # No JSON holds such a number.
            data = sealed(altered(document, path, 2**63))
        refused += bool(refusal(data))
    assert refused > 40


OTHERS: tuple[Any, ...] = (None, True, 7, -7, 1.5, "7", "x", "", [], {})
# May be null.
OPTIONAL = {"last_transaction_date", "churn_date"}


def test_a_state_with_a_leaf_of_another_type_is_refused_by_name(template: Folders) -> None:
    """Each key of a version, a card, the month and the head; sealed as if nothing were wrong."""
    document = orjson.loads((template.state / STATE).read_bytes())
    tried = 0
    for path in paths_in(document):
        if path[0] in ("checksum", "configuration", "format", "format_version"):
            continue
        place = document
        for key in path:
            place = place[key]
        for value in OTHERS:
            if type(value) is type(place) or (value is None and path[-1] in OPTIONAL):
                continue
            message = refusal(sealed(altered(document, path, value)))
            assert message, (path, value)
            name = str(path[-1]) if isinstance(path[-1], str) else str(path[-2])
            assert name in message, (path, value, message)
            tried += 1
    assert tried > 300


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("version",), "1", "M000001.version = '1': expected a whole number"),
        (("version",), 2, "M000001.version = 2: expected 1"),
        (("merchant_name",), None, "M000001.merchant_name = None: expected text"),
        (("effective_date",), 738_885, "M000001.effective_date = 738885: expected text"),
        (("churn_date",), 738_885, "churn_date = 738885: expected text or null"),
        (("merchant_id",), "M000002", "M000001.merchant_id = 'M000002': expected 'M000001'"),
        (("mdr_rate",), "0.03", "mdr_rate = '0.03': expected four decimals"),
        (("mdr_rate",), "nan", "mdr_rate"),
    ],
)
def test_a_wrong_value_of_a_version_is_named(
    template: Folders, path: tuple[str, ...], value: Any, words: str
) -> None:
    document = orjson.loads((template.state / STATE).read_bytes())
    whole = ("merchants", "M000001", 0, *path)
    message = refusal(sealed(altered(document, whole, value)))
    assert words in message or (value == "nan" and "ValueError" in message), message


ESSENTIAL = [
    "format", "format_version", "start_date", "last_generated_date", "merchant_counter",
    "card_counter", "total_transactions", "month", "configuration", "name_pools",
    "card_profiles", "merchants",
]  # fmt: skip


@pytest.mark.parametrize("key", ESSENTIAL)
@pytest.mark.parametrize("value", [..., [1], "x"], ids=["missing", "a list", "a word"])
def test_no_part_of_the_state_can_be_missing_or_of_another_type(
    template: Folders, key: str, value: Any
) -> None:
    document = orjson.loads((template.state / STATE).read_bytes())
    assert refusal(sealed(altered(document, (key,), value))) != ""


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "white space": lambda _: b" \n",
    "zeros, as after a power cut": lambda data: bytes(len(data)),
    "truncated": lambda data: data[: len(data) // 2],
    "without its last byte but one": lambda data: data[:-2],
    "followed by something": lambda data: data + b"{}",
    "twice": lambda data: data * 2,
    "a bit flipped": lambda data: data[:5000] + bytes([data[5000] ^ 4]) + data[5001:],
    "another number": lambda data: data.replace(b'"card_counter": ', b'"card_counter": 1', 1),
    "another checksum": lambda data: data.replace(data[17:21], b"beef", 1),
    "no checksum": lambda data: data.replace(b"checksum", b"checksun", 1),
    "not UTF-8": lambda data: data[:5000] + b"\xff\xfe" + data[5002:],
    "a list": lambda _: b"[]",
    "null": lambda _: b"null",
    "nested without end": lambda _: b"[" * 100_000,
    "another program's": lambda _: sealed({"format": "something-else", "format_version": 1}),
    "a date that is none": lambda data: sealed(
        altered(orjson.loads(data), ("start_date",), "2024-02-30")
    ),
    "a merchant missing": lambda data: sealed(
        altered(orjson.loads(data), ("merchants", "M000002"), ...)
    ),
}
COMMANDS = (LATER, INITIAL, ("status",), ("verify",), ("regenerate", *INITIAL[1:]))


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_state_stops_every_command_and_recover_brings_the_world_back(
    faults: FaultServer, tmp_path: Path, template: Folders, name: str
) -> None:
    case = Case(faults, template, LATER)
    folders = case.copy(tmp_path / "world")
    path = folders.state / STATE
    good = path.read_bytes()
    damaged = DAMAGE[name](good)
    path.write_bytes(damaged)
    before = contents(folders)
    for command in COMMANDS:
        ended = Case(faults, folders, command).run(folders)
        assert check_message(ended, 3, STATE, "gen recover", "Nothing was written") == "", command
        assert contents(folders) == before, command
    ended = faults.run("recover", *folders.options)
    assert ended.code == 0, ended.stderr
    assert "world is as of 2024-02-02" in ended.stderr
    assert "from 2024-02-03 to 2024-02-04 will be generated again" in ended.stderr
    assert "transactions_2024-02-03_2024-02-04.csv" in ended.stderr
    aside = list(folders.state.glob(f"_replaced/*/{STATE}"))
    assert [p.read_bytes() for p in aside] == [damaged]
    assert case.run(folders).code == 0
    assert path.read_bytes() == good
    assert left_behind(folders) == []
    assert faults.run("verify", *folders.options).code == 0


def test_without_a_previous_state_every_command_explains_and_changes_nothing(
    faults: FaultServer, tmp_path: Path, template: Folders
) -> None:
    for name in ("missing", "damaged too"):
        folders = Case(faults, template, LATER).copy(tmp_path / "world")
        (folders.state / STATE).write_bytes(b"{")
        if name == "missing":
            (folders.state / PREVIOUS).unlink()
        else:
            (folders.state / PREVIOUS).write_bytes(b"")
        before = contents(folders)
        for command in (("recover",), *COMMANDS):
            ended = Case(faults, folders, command).run(folders)
            words = (PREVIOUS, "backup", "gen --initial --replace")
            assert check_message(ended, 3, *words) == "", command
            # It would not help.
            assert "gen recover" not in ended.stderr
            assert contents(folders) == before
        # What is said does help.
        replacing = Case(faults, folders, (*INITIAL, "--replace"))
        ended = replacing.run(folders)
        assert ended.code == 0, ended.stderr
        assert faults.run("verify", *folders.options).code == 0
        assert left_behind(folders) == []


def test_a_state_that_is_gone_can_be_replaced_too(
    faults: FaultServer, tmp_path: Path, template: Folders
) -> None:
    folders = Case(faults, template, LATER).copy(tmp_path / "world")
    (folders.state / STATE).unlink()
    ended = faults.run("status", *folders.options)
    assert check_message(ended, 3, "gen recover", "gen --initial --replace") == ""
    before = {path.name: path.read_bytes() for path in folders.root.rglob("*.*") if path.is_file()}
    ended = Case(faults, folders, (*INITIAL, "--replace", "--seed", "8")).run(folders)
    assert ended.code == 0, ended.stderr
    aside = {path.name: path.read_bytes() for path in folders.root.glob("*/_replaced/*/*")}
    assert aside == {name: data for name, data in before.items() if name != "world.yaml"}
    assert faults.run("verify", *folders.options).code == 0


def test_a_state_that_is_gone_is_recovered_too(
    faults: FaultServer, tmp_path: Path, template: Folders
) -> None:
    folders = Case(faults, template, LATER).copy(tmp_path / "world")
    expected = contents(template)
    (folders.state / STATE).unlink()
    ended = faults.run("recover", "--json", *folders.options)
    assert ended.code == 0, ended.stderr
    assert ended.data["recovered"] is True
    assert ended.data["last_generated_date"] == "2024-02-02"
    assert Case(faults, folders, LATER).run(folders).code == 0
    assert contents(folders) == expected


def test_recover_leaves_a_good_state_alone(
    faults: FaultServer, tmp_path: Path, template: Folders
) -> None:
    folders = Case(faults, template, LATER).copy(tmp_path / "world")
    ended = faults.run("recover", *folders.options)
    assert (ended.code, contents(folders)) == (0, contents(template))
    assert "nothing to recover" in ended.stderr


def test_a_newer_format_is_refused_and_left_alone(
    faults: FaultServer, tmp_path: Path, template: Folders
) -> None:
    folders = Case(faults, template, LATER).copy(tmp_path / "world")
    path = folders.state / STATE
    path.write_bytes(sealed({**orjson.loads(path.read_bytes()), "format_version": 2}))
    before = contents(folders)
    for command in COMMANDS:
        ended = Case(faults, folders, command).run(folders)
        assert check_message(ended, 3, "format_version = 2", "newer payworld") == "", command
        assert contents(folders) == before


def test_an_older_format_is_migrated_and_the_old_file_kept(
    faults: FaultServer, tmp_path: Path, template: Folders
) -> None:
    folders = Case(faults, template, LATER).copy(tmp_path / "world")
    old = (folders.state / STATE).read_bytes()
    status = faults.run("status", *folders.options, call="an_older_format")
    assert status.code == 0, status.stderr
    assert contents(folders) == contents(template)
    for day in ("2024-02-05", "2024-02-06"):
        ended = faults.run(
            "--incremental", "--date", day, *run_options(folders), call="an_older_format"
        )
        assert ended.code == 0, ended.stderr
    assert orjson.loads((folders.state / STATE).read_bytes())["format_version"] == 2
    assert (folders.state / "merchants.format-1.json").read_bytes() == old
    assert faults.run("verify", *folders.options, call="an_older_format").code == 0
    # A damaged one is not migrated.
    (folders.state / STATE).write_bytes(old.replace(b'"seed": 42', b'"seed": 43', 1))
    before = contents(folders)
    ended = Case(faults, folders, LATER, call="an_older_format").run(folders)
    assert check_message(ended, 3, "checksum", "gen recover") == ""
    assert contents(folders) == before


def test_a_damaged_manifest_is_named_with_the_way_out(
    faults: FaultServer, tmp_path: Path, template: Folders
) -> None:
    good = orjson.loads((template.output / MANIFEST).read_bytes())
    damages: list[Any] = [
        b"", b"{", b"[]", b'{"resources": 3}', b"\xff",
        *(orjson.dumps(altered(good, ("resources", 0, key), value))
          for key in ("path", "hash", "rows", "bytes", "period", "table")
          for value in (..., None, [1])),
        orjson.dumps(altered(good, ("resources", 0, "period", "start"), "yesterday")),
    ]  # fmt: skip
    for damaged in damages:
        folders = Case(faults, template, LATER).copy(tmp_path / "world")
        (folders.output / MANIFEST).write_bytes(damaged)
        before = contents(folders)
        for command in (
            ("--incremental", "--date", "2024-02-09"), ("verify",), ("regenerate", *INITIAL[1:])
        ):  # fmt: skip
            ended = Case(faults, folders, command).run(folders)
            assert check_message(ended, 1, MANIFEST, "restore it") == "", (damaged[:99], command)
            assert contents(folders) == before


@pytest.mark.parametrize("damage", [b"", b"garbage\n", b"00000000 {}\n", b"\0" * 400])
def test_a_damaged_journal_of_a_killed_run_costs_its_work_alone(
    faults: FaultServer, tmp_path: Path, template: Folders, damage: bytes
) -> None:
    case = Case(faults, template, ("--incremental", "--date", "2024-02-06"))
    _, expected = case.undisturbed(tmp_path / "undisturbed")
    folders = case.copy(tmp_path / "world")
    (folders.state / ".journal").write_bytes(damage)
    assert case.check_resumed(folders, expected) == ""


def test_a_recovery_that_was_killed_as_it_moved_the_state_leaves_no_empty_folder(
    faults: FaultServer, template: Folders, tmp_path: Path
) -> None:
    """The next one comes in another second, with another dated folder."""
    folders = Case(faults, template, LATER).copy(tmp_path / "killed")
    begun = folders.state / "_replaced" / "2020-01-02T03-04-05Z"
    begun.mkdir(parents=True)
    (folders.state / STATE).write_bytes(b"{")
    ended = faults.run("recover", *folders.options)
    assert ended.code == 0, ended.stderr
    assert not begun.exists()
    assert left_behind(folders) == []
