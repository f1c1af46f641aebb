"""What the documents point to is there."""

import re
from pathlib import Path

import pytest
from tools.make_docs import ROOT

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
# A path of the repository, as text or code names it: not what a run leaves in state/, raw_data/.
REPOSITORY_PATH = re.compile(
    r"(?<![\w/.])((?:src|tests|docs|examples|tools|benchmarks|requirements|scripts|\.ci)/[\w./-]*)"
)
TOP_LEVEL_FILE = re.compile(
    r"(?<![\w/.-])(?:\./)?((?:generate_data|run_tests)\.sh|pyproject\.toml)"
)


def anchors(page: Path) -> set[str]:
    """Return the anchors that a page's headings get on a Git host."""
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h).strip().lower().replace(" ", "-") for h in headings}


@pytest.mark.parametrize("name", NAMES)
def test_internal_links_resolve(name: str) -> None:
    page = ROOT / name
    broken = []
    for link in LINK.findall(FENCED.sub("", page.read_text(encoding="utf-8"))):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("name", NAMES)
def test_paths_that_are_named_exist(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    named = {path.rstrip(".") for path in REPOSITORY_PATH.findall(text)}
    named |= set(TOP_LEVEL_FILE.findall(text))
    # Sentences end in dots, and some paths stand for many.
    missing = [path for path in sorted(named) if "*" not in path and not (ROOT / path).exists()]
    assert missing == []


def test_the_manual_is_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or not page.is_file():
            continue
        reached.add(page)
        for link in LINK.findall(page.read_text(encoding="utf-8")):
            if "://" in link:
                continue
            target = (page.parent / link.partition("#")[0]).resolve()
            waiting.append(target / "README.md" if target.is_dir() else target)
    assert [
        str(p.relative_to(ROOT)) for p in PAGES if p.parent.name == "docs" and p not in reached
    ] == []
