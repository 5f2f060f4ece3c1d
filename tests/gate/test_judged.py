"""What labels say of a judge, and what that makes of the gate's null hypothesis."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategist.gate.judged import DECIDED, LEAN, SHARES, JudgeLabel, Side, judged_by, null_of
from strategist.records.evidence import Choice, Comparison, JudgedBy, JudgedKind
from strategist.stats import FAIR

SIDES: tuple[Side, ...] = ("before", "tie", "after")
WORTH = {"before": -1, "tie": 0, "after": 1}
SAID: dict[Side | None, tuple[Choice | None, Choice | None]] = {
    "before": ("1", "2"), "after": ("2", "1"), "tie": ("tie", "tie"), None: (None, "1"),
}  # fmt: skip


def label(verdict: Side | None, human: Side, *, judge: str = "j", kind: JudgedKind = "gate") -> JudgeLabel:
    forward, backward = SAID[verdict]
    said = Comparison(forward=forward, backward=backward)
    return JudgeLabel(pair="p", run="r", kind=kind, judge=judge, human=human, comparison=said, words_before=3, words_after=4)


def perfect(each: int) -> list[JudgeLabel]:
    return [label(side, side) for side in SIDES for _ in range(each)]


def share(judged: JudgedBy | None) -> float:
    """The mean share of wins of a useless candidate."""
    return math.fsum(weight * value for value, weight in null_of(judged))


def test_a_label_knows_the_judges_verdict() -> None:
    assert [label(side, "tie").verdict for side in (*SIDES, None)] == [*SIDES, None]
    disagreeing = label("after", "after").model_copy(update={"comparison": Comparison(forward="1", backward="1")})
    assert disagreeing.verdict == "tie"


def test_of_a_judge_that_nobody_checked_only_the_assumption_is_known() -> None:
    known = judged_by("j")
    assert known == JudgedBy(judge="j", labels=0, bias=0.0, se=LEAN, decided=DECIDED)
    assert 0.5 < share(known) < 0.6
    assert judged_by("j", [label(None, "after")]) == known, "a verdict that could not be read says nothing"


def test_where_checks_decide_the_coin_is_fair() -> None:
    assert null_of(None) == FAIR == ((0.5, 1.0),)
    assert share(JudgedBy(judge="j", labels=10, bias=0.0, se=0.0, decided=0.5)) == pytest.approx(0.5)


def test_a_perfect_judge_has_no_lean_and_more_labels_make_that_surer() -> None:
    few, many = judged_by("j", perfect(4)), judged_by("j", perfect(60))
    assert (few.labels, many.labels) == (12, 180)
    assert few.bias == many.bias == pytest.approx(0)
    assert LEAN > few.se > many.se
    assert 0.5 < share(many) < share(few) < share(judged_by("j"))
    assert many.decided == pytest.approx(2 / 3, abs=0.02)


def test_a_judge_that_takes_guided_replies_for_better_moves_the_null_up() -> None:
    """Of 40 ties it calls 20 better, of 20 losses 10: the labels' own formula, drawn a little to nothing."""
    leaning = [label("after", "tie")] * 20 + [label("tie", "tie")] * 20
    leaning += [label("after", "before")] * 10 + [label("before", "before")] * 10 + [label("after", "after")] * 20
    known = judged_by("j", leaning)
    ties = 41 / 82
    plain = ties * 20 / 41 + (1 - ties) / 2 * (21 / 21 + -1 / 21)
    assert 0.6 * plain < known.bias < plain
    assert share(known) > 0.6
    assert known.bias == pytest.approx(judged_by("j", leaning[::-1]).bias)


def test_a_lean_against_guided_replies_never_helps_a_candidate() -> None:
    known = judged_by("j", [label("before", "tie")] * 60 + [label("before", "after")] * 20 + [label("before", "before")] * 20)
    assert known.bias < -0.3
    assert all(value >= 0.5 for value, _ in null_of(known))
    assert share(known) == pytest.approx(0.5, abs=0.001)


def test_pairs_that_guided_replies_win_anyway_do_not_hide_a_lean() -> None:
    """Labelled pairs are weighted: with wins in the majority a lean shows hardly, and is estimated all the same."""
    fair = [label("after", "tie")] * 10 + [label("tie", "tie")] * 10 + [label("after", "before")] * 10 + [label("before", "before")] * 10
    before = judged_by("j", fair + [label("after", "after")] * 20)
    skewed = judged_by("j", fair + [label("after", "after")] * 100)
    raw = [(WORTH[one.verdict or "tie"] - WORTH[one.human]) for one in fair + [label("after", "after")] * 100]
    assert sum(raw) / len(raw) < 0.25, "what the plain mean says"
    assert skewed.bias > 0.35
    assert before.bias > 0.25


def test_labels_of_others_and_of_other_questions_are_left_out() -> None:
    foreign = [label("after", "before", judge="other"), label("after", "tie", kind="teacher"), label(None, "tie")] * 30
    assert judged_by("j", perfect(3) + foreign) == judged_by("j", perfect(3))


def test_a_judge_that_hardly_ever_decides_leaves_shares_inside_their_bounds() -> None:
    known = JudgedBy(judge="j", labels=5, bias=0.9, se=0.5, decided=0.05)
    assert {value for value, _ in null_of(known)} <= {SHARES[0], SHARES[1]}


pairs = st.lists(st.tuples(st.sampled_from([*SIDES, None]), st.sampled_from(SIDES)), max_size=60)


@settings(max_examples=80, deadline=None)
@given(found=pairs)
def test_whatever_people_say_the_null_is_a_distribution_of_shares_not_below_one_half(found: list[tuple[Side | None, Side]]) -> None:
    labels = [label(verdict, human) for verdict, human in found]
    known = judged_by("j", labels)
    assert known.labels == sum(verdict is not None for verdict, _ in found)
    assert -1 <= known.bias <= 1
    assert 0 < known.se <= LEAN
    assert 0 < known.decided <= 1
    assert judged_by("j", labels[::-1]).bias == pytest.approx(known.bias, abs=1e-12), "their order says nothing"
    null = null_of(known)
    assert sum(weight for _, weight in null) == pytest.approx(1)
    assert all(weight > 0 and SHARES[0] <= value <= SHARES[1] for value, weight in null)


@settings(max_examples=60, deadline=None)
@given(found=pairs)
def test_with_the_sides_exchanged_the_lean_is_the_opposite_one(found: list[tuple[Side | None, Side]]) -> None:
    labels = [label(verdict, human) for verdict, human in found]
    mirrored = [label(_MIRROR[verdict], _MIRROR[human] or "tie") for verdict, human in found]
    one, other = judged_by("j", labels), judged_by("j", mirrored)
    assert other.bias == pytest.approx(-one.bias, abs=1e-12)
    assert (other.se, other.decided) == pytest.approx((one.se, one.decided))


_MIRROR: dict[Side | None, Side | None] = {"before": "after", "after": "before", "tie": "tie", None: None}
