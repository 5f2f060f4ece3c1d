"""How far a judge's verdicts can be trusted, and what that does to the gate's test. Pure.

A useless candidate makes as many replies better as worse, so with perfect verdicts wins and losses are equally likely. A judge errs; errors
that hit both sides alike only blur, but a lean does not: guided replies may be longer, or sound like the judge, and win without being
better. The lean is what the judge's verdicts V (win 1, tie 0, loss -1) add up to for a candidate without any effect,

    b = t E[V | tie] + (1 - t) / 2 (E[V | win] + E[V | loss]),

t being the share of true ties: labelled pairs are weighted so that true wins and losses are equally many, because a lean hardly shows at
pairs that the guided reply wins anyway. The share of wins among decided pairs under the null hypothesis is then 1/2 + b / (2 d), d being
the share of decided verdicts. Both are estimated from pairs that people have labelled; how uncertain they are enters the test
(stats.Null). A lean against guided replies never helps a candidate.

People's labels are taken for the truth: the error of people is not modelled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from strategist.records.base import Record
from strategist.records.evidence import Comparison, JudgedBy, JudgedKind
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
    kind: JudgedKind
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
    known = [(label.verdict, label.human) for label in labels if label.judge == judge and label.kind == "gate"]
    by_truth = {side: [_WORTH[verdict] for verdict, human in known if verdict is not None and human == side] for side in _WORTH}
    n = sum(map(len, by_truth.values()))
    ties = (len(by_truth["tie"]) + 1) / (n + 2)
    shares = {"tie": ties, "before": (1 - ties) / 2, "after": (1 - ties) / 2}
    lean = variance = decided = 0.0
    for side, verdicts in by_truth.items():
        # As if one pair more was judged right, and one wrong in either direction: unseen errors are not impossible ones.
        mean = (sum(verdicts) + _WORTH[side]) / (len(verdicts) + 1)
        spread = (math.fsum((verdict - mean) ** 2 for verdict in verdicts) + 1) / (len(verdicts) + 1)
        lean += shares[side] * mean
        variance += shares[side] ** 2 * spread / (len(verdicts) + 1)
        decided += shares[side] * (sum(verdict != 0 for verdict in verdicts) + DECIDED) / (len(verdicts) + 1)
    seen = 1 / variance if n else 0.0
    precision = seen + 1 / LEAN**2
    return JudgedBy(judge=judge, labels=n, bias=lean * seen / precision, se=math.sqrt(1 / precision), decided=decided)


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
