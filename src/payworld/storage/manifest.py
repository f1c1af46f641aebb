"""datapackage.json: the Frictionless Data Package that lists every published file.

An ingest reads it to know which files are there, their schema, rows, bytes and SHA-256.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson

from payworld.errors import ConflictError, StorageError, UsageError
from payworld.schema import SCHEMA_VERSION, TABLES
from payworld.storage.files import read_bytes, replace_file, write_durably
from payworld.storage.schemas.frictionless import DIALECT, frictionless_schema
from payworld.storage.style import FileStyle, is_data_file
from payworld.timeline import Period, iso, parse_date
from payworld.version import __version__
from payworld.world.state import World

__all__ = [
    "MANIFEST",
    "STAGED",
    "SUMMED",
    "Cents",
    "check_same_world",
    "file_entry",
    "publish_manifest",
    "read_manifest",
    "stage_manifest",
    "world_identity",
]

MANIFEST = "datapackage.json"
STAGED = ".datapackage.json.next"

# The sums of a file's payments, in cents: payment_amount, transactional_cost_amount and mdr_amount.
Cents = tuple[int, int, int]
SUMMED = ("payment_amount", "transactional_cost_amount", "mdr_amount", "net_profit")

# Frictionless knows gz; zst is what others would say.
_COMPRESSIONS = {"gzip": "gz", "zstd": "zst"}


def world_identity(world: World) -> dict[str, Any]:
    """Return what tells one world from another: its seed, birth and first configuration."""
    return {
        "seed": world.seed,
        "start_date": iso(world.start_day),
        "configuration_sha256": world.eras[0].config.fingerprint,
    }


def _sums(cents: Cents) -> dict[str, str]:
    amount, cost, mdr = cents
    values = (amount, cost, mdr, mdr - cost)
    return {name: str(Decimal(n).scaleb(-2)) for name, n in zip(SUMMED, values, strict=True)}


def file_entry(
    table: str,
    path: str,
    period: Period,
    run: str,
    rows: int,
    size: int,
    sha256: str,
    cents: Cents | None = None,
) -> dict[str, Any]:
    """Return the resource of a file, without its schema and dialect, which follow from it.

    Payments have the sums of their money, as decimal numbers in text: JSON's own are binary.
    """
    return {
        "name": Path(path).name.partition(".")[0].lower(),
        "table": table,
        "path": path,
        "rows": rows,
        **({} if cents is None else {"sums": _sums(cents)}),
        "bytes": size,
        "hash": f"sha256:{sha256}",
        "period": {"start": iso(period.start), "end": iso(period.end)},
        "run": run,
    }


def _resource(entry: dict[str, Any]) -> dict[str, Any]:
    resource = {"type": "table", **entry, "scheme": "file"}
    style = FileStyle.of(entry["path"])
    if style.format == "csv":
        packed = _COMPRESSIONS.get(style.compression)
        resource |= {
            "format": "csv",
            "mediatype": "text/csv",
            **({"compression": packed} if packed else {}),
            "encoding": "utf-8",
            "dialect": DIALECT,
        }
    else:
        resource |= {"format": "parquet", "mediatype": "application/vnd.apache.parquet"}
    return resource | {"schema": frictionless_schema(TABLES[entry["table"]])}


def _check_resource(resource: dict[str, Any]) -> None:
    name = resource["path"]
    if not isinstance(name, str) or not is_data_file(name):
        raise ValueError(f"path {name!r} is not that of a file that payworld writes")
    for key, kind in (("hash", str), ("rows", int), ("bytes", int)):
        if not isinstance(resource[key], kind):
            raise TypeError(f"{key} of {name} is not of type {kind.__name__}")
    sums = resource.get("sums", {})
    if not isinstance(sums, dict) or not all(isinstance(value, str) for value in sums.values()):
        raise TypeError(f"sums of {name} are not decimal numbers in text")
    if resource["table"] not in TABLES:
        raise ValueError(f"{name} is of no table that payworld writes")
    for end in ("start", "end"):
        parse_date(resource["period"][end], f"period.{end}")


def read_manifest(output_dir: Path) -> dict[str, Any] | None:
    """Return the manifest of a folder, None if there is none; StorageError if it is unreadable."""
    path = output_dir / MANIFEST
    if not path.exists() and not path.is_symlink():
        return None
    try:
        document = orjson.loads(read_bytes(path))
        if not isinstance(document, dict) or not isinstance(document["resources"], list):
            raise TypeError("not a data package")
        for resource in document["resources"]:
            _check_resource(resource)
    except (ValueError, KeyError, TypeError, UsageError) as error:
        raise StorageError(
            f"{str(path)!r} is not a data package that payworld wrote ({error}); restore it, or "
            "move it away: it is then begun anew with the next files"
        ) from error
    return document


def _told(document: dict[str, Any]) -> str:
    other = document.get("world")
    if not isinstance(other, dict):
        return "it does not say which"
    return f"seed {other.get('seed')}, begun on {other.get('start_date')}"


def check_same_world(output_dir: Path, world: World) -> dict[str, Any] | None:
    """Return the folder's manifest; ConflictError if its files belong to another world."""
    document = read_manifest(output_dir)
    if document is not None and document.get("world") != world_identity(world):
        raise ConflictError(
            f"{str(output_dir)!r} holds the files of another world ({_told(document)}); "
            "name another --output-dir"
        )
    return document


def stage_manifest(
    output_dir: Path, world: World, entries: list[dict[str, Any]], anew: bool = False
) -> None:
    """Write the manifest with more files under its work name, durably."""
    document = {} if anew else check_same_world(output_dir, world) or {}
    resources = {resource["path"]: resource for resource in document.get("resources", [])}
    resources |= {entry["path"]: _resource(entry) for entry in entries}
    document = {
        "$schema": "https://datapackage.org/profiles/2.0/datapackage.json",
        "name": "payworld-raw-data",
        "title": "Raw files of a simulated payments aggregator",
        "version": __version__,
        "schema_version": SCHEMA_VERSION,
        "world": world_identity(world),
        "configuration_sha256": world.config.fingerprint,
        "resources": sorted(
            resources.values(), key=lambda item: (item["period"]["start"], item["path"])
        ),
    }
    data = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    write_durably(output_dir / STAGED, data)


def publish_manifest(output_dir: Path) -> None:
    """Give the staged manifest its final name; nothing to do if that was done before."""
    if (output_dir / STAGED).exists():
        replace_file(output_dir / STAGED, output_dir / MANIFEST)
