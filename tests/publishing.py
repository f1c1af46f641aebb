"""Data folders that hold just enough to be published, worlds that are, and how tests do it."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.builders import SMALL_WORLD, Folders, period, write_config
from tests.gen_server import Ended, GenServer
from tests.object_store import ObjectStore

from payworld.storage.publish import Progress, Publisher, Report
from payworld.storage.s3 import Bucket
from payworld.storage.upload import Destination

MANIFEST = "datapackage.json"
MERCHANTS = "merchants_2024-01-01_2024-01-31.csv"
PAYMENTS = "transactions_2024-01-01_2024-01-31.csv"
NEXT = "transactions_2024-02-01_2024-02-01.parquet"
LAST = "transactions_2024-03-01_2024-03-01.csv"
FILES = {MERCHANTS: b"merchant_id\nM000001\n", PAYMENTS: b"payment_id\n" * 9}
# S3's least for a part that is not the last.
PART = 5 << 20
LARGE = {PAYMENTS: bytes(range(256)) * 24_000}


def manifest(files: Mapping[str, bytes], **told: Any) -> bytes:
    """Return a manifest of files, as far as it matters here."""
    resources = [
        {
            "name": path.partition(".")[0],
            "table": path.partition("_")[0],
            "path": path,
            "rows": 1,
            "bytes": len(data),
            "hash": f"sha256:{hashlib.sha256(data).hexdigest()}",
            "period": {"start": "2024-01-01", "end": "2024-01-31"},
            "run": "2024-01-01_2024-01-31",
        }
        for path, data in files.items()
    ]
    world = {"seed": 42, "start_date": "2024-01-01"}
    return json.dumps({"world": world, "resources": resources, **told}).encode()


def nights(count: int) -> dict[str, bytes]:
    """Return so many small files, one a night."""
    days = [f"2024-01-{day:02}" for day in range(1, count + 1)]
    return {f"transactions_{day}_{day}.csv": b"payment_id\n" for day in days}


def folder(root: Path, files: Mapping[str, bytes]) -> Path:
    """Write a data folder with its manifest."""
    root.mkdir(exist_ok=True)
    for path, data in {**files, MANIFEST: manifest(files)}.items():
        (root / path).write_bytes(data)
    return root


def send(
    output: Path,
    prefix: str = "raw",
    dry_run: bool = False,
    on_progress: Progress = lambda *_: None,
) -> Report:
    """Publish a folder and return the report."""
    bucket = Bucket("lake")
    try:
        publisher = Publisher(output, Destination("lake", prefix), bucket, on_progress)
        publisher.publish(dry_run)
    finally:
        bucket.close()
    return publisher.report


def names(report: Report) -> set[str]:
    return {file.path for file in report.uploaded}


PLACE = "s3://lake/raw"
INITIAL = ["--initial", *period("2024-01-30", "2024-02-01"), "-f"]
NIGHT = ["--incremental", "--date", "2024-02-02", "-f"]
# Failures need not last.
PATCHES: dict[str, float] = {
    "payworld.storage.s3.ATTEMPTS": 1,
    "payworld.storage.upload.PART_BYTES": PART,
}


class PublishedWorld:
    """A folder in which gen is called, with a store; lives for a test."""

    def __init__(self, server: GenServer, store: ObjectStore, root: Path) -> None:
        self.server, self.store, self.root = server, store, root
        self.folders = Folders(root)
        self.config = write_config(root / "world.yaml", SMALL_WORLD)

    def gen(
        self,
        *arguments: str | Path,
        code: int = 0,
        environment: Mapping[str, str] | None = None,
    ) -> Ended:
        ended = self.server.run(
            *arguments,
            cwd=self.root,
            environment={**self.store.environment, **(environment or {})},
            patches=PATCHES,
        )
        assert ended.code == code, ended.stderr
        assert "Traceback" not in ended.stderr
        return ended

    def begin(self, *arguments: str | Path) -> Ended:
        return self.gen(*INITIAL, "--config", self.config, *arguments)

    def is_published(self, prefix: str = "raw") -> bool:
        local = {
            f"{prefix}/{path.relative_to(self.folders.output)}": path.read_bytes()
            for path in self.folders.output.rglob("*")
            if path.is_file()
        }
        there = {k: v for k, v in self.store.objects().items() if k.startswith(f"{prefix}/")}
        return bool(there) and there == local
