"""Loads into real SQLite: everything or nothing, and the counts of the file."""

import asyncio
import json
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import event, func, select, text
from sqlalchemy.engine import Engine
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, selectinload

from payworld.datasets.personal_finance import generate_dataset, write_dataset
from payworld.errors import ConflictError, MissingExtraError, StorageError, UsageError
from payworld.storage.database import engine as engine_module
from payworld.storage.database import load as load_module
from payworld.storage.database.load import check_driver, load_data_from_json, load_file
from payworld.storage.database.models import Account, Transaction, User
from payworld.storage.database.readers import open_source

AS_OF = "2025-11-03"
TABLES = ("users", "accounts", "transactions")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "db" / "payworld.db"


def url(database: Path) -> str:
    return f"sqlite+aiosqlite:///{database}"


def make(path: Path, num_users: int = 30, seed: int = 1, file_format: str = "json") -> Path:
    write_dataset(path, num_users, as_of=AS_OF, seed=seed, file_format=file_format)
    return path


def rows(database: Path, table: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(database)
    try:
        return connection.execute(f"SELECT * FROM {table} ORDER BY id").fetchall()  # noqa: S608
    finally:
        connection.close()


def everything(database: Path) -> dict[str, list[tuple[Any, ...]]]:
    return {table: rows(database, table) for table in TABLES}


@pytest.mark.parametrize("file_format", ["json", "jsonl", "csv", "parquet"])
def test_every_format_loads_the_same_rows(tmp_path: Path, database: Path, file_format: str) -> None:
    path = make(tmp_path / f"out.{file_format}", file_format=file_format)
    data = generate_dataset(30, as_of=AS_OF, seed=1)
    counts = load_file(path, url(database))
    assert counts == data["meta"]["counts"] == {t: len(rows(database, t)) for t in TABLES}
    stored = {row[0]: row for row in rows(database, "transactions")}
    for row in data["transactions"]:
        date = row["date"].replace("T", " ") + ".000000"
        assert stored[row["id"]] == (
            *(row["id"], row["account_id"], date, row["amount"]),
            *(row["category"], row["merchant_name"], row["pending"]),
        )
    accounts = {row[0]: row for row in rows(database, "accounts")}
    credit = ("limit", "apr", "min_payment", "is_overdue")
    for row in data["accounts"]:
        assert accounts[row["id"]][8:] == tuple(row.get(name) for name in credit)
        assert accounts[row["id"]][1:8] == tuple(list(row.values())[1:8])


def test_keys_and_indexes_are_there(tmp_path: Path, database: Path) -> None:
    load_file(make(tmp_path / "users.json"), url(database))
    connection = sqlite3.connect(database)
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    assert names >= {"ix_accounts_user_id", "ix_transactions_account_id", "ix_transactions_date"}
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    (schema,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'users'").fetchone()
    assert "UNIQUE (email)" in schema
    connection.close()


def test_loading_twice_with_fail_says_so_and_changes_nothing(
    tmp_path: Path, database: Path
) -> None:
    path = make(tmp_path / "users.json")
    load_file(path, url(database))
    before = everything(database)
    with pytest.raises(ConflictError, match=r"already holds 30 users.*--if-exists"):
        load_file(make(tmp_path / "others.json", seed=2), url(database))
    assert everything(database) == before


def test_replace_swaps_everything(tmp_path: Path, database: Path) -> None:
    load_file(make(tmp_path / "users.json"), url(database))
    counts = load_file(make(tmp_path / "others.json", 20, seed=2), url(database), "replace")
    assert counts["users"] == 20
    assert {t: len(rows(database, t)) for t in TABLES} == counts
    ids = {user["id"] for user in generate_dataset(20, as_of=AS_OF, seed=2)["users"]}
    assert {row[0] for row in rows(database, "users")} == ids


def statements_of(work: Callable[[], object]) -> list[str]:
    """Return the statements that SQLAlchemy sends in the course of a work."""
    statements: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(" ".join(statement.split()))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        work()
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    return statements


def test_replace_deletes_children_first_with_the_indexes_there(
    tmp_path: Path, database: Path
) -> None:
    load_file(make(tmp_path / "users.json"), url(database))
    connection = sqlite3.connect(database)
    # Somebody dropped one: it is there again before the first row goes.
    connection.execute("DROP INDEX ix_transactions_account_id")
    connection.close()
    statements = statements_of(
        lambda: load_file(make(tmp_path / "others.json", 20, seed=2), url(database), "replace")
    )
    changes = [s for s in statements if s.startswith(("DELETE", "DROP", "CREATE"))]
    assert changes == [
        "CREATE INDEX ix_transactions_account_id ON transactions (account_id)",
        "DELETE FROM transactions",
        "DELETE FROM accounts",
        "DELETE FROM users",
        "DROP INDEX ix_accounts_user_id",
        "DROP INDEX ix_transactions_account_id",
        "DROP INDEX ix_transactions_date",
        "CREATE INDEX ix_accounts_user_id ON accounts (user_id)",
        "CREATE INDEX ix_transactions_account_id ON transactions (account_id)",
        "CREATE INDEX ix_transactions_date ON transactions (date)",
    ]


def test_append_adds_to_what_is_there(tmp_path: Path, database: Path) -> None:
    first = load_file(make(tmp_path / "users.json"), url(database))
    second = load_file(make(tmp_path / "others.json", 20, seed=2), url(database), "append")
    assert {t: len(rows(database, t)) for t in TABLES} == {t: first[t] + second[t] for t in TABLES}


@pytest.mark.parametrize("table", TABLES)
def test_append_refuses_ids_that_are_there(tmp_path: Path, database: Path, table: str) -> None:
    old = json.loads(make(tmp_path / "users.json").read_text())
    load_file(tmp_path / "users.json", url(database))
    new = json.loads(make(tmp_path / "others.json", 20, seed=2).read_text())
    new[table][3] = rewire(new, table, new[table][3], old[table][5]["id"])
    (tmp_path / "new.json").write_text(json.dumps(new))
    before = everything(database)
    with pytest.raises(ConflictError, match=rf"{table}\[3\]\.id.*has it already"):
        load_file(tmp_path / "new.json", url(database), "append")
    assert everything(database) == before


def rewire(data: dict[str, Any], table: str, row: dict[str, Any], new: str) -> dict[str, Any]:
    """Return a record under another id, with its children moved along."""
    child, field = {
        "users": ("accounts", "user_id"),
        "accounts": ("transactions", "account_id"),
        "transactions": ("transactions", ""),
    }[table]
    for other in data[child]:
        if field and other[field] == row["id"]:
            other[field] = new
    return row | {"id": new}


def test_append_refuses_emails_that_are_there(tmp_path: Path, database: Path) -> None:
    old = json.loads(make(tmp_path / "users.json").read_text())
    load_file(tmp_path / "users.json", url(database))
    new = json.loads(make(tmp_path / "others.json", 20, seed=2).read_text())
    new["users"][4]["email"] = old["users"][5]["email"]
    (tmp_path / "new.json").write_text(json.dumps(new))
    before = everything(database)
    with pytest.raises(ConflictError, match=r"users\[4\]\.email.*has it already"):
        load_file(tmp_path / "new.json", url(database), "append")
    assert everything(database) == before


def test_of_several_ids_that_are_there_the_first_is_named(tmp_path: Path, database: Path) -> None:
    path = make(tmp_path / "users.json")
    load_file(path, url(database))
    with pytest.raises(ConflictError, match=r"users\[0\]\.id.*has it already"):
        load_file(path, url(database), "append")


@pytest.fixture
def small_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let SQLite run out of space in the middle of the transactions."""
    prepare = engine_module._prepare_sqlite

    def limited(connection: Any, record: object) -> None:
        prepare(connection, record)
        cursor = connection.cursor()
        cursor.execute("PRAGMA max_page_count = 125")
        cursor.close()

    monkeypatch.setattr(engine_module, "_prepare_sqlite", limited)


@pytest.mark.usefixtures("small_disk")
@pytest.mark.parametrize("if_exists", ["replace", "append"])
def test_a_failure_in_the_middle_changes_nothing(
    tmp_path: Path, database: Path, if_exists: str
) -> None:
    load_file(make(tmp_path / "users.json", 10), url(database))
    before = everything(database)
    with pytest.raises(StorageError, match=r"full; nothing was changed"):
        load_file(make(tmp_path / "others.json", 100, seed=2), url(database), if_exists)
    assert everything(database) == before


@pytest.mark.usefixtures("small_disk")
def test_a_failure_in_the_middle_leaves_not_even_tables(tmp_path: Path, database: Path) -> None:
    with pytest.raises(StorageError, match=r"full; nothing was changed"):
        load_file(make(tmp_path / "users.json", 100), url(database))
    connection = sqlite3.connect(database)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    connection.close()


@pytest.mark.slow
def test_a_load_that_is_killed_leaves_the_database_as_it_was(
    tmp_path: Path, database: Path
) -> None:
    load_file(make(tmp_path / "users.json"), url(database))
    before = everything(database)
    size = database.stat().st_size
    path = make(tmp_path / "many.jsonl", 2_000, seed=2, file_format="jsonl")
    # More rows than the cache holds, so that half a load is in the file when it ends.
    script = (
        "import sys; from pathlib import Path;"
        "from payworld.storage.database import engine, load;"
        "prepare = engine._prepare_sqlite\n"
        "def small(connection, record):\n"
        "    prepare(connection, record)\n"
        "    cursor = connection.cursor()\n"
        "    cursor.execute('PRAGMA cache_size = 20')\n"
        "    cursor.close()\n"
        "engine._prepare_sqlite = small\n"
        "load.load_file(Path(sys.argv[1]), sys.argv[2], 'replace')\n"
    )
    command = [sys.executable, "-c", script, str(path), url(database)]
    with subprocess.Popen(command) as process:
        while process.poll() is None and database.stat().st_size < 4 * size:
            time.sleep(0.005)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert everything(database) == before


def test_a_locked_database_is_told(tmp_path: Path, database: Path) -> None:
    database.parent.mkdir()
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StorageError, match="locked"):
        load_file(make(tmp_path / "users.json"), f"{url(database)}?timeout=0.01")
    other.close()


def test_tables_of_another_application_are_left_alone(tmp_path: Path, database: Path) -> None:
    database.parent.mkdir()
    connection = sqlite3.connect(database)
    connection.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, login TEXT)")
    connection.execute("INSERT INTO users VALUES (1, 'ann')")
    connection.commit()
    with pytest.raises(ConflictError, match="another kind"):
        load_file(make(tmp_path / "users.json"), url(database), "replace")
    assert connection.execute("SELECT * FROM users").fetchall() == [(1, "ann")]
    connection.close()


@pytest.mark.parametrize("column", ["balance", "limit", "min_payment"])
def test_money_is_not_put_into_columns_that_are_no_whole_numbers(
    tmp_path: Path, database: Path, column: str
) -> None:
    load_file(make(tmp_path / "users.json"), url(database))
    connection = sqlite3.connect(database, isolation_level=None)
    (made,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'accounts'").fetchone()
    for statement in (
        *("DELETE FROM transactions", "DELETE FROM accounts", "DELETE FROM users"),
        *("DROP TABLE accounts", re.sub(rf'("?{column}"?) BIGINT', r"\1 NUMERIC(12, 2)", made)),
    ):
        connection.execute(statement)
    connection.close()
    with pytest.raises(ConflictError, match=rf"its {column} is NUMERIC\(12, 2\), not a whole"):
        load_file(tmp_path / "users.json", url(database))


def test_a_file_that_is_no_database_is_told(tmp_path: Path, database: Path) -> None:
    database.parent.mkdir()
    database.write_text("hello, I am no database at all, but a text of some length")
    with pytest.raises(StorageError, match="not a database"):
        load_file(make(tmp_path / "users.json"), url(database))
    assert database.read_text().startswith("hello")


def test_a_folder_in_the_place_of_the_database_is_told_without_a_traceback(
    tmp_path: Path, database: Path
) -> None:
    database.mkdir(parents=True)
    make(tmp_path / "users.json", 3)
    command = [sys.executable, "-m", "payworld.finance", "load", "users.json"]
    # The thread that could print a traceback raced against the end of the command.
    for _ in range(3):
        run = subprocess.run(
            [*command, "--database-url", url(database)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 1
        assert run.stderr.startswith("error: the database")
        assert "unable to open" in run.stderr
        assert "Traceback" not in run.stderr


def test_a_session_on_another_driver_is_refused() -> None:
    connection: Any = SimpleNamespace(dialect=SimpleNamespace(name="postgresql", driver="psycopg"))
    with pytest.raises(StorageError, match=r"postgresql\+psycopg cannot load.*asyncpg"):
        check_driver(connection)


def test_an_unknown_mode_is_a_usage_error(tmp_path: Path, database: Path) -> None:
    with pytest.raises(UsageError, match="fail, replace, append"):
        load_file(tmp_path / "users.json", url(database), "overwrite")


def test_a_missing_driver_names_the_extra(
    tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "aiosqlite", None)
    with pytest.raises(MissingExtraError, match=r"aiosqlite.*payworld\[db\]"):
        load_file(make(tmp_path / "users.json", 3), url(database))


def with_session(database: Path, work: Any) -> Any:
    async def run() -> Any:
        engine = create_async_engine(url(database))
        try:
            async with AsyncSession(engine) as session:
                return await work(session)
        finally:
            await engine.dispose()

    return asyncio.run(run())


def test_a_session_loads_and_the_models_read_it_back(tmp_path: Path) -> None:
    path = make(tmp_path / "users.json")
    data = json.loads(path.read_text())

    async def work(session: AsyncSession) -> tuple[Any, ...]:
        counts = await load_data_from_json(session, path)
        query = select(User).where(User.id == data["users"][7]["id"])
        options = selectinload(User.accounts).selectinload(Account.transactions)
        user = (await session.execute(query.options(options))).scalar_one()
        total = (await session.execute(select(func.sum(Transaction.amount)))).scalar_one()
        return counts, user, total

    counts, user, total = with_session(tmp_path / "payworld.db", work)
    assert counts == data["meta"]["counts"]
    assert user.created_at.isoformat() == data["users"][7]["created_at"]
    accounts = [row for row in data["accounts"] if row["user_id"] == user.id]
    assert {account.id for account in user.accounts} == {row["id"] for row in accounts}
    first = user.accounts[0]
    of_first = [row for row in data["transactions"] if row["account_id"] == first.id]
    assert {(t.id, t.date.isoformat(), t.amount, t.pending) for t in first.transactions} == {
        (row["id"], row["date"], row["amount"], row["pending"]) for row in of_first
    }
    assert total == sum(row["amount"] for row in data["transactions"])


def test_a_session_that_fails_is_rolled_back(tmp_path: Path) -> None:
    path = make(tmp_path / "users.json", 100)

    async def work(session: AsyncSession) -> None:
        await session.execute(text("PRAGMA max_page_count = 125"))
        await session.commit()
        with pytest.raises(StorageError, match=r"full; nothing was changed") as caught:
            await load_data_from_json(session, str(path))
        assert isinstance(caught.value.__cause__, sqlite3.OperationalError)

    with_session(tmp_path / "payworld.db", work)
    connection = sqlite3.connect(tmp_path / "payworld.db")
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    connection.close()


@pytest.mark.parametrize(
    ("session", "named"),
    [
        (None, "session: is a NoneType; expected an AsyncSession"),
        (Session(), "session: is a Session; expected an AsyncSession"),
        (AsyncSession(), "session: is bound to no engine"),
    ],
    ids=["nothing", "not asynchronous", "no engine"],
)
def test_what_is_no_session_to_load_with_is_refused(
    tmp_path: Path, session: Any, named: str
) -> None:
    path = make(tmp_path / "users.json", 3)
    with pytest.raises(UsageError, match=named):
        asyncio.run(load_data_from_json(session, path))


def test_what_is_no_path_is_refused(tmp_path: Path) -> None:
    async def work(session: AsyncSession) -> None:
        with pytest.raises(UsageError, match="path = 5: expected a text or a Path"):
            await load_data_from_json(session, 5)  # type: ignore[arg-type]

    with_session(tmp_path / "payworld.db", work)


def test_a_session_whose_database_does_not_open_says_so(tmp_path: Path) -> None:
    path = make(tmp_path / "users.json", 3)

    async def work(session: AsyncSession) -> None:
        threads = threading.active_count()
        with pytest.raises(StorageError, match=r"unable to open.*Check that it runs"):
            await load_data_from_json(session, path)
        # The driver's thread reports to the event loop, which must not be gone by then.
        while threading.active_count() > threads:
            await asyncio.sleep(0.01)

    with_session(tmp_path / "no" / "folder.db", work)


def test_inside_the_callers_transaction_the_commit_is_the_callers(tmp_path: Path) -> None:
    path = make(tmp_path / "users.json")

    async def work(session: AsyncSession) -> None:
        async with session.begin():
            await load_data_from_json(session, path)
            await session.rollback()

    with_session(tmp_path / "payworld.db", work)
    connection = sqlite3.connect(tmp_path / "payworld.db")
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    connection.close()


def test_foreign_keys_hold_after_the_load(tmp_path: Path, database: Path) -> None:
    load_file(make(tmp_path / "users.json"), url(database))
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("UPDATE accounts SET user_id = 'nobody' WHERE rowid = 1")
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        connection.commit()
    connection.close()


def test_nothing_is_written_before_the_whole_file_is_valid(tmp_path: Path, database: Path) -> None:
    data = json.loads(make(tmp_path / "users.json").read_text())
    data["transactions"][-1]["amount"] = "12"
    (tmp_path / "users.json").write_text(json.dumps(data))

    def work() -> None:
        with pytest.raises(StorageError, match=r"transactions\[[0-9]+\]\.amount = '12'"):
            load_file(tmp_path / "users.json", url(database))

    assert statements_of(work) == []
    assert not database.exists()


def test_a_large_parquet_file_is_read_in_bounded_memory(tmp_path: Path) -> None:
    folder = make(tmp_path / "out", 400, file_format="parquet")
    table = pq.read_table(folder / "transactions.parquet")
    pq.write_table(table, folder / "transactions.parquet", row_group_size=500)
    size = table.nbytes
    del table
    before = pa.total_allocated_bytes()
    source = open_source(folder)
    for parts in (source.frames(), source.batches("transactions")):
        held = [pa.total_allocated_bytes() - before for _part in parts]
        assert len(held) > 50
        assert max(held) < size / 10


@pytest.mark.parametrize("limit", [1_000, 1_000_000])
def test_a_full_folder_of_temporary_files_is_named(
    tmp_path: Path, database: Path, limit: int
) -> None:
    # The smaller limit is met when what was held back is written, the larger one on the way.
    script = (
        "import resource, signal, sys; from pathlib import Path;"
        "from payworld.errors import StorageError;"
        "from payworld.storage.database.load import load_file;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)\n"
        "try: load_file(Path(sys.argv[1]), sys.argv[2])\n"
        "except StorageError as error: print(error)\n"
    )
    path = make(tmp_path / "users.json", 3 if limit < 10_000 else 300)
    run = subprocess.run(
        [sys.executable, "-c", script, str(path), url(database), str(limit)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.startswith("cannot write a temporary file in ")
    assert "let TMPDIR name a larger folder" in run.stdout
    assert not run.stderr


OWN_TABLES = [
    "create table banks(id integer primary key);"
    "create table users(id text primary key, name text, email text unique, consent boolean,"
    " created_at datetime, bank_id integer not null default 7 references banks(id));",
    "create table people(id text primary key);"
    "create table accounts(id text primary key, user_id text references people(id), type text,"
    " subtype text, name text, mask text, balance bigint, currency text, 'limit' bigint,"
    " apr float, min_payment bigint, is_overdue boolean);",
]


@pytest.mark.parametrize("script", OWN_TABLES, ids=["a reference more", "another reference"])
@pytest.mark.parametrize("if_exists", ["fail", "replace", "append"])
def test_references_of_tables_that_were_there_are_looked_up(
    tmp_path: Path, database: Path, script: str, if_exists: str
) -> None:
    database.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(script)
    with pytest.raises(StorageError, match="FOREIGN KEY constraint failed; nothing was changed"):
        load_file(make(tmp_path / "users.json"), url(database), if_exists)


@pytest.mark.parametrize("is_inside", [True, False])
@pytest.mark.parametrize("statement", ["CREATE TABLE transactions", "CREATE INDEX ix_transactions"])
def test_a_load_that_is_cancelled_is_cancelled(
    tmp_path: Path, database: Path, statement: str, is_inside: bool
) -> None:
    path = make(tmp_path / "users.json")
    database.parent.mkdir(parents=True, exist_ok=True)

    async def cancelled() -> None:
        engine = create_async_engine(url(database))
        task: asyncio.Task[None]

        @event.listens_for(engine.sync_engine, "before_cursor_execute")
        def cancel(_connection: object, _cursor: object, text: str, *_rest: object) -> None:
            if statement in text:
                asyncio.get_running_loop().call_soon(task.cancel)

        async def load() -> None:
            async with AsyncSession(engine) as session:
                if is_inside:
                    await session.connection()
                await load_data_from_json(session, path)

        task = asyncio.create_task(load())
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()
        await engine.dispose()

    asyncio.run(cancelled())
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("select name from sqlite_master").fetchall() == []


def test_a_conflict_is_told_where_the_file_has_changed_since(
    tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path / "users.json")
    load_file(path, url(database))
    fill = load_module._fill

    async def changed(*arguments: Any, **options: Any) -> None:
        path.write_text("{")
        await fill(*arguments, **options)

    monkeypatch.setattr(load_module, "_fill", changed)
    with pytest.raises(ConflictError, match=r"users\.json: users\.id = .*has it already"):
        load_file(path, url(database), "append")
