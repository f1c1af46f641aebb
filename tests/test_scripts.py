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


def write_stamp(root: Path, kind: str, venv: str = ".venv") -> None:
    stamp = subprocess.run(
        ["bash", "-c", 'root=$1; source "$root/scripts/venv.sh"; venv_stamp "$2"', "-", root, kind],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    (root / venv / "payworld-stamp").write_text(f"{stamp}\n", encoding="utf-8")


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


def make_java(folder: Path, version: str) -> None:
    """Put a java in a folder that tells its version as the real one does, on stderr."""
    folder.mkdir(parents=True, exist_ok=True)
    told = f'openjdk version "{version}" 2025-04-15'
    (folder / "java").write_text(f"#!/bin/sh\necho '{told}' >&2\n", encoding="utf-8")
    (folder / "java").chmod(0o755)


@pytest.mark.parametrize("job", ["spark", "dbt", "airflow"])
def test_a_job_runs_its_tests_in_a_venv_of_its_own(
    checkout: Path, tmp_path: Path, job: str
) -> None:
    (checkout / ".venv").rename(checkout / f".venv-{job}")
    write_stamp(checkout, job, f".venv-{job}")
    make_java(tmp_path / "jre" / "bin", "17.0.15")
    ended = run(
        checkout / "run_tests.sh", "--job", job, "-k", "two words",
        cwd=tmp_path, JAVA_HOME=str(tmp_path / "jre"),
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    arguments = ["-m", "pytest", f"tests/jobs/{job}", "-k", "two words"]
    assert ended.stdout.splitlines() == [str(checkout), "", "", "", *arguments]


def test_a_venv_made_for_the_tests_does_not_serve_a_job(checkout: Path, no_python: str) -> None:
    write_stamp(checkout, "test")
    ended = run(checkout / "run_tests.sh", "--job", "dbt", cwd=checkout, PATH=no_python)
    assert ended.returncode == 1
    assert "no usable Python" in ended.stderr


@pytest.mark.parametrize(
    ("version", "told"), [("11.0.2", "11"), ("1.8.0_402", "1"), (None, "nothing")]
)
def test_the_spark_job_fails_without_a_java_that_serves(
    checkout: Path, tmp_path: Path, version: str | None, told: str
) -> None:
    java = tmp_path / "jre" / "bin" / "java"
    if version:
        make_java(java.parent, version)
    ended = run(
        checkout / "run_tests.sh", "--job", "spark", cwd=checkout, JAVA_HOME=str(tmp_path / "jre")
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"needs Java 17 or newer; {java} -version tells: {told}\n" in ended.stderr
    assert "apt-get install openjdk-17-jre-headless" in ended.stderr


@pytest.mark.parametrize("arguments", [["--job", "flink"], ["--job"]])
def test_an_unknown_job_is_refused(checkout: Path, arguments: list[str]) -> None:
    ended = run(checkout / "run_tests.sh", *arguments, cwd=checkout)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "expected spark, dbt or airflow" in ended.stderr


def test_the_suite_leaves_the_jobs_out(request: pytest.FixtureRequest) -> None:
    jobs = ROOT / "tests" / "jobs"
    assert [item for item in request.session.items if item.path.is_relative_to(jobs)] == []


def test_ci_goes_on_after_a_step_that_failed_and_ends_with_its_failure(checkout: Path) -> None:
    (checkout / ".ci").mkdir()
    shutil.copy2(ROOT / ".ci" / "run", checkout / ".ci" / "run")
    failing = """#!/bin/sh\necho "ran $*"\n[ "$2" != dbt ]\n"""
    (checkout / "run_tests.sh").write_text(failing, encoding="utf-8")
    ended = run(checkout / ".ci" / "run", cwd=checkout)
    assert ended.returncode == 1
    told = [line for line in ended.stdout.splitlines() if line.startswith("ran")]
    assert told == ["ran ", "ran --slow", "ran --job spark", "ran --job dbt", "ran --job airflow"]
