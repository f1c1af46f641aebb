"""frictionless takes the schemas of gen schema, and payworld's CSV files by them."""

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.written_tables import Written, table_of

from payworld.reports.tables import find_tables
from payworld.storage.schemas import schema_text


@pytest.fixture
def quiet_frictionless() -> Iterator[None]:
    with warnings.catch_warnings():
        # Its own dependencies warn of each other.
        warnings.simplefilter("ignore")
        yield


@pytest.mark.usefixtures("quiet_frictionless")
def test_frictionless_finds_the_csv_valid_and_a_spoiled_one_not(
    name: str, written: dict[str, Written], tmp_path: Path
) -> None:
    from frictionless import Resource, Schema

    descriptor = json.loads(schema_text(find_tables(name), "frictionless"))
    lines = written[name].csv.read_text(encoding="utf-8").splitlines(keepends=True)[:200]
    (tmp_path / "part.csv").write_text("".join(lines), encoding="utf-8")

    def errors() -> list[Any]:
        schema = Schema.from_descriptor(descriptor)
        resource = Resource(path="part.csv", basepath=str(tmp_path), schema=schema)
        found: list[Any] = resource.validate().flatten(["type", "fieldName"])
        return found

    assert errors() == []
    # The first column is a key, or a part of one: it is required.
    spoiled = lines[1].partition(",")[2]
    (tmp_path / "part.csv").write_text(lines[0] + "," + spoiled, encoding="utf-8")
    assert ["constraint-error", table_of(name).names[0]] in errors()


@pytest.mark.usefixtures("quiet_frictionless")
def test_a_product_is_a_data_package_with_foreign_keys(
    written: dict[str, Written],
) -> None:
    from frictionless import Package

    descriptor = json.loads(schema_text(find_tables("finance"), "frictionless"))
    assert Package.validate_descriptor(descriptor).valid
    # gen finance names its files as the package does.
    folder = str(written["users"].csv.parent)
    report = Package.from_descriptor(descriptor, basepath=folder).validate()
    assert report.valid, report.flatten(["fieldName", "message"])[:3]
    keys = {r["name"]: r["schema"].get("foreignKeys") for r in descriptor["resources"]}
    assert keys["accounts"] == [
        {"fields": ["user_id"], "reference": {"resource": "users", "fields": ["id"]}}
    ]
    world = json.loads(schema_text(find_tables("world"), "frictionless"))
    assert Package.validate_descriptor(world).valid
