"""Personal finance for programs, and `python -m payworld.finance` for people.

The same functions as in payworld.datasets.personal_finance, with today as the default of
`as_of`. What needs SQLAlchemy (the extra `db`) is imported when it is first used.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from payworld.datasets.personal_finance import FinanceConfig
    from payworld.storage.database.load import load_data_from_json
    from payworld.storage.database.models import Account, Base, Transaction, User

__all__ = [
    "Account",
    "Base",
    "FinanceConfig",
    "Transaction",
    "User",
    "generate_accounts",
    "generate_dataset",
    "generate_transactions",
    "generate_user",
    "load_data_from_json",
]

_MODELS = ("Account", "Base", "Transaction", "User")


def __getattr__(name: str) -> Any:
    if name == "FinanceConfig":
        from payworld.datasets import personal_finance

        return personal_finance.FinanceConfig
    if name == "load_data_from_json":
        from payworld.storage.database import load

        return load.load_data_from_json
    if name in _MODELS:
        from payworld.storage.database.urls import require

        require("sqlalchemy", "greenlet")
        from payworld.storage.database import models

        return getattr(models, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _day(as_of: date | str | None) -> date | str:
    from payworld.cli.clock import today

    return today() if as_of is None else as_of


def generate_user(
    index: int = 0,
    *,
    seed: int | None = None,
    as_of: date | str | None = None,
    config: FinanceConfig | None = None,
) -> dict[str, Any]:
    """Return the user with a number, from 0: the same one in every data set of the seed."""
    from payworld.datasets import personal_finance

    return personal_finance.generate_user(index, as_of=_day(as_of), seed=seed, config=config)


def generate_accounts(
    user: Mapping[str, Any],
    *,
    seed: int | None = None,
    as_of: date | str | None = None,
    config: FinanceConfig | None = None,
) -> list[dict[str, Any]]:
    """Return the accounts of a user."""
    from payworld.datasets import personal_finance

    return personal_finance.generate_accounts(user, as_of=_day(as_of), seed=seed, config=config)


def generate_transactions(
    account: Mapping[str, Any],
    user: Mapping[str, Any] | None = None,
    *,
    seed: int | None = None,
    as_of: date | str | None = None,
    config: FinanceConfig | None = None,
) -> list[dict[str, Any]]:
    """Return the transactions of an account, oldest first; none before the user existed."""
    from payworld.datasets import personal_finance

    return personal_finance.generate_transactions(
        account, user, as_of=_day(as_of), seed=seed, config=config
    )


def generate_dataset(
    num_users: int | None = None,
    *,
    seed: int | None = None,
    as_of: date | str | None = None,
    config: FinanceConfig | None = None,
) -> dict[str, Any]:
    """Return meta, users, accounts and transactions, as the JSON file holds them.

    Without a number of users it is that of the configuration, 50 unless it says otherwise.
    """
    from payworld.datasets import personal_finance

    return personal_finance.generate_dataset(num_users, as_of=_day(as_of), seed=seed, config=config)


def main() -> None:
    """Run `gen finance` as a program of its own."""
    from payworld.cli.finance import app

    app(prog_name="python -m payworld.finance")


if __name__ == "__main__":
    main()
