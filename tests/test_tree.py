import os
import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ("generate_data.sh", "run_tests.sh", ".ci/run", "requirements/compile.sh")
JOBS = ("spark", "dbt", "airflow")
LOCKS = ("bootstrap", "run", "test", *JOBS)
EXTRAS_OF_TEST_LOCK = ("test", "s3", "db", "bench")

# Joined here, so that this file passes its own test.
REGISTRY_HOSTS = tuple(
    ".".join(labels)
    for labels in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("pypi", "python", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("deb", "debian", "org"),
        ("security", "debian", "org"),
        ("crates", "io"),
        ("anaconda", "org"),
        ("maven", "org"),
    )
)
LEFTOVER_MARK = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "HA" + "CK")) + r")\b")


@cache
def tree() -> tuple[Path, ...]:
    """Return the files that a commit of everything would hold."""
    listing = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-coz", "--exclude-standard"],
        capture_output=True,
        check=False,
    )
    assert listing.returncode == 0, "these tests read the tree as git lists it: run them in a clone"
    names = {os.fsdecode(name) for name in listing.stdout.split(b"\0") if name}
    # A file deleted since the last commit is still listed.
    return tuple(path for name in sorted(names) if (path := ROOT / name).is_file())


@cache
def locked(name: str) -> tuple[tuple[Requirement, bool], ...]:
    """Return each requirement of a lock, and whether it has a hash."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    entries = text.replace("\\\n", " ").splitlines()
    return tuple(
        (Requirement(entry.split(" --hash=")[0].strip()), " --hash=sha256:" in entry)
        for entry in entries
        if entry.strip()
    )


def locked_versions(name: str) -> dict[str, set[str]]:
    """Return each package's versions in a lock: more than one where Pythons differ."""
    versions: dict[str, set[str]] = {}
    for requirement, _ in locked(name):
        version = str(requirement.specifier).removeprefix("==")
        versions.setdefault(canonicalize_name(requirement.name), set()).add(version)
    return versions


def project() -> dict[str, list[str]]:
    """Return pyproject's requirements: "core", and those of each extra."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {"core": table["dependencies"], **table["optional-dependencies"]}


def unmet(wanted: list[str], lock: str) -> list[str]:
    versions = locked_versions(lock)
    missing = []
    for text in wanted:
        requirement = Requirement(text)
        found = versions.get(canonicalize_name(requirement.name), set())
        if not found or not all(requirement.specifier.contains(v) for v in found):
            missing.append(f"{text}: locked {sorted(found) or 'nowhere'}")
    return missing


def test_no_file_names_the_host_of_a_package_registry() -> None:
    needles = [host.encode() for host in REGISTRY_HOSTS]
    found = [
        f"{path.relative_to(ROOT)}: {needle.decode()}"
        for path in tree()
        for needle in needles
        if needle in path.read_bytes().lower()
    ]
    assert found == []


def test_no_lock_that_names_its_index_is_in_the_tree() -> None:
    names = {path.name for path in tree()}
    assert names.isdisjoint({"uv" + ".lock", "poetry" + ".lock", "Pipfile" + ".lock"})


def test_what_runs_leave_in_state_and_raw_data_is_not_in_the_tree() -> None:
    kept = {str(p.relative_to(ROOT)) for p in tree()}
    kept = {name for name in kept if name.startswith(("state/", "raw_data/"))}
    assert kept == {"state/.gitkeep", "raw_data/.gitkeep"}


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_can_be_started_and_parsed(name: str) -> None:
    path = ROOT / name
    assert os.access(path, os.X_OK), f"{name} is not executable"
    assert path.read_text(encoding="utf-8").startswith("#!/usr/bin/env bash\n")
    subprocess.run(["bash", "-n", str(path)], check=True)


@pytest.mark.parametrize("name", SCRIPTS)
def test_git_gives_scripts_out_as_executable(name: str) -> None:
    if ROOT / name not in tree():
        pytest.fail(f"{name} is not in the tree")
    staged = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "--stage", "--", name],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    # Nothing is staged before the first commit.
    assert staged == "" or staged.startswith("100755 ")


def test_ci_runs_the_tests_as_a_developer_does() -> None:
    commands = [
        line
        for line in (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
        if not line.lstrip().startswith("#")
    ]
    assert any(re.search(r"(^|\s)\./run_tests\.sh$", line) for line in commands)
    # What the one leaves out, the other runs.
    assert "step ./run_tests.sh --slow" in commands


@pytest.mark.parametrize("name", LOCKS)
def test_locks_pin_and_hash_each_package_and_name_no_index(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^\s*(--|-[fi]\b)(?!hash=)", text, re.MULTILINE)
    loose = [
        str(requirement)
        for requirement, hashed in locked(name)
        if not hashed or not re.fullmatch(r"==[^*,]+", str(requirement.specifier))
    ]
    assert loose == []


def test_locks_satisfy_pyproject() -> None:
    wanted = project()
    assert unmet(wanted["core"], "run") == []
    assert unmet(wanted["core"], "test") == []
    for extra in EXTRAS_OF_TEST_LOCK:
        assert unmet(wanted[extra], "test") == [], extra
    for extra in ("s3", "db"):
        assert unmet(wanted[extra], "run") == [], extra


def test_what_runs_is_what_was_tested() -> None:
    tested = locked_versions("test")
    differing = {
        name: versions
        for name, versions in locked_versions("run").items()
        if tested.get(name) != versions
    }
    assert differing == {}


@pytest.mark.parametrize("job", JOBS)
def test_jobs_run_with_the_versions_that_runs_have(job: str) -> None:
    of_the_job = locked_versions(job)
    assert unmet(project()["core"], job) == []
    differing = {
        name
        for name, versions in locked_versions("run").items()
        if of_the_job.get(name, versions) != versions
    }
    # dbt wants an older one than mypy; it serves the build of the editable install.
    assert differing == ({"pathspec"} if job == "dbt" else set())


@pytest.mark.parametrize("job", JOBS)
def test_ci_runs_every_job_and_its_lock_has_what_it_asks_for(job: str) -> None:
    assert f"step ./run_tests.sh --job {job}" in (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert list((ROOT / "tests" / "jobs" / job).glob("test_*.py"))
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
        "dependency-groups"
    ]
    wanted = [entry for entry in groups[job] if isinstance(entry, str)] + groups["job"]
    assert unmet(wanted + project().get(job, []), job) == []


def test_source_holds_no_leftover_marks() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in tree()
        if path.is_relative_to(ROOT / "src") and path.suffix == ".py"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if LEFTOVER_MARK.search(line)
    ]
    assert found == []
