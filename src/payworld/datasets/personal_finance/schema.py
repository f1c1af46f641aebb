"""The columns of `gen finance`: what every file format of it holds."""

from __future__ import annotations

from payworld.datasets.personal_finance.config import CATEGORIES, SUBTYPES
from payworld.schema import Column, Product, Table

__all__ = ["ACCOUNTS", "FINANCE", "TRANSACTIONS", "USERS"]

_UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
_EXAMPLE = "0d3c5f0e-6a1f-4c57-9b0e-2f8a1c4d7e90"
_CENTS = "US cents"
_LOCAL = "local time of the user"


def _uuid(name: str, description: str) -> Column:
    return Column(name, "string", description, _EXAMPLE, pattern=_UUID)


def _cents(name: str, description: str, example: str, nullable: bool = False) -> Column:
    return Column(name, "integer", description, example, nullable, unit=_CENTS, bits=64)


USERS = Table(
    name="users",
    description="People who use a personal-finance application.",
    primary_key=("id",),
    event_time="created_at",
    columns=(
        _uuid("id", "The user."),
        Column("name", "string", "Given and family name.", "Ada Marsh"),
        Column(
            "email",
            "string",
            "Address in a reserved domain, unique; it reaches nobody.",
            "ada.marsh7@mail.example",
        ),
        Column("consent", "boolean", "Whether the user agreed to anything; always false.", "false"),
        Column(
            "created_at",
            "datetime",
            "Second of the sign-up, without offset.",
            "2025-01-09T18:22:05",
            unit=_LOCAL,
        ),
    ),
)

ACCOUNTS = Table(
    name="accounts",
    description="Bank accounts and credit cards; the last four columns count for cards alone.",
    primary_key=("id",),
    event_time="",
    foreign_keys={"user_id": "users.id"},
    columns=(
        _uuid("id", "The account."),
        _uuid("user_id", "The user who owns it."),
        Column(
            "type", "category", "Kind of account.", "depository", values=("depository", "credit")
        ),
        Column("subtype", "category", "Kind within the type.", "checking", values=SUBTYPES),
        Column("name", "string", "What the bank calls the account.", "Everyday Checking"),
        Column("mask", "string", "Last four digits of the number.", "0421", pattern="^[0-9]{4}$"),
        _cents("balance", "Balance on the as-of date; of a card, what is owed.", "125040"),
        Column("currency", "category", "Currency, ISO 4217.", "USD", pattern="^[A-Z]{3}$"),
        _cents("limit", "Credit limit.", "500000", nullable=True),
        Column("apr", "float", "Annual percentage rate.", "21.99", nullable=True, unit="per cent"),
        _cents("min_payment", "Least payment that is due.", "2500", nullable=True),
        Column("is_overdue", "boolean", "Whether a payment is late.", "false", nullable=True),
    ),
)

TRANSACTIONS = Table(
    name="transactions",
    description="Money that moved on the accounts.",
    primary_key=("id",),
    event_time="date",
    foreign_keys={"account_id": "accounts.id"},
    columns=(
        _uuid("id", "The transaction."),
        _uuid("account_id", "The account on which it was booked."),
        Column(
            "date",
            "datetime",
            "Second of the transaction, without offset.",
            "2025-10-01T12:30:00",
            unit=_LOCAL,
        ),
        _cents("amount", "Positive is money out, negative is money in.", "4550"),
        Column("category", "category", "What it was for.", "FOOD_AND_DRINK", values=CATEGORIES),
        Column("merchant_name", "string", "Who was paid, or who paid.", "Corner Kitchen"),
        Column("pending", "boolean", "Whether it is not settled yet.", "false"),
    ),
)

FINANCE = Product(
    name="finance",
    description="Users with accounts and their history, for a personal-finance application.",
    tables=(USERS, ACCOUNTS, TRANSACTIONS),
)
