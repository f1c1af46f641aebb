"""The columns of every file: names, types, units, meanings. One source for all formats.

Sinks, documents, schemas in other dialects and readers' tests are derived from here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "MERCHANTS",
    "SCHEMA_VERSION",
    "TABLES",
    "TRANSACTIONS",
    "WORLD",
    "Column",
    "LogicalType",
    "Product",
    "Table",
    "frame_schema",
]

# Raised when a column is added, removed, renamed or changes its type or meaning.
SCHEMA_VERSION = 1

LogicalType = Literal[
    "string", "category", "integer", "decimal", "date", "datetime", "float", "boolean", "instant"
]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table; lives as long as the program.

    `precision` and `scale` belong to decimals, `bits` to integers; `values` lists a closed
    vocabulary. A datetime is local and has no zone; an instant is a point in time, in UTC.
    """

    name: str
    type: LogicalType
    description: str
    example: str
    nullable: bool = False
    unit: str = ""
    precision: int = 0
    scale: int = 0
    values: tuple[str, ...] = ()
    pattern: str = ""
    bits: int = 32


@dataclass(frozen=True, slots=True)
class Table:
    """An ordered list of columns with its keys; lives as long as the program."""

    name: str
    description: str
    primary_key: tuple[str, ...]
    columns: tuple[Column, ...]
    event_time: str
    foreign_keys: dict[str, str] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Return the column names in file order."""
        return [column.name for column in self.columns]

    def column(self, name: str) -> Column:
        """Return a column by name; KeyError if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Product:
    """Tables that belong together; lives as long as the program.

    `is_one` stands for one table that was named alone, which formats say in another way than all
    tables of a product, also where there is but one.
    """

    name: str
    description: str
    tables: tuple[Table, ...]
    is_one: bool = False


MERCHANTS = Table(
    name="merchants",
    description=(
        "Every version of a merchant that took effect in the file's period: an SCD type 2 feed, "
        "in order of effective_date and merchant_id."
    ),
    primary_key=("merchant_id", "version"),
    event_time="effective_date",
    columns=(
        Column(
            "merchant_id",
            "string",
            "The merchant, for life: M and at least six digits.",
            "M000001",
            pattern="^M[0-9]{6,}$",
        ),
        Column("merchant_name", "string", "Trading name; it does not change.", "Ortiz Bakery"),
        Column("industry", "category", "Line of business, by size category.", "retail"),
        Column("address", "string", "Street address.", "123 Main St"),
        Column("city", "string", "City of the ZIP code.", "New York"),
        Column("state", "category", "Two-letter state of the city.", "NY", pattern="^[A-Z]{2}$"),
        Column("zip_code", "string", "Five-digit ZIP code.", "10001", pattern="^[0-9]{5}$"),
        Column(
            "phone",
            "string",
            "Area code of the city and a number reserved for fiction (555-0100 to 555-0199).",
            "212-555-0123",
            pattern="^[0-9]{3}-555-01[0-9]{2}$",
        ),
        Column(
            "email",
            "string",
            "Contact address in a reserved domain; it reaches nobody.",
            "contact@m000001.example",
        ),
        Column(
            "mdr_rate",
            "decimal",
            "Merchant discount rate in force from effective_date: the share of an approved "
            "payment that the aggregator charges.",
            "0.0320",
            unit="share of amount",
            precision=5,
            scale=4,
        ),
        Column(
            "size_category",
            "category",
            "Size of the merchant.",
            "small",
            values=("small", "medium", "large"),
        ),
        Column("creation_date", "date", "Day on which the merchant signed up.", "2024-01-01"),
        Column(
            "effective_date",
            "date",
            "First day on which this version is in force; a merchant has at most one a day.",
            "2024-01-01",
        ),
        Column(
            "status",
            "category",
            "Whether the merchant trades under this version.",
            "active",
            values=("active", "churned"),
        ),
        Column(
            "last_transaction_date",
            "date",
            "Day of the merchant's latest payment as of the file's end date; empty if none yet.",
            "2024-01-15",
            nullable=True,
        ),
        Column("version", "integer", "Number of this version, from 1.", "1"),
        Column(
            "change_type",
            "category",
            "Why this version exists.",
            "initial",
            values=(
                "initial",
                "opening",
                "mdr_change",
                "phone_change",
                "email_change",
                "address_change",
                "churn",
            ),
        ),
        Column(
            "churn_date",
            "date",
            "Day from which the merchant is gone; empty while it is active.",
            "",
            nullable=True,
        ),
    ),
)

TRANSACTIONS = Table(
    name="transactions",
    description=(
        "Every payment of the file's period. Days in order; within a day, blocks of 1,024 "
        "merchants; within a block, in time order. payment_id follows row order."
    ),
    primary_key=("payment_id",),
    event_time="payment_timestamp",
    foreign_keys={"merchant_id": "merchants.merchant_id"},
    columns=(
        Column(
            "payment_id",
            "string",
            "The payment: TXN and ten digits, rising with the rows without gaps.",
            "TXN0000000001",
            pattern="^TXN[0-9]{10}$",
        ),
        Column(
            "payment_timestamp",
            "datetime",
            "Second of the payment in the merchant's local time, without offset.",
            "2024-01-01T09:15:30",
            unit="local time of the merchant",
        ),
        Column(
            "payment_lat",
            "decimal",
            "Latitude (WGS 84): the merchant's place if card_present, else the buyer's.",
            "40.712800",
            unit="degrees",
            precision=9,
            scale=6,
        ),
        Column(
            "payment_lng",
            "decimal",
            "Longitude (WGS 84), as payment_lat.",
            "-74.006000",
            unit="degrees",
            precision=9,
            scale=6,
        ),
        Column(
            "payment_amount",
            "decimal",
            "Amount of the payment, in the range of the merchant's size.",
            "45.50",
            unit="USD",
            precision=12,
            scale=2,
        ),
        Column(
            "payment_type",
            "category",
            "How the card was used.",
            "card_present",
            values=("card_present", "online", "in_app", "phone_order"),
        ),
        Column(
            "terminal_id",
            "string",
            "Terminal of the merchant; empty unless card_present.",
            "T00000101",
            nullable=True,
            pattern="^T[0-9]{8}$",
        ),
        Column(
            "card_type",
            "category",
            "Funding of the card.",
            "debit",
            values=("debit", "credit", "prepaid"),
        ),
        Column("card_issuer", "category", "Bank that issued the card.", "Chase"),
        Column(
            "card_brand",
            "category",
            "Card network.",
            "Visa",
            values=("Visa", "Mastercard", "Amex", "Discover"),
        ),
        Column(
            "card_profile_id",
            "string",
            "The card: CARD and ten digits. A stored card comes back; any other never does.",
            "CARD0000123456",
            pattern="^CARD[0-9]{10}$",
        ),
        Column(
            "card_bin",
            "string",
            "Six-digit bank identification number; it fixes brand, issuer and type.",
            "412345",
            pattern="^[0-9]{6}$",
        ),
        Column(
            "payment_status",
            "category",
            "Outcome of the payment.",
            "approved",
            values=("approved", "declined", "failed"),
        ),
        Column(
            "merchant_id",
            "string",
            "Merchant paid; active on that day.",
            "M000001",
            pattern="^M[0-9]{6,}$",
        ),
        Column(
            "transactional_cost_rate",
            "decimal",
            "Cost rate of the card's type and brand.",
            "0.0050",
            unit="share of amount",
            precision=5,
            scale=4,
        ),
        Column(
            "transactional_cost_amount",
            "decimal",
            "Amount times transactional_cost_rate, rounded half up; 0.00 unless approved.",
            "0.23",
            unit="USD",
            precision=12,
            scale=2,
        ),
        Column(
            "mdr_amount",
            "decimal",
            "Amount times the MDR of the version in force, rounded half up; 0.00 unless approved.",
            "1.46",
            unit="USD",
            precision=12,
            scale=2,
        ),
        Column(
            "net_profit",
            "decimal",
            "mdr_amount - transactional_cost_amount, exact; it may be negative.",
            "1.23",
            unit="USD",
            precision=12,
            scale=2,
        ),
    ),
)

WORLD = Product(
    name="world",
    description="Merchants of a payments aggregator and every payment, day by day.",
    tables=(MERCHANTS, TRANSACTIONS),
)
TABLES: dict[str, Table] = {table.name: table for table in WORLD.tables}


def frame_schema(table: Table) -> pl.Schema:
    """Return the column types of a table's typed frame."""
    # Imported here: the schema alone is wanted by commands that need no frames.
    import polars as pl

    plain = {"integer": pl.Int32(), "date": pl.Date(), "datetime": pl.Datetime("us")}
    return pl.Schema(
        {
            column.name: pl.Decimal(column.precision, column.scale)
            if column.type == "decimal"
            else plain.get(column.type, pl.String())
            for column in table.columns
        }
    )
