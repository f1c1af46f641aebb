"""merchants.json: any damage is detected, and what is written reads back equal."""

import hashlib
import json
from concurrent.futures import CancelledError
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.builders import LIVELY_WORLD, pools_once

from payworld import Simulation
from payworld.errors import StateCorruptError, StateError, StateMissingError, StateNewerError
from payworld.storage.commit import NEXT_STATE, stage_state
from payworld.storage.state_file import STATE, encode_state, read_state, read_world, state_checksum
from payworld.world.state import World


def lively(seed: int = 42, days: int = 20, merchants: int = 8) -> World:
    keys = {**LIVELY_WORLD, "initial_merchants": merchants, "seed": seed}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("payworld.world.birth.draw_name_pools", pools_once)
        simulation = Simulation.create(date(2024, 2, 20), **keys)
    for _ in simulation.days(date(2024, 2, 19) + timedelta(days)):
        pass
    return simulation.world


DATA = bytes(encode_state(lively(days=3, merchants=3)))


def test_a_state_is_staged_beside_the_present_one(tmp_path: Path) -> None:
    checksum = stage_state(tmp_path, lively(days=3, merchants=3))
    [path] = tmp_path.iterdir()
    assert path.name == NEXT_STATE
    assert path.read_bytes() == DATA
    assert checksum == state_checksum(DATA)


def test_a_state_that_is_wanted_no_more_leaves_nothing(tmp_path: Path) -> None:
    wanted = iter([True, True, False])
    with pytest.raises(CancelledError):
        stage_state(tmp_path, lively(days=3, merchants=3), lambda: next(wanted))
    assert list(tmp_path.iterdir()) == []


@given(at=st.integers(0, len(DATA) - 1), bit=st.integers(0, 7))
@settings(max_examples=200)
def test_any_flipped_bit_is_detected(at: int, bit: int) -> None:
    damaged = bytearray(DATA)
    damaged[at] ^= 1 << bit
    with pytest.raises(StateError):
        read_world(bytes(damaged))


@given(st.integers(0, len(DATA) - 1))
@settings(max_examples=60)
def test_any_truncation_is_detected(length: int) -> None:
    with pytest.raises(StateCorruptError):
        read_world(DATA[:length])


@pytest.mark.parametrize(
    "data",
    [b"", b"\n", b"[]", b"null", b"{}", b'{"format": "other"}', b"\xff\xfe", b"{" * 100_000,
     DATA + b" ", DATA + DATA, DATA.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + DATA],
    ids=["empty", "line", "list", "null", "object", "other", "binary", "deep", "space", "twice",
         "crlf", "bom"],
)  # fmt: skip
def test_what_is_no_state_is_refused(data: bytes) -> None:
    with pytest.raises(StateCorruptError):
        read_world(data)


def test_a_well_formed_change_by_hand_is_detected() -> None:
    document = json.loads(DATA)
    document["total_transactions"] += 1
    with pytest.raises(StateCorruptError, match="checksum"):
        read_world(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def signed(document: dict[str, Any]) -> bytes:
    """Return a document with a checksum that verifies."""
    blank = orjson.dumps(
        document | {"checksum": "0" * 64}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    )
    digest = hashlib.sha256(blank).hexdigest().encode()
    return blank.replace(b"0" * 64, digest, 1)


def test_the_checksum_can_be_reckoned_by_anyone() -> None:
    assert signed(json.loads(DATA)) == DATA


@pytest.mark.parametrize("version", [0, -1, 1.5, "1", True, None])
def test_a_format_version_that_never_was_is_refused(version: object) -> None:
    document = json.loads(DATA) | {"format_version": version}
    with pytest.raises(StateCorruptError, match="format_version"):
        read_world(signed(document))


def test_a_state_from_a_newer_payworld_is_told_apart_from_a_damaged_one() -> None:
    document = json.loads(DATA) | {"format_version": 2, "what is new": {}}
    with pytest.raises(StateNewerError, match="format_version = 2"):
        read_world(json.dumps(document).encode())


@pytest.mark.slow
@settings(max_examples=15)
@given(seed=st.integers(0, 2**63 - 1), days=st.integers(1, 25))
def test_a_world_reads_back_equal(seed: int, days: int) -> None:
    data = encode_state(lively(seed, days))
    assert encode_state(read_world(data)) == data


def test_the_checksum_is_a_function_of_the_content() -> None:
    assert state_checksum(DATA) == state_checksum(bytes(encode_state(read_world(DATA))))
    other = bytes(encode_state(lively(days=4, merchants=3)))
    assert state_checksum(DATA) != state_checksum(other)


def test_the_document_holds_what_the_design_promises() -> None:
    world = lively()
    document = json.loads(encode_state(world))
    assert document["last_generated_date"] == "2024-03-10"
    assert document["merchant_counter"] == len(document["merchants"]) == len(world.merchants)
    assert document["total_transactions"] == world.total_transactions
    assert document["seed"] == 42
    assert len(document["checksum"]) == 64
    assert document["configuration"][0]["values"] == world.config.model_dump(mode="json")
    name, card = next(iter(document["card_profiles"].items()))
    assert set(card) == {"id", "bin", "type", "issuer", "brand"}
    assert card["id"] == name
    life = next(iter(document["merchants"].values()))
    assert [version["version"] for version in life] == list(range(1, len(life) + 1))


def test_a_state_never_holds_a_generators_internals() -> None:
    text = encode_state(lively()).decode()
    assert not any(word in text for word in ("bit_generator", "SFC64", "has_uint32"))


def test_no_state_and_a_damaged_state_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(StateMissingError, match="gen --initial"):
        read_state(tmp_path)
    (tmp_path / STATE).write_bytes(DATA[:-1])
    with pytest.raises(StateCorruptError, match="Nothing was written"):
        read_state(tmp_path)
