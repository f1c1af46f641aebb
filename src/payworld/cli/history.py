"""gen history: a merchant's life, for people and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from payworld.cli.files import end_if_lost
from payworld.cli.output import guarded, print_json, print_text, say
from payworld.cli.settings import read_settings
from payworld.cli.tables import plain, print_table
from payworld.reports.history import History, Month, read_history
from payworld.storage.manifest import MANIFEST
from payworld.storage.session import check_paths
from payworld.storage.state_file import read_state

__all__ = ["show_history"]


def show_history(
    merchant: str, state_dir: Path | None, output_dir: Path | None, as_json: bool, debug: bool
) -> None:
    """Print a merchant's versions and its payments by month; exit code 1 if files are lost."""
    with guarded(debug):
        options = {
            "state_dir": None if state_dir is None else str(state_dir),
            "output_dir": None if output_dir is None else str(output_dir),
        }
        config, _ = read_settings(None, options)
        state, output = Path(config.state_dir), Path(config.output_dir)
        check_paths(state, output)
        world, _ = read_state(state)
        history = read_history(world, output, merchant)
        if as_json:
            print_json(_as_data(history))
        else:
            _print_history(history)
        if not history.manifest:
            say(f"there is no {MANIFEST} in {str(output)!r}: its payments are not known")
        if history.lost and not as_json:
            say("files with payments of its days are lost: the figures are those of the others")
        end_if_lost(history.lost, config)


def _money(month: Month) -> dict[str, Any]:
    """Return a month's figures as plain JSON types; money as text, with its cents."""
    return {name: v if isinstance(v, int) else str(v) for name, v in asdict(month).items()}


def _as_data(history: History) -> dict[str, Any]:
    now = history.versions[-1]
    lasting = ("merchant_id", "merchant_name", "industry", "size_category", "status")
    days = ("creation_date", "churn_date", "last_transaction_date")
    total = _money(history.total)
    del total["month"]
    return {
        **{name: now[name] for name in (*lasting, *days)},
        "versions": history.versions,
        "payments": {
            "by_month": [_money(month) for month in history.months],
            "total": total,
            "files_read": history.files_read,
            "lost": [file.name for file in history.lost],
            "complete": history.manifest and not history.lost,
        },
    }


def _what(version: dict[str, Any], first: bool) -> str:
    """Return what a version brought, in words."""
    if first:
        place = f"{version['address']}, {version['city']}, {version['state']} {version['zip_code']}"
        return plain(f"{place}; {version['phone']}; {version['email']}; MDR {version['mdr_rate']}")
    return plain(
        "; ".join(
            f"{name} {change['old']} -> {change['new']}"
            for name, change in version["changes"].items()
        )
    )


def _print_history(history: History) -> None:
    now, versions = history.versions[-1], history.versions
    title = f"{now['merchant_id']}  {now['merchant_name']} ({now['industry']}, "
    title += f"{now['size_category']}), {now['city']}, {now['state']}"
    life = f"active since {now['creation_date']}"
    if now["churn_date"]:
        life = f"signed up on {now['creation_date']}, gone since {now['churn_date']}"
    print_text(plain(title))
    print_text(f"{life}; last payment on {now['last_transaction_date'] or 'no day yet'}")
    print_text()
    print_table(
        ["version", "from", "change", "what changed"],
        [
            [
                str(version["version"]),
                version["effective_date"],
                version["change_type"],
                _what(version, first=number == 0),
            ]
            for number, version in enumerate(versions)
        ],
        right=["version"],
        wrapped="what changed",
    )
    if history.months:
        print_text()
        print_table(
            ["month", "payments", "approved", "volume", "MDR", "net profit"],
            [_row(month) for month in (*history.months, history.total)],
            right=["payments", "approved", "volume", "MDR", "net profit"],
        )


def _row(month: Month) -> list[str]:
    figures = (month.payments, month.approved, month.volume, month.mdr, month.net_profit)
    return [month.month, *(f"{figure:,}" for figure in figures)]
