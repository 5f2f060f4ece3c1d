"""The admission decision over one round. Pure: pairs in, evidence out.

Owns which pairs count, when a candidate is dropped, the test, the family and the order of reasons. Knows no model and no candidate text.

The family of a round is every candidate that was played. Who is out for any reason (dropped, incomplete, more hard failures) stays in it
with p = 1, which keeps Benjamini-Hochberg valid for those that are admitted. A candidate with too few moments was never played; that was
settled before any outcome, so it has no p, is no part of the family, and stays proposed.

A pair in which the baseline turn failed says nothing and is left out. One in which only the guided turn failed counts as a loss: leaving
it out would favour candidates that make the student fail where it would have lost.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from strategist.records.evidence import Decision, Evidence, Pair
from strategist.stats import benjamini_hochberg, mcnemar_one_sided, sign_test

MISSING_SHARE = 0.25
"""Up to this share of the pairs may be missing at a look and in the end; with more the test is incomplete."""

_UNTESTED: tuple[Decision, ...] = ("too_few_moments", "incomplete", "dropped_first_stage")
"""Without all their pairs: p is 1."""


class Tested(NamedTuple):
    """What was played for one candidate. `shortage`: moments that are lacking for any test, then no pairs. `stopped`: at a look, with
    moments left."""

    pairs: tuple[Pair, ...] = ()
    shortage: int = 0
    tries: int = 1
    stopped: bool = False


class Tally(NamedTuple):
    """Pairs counted. `missing` are those that say nothing."""

    wins: int
    losses: int
    ties: int
    missing: int


def tally(pairs: Sequence[Pair]) -> Tally:
    """Count the pairs that say something by result, and those that do not."""
    results = [pair.result for pair in pairs if pair.failure is None or pair.result == "loss"]
    return Tally(results.count("win"), results.count("loss"), results.count("tie"), len(pairs) - len(results))


def is_complete(pairs: Sequence[Pair]) -> bool:
    """Whether there are pairs and at most `MISSING_SHARE` of them are missing."""
    return len(pairs) > 0 and tally(pairs).missing <= math.floor(MISSING_SHARE * len(pairs))


def goes_on(pairs: Sequence[Pair], left: int, *, first: bool, hope: float | None) -> bool:
    """Whether a candidate goes on after a look at its pairs so far, with `left` more to come.

    At the first look it must not be behind (as many losses as wins may be luck of the few), later it must be ahead. With `hope`, the
    false discovery rate, it must still be able to reach a p as low if it won all that are left, without which no round admits it. A hard
    failure more is a loss already."""
    counts = tally(pairs)
    ahead = counts.wins >= counts.losses if first else counts.wins > counts.losses
    return ahead and (hope is None or sign_test(counts.wins + left, counts.losses) <= hope)


def win_test(pairs: Sequence[Pair]) -> float:
    """Exact one-sided sign test over the pairs given: H0, a win is at most as likely as a loss. 1 without wins or losses."""
    counts = tally(pairs)
    return sign_test(counts.wins, counts.losses)


def hard_failure_test(pairs: Sequence[Pair]) -> float:
    """Exact one-sided McNemar p that the candidate makes hard failures more frequent, over finished pairs."""
    more = sum(pair.guided_hard > pair.baseline_hard for pair in pairs)
    fewer = sum(pair.guided_hard < pair.baseline_hard for pair in pairs)
    return mcnemar_one_sided(more, fewer)


def decide_round(tested: Sequence[Tested], *, fdr: float, hard_level: float) -> tuple[Evidence, ...]:
    """Decide over all candidates of a round together, in their order.

    Admitted: q <= `fdr`, q being Benjamini-Hochberg adjusted over the family (see above), and the hard-failure test's p > `hard_level`.
    The one test runs over all pairs. That is exact: how many there are was settled before any outcome, the replies are fresh, and
    dropping in between only turns a p into 1. `wins`, `losses` and `ties` are those of all pairs that were played. `replies`
    counts student turns; `student` and `snapshot` are for the caller.
    """
    outs = [_out_for(one, hard_level) for one in tested]
    ps = [1.0 if outs[i] in _UNTESTED else win_test(one.pairs) for i, one in enumerate(tested)]
    family = [index for index, out in enumerate(outs) if out != "too_few_moments"]
    adjusted = benjamini_hochberg([1.0 if outs[index] else ps[index] for index in family])
    qs = dict(zip(family, adjusted, strict=True))
    evidence = []
    for index, one in enumerate(tested):
        q = qs.get(index, 1.0)
        evidence.append(_evidence(one, outs[index] or ("admitted" if q <= fdr else "not_significant"), p=ps[index], q=q))
    return tuple(evidence)


def _out_for(one: Tested, hard_level: float) -> Decision | None:
    """Why a candidate is out whatever its p, or None. The first reason in the order of play, the hard-failure test last."""
    if one.shortage > 0:
        return "too_few_moments"
    if not is_complete(one.pairs):
        return "incomplete"
    if one.stopped:
        return "dropped_first_stage"
    return "more_hard_failures" if hard_failure_test(one.pairs) <= hard_level else None


def _evidence(one: Tested, decision: Decision, *, p: float, q: float) -> Evidence:
    pairs = one.pairs
    counts = tally(pairs)
    return Evidence(
        decision=decision,
        pairs=pairs,
        wins=counts.wins,
        losses=counts.losses,
        ties=counts.ties,
        p=p,
        q=q,
        hard_p=hard_failure_test(pairs),
        tries=one.tries,
        replies=2 * len(pairs),
    )
