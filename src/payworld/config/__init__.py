"""The configuration: every knob of the world and of a run, validated and explained."""

from payworld.config.document import parse_document, to_commented_yaml, to_plain_yaml, validate
from payworld.config.model import Config, RunSettings, WorldConfig

__all__ = [
    "Config",
    "RunSettings",
    "WorldConfig",
    "parse_document",
    "to_commented_yaml",
    "to_plain_yaml",
    "validate",
]
