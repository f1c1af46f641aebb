"""Writes what the documents take from the code, and runs the commands that they show.

    .venv/bin/python tools/make_docs.py              # data dictionary, configuration
    .venv/bin/python tools/make_docs.py --console    # and the output of the commands shown
    .venv/bin/python tools/make_docs.py --check      # exit code 1 if anything would change

Fences in README.md, CONTRIBUTING.md, examples/README.md and docs/ mean:

    sh        run by bash in a temporary checkout; a command that fails is a failure
    console   `$ command` and its output, both streams; the output is compared
    python    run in the same folder
    pycon     run in the same folder as a doctest, with one namespace for the document
    others    shown: bash, py, cron, ini, yaml and json are checked for syntax alone
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from payworld.config import Config, to_commented_yaml
from payworld.schema import SCHEMA_VERSION, TABLES, Column, Table

ROOT = Path(__file__).resolve().parents[1]
DICTIONARY = ROOT / "docs" / "data_dictionary.md"
CONFIGURATION = ROOT / "docs" / "configuration.md"
# These products' documents are checked with their products.
NOT_RUN = frozenset({"fraud.md", "finance.md"})

# What stands in outputs for the folder that the commands were run in.
SHOWN_FOLDER = "/home/you/payworld"

BEGIN = "<!-- written by tools/make_docs.py: gen config -->\n"
END = "<!-- end -->"

_FENCE = re.compile(r"^```([a-z]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What differs from run to run, in the output of commands.
_VARIABLE = (
    (re.compile(r"^(time +)[0-9.]+ s, [0-9,]+ rows/s$", re.MULTILINE), r"\1#"),
    (re.compile(r'"(seconds|rows_per_second)": [0-9.]+'), r'"\1": #'),
    (re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}-[0-9]{2}-[0-9]{2}Z"), "#"),
    (re.compile(r"[ \t]+$", re.MULTILINE), ""),
)

_DIALECT = """\
Every file is made from `src/payworld/schema.py`, and so is this page.

| | CSV | Parquet |
| --- | --- | --- |
| dialect | RFC 4180 with LF, a header line, quotes only where needed, UTF-8 | zstd, row groups of \
262,144 rows |
| null | empty | null |
| string, category | text | string; a category is dictionary-encoded |
| integer | digits | int32 |
| decimal(p, s) | always s decimals | decimal128(p, s) |
| date | `YYYY-MM-DD` | date32 |
| datetime | `YYYY-MM-DDTHH:MM:SS` | timestamp[us] without a zone |

`raw_data/datapackage.json` describes the same columns as a Frictionless Data Package, with the
rows, bytes and SHA-256 of each file.
"""


@dataclass(frozen=True)
class Fence:
    """A fenced block of a document: its language, its text, and where the text begins."""

    language: str
    text: str
    start: int
    line: int


@dataclass(frozen=True)
class Step:
    """A command of a console block and the output that the document shows for it."""

    command: str
    output: str


def _type_text(column: Column) -> str:
    if column.type == "decimal":
        return f"decimal({column.precision}, {column.scale})"
    return column.type


def _allowed_text(column: Column) -> str:
    if column.values:
        return ", ".join(f"`{value}`" for value in column.values)
    if column.pattern:
        return f"pattern `{column.pattern}`"
    return ""


def _table_lines(table: Table) -> Iterator[str]:
    yield f"## {table.name}"
    yield ""
    yield table.description
    yield ""
    yield f"- file: `{table.name}_<start>_<end>.csv` or `.parquet`"
    yield f"- primary key: {', '.join(f'`{name}`' for name in table.primary_key)}"
    for name, target in table.foreign_keys.items():
        yield f"- foreign key: `{name}` points to `{target}`"
    yield f"- event time: `{table.event_time}`"
    yield ""
    yield "| name | type | unit | null | meaning | example | allowed values |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for column in table.columns:
        cells = (
            f"`{column.name}`",
            _type_text(column),
            column.unit,
            "yes" if column.nullable else "no",
            column.description,
            f"`{column.example}`" if column.example else "(empty)",
            _allowed_text(column),
        )
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    yield ""


def data_dictionary() -> str:
    """Return docs/data_dictionary.md as the schema has it.

    >>> data_dictionary().splitlines()[0]
    '# Data dictionary'
    """
    lines = [
        "# Data dictionary",
        "",
        "<!-- Written by tools/make_docs.py from src/payworld/schema.py: change it there. -->",
        "",
        f"Schema version {SCHEMA_VERSION}. {_DIALECT}",
    ]
    for table in TABLES.values():
        lines += _table_lines(table)
    return "\n".join(lines).rstrip() + "\n"


def configuration_page(page: str) -> str:
    """Return docs/configuration.md with the output of `gen config` between its marks."""
    # cli.settings, which holds the title, reads files: the title alone is wanted.
    from payworld.cli.settings import TITLE

    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{CONFIGURATION}: expected the marks {BEGIN.strip()!r} and {END!r}")
    return f"{before}{begin}\n```yaml\n{to_commented_yaml(Config(), TITLE)}```\n\n{end}{after}"


def documents() -> list[Path]:
    """Return the documents whose commands are run."""
    pages = sorted((ROOT / "docs").rglob("*.md"))
    return [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "examples" / "README.md",
        *(page for page in pages if page.name not in NOT_RUN),
    ]


def fences(text: str) -> list[Fence]:
    r"""Return the fenced blocks of a document, in order.

    >>> fences("x\n```sh\nls\n```\n")
    [Fence(language='sh', text='ls\n', start=8, line=3)]
    """
    return [
        Fence(match[1], match[2], match.start(2), text.count("\n", 0, match.start(2)) + 1)
        for match in _FENCE.finditer(text)
    ]


def steps(text: str) -> list[Step]:
    r"""Return the commands of a console block with their outputs.

    >>> steps("$ echo a\na\n$ true\n")
    [Step(command='echo a', output='a\n'), Step(command='true', output='')]
    """
    found: list[Step] = []
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        found.append(Step(command, output))
    return found


def normalised(output: str) -> str:
    """Return an output without what differs from run to run.

    >>> normalised("time          0.29 s, 212,019 rows/s")
    'time          #'
    """
    for pattern, replacement in _VARIABLE:
        output = pattern.sub(replacement, output)
    return output


def make_checkout(folder: Path) -> None:
    """Fill a folder with what a user's checkout has, its .venv ready and its checks stubbed."""
    for name in ("requirements", "scripts", "examples"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("generate_data.sh", "run_tests.sh", "pyproject.toml"):
        shutil.copy2(ROOT / name, folder / name)
    for name in ("state", "raw_data"):
        (folder / name).mkdir()
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    bodies = {
        "gen": f'exec "{sys.executable}" -m payworld "$@"',
        # run_tests.sh ends in pytest, which is what runs this.
        "python": f'[ "$2" = pytest ] && exit 0\nexec "{sys.executable}" "$@"',
        **dict.fromkeys(("ruff", "mypy", "lint-imports"), "exit 0"),
    }
    for name, body in bodies.items():
        (programs / name).write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        (programs / name).chmod(0o755)
    stamp = subprocess.run(  # noqa: S603
        ["bash", "-c", 'root=$1; source "$1/scripts/venv.sh"; venv_stamp test', "-", folder],  # noqa: S607
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    (folder / ".venv" / "payworld-stamp").write_text(f"{stamp}\n", encoding="utf-8")


def run_script(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a bash script in a checkout as a user would, both streams in one."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PAYWORLD_", "PYTEST_"))}
    programs = folder / ".venv" / "bin"
    environment = kept | {
        "PATH": f"{programs}{os.pathsep}{kept['PATH']}",
        "LC_ALL": "C.UTF-8",
        "NO_COLOR": "1",
        "COLUMNS": "100",
        "PYTHONPATH": str(ROOT / "src"),
    }
    ended = subprocess.run(  # noqa: S603
        ["bash", "-euo", "pipefail", "-c", script],  # noqa: S607
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    ended.stdout = ended.stdout.replace(str(folder), SHOWN_FOLDER)
    return ended


def run_python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a Python block in a checkout, warnings as errors."""
    (folder / ".block.py").write_text(code, encoding="utf-8")
    return run_script("python -W error .block.py", folder)


def with_console_output(text: str) -> str:
    """Return a document with the output of its console blocks as the commands give it now."""
    found = [f for f in fences(text) if f.language in {"sh", "console", "python"}]
    if not any(fence.language == "console" for fence in found):
        return text
    pieces, at = [], 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_checkout(folder)
        for fence in found:
            if fence.language == "sh":
                run_script(fence.text, folder)
            elif fence.language == "python":
                run_python(fence.text, folder)
            else:
                pieces += [text[at : fence.start], _console_text(fence, folder)]
                at = fence.start + len(fence.text)
    return "".join([*pieces, text[at:]])


def _console_text(fence: Fence, folder: Path) -> str:
    lines = []
    for step in steps(fence.text):
        output = run_script(step.command, folder).stdout
        same = normalised(output) == normalised(step.output)
        lines.append(f"$ {step.command}\n{step.output if same else output}")
    return "".join(lines)


def _write(path: Path, text: str, check: bool) -> bool:
    """Write a page if it differs; returns whether it did."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    if not check:
        path.write_text(text, encoding="utf-8")
    print(f"{'out of date' if check else 'written'}: {path.relative_to(ROOT)}")
    return True


def main() -> int:
    """Write the pages; return the exit code."""
    parser = argparse.ArgumentParser(description="Write what the documents take from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if out of date")
    parser.add_argument("--console", action="store_true", help="run the commands shown as well")
    arguments = parser.parse_args()
    page = CONFIGURATION.read_text(encoding="utf-8")
    changed = [
        _write(DICTIONARY, data_dictionary(), arguments.check),
        _write(CONFIGURATION, configuration_page(page), arguments.check),
    ]
    if arguments.console:
        for path in documents():
            text = with_console_output(path.read_text(encoding="utf-8"))
            changed.append(_write(path, text, arguments.check))
    return int(arguments.check and any(changed))


if __name__ == "__main__":
    sys.exit(main())
