"""What gen fraud does: configuration, run, upload, and one clear message if it fails."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from payworld.cli.clock import today
from payworld.cli.output import guarded, print_text, say
from payworld.datasets.fraud_stream.config import FraudConfig, config_from_text, to_yaml
from payworld.datasets.fraud_stream.schema import (
    FraudSchema,
    own_schema,
    own_text,
    schema_from_text,
)
from payworld.errors import ConfigError, LockedError, PayworldError
from payworld.storage.text_files import read_text
from payworld.timeline import parse_date

__all__ = ["Arguments", "run_fraud", "upload_file"]

_LEVELS = ("debug", "info", "warning", "error")
_FORMATS = ("parquet", "csv")
_AWS_FAILED = 2
_LOCKED = 75
# How much of a wrong value a message shows.
_SHOWN = 80
RAW_BUCKET = "RAW_BUCKET"
# From here on the customers' exponent is not that of their payments; the defaults have 0.012.
_MOST_STRAYED = 0.15


@dataclass(frozen=True)
class Arguments:
    """What the command line said; `options` map an option to its key and value."""

    config: Path | None
    options: Mapping[str, tuple[str, Any]]
    json_options: Mapping[str, tuple[str, str | None]]
    schema: Path | None
    run_date: str | None
    file_format: str
    explain_labels: bool
    print_config: bool
    print_schema: bool
    log_level: str
    debug: bool


def _guarded(debug: bool) -> AbstractContextManager[None]:
    """Return the guard with the exit codes of gen fraud: 1, 2 for AWS, or 75 for a lock."""
    from payworld.storage.fraud_s3 import AwsError

    def exit_code(error: PayworldError) -> int:
        if isinstance(error, AwsError):
            return _AWS_FAILED
        return _LOCKED if isinstance(error, LockedError) else 1

    return guarded(
        debug,
        stopped="what is not whole has no name yet",
        resume="run the same command again to go on",
        exit_code=exit_code,
    )


def _choice(value: str, option: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ConfigError(f"{option} = {value!r}: expected one of {', '.join(known)}")
    return value


def _sayer(log_level: str) -> Callable[[str, str], None]:
    """Return what says a message of a level, if the level is wanted."""
    wanted = _LEVELS.index(_choice(log_level, "--log-level", _LEVELS))

    def speak(level: str, message: str) -> None:
        if _LEVELS.index(level) >= wanted:
            say(message)

    return speak


def _parsed(text: str, option: str) -> Any:
    """Return the value of an option's JSON; ConfigError names the option and what is wrong."""

    def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        if len(set(names)) < len(names):
            raise ValueError(f"the same key twice in {', '.join(names)}")
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=distinct)
    except (ValueError, RecursionError) as error:
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
        raise ConfigError(
            f"{option} = {shown!r}: not JSON: {error}; see `gen fraud --help`"
        ) from error


def _overrides(arguments: Arguments) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the options given, nested as in the configuration, and the option of each key."""
    given = {option: pair for option, pair in arguments.options.items() if pair[1] is not None}
    for option, (key, text) in arguments.json_options.items():
        if text is not None:
            given[option] = (key, _parsed(text, option))
    nested: dict[str, Any] = {}
    for key, value in given.values():
        section, _, name = key.rpartition(".")
        (nested.setdefault(section, {}) if section else nested)[name] = value
    return nested, {key: option for option, (key, _) in given.items()}


def _read_config(arguments: Arguments) -> FraudConfig:
    text, source = "", "configuration"
    if arguments.config is not None:
        text, source = read_text(arguments.config, "--config"), str(arguments.config)
    # What the file says wrong is wrong also where an option goes over it.
    config = config_from_text(text, source, {})
    overrides, options = _overrides(arguments)
    if not overrides:
        return config
    try:
        return config_from_text(text, source, overrides)
    except ConfigError as error:
        message = str(error)
        for key, option in options.items():
            # A key that an option set is shown with the option.
            for after in (" = ", "."):
                message = message.replace(f"\n  {key}{after}", f"\n  {option}: {key}{after}")
        raise ConfigError(message) from error


def _read_schema(path: Path | None) -> FraudSchema:
    if path is None:
        return own_schema()
    return schema_from_text(read_text(path, "--schema"), str(path))


def run_fraud(arguments: Arguments) -> None:
    """Write the stream that the arguments ask for, or print its configuration or schema."""
    with _guarded(arguments.debug):
        speak = _sayer(arguments.log_level)
        _choice(arguments.file_format, "--format", _FORMATS)
        config, schema = _read_config(arguments), _read_schema(arguments.schema)
        run_date = today()
        if arguments.run_date is not None:
            run_date = date.fromordinal(parse_date(arguments.run_date, "--run-date"))
        if arguments.print_config:
            print_text(to_yaml(config), nl=False)
        if arguments.print_schema:
            is_own = schema == own_schema()
            print_text(own_text() if is_own else schema.to_yaml(), nl=False)
        if not (arguments.print_config or arguments.print_schema):
            _write(config.dated(run_date), schema, run_date, arguments, speak)


def _write(
    config: FraudConfig,
    schema: FraudSchema,
    run_date: date,
    arguments: Arguments,
    speak: Callable[[str, str], None],
) -> None:
    from payworld.datasets.fraud_stream.run import FraudRun
    from payworld.storage.fraud_s3 import checked_bucket, require_boto3

    if config.s3_upload:
        # Before an hour's work, not after it.
        require_boto3()
        if bucket := os.environ.get(RAW_BUCKET):
            checked_bucket(bucket)
    run = FraudRun(config, schema, run_date, arguments.file_format, arguments.explain_labels)
    result = run.write(lambda message: speak("debug", message))

    def wrote(path: Path) -> str:
        return f"{'already there:' if path in result.untouched else 'wrote'} {path}"

    for path in [*result.catalogs, *([result.labels] if result.labels else [])]:
        speak("info", wrote(path))
    if result.resumed_rows:
        speak("info", f"went on after {result.resumed_rows:,} rows of a run that was stopped")
    speak(
        "info",
        f"{wrote(result.path)}: {result.rows:,} rows, {result.frauds:,} fraud, "
        f"{result.size / 1e6:.1f} MB",
    )
    if result.strayed_share > _MOST_STRAYED:
        speak(
            "warning",
            f"warning: {result.strayed_share:.0%} of the payments are of other customers than "
            f"catalog.customer_zipf_exponent = {config.catalog.customer_zipf_exponent:g} says: a "
            "card has one customer, and cards are too few or more skewed; raise catalog.num_cards, "
            "or lower catalog.card_zipf_exponent",
        )
    if config.s3_upload:
        _upload([*result.catalogs, result.path], speak)


def _upload(paths: list[Path], speak: Callable[[str, str], None]) -> None:
    from payworld.storage.fraud_s3 import AwsError, Uploader

    with Uploader(os.environ.get(RAW_BUCKET)) as uploader:
        for number, path in enumerate(paths):
            speak("debug", f"uploading {path}")
            try:
                print_text(uploader.upload(path))
            except AwsError as error:
                left = ", ".join(str(other) for other in paths[number + 1 :])
                raise AwsError(f"{error}{left and f'; after it, the same for {left}'}") from error


def upload_file(path: Path, log_level: str, debug: bool) -> None:
    """Upload one file of an earlier run and print its s3:// address."""
    with _guarded(debug):
        from payworld.storage.fraud_s3 import require_boto3

        require_boto3()
        _upload([path], _sayer(log_level))
