"""gen schema: every table in every format on stdout, and a clear word where it cannot be."""

import json
from pathlib import Path

import pytest
import yaml
from tests.gen_server import GenServer
from tests.written_tables import NAMES, table_of

from payworld.api import table_schema
from payworld.errors import UsageError
from payworld.schema import WORLD
from payworld.storage.schemas import FORMATS

JSON_FORMATS = ("frictionless", "json-schema", "avro", "iceberg")


@pytest.mark.parametrize("name", NAMES)
def test_every_format_of_a_table_is_the_one_of_the_python_api(server: GenServer, name: str) -> None:
    for form in FORMATS:
        ended = server.run("schema", name, "--as", form)
        assert (ended.code, ended.stderr) == (0, ""), form
        expected = table_schema(name, form)
        found = ended.data if form in JSON_FORMATS else ended.stdout
        assert found == (expected if form in JSON_FORMATS else expected + "\n"), form


@pytest.mark.parametrize("name", NAMES)
def test_the_table_for_people_names_every_column_with_its_meaning(
    server: GenServer, name: str
) -> None:
    ended = server.run("schema", name)
    table = table_of(name)
    lines = ended.stdout.splitlines()
    assert lines[0].endswith(table.description)
    assert lines[2].split() == ["column", "type", "null", "key", "meaning"]
    for line, column in zip(lines[3:], table.columns, strict=True):
        assert line.split()[0] == column.name
        assert column.description.rstrip(".") in line
        assert ("primary" in line) == (column.name in table.primary_key)


def test_lines_keep_to_the_width_that_is_asked_for(server: GenServer) -> None:
    for width in ("100", "80"):
        ended = server.run("schema", environment={"COLUMNS": width})
        assert max(map(len, ended.stdout.splitlines())) <= int(width)
        assert "merchants.merchant_id" in ended.stdout


def test_without_a_table_it_is_the_living_world(server: GenServer) -> None:
    assert server.run("schema").stdout == server.run("schema", "world").stdout
    document = yaml.safe_load(server.run("schema", "--as", "dbt-sources").stdout)
    names = [table["name"] for table in document["sources"][0]["tables"]]
    assert names == [table.name for table in WORLD.tables]
    package = server.run("schema", "--as", "frictionless").data
    assert [resource["name"] for resource in package["resources"]] == names


def test_the_two_tables_of_transactions_are_told_apart(server: GenServer) -> None:
    world = server.run("schema", "transactions", "--as", "avro").data
    finance = server.run("schema", "finance.transactions", "--as", "avro").data
    assert (world["namespace"], finance["namespace"]) == ("payworld.world", "payworld.finance")
    assert "payment_id" in json.dumps(world)
    assert "account_id" in json.dumps(finance)
    whole = server.run("schema", "world.transactions", "--as", "avro").data
    assert whole == world


def test_it_needs_no_world_and_leaves_nothing(server: GenServer, tmp_path: Path) -> None:
    assert server.run("schema", "merchants", "--as", "duckdb", cwd=tmp_path).code == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["cards"], "expected one of merchants, transactions, payments"),
        (["trans"], "did you mean 'transactions'"),
        (["world.cards"], "there is no such table"),
        (["finance.merchants"], "there is no such table"),
        ([""], "there is no such table"),
        (["merchants", "--as", "xml"], "expected one of table, frictionless, json-schema, avro"),
        (["--as", "iceberg"], "name one of world.merchants, world.transactions"),
        (["finance", "--as", "iceberg"], "finance.accounts"),
    ],
)
def test_what_there_is_not_is_refused_with_what_there_is(
    server: GenServer, arguments: list[str], told: str
) -> None:
    ended = server.run("schema", *arguments)
    assert (ended.code, ended.stdout) == (2, "")
    assert told in ended.stderr


def test_a_product_of_one_table_is_said_as_one_of_several(server: GenServer) -> None:
    ddl = server.run("schema", "fraud", "--as", "spark-ddl").stdout
    assert ddl.startswith("CREATE TABLE `payments` (\n")
    assert "CREATE TABLE" not in server.run("schema", "payments", "--as", "spark-ddl").stdout
    for form, of in (("frictionless", "resources"), ("json-schema", "$defs")):
        assert len(server.run("schema", "fraud", "--as", form).data[of]) == 1
    (record,) = server.run("schema", "fraud", "--as", "avro").data
    assert record == server.run("schema", "payments", "--as", "avro").data
    # It has no form for several.
    product = server.run("schema", "fraud", "--as", "iceberg")
    assert product.code == 0
    assert product.stdout == server.run("schema", "payments", "--as", "iceberg").stdout


def test_help_lists_every_format_and_table(server: GenServer) -> None:
    told = " ".join(server.run("schema", "--help").stdout.split())
    assert [form for form in ("table", *FORMATS) if form not in told] == []
    assert [name for name in NAMES if name not in told] == []


def test_the_python_api_refuses_as_the_command_does() -> None:
    with pytest.raises(UsageError, match="no such table"):
        table_schema("cards")
    with pytest.raises(UsageError, match="form = 'xml': expected one of frictionless"):
        table_schema("merchants", "xml")
