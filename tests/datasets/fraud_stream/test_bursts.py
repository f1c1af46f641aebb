"""Bursts: many frauds at one merchant within a window, and never more than the factor."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.datasets.fraud_stream.builders import configured, frame_of, most_with_a_burst, written

from payworld.datasets.fraud_stream.api import label_fraud
from payworld.datasets.fraud_stream.catalogs import make_catalogs
from payworld.datasets.fraud_stream.draws import draw_origins, draw_payments
from payworld.datasets.fraud_stream.labels import BURST, FILLED, Places, choose_frauds
from payworld.datasets.fraud_stream.plan import GROUP_ROWS, make_plan
from payworld.randomness import stream


def explained(folder: Path, **changes: Any) -> pl.DataFrame:
    """Return the frauds of a stream, with their origin."""
    result = written(folder, explain=True, **changes)
    assert result.labels is not None
    labels = frame_of(result.labels).rename({"origin": "label_origin"})
    joined = frame_of(result.path).filter("label_fraud").join(labels, on="transaction_id")
    assert len(joined) == len(labels) == result.frauds
    return joined


@pytest.mark.parametrize("window", [60, 1_800, 86_400])
@pytest.mark.parametrize("factor", [2, 10])
@pytest.mark.parametrize("rate", [0.003, 0.03])
def test_no_stretch_of_a_windows_length_with_a_burst_holds_more_than_the_factor(
    tmp_path: Path, window: int, factor: int, rate: float
) -> None:
    labels = {"burst_window_s": window, "burst_factor": factor, "burst_share": 0.5}
    frauds = explained(tmp_path, labels=labels, fraud_rate=rate, total_rows=2 * GROUP_ROWS + 30_000)
    assert len(frauds) == round(rate * (2 * GROUP_ROWS + 30_000))
    assert 2 <= most_with_a_burst(frauds, window) <= factor


@pytest.mark.slow
@pytest.mark.parametrize("seed", [42, 7, 123])
def test_the_default_stream_keeps_to_the_factor_and_has_the_share(
    tmp_path: Path, seed: int
) -> None:
    catalog = {"num_customers": 50_000, "num_merchants": 5_000, "num_cards": 100_000}
    frauds = explained(tmp_path, total_rows=1_000_000, seed=seed, catalog=catalog)
    assert len(frauds) == 3_000
    assert (frauds["label_origin"] == "burst").sum() == 900
    assert most_with_a_burst(frauds, 1_800) == 10


@given(
    seed=st.integers(0, 2**32),
    rows=st.integers(1, 600),
    merchants=st.integers(1, 5),
    windows=st.integers(1, 9),
    factor=st.integers(1, 12),
    quotas=st.tuples(st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0, 1)),
)
def test_the_factor_holds_whatever_the_payments(
    seed: int,
    rows: int,
    merchants: int,
    windows: int,
    factor: int,
    quotas: tuple[float, float, float],
) -> None:
    rng = stream(seed, "test.bursts")
    times = np.sort(rng.integers(0, windows * 1_000, rows))
    codes = rng.integers(0, merchants, rows).astype(np.int32)
    is_open = (times >= 500) & (times < windows * 1_000 - 500)
    places = Places(codes, times // 1_000 + 2, is_open, merchants)
    keys = rng.normal(size=rows).astype(np.float32)
    model, bursts = int(quotas[0] * rows), int(quotas[1] * rows)
    total = max(model + bursts, int(quotas[2] * rows))
    origin = choose_frauds(keys, places, (model, bursts, total), factor)
    assert np.count_nonzero(origin) == total
    names = pl.Series(["none", "model", "burst", "filled"])
    frame = pl.DataFrame(
        {
            "merchant_id": codes,
            "event_time": pl.Series(times * 1_000_000_000).cast(pl.Datetime("ns")),
            "label_origin": names.gather(pl.Series(origin)),
        }
    )
    assert is_open[origin == BURST].all()
    # Where nothing else is left, the rest is beside bursts too.
    if not (origin == FILLED).any():
        assert most_with_a_burst(frame, 1_000) <= factor


def test_what_fills_up_is_beside_a_burst_only_where_nothing_else_is_left() -> None:
    places = Places(
        np.zeros(12, np.int32), np.repeat([2, 6, 9], 4), np.repeat([True, False, False], 4), 1
    )
    keys = np.arange(12, 0, -1).astype(np.float32)
    origin = choose_frauds(keys, places, (0, 2, 10), 2)
    assert origin.tolist() == [2, 2, 0, 0, 3, 3, 3, 3, 3, 3, 3, 3]
    more = choose_frauds(keys, places, (0, 2, 11), 2)
    assert more.tolist() == [2, 2, 3, 0, 3, 3, 3, 3, 3, 3, 3, 3]


def test_frames_of_the_callers_own_keep_to_the_factor() -> None:
    rng = stream(5, "test.bursts_frame")
    rows = 20_000
    frame = pl.DataFrame(
        {
            "event_time": pl.Series(rng.integers(0, 40 * 3_600, rows) * 1_000_000_000).cast(
                pl.Datetime("ns")
            ),
            "amount": rng.lognormal(3, 1, rows),
            "merchant_id": rng.integers(0, 40, rows),
            "merchant_risk": rng.random(rows),
            "card_risk": rng.random(rows),
        }
    )
    for factor in (3, 10):
        labelled = label_fraud(frame, 0.02, explain=True, burst_share=0.6, burst_factor=factor)
        assert (labelled["label_origin"] == "burst").sum() > 100
        assert most_with_a_burst(labelled, 1_800) <= factor


def test_bursts_crowd_at_one_merchant_in_their_window() -> None:
    config = configured(total_rows=200_000, fraud_rate=0.01)
    catalogs = make_catalogs(config)
    plan = make_plan(config, catalogs)
    groups = [
        [draw_payments(plan, catalogs, block) for block in plan.blocks_of(group)]
        for group in range(plan.groups)
    ]
    merchants = np.concatenate([block.merchants for blocks in groups for block in blocks])
    instants = np.concatenate([block.instants for blocks in groups for block in blocks])
    origin = np.concatenate(
        [draw_origins(plan, catalogs, group, blocks) for group, blocks in enumerate(groups)]
    )
    assert abs(np.count_nonzero(origin == BURST) / 2_000 - 0.3) < 0.05
    cell = merchants[origin == BURST].astype(np.int64) * 10**6 + (
        instants[origin == BURST] // (1_800 * 10**9) % 10**6
    )
    sizes = np.unique(cell, return_counts=True)[1]
    assert sizes.max() >= 8
    assert np.average(sizes, weights=sizes) > 4
