"""What a run did, as data and as the closing table."""

from __future__ import annotations

from typing import Any

import numpy as np

from payworld.engine.request import Outcome, Request
from payworld.timeline import Period, iso
from payworld.world.state import CHANGE_TYPES, Change, World

__all__ = ["run_summary", "summary_table", "versions_by_change"]


def versions_by_change(world: World, period: Period) -> dict[str, int]:
    """Return how many versions of each change_type took effect in a period."""
    totals = np.zeros(len(CHANGE_TYPES), np.int64)
    for batch in world.versions:
        inside = (batch.effective >= period.start) & (batch.effective <= period.end)
        totals += np.bincount(batch.change[inside], minlength=len(CHANGE_TYPES))
    return dict(zip(CHANGE_TYPES, totals.tolist(), strict=True))


def run_summary(request: Request, outcome: Outcome, note: str, seconds: float) -> dict[str, Any]:
    """Return a run's figures as plain JSON types."""
    world, period = outcome.world, request.period
    changes = versions_by_change(world, period)
    transactions = sum(f["rows"] for f in outcome.files if f["table"] == "transactions")
    return {
        "done": True,
        "mode": request.mode,
        "note": note,
        "start_date": iso(period.start),
        "end_date": iso(period.end),
        "days": period.days,
        "files": [
            {key: entry[key] for key in ("path", "table", "rows", "bytes", "hash")}
            for entry in outcome.files
        ],
        "output_dir": str(request.output_dir),
        "rows": transactions,
        "merchants": len(world.merchants),
        "active_merchants": int(world.merchants.active.sum()),
        "opened": changes[CHANGE_TYPES[Change.INITIAL]] + changes[CHANGE_TYPES[Change.OPENING]],
        "changed": sum(changes[CHANGE_TYPES[code]] for code in range(Change.MDR, Change.CHURN)),
        "churned": changes[CHANGE_TYPES[Change.CHURN]],
        "stored_cards": len(world.cards),
        "total_transactions": world.total_transactions,
        "resumed_after": outcome.resumed_from and iso(outcome.resumed_from),
        "seconds": round(seconds, 3),
        "rows_per_second": round(transactions / seconds) if seconds else 0,
    }


def summary_table(summary: dict[str, Any]) -> str:
    """Return the closing table of a run."""
    files = summary["files"]
    shown = files if len(files) <= 8 else files[-8:]
    rows = [
        ("days", f"{summary['days']:,} ({summary['start_date']} to {summary['end_date']})"),
        ("payments", f"{summary['rows']:,}"),
        (
            "merchants",
            f"{summary['active_merchants']:,} active; {summary['opened']:,} opened, "
            f"{summary['changed']:,} changed, {summary['churned']:,} churned",
        ),
        ("stored cards", f"{summary['stored_cards']:,}"),
        ("time", f"{summary['seconds']:.2f} s, {summary['rows_per_second']:,} rows/s"),
    ]
    if summary.get("moved_aside"):
        rows.append(("moved aside", ", ".join(summary["moved_aside"])))
    # Last: the list of them follows.
    rows.append(("files", f"{len(files)} in {summary['output_dir']}"))
    lines = [f"{name:<13} {value}" for name, value in rows]
    if len(files) > len(shown):
        lines.append(f"  ... {len(files) - len(shown)} more")
    width = max((len(f["path"]) for f in shown), default=0)
    lines += [
        f"  {f['path']:<{width}}  {f['rows']:>13,} rows  {f['bytes']:>15,} bytes" for f in shown
    ]
    return "\n".join(lines)
