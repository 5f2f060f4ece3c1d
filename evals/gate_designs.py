"""Admission tests to compare, over whole rounds at once: which candidates are admitted, after how many pairs.

`in_use` is what `strategist.gate` does, as array arithmetic; a test holds the two together. The others are what else was thought of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from evals.gate_worlds import Drawn, Results, Values
from strategist.gate.decide import PACE
from strategist.settings import GateSettings
from strategist.stats import sequential_sign_test, sign_test

FDR = 0.10
Flags = npt.NDArray[np.bool_]


class Outcome(NamedTuple):
    """Of each round and candidate: whether it is admitted, and how many pairs were played."""

    admitted: Flags
    pairs: npt.NDArray[np.int64]


Design = Callable[[Drawn], Outcome]


def in_use(most: int = GateSettings().most, look: int = GateSettings().look, enough: int = GateSettings().enough) -> Design:
    """The sequential sign test, read at every look: who is admitted by what is known needs no more pairs, who falls behind is dropped."""

    def design(drawn: Drawn) -> Outcome:
        wins, losses = _counts(drawn.results, most)
        first = (wins + losses)[:, :, enough - 1 : enough]
        table = _sequential_table(most, enough)
        ps = np.ones(wins.shape)
        ps[:, :, enough - 1 :] = np.minimum.accumulate(table[first, wins[:, :, enough - 1 :], losses[:, :, enough - 1 :]], axis=2)
        shape = drawn.results.shape[:2]
        pairs, p = np.zeros(shape, dtype=np.int64), np.ones(shape)
        going, dropped = np.ones(shape, dtype=np.bool_), np.zeros(shape, dtype=np.bool_)
        for count in looks_of(most, look):
            pairs[going] = count
            p = np.where(going, ps[:, :, count - 1], p)
            late = (wins - losses)[:, :, count - 1] < count // PACE - 1
            dropped |= going & late & (p > FDR) & (count < most)
            p = np.where(dropped, 1.0, p)
            going &= ~dropped & ~benjamini_hochberg(p)
        return Outcome(benjamini_hochberg(p), pairs)

    return design


def fixed(most: int, *, graded: bool = False) -> Design:
    """`most` pairs of every candidate, then one sign test, or a sign-flip test of the graded values."""

    def design(drawn: Drawn) -> Outcome:
        ps = flip_ps(drawn.values[:, :, :most]) if graded else _sign_ps(drawn.results[:, :, :most])
        return Outcome(benjamini_hochberg(ps), np.full(ps.shape, most))

    return design


def screened(first: int, second: int, *, pooled: bool, graded: bool = False) -> Design:
    """Who is ahead after `first` pairs plays `second` more, and is tested on those alone or (`pooled`) on all."""

    def design(drawn: Drawn) -> Outcome:
        kept = drawn.results[:, :, :first].sum(2) > 0
        tested = slice(0 if pooled else first, first + second)
        ps = flip_ps(drawn.values[:, :, tested]) if graded else _sign_ps(drawn.results[:, :, tested])
        return Outcome(benjamini_hochberg(np.where(kept, ps, 1.0)), np.where(kept, first + second, first))

    return design


def futility(most: int, look: int = 4) -> Design:
    """One test of `most` pairs; at looks who is behind (later: not ahead), or past hope if all that are left were won, is dropped."""

    def design(drawn: Drawn) -> Outcome:
        wins, losses = _counts(drawn.results, most)
        going = np.ones(drawn.results.shape[:2], dtype=np.bool_)
        pairs = np.zeros(going.shape, dtype=np.int64)
        for count in range(look, most, look):
            pairs[going] = count
            won, lost = wins[:, :, count - 1], losses[:, :, count - 1]
            going &= ((won >= lost) if count == look else (won > lost)) & (_sign_table(most)[won + most - count, lost] <= FDR)
        pairs[going] = most
        ps = np.where(going, _sign_table(most)[wins[:, :, -1], losses[:, :, -1]], 1.0)
        return Outcome(benjamini_hochberg(ps), pairs)

    return design


BETS = np.linspace(0.1, 0.9, 9)


def betting(most: int, look: int = 4) -> Design:
    """Wealth of a gambler who bets on wins (mean over nine stakes), an e-value at any time; the closed e-BH procedure at every look.
    Dropped as in `in_use`."""

    def design(drawn: Drawn) -> Outcome:
        results = drawn.results[:, :, :most]
        wins, losses = _counts(results, most)
        wealth = np.exp(np.log1p(BETS * results[..., None].astype(np.float64)).cumsum(2)).mean(3)
        shape = results.shape[:2]
        pairs, e = np.zeros(shape, dtype=np.int64), np.ones(shape)
        going = np.ones(shape, dtype=np.bool_)
        for count in looks_of(most, look):
            pairs[going] = count
            e = np.where(going, wealth[:, :, count - 1], e)
            late = going & ((wins - losses)[:, :, count - 1] < count // PACE - 1) & (count < most)
            e = np.where(late, 0.0, e)
            admitted = closed_e_bh(e)
            going &= ~late & ~admitted
        return Outcome(closed_e_bh(e), pairs)

    return design


def looks_of(most: int, look: int) -> Sequence[int]:
    """Pairs played at each look."""
    return [*range(look, most, look), most]


def _counts(results: Results, most: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    part = results[:, :, :most]
    return (part == 1).cumsum(2), (part == -1).cumsum(2)


def _sign_ps(results: Results) -> Values:
    table: Values = _sign_table(results.shape[-1])[(results == 1).sum(-1), (results == -1).sum(-1)]
    return table


@cache
def _sign_table(most: int) -> Values:
    return np.array([[sign_test(w, x) if w + x <= most else 1.0 for x in range(most + 1)] for w in range(most + 1)])


@cache
def _sequential_table(most: int, enough: int) -> Values:
    """[decided among the first pairs, wins, losses] -> p of a path whose best reading that is: all losses first."""
    table = np.ones((enough + 1, most + 1, most + 1))
    for first in range(enough + 1):
        end = first + most - enough
        for wins in range(end + 1):
            for losses in range(max(0, first - wins), end - wins + 1):
                table[first, wins, losses] = sequential_sign_test([False] * losses + [True] * wins, first=first, most=end)
    return table


def flip_ps(values: Values, flips: int = 999, seed: int = 0) -> Values:
    """Monte Carlo sign-flip test of each candidate over the graded values given (the last axis)."""
    signs = np.random.default_rng(seed).choice((-1.0, 1.0), size=(values.shape[-1], flips)).astype(np.float32)
    flat = values.reshape(-1, values.shape[-1]).astype(np.float32)
    hits = [((np.abs(part) @ signs) >= part.sum(1, keepdims=True) - 1e-5).sum(1) for part in np.array_split(flat, 64)]
    found: Values = ((1 + np.concatenate(hits)) / (1 + flips)).reshape(values.shape[:-1])
    return found


def benjamini_hochberg(ps: Values) -> Flags:
    """Per round (row), which candidates are admitted at `FDR`; see `strategist.stats.benjamini_hochberg`."""
    count = ps.shape[1]
    ordered = np.sort(ps, axis=1)
    under = ordered <= FDR * np.arange(1, count + 1) / count
    last = np.where(under.any(1), count - 1 - under[:, ::-1].argmax(1), -1)
    bar = np.where(last >= 0, np.take_along_axis(ordered, np.maximum(last, 0)[:, None], 1)[:, 0], -1.0)
    admitted: Flags = np.less_equal(ps, bar[:, None])
    return admitted


def closed_e_bh(values: Values) -> Flags:
    """Per round, the largest set of best e-values that the closed e-BH procedure rejects (Xu, Fischer and Ramdas, 2025, arXiv 2504.11759).

    R is rejected if the mean e-value of every set A of hypotheses is at least |A and R| / (FDR |R|)."""
    count = values.shape[1]
    order = np.argsort(-values, axis=1, kind="stable")
    ranked = np.take_along_axis(values, order, 1)
    size = np.zeros(values.shape[0], dtype=np.int64)
    for chosen in range(1, count + 1):
        size[_closed(ranked, chosen)] = chosen
    out = np.zeros(values.shape, dtype=np.bool_)
    np.put_along_axis(out, order, np.arange(count)[None, :] < size[:, None], 1)
    return out


def _closed(ranked: Values, chosen: int) -> Flags:
    """Whether the `chosen` best of each row are rejected: the worst sets A take the smallest of them and the smallest of the others."""
    inside = np.cumsum(ranked[:, :chosen][:, ::-1], axis=1)[:, :, None]
    outside = np.cumsum(ranked[:, chosen:][:, ::-1], axis=1)
    outside = np.concatenate([np.zeros((len(ranked), 1)), outside], axis=1)[:, None, :]
    a, b = np.arange(1, chosen + 1)[:, None], np.arange(ranked.shape[1] - chosen + 1)[None, :]
    enough: Flags = np.all(inside + outside >= (a + b) * a / (FDR * chosen) - 1e-12, axis=(1, 2))
    return enough
