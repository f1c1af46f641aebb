"""Every table that payworld writes, by the names that people use for it."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import replace

from payworld.errors import UsageError
from payworld.schema import WORLD, Product

__all__ = ["TABLE_NAMES", "find_tables"]

# A short name goes to the table that most people mean by it.
TABLE_NAMES = {
    "merchants": "world.merchants",
    "transactions": "world.transactions",
    "payments": "fraud.payments",
    "users": "finance.users",
    "accounts": "finance.accounts",
    "finance.transactions": "finance.transactions",
}


def _fraud() -> Product:
    from payworld.datasets.fraud_stream.tables import fraud_product

    return fraud_product()


def _finance() -> Product:
    from payworld.datasets.personal_finance.schema import FINANCE

    return FINANCE


# Loaded when asked for: a product's configuration takes a while to import.
_PRODUCTS: dict[str, Callable[[], Product]] = {
    "world": lambda: WORLD,
    "fraud": _fraud,
    "finance": _finance,
}


def find_tables(name: str) -> Product:
    """Return a product with the table of a name alone, or with all if the name is a product's.

    Names are `merchants`, `finance.transactions`, `world`; UsageError lists them.

    >>> [table.name for table in find_tables("transactions").tables]
    ['transactions']
    >>> find_tables("transactions") == find_tables("world.transactions")
    True
    """
    full = TABLE_NAMES.get(name, name)
    product_name, _, table_name = full.partition(".")
    if product_name in _PRODUCTS:
        product = _PRODUCTS[product_name]()
        if full == product_name:
            return product
        chosen = tuple(table for table in product.tables if table.name == table_name)
        if chosen:
            return replace(product, tables=chosen, is_one=True)
    known = [*TABLE_NAMES, *_PRODUCTS]
    near = [other for other in known if name and other.startswith(name)]
    near += difflib.get_close_matches(name, [*known, *TABLE_NAMES.values()], n=1, cutoff=0.6)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise UsageError(
        f"TABLE = {name!r}: there is no such table; {hint}expected one of "
        f"{', '.join(TABLE_NAMES)}, or all of a product: {', '.join(_PRODUCTS)}"
    )
