"""The laws of cards: one BIN, type, issuer and brand for ever; numbers without gaps."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from payworld.reports.columns import numbers, units
from payworld.synthesis.rules import Rules
from payworld.world.arrays import BoolArray, IntArray
from payworld.world.reference import Bins

__all__ = ["CardLaws"]


class CardLaws:
    """Checks batches in file order; keeps only running numbers. Lives for a verification."""

    def __init__(self, eras: list[tuple[int, Rules]], bins: Bins) -> None:
        self._eras, self._bins = eras, bins
        self._of_bin = {
            "card_type": pl.Series(bins.card_type),
            "card_issuer": pl.Series(bins.issuer),
            "card_brand": pl.Series(bins.brand),
        }
        self._last_card = 0
        # Whether the number of the last new card is known: not after a gap in the files.
        self._known = True
        # From which card number on each era's BINs were drawn.
        self._era_first_card = [1] + [0] * (len(eras) - 1)

    def lose(self) -> None:
        """Take the numbering up anew from what follows: some rows could not be read."""
        self._known = False

    def checks(self, batch: pl.DataFrame, days: IntArray) -> Iterator[tuple[BoolArray, str]]:
        """Yield for each law where it is broken, shape (rows,), and what is wrong there."""
        bins = self._bins
        rows = batch["card_bin"].replace_strict(
            list(bins.index_of_bin), range(len(bins)), default=-1, return_dtype=pl.Int64
        )
        bin_row = rows.fill_null(-1).to_numpy()
        yield bin_row < 0, "card_bin is not a known BIN"
        known, row = bin_row >= 0, np.maximum(bin_row, 0)
        for column, values in self._of_bin.items():
            wrong = batch[column].ne_missing(values.gather(row)).to_numpy()
            yield known & wrong, f"{column} is not the BIN's"
        rate = units(batch["transactional_cost_rate"], 4)
        for number, (first_day, rules) in enumerate(self._eras):
            last = self._eras[number + 1][0] if number + 1 < len(self._eras) else 1 << 30
            inside = (days >= first_day) & (days < last) & known
            yield inside & (rate != rules.cost_bps[row]), "transactional_cost_rate is not the BIN's"
        yield from self._numbers(batch, days, bin_row)

    def _numbers(
        self, batch: pl.DataFrame, days: IntArray, bin_row: IntArray
    ) -> Iterator[tuple[BoolArray, str]]:
        cards = numbers(batch["card_profile_id"], "CARD")
        if not self._known and len(cards):
            # After a gap in the files the highest number so far is a card that came before.
            self._last_card = max(self._last_card, int(cards.max()) - len(cards))
        highest = np.maximum.accumulate(np.concatenate([[self._last_card], cards]))
        is_new = cards > highest[:-1]
        if self._known:
            jump = is_new & (cards != highest[:-1] + 1)
            yield (
                jump | (cards < 1),
                "card_profile_id is neither the next new card nor a stored one",
            )
        for number, (first_day, _) in enumerate(self._eras):
            later = np.flatnonzero(days >= first_day)
            if number and not self._era_first_card[number] and len(later):
                self._era_first_card[number] = int(highest[later[0]]) + 1
        self._last_card = int(highest[-1])
        self._known = True
        expected = np.full(len(cards), -1)
        for number, (_, rules) in enumerate(self._eras):
            first = self._era_first_card[number]
            if first:
                drawn = rules.draw_bin_rows(cards).astype(np.int64)
                expected = np.where(cards >= first, drawn, expected)
        yield (bin_row != expected) & (cards > 0), "card_bin is not the card's for ever"
