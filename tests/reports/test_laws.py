"""The laws that `gen verify` checks, on payments in memory: each breach is seen, and only that."""

from datetime import date, datetime, timedelta

import polars as pl
import pytest
from tests.builders import LIVELY_WORLD

from payworld import Simulation
from payworld.engine.replay import rules_by_era
from payworld.reports.laws import PaymentLaws
from payworld.storage.reference import load_reference
from payworld.synthesis.rules import BLOCK
from payworld.timeline import Period

FIRST, LAST = date(2024, 1, 31), date(2024, 2, 1)
PERIOD = Period(FIRST.toordinal(), LAST.toordinal())


@pytest.fixture(scope="module")
def lived() -> tuple[Simulation, pl.DataFrame]:
    """Two days of two blocks of merchants."""
    simulation = Simulation.create(FIRST, **LIVELY_WORLD | {"initial_merchants": BLOCK + 100})
    return simulation, pl.concat([day.transactions() for day in simulation.days(LAST)])


def breaches(
    simulation: Simulation, frame: pl.DataFrame, batch_rows: int = 1 << 20
) -> set[tuple[int, str]]:
    """Return (row from 0, law) of each breach, read in batches."""
    reference = load_reference()
    laws = PaymentLaws(simulation.world, rules_by_era(simulation.world, reference), reference)
    laws.begin_file(PERIOD)
    found = set()
    for at in range(0, len(frame), batch_rows):
        for row, what in laws.check(frame[at : at + batch_rows], PERIOD, 10):
            found.add((at + row, what.partition(": ")[2]))
    return found


def exchanged(frame: pl.DataFrame, one: int, other: int) -> pl.DataFrame:
    """Return the frame with two rows exchanged, but for the payment ids, which follow the rows."""
    order = list(range(len(frame)))
    order[one], order[other] = other, one
    return frame[order].with_columns(frame["payment_id"])


def with_value(frame: pl.DataFrame, row: int, column: str, value: object) -> pl.DataFrame:
    values = pl.Series([value], dtype=frame[column].dtype)
    return frame.with_columns(frame[column].scatter(row, values))


def blocks_of(frame: pl.DataFrame) -> pl.Series:
    return (frame["merchant_id"].str.strip_prefix("M").cast(pl.Int64) - 1) // BLOCK


@pytest.mark.parametrize("batch_rows", [997, 1 << 20])
def test_what_was_generated_keeps_every_law(
    lived: tuple[Simulation, pl.DataFrame], batch_rows: int
) -> None:
    assert breaches(*lived, batch_rows) == set()


@pytest.mark.parametrize("batch_rows", [1, 2, 997, 1 << 20])
def test_a_payment_before_the_one_above_it_is_seen_across_batches_too(
    lived: tuple[Simulation, pl.DataFrame], batch_rows: int
) -> None:
    simulation, frame = lived
    frame = frame.head(2_000)
    times = frame["payment_timestamp"]
    row = next(n for n in range(996, 1_500) if times[n] < times[n + 1])
    # Cards follow rows too: only the times change places.
    swapped = with_value(with_value(frame, row, "payment_timestamp", times[row + 1]),
                         row + 1, "payment_timestamp", times[row])  # fmt: skip
    assert breaches(simulation, swapped, batch_rows) == {
        (row + 1, "the time is before the payment above it")
    }


def test_a_block_before_the_one_above_it_is_seen(lived: tuple[Simulation, pl.DataFrame]) -> None:
    simulation, frame = lived
    edge = int((blocks_of(frame) == 1).arg_max() or 0)
    found = breaches(simulation, exchanged(frame, edge - 1, edge))
    assert (edge, "the payment above it is of a later block of 1,024 merchants") in found
    # A day begins with the first block again, and early in the morning.
    assert blocks_of(frame).is_sorted() is False


@pytest.mark.parametrize(
    ("time", "law"),
    [
        ("07:59:59.999999", True),
        ("22:00:00", True),
        ("00:00:00", True),
        ("21:59:59.999999", False),
        ("08:00:00", False),
    ],
)
def test_business_hours_end_to_the_microsecond(
    lived: tuple[Simulation, pl.DataFrame], time: str, law: bool
) -> None:
    simulation, frame = lived
    instant = datetime.fromisoformat(f"{FIRST}T{time}")
    found = {what for row, what in breaches(simulation, with_value(frame.head(1), 0,
             "payment_timestamp", instant)) if row == 0}  # fmt: skip
    assert ("the time is not in business hours, 08:00 to 22:00" in found) == law


def test_business_hours_are_those_of_the_configuration_in_force() -> None:
    simulation = Simulation.create(FIRST, initial_merchants=30)
    frames = [simulation.step().transactions()]
    simulation.configure({"business_hours": {"opens_at": 10, "closes_at": 20}})
    frames.append(simulation.step().transactions())
    frame = pl.concat(frames)
    assert breaches(simulation, frame) == set()
    second = len(frames[0])
    early = datetime.fromisoformat(f"{LAST}T09:59:59")
    found = breaches(simulation, with_value(frame, second, "payment_timestamp", early))
    assert found == {(second, "the time is not in business hours, 10:00 to 20:00")}


@pytest.mark.parametrize("column", ["payment_lat", "payment_lng"])
@pytest.mark.parametrize("payment_type", ["card_present", "online"])
def test_a_millionth_of_a_degree_is_seen(
    lived: tuple[Simulation, pl.DataFrame], column: str, payment_type: str
) -> None:
    simulation, frame = lived
    row = int((frame["payment_type"] == payment_type).arg_max() or 0)
    moved = frame[column].cast(pl.Float64)[row] + 0.000001
    value = pl.Series([moved]).cast(frame[column].dtype)[0]
    place = "the merchant's" if payment_type == "card_present" else "a buyer's"
    assert breaches(simulation, with_value(frame, row, column, value)) == {
        (row, f"payment_lat and payment_lng are not {place} place")
    }


def test_a_merchant_that_moved_is_paid_at_its_new_place() -> None:
    """Every merchant moves sooner or later; each payment is at the place of its day."""
    keys = LIVELY_WORLD | {"initial_merchants": 60, "attribute_change_multiplier": 60.0}
    simulation = Simulation.create(FIRST, **keys)
    end = FIRST + timedelta(days=20)
    frame = pl.concat([day.transactions() for day in simulation.days(end)])
    moves = pl.concat([pl.Series(batch.change) for batch in simulation.world.versions])
    assert (moves == 5).sum() > 20
    reference = load_reference()
    laws = PaymentLaws(simulation.world, rules_by_era(simulation.world, reference), reference)
    period = Period(FIRST.toordinal(), end.toordinal())
    laws.begin_file(period)
    assert list(laws.check(frame, period, 10)) == []
    # What the laws have seen is what the world knows.
    assert laws.last_paid.tolist() == simulation.world.merchants.last_paid.tolist()
    assert laws.knows_through(period.end)
    assert not laws.knows_through(period.end - 1)
