"""Law 7: each configuration value but paths and workers changes the output, and its own part."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.builders import LIVELY_WORLD, Folders, period, pools_once, write_config
from tests.gen_server import GenServer

from payworld import Simulation
from payworld.config import RunSettings, WorldConfig, validate
from payworld.config.model import CARD_TYPES, SIZES
from payworld.randomness import stream
from payworld.schema import MERCHANTS, TRANSACTIONS

START = date(2024, 1, 10)

Path_ = tuple[str | int, ...]


@dataclass(frozen=True)
class Turn:
    """A knob's other value, with the settings under which it can matter."""

    changes: dict[str, Any]
    settings: dict[str, Any] = field(default_factory=dict)
    start: date = START
    days: int = 3


def leaves(data: Any, path: Path_ = ()) -> Iterator[Path_]:
    """Yield the path of every single value; a list of texts is one value."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield from leaves(value, (*path, key))
    elif isinstance(data, list) and data and not isinstance(data[0], str):
        for row, value in enumerate(data):
            yield from leaves(value, (*path, row))
    else:
        yield path


DEFAULTS = WorldConfig().model_dump(mode="json")
LEAVES = list(leaves(DEFAULTS))


def nested(path: Path_, value: Any) -> dict[str, Any]:
    """Return a document that changes one value, with the whole list that it stands in."""
    if not any(isinstance(part, int) for part in path):
        for part in reversed(path):
            value = {part: value}
        return dict(value)
    first = next(row for row, part in enumerate(path) if isinstance(part, int))
    return nested(path[:first], replaced(at(DEFAULTS, path[:first]), path[first:], value))


def at(data: Any, path: Path_) -> Any:
    """Return the value that a path leads to."""
    for part in path:
        data = data[part]
    return data


def replaced(data: Any, path: Path_, value: Any) -> Any:
    if not path:
        return value
    copy: Any = list(data) if isinstance(data, list) else dict(data)
    copy[path[0]] = replaced(copy[path[0]], path[1:], value)
    return copy


MONTHS = list(DEFAULTS["seasonality"])
GROWING = {"monthly_growth_rate": 0.9, "max_new_merchants_per_month": 1_000}
SHRINKING = {"monthly_churn_rate": 0.9, "max_churned_merchants_per_month": 1_000}
SLEEPY = SHRINKING | {
    "merchant_sizes": {size: {"active_days_per_month": 8.0} for size in SIZES},
    "dormant_after_days": 5,
}
EVEN_SIZES = {"merchant_size_distribution": {"small": 0.4, "medium": 0.3, "large": 0.3}}

BY_KEY: dict[str, Turn] = {
    "seed": Turn({"seed": 43}),
    "initial_merchants": Turn({"initial_merchants": 61}),
    "monthly_growth_rate": Turn({"monthly_growth_rate": 0.5}, GROWING, days=12),
    "max_new_merchants_per_month": Turn({"max_new_merchants_per_month": 9}, GROWING, days=12),
    "monthly_churn_rate": Turn({"monthly_churn_rate": 0.4}, SHRINKING, days=12),
    "max_churned_merchants_per_month": Turn(
        {"max_churned_merchants_per_month": 9}, SHRINKING, days=12
    ),
    "dormant_after_days": Turn({"dormant_after_days": 30}, SLEEPY, days=20),
    "dormancy_churn_multiplier": Turn({"dormancy_churn_multiplier": 90.0}, SLEEPY, days=20),
    "merchant_names": Turn({"merchant_names": ["Best Store"]}),
    "weekend_multiplier": Turn({"weekend_multiplier": 0.2}, days=5),
    "card_store_probability": Turn({"card_store_probability": 0.3}),
    "max_stored_cards": Turn({"max_stored_cards": 20}, {"card_store_probability": 0.3}),
    "attribute_change_multiplier": Turn({"attribute_change_multiplier": 30.0}, days=10),
}


def turn_of(path: Path_) -> Turn:
    """Return how to turn a knob so that it can be heard."""
    key, last = path[0], path[-1]
    value = at(DEFAULTS, path)
    if key in BY_KEY:
        return BY_KEY[str(key)]
    if key == "seasonality":
        month = date(2024, MONTHS.index(str(last)) + 1, 10)
        return Turn(nested(path, value * 0.5), start=month, days=2)
    if key == "attribute_change_rates":
        return Turn(nested(path, 0.9), days=12)
    if last == "churn_multiplier":
        return Turn(nested(path, 40.0), SHRINKING | EVEN_SIZES, days=15)
    if key in {"payment_types", "payment_statuses", "card_type_shares", "card_brand_shares"} or (
        key == "merchant_size_distribution"
    ):
        # Shares sum to 1: what one gains, the largest of the others loses, or the next.
        siblings = at(DEFAULTS, path[:-1])
        other = max((name for name in siblings if name != last), key=lambda n: siblings[n])
        step = 0.2 if value < siblings[other] else -0.2
        moved = {**siblings, last: value + step, other: siblings[other] - step}
        return Turn(nested(path[:-1], moved))
    if last == "industries":
        return Turn(nested(path, ["fishing"]), EVEN_SIZES)
    others: dict[tuple[str | int, ...], Any] = {
        ("terminals_range", 0): 2 if value == 1 else value - 1,
        ("terminals_range", 1): value + 3,
        ("business_hours", "opens_at"): 10,
        ("business_hours", "closes_at"): 20,
        ("card_reuse_range", 0): 0.14,
        ("card_reuse_range", 1): 0.3,
    }
    if path[-2:] in others:
        return Turn(nested(path, others[path[-2:]]), EVEN_SIZES)
    if isinstance(value, int) and not isinstance(value, bool):
        return Turn(nested(path, value + 1), EVEN_SIZES)
    # Lower ends go down and upper ends up, so that no range is turned upside down.
    changed = round(value * (1.2 if last == 1 else 0.8), 4 if value < 1 else 2)
    return Turn(nested(path, changed), EVEN_SIZES)


@lru_cache(maxsize=200)
def digest(config: WorldConfig, start: date, days: int) -> str:
    """Return a digest of all that a world writes in its first days."""
    simulation = Simulation.create(start, config)
    found = hashlib.sha256()
    for _ in range(days):
        day = simulation.step()
        for frame in (day.transactions(), day.merchants()):
            found.update(frame.write_csv().encode())
    return found.hexdigest()


@pytest.fixture(autouse=True)
def _quick_birth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("payworld.world.birth.draw_name_pools", pools_once)


@pytest.mark.parametrize("path", LEAVES, ids=lambda path: ".".join(map(str, path)))
def test_each_value_of_the_configuration_changes_the_output(path: Path_) -> None:
    turn = turn_of(path)
    settings = {"initial_merchants": 60} | turn.settings
    before = validate(WorldConfig, settings, "before")
    after = validate(WorldConfig, turn.changes, "after", base=before)
    assert at(before.model_dump(mode="json"), path) != at(after.model_dump(mode="json"), path)
    assert digest(before, turn.start, turn.days) != digest(after, turn.start, turn.days)


def test_a_knob_that_is_not_turned_changes_nothing() -> None:
    """The test above compares something: equal configurations have equal digests."""
    config = WorldConfig(initial_merchants=60)
    again = digest.__wrapped__(WorldConfig(initial_merchants=60), START, 3)
    assert digest(config, START, 3) == again


def test_paths_and_workers_are_all_that_a_run_adds_and_they_change_no_byte(
    server: GenServer, tmp_path: Path
) -> None:
    assert set(RunSettings.model_fields) == {
        "output_dir",
        "state_dir",
        "format",
        "compression",
        "layout",
        "workers",
        "publish",
    }
    config = write_config(tmp_path / "world.yaml", LIVELY_WORLD)
    written = []
    for name, workers in (("a", "1"), ("some where/else", "2")):
        folders = Folders(tmp_path / name)
        ended = server.run(
            *("--initial", *period("2024-02-28", "2024-03-01"), "-f", "-q", "--config", config),
            *("--workers", workers, *folders.options),
            patches={"payworld.engine.run.WORKER_ROWS": 0},
        )
        assert ended.code == 0, ended.stderr
        written.append(folders.digests())
    assert written[0] == written[1]


# What a change may move, and nothing else: every other column keeps its very value.
MONEY = {"transactional_cost_amount", "mdr_amount", "net_profit"}
COST = {"transactional_cost_rate", "transactional_cost_amount", "net_profit"}
CARD = {"card_type", "card_issuer", "card_brand", "card_bin"} | COST
MOVES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "statuses": (
        {"payment_statuses": {"approved": 0.5, "declined": 0.3, "failed": 0.2}},
        {"payment_status"} | MONEY,
    ),
    "types": (
        {
            "payment_types": {
                "card_present": 0.3,
                "online": 0.3,
                "in_app": 0.3,
                "phone_order": 0.1,
            }
        },
        {"payment_type", "terminal_id", "payment_lat", "payment_lng"},
    ),
    "amounts": (
        {"merchant_sizes": {"small": {"amount_range": [7.0, 200.0]}}},
        {"payment_amount"} | MONEY,
    ),
    "terminals": (
        {"merchant_sizes": {"small": {"terminals_range": [5, 9]}}},
        {"terminal_id"},
    ),
    "costs": ({"transactional_cost_rates": {"debit": {"visa": 0.0099}}}, COST),
    "card types": ({"card_type_shares": {"debit": 0.2, "credit": 0.7, "prepaid": 0.1}}, CARD),
    "card brands": ({"card_brand_shares": {"debit": {"visa": 0.4, "mastercard": 0.6}}}, CARD),
    "MDR": (
        {"merchant_sizes": {"small": {"mdr_rate_range": [0.05, 0.06]}}},
        {"mdr_amount", "net_profit", "mdr_rate"},
    ),
    "names": ({"merchant_names": ["Best Store", "Other Store"]}, {"merchant_name"}),
    "industries": (
        {"merchant_sizes": {"small": {"industries": ["fishing"]}}},
        {"industry", "merchant_name"},
    ),
    "reuse": ({"card_reuse_range": [0.3, 0.3]}, {"card_profile_id"} | CARD),
    "stored cards": ({"max_stored_cards": 5}, {"card_profile_id"} | CARD),
    "peaks": (
        {"business_hours": {"peaks": []}},
        # Times alone; with the order in time goes which merchant a row belongs to.
        set(TRANSACTIONS.names) - {"payment_id", "payment_type", "payment_status"},
    ),
}


def written(changes: dict[str, Any]) -> dict[str, pl.Series]:
    """Return every column of a small world's first week, by name."""
    simulation = Simulation.create(START, WorldConfig(initial_merchants=60), **changes)
    days = list(simulation.days(START + timedelta(6)))
    transactions = pl.concat([day.transactions() for day in days])
    merchants = pl.concat([day.merchants() for day in days])
    return {
        **{name: transactions[name] for name in TRANSACTIONS.names if name != "merchant_id"},
        "paid_merchant_id": transactions["merchant_id"],
        **{name: merchants[name] for name in MERCHANTS.names},
    }


@pytest.mark.parametrize("knob", MOVES)
def test_a_knob_moves_its_own_columns_and_no_other(knob: str) -> None:
    changes, allowed = MOVES[knob]
    before, after = written({}), written(changes)
    moved = {name for name in before if not before[name].equals(after[name])}
    if knob == "peaks":
        assert moved <= allowed | {"paid_merchant_id"}
        assert "payment_timestamp" in moved
    else:
        assert moved == allowed


def test_a_new_stream_moves_no_column(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draws of a purpose that is not there yet, in the midst of the day, change nothing."""
    before = written({})
    from payworld.synthesis import transactions

    original = transactions.render_block

    def with_more_draws(*arguments: Any) -> Any:
        stream(42, "a purpose of next year", day=arguments[0].day).random(1_000)
        return original(*arguments)

    monkeypatch.setattr("payworld.api.render_block", with_more_draws)
    after = written({})
    assert all(before[name].equals(after[name]) for name in before)


def test_streams_of_other_purposes_days_blocks_and_seeds_are_others() -> None:
    keys = [
        (seed, purpose, day, block)
        for seed in (0, 1, 2**32, 2**63 - 1)
        for purpose in ("a", "b")
        for day in (0, 1, 738_000)
        for block in (0, 1, 900)
    ]
    drawn = {stream(*key).integers(2**63) for key in keys}
    assert len(drawn) == len(keys)


def test_knobs_of_each_card_type_and_size_are_all_walked() -> None:
    """The walk over the leaves finds the nested ones too."""
    names = {".".join(map(str, path)) for path in LEAVES}
    assert {f"card_type_shares.{name}" for name in CARD_TYPES} <= names
    assert {f"merchant_sizes.{size}.amount_range.1" for size in SIZES} <= names
    assert {f"seasonality.{month}" for month in MONTHS} <= names
    assert len(names) > 90
