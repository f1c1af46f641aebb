"""Loads into a real PostgreSQL, which pgserver starts on a local socket."""

import asyncio
import json
import socket
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import asyncpg
import pytest
from sqlalchemy import event, select
from sqlalchemy.engine import Engine
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from payworld.datasets.personal_finance import generate_dataset, write_dataset
from payworld.errors import ConflictError, StorageError
from payworld.storage.database import load, urls
from payworld.storage.database.load import load_data_from_json, load_file
from payworld.storage.database.models import Transaction, User

pgserver = pytest.importorskip("pgserver", reason="pgserver has no wheel for this Python")
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("postgres")]

AS_OF = "2025-11-03"
TABLES = ("users", "accounts", "transactions")


@pytest.fixture(scope="module")
def socket_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("pg")
    server = pgserver.get_server(folder)
    try:
        yield server.get_uri().partition("host=")[2]
    finally:
        server.cleanup()


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


async def query(folder: str, database: str, sql: str) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(user="postgres", database=database, host=folder)
    try:
        found = await connection.fetch(sql)
        # As the file and the models have them.
        return [tuple(str(v) if isinstance(v, UUID) else v for v in row) for row in found]
    finally:
        await connection.close()


@pytest.fixture
def database(socket_folder: str, request: pytest.FixtureRequest) -> Callable[[str], list[Any]]:
    """Make a database for the test; return what queries it."""
    name = "t" + uuid5(NAMESPACE_URL, request.node.name).hex
    run(query(socket_folder, "postgres", f"CREATE DATABASE {name}"))

    def ask(sql: str) -> list[Any]:
        rows: list[Any] = run(query(socket_folder, name, sql))
        return rows

    ask.url = f"postgresql+asyncpg://postgres@/{name}?host={socket_folder}"  # type: ignore[attr-defined]
    return ask


def url(database: Any) -> str:
    return str(database.url)


def make(path: Path, num_users: int = 30, seed: int = 1, file_format: str = "json") -> Path:
    write_dataset(path, num_users, as_of=AS_OF, seed=seed, file_format=file_format)
    return path


def everything(database: Any) -> list[Any]:
    return [database(f"SELECT * FROM {table} ORDER BY id") for table in TABLES]  # noqa: S608


@pytest.mark.parametrize("file_format", ["json", "jsonl", "parquet"])
def test_every_row_arrives(tmp_path: Path, database: Any, file_format: str) -> None:
    counts = load_file(make(tmp_path / "out", file_format=file_format), url(database))
    data = generate_dataset(30, as_of=AS_OF, seed=1)
    assert counts == data["meta"]["counts"]
    users, accounts, transactions = everything(database)
    assert (len(users), len(accounts), len(transactions)) == tuple(counts.values())
    stored = {row[0]: (*row[:2], row[2].isoformat(), *row[3:]) for row in transactions}
    assert stored == {row["id"]: tuple(row.values()) for row in data["transactions"]}
    credit = ("limit", "apr", "min_payment", "is_overdue")
    assert {row[0]: row[8:] for row in accounts} == {
        row["id"]: tuple(row.get(name) for name in credit) for row in data["accounts"]
    }
    indexes = {name for (name,) in database("SELECT indexname FROM pg_indexes")}
    assert indexes >= {
        *("uq_users_email", "ix_accounts_user_id"),
        *("ix_transactions_account_id", "ix_transactions_date"),
    }


def test_fail_replace_and_append(tmp_path: Path, database: Any) -> None:
    first = make(tmp_path / "first.json")
    second = make(tmp_path / "second.json", 20, seed=2)
    one = load_file(first, url(database))
    before = everything(database)
    with pytest.raises(ConflictError, match="already holds 30 users"):
        load_file(second, url(database))
    with pytest.raises(ConflictError, match=r"users\[[0-9]+\]\.id.*has it already"):
        load_file(first, url(database), "append")
    assert everything(database) == before
    two = load_file(second, url(database), "append")
    assert [len(rows) for rows in everything(database)] == [one[t] + two[t] for t in TABLES]
    load_file(first, url(database), "replace")
    assert everything(database) == before


@pytest.mark.parametrize("if_exists", ["replace", "append"])
def test_a_server_that_breaks_off_in_the_middle_changes_nothing(
    tmp_path: Path, database: Any, if_exists: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_file(make(tmp_path / "first.json"), url(database))
    before = everything(database)
    insert, inserted = load._insert, []

    async def insert_and_break(connection: Any, batch: Any) -> None:
        await insert(connection, batch)
        inserted.append(batch.table)
        if batch.table == "transactions":
            driver = (await connection.get_raw_connection()).driver_connection
            driver.terminate()

    monkeypatch.setattr(load, "_insert", insert_and_break)
    with pytest.raises(StorageError, match="nothing was changed"):
        load_file(make(tmp_path / "second.json", 20, seed=2), url(database), if_exists)
    assert inserted == list(TABLES)
    assert everything(database) == before


def test_a_row_that_the_server_refuses_in_the_middle_changes_nothing(
    tmp_path: Path, database: Any
) -> None:
    load_file(make(tmp_path / "first.json"), url(database))
    database("ALTER TABLE transactions ADD CHECK (merchant_name <> 'Alone')")
    data = json.loads(make(tmp_path / "second.json", 20, seed=2).read_text())
    data["transactions"][-1]["merchant_name"] = "Alone"
    (tmp_path / "second.json").write_text(json.dumps(data))
    before = everything(database)
    with pytest.raises(StorageError, match=r"check constraint.*nothing was changed"):
        load_file(tmp_path / "second.json", url(database), "replace")
    assert everything(database) == before


def test_replace_deletes_children_first_with_the_indexes_there(
    tmp_path: Path, database: Any
) -> None:
    load_file(make(tmp_path / "first.json"), url(database))
    statements: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(" ".join(statement.split()))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        load_file(make(tmp_path / "second.json", 20, seed=2), url(database), "replace")
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    changes = [s.split()[:3] for s in statements if s.startswith(("DELETE", "DROP", "CREATE"))]
    assert changes[:3] == [["DELETE", "FROM", table] for table in reversed(TABLES)]
    assert [words[:2] for words in changes[3:]] == [["DROP", "INDEX"]] * 3 + [
        ["CREATE", "INDEX"]
    ] * 3


def test_a_database_that_is_not_there_is_told(tmp_path: Path, database: Any) -> None:
    wrong = url(database).replace("@/", "@/no")
    with pytest.raises(StorageError, match="does not exist"):
        load_file(make(tmp_path / "first.json", 3), wrong)


def test_a_server_that_is_down_is_told_without_the_password(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    wrong = f"postgresql+asyncpg://ann:secret@127.0.0.1:{port}/finance"
    with pytest.raises(StorageError, match=r"cannot be used.*nothing was changed") as caught:
        load_file(make(tmp_path / "first.json", 3), wrong)
    assert "secret" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


def test_a_server_that_is_down_is_told_before_the_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "users.json").write_text("no JSON at all")
    with pytest.raises(StorageError, match="cannot be used"):
        load_file(tmp_path / "users.json", f"postgresql://ann@/finance?host={tmp_path}")


def test_columns_have_the_types_of_what_they_hold(tmp_path: Path, database: Any) -> None:
    load_file(make(tmp_path / "first.json", 3), url(database) + "&sslmode=disable")
    columns = database(
        "SELECT column_name, data_type FROM information_schema.columns "
        "WHERE table_schema = 'public'"
    )
    types = dict(columns)
    assert {types[name] for name in ("id", "user_id", "account_id")} == {"uuid"}
    assert {types[name] for name in ("balance", "limit", "min_payment", "amount")} == {"bigint"}
    assert {types[name] for name in ("created_at", "date")} == {"timestamp without time zone"}
    assert {types[name] for name in ("consent", "is_overdue", "pending")} == {"boolean"}
    assert types["apr"] == "double precision"


def test_tables_with_other_types_are_left_alone(tmp_path: Path, database: Any) -> None:
    load_file(make(tmp_path / "first.json", 3), url(database))
    before = everything(database)
    database("ALTER TABLE transactions ALTER amount TYPE numeric(12, 2)")
    with pytest.raises(ConflictError, match=r"its amount is NUMERIC\(12, 2\), not a whole number"):
        load_file(make(tmp_path / "second.json", 3, seed=2), url(database), "replace")
    assert everything(database) == before


@pytest.mark.parametrize("has_tables", [False, True])
def test_of_two_loads_at_once_one_fills_the_database(
    tmp_path: Path, database: Any, has_tables: bool
) -> None:
    files = [make(tmp_path / f"{seed}.json", 60, seed) for seed in (1, 2)]
    if has_tables:
        load_file(files[0], url(database))
        database("TRUNCATE users, accounts, transactions")

    def attempt(path: Path) -> str:
        try:
            load_file(path, url(database))
        except ConflictError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(2) as pool:
        said = sorted(pool.map(attempt, files))
    assert said[0] == ""
    assert "already holds 60 users" in said[1]
    assert len(database("SELECT id FROM users")) == 60


LOCKS = ["LOCK TABLE users", "SELECT pg_advisory_xact_lock(x'706179776F726C64'::bit(64)::bigint)"]


@pytest.mark.parametrize("bound", ["default", "url"])
@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_of_somebody_else_is_waited_for_but_not_for_ever(
    tmp_path: Path,
    database: Any,
    socket_folder: str,
    lock: str,
    bound: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert urls.WAIT_SECONDS == 10
    path = make(tmp_path / "first.json", 3)
    load_file(path, url(database))
    before = everything(database)
    address = url(database) + ("&timeout=0.2" if bound == "url" else "")
    if bound == "default":
        monkeypatch.setattr("payworld.storage.database.layout.WAIT_SECONDS", 0.2)

    async def work() -> None:
        name = url(database).partition("@/")[2].partition("?")[0]
        other = await asyncpg.connect(user="postgres", database=name, host=socket_folder)
        try:
            async with other.transaction():
                await other.execute(lock)
                await asyncio.to_thread(load_file, path, address, "replace")
        finally:
            await other.close()

    with pytest.raises(StorageError, match=r"lock timeout; nothing was changed\. Another program"):
        run(work())
    assert everything(database) == before


def test_foreign_keys_and_unique_emails_hold(tmp_path: Path, database: Any) -> None:
    load_file(make(tmp_path / "first.json"), url(database))
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        database("UPDATE accounts SET user_id = gen_random_uuid()")
    with pytest.raises(asyncpg.UniqueViolationError):
        database("UPDATE users SET email = 'a@b.example'")


@pytest.mark.parametrize("is_inside", [False, True])
def test_a_session_loads(tmp_path: Path, database: Any, is_inside: bool) -> None:
    path = make(tmp_path / "first.json")
    data = json.loads(path.read_text())

    async def work() -> tuple[Any, ...]:
        engine = create_async_engine(url(database))
        async with AsyncSession(engine) as session:
            if is_inside:
                async with session.begin():
                    counts = await load_data_from_json(session, path)
            else:
                counts = await load_data_from_json(session, path)
            user = await session.get_one(User, data["users"][3]["id"])
            dates = (await session.execute(select(Transaction.date))).scalars().all()
        await engine.dispose()
        return counts, user.email, dates

    counts, email, dates = run(work())
    assert counts == data["meta"]["counts"]
    assert email == data["users"][3]["email"]
    assert sorted(day.isoformat() for day in dates) == [t["date"] for t in data["transactions"]]
