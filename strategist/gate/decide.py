"""The admission decision over one round. Pure: pairs in, evidence out.

Owns which pairs count, when a candidate is dropped, the test, the family and the order of reasons. Knows no model and no candidate text.

The family of a round is every candidate that was played. Who is out for any reason (dropped, incomplete, more hard failures) stays in it
with p = 1, which keeps Benjamini-Hochberg valid for those that are admitted. A candidate with too few moments was never played; that was
settled before any outcome, so it has no p, is no part of the family, and stays proposed.

The test of a candidate may be read at every look: its p only falls, and is valid whenever one stops. So the round is decided again at
every look, and who is admitted by then needs no more replies. That saves replies and changes no decision: Benjamini-Hochberg asks only how
many p lie below a bar, those that stopped lie below it already, and nobody is dropped who has a p that could count.

A pair in which the baseline turn failed says nothing and is left out. One in which only the guided turn failed counts as a loss: leaving
it out would favour candidates that make the student fail where it would have lost.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from strategist.records.evidence import Decision, Evidence, Pair
from strategist.stats import FAIR, Null, benjamini_hochberg, mcnemar_one_sided, sequential_sign_test

MISSING_SHARE = 0.25
"""Up to this share of the pairs may be missing at a look and in the end; with more the test is incomplete."""

PACE = 4
"""Pairs for each of which a candidate must be one win further ahead at a look, the first ones excepted."""

_UNTESTED: tuple[Decision, ...] = ("too_few_moments", "incomplete", "dropped_first_stage")
"""Without all their pairs: p is 1."""


class Tested(NamedTuple):
    """What was played for one candidate so far, of how many `moments`; nobody is admitted on fewer than `enough` pairs. `shortage`: moments
    that are lacking for any test, then no pairs. `dropped`: at a look. `null`: the share of wins without any gain (gate.judged)."""

    pairs: tuple[Pair, ...] = ()
    moments: int = 0
    enough: int = 0
    shortage: int = 0
    tries: int = 1
    dropped: bool = False
    null: Null = FAIR


class Tally(NamedTuple):
    """Pairs counted. `missing` are those that say nothing."""

    wins: int
    losses: int
    ties: int
    missing: int


def tally(pairs: Sequence[Pair]) -> Tally:
    """Count the pairs that say something by result, and those that do not."""
    results = [pair.result for pair in _counted(pairs)]
    return Tally(results.count("win"), results.count("loss"), results.count("tie"), len(pairs) - len(results))


def _counted(pairs: Sequence[Pair]) -> list[Pair]:
    return [pair for pair in pairs if pair.failure is None or pair.result == "loss"]


def is_complete(pairs: Sequence[Pair]) -> bool:
    """Whether there are pairs and at most `MISSING_SHARE` of them are missing."""
    return len(pairs) > 0 and tally(pairs).missing <= math.floor(MISSING_SHARE * len(pairs))


def falls_behind(one: Tested, *, fdr: float) -> bool:
    """Whether a candidate is dropped at a look at its pairs so far.

    After the first four it must not be behind (as many losses as wins may be luck of the few), and after every four more one win further
    ahead: at less than that pace it hardly passes. Who has a p that could pass is never dropped. A hard failure more is a loss already."""
    counts = tally(one.pairs)
    late = counts.wins - counts.losses < len(one.pairs) // PACE - 1
    return late and win_test(one) > fdr


def win_test(one: Tested) -> float:
    """Exact one-sided sign test over the pairs so far, in their order, read from the pair on at which there are `enough`; 1 before.

    H0: a win is at most as likely as a loss, whatever came before; where a judge decides, at most as likely as its lean makes it. How
    many of the first pairs are ties is taken as given, as in any sign test; those to come may all be decided."""
    if len(one.pairs) < one.enough:
        return 1.0
    first = len(_decided(one.pairs[: one.enough]))
    return sequential_sign_test(_decided(one.pairs), first=first, most=first + one.moments - one.enough, null=one.null)


def _decided(pairs: Sequence[Pair]) -> list[bool]:
    return [pair.result == "win" for pair in _counted(pairs) if pair.result != "tie"]


def hard_failure_test(pairs: Sequence[Pair]) -> float:
    """Exact one-sided McNemar p that the candidate makes hard failures more frequent, over finished pairs."""
    more = sum(pair.guided_hard > pair.baseline_hard for pair in pairs)
    fewer = sum(pair.guided_hard < pair.baseline_hard for pair in pairs)
    return mcnemar_one_sided(more, fewer)


def decide_round(tested: Sequence[Tested], *, fdr: float, hard_level: float) -> tuple[Evidence, ...]:
    """Decide over all candidates of a round together, in their order, by what was played so far.

    Admitted: q <= `fdr`, q being Benjamini-Hochberg adjusted over the family (see above), and the hard-failure test's p > `hard_level`.
    That holds at every look, whether or not there are pairs to come. `wins`, `losses` and `ties` are those of all pairs that were
    played. `replies` counts student turns; `student` and `snapshot` are for the caller.
    """
    outs = [_out_for(one, hard_level) for one in tested]
    ps = [1.0 if outs[i] in _UNTESTED else win_test(one) for i, one in enumerate(tested)]
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
    if one.dropped:
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
