"""The past again: a world re-lived from its birth, by its own seed, pools and configurations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from payworld.engine.step import step_day
from payworld.synthesis.plan import DayPlan
from payworld.synthesis.rules import Rules, compile_rules
from payworld.world.birth import create_world
from payworld.world.reference import Reference
from payworld.world.state import World

__all__ = ["relive", "rules_by_era"]


def rules_by_era(world: World, reference: Reference) -> list[tuple[int, Rules]]:
    """Return the compiled rules of each configuration with the first day on which it held."""
    return [(era.from_day, compile_rules(era.config, reference)) for era in world.eras]


def relive(world: World, reference: Reference) -> Iterator[tuple[World, DayPlan, Rules]]:
    """Yield every day of a world's past again: the world after it, its plan and its rules.

    The cost grows with merchants and days alone; nothing is rendered.
    """
    eras = rules_by_era(world, reference)
    past = create_world(eras[0][1].config, world.start_day, reference.places, world.pools)
    for number, (_, rules) in enumerate(eras):
        last = eras[number + 1][0] - 1 if number + 1 < len(eras) else world.last_day
        past = replace(past, eras=world.eras[: number + 1])
        while past.last_day < last:
            past, plan = step_day(past, rules)
            yield past, plan, rules
