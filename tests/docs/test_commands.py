"""Every command that the documents show does what they say."""

import ast
import configparser
import doctest
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tools.make_docs import (
    ROOT,
    Fence,
    documents,
    fences,
    make_checkout,
    normalised,
    run_python,
    run_script,
    steps,
)

from payworld.config import parse_document

RUN = {"sh", "console", "python", "pycon"}
SHOWN = {"bash", "py", "cron", "ini", "yaml", "json", "text"}
DOCUMENTS = [str(page.relative_to(ROOT)) for page in documents()]
CRON_TIME = re.compile(r"([-*,/0-9]+ ){5}\S.*")
CRON_VARIABLE = re.compile(r"[A-Z_]+=\S+")


def fences_of(name: str) -> list[Fence]:
    return fences((ROOT / name).read_text(encoding="utf-8"))


def check_console(name: str, fence: Fence, folder: Path) -> None:
    found = steps(fence.text)
    assert found, f"{name}:{fence.line}: no line begins with '$ '"
    for step in found:
        ended = run_script(step.command, folder)
        assert ended.returncode == 0, f"{name}: $ {step.command}\n{ended.stdout}"
        assert normalised(ended.stdout) == normalised(step.output), f"{name}: $ {step.command}"


def check_doctest(name: str, fence: Fence, names: dict[str, Any]) -> None:
    test = doctest.DocTestParser().get_doctest(fence.text, names, name, name, fence.line - 1)
    # What the block leaves behind is there for the next one.
    test.globs = names
    report: list[str] = []
    doctest.DocTestRunner(verbose=False).run(test, out=report.append, clear_globs=False)
    assert not report, "".join(report)


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in DOCUMENTS if {f.language for f in fences_of(n)} & RUN])
def test_the_commands_of_a_document_run_in_order_and_give_the_output_shown(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "payworld"
    folder.mkdir()
    make_checkout(folder)
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    for fence in fences_of(name):
        if fence.language == "console":
            check_console(name, fence, folder)
        elif fence.language == "pycon":
            check_doctest(name, fence, names)
        elif fence.language in {"sh", "python"}:
            run = run_script if fence.language == "sh" else run_python
            ended = run(fence.text, folder)
            assert ended.returncode == 0, f"{name}:{fence.line}:\n{ended.stdout}"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_fences_are_of_a_known_kind_and_what_is_only_shown_parses(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    found = fences(text)
    assert len(re.findall(r"^```", text, re.MULTILINE)) == 2 * len(found)
    for fence in found:
        where = f"{name}:{fence.line}"
        assert fence.language in RUN | SHOWN, f"{where}: {fence.language!r}"
        if fence.language == "bash":
            check_bash(fence.text, where)
        elif fence.language == "py":
            ast.parse(fence.text, where)
        elif fence.language == "cron":
            check_cron(fence.text, where)
        elif fence.language == "ini":
            configparser.ConfigParser(interpolation=None).read_string(fence.text, where)
        elif fence.language == "yaml":
            parse_document(fence.text, where)
        elif fence.language == "json":
            json.loads(fence.text)


def check_bash(text: str, where: str) -> None:
    ended = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{where}: {ended.stderr}"
    for path in re.findall(r"(?:tools|tests|examples|benchmarks|requirements)/[\w/.]+", text):
        assert (ROOT / path).exists(), f"{where}: {path}"


def check_cron(text: str, where: str) -> None:
    for line in text.splitlines():
        assert CRON_TIME.fullmatch(line) or CRON_VARIABLE.fullmatch(line), f"{where}: {line}"


def test_airflow_s_dag_runs_one_at_a_time_and_without_a_question() -> None:
    # Airflow itself reads and runs it in a job of its own, tests/jobs/airflow.
    dag = ast.parse((ROOT / "examples/airflow/payworld_dag.py").read_text(encoding="utf-8"))
    arguments = {
        keyword.arg: ast.unparse(keyword.value)
        for call in ast.walk(dag)
        if isinstance(call, ast.Call)
        for keyword in call.keywords
    }
    assert arguments["max_active_runs"] == "1"
    assert arguments["catchup"] == "True"
    assert re.search(r"gen', '--incremental', .*'-f'", ast.unparse(dag))
