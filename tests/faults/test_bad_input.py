"""Bad input, by the hundred: one clear message, the right exit code, the world untouched."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.builders import Folders
from tests.faults.driver import ROOT, Ended, FaultServer
from tests.faults.worlds import begin, check_message, contents

from payworld.errors import UsageError
from payworld.timeline import parse_date

INITIAL = ("--initial", "-f")
NIGHTLY = ("--incremental", "-f")
CONFIG = "<config>"


@dataclass(frozen=True)
class Bad:
    """A command that cannot be obeyed, and what its message must say."""

    arguments: tuple[str, ...]
    words: tuple[str, ...]
    # Text or bytes of the file that CONFIG stands for.
    config: str | bytes = ""
    code: int = 2
    environment: tuple[tuple[str, str], ...] = ()


BAD_DATES = [
    "2024-02-30", "2023-02-29", "1900-02-29", "2100-02-29", "2024-04-31", "2024-13-01",
    "2024-00-10", "2024-01-00", "2024-01-32", "2024-1-1", "24-01-01", "20240101", "2024/01/01",
    "01-02-2024", "0000-01-01", "0001-01-01", "1899-12-31", "2200-01-01", "9999-12-31",
    "10000-01-01", "2024-01-01T00:00:00", "2024-01-01 00:00", "2024-01-01Z", " 2024-01-01",
    "2024-01-01 ", "2024-01-01\n", "2024-W01-1", "2024-001", "yesterday", "NaN", "1e3", "",
    "२०२४-०१-०१", "2024-01-0\u0661", "None", "null", "2024-01-01;id", "'2024-01-01'",
]  # fmt: skip

DATE_OPTIONS: dict[str, tuple[str, ...]] = {
    "initial start": (*INITIAL, "--end-date", "2024-03-01", "--start-date"),
    "initial end": (*INITIAL, "--start-date", "2024-03-01", "--end-date"),
    "incremental date": (*NIGHTLY, "--date"),
    "incremental start": (*NIGHTLY, "--end-date", "2024-03-01", "--start-date"),
    "incremental end": (*NIGHTLY, "--start-date", "2024-03-01", "--end-date"),
    "regenerate start": ("regenerate", "--end-date", "2024-02-01", "--start-date"),
    "regenerate end": ("regenerate", "--start-date", "2024-02-01", "--end-date"),
}


def dates() -> Iterator[Bad]:
    for options in DATE_OPTIONS.values():
        for text in BAD_DATES:
            yield Bad((*options, text), (options[-1], repr(text), "YYYY-MM-DD"))


def options() -> Iterator[Bad]:
    days = ("--start-date", "2024-01-01", "--end-date", "2024-01-02")
    for value in ("-1", "9223372036854775808", "1" + "0" * 40):
        yield Bad((*INITIAL, *days, "--seed", value), ("seed", value))
    for value in ("1.5", "NaN", "1e3", "abc", "", "0x10", "1 2"):
        yield Bad((*INITIAL, *days, "--seed", value), ("--seed", value))
    for value in ("-1", "257", "100000000000000000000"):
        yield Bad((*NIGHTLY, "--workers", value), ("workers", value))
    for value in ("x", "1.5", "", "inf"):
        yield Bad((*NIGHTLY, "--workers", value), ("--workers", value))
    for value in ("xml", "CSV", "", "parquet ", "csv\n", "json"):
        yield Bad((*NIGHTLY, "--format", value), ("format", repr(value), "csv", "parquet"))


def combinations() -> Iterator[Bad]:
    yield Bad(("--initial", "--incremental", "-f"), ("--initial", "--incremental"))
    yield Bad((*INITIAL,), ("--start-date", "YYYY-MM-DD"))
    yield Bad((*INITIAL, "--end-date", "2024-01-01"), ("--start-date",))
    yield Bad((*INITIAL, "--date", "2024-01-01"), ("--date", "--incremental"))
    yield Bad((*NIGHTLY, "--replace"), ("--replace", "--initial"))
    yield Bad((*NIGHTLY, "--date", "2024-03-01", "--end-date", "2024-03-01"), ("--date",))
    yield Bad((*NIGHTLY, "--date", "2024-03-01", "--start-date", "2024-03-01"), ("--date",))
    for command in (INITIAL, NIGHTLY):
        reversed_days = ("--start-date", "2024-03-02", "--end-date", "2024-03-01")
        yield Bad((*command, *reversed_days), ("--start-date", "2024-03-02", "2024-03-01"))
    yield Bad(("regenerate", "--start-date", "2024-02-02", "--end-date", "2024-02-01"),
              ("--start-date", "2024-02-02"))  # fmt: skip
    yield Bad((*NIGHTLY, "--date", "2023-12-31"), ("2023-12-31", "begins on 2024-01-30"))
    for end in ("2024-01-30", "2024-03-01"):
        yield Bad((*NIGHTLY, "--start-date", "2024-01-29", "--end-date", end),
                  ("2024-01-29", "begins on 2024-01-30"))  # fmt: skip
    yield Bad((*INITIAL, "--start-date", "2024-01-01", "--end-date", "2024-01-02"),
              ("there is a world already", "--incremental", "--replace"))  # fmt: skip
    yield Bad((*NIGHTLY, "--seed", "7", "--date", "2024-03-01"), ("seed", "42", "7"))
    yield Bad(("--incremental", "--date", "2024-03-01"), ("-f", "no terminal"))
    yield Bad(("regenerate", "--start-date", "2030-01-01", "--end-date", "2030-01-02"),
              ("2030-01-01", "knows 2024-01-30"))  # fmt: skip
    for arguments, word in (
        (("--unknown",), "--unknown"), (("unknown",), "unknown"), (("status", "extra"), "extra"),
        (("--incremental", "--date"), "--date"), (("regenerate",), "--start-date"),
        (("status", "--seed", "1"), "--seed"), (("-x",), "-x"),
        (("--initial", "status"), "--initial"), (("verify", "--format", "csv"), "--format"),
        (("recover", "now"), "now"), (("--initial=yes",), "--initial"),
    ):  # fmt: skip
        yield Bad(arguments, (word,))
    for name, value, word in (
        ("PAYWORLD_SEED", "x", "--seed"), ("PAYWORLD_WORKERS", "many", "--workers"),
        ("PAYWORLD_FORMAT", "xml", "format"), ("PAYWORLD_DATE", "soon", "--date"),
        ("PAYWORLD_CONFIG", "/no/such.yaml", "--config"), ("PAYWORLD_JSON", "perhaps", "--json"),
    ):  # fmt: skip
        words = (word,) if name == "PAYWORLD_JSON" else (word, value)
        yield Bad(("--incremental",), words, environment=((name, value),))


def paths() -> Iterator[Bad]:
    run = (*NIGHTLY, "--date", "2024-03-01")
    for name in ("/no/such.yaml", "no such 'file'.yaml", "a\nb.yaml", "/tmp", "/dev/null/x",  # noqa: S108
                 "x" * 300, ""):  # fmt: skip
        yield Bad((*run, "--config", name), ("--config", repr(name or ".")[:99]))
    for name in ("\udcff.yaml", "a\0b.yaml"):
        yield Bad((*run, "--config", name), ("--config",))
    inside = ("<state>", "<state>/data", "<state>/../state/x/y", "<state>/_replaced")
    for name in inside:
        yield Bad((*run, "--output-dir", name), ("--output-dir", "state folder"))
    for option in ("--output-dir", "--state-dir"):
        yield Bad((*run, option, "a\0b"), (option, "NUL"))
        yield Bad((*run, option, ""), (option, "empty"))
        yield Bad((*run, option, "a\udcffb"), (option[2:].replace("-", "_"), repr("a\udcffb")))
        yield Bad((*run, option, "x" * 300), ("x" * 300, "too long"), code=1)
        yield Bad((*run, option, "/dev/null"), (option, "/dev/null", "not a folder"), code=1)
        yield Bad((*run, option, "/dev/null/x"), ("/dev/null/x", "file stands"), code=1)


def documents() -> Iterator[Bad]:
    run = (*NIGHTLY, "--date", "2024-03-01", "--config", CONFIG)
    bomb = "a: &a [x,x,x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)
    )
    for text, words in (
        ("seed: [1", ("line 1",)), ("seed: 1\n\tworkers: 2", ("line 2",)),
        ("- seed", ("list",)), ("just words", ("str",)), ("7", ("int",)), ("true", ("bool",)),
        ("seed: 1\nseed: 2", ("duplicate key 'seed'", "line 2")),
        ("seasonality:\n  june: 1\n  june: 2", ("duplicate key 'june'",)),
        ("sede: 1", ("sede", "did you mean 'seed'")), ("Seed: 1", ("Seed", "unknown key")),
        ("seasonality: {juni: 1}", ("juni", "june")), ("\"\": 1", ("unknown key",)),
        ("merchant_sizes: {tiny: {}}", ("tiny", "unknown")),
        ("!!python/object/apply:os.system ['touch /tmp/payworld-pwned']", ("line 1",)),
        ("seed: !!python/object/new:os.system [echo]", ("line 1",)),
        ("seed: !!python/name:os.system", ("line 1",)), ("seed: !custom 1", ("line 1",)),
        (bomb, ("anchors and aliases",)), ("a: &x 1\nb: *x", ("anchors and aliases",)),
        ("seasonality: {<<: {june: 1}}", ("plain words",)), ("? [a]\n: 1", ("plain words",)),
        ("seed: " + "[" * 200 + "]" * 200, ("nested too deeply",)),
        ("seed: " + "{a: " * 5000, ("nested too deeply",)),
        ("seed: 1\n---\nseed: 2", ("expected",)), ("seed: 'a", ("line",)), ("%YAML 9.9", ("",)),
        ("seed: \"\\x\"", ("line 1",)), ("seed: @1", ("line 1",)), ("seed: 1 : 2", ("line 1",)),
        ("x" * 4_000_001, ("at most 4,000,000",)), ("- " * 3000, ("nested",)),
    ):  # fmt: skip
        yield Bad(run, words, config=text)
    yield Bad(run, ("--config", "byte 6", "UTF-8"), config=b"seed: \xff\xfe")
    yield Bad(run, ("--config", "UTF-8"), config="seed: 1".encode("utf-16"))
    yield Bad(run, ("YAML",), config=b"seed: 1\0")
    yield Bad(run, ("YAML",), config="seed: 1\x07")


VALUES: dict[str, list[Any]] = {
    "seed": [-1, 1.5, "1", True, None, [], 2**63, 10**40, float("nan")],
    "initial_merchants": [0, -5, 900_001, 1e3, "many", None, float("inf")],
    "monthly_growth_rate": [-0.1, 1.1, "8%", None, float("nan"), float("inf"), True, []],
    "monthly_churn_rate": [-0.1, 2, "0.1", None, -float("inf")],
    "max_new_merchants_per_month": [-1, 100_001, 1.5, "50"],
    "dormant_after_days": [0, 366, 1.5, "a week"],
    "dormancy_churn_multiplier": [-1, 101, "x", float("nan")],
    "weekend_multiplier": [-0.5, 1.5, None, {}],
    "card_store_probability": [-1e-9, 1.0000001, 1e308, "often"],
    "max_stored_cards": [-1, 10_000_001, 2**70, 1.0],
    "card_reuse_range": [[0.2, 0.1], [0.1], [0.1, 0.2, 0.3], [-1, 0.5], 0.1, None, ["a", "b"]],
    "attribute_change_multiplier": [-1, 101, None, "1"],
    "merchant_names": ["one", [""], [5], [None], ["x" * 101], ["=cmd()"], [["a"]], {"a": 1}],
    "format": ["xml", 5, None],
    "workers": [-1, 257, 1.5, "all"],
    "output_dir": ["", 5, None, []],
    "state_dir": ["", 5, None],
    "seasonality": [5, {"june": -1}, {"june": 101}, {"june": "hot"}, {"june": None}, []],
    "merchant_size_distribution": [
        {"small": 0.7, "medium": 0.2, "large": 0.2}, {"small": 1.0}, {"small": -0.1}, {"small": 2},
        5, {"small": float("nan")},
    ],
    "payment_types": [{"online": 0.9}, {"online": "much"}, {"cash": 0.1}],
    "payment_statuses": [{"approved": 0.5}, {"approved": None}],
    "card_type_shares": [{"debit": 1.0}, {"debit": -1}],
    "card_brand_shares": [{"debit": {"visa": 0.9}}, {"debit": {"amex": 0.1}}, {"credit": 1}],
    "transactional_cost_rates": [{"debit": {"visa": 1.5}}, {"debit": {"visa": 0.00001}}],
    "attribute_change_rates": [{"mdr": 2}, {"mdr": -0.1}, {"name": 0.1}],
    "business_hours": [
        {"opens_at": 22, "closes_at": 8}, {"opens_at": 8, "closes_at": 8}, {"opens_at": -1},
        {"closes_at": 25}, {"base_weight": 0}, {"peaks": [{"hour": 25}]}, {"peaks": 5},
    ],
    "merchant_sizes": [
        {"small": {"daily_tx_range": [20, 2]}}, {"small": {"daily_tx_range": [0, 5]}},
        {"small": {"daily_tx_range": [1, 10_001]}}, {"small": {"amount_range": [100, 5]}},
        {"small": {"amount_range": [0.001, 5]}}, {"small": {"amount_range": [5, 2_000_000]}},
        {"small": {"mdr_rate_range": [0.5, 0.1]}}, {"small": {"mdr_rate_range": [0.01, 1.5]}},
        {"small": {"active_days_per_month": 32}}, {"small": {"industries": []}},
        {"small": {"terminals_range": [5, 1]}}, {"small": {"terminals_range": [0, 1]}},
        {"small": {"industries": ["a\nb"]}}, {"small": {"mdr_rate_range": [0.01, float("nan")]}},
    ],
}  # fmt: skip


def leaves(value: Any) -> list[str]:
    """Return the names on the way to the value that is wrong."""
    if isinstance(value, dict) and len(value) == 1:
        name = next(iter(value))
        return [str(name), *leaves(value[name])]
    return []


def values() -> Iterator[Bad]:
    run = (*NIGHTLY, "--date", "2024-03-01", "--config", CONFIG)
    for key, bad in VALUES.items():
        for value in bad:
            text = json.dumps({key: value}).replace("NaN", ".nan").replace("Infinity", ".inf")
            # A shares' sum or an upside-down pair is a matter of the section.
            names = leaves(value)
            yield Bad(run, (key, *names[:1]), config=text)


GROUPS = {
    "dates": dates, "options": options, "combinations": combinations, "paths": paths,
    "documents": documents, "values": values,
}  # fmt: skip


@pytest.fixture(scope="module")
def world(faults: FaultServer, tmp_path_factory: pytest.TempPathFactory) -> Folders:
    return begin(faults, tmp_path_factory.mktemp("bad") / "world")


def fill_in(bad: Bad, world: Folders) -> list[str]:
    config = world.root / "bad.yaml"
    text = bad.config
    config.write_bytes(text if isinstance(text, bytes) else text.encode())
    return [
        argument.replace(CONFIG, str(config)).replace("<state>", str(world.state))
        for argument in bad.arguments
    ]


def run_bad(faults: FaultServer, bad: Bad, world: Folders) -> Ended:
    arguments = fill_in(bad, world)
    folders = {"PAYWORLD_STATE_DIR": str(world.state), "PAYWORLD_OUTPUT_DIR": str(world.output)}
    environment = {**folders, **dict(bad.environment)}
    return faults.run(*arguments, environment=environment, cwd=world.root)


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
def test_bad_input_gets_one_clear_message_and_changes_nothing(
    faults: FaultServer, world: Folders, group: str
) -> None:
    before = contents(world)
    names = {path.name for path in world.root.iterdir()} | {"bad.yaml"}
    failures, tried = [], 0
    for bad in GROUPS[group]():
        tried += 1
        ended = run_bad(faults, bad, world)
        wrong = check_message(ended, bad.code, *bad.words)
        if len(ended.stderr) > 4_000:
            wrong += f" {len(ended.stderr)} characters"
        if ended.stdout:
            wrong += f" stdout: {ended.stdout}"
        if contents(world) != before or {p.name for p in world.root.iterdir()} != names:
            wrong += " the world was touched"
        if wrong:
            failures.append(f"{bad.arguments} {str(bad.config)[:80]!r}: {wrong}")
    assert failures == [], f"{len(failures)} of {tried}"
    assert not Path("/tmp/payworld-pwned").exists()  # noqa: S108


def test_there_are_more_than_two_hundred_cases() -> None:
    assert sum(len(list(make())) for make in GROUPS.values()) > 450


def is_date(text: str) -> bool:
    try:
        parse_date(text, "text")
    except UsageError:
        return False
    return True


@pytest.mark.slow
@settings(max_examples=60)
@given(
    text=st.one_of(
        st.text(max_size=20),
        st.text("0123456789-", min_size=8, max_size=11),
        st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", fullmatch=True),
    ).filter(lambda text: not is_date(text) and "\0" not in text)
)
@example("--help ")
def test_any_text_that_is_no_date_is_refused_as_one(
    faults: FaultServer, world: Folders, text: str
) -> None:
    before = contents(world)
    ended = faults.run(*NIGHTLY, f"--date={text}", *world.options)
    assert check_message(ended, 2, "--date", "YYYY-MM-DD") == ""
    assert contents(world) == before


@pytest.mark.slow
def test_the_program_as_users_start_it_says_the_same(world: Folders) -> None:
    before = contents(world)
    chosen = [bad for make in GROUPS.values() for bad in list(make())[3::31]]
    assert len(chosen) >= 12
    for bad in chosen:
        arguments = fill_in(bad, world)
        if any("\0" in argument for argument in arguments):
            continue
        ended = subprocess.run(
            [str(ROOT / ".venv" / "bin" / "gen"), *arguments],
            env={
                "PAYWORLD_STATE_DIR": str(world.state), "PAYWORLD_OUTPUT_DIR": str(world.output),
                "NO_COLOR": "1", **dict(bad.environment),
            },
            cwd=world.root, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        told = Ended(ended.returncode, ended.stdout, ended.stderr, [], [], 0, 0, 0)
        assert check_message(told, bad.code, *bad.words) == "", bad
        assert contents(world) == before
