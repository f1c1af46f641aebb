"""Writes golden.json anew: `python tests/golden/refresh.py`, from any folder.

Run it when a change of the bytes is meant; the same commit says why they changed.
"""

import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.golden.worlds import GOLDEN, make_worlds, versions


def main() -> None:
    """Make the golden worlds and keep their hashes."""
    with tempfile.TemporaryDirectory() as folder:
        hashes = make_worlds(Path(folder))
    text = json.dumps({"versions": versions(), "sha256": hashes}, indent=2)
    GOLDEN.write_text(f"{text}\n", encoding="utf-8")
    sys.stdout.write(f"{GOLDEN}: {len(hashes)} files\n")


if __name__ == "__main__":
    main()
