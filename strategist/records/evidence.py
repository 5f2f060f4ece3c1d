"""The evidence of the gate: pairs of fresh replies, with and without a candidate, and what they add up to."""

from __future__ import annotations

from typing import Literal

from strategist.records.base import Record

PairResult = Literal["win", "loss", "tie"]
Decision = Literal["admitted", "dropped_first_stage", "not_significant", "more_hard_failures", "too_few_moments", "incomplete"]


Choice = Literal["1", "2", "tie"]


class Comparison(Record):
    """What a judge said of two replies in both orders: `forward` of (first, second), `backward` of (second, first). None: no verdict
    could be read."""

    forward: Choice | None
    backward: Choice | None

    @property
    def preference(self) -> Literal["first", "second", "tie", "abstain"]:
        """What holds in both orders; orders that disagree are a tie, a missing one is an abstention."""
        if self.forward is None or self.backward is None:
            return "abstain"
        if (self.forward, self.backward) == ("1", "2"):
            return "first"
        return "second" if (self.forward, self.backward) == ("2", "1") else "tie"


class JudgedBy(Record):
    """Who decided the pairs where no check does, and how far that can be trusted (gate.judged).

    `bias`: the mean verdict that a candidate without any effect would get, with win 1, tie 0, loss -1, so in [-1, 1]; `se` is its standard
    error and `decided` the share of verdicts that are no tie, from `labels` labelled pairs and what is assumed of any judge before."""

    judge: str
    labels: int = 0
    bias: float = 0.0
    se: float
    decided: float

    @property
    def words(self) -> str:
        """For people: that no check stands behind this, and how well the judge is known."""
        checked = f"checked on {self.labels} labelled pairs, lean {self.bias:+.2f}" if self.labels else "checked by nobody"
        return f"by the judge alone: {self.judge}, {checked}"


JudgedKind = Literal["gate", "teacher"]
"""`gate`: the student's reply without and with a candidate; `teacher`: the student's and the teacher's, when coaching looked for a gap."""


class Judged(Record):
    """One comparison that a judge was asked for, kept so that people can label it."""

    kind: JudgedKind
    judge: str
    scenario: str
    persona: str
    round: int
    reply_before: str
    reply_after: str
    comparison: Comparison


class Pair(Record):
    """One test moment: the same state answered with guidance from L + c and from L. `uplift` is guided minus baseline, in [-1, 1]; 1, 0 or
    -1 where a judge decided."""

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
    complete; `q` is Benjamini-Hochberg adjusted over the round. `dropped_first_stage` stands for a candidate dropped at any look. `judged`
    says who decided the pairs where no check did: then the entry rests on a judge's word."""

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
    judged: JudgedBy | None = None
