"""How far a judge's verdicts can be trusted, and what that does to the gate's test. Pure.

A useless candidate makes as many replies better as worse, so with perfect verdicts wins and losses are equally likely. A judge errs; errors
that hit both sides alike only blur, but a lean does not: guided replies may be longer, or sound like the judge, and win without being
better. With verdict V and the truth T of a pair in {-1, 0, 1}, E[V] = E[T] + E[V - T], and E[T] <= 0 for a useless candidate. So the lean
is b = E[V - T], and the share of wins among decided pairs is at most 1/2 + b / (2 d) under the null hypothesis, d being the share of
decided verdicts. b is estimated from pairs that people have labelled, d with it; how uncertain they are enters the test (stats.Null). A
lean against guided replies never helps a candidate.

People's labels are taken for the truth: the error of people is not modelled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from strategist.records.base import Record
from strategist.records.evidence import Comparison, JudgedBy
from strategist.stats import FAIR, Null

LEAN = 0.2
"""Standard deviation of the lean that is assumed of a judge nobody has checked: one in ten verdicts and more may be a matter of style."""
DECIDED = 0.7
NODES = 7
"""Points at which the uncertain share is taken (Gauss-Hermite)."""
SHARES = (0.5, 0.98)

Side = Literal["before", "after", "tie"]
"""Which of two replies is better: that before (unguided, the student's) or that after (guided, the teacher's)."""


class JudgeLabel(Record):
    """One pair with the judge's verdict and a person's. `words_*` are lengths of the replies."""

    pair: str
    run: str
    kind: Literal["gate", "teacher"]
    judge: str
    human: Side
    comparison: Comparison
    words_before: int
    words_after: int

    @property
    def verdict(self) -> Side | None:
        """The judge's, None where none could be read."""
        return _SIDES[self.comparison.preference]


_SIDES: dict[str, Side | None] = {"first": "before", "second": "after", "tie": "tie", "abstain": None}
_WORTH: dict[Side, int] = {"before": -1, "tie": 0, "after": 1}


def judged_by(judge: str, labels: Sequence[JudgeLabel] = ()) -> JudgedBy:
    """What is known of a judge from pairs of the gate's kind that were labelled; nothing but what is assumed where there are none."""
    known = [(label.verdict, label.human) for label in labels if label.judge == judge and label.kind == "gate" and label.verdict]
    errors = [_WORTH[verdict] - _WORTH[human] for verdict, human in known if verdict is not None]
    n = len(errors)
    decided = (DECIDED + sum(verdict != "tie" for verdict, _ in known)) / (1 + n)
    precision, mean = 1 / LEAN**2, 0.0
    if n:
        mean = math.fsum(errors) / n
        variance = (math.fsum((error - mean) ** 2 for error in errors) + 2) / (n + 1)  # as if two more errors were seen, one each way
        mean *= (n / variance) / (n / variance + precision)
        precision += n / variance
    return JudgedBy(judge=judge, labels=n, bias=mean, se=math.sqrt(1 / precision), decided=decided)


def null_of(judged: JudgedBy | None) -> Null:
    """The share of wins that a useless candidate has by this judge's verdicts; 1/2 where checks decide."""
    if judged is None:
        return FAIR
    from numpy.polynomial.hermite_e import hermegauss

    low, high = SHARES
    nodes, weights = hermegauss(NODES)
    shares = [min(high, max(low, 0.5 + (judged.bias + judged.se * float(node)) / (2 * judged.decided))) for node in nodes]
    total = math.fsum(float(weight) for weight in weights)
    return tuple((share, float(weight) / total) for share, weight in zip(shares, weights, strict=True))
