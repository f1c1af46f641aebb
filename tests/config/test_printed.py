"""A printed configuration is the same configuration to every reader of YAML 1.1 and 1.2."""

import re

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from payworld.config import Config, parse_document, to_commented_yaml, to_plain_yaml, validate
from payworld.datasets.fraud_stream.config import FraudConfig
from payworld.datasets.fraud_stream.schema import schema_from_text
from payworld.datasets.personal_finance import FinanceConfig
from payworld.errors import ConfigError


class CoreLoader(yaml.SafeLoader):
    """A reader of YAML 1.2: its core schema, https://yaml.org/spec/1.2.2/#103-core-schema."""

    yaml_implicit_resolvers = {}  # noqa: RUF012  # as its base declares it


for tag, pattern, first in (
    ("null", "null|Null|NULL|~|", "nN~"),
    ("bool", "true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", "[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
):
    CoreLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), [*first, ""]
    )


def assert_reads_back_equal(model: BaseModel) -> None:
    text = to_commented_yaml(model, "title")
    expected = model.model_dump(mode="json")
    kind = type(model)
    for read in (
        parse_document(text, "printed"),
        yaml.safe_load(text),
        yaml.load(text, Loader=CoreLoader),  # noqa: S506  # a SafeLoader
    ):
        assert validate(kind, read, "printed") == model
        assert validate(kind, read, "printed").model_dump(mode="json") == expected


def floats(least: float, most: float) -> st.SearchStrategy[float]:
    # Small ones print with an exponent.
    tiny = st.floats(max(least, 0.0), 1e-4)
    return st.floats(least, most) | tiny


shares = floats(0, 1)


@pytest.mark.slow
@settings(max_examples=40)
@given(growth=shares, reuse=st.tuples(shares, shares).map(sorted), factor=floats(0, 100))
def test_the_world_s(growth: float, reuse: list[float], factor: float) -> None:
    given = {
        "monthly_growth_rate": growth,
        "card_reuse_range": reuse,
        "seasonality": {"may": factor},
        "business_hours": {"peaks": [{"hour": 12.0, "weight": factor, "spread_hours": 1.0}]},
    }
    assert_reads_back_equal(validate(Config, given, "drawn"))


@pytest.mark.slow
@settings(max_examples=40)
@given(
    rate=shares,
    weights=st.lists(floats(1e-300, 1e9), min_size=7, max_size=7),
    hours=floats(5e-324, 24),
    effect=floats(-100, 100),
    largest=floats(1e-9, 1e9),
)
def test_the_fraud_stream_s(
    rate: float, weights: list[float], hours: float, effect: float, largest: float
) -> None:
    peak = {"mean_hour": 0.0, "std_hours": hours, "weight": weights[0]}
    given = {
        "fraud_rate": rate,
        "temporal": {"weekday_weights": weights, "time_components": [peak]},
        "feature": {"device_types": {"WEB": weights[1]}, "normal_std": weights[2]},
        "labels": {"amount_weight": effect},
        "catalog": {"max_size_mb": min(largest, 1e6)},
    }
    assert_reads_back_equal(validate(FraudConfig, given, "drawn"))


@pytest.mark.slow
@settings(max_examples=40)
@given(share=floats(0, 0.5), use=st.tuples(shares, shares).map(sorted))
def test_the_finance_data_s(share: float, use: list[float]) -> None:
    given = {"accounts": {"utilisation": use, "overdue_share": share}}
    assert_reads_back_equal(validate(FinanceConfig, given, "drawn"))


class Numbers(BaseModel):
    one: float
    many: tuple[float, ...]
    named: dict[str, float]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_number_at_all(number: float) -> None:
    assert_reads_back_equal(Numbers(one=number, many=(number, -number), named={"a": number}))


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("1e-3", 0.001), ("1E-3", 0.001), ("1.5e3", 1500.0), ("1e3", 1000.0), ("+1e+3", 1000.0),
        ("-2e-1", -0.2), (".5e1", 5.0), ("5.e-1", 0.5), ("-.5", -0.5), ("+.5", 0.5), (".5", 0.5),
        ("1_000.5", 1000.5), ("12", 12),
    ],
)  # fmt: skip
def test_numbers_of_yaml_1_2_are_numbers(written: str, number: float) -> None:
    read = parse_document(f"a: {written}\nb: [{written}]\nc: {{d: {written}}}\n", "f.yaml")
    assert read == {"a": number, "b": [number], "c": {"d": number}}
    assert type(read["a"]) is type(number)


@pytest.mark.parametrize("text", ["1e", "e5", "1e5x", "1e-", ".e1", "1.2.3", "'1e5'", "1e\u0665"])
def test_other_texts_stay_texts(text: str) -> None:
    assert parse_document(f"a: {text}\n", "f.yaml") == {"a": text.strip("'")}


@pytest.mark.parametrize("text", ["1e5", "-.5", "1.5e3", "1e-05", "12", "on", "2024-01-01"])
def test_a_text_that_looks_like_a_number_is_printed_as_a_text(text: str) -> None:
    printed = to_plain_yaml({"a": text, "b": [text]})
    assert parse_document(printed, "f.yaml") == {"a": text, "b": [text]}
    schema = schema_from_text(
        f"version: '1'\nfields: [{{name: amount, alias: '{text}', example: '{text}'}}]\n", "s.yaml"
    )
    assert schema_from_text(schema.to_yaml(), "printed") == schema


def test_a_number_too_large_is_refused() -> None:
    with pytest.raises(ConfigError, match="finite number"):
        validate(FraudConfig, parse_document("fraud_rate: 1e999\n", "f.yaml"), "f.yaml")
