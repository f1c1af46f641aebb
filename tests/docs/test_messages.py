"""Troubleshooting quotes messages that the source really has."""

import ast
import re
from functools import cache

import pytest
from tools.make_docs import ROOT

from payworld import errors
from payworld.config import WorldConfig, validate
from payworld.errors import ConfigError

PAGE = ROOT / "docs" / "troubleshooting.md"
# What pydantic says of values, in its own words.
FOREIGN: dict[str, object] = {
    "should be greater than or equal to": 0,
    "should be less than or equal to": 10**9,
}


# Their messages are explained with them.
OTHER_PRODUCTS = re.compile("datasets|finance|fraud|database|thrift|output_file|backends|s3")


def quoted() -> list[str]:
    """Return the messages that the page explains: they stand in bold."""
    return re.findall(r"\*\*`([^`]+)`\*\*", PAGE.read_text(encoding="utf-8"))


@cache
def messages() -> tuple[str, ...]:
    """Return every text of the source, with … for what is filled in."""
    texts = []
    for path in sorted((ROOT / "src" / "payworld").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
            elif isinstance(node, ast.JoinedStr):
                texts.append(_text_of(node))
    return tuple(" ".join(text.split()) for text in texts)


def raised() -> list[str]:
    """Return the messages of the errors that the main product raises, with … for what varies."""
    found = []
    for path in sorted((ROOT / "src" / "payworld").rglob("*.py")):
        if OTHER_PRODUCTS.search(str(path.relative_to(ROOT))):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and ast.unparse(node.func) in errors.__all__
                and node.args
            ):
                text = _text_of(node.args[0])
                # A message that is all parts has its texts elsewhere.
                if len(text.strip("…:'= ")) > 10:
                    found.append(" ".join(text.split()))
    return found


def _text_of(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(str(p.value) if isinstance(p, ast.Constant) else "…" for p in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def pattern_of(fragment: str) -> re.Pattern[str]:
    pieces = [re.escape(piece.strip()) for piece in fragment.split("…") if piece.strip("' :")]
    return re.compile(".*".join(pieces))


def is_in_the_source(fragment: str) -> bool:
    pattern = pattern_of(fragment)
    return any(pattern.search(message) for message in messages())


def test_every_message_of_the_main_product_has_an_entry() -> None:
    patterns = [pattern_of(fragment) for fragment in quoted()]
    missing = [text for text in raised() if not any(p.search(text) for p in patterns)]
    assert len(raised()) > 50
    assert missing == []


@pytest.mark.parametrize("fragment", quoted())
def test_a_quoted_message_is_in_the_source(fragment: str) -> None:
    if fragment in FOREIGN:
        with pytest.raises(ConfigError, match=re.escape(fragment)):
            validate(WorldConfig, {"initial_merchants": FOREIGN[fragment]}, "a test")
    else:
        assert is_in_the_source(fragment)
