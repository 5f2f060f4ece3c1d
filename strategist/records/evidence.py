"""The evidence of the gate: pairs of fresh replies, with and without a candidate, and what they add up to."""

from __future__ import annotations

from typing import Literal

from strategist.records.base import Record

PairResult = Literal["win", "loss", "tie"]
Decision = Literal["admitted", "dropped_first_stage", "not_significant", "more_hard_failures", "too_few_moments", "incomplete"]


class Pair(Record):
    """One test moment: the same state answered with guidance from L + c and from L. `uplift` is guided minus baseline, in [-1, 1]."""

    scenario: str
    persona: str
    stage: Literal[1, 2]
    score: float
    result: PairResult
    uplift: float
    baseline_hard: int
    guided_hard: int
    failure: str | None = None


class Evidence(Record):
    """What admission rests on.

    `p` is the exact one-sided sign test over the pairs (stats.sequential_sign_test), 1 where the candidate was dropped or the test is not
    complete; `q` is Benjamini-Hochberg adjusted over the round. `dropped_first_stage` stands for a candidate dropped at any look."""

    decision: Decision
    pairs: tuple[Pair, ...] = ()
    wins: int = 0
    losses: int = 0
    ties: int = 0
    p: float = 1.0
    q: float = 1.0
    hard_p: float = 1.0
    tries: int = 1
    snapshot: str = ""
    student: str = ""
    replies: int = 0
