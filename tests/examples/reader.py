"""A consumer in a process of its own: polls a data folder, and opens all that it may.

Prints "ready", looks at the folder again and again until its stdin is closed, and then prints as
JSON what it has seen: every content of every file whose name does not begin with a dot, and
everything that was wrong with the manifest.
"""

import hashlib
import json
import os
import select
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MANIFEST = "datapackage.json"


@dataclass
class Reader:
    """What a consumer has seen; lives for a run of gen."""

    folder: Path
    looks: int = 0
    # Looks at which gen was seen at work, by a name that begins with a dot.
    looks_at_work: int = 0
    contents: dict[str, list[str]] = field(default_factory=dict)
    manifests: int = 0
    wrong: list[str] = field(default_factory=list)
    _known: dict[str, tuple[tuple[int, int, int], str]] = field(default_factory=dict)

    def look(self) -> None:
        """Open everything once."""
        names = self._names()
        self.looks += 1
        for name in names:
            if name != MANIFEST:
                found = self._sha256(name)
                if found not in self.contents.setdefault(name, []):
                    self.contents[name].append(found)
        if MANIFEST in names:
            self._look_at_manifest()

    def _names(self) -> list[str]:
        found, at_work = [], False
        for folder, folders, files in os.walk(self.folder):
            at_work = at_work or any(name.startswith(".") for name in files)
            folders[:] = [name for name in folders if not name.startswith((".", "_"))]
            here = Path(folder).relative_to(self.folder)
            found += [str(here / name) for name in files if not name.startswith(".")]
        self.looks_at_work += at_work
        return found

    def _look_at_manifest(self) -> None:
        text = (self.folder / MANIFEST).read_bytes()
        try:
            resources = json.loads(text)["resources"]
        except ValueError as error:
            self.wrong.append(f"the manifest does not parse: {error}")
            return
        self.manifests = max(self.manifests, len(resources))
        for resource in resources:
            path = self.folder / resource["path"]
            if not path.is_file():
                self.wrong.append(f"the manifest names {resource['path']}, which is not there")
            elif f"sha256:{self._sha256(resource['path'])}" != resource["hash"]:
                self.wrong.append(f"{resource['path']} is not what the manifest says")

    def _sha256(self, name: str) -> str:
        """Return the hash of a file as it is now; read again if it changed in any way."""
        with (self.folder / name).open("rb") as file:
            stat = os.fstat(file.fileno())
            kind = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
            if self._known.get(name, ((), ""))[0] != kind:
                self._known[name] = (kind, hashlib.sha256(file.read()).hexdigest())
        return self._known[name][1]

    def report(self) -> dict[str, Any]:
        """Return what was seen, for JSON."""
        return {
            "looks": self.looks,
            "looks_at_work": self.looks_at_work,
            "contents": self.contents,
            "manifests": self.manifests,
            "wrong": self.wrong,
        }


def main() -> None:
    reader = Reader(Path(sys.argv[1]))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while not select.select([sys.stdin], [], [], 0)[0]:
        reader.look()
    # Once more, now that the run has ended.
    reader.look()
    json.dump(reader.report(), sys.stdout)


if __name__ == "__main__":
    main()
