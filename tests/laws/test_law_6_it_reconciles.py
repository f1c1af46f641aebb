"""Law 6: the files agree with each other and with the state, reckoned without payworld's code."""

# ruff: noqa: S608  # queries are put together of this file's own constants

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import duckdb
import pytest
from tests.builders import LIVELY_WORLD, STATE, Folders, period, write_config
from tests.gen_server import GenServer

MERCHANTS_IN_A_BLOCK = 1024

pytestmark = pytest.mark.xdist_group("reconciled world")

# Two blocks of merchants over parts of three months, in three runs, with much going on.
WORLD = LIVELY_WORLD | {
    "initial_merchants": 1_000,
    "max_new_merchants_per_month": 150,
    "max_churned_merchants_per_month": 200,
    "attribute_change_multiplier": 10.0,
    "max_stored_cards": 1_500,
}
RUNS = (
    ["--initial", *period("2024-01-18", "2024-02-03")],
    ["--incremental", "--date", "2024-02-04"],
    ["--incremental", "--date", "2024-03-02"],
)


@dataclass(frozen=True)
class Books:
    """The files of a world as tables `t` (payments) and `m` (versions); and its state."""

    tables: duckdb.DuckDBPyConnection
    state: dict[str, Any]

    def one(self, query: str) -> Any:
        """Return the one value of a query."""
        row = self.tables.execute(query).fetchone()
        assert row is not None
        return row[0]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.tables.execute(query).fetchall()


@pytest.fixture(scope="module")
def books(server: GenServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Books]:
    folders = Folders(tmp_path_factory.mktemp("books"))
    config = write_config(folders.root / "world.yaml", WORLD)
    for run in RUNS:
        ended = server.run(*run, "-f", "-q", "--config", config, *folders.options)
        assert ended.code == 0, ended.stderr
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    # As text, in file order: what a type would hide or repair is seen.
    connection.execute(
        f"""
        CREATE TABLE t AS SELECT row_number() OVER () AS row, * EXCLUDE (filename),
            parse_filename(filename) AS file, payment_timestamp::TIMESTAMP::DATE AS day,
            payment_amount::DECIMAL(12, 2) AS amount,
            transactional_cost_rate::DECIMAL(5, 4) AS cost_rate,
            transactional_cost_amount::DECIMAL(12, 2) AS cost,
            mdr_amount::DECIMAL(12, 2) AS mdr, net_profit::DECIMAL(12, 2) AS net
        FROM read_csv('{folders.output}/transactions_*.csv', all_varchar = true,
            filename = true, parallel = false)
        """
    )
    connection.execute(
        f"""
        CREATE TABLE m AS SELECT * REPLACE (effective_date::DATE AS effective_date,
            creation_date::DATE AS creation_date, churn_date::DATE AS churn_date,
            version::INTEGER AS version, mdr_rate::DECIMAL(5, 4) AS mdr_rate),
            lead(effective_date::DATE, 1, '9999-12-31') OVER (
                PARTITION BY merchant_id ORDER BY version::INTEGER) AS until
        FROM read_csv('{folders.output}/merchants_*.csv', all_varchar = true)
        """
    )
    yield Books(connection, json.loads((folders.state / STATE).read_bytes()))
    connection.close()


def test_rows_in_the_files_equal_the_counters_in_the_state(books: Books) -> None:
    assert books.one("SELECT count(*) FROM t") == books.state["total_transactions"] > 100_000
    versions = sum(len(life) for life in books.state["merchants"].values())
    assert books.one("SELECT count(*) FROM m") == versions
    assert books.one("SELECT count(DISTINCT merchant_id) FROM m") == books.state["merchant_counter"]
    newest = books.one("SELECT max(substr(card_profile_id, 5)::BIGINT) FROM t")
    assert newest == books.state["card_counter"]
    assert books.one("SELECT count(DISTINCT card_profile_id) FROM t") == newest
    assert str(books.one("SELECT max(day) FROM t")) == books.state["last_generated_date"]


def test_every_kind_of_event_is_there_to_be_reconciled(books: Books) -> None:
    kinds = {kind for (kind,) in books.rows("SELECT DISTINCT change_type FROM m")}
    assert kinds == {
        "initial", "opening", "mdr_change", "phone_change", "email_change", "address_change",
        "churn",
    }  # fmt: skip
    assert books.one("SELECT count(DISTINCT payment_status) FROM t") == 3
    assert books.one("SELECT count(DISTINCT file) FROM t") == 5
    assert books.one("SELECT max(substr(merchant_id, 2)::INTEGER) FROM t") > MERCHANTS_IN_A_BLOCK


def test_versions_in_the_state_are_those_of_the_files(books: Books) -> None:
    columns = [c for c, *_ in books.rows("DESCRIBE m") if c not in {"until"}]
    columns.remove("last_transaction_date")
    found = books.rows(f"SELECT {', '.join(columns)} FROM m ORDER BY merchant_id, version")
    kept = [
        tuple(None if version[c] is None else str(version[c]) for c in columns)
        for _, life in sorted(books.state["merchants"].items())
        for version in life
    ]
    assert [tuple(None if v is None else str(v) for v in row) for row in found] == kept


def test_the_merchant_of_each_payment_exists_and_is_active_that_day(books: Books) -> None:
    assert (
        books.one(
            """
            SELECT count(*) FROM t LEFT JOIN m ON m.merchant_id = t.merchant_id
                AND t.day >= m.effective_date AND t.day < m.until
            WHERE m.status IS DISTINCT FROM 'active' OR t.day < m.creation_date
            """
        )
        == 0
    )
    # And no payment falls on or after a churn date, by either date that says so.
    assert (
        books.one(
            """
            SELECT count(*) FROM t JOIN m ON m.merchant_id = t.merchant_id
            WHERE m.churn_date IS NOT NULL AND t.day >= m.churn_date
            """
        )
        == 0
    )
    assert books.one("SELECT count(*) FROM m WHERE churn_date IS NOT NULL") > 100


def test_money_is_exact_to_the_cent_under_the_version_in_force(books: Books) -> None:
    wrong = books.one(
        """
        SELECT count(*) FROM t JOIN m ON m.merchant_id = t.merchant_id
            AND t.day >= m.effective_date AND t.day < m.until
        WHERE t.net <> t.mdr - t.cost
            OR (payment_status = 'approved' AND (
                t.mdr <> round(t.amount * m.mdr_rate, 2)
                OR t.cost <> round(t.amount * t.cost_rate, 2)))
            OR (payment_status <> 'approved' AND (t.mdr <> 0 OR t.cost <> 0 OR t.net <> 0))
        """
    )
    assert wrong == 0


def test_half_a_cent_is_rounded_up(books: Books) -> None:
    halves = books.rows(
        """
        SELECT amount::VARCHAR, cost_rate::VARCHAR, cost::VARCHAR FROM t
        WHERE payment_status = 'approved' AND (amount * cost_rate * 1000000)::BIGINT % 10000 = 5000
        LIMIT 500
        """
    )
    assert len(halves) > 100
    for amount, rate, cost in halves:
        exact = Decimal(amount) * Decimal(rate)
        assert Decimal(cost) == exact.quantize(Decimal("0.01"), ROUND_HALF_UP)
        assert Decimal(cost) > exact


def test_money_has_two_decimals_rates_four_and_places_six(books: Books) -> None:
    money = ("payment_amount", "transactional_cost_amount", "mdr_amount", "net_profit")
    patterns = dict.fromkeys(money, r"-?(0|[1-9]\d*)\.\d\d")
    patterns["transactional_cost_rate"] = r"0\.\d{4}"
    patterns |= dict.fromkeys(("payment_lat", "payment_lng"), r"-?\d{1,3}\.\d{6}")
    patterns["payment_timestamp"] = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"
    for column, pattern in patterns.items():
        query = f"SELECT count(*) FROM t WHERE NOT regexp_full_match({column}, '{pattern}')"
        assert books.one(query) == 0, column


def test_payment_ids_follow_row_order_without_gaps(books: Books) -> None:
    assert books.one("SELECT count(*) FROM t WHERE payment_id <> format('TXN{:010d}', row)") == 0


def test_files_hold_the_days_of_their_names_in_order(books: Books) -> None:
    assert books.one("SELECT count(*) FROM t WHERE day::VARCHAR < substr(file, 14, 10)") == 0
    assert books.one("SELECT count(*) FROM t WHERE day::VARCHAR > substr(file, 25, 10)") == 0
    assert (
        books.one("SELECT count(*) FROM (SELECT day < lag(day) OVER (ORDER BY row) AS b FROM t) "
        "WHERE b") == 0
    )  # fmt: skip


def test_rows_are_in_time_order_within_a_block_of_a_day(books: Books) -> None:
    blocks = f"(substr(merchant_id, 2)::INTEGER - 1) // {MERCHANTS_IN_A_BLOCK}"
    disorder = books.one(
        f"""
        SELECT count(*) FROM (
            SELECT day, {blocks} AS block, payment_timestamp, lag((day, {blocks},
                payment_timestamp)) OVER (ORDER BY row) AS before FROM t)
        WHERE (day, block, payment_timestamp) < before
        """
    )
    assert disorder == 0
    assert books.one(f"SELECT count(DISTINCT {blocks}) FROM t") == 2


def test_a_merchant_has_one_version_a_day_at_most_numbered_from_one(books: Books) -> None:
    assert (
        books.one("SELECT count(*) FROM (SELECT 1 FROM m GROUP BY merchant_id, effective_date "
        "HAVING count(*) > 1)") == 0
    )  # fmt: skip
    assert (
        books.one("SELECT count(*) FROM (SELECT version, row_number() OVER (PARTITION BY "
        "merchant_id ORDER BY effective_date) AS n FROM m) WHERE version <> n") == 0
    )  # fmt: skip


def test_a_version_changes_what_its_change_type_says_and_nothing_else(books: Books) -> None:
    fixed = "merchant_name, industry, size_category, creation_date"
    own = {
        "mdr_change": "mdr_rate",
        "phone_change": "phone",
        "email_change": "email",
        "address_change": "address, city, state, zip_code",
    }
    for kind, changed in own.items():
        others = ", ".join([fixed, *(names for name, names in own.items() if name != kind)])
        same, moved = books.rows(
            f"""
            SELECT bool_and({_pair(others)}), bool_and(NOT {_pair(changed)})
            FROM m JOIN m AS b ON b.merchant_id = m.merchant_id AND b.version = m.version - 1
            WHERE m.change_type = '{kind}'
            """
        )[0]
        assert (same, moved) == (True, True), kind


def _pair(names: str) -> str:
    """Return the SQL that says whether columns are as in the version before."""
    now = ", ".join(f"m.{name}" for name in names.split(", "))
    before = ", ".join(f"b.{name}" for name in names.split(", "))
    return f"(({now}) IS NOT DISTINCT FROM ({before}))"


def test_churn_ends_a_life(books: Books) -> None:
    assert (
        books.one("SELECT count(*) FROM m WHERE status = 'churned' AND until < '9999-01-01'") == 0
    )
    assert (
        books.one(
            """
            SELECT count(*) FROM m WHERE (status = 'churned') <> (change_type = 'churn')
                OR (status = 'churned') <> (churn_date IS NOT NULL)
                OR churn_date <> effective_date
            """
        )
        == 0
    )


def test_a_life_begins_with_its_creation(books: Books) -> None:
    assert (
        books.one(
            """
            SELECT count(*) FROM m WHERE (version = 1) <> (change_type IN ('initial', 'opening'))
                OR (version = 1 AND creation_date <> effective_date)
            """
        )
        == 0
    )
    assert (
        books.one("SELECT count(DISTINCT creation_date) FROM m WHERE change_type = 'initial'") == 1
    )


def test_a_card_is_one_bin_type_issuer_and_brand_for_ever(books: Books) -> None:
    for key in ("card_profile_id", "card_bin"):
        assert (
            books.one(
                f"""
                SELECT count(*) FROM (SELECT 1 FROM t GROUP BY {key} HAVING
                    count(DISTINCT (card_bin, card_type, card_issuer, card_brand)) > 1)
                """
            )
            == 0
        )


def test_a_stored_card_in_the_state_is_the_card_in_the_files(books: Books) -> None:
    cards = {
        card: found
        for card, *found in books.rows(
            "SELECT DISTINCT card_profile_id, card_bin, card_type, card_issuer, card_brand FROM t"
        )
    }
    for name, card in books.state["card_profiles"].items():
        assert card["id"] == name
        assert [card["bin"], card["type"], card["issuer"], card["brand"]] == cards[name]
    assert len(books.state["card_profiles"]) == WORLD["max_stored_cards"]
    assert list(books.state["card_profiles"]) == sorted(books.state["card_profiles"])


def test_new_cards_are_numbered_in_row_order_without_gaps(books: Books) -> None:
    disorder = books.one(
        """
        SELECT count(*) FROM (SELECT substr(card_profile_id, 5)::BIGINT AS card,
            row_number() OVER (ORDER BY min(row)) AS n FROM t GROUP BY card_profile_id)
        WHERE card <> n
        """
    )
    assert disorder == 0


def test_only_stored_cards_come_back_and_never_on_the_day_they_are_stored(books: Books) -> None:
    """A card that comes back was stored; about as many cards come back as were stored."""
    first, back = "min(day) AS first, count(*) AS n, max(day) AS last", "n > 1"
    assert (
        books.one(
            f"SELECT count(*) FROM (SELECT {first}, count(*) FILTER (day > f) AS later FROM "
            "(SELECT *, min(day) OVER (PARTITION BY card_profile_id) AS f FROM t) "
            f"GROUP BY card_profile_id) WHERE {back} AND n - later <> 1"
        )
        == 0
    )
    returned = books.one(
        "SELECT count(*) FROM (SELECT 1 FROM t GROUP BY card_profile_id HAVING count(*) > 1)"
    )
    share = WORLD["card_store_probability"]
    assert 0 < returned < 1.1 * share * books.state["card_counter"]
    # The oldest retire: the pool is far smaller than what was stored over time.
    assert share * books.state["card_counter"] > 3 * WORLD["max_stored_cards"]


def test_each_days_share_of_stored_cards_is_in_range(books: Books) -> None:
    shares = books.rows(
        """
        SELECT day, count(*) FILTER (n > 1), count(*) FROM (
            SELECT day, row_number() OVER (PARTITION BY card_profile_id ORDER BY row) AS n FROM t)
        GROUP BY day ORDER BY day
        """
    )
    # Nothing is stored before the first day.
    assert shares[0][1] == 0
    for day, stored, payments in shares[1:]:
        assert 0.05 <= stored / payments <= 0.15, day


def test_terminals_belong_to_one_merchant_and_to_card_present_alone(books: Books) -> None:
    assert (
        books.one("SELECT count(*) FROM t WHERE (payment_type = 'card_present') <> "
        "(terminal_id IS NOT NULL)") == 0
    )  # fmt: skip
    assert (
        books.one("SELECT count(*) FROM (SELECT 1 FROM t WHERE terminal_id IS NOT NULL "
        "GROUP BY terminal_id HAVING count(DISTINCT merchant_id) > 1)") == 0
    )  # fmt: skip


def test_each_run_has_its_own_files_one_a_month(books: Books) -> None:
    found = [file for (file,) in books.rows("SELECT DISTINCT file FROM t ORDER BY file")]
    assert found == [
        "transactions_2024-01-18_2024-01-31.csv",
        "transactions_2024-02-01_2024-02-03.csv",
        "transactions_2024-02-04_2024-02-04.csv",
        "transactions_2024-02-05_2024-02-29.csv",
        "transactions_2024-03-01_2024-03-02.csv",
    ]
