"""The published manifest: one world in one place, and never back or over another's."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.object_store import ObjectStore, retry_at_once
from tests.publishing import FILES, MANIFEST, NEXT, PAYMENTS, folder, manifest, names, send

from payworld.errors import ConflictError, PublishError
from payworld.storage import publish


@pytest.fixture(scope="module")
def running() -> Iterator[ObjectStore]:
    with ObjectStore() as store:
        yield store


@pytest.fixture
def store(running: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    retry_at_once(monkeypatch)
    with running.emptied(monkeypatch) as store:
        yield store


def test_the_manifest_of_another_world_or_program_is_left(
    store: ObjectStore, tmp_path: Path
) -> None:
    output = folder(tmp_path / "out", FILES)
    for data, told in (
        (manifest(FILES, world={"seed": 7, "start_date": "2024-01-01"}), "seed 7.*another prefix"),
        (b'{"resources": []}', "is not a data package that payworld wrote"),
        (b"not JSON", "is not a data package that payworld wrote"),
    ):
        store.client.put_object(Bucket="lake", Key=f"raw/{MANIFEST}", Body=data)
        with pytest.raises(ConflictError, match=told):
            send(output)
        assert store.objects() == {f"raw/{MANIFEST}": data}


def test_a_manifest_that_lists_more_than_ours_stays(store: ObjectStore, tmp_path: Path) -> None:
    all_files = {**FILES, NEXT: b"PAR1"}
    send(folder(tmp_path / "ahead", all_files))
    report = send(folder(tmp_path / "behind", FILES))
    assert (names(report), report.manifest) == (set(), "ahead")
    assert store.read(f"raw/{MANIFEST}") == manifest(all_files)


def test_two_folders_do_not_mix_in_one_place(store: ObjectStore, tmp_path: Path) -> None:
    send(folder(tmp_path / "one", FILES))
    with pytest.raises(ConflictError, match=r"lists 1 files.*such as 'merchants_2024"):
        send(folder(tmp_path / "two", {PAYMENTS: FILES[PAYMENTS], NEXT: b"PAR1"}))
    with pytest.raises(ConflictError, match="was published with other bytes"):
        send(folder(tmp_path / "three", {**FILES, PAYMENTS: b"other"}))
    assert store.objects() == {
        f"raw/{name}": data for name, data in {**FILES, MANIFEST: manifest(FILES)}.items()
    }


@pytest.mark.parametrize("heeds", [True, False])
def test_a_manifest_put_there_meanwhile_is_not_clobbered(
    store: ObjectStore, tmp_path: Path, heeds: bool
) -> None:
    """Another publisher is faster by a night: its manifest stays, as it lists ours and more."""
    first = folder(tmp_path / "out", FILES)
    send(first)
    ours, theirs = {**FILES, NEXT: b"PAR1"}, {**FILES, NEXT: b"PAR1", "merchants_b.csv": b"b"}
    store.faults.heeds_conditions = heeds
    # Where the store heeds no condition, the look just before is what helps.
    store.faults.on = f"PUT /lake/raw/{MANIFEST}" if heeds else f"PUT /lake/raw/{NEXT}"
    store.faults.times = 1
    store.faults.hook = lambda: store.client.put_object(
        Bucket="lake", Key=f"raw/{MANIFEST}", Body=manifest(theirs)
    )
    assert send(folder(first, ours)).manifest == "ahead"
    assert store.read(f"raw/{MANIFEST}") == manifest(theirs)


def test_a_manifest_that_others_replace_all_the_time_ends_in_an_error(
    store: ObjectStore, tmp_path: Path
) -> None:
    output = folder(tmp_path / "out", FILES)
    send(output)
    count = 0

    def replace() -> None:
        nonlocal count
        count += 1
        body = manifest(FILES, version=str(count))
        store.client.put_object(Bucket="lake", Key=f"raw/{MANIFEST}", Body=body)

    store.faults.on, store.faults.hook = f"PUT /lake/raw/{MANIFEST}", replace
    with pytest.raises(PublishError, match="let one program publish there"):
        send(folder(output, {**FILES, NEXT: b"PAR1"}))
    assert count == publish.MANIFEST_ATTEMPTS
