"""The tables as SQLAlchemy models. Money is whole cents; times are local, without a zone."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    DateTime,
    Float,
    ForeignKey,
    MetaData,
    String,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import UUID
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

__all__ = ["Account", "Base", "Transaction", "User"]

# Names of constraints and indexes, so that migrations can refer to them.
_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}

# A text of 36 characters in Python and in SQLite; PostgreSQL keeps it in 16 bytes.
_UUID = String(36).with_variant(UUID(as_uuid=False), "postgresql")


def _reference(column: str) -> ForeignKey:
    # Checked at the commit: a file may name a child before its parent.
    return ForeignKey(column, deferrable=True, initially="DEFERRED", ondelete="CASCADE")


class Base(DeclarativeBase):
    """The three tables."""

    metadata = MetaData(naming_convention=_NAMES)


class User(Base):
    """A person who uses the application."""

    __tablename__ = "users"
    __table_args__ = (UniqueConstraint("email"),)

    id: Mapped[str] = mapped_column(_UUID, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    email: Mapped[str] = mapped_column(String(254))
    consent: Mapped[bool] = mapped_column(Boolean)
    created_at: Mapped[datetime] = mapped_column(DateTime)

    accounts: Mapped[list[Account]] = relationship(back_populates="user", passive_deletes=True)


class Account(Base):
    """A bank account or a credit card; the last four columns count for cards alone."""

    __tablename__ = "accounts"

    id: Mapped[str] = mapped_column(_UUID, primary_key=True)
    user_id: Mapped[str] = mapped_column(_UUID, _reference("users.id"), index=True)
    type: Mapped[str] = mapped_column(String(20))
    subtype: Mapped[str] = mapped_column(String(20))
    name: Mapped[str] = mapped_column(String(200))
    mask: Mapped[str] = mapped_column(String(4))
    balance: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    limit: Mapped[int | None] = mapped_column(BigInteger)
    apr: Mapped[float | None] = mapped_column(Float)
    min_payment: Mapped[int | None] = mapped_column(BigInteger)
    is_overdue: Mapped[bool | None] = mapped_column(Boolean)

    user: Mapped[User] = relationship(back_populates="accounts")
    transactions: Mapped[list[Transaction]] = relationship(
        back_populates="account", passive_deletes=True
    )


class Transaction(Base):
    """Money that moved: a positive amount went out, a negative one came in."""

    __tablename__ = "transactions"

    id: Mapped[str] = mapped_column(_UUID, primary_key=True)
    account_id: Mapped[str] = mapped_column(_UUID, _reference("accounts.id"), index=True)
    date: Mapped[datetime] = mapped_column(DateTime, index=True)
    amount: Mapped[int] = mapped_column(BigInteger)
    category: Mapped[str] = mapped_column(String(40))
    merchant_name: Mapped[str] = mapped_column(String(200))
    pending: Mapped[bool] = mapped_column(Boolean)

    account: Mapped[Account] = relationship(back_populates="transactions")
