"""Publishing to a store: what is uploaded, in which order, and what is never overwritten."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.object_store import KEY_ID, SECRET, ObjectStore, retry_at_once
from tests.publishing import (
    FILES,
    LARGE,
    LAST,
    MANIFEST,
    MERCHANTS,
    NEXT,
    PART,
    PAYMENTS,
    folder,
    names,
    nights,
    send,
)

from payworld.errors import ConflictError, PublishError, StorageError
from payworld.storage import publish, s3, upload
from payworld.storage.listed_files import ListedFile
from payworld.storage.s3 import Bucket
from payworld.storage.s3_errors import LEAST_SECRET, without_secrets
from payworld.storage.upload import Destination, Uploader


@pytest.fixture(scope="module")
def running() -> Iterator[ObjectStore]:
    with ObjectStore() as store:
        yield store


@pytest.fixture
def store(running: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    retry_at_once(monkeypatch)
    with running.emptied(monkeypatch) as store:
        yield store


def test_every_file_and_then_the_manifest_arrive_with_equal_bytes(
    store: ObjectStore, tmp_path: Path
) -> None:
    output = folder(tmp_path / "out", FILES)
    (output / ".hidden.partial").write_bytes(b"half")
    (output / "notes.txt").write_bytes(b"not listed")
    report = send(output)
    assert names(report) == set(FILES)
    assert (report.manifest, report.missing, report.present) == ("new", {}, 0)
    assert store.objects() == {
        f"raw/{name}": (output / name).read_bytes() for name in (*FILES, MANIFEST)
    }
    puts = store.faults.told("PUT", "POST")
    assert [put.endswith(MANIFEST) for put in puts] == [False, False, True]


def test_a_prefix_may_be_empty_or_deep(store: ObjectStore, tmp_path: Path) -> None:
    output = folder(tmp_path / "out", FILES)
    send(output, prefix="")
    send(output, prefix="a b/year=2024/ü")
    keys = set(store.objects())
    assert keys >= {MANIFEST, MERCHANTS, f"a b/year=2024/ü/{MANIFEST}"}
    assert len(keys) == 6


def test_uploads_carry_a_checksum_a_condition_and_a_media_type_and_no_content_encoding(
    store: ObjectStore, tmp_path: Path
) -> None:
    send(folder(tmp_path / "out", {**FILES, NEXT: b"PAR1"}))
    puts = [request for request in store.faults.seen if request.method == "PUT"]
    assert len(puts) == 4
    for put in puts:
        assert put.headers["if-none-match"] == "*"
        checksums = [name for name in put.headers if name.startswith("x-amz-checksum-")]
        assert checksums == ["x-amz-checksum-sha256"]
        assert "content-encoding" not in put.headers
    types = {put.path.rpartition(".")[2]: put.headers["content-type"] for put in puts}
    assert types == {
        "csv": "text/csv; charset=utf-8",
        "parquet": "application/vnd.apache.parquet",
        "json": "application/json",
    }


@pytest.mark.parametrize("suffix", [".csv.gz", ".csv.zst", ".parquet"])
def test_files_in_folders_and_compressed_ones_arrive_as_they_are(
    store: ObjectStore, tmp_path: Path, suffix: str
) -> None:
    path = f"transactions/year=2024/month=01/transactions_2024-01-01{suffix}"
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_bytes(b"\x1f\x8b data")
    sha256 = hashlib.sha256(b"\x1f\x8b data").hexdigest()
    file = ListedFile(path, 7, sha256, "2024-01-01", "2024-01-31")
    bucket = Bucket("lake")
    assert Uploader(tmp_path, Destination("lake", "raw"), bucket).upload(file)
    bucket.close()
    answer = store.client.get_object(Bucket="lake", Key=f"raw/{path}")
    assert answer["Body"].read() == b"\x1f\x8b data"
    assert "ContentEncoding" not in answer
    assert answer["ContentType"].startswith("application/")


def test_a_second_publish_writes_nothing_and_a_later_one_the_new_files(
    store: ObjectStore, tmp_path: Path
) -> None:
    output = folder(tmp_path / "out", FILES)
    send(output)
    store.faults.seen.clear()
    again = send(output)
    assert (names(again), again.present, again.manifest) == (set(), 2, "unchanged")
    assert store.faults.told("PUT", "POST", "DELETE") == []
    later = send(folder(output, {**FILES, NEXT: b"PAR1"}))
    assert (names(later), later.present, later.manifest) == ({NEXT}, 2, "replaced")
    assert store.faults.told("PUT") == [f"PUT /lake/raw/{NEXT}", f"PUT /lake/raw/{MANIFEST}"]
    assert store.read(f"raw/{MANIFEST}") == (output / MANIFEST).read_bytes()


def test_what_is_older_than_the_manifest_there_costs_no_request_of_its_own(
    store: ObjectStore, tmp_path: Path
) -> None:
    output = folder(tmp_path / "out", FILES)
    send(output)
    for name in FILES:
        store.age(f"raw/{name}", 60)
    store.faults.seen.clear()
    assert send(output).present == 2
    asked = [request.partition("prefix=")[0] for request in store.faults.told("GET")]
    assert asked == ["GET /lake?list-type=2&"] * 3 + [f"GET /lake/raw/{MANIFEST}"]
    assert len(store.faults.seen) == 4
    # And local files that were removed since are not asked for.
    (output / PAYMENTS).unlink()
    assert send(output).present == 2


def test_an_object_that_others_replaced_later_is_seen_and_left(
    store: ObjectStore, tmp_path: Path
) -> None:
    output = folder(tmp_path / "out", FILES)
    send(output)
    other = FILES[PAYMENTS].replace(b"payment", b"PAYMENT")
    store.client.put_object(Bucket="lake", Key=f"raw/{PAYMENTS}", Body=other)
    with pytest.raises(ConflictError, match="holds other bytes"):
        send(output)
    assert store.read(f"raw/{PAYMENTS}") == other


def test_an_object_that_is_gone_is_uploaded_again(store: ObjectStore, tmp_path: Path) -> None:
    output = folder(tmp_path / "out", FILES)
    send(output)
    store.client.delete_object(Bucket="lake", Key=f"raw/{PAYMENTS}")
    report = send(output)
    assert (names(report), report.manifest) == ({PAYMENTS}, "unchanged")
    assert store.read(f"raw/{PAYMENTS}") == FILES[PAYMENTS]
    assert store.faults.told("PUT")[3:] == [f"PUT /lake/raw/{PAYMENTS}"]


@pytest.mark.parametrize("size", [1, len(FILES[PAYMENTS])])
def test_a_key_taken_by_other_bytes_is_refused_and_nothing_names_it(
    store: ObjectStore, tmp_path: Path, size: int
) -> None:
    store.client.put_object(Bucket="lake", Key=f"raw/{PAYMENTS}", Body=b"x" * size)
    output = folder(tmp_path / "out", FILES)
    for dry_run in (True, False):
        with pytest.raises(ConflictError, match="never overwrites an object"):
            send(output, dry_run=dry_run)
    assert store.read(f"raw/{PAYMENTS}") == b"x" * size
    assert f"raw/{MANIFEST}" not in store.objects()


@pytest.mark.parametrize("large", [False, True])
def test_files_that_are_refused_keep_no_other_from_being_published(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    monkeypatch.setattr(upload, "PART_BYTES", PART)
    files = {MERCHANTS: b"m", **(LARGE if large else {PAYMENTS: b"p"}), NEXT: b"PAR1", LAST: b"z"}
    output = folder(tmp_path / "out", files)
    for taken in (MERCHANTS, PAYMENTS):
        store.client.put_object(Bucket="lake", Key=f"raw/{taken}", Body=b"other")
    with pytest.raises(ConflictError) as caught:
        send(output)
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    for line, taken in zip(lines, (MERCHANTS, PAYMENTS), strict=True):
        assert line.startswith(f"s3://lake/raw/{taken} holds other bytes")
    assert set(store.objects()) == {f"raw/{path}" for path in files}
    for taken in (MERCHANTS, PAYMENTS):
        store.client.delete_object(Bucket="lake", Key=f"raw/{taken}")
    (output / NEXT).unlink()
    store.client.delete_object(Bucket="lake", Key=f"raw/{NEXT}")
    with pytest.raises(StorageError, match="is gone"):
        send(output)
    assert set(store.objects()) == {f"raw/{path}" for path in files if path != NEXT}
    (output / NEXT).write_bytes(files[NEXT])
    assert names(send(output)) == {NEXT}
    assert store.read(f"raw/{MANIFEST}") == (output / MANIFEST).read_bytes()


def test_many_files_that_are_refused_are_counted(store: ObjectStore, tmp_path: Path) -> None:
    files = nights(publish.TOLD + 2)
    for path in files:
        store.client.put_object(Bucket="lake", Key=f"raw/{path}", Body=b"other")
    with pytest.raises(ConflictError, match=r"and 2 more files likewise; --json") as caught:
        send(folder(tmp_path / "out", files))
    assert len(str(caught.value).splitlines()) == publish.TOLD + 1


def test_equal_bytes_that_others_put_there_are_taken_as_published(
    store: ObjectStore, tmp_path: Path
) -> None:
    store.client.put_object(Bucket="lake", Key=f"raw/{PAYMENTS}", Body=FILES[PAYMENTS])
    report = send(folder(tmp_path / "out", FILES))
    assert (names(report), report.present) == ({MERCHANTS}, 1)


@pytest.mark.parametrize("large", [False, True])
def test_a_key_taken_between_the_look_and_the_upload_is_refused(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    monkeypatch.setattr(upload, "PART_BYTES", PART)
    store.faults.on = (
        f"POST /lake/raw/{PAYMENTS}?uploadId" if large else f"PUT /lake/raw/{PAYMENTS}"
    )
    store.faults.hook = lambda: store.client.put_object(
        Bucket="lake", Key=f"raw/{PAYMENTS}", Body=b"another's"
    )
    with pytest.raises(ConflictError, match="holds other bytes"):
        send(folder(tmp_path / "out", LARGE if large else FILES))
    assert store.read(f"raw/{PAYMENTS}") == b"another's"
    assert store.unfinished() == []


@pytest.mark.parametrize("knows", [True, False])
def test_a_store_without_conditional_writes_serves_and_is_guarded_by_a_look(
    store: ObjectStore, tmp_path: Path, knows: bool
) -> None:
    store.faults.heeds_conditions, store.faults.knows_conditions = False, knows
    output = folder(tmp_path / "out", FILES)
    send(output)
    assert send(folder(output, {**FILES, NEXT: b"PAR1"})).manifest == "replaced"
    assert store.objects()[f"raw/{MANIFEST}"] == (output / MANIFEST).read_bytes()
    store.client.put_object(Bucket="lake", Key=f"raw/{PAYMENTS}", Body=b"other")
    with pytest.raises(ConflictError):
        send(output)
    assert store.read(f"raw/{PAYMENTS}") == b"other"


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("grown", [False, True])
def test_a_damaged_local_file_is_never_published(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: bool, grown: bool
) -> None:
    monkeypatch.setattr(upload, "PART_BYTES", PART)
    output = folder(tmp_path / "out", {**FILES, **(LARGE if large else {})})
    data = bytearray((output / PAYMENTS).read_bytes())
    data[-5] ^= 1
    (output / PAYMENTS).write_bytes(data + b"\n" * grown)
    with pytest.raises(StorageError, match="gen regenerate --start-date 2024-01-01"):
        send(output)
    assert set(store.objects()) <= {f"raw/{MERCHANTS}"}
    assert store.unfinished() == []


def test_a_lost_file_a_link_and_a_folder_are_not_published(
    store: ObjectStore, tmp_path: Path
) -> None:
    output = folder(tmp_path / "out", FILES)
    secret = tmp_path / "secret"
    secret.write_bytes(FILES[PAYMENTS])
    (output / PAYMENTS).unlink()
    regenerate = "gen regenerate --start-date 2024-01-01 --end-date 2024-01-31"
    with pytest.raises(StorageError, match=f"is gone, and is not published.*{regenerate}"):
        send(output)
    (output / PAYMENTS).symlink_to(secret)
    with pytest.raises(StorageError, match="symbolic link"):
        send(output)
    (output / PAYMENTS).unlink()
    (output / PAYMENTS).mkdir()
    with pytest.raises(StorageError, match=r"is not what datapackage\.json says"):
        send(output)
    assert set(store.objects()) <= {f"raw/{MERCHANTS}"}


def test_a_folder_without_a_manifest_has_nothing_to_publish(
    store: ObjectStore, tmp_path: Path
) -> None:
    with pytest.raises(StorageError, match="nothing to publish"):
        send(tmp_path)
    assert store.faults.seen == []


@pytest.mark.parametrize("path", ["/etc/passwd", "../state/merchants.json", "a/.b/c", ""])
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    resource = {"path": path, "bytes": 1, "hash": "sha256:0", "period": {"start": "", "end": ""}}
    with pytest.raises(StorageError, match="no data file of its folder"):
        ListedFile.of(resource)


def test_a_dry_run_writes_nothing_and_tells_what_is_missing(
    store: ObjectStore, tmp_path: Path
) -> None:
    output = folder(tmp_path / "out", FILES)
    report = send(output, dry_run=True)
    assert (set(report.missing), report.uploaded, report.manifest) == (set(FILES), [], "new")
    assert store.objects() == {}
    send(output)
    report = send(folder(output, {**FILES, NEXT: b"PAR1"}), dry_run=True)
    assert (set(report.missing), report.present, report.manifest) == ({NEXT}, 2, "replaced")
    assert store.faults.told("PUT")[3:] == []


def test_no_message_holds_a_secret(store: ObjectStore, tmp_path: Path) -> None:
    store.faults.on, store.faults.kind = f"PUT /lake/raw/{PAYMENTS}", "denied"
    with pytest.raises(PublishError, match=r"AccessDenied.*give this identity") as caught:
        send(folder(tmp_path / "out", FILES))
    assert SECRET not in str(caught.value)
    # Whose rights they are that do not do.
    assert f"no {KEY_ID} ***" in str(caught.value)
    assert s3.ATTEMPTS > 1


@pytest.mark.parametrize("short", ["test", "a", "raw"])
def test_credentials_that_are_words_garble_no_message(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short: str
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, short)
    store.faults.on, store.faults.kind = f"PUT /lake/test-raw/{PAYMENTS}", "denied"
    with pytest.raises(PublishError, match=f"cannot upload to s3://lake/test-raw/{PAYMENTS}: "):
        send(folder(tmp_path / "out", FILES), prefix="test-raw")


def test_secrets_are_left_out_wherever_they_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    token, key = f"{SECRET}/and/more", "k" * LEAST_SECRET
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", token)
    credentials = SimpleNamespace(access_key=KEY_ID, secret_key=key, token="t" * 15)
    session = SimpleNamespace(get_credentials=lambda: credentials)
    message = f"{token} {SECRET}, {KEY_ID}: ={key}&{'t' * 15}"
    assert without_secrets(message, session) == f"*** ***, {KEY_ID}: =***&{'t' * 15}"
    assert without_secrets(f"{SECRET}.", None) == "***."
