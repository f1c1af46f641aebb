import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHOW = """#!/bin/sh
printf '%s\\n' "$PWD" "$PAYWORLD_HOME" "${PAYWORLD_STATE_DIR-}" "${PAYWORLD_OUTPUT_DIR-}" "$@"
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout, in a folder with a space, whose ready .venv has a gen that shows its call."""
    root = tmp_path / "a checkout"
    shutil.copytree(ROOT / "requirements", root / "requirements")
    shutil.copytree(ROOT / "scripts", root / "scripts")
    for name in ("generate_data.sh", "run_tests.sh", "pyproject.toml"):
        shutil.copy2(ROOT / name, root / name)
    programs = root / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("gen", "python"):
        (programs / name).write_text(SHOW, encoding="utf-8")
        (programs / name).chmod(0o755)
    write_stamp(root, "run")
    return root


def write_stamp(root: Path, kind: str) -> None:
    stamp = subprocess.run(
        ["bash", "-c", 'root=$1; source "$root/scripts/venv.sh"; venv_stamp "$2"', "-", root, kind],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    (root / ".venv" / "payworld-stamp").write_text(f"{stamp}\n", encoding="utf-8")


def run(
    script: Path, *arguments: str, cwd: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PAYWORLD_")}
    return subprocess.run(
        [script, *arguments],
        cwd=cwd,
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def no_python(tmp_path: Path) -> str:
    """A PATH with what the scripts call, and no Python: setting up cannot begin."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "cat", "env", "readlink", "rm", "sh", "sha256sum", "shasum"):
        if found := shutil.which(name):
            (programs / name).symlink_to(found)
    return str(programs)


def test_gen_runs_in_the_callers_folder_with_the_arguments_as_given(
    checkout: Path, tmp_path: Path
) -> None:
    link = tmp_path / "link"
    link.symlink_to(checkout / "generate_data.sh")
    ended = run(link, "--initial", "two words", "", cwd=tmp_path)
    assert ended.stdout.splitlines() == [
        str(tmp_path),
        str(checkout),
        "",
        "",
        "--initial",
        "two words",
        "",
    ]
    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_environment_may_name_other_places(checkout: Path, tmp_path: Path) -> None:
    ended = run(
        checkout / "generate_data.sh",
        cwd=tmp_path,
        PAYWORLD_STATE_DIR="mine",
        PAYWORLD_OUTPUT_DIR="/elsewhere",
    )
    assert ended.stdout.splitlines()[1:] == [str(checkout), "mine", "/elsewhere"]


def test_a_venv_made_for_the_tests_serves_runs(
    checkout: Path, tmp_path: Path, no_python: str
) -> None:
    write_stamp(checkout, "test")
    ended = run(checkout / "generate_data.sh", cwd=tmp_path, PATH=no_python)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_venv_made_for_runs_does_not_serve_the_tests(checkout: Path, no_python: str) -> None:
    ended = run(checkout / "run_tests.sh", cwd=checkout, PATH=no_python)
    assert ended.returncode == 1
    assert "no usable Python" in ended.stderr


@pytest.mark.parametrize("change", ["lock", "project", "unfinished", "moved", "no interpreter"])
def test_a_venv_that_is_not_current_is_not_used(
    checkout: Path, tmp_path: Path, no_python: str, change: str
) -> None:
    if change == "lock":
        (checkout / "requirements" / "run.txt").write_text("", encoding="utf-8")
    elif change == "project":
        (checkout / "pyproject.toml").write_text("", encoding="utf-8")
    elif change == "unfinished":
        (checkout / ".venv" / "payworld-stamp").unlink()
    elif change == "moved":
        checkout = checkout.rename(tmp_path / "moved")
    else:
        python = checkout / ".venv" / "bin" / "python"
        python.unlink()
        python.symlink_to(tmp_path / "gone")
    ended = run(checkout / "generate_data.sh", cwd=tmp_path, PATH=no_python)
    # Here it would be made anew, so the lack of a Python is what is complained of.
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "expected python3 on the PATH, 3.11 or newer" in ended.stderr
