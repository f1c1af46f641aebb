"""A run: load, step, render, sink, commit. Joins the pure parts with storage."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from payworld.engine.estimate import expected_bytes, expected_first_rows, expected_rows
from payworld.engine.processes import core_count
from payworld.engine.request import Held, Outcome, Request
from payworld.engine.step import step_day
from payworld.engine.tasks import cut_tasks
from payworld.engine.work import Work
from payworld.engine.workers import Renderer
from payworld.errors import ConflictError, NoSpaceError, StorageError, UsageError
from payworld.schema import TABLES
from payworld.storage.archive import replaced_names
from payworld.storage.manifest import check_same_world
from payworld.storage.reference import load_reference
from payworld.storage.targets import check_state_targets, check_targets
from payworld.synthesis.plan import DayPlan
from payworld.synthesis.rules import Rules, compile_rules
from payworld.timeline import Period, iso, month_chunks, parse_date
from payworld.world.birth import create_world
from payworld.world.state import World

__all__ = ["execute"]

# Below this many rows a worker takes longer to start than it saves.
WORKER_ROWS = 250_000
# Days that are lived before their payments are rendered: with them, a large world's state is
# encoded while there is still something to render beside it.
DAYS_AHEAD = 4
# Ten digits number payments and cards; nine hundred thousand merchants have six.
MAX_PAYMENTS = 9_999_999_999

Progress = Callable[[int, int], None]


def missing_before(world: World, manifest: dict[str, Any] | None) -> str:
    """Return a warning where the folder's manifest does not reach the world's last day; or ""."""
    ends = [resource["period"]["end"] for resource in (manifest or {"resources": []})["resources"]]
    last = iso(world.last_day)
    if world.last_day < world.start_day or last in ends or max(ends, default="") > last:
        return ""
    found = f"ends with {max(ends)}" if ends else "is missing"
    return (
        f"the manifest in this folder {found}, but the world has lived through {last}: files of "
        "earlier days are elsewhere or lost, and gen verify will say so"
    )


def plan_chunks(period: Period, manifest: dict[str, Any] | None) -> list[Period]:
    """Return the monthly chunks of a period, cut where files that the manifest lists begin or end.

    After a recovery the files of some days are there already: made again under the same names,
    they are found equal.
    """
    cuts = set()
    for resource in (manifest or {"resources": []})["resources"]:
        start = parse_date(resource["period"]["start"], "period")
        end = parse_date(resource["period"]["end"], "period")
        if start >= period.start:
            cuts |= {start, end + 1}
    chunks = []
    for chunk in month_chunks(period):
        inner = sorted(cut for cut in cuts if chunk.start < cut <= chunk.end)
        starts = [chunk.start, *inner]
        ends = [*(cut - 1 for cut in inner), chunk.end]
        chunks += [Period(*pair) for pair in zip(starts, ends, strict=True)]
    return chunks


def _check_capacity(world: World, rules: Rules, period: Period) -> None:
    expected = world.total_transactions + expected_rows(world, rules, period)
    if expected > MAX_PAYMENTS:
        raise UsageError(
            f"--end-date = {iso(period.end)}: the world would have about {expected:,} payments; "
            f"expected at most {MAX_PAYMENTS:,}, which ten digits number; choose an earlier date "
            "or fewer merchants"
        )


def execute(
    request: Request, held: Held, on_progress: Progress = lambda _day, _rows: None
) -> Outcome:
    """Do a run on a world that is held (none yet: one is born), and return what was done.

    Raises StorageError, ConflictError, WorkerError; whatever was committed before stays, and the
    same call again goes on from there.
    """
    rules = compile_rules(request.config, load_reference())
    past = None if request.replaces else held.world
    workers = _worker_count(request, rules, past)
    # The workers get ready while the first merchants are born.
    with Renderer(rules, request.style, workers, held.locks, request.start_method) as renderer:
        world = past or create_world(request.config, request.period.start, rules.reference.places)
        run, chunks = _prepare(request, held, world.with_config(request.config), rules)
        try:
            return _generate(run, rules, {chunk.end for chunk in chunks}, renderer, on_progress)
        except NoSpaceError as error:
            run.abandon()
            raise NoSpaceError(f"{error}{_space_for_the_rest(run, rules)}") from error
        except (StorageError, ConflictError, MemoryError):
            run.abandon()
            raise
        finally:
            run.close()


def _space_for_the_rest(run: Work, rules: Rules) -> str:
    """Return what a run that goes on later will need, from its last commit on, in words."""
    world, request = run.outcome.world, run.request
    left = Period(world.last_day + 1, request.period.end)
    if left.start > left.end:
        return ""
    needed = expected_bytes(world, rules, left, request.style)
    return f"; the days from {iso(left.start)} on need about {needed:,} bytes"


def _worker_count(request: Request, rules: Rules, past: World | None) -> int:
    if past is None:
        rows = expected_first_rows(rules, request.period)
    else:
        rows = expected_rows(past, rules, request.period)
    return (request.workers or core_count()) if rows >= WORKER_ROWS else 1


def _prepare(request: Request, held: Held, world: World, rules: Rules) -> tuple[Work, list[Period]]:
    """Return the run, begun or taken up again, and its chunks; nothing is made of it so far."""
    _check_capacity(world, rules, request.period)
    if request.replaces and held.world is not None:
        # The files that are moved aside are those of the world that is replaced, no other's.
        check_same_world(request.output_dir, held.world)
    leaving = frozenset(replaced_names(request.output_dir) if request.replaces else ())
    manifest = None if request.replaces else check_same_world(request.output_dir, world)
    chunks = plan_chunks(request.period, manifest)
    names = {request.style.path(t, c) for c in chunks for t in TABLES}
    check_targets(request.output_dir, request.period, names, leaving)
    check_state_targets(request.state_dir)
    run = Work(request, world, held.base, chunks)
    run.outcome.warning = missing_before(world, manifest)
    run.begin(held.records, rules)
    return run, chunks


def _days(run: Work, rules: Rules) -> Iterator[tuple[World, DayPlan]]:
    world = run.world
    while world.last_day < run.request.period.end:
        world, plan = step_day(world, rules)
        yield world, plan


def _days_ahead(run: Work, rules: Rules) -> Iterator[tuple[World, DayPlan]]:
    """Yield the days, of which later ones are lived already: what ends a chunk is soon known.

    Two are lived for each that is yielded, until there are enough: the first ones have no time.
    """
    waiting: deque[tuple[World, DayPlan]] = deque()
    yielded = 0
    for world, plan in _days(run, rules):
        run.look_ahead(world)
        waiting.append((world, plan))
        if len(waiting) > min(yielded, DAYS_AHEAD):
            yield waiting.popleft()
            yielded += 1
    yield from waiting


def _generate(
    run: Work,
    rules: Rules,
    last_days: set[int],
    renderer: Renderer,
    on_progress: Progress,
) -> Outcome:
    on_progress(run.world.last_day, 0)
    days = (_days_ahead if renderer.has_workers else _days)(run, rules)
    for task, rendered in renderer.render(cut_tasks(days, last_days), run.is_busy):
        run.take(task, rendered)
        on_progress(run.world.last_day, run.outcome.rows)
    if run.world.last_day == run.request.period.end and run.pending:
        # A run that was cut short between its last chunk and the commit.
        run.commit()
    return run.outcome
