"""Publishing over a network that breaks, and to a store that refuses: nothing half visible."""

import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.object_store import ObjectStore, retry_at_once
from tests.publishing import (
    FILES,
    LARGE,
    MANIFEST,
    MERCHANTS,
    PART,
    PAYMENTS,
    folder,
    names,
    send,
)

from payworld.errors import PublishError
from payworld.storage import s3, upload
from payworld.storage.lanes import in_lanes
from payworld.storage.listed_files import ListedFile
from payworld.storage.s3 import Bucket
from payworld.storage.upload import Destination, Uploader

KEY = f"raw/{PAYMENTS}"
PUT, PARTS, POST = f"PUT /lake/{KEY}", "partNumber=2", f"POST /lake/{KEY}?uploadId"


@pytest.fixture(scope="module")
def running() -> Iterator[ObjectStore]:
    with ObjectStore() as store:
        yield store


@pytest.fixture
def store(running: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    retry_at_once(monkeypatch)
    monkeypatch.setattr(upload, "PART_BYTES", PART)
    with running.emptied(monkeypatch) as store:
        yield store


def is_whole(store: ObjectStore, output: Path) -> bool:
    listed = {path.name: path.read_bytes() for path in output.iterdir()}
    there = store.objects()
    return there == {f"raw/{name}": data for name, data in listed.items()}


MANIFEST_PUT = f"PUT /lake/raw/{MANIFEST}"
LOOKS = [f"HEAD /lake/{KEY}", "GET /lake"]
PASSING = [(on, kind) for on in (PUT, MANIFEST_PUT, *LOOKS) for kind in ("break", "lost")]


@pytest.mark.parametrize(("on", "kind"), [*PASSING, (PUT, "throttled")])
def test_what_passes_is_tried_again(store: ObjectStore, tmp_path: Path, kind: str, on: str) -> None:
    store.faults.on, store.faults.kind, store.faults.times = on, kind, 2
    output = folder(tmp_path / "out", FILES)
    report = send(output)
    assert names(report) == set(FILES)
    assert report.manifest in {"new", "unchanged"}
    assert is_whole(store, output)


@pytest.mark.parametrize("kind", ["break", "lost"])
@pytest.mark.parametrize("on", [PARTS, POST, f"POST /lake/{KEY}?uploads"])
def test_a_large_file_survives_what_passes(
    store: ObjectStore, tmp_path: Path, kind: str, on: str
) -> None:
    store.faults.on, store.faults.kind, store.faults.times = on, kind, 2
    output = folder(tmp_path / "out", LARGE)
    assert names(send(output)) == set(LARGE)
    assert is_whole(store, output)
    # Nor is there an upload whose beginning was answered into the void.
    assert store.unfinished() == []


@pytest.mark.parametrize("kind", ["break", "denied"])
@pytest.mark.parametrize("on", [PUT, PARTS, POST, MANIFEST_PUT])
def test_what_lasts_ends_in_an_error_with_nothing_half_visible_and_is_made_good(
    store: ObjectStore, tmp_path: Path, kind: str, on: str
) -> None:
    files = {**FILES, **LARGE} if on in (PARTS, POST) else FILES
    output = folder(tmp_path / "out", files)
    store.faults.on, store.faults.kind = on, kind
    with pytest.raises(PublishError, match=r"cannot .*s3://lake/raw/"):
        send(output)
    there = store.objects()
    assert f"raw/{MANIFEST}" not in there
    assert set(there) <= {f"raw/{name}" for name in files}
    assert all(data == files[key.removeprefix("raw/")] for key, data in there.items())
    assert store.unfinished() == []
    store.faults.on = ""
    again = send(output)
    assert (again.missing, again.manifest) == ({}, "new")
    assert is_whole(store, output)


@pytest.mark.parametrize("on", [PUT, PARTS, MANIFEST_PUT])
def test_a_byte_turned_on_its_way_is_refused_by_its_checksum(
    store: ObjectStore, tmp_path: Path, on: str
) -> None:
    output = folder(tmp_path / "out", LARGE if on == PARTS else FILES)
    store.faults.on, store.faults.kind, store.faults.times = on, "corrupt", 1
    with pytest.raises(PublishError, match="BadDigest"):
        send(output)
    assert f"raw/{MANIFEST}" not in store.objects()
    send(output)
    assert is_whole(store, output)


def test_a_failure_tells_what_is_missing_and_what_is_there(
    store: ObjectStore, tmp_path: Path
) -> None:
    from payworld.storage.publish import Publisher

    output = folder(tmp_path / "out", {**FILES, **LARGE})
    store.faults.on, store.faults.kind = PARTS, "break"
    bucket = Bucket("lake")
    publisher = Publisher(output, Destination("lake", "raw"), bucket, lambda *_: None)
    with pytest.raises(PublishError):
        publisher.publish()
    bucket.close()
    assert (names(publisher.report), set(publisher.report.missing)) == ({MERCHANTS}, {PAYMENTS})
    assert publisher.report.manifest == "missing"


def test_a_silent_server_is_given_up(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "READ_SECONDS", 0.2)
    monkeypatch.setattr(s3, "ATTEMPTS", 2)
    store.faults.on, store.faults.kind = PUT, "stall"
    with pytest.raises(PublishError, match="timeout"):
        send(folder(tmp_path / "out", FILES))
    assert f"raw/{MANIFEST}" not in store.objects()


def test_what_could_not_be_aborted_is_aborted_by_the_next_publish(
    store: ObjectStore, tmp_path: Path
) -> None:
    output = folder(tmp_path / "out", LARGE)
    other = store.client.create_multipart_upload(Bucket="lake", Key=f"{KEY}.other")
    store.faults.on, store.faults.kind = "uploadId", "denied"
    with pytest.raises(PublishError, match="AccessDenied"):
        send(output)
    assert sorted(store.unfinished()) == [KEY, f"{KEY}.other"]
    store.faults.on = ""
    send(output)
    assert is_whole(store, output)
    # Another key's is none of our business.
    assert store.unfinished() == [f"{KEY}.other"]
    store.client.abort_multipart_upload(
        Bucket="lake", Key=f"{KEY}.other", UploadId=other["UploadId"]
    )


@pytest.mark.parametrize("kind", ["lost", "denied"])
def test_an_upload_whose_beginning_fails_leaves_none(
    store: ObjectStore, tmp_path: Path, kind: str
) -> None:
    store.faults.on, store.faults.kind = f"POST /lake/{KEY}?uploads", kind
    with pytest.raises(PublishError, match="cannot begin to upload to s3://lake/raw/"):
        send(folder(tmp_path / "out", LARGE))
    assert store.unfinished() == []


@pytest.mark.parametrize("on", [PARTS, POST])
def test_an_upload_that_another_machine_aborts_is_told_and_made_good_by_the_next_publish(
    store: ObjectStore, tmp_path: Path, on: str
) -> None:
    def abort() -> None:
        uploads = store.client.list_multipart_uploads(Bucket="lake").get("Uploads", [])
        for found in uploads:
            store.client.abort_multipart_upload(
                Bucket="lake", Key=found["Key"], UploadId=found["UploadId"]
            )

    output = folder(tmp_path / "out", LARGE)
    store.faults.on, store.faults.hook = on, abort
    told = r"was aborted by another program.*another machine; publish again when that one is done"
    with pytest.raises(PublishError, match=told) as caught:
        send(output)
    assert "check the connection" not in str(caught.value)
    assert store.objects() == {}
    store.faults.on = ""
    send(output)
    assert is_whole(store, output)


def test_an_upload_that_others_end_is_told(store: ObjectStore, tmp_path: Path) -> None:
    store.faults.on, store.faults.kind = POST, "gone"
    with pytest.raises(PublishError, match=r"is not there after its upload.*publish again"):
        send(folder(tmp_path / "out", LARGE))


@pytest.mark.parametrize("on", [PUT, POST, MANIFEST_PUT])
def test_what_another_write_contends_for_is_uploaded_again(
    store: ObjectStore, tmp_path: Path, on: str
) -> None:
    output = folder(tmp_path / "out", LARGE if on == POST else FILES)
    store.faults.on, store.faults.kind, store.faults.times = on, "contended", 2
    sent: list[int] = []
    send(output, on_progress=lambda _files, _all_files, size, _all_sizes: sent.append(size))
    assert is_whole(store, output)
    assert store.unfinished() == []
    # Every part again, as S3 wants it, and each counts once.
    assert sum("partNumber=1" in put for put in store.faults.told("PUT")) == (3 * (on == POST))
    assert sent[-1] == sum(
        path.stat().st_size for path in output.iterdir() if path.suffix == ".csv"
    )


@pytest.mark.parametrize("on", [PUT, POST])
def test_what_stays_contended_is_told_as_that(store: ObjectStore, tmp_path: Path, on: str) -> None:
    output = folder(tmp_path / "out", LARGE if on == POST else FILES)
    store.faults.on, store.faults.kind = on, "contended"
    with pytest.raises(PublishError, match=r"another program writes there too: publish again"):
        send(output)
    assert sum(str(request).startswith(on) for request in store.faults.seen) == s3.ATTEMPTS
    assert store.unfinished() == []
    store.faults.on = ""
    send(output)
    assert is_whole(store, output)


def test_an_interrupt_aborts_the_upload_at_once(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """tests/cli has the same from outside, with a server that is silent."""
    output = folder(tmp_path / "out", LARGE)
    bucket = Bucket("lake")
    uploader = Uploader(output, Destination("lake", "raw"), bucket)

    def interrupted(jobs: Iterator[Callable[[], object]], width: int) -> Iterator[object]:
        yield from in_lanes(itertools.islice(jobs, 1), width)
        raise KeyboardInterrupt

    monkeypatch.setattr(upload, "in_lanes", interrupted)
    data = LARGE[PAYMENTS]
    file = ListedFile(PAYMENTS, len(data), "0" * 64, "2024-01-01", "2024-01-31")
    with pytest.raises(KeyboardInterrupt):
        uploader.upload_in_parts(file, lambda _size: None)
    bucket.close()
    assert store.unfinished() == []
    assert store.objects() == {}


def test_an_interrupt_before_an_upload_has_an_id_asks_for_nothing(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DELETE without an id would be about the object."""

    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(Bucket, "begin", interrupted)
    with pytest.raises(KeyboardInterrupt):
        send(folder(tmp_path / "out", LARGE))
    assert store.faults.told("DELETE") == []


def test_the_bucket_is_in_the_path_of_other_stores_unless_configured_otherwise(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def style() -> str:
        bucket = Bucket("lake")
        config = bucket._client.meta.config
        bucket.close()
        return str(config.s3["addressing_style"])

    assert style() == "path"
    (tmp_path / "config").write_text("[default]\ns3 =\n  addressing_style = virtual\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    assert style() == "virtual"
    (tmp_path / "config").write_text("")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    assert style() == "auto"
    assert store.faults.seen == []


def test_lanes_hold_no_more_jobs_at_once_than_asked() -> None:
    lock, running, most, begun = threading.Lock(), 0, 0, 0

    def job() -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        barrier.wait(10)
        with lock:
            running -= 1
        return 1

    def jobs() -> Iterator[Callable[[], int]]:
        nonlocal begun
        for _ in range(12):
            begun += 1
            yield job

    # Each job waits for two others: with fewer lanes nothing would move.
    barrier = threading.Barrier(3)
    assert sum(in_lanes(jobs(), 3)) == 12
    assert (most, begun) == (3, 12)


def test_lanes_raise_the_first_error_after_the_jobs_under_way_have_ended() -> None:
    ended: list[int] = []
    failed = threading.Event()

    def slow() -> int:
        failed.wait(10)
        ended.append(1)
        return 1

    def fails() -> int:
        failed.set()
        raise PublishError("no")

    with pytest.raises(PublishError, match="no"):
        list(in_lanes([slow, fails, slow, slow], 2))
    assert ended == [1]


def test_lanes_raise_an_error_of_the_iterable_after_the_jobs_under_way_have_ended() -> None:
    begun, ended = threading.Event(), threading.Event()

    def job() -> int:
        begun.wait(10)
        ended.set()
        return 1

    def jobs() -> Iterator[Callable[[], int]]:
        yield job
        begun.set()
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        list(in_lanes(jobs(), 4))
    assert ended.is_set()
