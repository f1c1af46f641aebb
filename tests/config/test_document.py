"""YAML documents: read strictly, refused with the key, the value and the way out."""

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from payworld.config import Config, WorldConfig, parse_document, to_commented_yaml, validate
from payworld.errors import ConfigError


def parsed(text: str) -> Config:
    return validate(Config, parse_document(text, "world.yaml"), "world.yaml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seed: 1\nseed: 2\n", "line 2, column 1: duplicate key 'seed'"),
        ("merchant_sizes:\n  small: {}\n  small: {}\n", "line 3, column 3: duplicate key 'small'"),
        ("seed: &a 1\ninitial_merchants: *a\n", "anchors and aliases are not allowed"),
        ("seasonality: &s {may: 1.0}\nbusiness_hours: {<<: *s}\n", "world.yaml, line 2"),
        ("seed: !!python/object/apply:os.system [ls]\n", "could not determine a constructor"),
        ("seed: !!binary aGk=\n", "seed = "),
        ("seed: !mine 3\n", "could not determine a constructor"),
        ("? [1, 2]\n: 3\n", "keys must be plain words"),
        ("seed: [1\n", "world.yaml, line 2"),
        ("seed: 1\n\ttab: 2\n", "world.yaml, line 2"),
        ("- 1\n", "the document is a list; expected keys with values"),
        ("hello\n", "the document is a str; expected keys with values"),
        ("a: {b: " + "{c: " * 60 + "1" + "}" * 61, "nested too deeply"),
        ("seed: 1\n---\nseed: 2\n", "expected plain YAML"),
        ("seed: \x07\n", "not readable as YAML"),
        (
            "seed: 1\nworkers: 2024-13-45\n",
            "world.yaml, line 2, column 10: '2024-13-45' looks like a date or a number and is none",
        ),
        (
            "merchant_names:\n  - 2024-02-30\n",
            "world.yaml, line 2, column 5: '2024-02-30' looks like a date or a number and is none",
        ),
        (
            "seed: 2024-01-01T99:00:00\n",
            "world.yaml, line 1, column 7: '2024-01-01T99:00:00' looks like a date",
        ),
    ],
)
def test_a_document_that_is_not_plain_yaml_is_refused_with_its_place(
    text: str, expected: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        parsed(text)
    assert expected in str(refused.value)


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n", "---\n", "null\n", "{}\n"])
def test_an_empty_document_is_the_defaults(text: str) -> None:
    assert parsed(text) == Config()


def test_a_document_that_is_too_long_is_refused_before_it_is_read() -> None:
    with pytest.raises(ConfigError, match="expected at most 4,000,000"):
        parse_document("#" * 4_000_001, "world.yaml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "initial_merchant: 5\n",
            "initial_merchant: unknown key; did you mean 'initial_merchants'",
        ),
        ("seasonality: {Januar: 1.0}\n", "seasonality.Januar: unknown key; did you mean 'january'"),
        ("merchant_sizes: {small: {amount_rang: [1, 2]}}\n", "did you mean 'amount_range'"),
        ("xyzzy: 1\n", "xyzzy: unknown key; known keys: "),
        ("merchant_sizes: {tiny: {}}\n", "merchant_sizes.tiny: unknown key"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_known_one(text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parsed(text)
    assert expected in str(refused.value)
    assert "gen config" in str(refused.value)


WRONG = [
    ("seed", -1), ("seed", 2**63), ("seed", 1.0), ("seed", "42"), ("seed", True), ("seed", None),
    ("initial_merchants", 0), ("initial_merchants", 900_001), ("initial_merchants", 10.5),
    ("monthly_growth_rate", -0.01), ("monthly_growth_rate", 1.01),
    ("monthly_growth_rate", float("nan")), ("monthly_growth_rate", float("inf")),
    ("monthly_growth_rate", "0.1"), ("monthly_churn_rate", 2), ("monthly_churn_rate", -1e-9),
    ("max_new_merchants_per_month", -1), ("max_new_merchants_per_month", 100_001),
    ("max_churned_merchants_per_month", -1), ("dormant_after_days", 0),
    ("dormancy_churn_multiplier", -1.0), ("dormancy_churn_multiplier", float("nan")),
    ("weekend_multiplier", 1.5), ("card_store_probability", 1.5),
    ("card_reuse_range", [0.15, 0.05]), ("card_reuse_range", [0.1]),
    ("card_reuse_range", [0.1, 0.2, 0.3]), ("card_reuse_range", [0.1, float("nan")]),
    ("max_stored_cards", -1), ("attribute_change_multiplier", 101.0),
    ("attribute_change_rates", {"mdr": 1.5}),
    ("attribute_change_rates", {"mdr": 1.0, "phone": 1.0}, {"attribute_change_multiplier": 20.0}),
    ("merchant_size_distribution", {"small": 0.7, "medium": 0.25, "large": 0.25}),
    ("merchant_size_distribution", {"small": 0.5}),
    ("payment_types", {"card_present": 0.9}), ("payment_statuses", {"approved": 0.0}),
    ("card_type_shares", {"debit": 0.1}), ("card_brand_shares", {"debit": {"visa": 0.5}}),
    ("card_brand_shares", {"debit": {"amex": 0.1}}),
    ("transactional_cost_rates", {"debit": {"visa": 0.00505}}),
    ("seasonality", {"may": -0.1}), ("seasonality", {"may": float("inf")}),
    ("business_hours", {"opens_at": 22}), ("business_hours", {"closes_at": 25}),
    ("business_hours", {"opens_at": 8.5}), ("business_hours", {"base_weight": 0.0}),
    ("business_hours", {"peaks": [{"hour": 12.0}]}),
    ("merchant_sizes", {"small": {"daily_tx_range": [20, 2]}}),
    ("merchant_sizes", {"small": {"daily_tx_range": [0, 2]}}),
    ("merchant_sizes", {"small": {"daily_tx_range": [1, 10_001]}}),
    ("merchant_sizes", {"small": {"amount_range": [100.0, 5.0]}}),
    ("merchant_sizes", {"small": {"amount_range": [0.0, 5.0]}}),
    ("merchant_sizes", {"small": {"amount_range": [5.001, 10.0]}}),
    ("merchant_sizes", {"small": {"mdr_rate_range": [0.03, 1.5]}}),
    ("merchant_sizes", {"small": {"mdr_rate_range": [0.03005, 0.04]}}),
    ("merchant_sizes", {"small": {"active_days_per_month": 31.5}}),
    ("merchant_sizes", {"small": {"churn_multiplier": -0.1}}),
    ("merchant_sizes", {"small": {"terminals_range": [0, 2]}}),
    ("merchant_sizes", {"small": {"terminals_range": [5, 2]}}),
    ("merchant_sizes", {"small": {"industries": []}}),
    ("merchant_sizes", {"small": {"industries": ["="]}}),
    ("merchant_names", [""]), ("merchant_names", ["=SUM(A1)"]), ("merchant_names", ["a\nb"]),
    ("merchant_names", [" padded"]), ("merchant_names", ["NULL"]), ("merchant_names", ["12345"]),
    ("merchant_names", [7]), ("merchant_names", "Best Store"),
    ("format", "xlsx"), ("workers", -1), ("workers", 257), ("output_dir", ""), ("state_dir", 7),
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=lambda case: f"{case[0]}={case[1]}"[:60])
def test_a_value_out_of_range_or_of_another_kind_is_refused_and_its_key_named(
    wrong: tuple[Any, ...],
) -> None:
    key, value, *more = wrong
    with pytest.raises(ConfigError) as refused:
        validate(Config, {key: value, **(more[0] if more else {})}, "world.yaml")
    message = str(refused.value)
    assert message.startswith("world.yaml:")
    if not more:
        assert key in message
    assert "gen config" in message


IN_THE_WORDS_OF_YAML = [
    ("merchant_sizes: {small: 5}",
     "merchant_sizes.small = 5: expected a section: keys with values"),
    ("merchant_sizes: []", "merchant_sizes = []: expected a section: keys with values"),
    ("business_hours: {peaks: [5]}",
     "business_hours.peaks.0 = 5: expected a section: keys with values"),
    ("card_reuse_range: 0.1", "card_reuse_range = 0.1: expected a list"),
    ("card_reuse_range: []", "card_reuse_range = []: expected a list of 2 items"),
    ("card_reuse_range: [0.1]", "card_reuse_range = [0.1]: expected a list of 2 items"),
    ("card_reuse_range: [1, 2, 3]",
     "card_reuse_range = [1, 2, 3]: expected a list of at most 2 items"),
    ("merchant_names: {a: 1}", "merchant_names = {'a': 1}: expected a list"),
    ("merchant_names: [5]", "merchant_names.0 = 5: expected text"),
    ("merchant_sizes: {small: {industries: []}}",
     "merchant_sizes.small.industries = []: expected a list of at least 1 item"),
    ("merchant_sizes: {small: {industries: [x, ' y']}}",
     "merchant_sizes.small.industries.1 = ' y': must not be empty or begin or end with white "
     "space"),
    ("merchant_sizes: {small: {industries: ['=']}}",
     "merchant_sizes.small.industries.0 = '=': must not begin with '=': spreadsheets would run it "
     "as a formula"),
    ("seed: many", "seed = 'many': expected a whole number"),
    ("merchant_names: [2024-01-01]", "merchant_names.0 = 2024-01-01: expected text"),
    ("weekend_multiplier: null", "weekend_multiplier = None: expected a number"),
    ("weekend_multiplier: .nan", "weekend_multiplier = nan: expected a finite number"),
    ("output_dir: ''", "output_dir = '': expected text of at least 1 character"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), IN_THE_WORDS_OF_YAML)
def test_a_wrong_value_is_told_of_once_in_the_words_of_yaml(text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parsed(text)
    assert str(refused.value).splitlines()[1:-1] == [f"  {expected}"]


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        validate(Config, {"seed": -1, "initial_merchants": 0, "colour": "red"}, "world.yaml")
    message = str(refused.value)
    assert all(key in message for key in ("seed = -1", "initial_merchants = 0", "colour"))


def test_a_document_need_hold_only_what_it_changes_also_in_sections() -> None:
    config = parsed("merchant_sizes: {small: {daily_tx_range: [1, 3]}}\nseasonality: {may: 2.0}\n")
    default = Config()
    assert config.merchant_sizes.small.daily_tx_range == (1, 3)
    assert config.merchant_sizes.small.amount_range == (5.0, 100.0)
    assert config.merchant_sizes.medium == default.merchant_sizes.medium
    assert config.seasonality.factors[4] == 2.0
    assert config.seasonality.factors[5:] == default.seasonality.factors[5:]


def test_what_is_left_out_comes_from_the_base_if_there_is_one() -> None:
    base = WorldConfig(seed=7, initial_merchants=9)
    config = validate(WorldConfig, {"initial_merchants": 10}, "options", base=base)
    assert (config.seed, config.initial_merchants) == (7, 10)


words = st.text(st.characters(categories=["L"]), min_size=1, max_size=20).filter(
    lambda word: word.lower() not in {"nan", "null", "none", "na", "inf", "infinity", "true"}
)
shares = st.floats(0, 1)


@pytest.mark.slow
@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**63 - 1),
    rate=shares,
    reuse=st.tuples(shares, shares).map(sorted),
    factor=st.floats(0, 100),
    names=st.lists(words, max_size=3),
)
def test_what_is_printed_reads_back_equal(
    seed: int, rate: float, reuse: list[float], factor: float, names: list[str]
) -> None:
    config = validate(
        Config,
        {
            "seed": seed,
            "monthly_growth_rate": rate,
            "card_reuse_range": reuse,
            "seasonality": {"may": factor},
            "merchant_names": names,
        },
        "drawn",
    )
    text = to_commented_yaml(config, "title")
    assert parsed(text) == config
    # It is YAML to others too.
    assert yaml.safe_load(text)["seed"] == seed


@given(st.text(max_size=200))
def test_any_text_at_all_is_read_or_refused_with_one_clear_message(text: str) -> None:
    message = "world.yaml"
    try:
        parsed(text)
    except ConfigError as refused:
        message = str(refused)
    assert message.startswith("world.yaml")
