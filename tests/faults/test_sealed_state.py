"""A state that was changed and sealed anew: refused where no world could have written it."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.builders import LIVELY_WORLD, STATE, reopened
from tests.faults.driver import FaultServer
from tests.faults.test_damaged_state import altered, refusal, sealed
from tests.faults.worlds import LATER, Case, begin, check_message, contents

from payworld import Simulation
from payworld.storage.state_file import encode_state
from payworld.timeline import FIRST_DATE, LAST_DATE

Document = dict[str, Any]
START = date(2024, 1, 25)


@pytest.fixture(scope="module")
def document() -> Document:
    """A world of two configurations in which everything has happened that can."""
    simulation = Simulation.create(START, **LIVELY_WORLD)
    list(simulation.days(START + timedelta(20)))
    simulation.configure({"weekend_multiplier": 0.5})
    list(simulation.days(START + timedelta(40)))
    read: Document = orjson.loads(encode_state(simulation.world))
    assert refusal(sealed(read)) == ""
    return read


def keys_in(section: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of each key in a configuration, also of lists' items."""
    found = []
    items = section.items() if isinstance(section, dict) else enumerate(section)
    for key, value in items:
        found += [(*path, key)] if isinstance(section, dict) else []
        if isinstance(value, (dict, list)):
            found += keys_in(value, (*path, key))
    return found


def test_a_configuration_without_any_one_of_its_keys_is_refused_by_name(
    document: Document,
) -> None:
    for number in range(2):
        keys = keys_in(document["configuration"][number]["values"])
        assert len(keys) > 100
        for key in keys:
            path = ("configuration", number, "values", *key)
            name = f"configuration[{number}].values.{'.'.join(map(str, key))}: missing"
            assert refusal(sealed(altered(document, path, ...))) == name


def test_an_empty_section_is_no_section_of_defaults(document: Document) -> None:
    values = document["configuration"][0]["values"]
    sections = [key for key, value in values.items() if isinstance(value, dict)]
    assert len(sections) > 8
    for key in sections:
        path = ("configuration", 0, "values", key)
        assert f"values.{key}." in refusal(sealed(altered(document, path, {})))
    message = refusal(sealed(altered(document, ("configuration", 0, "values"), {})))
    assert "values.seed: missing" in message
    assert "and 21 more" in message


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("weekend_multiplier",), 1, "values.weekend_multiplier = 1: expected 1.0"),
        (("merchant_sizes", "small", "churn_multiplier"), 2, "churn_multiplier = 2: expected 2.0"),
        (("business_hours", "peaks", 0, "hour"), 12, "peaks.0.hour = 12: expected 12.0"),
        (("card_reuse_range",), [0, 0.5], "card_reuse_range.0 = 0: expected 0.0"),
        (("colour",), "red", "values.colour: unknown key"),
        (("seed",), "42", "values.seed = '42': expected a whole number"),
    ],
)
def test_a_value_of_the_configuration_is_taken_as_it_is_written_alone(
    document: Document, path: tuple[Any, ...], value: Any, words: str
) -> None:
    assert words in refusal(sealed(altered(document, ("configuration", 0, "values", *path), value)))


OTHERS: dict[str, tuple[tuple[Any, ...], Any, str]] = {
    "no surname": (("name_pools", "surnames"), [], "name_pools.surnames: the list is empty"),
    "an empty word": (("name_pools", "streets", 0), "", "name_pools.streets[0] = '': expected a"),
    "no configuration": (("configuration",), [], "configuration: the list is empty"),
    "more cards than payments": (("card_counter",), 2**62, "card_counter = 4611686018427387904"),
    "no card": (("card_counter",), 0, "card_counter = 0: expected a number from 1 to"),
    "fewer cards than are stored": (("card_counter",), 1, "expected rising numbers from 1 to 1"),
    "no payment": (("total_transactions",), 0, "total_transactions = 0: expected a number from"),
    "endless payments": (("total_transactions",), 2**62, "by the merchants' days"),
    "a month that is none": (("month", "key"), "x", "month.key = 'x': expected '2024-03'"),
    "last month": (("month", "key"), "2024-02", "the month of the last_generated_date"),
    "another first day": (("month", "first_day"), "2024-03-02", "month.first_day = '2024-03-02'"),
    "others active": (("month", "active_at_start"), 7, "month.active_at_start = 7: expected"),
    "an end before its versions": (("last_generated_date",), "2024-02-20", "effective_date = "),
    "an end before the start": (
        ("last_generated_date",), "2024-01-24", "expected a day from 2024-01-25, the start_date"),
    "an earlier start": (
        ("start_date",), "2024-01-24", "configuration[0].from_date = '2024-01-25': expected"),
    "a configuration to come": (
        ("configuration", 1, "from_date"), "2025-01-01", "configuration[1].from_date = "),
    "another number of first merchants": (
        ("configuration", 0, "values", "initial_merchants"), 41, "initial_merchants = 4"),
    "another seed later": (
        ("configuration", 1, "values", "seed"), 43, "values.seed = 43: expected 42 as in"),
    "another seed": (("seed",), 43, "seed = 43: expected 42 as in configuration[0]"),
    "an unknown key": (("colour",), "red", "colour: unknown key"),
    "a key of the month": (("month", "colour"), 1, "month.colour: unknown key"),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_a_head_that_no_world_has_is_refused_by_name(document: Document, name: str) -> None:
    path, value, words = OTHERS[name]
    message = refusal(sealed(altered(document, path, value)))
    assert words in message
    assert "Error" not in message


def life_with(document: Document, change: str, *others: str) -> tuple[str, int]:
    """Return a merchant and the number of its version with a change_type, which follow others."""
    for name, life in document["merchants"].items():
        changes = [version["change_type"] for version in life]
        if change in changes and set(others) <= set(changes):
            return name, changes.index(change)
    raise AssertionError(change)


ROWS: list[tuple[str, str, Any]] = [
    ("phone_change", "merchant_name", "Another"), ("phone_change", "industry", "travel"),
    ("phone_change", "size_category", "gigantic"), ("phone_change", "creation_date", "2024-01-26"),
    ("phone_change", "last_transaction_date", "2024-02-01"),
    ("phone_change", "mdr_rate", "0.9999"), ("phone_change", "email", "sales@m999999.example"),
    ("phone_change", "email", "somebody@example.com"), ("phone_change", "address", "1 Elsewhere"),
    ("phone_change", "phone", "212-867-5309"), ("phone_change", "phone", "x"),
    ("mdr_change", "phone", "000-555-0100"), ("mdr_change", "mdr_rate", "nan"),
    ("mdr_change", "mdr_rate", "0.03"), ("mdr_change", "zip_code", "00000"),
    ("address_change", "city", "Atlantis"), ("address_change", "state", "XX"),
    ("email_change", "status", "churned"), ("email_change", "status", "asleep"),
    ("email_change", "churn_date", "2024-02-09"), ("churn", "status", "active"),
    ("churn", "churn_date", None), ("churn", "churn_date", "2024-02-09"),
    ("email_change", "change_type", "moved"), ("email_change", "change_type", "initial"),
    ("email_change", "effective_date", "2024-01-25"),
    ("email_change", "effective_date", "2024-12-31"), ("email_change", "effective_date", "soon"),
    ("initial", "change_type", "opening"), ("opening", "change_type", "initial"),
    ("opening", "effective_date", "2024-03-03"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "key", "value"), ROWS)
def test_a_version_that_no_world_has_is_refused_by_name(
    document: Document, change: str, key: str, value: Any
) -> None:
    name, row = life_with(document, change)
    message = refusal(sealed(altered(document, ("merchants", name, row, key), value)))
    # Where two values contradict each other, either may be the one that is told of.
    assert key in message or f"{change} changes it" in message or "creation_date" in message
    assert message.startswith("merchants")
    assert "Error" not in message


def test_keys_of_versions_and_cards_are_those_that_are_written(document: Document) -> None:
    first, card = document["merchants"]["M000001"][0], next(iter(document["card_profiles"]))
    for place, row in ((("merchants", "M000001", 0), first),
                       (("card_profiles", card), document["card_profiles"][card])):  # fmt: skip
        name = f"{place[0]}.{place[1]}"
        for key in row:
            message = refusal(sealed(altered(document, (*place, key), ...)))
            assert message == f"{name}.{key}: missing"
            if key in ("type", "issuer", "brand", "bin"):
                assert name in refusal(sealed(altered(document, (*place, key), "another")))
        assert f"{name}.colour: unknown" in refusal(
            sealed(altered(document, (*place, "colour"), 1))
        )


def test_cards_in_another_order_are_refused(document: Document) -> None:
    cards = dict(reversed(document["card_profiles"].items()))
    assert "expected rising numbers" in refusal(sealed({**document, "card_profiles": cards}))


def test_every_command_refuses_a_configuration_with_a_key_less(
    faults: FaultServer, tmp_path: Path
) -> None:
    """It would otherwise be another world that they speak of."""
    folders = begin(faults, tmp_path / "world")
    path = folders.state / STATE
    keys = ("configuration", 0, "values", "initial_merchants")
    path.write_bytes(sealed(altered(orjson.loads(path.read_bytes()), keys, ...)))
    before = contents(folders)
    for command in (LATER, ("status",), ("verify",), ("recover",)):
        ended = Case(faults, folders, command).run(folders)
        words = ("configuration[0].values.initial_merchants: missing", STATE)
        assert check_message(ended, 3, *words) == "", command
        assert contents(folders) == before


WORLDS: list[Document] = [
    {"initial_merchants": 1, "monthly_churn_rate": 1.0, "monthly_growth_rate": 1.0},
    {"initial_merchants": 3, "card_store_probability": 1.0, "max_stored_cards": 1},
    {"initial_merchants": 3, "card_reuse_range": [1.0, 1.0], "weekend_multiplier": 0.0},
    {"initial_merchants": 2, "merchant_sizes": {
        size: {"active_days_per_month": 0.0} for size in ("small", "medium", "large")}},
    {**LIVELY_WORLD, "monthly_churn_rate": 1.0, "max_churned_merchants_per_month": 1000},
    {**LIVELY_WORLD, "attribute_change_multiplier": 100.0},
]  # fmt: skip


@pytest.mark.parametrize("keys", WORLDS)
@pytest.mark.parametrize(
    "start", [date(2024, 1, 31), date(2023, 2, 1), FIRST_DATE, LAST_DATE - timedelta(33)]
)
def test_every_world_that_was_lived_is_taken(keys: Document, start: date) -> None:
    simulation = Simulation.create(start, **keys)
    for number in range(33):
        simulation.step()
        if number in (0, 1, 27, 32):
            again = reopened(simulation)
            assert encode_state(again.world) == encode_state(simulation.world)
        if number in (4, 5):
            simulation.configure({"max_stored_cards": 100 * number, "dormant_after_days": number})
            reopened(simulation)
