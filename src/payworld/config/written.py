"""A configuration as payworld has written it: every key is there, and nothing is made to fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from payworld.config.problems import problems_of, shortened
from payworld.errors import ConfigError

__all__ = ["read_written"]

M = TypeVar("M", bound=BaseModel)


def read_written(model: type[M], data: Mapping[str, Any], name: str) -> M:
    """Return the model whose dump as JSON the data is; ConfigError names what differs.

    A document of a user need hold only what it changes. This one was written whole: a default
    that stands in for a lost key would be another configuration.
    """
    lacking = [f"{name}.{key}: missing" for key in _lacking(model, data)]
    if lacking:
        raise ConfigError(_told(lacking))
    try:
        found = model.model_validate(data)
    except ValidationError as error:
        problems = [f"{name}.{problem}" for problem in problems_of(model, error)]
        raise ConfigError(_told(problems)) from error
    for key, given, written in _differing(data, found.model_dump(mode="json")):
        raise ConfigError(f"{name}{key} = {shortened(given)}: expected {shortened(written)}")
    return found


def _told(problems: list[str]) -> str:
    more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
    return "; ".join(problems[:3]) + more


def _lacking(model: type[BaseModel], data: Mapping[str, Any]) -> Iterator[str]:
    """Yield the keys of a section and of those in it that the data does not hold."""
    for key, field in model.model_fields.items():
        if key not in data:
            yield key
            continue
        # A list's items are all of one kind.
        items = isinstance(data[key], list)
        kinds = get_args(field.annotation)[:1] if items else (field.annotation,)
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                for at, value in enumerate(data[key] if items else [data[key]]):
                    if isinstance(value, dict):
                        place = f"{key}.{at}" if items else key
                        yield from (f"{place}.{lost}" for lost in _lacking(kind, value))


def _differing(given: Any, written: Any, place: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield the place of each value that is not what would be written, with both."""
    if type(given) is not type(written):
        yield place, given, written
    elif isinstance(written, dict):
        for key, value in written.items():
            yield from _differing(given[key], value, f"{place}.{key}")
    elif isinstance(written, list):
        for at, (one, other) in enumerate(zip(given, written, strict=True)):
            yield from _differing(one, other, f"{place}.{at}")
    elif given != written:
        yield place, given, written
