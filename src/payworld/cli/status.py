"""gen status: what world is this."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from payworld.cli.output import guarded, print_json, print_text
from payworld.cli.settings import read_settings
from payworld.cli.summary import versions_by_change
from payworld.config.model import SIZES
from payworld.storage.journal import read_journal
from payworld.storage.manifest import read_manifest
from payworld.storage.session import check_paths
from payworld.storage.state_file import read_state
from payworld.timeline import Period, iso
from payworld.world.state import World

__all__ = ["show_status"]

# So many missing files are named.
SHOWN = 5


def _world_status(world: World) -> dict[str, Any]:
    merchants = world.merchants
    active = merchants.active
    return {
        "seed": world.seed,
        "start_date": iso(world.start_day),
        "last_generated_date": iso(world.last_day),
        "days": world.last_day - world.start_day + 1,
        "merchants": {
            "total": len(merchants),
            "active": int(active.sum()),
            "churned": int((~active).sum()),
            "active_by_size": {
                size: int((active & (merchants.size == code)).sum())
                for code, size in enumerate(SIZES)
            },
        },
        "versions": {
            "total": sum(len(batch) for batch in world.versions),
            "by_change_type": versions_by_change(world, Period(world.start_day, world.last_day)),
        },
        "cards": {"issued": world.card_counter, "stored": len(world.cards)},
        "total_transactions": world.total_transactions,
        "configuration_changes": [iso(era.from_day) for era in world.eras[1:]],
    }


def _files_status(output_dir: Path) -> dict[str, Any]:
    manifest = read_manifest(output_dir) if output_dir.is_dir() else None
    found = manifest["resources"] if manifest else []
    return {
        "count": len(found),
        "bytes": sum(resource["bytes"] for resource in found),
        "rows": {
            table: sum(r["rows"] for r in found if r["table"] == table)
            for table in ("merchants", "transactions")
        },
        "latest": [resource["path"] for resource in found[-2:]],
        "missing": [r["path"] for r in found if not (output_dir / r["path"]).is_file()],
    }


def show_status(
    state_dir: Path | None, output_dir: Path | None, as_json: bool, debug: bool
) -> None:
    """Print what world is in the state folder and what files tell of it."""
    with guarded(debug):
        options = {
            "state_dir": None if state_dir is None else str(state_dir),
            "output_dir": None if output_dir is None else str(output_dir),
        }
        config, _ = read_settings(None, options)
        state, output = Path(config.state_dir), Path(config.output_dir)
        check_paths(state, output)
        world, _ = read_state(state)
        data = {
            "state_dir": str(state),
            "output_dir": str(output),
            **_world_status(world),
            "files": _files_status(output),
            "unfinished_run": next(iter(read_journal(state)), None),
        }
        if as_json:
            print_json(data)
        else:
            print_text(_status_text(data))


def _named(names: list[str]) -> str:
    """Return names as a line of text, the first of them if there are many.

    >>> _named(["a", "b"])
    'a, b'
    """
    more = f" and {len(names) - SHOWN:,} more; --json lists them all" if names[SHOWN:] else ""
    return f"{', '.join(names[:SHOWN])}{more}"


def _status_text(data: dict[str, Any]) -> str:
    merchants, versions, files = data["merchants"], data["versions"], data["files"]
    by_size = ", ".join(f"{count:,} {size}" for size, count in merchants["active_by_size"].items())
    changes = ", ".join(f"{n:,} {name}" for name, n in versions["by_change_type"].items() if n)
    rows = [
        ("world", f"{data['start_date']} to {data['last_generated_date']} ({data['days']:,} days)"),
        ("seed", str(data["seed"])),
        ("merchants", f"{merchants['active']:,} active ({by_size}), {merchants['churned']:,} gone"),
        ("versions", f"{versions['total']:,} ({changes})"),
        ("cards", f"{data['cards']['issued']:,} issued, {data['cards']['stored']:,} stored"),
        ("payments", f"{data['total_transactions']:,}"),
        ("files", f"{files['count']:,} in {data['output_dir']}, {files['bytes']:,} bytes"),
    ]
    if data["configuration_changes"]:
        rows.append(("configured", "anew from " + ", ".join(data["configuration_changes"])))
    if files["missing"]:
        rows.append(("missing", _named(files["missing"])))
    if data["unfinished_run"]:
        run = data["unfinished_run"]
        rows.append(
            ("unfinished", f"{run['mode']} to {run.get('end')}: at work, or cut short; the same "
             "command goes on")
        )  # fmt: skip
    return "\n".join(f"{name:<11} {value}" for name, value in rows)
