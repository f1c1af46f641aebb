"""Users with accounts and a believable history, for people who build finance applications."""

from payworld.datasets.personal_finance.config import FinanceConfig
from payworld.datasets.personal_finance.generate import (
    generate_accounts,
    generate_dataset,
    generate_transactions,
    generate_user,
    write_dataset,
)

__all__ = [
    "FinanceConfig",
    "generate_accounts",
    "generate_dataset",
    "generate_transactions",
    "generate_user",
    "write_dataset",
]
