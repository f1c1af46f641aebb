"""Which payments are fraud: a logistic model, bursts at one merchant, and the exact count.

A payment's key is its logit (without intercept) plus standard logistic noise: it is fraud by
the model if the key exceeds minus the intercept, which happens with the logistic probability.
So the payments with the highest keys are the model's frauds, whatever their number, and "the
next by risk" are the next by key.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from payworld.datasets.fraud_stream.config import LabelConfig
from payworld.randomness import Generator
from payworld.world.arrays import BoolArray, ByteArray, FloatArray, Int32Array, IntArray

__all__ = [
    "BURST",
    "FILLED",
    "MODEL",
    "ORIGINS",
    "Keys",
    "Places",
    "choose_frauds",
    "draw_keys",
    "fraud_count",
    "logits",
    "sigmoid",
    "solve_intercept",
    "split_count",
]

ORIGINS = ("none", "model", "burst", "filled")
MODEL, BURST, FILLED = 1, 2, 3

Keys = NDArray[np.float32]


def fraud_count(rows: int, rate: float) -> int:
    """Return the exact number of frauds among rows.

    >>> fraud_count(1_000_000, 0.003)
    3000
    """
    return min(round(rate * rows), rows)


def split_count(frauds: int, labels: LabelConfig) -> tuple[int, int]:
    """Return how many of the frauds the model and the bursts are to find.

    A burst needs two payments at least.
    """
    bursts = round(frauds * labels.burst_share) if labels.burst_factor > 1 else 0
    bursts = bursts if bursts > 1 else 0
    return frauds - bursts, bursts


def logits(
    amount: NDArray[np.floating],
    merchant_risk: NDArray[np.floating],
    card_risk: NDArray[np.floating],
    night: BoolArray,
    labels: LabelConfig,
) -> Keys:
    """Return each payment's logit without the intercept, dtype float32."""
    result = np.log1p(amount.astype(np.float32))
    result *= np.float32(labels.amount_weight)
    result += merchant_risk * np.float32(labels.merchant_risk_weight)
    result += card_risk * np.float32(labels.card_risk_weight)
    result += night * np.float32(labels.night_weight)
    return result


def sigmoid(x: FloatArray) -> FloatArray:
    """Return 1 / (1 + exp(-x)), without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def solve_intercept(expected: Callable[[float], float], target: float) -> float:
    """Return the intercept at which the expected count, which rises with it, is the target."""
    low, high = -1e5, 1e5
    for _ in range(64):
        middle = (low + high) / 2
        if expected(middle) < target:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def draw_keys(rng: Generator, logit: Keys) -> Keys:
    """Draw each payment's key: its logit plus standard logistic noise, dtype float32."""
    uniform = rng.random(len(logit), dtype=np.float32)
    # Half a step away from 0 and 1, where the logarithm has no value.
    uniform += np.float32(2.0**-26)
    np.minimum(uniform, np.float32(1 - 2.0**-24), out=uniform)
    return logit + np.log(uniform / (np.float32(1) - uniform))


def _top(keys: Keys, count: int) -> IntArray:
    """Return the rows of the highest keys, the highest first; ties by row."""
    if count <= 0:
        return np.empty(0, np.int64)
    if count < len(keys):
        threshold = np.partition(keys, len(keys) - count)[len(keys) - count]
        rows = np.flatnonzero(keys >= threshold)
    else:
        rows = np.arange(len(keys))
    top: IntArray = rows[np.argsort(-keys[rows], kind="stable")][:count]
    return top


@dataclass(frozen=True, eq=False)
class Places:
    """Where payments stand for bursts; columns of equal length; lives for a row group.

    `windows` number stretches of the bursts' length from 1; `open` are the payments that a burst
    may hold: those that no window's length reaches from payments that are not here.
    """

    merchants: Int32Array
    windows: IntArray
    open: BoolArray
    merchant_count: int

    @cached_property
    def cells(self) -> IntArray:
        """Return each payment's merchant and window as one number; its neighbours' are beside."""
        width = int(self.windows.max(initial=0)) + 2
        return self.merchants.astype(np.int64) * width + self.windows


class _Counts:
    """How many of some payments are in each cell; lives for a row group."""

    def __init__(self, cells: IntArray) -> None:
        self._cells = np.sort(cells)

    def of(self, cells: IntArray) -> IntArray:
        """Return the count of each cell, shape of cells."""
        ends = np.searchsorted(self._cells, cells, side="right")
        counts: IntArray = ends - np.searchsorted(self._cells, cells, side="left")
        return counts


def _burst_rows(keys: Keys, places: Places, origin: ByteArray, quota: int, factor: int) -> IntArray:
    """Return the rows that bursts turn into fraud, at most quota.

    A burst is the payments of one merchant in one window, from the highest key down. Of two
    windows that meet, only one can have a burst at a merchant. With those that the model found in
    its window, and in either of the two beside it, it has at most `factor`: so no stretch of a
    window's length that holds a part of a burst holds more.
    """
    can = places.open & ((places.windows + places.merchants) % 2 == 0)
    is_model = origin != 0
    model = _Counts(places.cells[is_model])
    seeds = _top(keys, min(len(keys), 2 * quota + int(is_model.sum()) + 64))
    is_seeded = np.zeros(places.merchant_count, np.bool_)
    is_seeded[places.merchants[seeds[can[seeds]]]] = True
    rows = np.flatnonzero(is_seeded[places.merchants] & can)
    if not len(rows):
        return rows
    order = np.lexsort((-keys[rows], places.cells[rows]))
    rows = rows[order]
    cell = places.cells[rows]
    starts = np.flatnonzero(np.diff(cell, prepend=cell[0] - 1))
    sizes = np.diff(starts, append=len(rows))
    # The model's are those of the highest keys: they come first.
    found = np.add.reduceat(is_model[rows].astype(np.int64), starts)
    here = model.of(cell[starts])
    beside = np.maximum(model.of(cell[starts] - 1), model.of(cell[starts] + 1))
    room = np.minimum(factor - beside - here, sizes - found)
    room[here + room < 2] = 0
    rank = np.arange(len(rows)) - np.repeat(starts + found, sizes)
    is_new = (rank >= 0) & (rank < np.repeat(room, sizes))
    # Cells by their highest key: where the model is surest, the fraudsters are at work.
    place = np.empty(len(starts), np.int64)
    place[np.argsort(-keys[rows[starts]], kind="stable")] = np.arange(len(starts))
    new, new_place = rows[is_new], np.repeat(place, sizes)[is_new]
    chosen: IntArray = new[np.argsort(new_place, kind="stable")][:quota]
    return chosen


def _filling_rows(keys: Keys, places: Places, origin: ByteArray, missing: int) -> IntArray:
    """Return the rows of the highest keys that are no fraud yet, those beside bursts last."""
    free = np.flatnonzero(origin == 0)
    bursts = _Counts(places.cells[origin == BURST])

    def highest(count: int) -> tuple[IntArray, BoolArray]:
        rows = free[_top(keys[free], count)]
        cells = places.cells[rows]
        return rows, bursts.of(cells - 1) + bursts.of(cells) + bursts.of(cells + 1) > 0

    rows, is_near = highest(2 * missing + 64)
    if np.count_nonzero(~is_near) < missing:
        rows, is_near = highest(len(free))
    return rows[np.argsort(is_near, kind="stable")][:missing]


def choose_frauds(
    keys: Keys, places: Places, quotas: tuple[int, int, int], factor: int
) -> ByteArray:
    """Return each payment's origin of fraud (0: none), exactly quotas[2] of them not 0.

    `quotas` are those of the model, of bursts, and of all.
    """
    model, bursts, total = quotas
    origin = np.zeros(len(keys), np.uint8)
    origin[_top(keys, model)] = MODEL
    if bursts:
        origin[_burst_rows(keys, places, origin, bursts, factor)] = BURST
    missing = total - int(np.count_nonzero(origin))
    if missing > 0:
        origin[_filling_rows(keys, places, origin, missing)] = FILLED
    return origin
