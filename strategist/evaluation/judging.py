"""How good is the judge? What its verdicts say against people's labels. Pure.

Agreement and Cohen's kappa over the three answers (better, worse, tie); the error rate among its decided verdicts; whether it prefers one
of the two replies (the teacher's, say) more than people do; whether their order matters to it, and whether length does. The lean that the
gate's test takes into account is another figure: that of a line without effect (gate.judged).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from strategist.gate.judged import JudgeLabel, Side
from strategist.stats import Estimate, mean_interval, wilson

SIDES: tuple[Side, ...] = ("before", "after", "tie")


class JudgeScore(NamedTuple):
    """Figures of one judge over labelled pairs of one kind. None where there is too little to say.

    `errors`: share of wrong ones among its verdicts that are no tie; `lean`: mean of verdict minus label, win 1, tie 0, loss -1;
    `order`: share of pairs whose two orders disagree, `first`: of those that name the reply shown first both times; `longer`: share of
    decided verdicts for the longer reply minus that of people's labels."""

    judge: str
    labels: int
    unread: int
    agreement: Estimate | None
    kappa: float | None
    errors: Estimate | None
    lean: Estimate | None
    order: Estimate | None
    first: Estimate | None
    longer: float | None


def score(judge: str, labels: Sequence[JudgeLabel]) -> JudgeScore:
    """The figures of one judge; `labels` of others are left out."""
    own = [label for label in labels if label.judge == judge]
    read = [label for label in own if label.verdict is not None]
    worth = {"before": -1.0, "tie": 0.0, "after": 1.0}
    decided = [label for label in read if label.verdict != "tie"]
    split = [label for label in read if _orders_disagree(label)]
    always_first = [label for label in split if label.comparison.forward == label.comparison.backward != "tie"]
    leans = [worth[label.verdict] - worth[label.human] for label in read if label.verdict is not None]
    return JudgeScore(
        judge=judge,
        labels=len(own),
        unread=len(own) - len(read),
        agreement=_share([label.verdict == label.human for label in read]),
        kappa=kappa([(str(label.verdict), label.human) for label in read]),
        errors=_share([label.verdict != label.human for label in decided]),
        lean=mean_interval(leans) if len(leans) > 1 else None,
        order=_share([_orders_disagree(label) for label in read]),
        first=_share([label.comparison.forward == "1" for label in always_first]),
        longer=_longer(read),
    )


def kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Cohen's kappa of two raters over the same units: (observed - expected agreement) / (1 - expected). None where there is no unit or
    chance explains everything. Source: Cohen (1960), Educational and Psychological Measurement 20."""
    n = len(pairs)
    if not n:
        return None
    observed = sum(a == b for a, b in pairs) / n
    expected = sum((sum(a == side for a, _ in pairs) / n) * (sum(b == side for _, b in pairs) / n) for side in SIDES)
    return None if expected > 1 - 1e-12 else (observed - expected) / (1 - expected)


def _orders_disagree(label: JudgeLabel) -> bool:
    forward, backward = label.comparison.forward, label.comparison.backward
    same = {("1", "2"), ("2", "1"), ("tie", "tie")}
    return (forward, backward) not in same


def _longer(read: Sequence[JudgeLabel]) -> float | None:
    """How much more often the judge takes the longer reply than people do, among pairs that each of them decides."""
    uneven = [label for label in read if label.words_before != label.words_after]
    judge = [_takes_longer(label, label.verdict) for label in uneven if label.verdict != "tie"]
    people = [_takes_longer(label, label.human) for label in uneven if label.human != "tie"]
    return sum(judge) / len(judge) - sum(people) / len(people) if judge and people else None


def _takes_longer(label: JudgeLabel, side: Side | None) -> bool:
    return (side == "after") == (label.words_after > label.words_before)


def _share(flags: Sequence[bool]) -> Estimate | None:
    return wilson(sum(flags), len(flags)) if flags else None
