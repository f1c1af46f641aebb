"""Programs get one clear error for what they give wrong, and never a traceback of a library."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from payworld import fraud
from payworld.errors import ConflictError, UsageError

CATALOG = pl.DataFrame({"name": ["a", "b"], "weight": [1.0, 3.0]})
CONFIG = fraud.load_config()
DAY: Any = "2024-05-06"
NONE: Any = None
EMPTY: Any = {}
NOON = datetime(2024, 5, 6, 12, tzinfo=UTC)
PAYMENTS = pl.DataFrame(
    {
        "event_time": [datetime(2024, 1, day, tzinfo=UTC) for day in (1, 2, 3)],
        "amount": [1.0, 2.0, 3.0],
        "merchant_id": ["a", "a", "b"],
        "merchant_risk": [0.1, 0.2, 0.3],
        "card_risk": [0.1, 0.2, 0.3],
    }
)


def entities(n: Any = 1, **given: Any) -> Any:
    return fraud.sample_entities(given.pop("catalog", CATALOG), n, **given)


def times(n: Any = 1, start: Any = "2024-01-01", end: Any = "2024-01-02", **given: Any) -> Any:
    return fraud.sample_timestamps(n, start, end, **given)


def labelled(rate: Any = 0.5, **given: Any) -> Any:
    return fraud.label_fraud(PAYMENTS.with_columns(**given.pop("columns", {})), rate, **given)


def generated(**changes: Any) -> Any:
    return next(fraud.generate(fraud.load_config().model_copy(update=changes)))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        *[(lambda n=n: entities(n), "n = ") for n in (-1, 1.5, "3", True, None, 10**30)],
        *[(lambda n=n: times(n), "n = ") for n in (-1, 1.5, "3", None)],
        *[(lambda s=s: entities(seed=s), "seed = ") for s in (-1, "x", 2**63)],
        (lambda: times(seed=-1), "seed = -1"),
        (lambda: labelled(seed=-1), "seed = -1"),
        (lambda: entities(weight="name"), "'name' is String; expected numbers"),
        (lambda: entities(weight="none"), "no such column; expected one of name, weight"),
        (lambda: entities(catalog=CATALOG.head(0)), "at least one of them above 0"),
        (
            lambda: entities(catalog=CATALOG.lazy()),
            "got a LazyFrame; expected a Polars frame or Arrow table: call collect()",
        ),
        (lambda: entities(catalog=CATALOG.to_arrow().to_batches()[0]), "Table.from_batches(["),
        (lambda: entities(catalog=CATALOG.to_pandas()), "pyarrow.Table.from_pandas(frame)"),
        (lambda: times(start=None), "got None for a day"),
        (lambda: times(start="x"), "\n  start = 'x'"),
        (lambda: times(end="x"), "\n  end = 'x'"),
        (lambda: times(end="2023-12-31"), "end = '2023-12-31': start 2024-01-01 is after it"),
        (lambda: times(start=datetime(2024, 1, 1, tzinfo=UTC), timezone="Mars"), "'Mars': unknown"),
        (lambda: times(start=datetime(2024, 1, 1, tzinfo=UTC), timezone=3), "timezone = 3"),
        (lambda: times(timezone="Mars"), "timezone = 'Mars'"),
        (lambda: times(time_components=[]), "a list of 1 to 100 peaks"),
        (lambda: times(weekday_weights={6: 1}), "every day from 2024-01-01 to 2024-01-02"),
        *[(lambda r=r: labelled(r), "fraud_rate = ") for r in (-1, 2, float("nan"), "x", None)],
        (lambda: labelled(labels="x"), "labels is a str"),
        (lambda: labelled(labels={"x": 1}), "x: unknown key"),
        (lambda: labelled(burst_factor=0), "burst_factor = 0"),
        (lambda: labelled(timezone="Mars"), "timezone = 'Mars': unknown"),
        (lambda: labelled(columns={"amount": pl.lit(1e300)}), "'amount': expected numbers from 0"),
        (lambda: labelled(columns={"amount": pl.lit(float("nan"))}), "'amount': expected numbers"),
        (lambda: labelled(columns={"card_risk": pl.lit(1e9)}), "'card_risk': expected numbers"),
        (
            lambda: labelled(columns={"event_time": pl.lit(datetime(1600, 1, 1))}),
            "expected instants from 1900-01-01",
        ),
        (lambda: next(fraud.generate(None)), "config is a NoneType"),  # type: ignore[arg-type]
        (lambda: generated(total_rows=0), "total_rows = 0"),
        (lambda: next(fraud.generate(CONFIG, run_date=DAY)), "run_date = '2024-05-06': expected a"),
        (lambda: next(fraud.generate(CONFIG, run_date=NOON)), "expected a datetime.date"),
        (lambda: fraud.write_catalogs("x", CONFIG, run_date=DAY), "run_date = '2024-05-06': exp"),
        (lambda: fraud.write_catalogs(EMPTY, CONFIG), "folder = {}: expected a path"),
        (lambda: fraud.load_catalogs(NONE), "folder = None: expected a path"),
        (lambda: fraud.load_config(EMPTY), "path = {}: expected a path"),
        (lambda: next(fraud.generate(CONFIG, schema=DAY)), "schema is a str; expected a Fraud"),
        (lambda: generated(fraud_rate=5), "fraud_rate = 5"),
        (lambda: generated(total_row=9, num_workers="many"), "num_workers = 'many'"),
    ],
)
def test_wrong_input_is_named(call: Callable[[], Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        call()
    assert said in str(caught.value)
    assert "`gen config`" not in str(caught.value)


def test_catalogs_that_differ_are_told_with_why_and_in_the_words_of_a_program(
    tmp_path: Path,
) -> None:
    fraud.write_catalogs(tmp_path, CONFIG, run_date=date(2024, 5, 6))
    with pytest.raises(ConflictError) as caught:
        fraud.write_catalogs(tmp_path, CONFIG, run_date=date(2024, 6, 6))
    assert "write elsewhere with folder=" in str(caught.value)
    assert "the month of the last day, after which cards expire" in str(caught.value)
    assert "--out" not in str(caught.value)


def test_the_names_of_columns_are_where_the_message_says() -> None:
    renamed = PAYMENTS.rename({"merchant_id": "shop"})
    with pytest.raises(UsageError, match=r"name it with columns=FraudColumns\(\.\.\.\)"):
        fraud.label_fraud(renamed, 0.5)
    columns = fraud.FraudColumns(merchant="shop")
    assert len(fraud.label_fraud(renamed, 0.5, columns=columns)) == 3


def test_numbers_of_numpy_are_numbers() -> None:
    assert len(entities(np.int64(5), seed=np.int32(3))) == 5
    assert entities(np.int64(5), seed=np.int32(3)).equals(entities(5, seed=3))
    assert labelled(np.float32(1.0))["label_fraud"].all()
    assert len(times(np.int16(7), seed=np.int64(2))) == 7
