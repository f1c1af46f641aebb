"""YAML documents: read strictly, validated with clear messages, printed with comments."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from payworld.config.problems import problems_of
from payworld.errors import ConfigError

__all__ = ["parse_document", "to_commented_yaml", "to_plain_yaml", "validate"]

MAX_DOCUMENT_BYTES = 4_000_000
MAX_DEPTH = 20

M = TypeVar("M", bound=BaseModel)


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses duplicate keys, anchors and deep nesting."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise self._refusal("anchors and aliases are not allowed")
        if self.depth > MAX_DEPTH:
            raise self._refusal("nested too deeply")
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def _refusal(self, problem: str) -> yaml.composer.ComposerError:
        # PyYAML's stubs leave peek_event untyped.
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        return yaml.composer.ComposerError(None, None, problem, mark)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, OverflowError) as error:
            raise yaml.constructor.ConstructorError(
                None,
                None,
                f"{node.value!r} looks like a date or a number and is none ({error}); text wants "
                "quotes",
                node.start_mark,
            ) from error

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.value == "<<":
                raise yaml.constructor.ConstructorError(
                    None, None, "keys must be plain words", key_node.start_mark
                )
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"duplicate key {key!r}", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


# What YAML 1.2 reads as numbers and PyYAML, which knows YAML 1.1 alone, as text: 1e-3, -.5
# (https://yaml.org/spec/1.2.2/#1032-tag-resolution).
_NUMBER_OF_1_2 = re.compile(
    r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)[eE][-+]?[0-9]+|[-+]\.[0-9]+)\Z"
)


class _PlainDumper(yaml.SafeDumper):
    """SafeDumper that quotes every text that a reader of YAML 1.1 or 1.2 takes for a number."""


for _style in (_StrictLoader, _PlainDumper):
    _style.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER_OF_1_2, list("-+.0123456789"))


def parse_document(text: str, source: str) -> dict[str, Any]:
    """Return the mapping of a YAML document; ConfigError says where and why not."""
    if len(text) > MAX_DOCUMENT_BYTES:
        raise ConfigError(
            f"{source}: {len(text):,} characters; expected at most {MAX_DOCUMENT_BYTES:,}"
        )
    try:
        # _StrictLoader is a SafeLoader.
        data = yaml.load(text, Loader=_StrictLoader)  # noqa: S506
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{source}{where}: {error.problem}; expected plain YAML") from error
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(f"{source}: not readable as YAML: {reason}") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError(
            f"{source}: the document is a {type(data).__name__}; expected keys with values, "
            "one on each line"
        )
    return data


def validate(
    model: type[M],
    data: Mapping[str, Any],
    source: str,
    base: BaseModel | None = None,
    printed_by: str = "gen config",
) -> M:
    """Return the model of the data; ConfigError lists each key, value and expectation.

    What the data does not hold comes from the base, or else from the defaults. `printed_by` is
    the command that prints the whole document.
    """
    try:
        if base is not None:
            return model.model_validate(_overlay_values(base, data))
        return model.model_validate(_overlay(model, data))
    except ValidationError as error:
        lines = "\n  ".join(problems_of(model, error)[:20])
        raise ConfigError(
            f"{source}:\n  {lines}\nCorrect it and run again; `{printed_by}` prints every key "
            "with its range."
        ) from error


def _overlay(model: type[BaseModel], data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data with the defaults of every section that it only holds a part of."""
    merged: dict[str, Any] = dict(data)
    for name, field in model.model_fields.items():
        given = merged.get(name)
        if isinstance(field.default, BaseModel) and isinstance(given, Mapping):
            merged[name] = _overlay_values(field.default, given)
    return merged


def _overlay_values(base: BaseModel, given: Mapping[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {name: getattr(base, name) for name in type(base).model_fields}
    for key, value in given.items():
        below = merged.get(key)
        if isinstance(below, BaseModel) and isinstance(value, Mapping):
            merged[key] = _overlay_values(below, value)
        else:
            merged[key] = value
    return merged


def _flow(value: Any) -> str:
    """Return a value in one line, which every reader of YAML 1.1 and 1.2 takes for the same.

    >>> _flow([1e-05, 0.5, "1e-05", {0: 1e16}])
    '[1.0e-05, 0.5, "1e-05", {"0": 1.0e+16}]'
    """
    if isinstance(value, Mapping):
        pairs = [f"{_flow(str(key))}: {_flow(below)}" for key, below in value.items()]
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_flow, value))}]"
    # JSON's scalars are YAML too, and quote every string that needs it.
    text = json.dumps(value, ensure_ascii=False)
    if isinstance(value, float) and "." not in text:
        # YAML 1.1 takes a number with an exponent and no point for text.
        text = text.replace("e", ".0e")
    return text


def _lines(model: BaseModel, indent: str) -> Iterator[str]:
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        comment = f"{indent}# {field.description}" if field.description else ""
        if isinstance(value, BaseModel):
            yield comment
            yield f"{indent}{name}:"
            yield from _lines(value, indent + "  ")
        elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            yield comment
            yield f"{indent}{name}:"
            for item in value:
                yield f"{indent}  - {_flow(item.model_dump(mode='json'))}"
        else:
            yield comment
            yield f"{indent}{name}: {_flow(value)}"


def to_plain_yaml(data: Mapping[str, Any]) -> str:
    """Return plain data as YAML in blocks; `parse_document` reads it back equal."""
    return yaml.dump(data, Dumper=_PlainDumper, sort_keys=False, allow_unicode=True, width=100)


def to_commented_yaml(model: BaseModel, title: str) -> str:
    """Return the whole model as YAML, a comment above each key; it reads back equal."""
    lines = [f"# {title}", *(line for line in _lines(model, "") if line)]
    return "\n".join(lines) + "\n"
