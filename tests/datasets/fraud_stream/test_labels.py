import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.datasets.fraud_stream.builders import configured, most_with_a_burst

from payworld.datasets.fraud_stream.api import label_fraud
from payworld.datasets.fraud_stream.catalogs import make_catalogs
from payworld.datasets.fraud_stream.columns import Renderer
from payworld.datasets.fraud_stream.config import FraudConfig, LabelConfig
from payworld.datasets.fraud_stream.draws import draw_origins, draw_payments
from payworld.datasets.fraud_stream.labels import fraud_count, logits, sigmoid, split_count
from payworld.datasets.fraud_stream.plan import GROUP_ROWS, make_plan
from payworld.datasets.fraud_stream.relabel import FraudColumns
from payworld.errors import UsageError
from payworld.randomness import stream


def origins(config: FraudConfig) -> np.ndarray:
    catalogs = make_catalogs(config)
    plan = make_plan(config, catalogs)
    return np.concatenate(
        [
            draw_origins(
                plan,
                catalogs,
                group,
                [draw_payments(plan, catalogs, b) for b in plan.blocks_of(group)],
            )
            for group in range(plan.groups)
        ]
    )


@pytest.mark.parametrize("rows", [1, 2, 3, 9, 100, 16_384, 16_385, 40_000])
@pytest.mark.parametrize("rate", [0.0, 1e-9, 0.0001, 0.003, 0.05, 0.5, 0.97, 1.0])
def test_the_count_is_exact(rows: int, rate: float) -> None:
    origin = origins(configured(total_rows=rows, fraud_rate=rate))
    assert len(origin) == rows
    assert np.count_nonzero(origin) == round(rate * rows)


@given(
    rows=st.integers(1, 40_000),
    rate=st.floats(0, 1),
    seed=st.integers(0, 2**63 - 1),
    factor=st.integers(1, 400),
    window=st.integers(1, 10_000_000),
    share=st.floats(0, 1),
)
def test_the_count_is_exact_whatever_the_bursts(
    rows: int, rate: float, seed: int, factor: int, window: int, share: float
) -> None:
    labels = {"burst_factor": factor, "burst_window_s": window, "burst_share": share}
    config = configured(
        total_rows=rows, fraud_rate=rate, seed=seed, labels=labels, catalog={"num_cards": 50}
    )
    assert np.count_nonzero(origins(config)) == round(rate * rows)


def test_labels_follow_the_model() -> None:
    config = configured(
        total_rows=400_000,
        fraud_rate=0.05,
        labels={"burst_share": 0.0, "night_weight": 2.0},
        catalog={"merchant_zipf_exponent": 0.1, "card_zipf_exponent": 0.1},
    )
    catalogs = make_catalogs(config)
    plan = make_plan(config, catalogs)
    logit = []
    for block in range(plan.blocks):
        part = draw_payments(plan, catalogs, block)
        hours = part.instants // (3_600 * 10**9) % 24
        logit.append(
            logits(
                part.amounts,
                catalogs.merchants.risk[part.merchants],
                catalogs.cards.risk[part.cards],
                (hours >= 22) | (hours < 6),
                config.labels,
            )
        )
    expected = sigmoid(np.concatenate(logit).astype(np.float64) + plan.intercept)
    observed = origins(config) > 0
    assert abs(expected.mean() / 0.05 - 1) < 0.02
    for rows in np.array_split(np.argsort(expected), 10):
        wanted = expected[rows].sum()
        assert abs(observed[rows].sum() - wanted) < 5 * np.sqrt(wanted) + 0.03 * wanted


def test_the_plan_gives_each_row_group_its_share() -> None:
    config = configured(total_rows=10 * GROUP_ROWS + 1_000, fraud_rate=0.02)
    plan = make_plan(config, make_catalogs(config))
    quotas = plan.quotas
    assert quotas.total.sum() == fraud_count(config.total_rows, 0.02)
    assert (quotas.total <= GROUP_ROWS).all()
    assert quotas.total[-1] <= 1_000
    assert (quotas.total[:-1] > 0.5 * quotas.total[:-1].mean()).all()
    assert (quotas.model + quotas.bursts <= quotas.total).all()


def test_a_burst_needs_two_payments() -> None:
    assert split_count(3, LabelConfig()) == (3, 0)
    assert split_count(100, LabelConfig()) == (70, 30)
    assert split_count(100, LabelConfig(burst_factor=1)) == (100, 0)


def own_frame(rows: int, merchants: int = 30, minutes: int = 60_000) -> pl.DataFrame:
    rng = stream(1, "test.label_fraud", block=rows)
    return pl.DataFrame(
        {
            "event_time": pl.Series(rng.integers(0, minutes * 60, rows)).cast(pl.Int64) * 1_000_000,
            "amount": rng.lognormal(3, 1, rows),
            "merchant_id": pl.Series(rng.integers(0, merchants, rows)).cast(pl.String),
            "merchant_risk": rng.random(rows),
            "card_risk": rng.random(rows),
        }
    ).with_columns(pl.col("event_time").cast(pl.Datetime("us")))


@pytest.mark.parametrize("rows", [1, 4, 1_000, 30_000])
@pytest.mark.parametrize("rate", [0.0, 0.001, 0.1, 0.5, 1.0])
def test_labels_a_frame_of_the_callers_own_exactly(rows: int, rate: float) -> None:
    frame = own_frame(rows)
    labelled = label_fraud(frame, rate, explain=True)
    assert labelled["label_fraud"].sum() == round(rate * rows)
    assert labelled.drop("label_fraud", "label_origin").equals(frame)
    assert ((labelled["label_origin"] != "none") == labelled["label_fraud"]).all()
    assert most_with_a_burst(labelled, 1_800) <= 10


def test_labels_an_arrow_table_as_it_does_the_frame() -> None:
    frame = own_frame(5_000)
    table = label_fraud(frame.to_arrow(), 0.02)
    assert isinstance(table, pa.Table)
    assert (
        pl.Series(table["label_fraud"]).to_list()
        == label_fraud(frame, 0.02)["label_fraud"].to_list()
    )
    assert table.column_names == [*frame.columns, "label_fraud"]
    again = label_fraud(table, 0.5)
    assert sum(again["label_fraud"].to_pylist()) == 2_500


def test_risk_amount_and_night_raise_the_chance() -> None:
    frame = label_fraud(own_frame(60_000), 0.02, burst_share=0.0)
    fraud, other = frame.filter("label_fraud"), frame.filter(~pl.col("label_fraud"))
    for name in ("amount", "merchant_risk", "card_risk"):
        assert _mean(fraud[name]) > 1.1 * _mean(other[name])
    night = pl.col("event_time").dt.hour().is_in([22, 23, 0, 1, 2, 3, 4, 5])
    assert _mean(fraud.select(night).to_series()) > 1.5 * _mean(other.select(night).to_series())


def _mean(values: pl.Series) -> float:
    return float(np.mean(values.to_numpy()))


def test_other_names_and_weights_can_be_given() -> None:
    frame = own_frame(2_000).rename({"merchant_id": "shop", "event_time": "at"})
    columns = FraudColumns(merchant="shop", event_time="at")
    one = label_fraud(frame, 0.05, columns=columns, labels={"amount_weight": 50.0}, burst_factor=1)
    cut = frame["amount"].sort(descending=True)[130]
    assert (one.filter("label_fraud")["amount"] > cut).all()
    zone = label_fraud(frame, 0.05, columns=columns, timezone="Asia/Tokyo")
    assert not zone.equals(label_fraud(frame, 0.05, columns=columns))
    assert label_fraud(frame.head(0), 0.5, columns=columns)["label_fraud"].to_list() == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (pl.col("amount").cast(pl.String), "expected numbers"),
        (pl.lit(None, pl.Float64).alias("amount"), "missing values"),
        (-pl.col("amount"), "numbers from 0 to"),
        (pl.col("event_time").cast(pl.String), "expected timestamps"),
    ],
)
def test_unusable_columns_are_named(change: pl.Expr, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        label_fraud(own_frame(10).with_columns(change), 0.1)


def test_a_missing_column_a_rate_and_a_frame_of_no_kind_are_named() -> None:
    with pytest.raises(UsageError, match="merchant_risk"):
        label_fraud(own_frame(10).drop("merchant_risk"), 0.1)
    with pytest.raises(UsageError, match=r"fraud_rate = 1\.5"):
        label_fraud(own_frame(10), 1.5)
    with pytest.raises(UsageError, match="Polars frame or Arrow table"):
        label_fraud([1], 0.1)
    with pytest.raises(UsageError, match="IANA"):
        label_fraud(own_frame(10), 0.1, timezone="Mars/Olympus")


def baseline_scores(train: pl.DataFrame, test: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """Return a naive Bayes score of each column: log-odds of fraud by its value in the past."""
    scores = {}
    prior = float(np.mean(train["label_fraud"].to_numpy()))
    for name in names:
        odds = train.group_by(name).agg(pl.sum("label_fraud").alias("fraud"), pl.len())
        odds = odds.with_columns(
            ((pl.col("fraud") + 20 * prior) / (pl.col("len") + 20) / prior).log().alias("score")
        )
        joined = test.join(odds, on=name, how="left", nulls_equal=True, maintain_order="left")
        scores[name] = joined["score"].fill_null(0.0)
    return pl.DataFrame(scores)


def area(score: np.ndarray, fraud: np.ndarray) -> float:
    """Return the area under the ROC curve (Mann and Whitney's statistic)."""
    ranks = pl.Series(score).rank("average").to_numpy()
    positives = int(fraud.sum())
    below = ranks[fraud].sum() - positives * (positives + 1) / 2
    return float(below / positives / (len(fraud) - positives))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [42, 7])
def test_a_naive_model_finds_fraud_neither_trivial_nor_hopeless(seed: int) -> None:
    config = configured(
        total_rows=1_000_000,
        seed=seed,
        catalog={"num_customers": 50_000, "num_merchants": 5_000, "num_cards": 100_000},
    )
    catalogs = make_catalogs(config)
    plan = make_plan(config, catalogs)
    names = ["event_time", "amount", "local_time_offset", "card_scheme", "merchant_id",
             "merchant_country", "mcc_code", "channel", "device_type", "label_fraud"]  # fmt: skip
    from payworld.datasets.fraud_stream.schema import own_schema

    schema = own_schema()
    fields = tuple(field for field in schema.fields if field.name in names)
    renderer = Renderer(plan, catalogs, schema.model_copy(update={"fields": fields}))
    tables = [renderer.table(renderer.group(number)) for number in range(plan.groups)]
    frame = pl.concat([pl.DataFrame(pl.from_arrow(table)) for table in tables])
    frame = frame.with_columns(
        pl.col("event_time").dt.hour().alias("hour"),
        pl.col("amount").log().mul(4).floor().cast(pl.Int32).alias("size"),
    )
    cut = int(len(frame) * 0.7)
    columns = [name for name in [*names, "hour", "size"] if name not in names[:2] + names[-1:]]
    scores = baseline_scores(frame[:cut], frame[cut:], columns)
    fraud = frame["label_fraud"].to_numpy()[cut:]
    alone = {name: area(scores[name].to_numpy(), fraud) for name in columns}
    alone["amount"] = area(frame["amount"].to_numpy()[cut:], fraud)
    together = area(scores.drop("merchant_id").sum_horizontal().to_numpy(), fraud)
    assert max(alone.values()) < 0.90, alone
    assert 0.75 <= together <= 0.95
    assert together > max(alone.values())
