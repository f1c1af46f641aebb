"""What is wrong with a value, in the words of a document: lists, sections with keys, text."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

__all__ = ["problems_of", "shortened"]

# What the validator says in the words of Python.
_EXPECTED = {
    "tuple_type": "a list",
    "list_type": "a list",
    "model_type": "a section: keys with values",
    "dict_type": "a section: keys with values",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "missing": "a list of {items}",
    "too_short": "a list of at least {items}",
    "too_long": "a list of at most {items}",
    "string_too_short": "text of at least {items}",
    "string_too_long": "text of at most {items}",
}


def shortened(value: Any) -> str:
    """Return a value as it is shown in a message, at most 80 characters.

    >>> shortened("s3://name:secret@lake")
    "'s3://***@lake'"
    """
    # An address may have been given with a password in it.
    shown = value.isoformat() if isinstance(value, date) else repr(value)
    shown = re.sub(r"://.*@", "://***@", shown)
    return shown if len(shown) <= 80 else shown[:77] + "..."


def problems_of(model: type[BaseModel], error: ValidationError) -> list[str]:
    """Return one text for each value that is wrong: its key, the value and what was expected."""
    problems = error.errors(include_url=False)
    return [_explain(model, problem) for problem in problems if not _is_told(problem, problems)]


def _is_told(problem: Mapping[str, Any], problems: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether another problem says it too: of a list's items the last tells of all."""
    place = tuple(problem["loc"])
    if problem["type"] == "too_short":
        # A list counts as too short where its items are wrong.
        return any(
            len(other["loc"]) > len(place) and tuple(other["loc"][: len(place)]) == place
            for other in problems
        )
    if problem["type"] == "missing" and isinstance(place[-1], int):
        return any(
            other["type"] == "missing"
            and tuple(other["loc"][:-1]) == place[:-1]
            and other["loc"][-1] > place[-1]
            for other in problems
        )
    return False


def _known_keys(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Return the keys of the section that a location (without its last part) points to."""
    current: Any = model
    for part in location:
        if isinstance(part, int):
            # A list's items are all of one model.
            current = next(iter(get_args(current)), None)
            continue
        field = current.model_fields.get(part) if hasattr(current, "model_fields") else None
        if field is None:
            return []
        current = field.annotation
    return list(getattr(current, "model_fields", {}))


def _explain(model: type[BaseModel], problem: Mapping[str, Any]) -> str:
    location = tuple(problem["loc"])
    if problem["type"] == "missing" and isinstance(location[-1], int):
        # The list is what is wrong.
        location = location[:-1]
    elif problem["type"] == "missing":
        if len(location) == 1:
            return f"{_name(location)}: missing; give it a value"
        name = _name(location)
        return f"{name}: missing; give it a value or leave its section out for the defaults"
    if problem["type"] == "extra_forbidden":
        known = _known_keys(model, location[:-1])
        near = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(sorted(known))}"
        return f"{_name(location)}: unknown key; {hint}"
    if not location:
        # About several keys, which the message names.
        return _message(problem)
    return f"{_name(location)} = {shortened(problem.get('input'))}: {_message(problem)}"


def _name(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "the document"


def _message(problem: Mapping[str, Any]) -> str:
    expected = _EXPECTED.get(problem["type"])
    if expected is None:
        return str(problem["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    context = problem.get("ctx", {})
    count = context.get("min_length", context.get("max_length"))
    if problem["type"] == "missing":
        count = problem["loc"][-1] + 1
    thing = "character" if problem["type"].startswith("string") else "item"
    items = f"{count:,} {thing}{'' if count == 1 else 's'}" if count else ""
    return "expected " + expected.format(items=items)
