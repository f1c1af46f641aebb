"""gen preview: the newest rows, as a table in the terminal."""

from __future__ import annotations

from pathlib import Path

from payworld.cli.files import end_if_lost
from payworld.cli.output import guarded, print_json, print_text, say
from payworld.cli.settings import read_settings
from payworld.cli.tables import GAP, plain, print_table, shown_width, table_widths
from payworld.reports.preview import Preview, read_newest
from payworld.schema import TABLES
from payworld.storage.session import check_paths

__all__ = ["show_preview"]

# Where the width does not do for all, these come first, and then the others in their order.
IMPORTANT = {
    "merchants": (
        "merchant_id", "merchant_name", "effective_date", "change_type", "version", "city",
        "state", "mdr_rate", "size_category", "status", "industry",
    ),
    "transactions": (
        "payment_id", "payment_timestamp", "merchant_id", "payment_amount", "payment_status",
        "payment_type", "card_brand", "net_profit", "mdr_amount", "card_type",
    ),
}  # fmt: skip


def show_preview(
    table: str, rows: int, all_columns: bool, output_dir: Path | None, as_json: bool, debug: bool
) -> None:
    """Print the newest rows of a table, the newest last; exit code 1 if files of it are lost."""
    with guarded(debug):
        options = {"output_dir": None if output_dir is None else str(output_dir)}
        config, _ = read_settings(None, options)
        output = Path(config.output_dir)
        check_paths(Path(config.state_dir), output)
        preview = read_newest(output, table, rows)
        if as_json:
            print_json(
                {
                    "table": table,
                    "rows": preview.rows,
                    "files": preview.files,
                    "total_rows": preview.total_rows,
                    "lost": [file.name for file in preview.lost],
                }
            )
        else:
            shown = _print_rows(preview, all_columns)
            say(_told(preview, shown))
        end_if_lost(preview.lost, config)


def _told(preview: Preview, shown: int) -> str:
    total, names = preview.total_rows, TABLES[preview.table].names
    if not preview.rows:
        if preview.lost:
            return f"no rows: no file of {preview.table} that has any is left"
        return f"no rows: the files of {preview.table} are empty"
    told = f"the newest {len(preview.rows):,} of {total:,} rows"
    if preview.lost:
        told += " in the files that are left"
    if shown < len(names):
        told += f", {shown} of {len(names)} columns; --all-columns shows the others, --json too"
    return told


def _print_rows(preview: Preview, all_columns: bool) -> int:
    """Print the rows as a table, or one below the other; return how many columns are shown."""
    names = TABLES[preview.table].names
    if not preview.rows:
        return len(names)
    cells = {
        name: ["" if row[name] is None else plain(row[name]) for row in preview.rows]
        for name in names
    }
    fitting = _fitting(preview.table, names, cells)
    if all_columns and len(fitting) < len(names):
        _print_records(names, cells, len(preview.rows))
        return len(names)
    table = TABLES[preview.table]
    print_table(
        fitting,
        list(zip(*(cells[name] for name in fitting), strict=True)),
        right=[name for name in fitting if table.column(name).type in {"decimal", "integer"}],
        wrapped=fitting[0] if len(fitting) == 1 else None,
    )
    return len(fitting)


def _fitting(table: str, names: list[str], cells: dict[str, list[str]]) -> list[str]:
    """Return the columns that fit the width, the important ones first; one in any case."""
    order = [*IMPORTANT[table], *(name for name in names if name not in IMPORTANT[table])]
    left = shown_width() + len(GAP)
    chosen: set[str] = set()
    for name in order:
        (width,) = table_widths([name], [[text] for text in cells[name]])
        left -= width + len(GAP)
        if left < 0 and chosen:
            break
        chosen.add(name)
    return [name for name in names if name in chosen]


def _print_records(names: list[str], cells: dict[str, list[str]], rows: int) -> None:
    """Print each row as lines of name and value."""
    width = max(map(len, names))
    records = (
        "\n".join(f"{name:<{width}}{GAP}{cells[name][row]}".rstrip() for name in names)
        for row in range(rows)
    )
    print_text("\n\n".join(records))
