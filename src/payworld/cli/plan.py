"""What a run would make, in words and as data: the question before it, and --dry-run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payworld.cli.settings import overlaid
from payworld.engine.decide import Decision
from payworld.engine.estimate import expected_rows
from payworld.storage.reference import load_reference
from payworld.storage.style import FileStyle
from payworld.synthesis.rules import compile_rules
from payworld.timeline import Period, iso, month_chunks
from payworld.world.birth import create_world
from payworld.world.state import World

if TYPE_CHECKING:
    from payworld.cli.generate import Asked

__all__ = ["describe_plan", "plan_summary"]


def plan_summary(
    asked: Asked, decision: Decision, period: Period, world: World | None
) -> dict[str, Any]:
    """Return the days, files and expected rows of a run that was decided on."""
    reference = load_reference()
    if world is None or decision.replaces:
        config = asked.config.world
        world = create_world(config, period.start, reference.places)
    else:
        config = overlaid(world, asked.given)
    rows = expected_rows(world, compile_rules(config, reference), period)
    style = FileStyle.asked(asked.config)
    files = [
        str(asked.output_dir / style.path(table, chunk))
        for chunk in month_chunks(period)
        for table in ("merchants", "transactions")
    ]
    return {
        "mode": decision.mode,
        "start_date": iso(period.start),
        "end_date": iso(period.end),
        "days": period.days,
        "note": decision.note,
        "files": files,
        "expected_rows": rows,
        **({"publish": asked.config.publish} if asked.config.publish else {}),
    }


def describe_plan(asked: Asked, decision: Decision, period: Period, world: World | None) -> str:
    """Return the plan of a run as text."""
    plan = plan_summary(asked, decision, period, world)
    files = plan["files"]
    listed = files if len(files) <= 12 else [*files[:6], f"... {len(files) - 10} more", *files[-4:]]
    days = "day" if plan["days"] == 1 else "days"
    lines = [
        f"{plan['mode']}: {plan['days']} {days}, {plan['start_date']} to {plan['end_date']}",
        *([plan["note"]] if plan["note"] else []),
        f"about {plan['expected_rows']:,} payments, {len(files)} files:",
        *(f"  {name}" for name in listed),
        *([f"then uploaded to {plan['publish']}"] if "publish" in plan else []),
    ]
    return "\n".join(lines)
