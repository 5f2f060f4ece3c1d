"""What labels say of a judge, and what that makes of the gate's test."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.judge_gate import Cell, Faults, labelled, measure, said
from strategist.gate.judged import DECIDED, LEAN, JudgeLabel, Side, judged_by, null_of
from strategist.records.evidence import Choice, Comparison
from strategist.stats import FAIR, Null, sequential_sign_test

SIDES: dict[Side, tuple[Choice, Choice]] = {"after": ("2", "1"), "before": ("1", "2"), "tie": ("tie", "tie")}


def label(verdict: Side, human: Side, **changes: object) -> JudgeLabel:
    forward, backward = SIDES[verdict]
    plain = JudgeLabel(
        pair="p", run="r", kind="gate", judge="j", human=human, comparison=Comparison(forward=forward, backward=backward),
        words_before=5, words_after=9,
    )  # fmt: skip
    return plain.model_copy(update=changes)


def mean(null: Null) -> float:
    return sum(share * weight for share, weight in null)


def test_checks_are_a_fair_coin_and_an_unknown_judge_is_not() -> None:
    assert null_of(None) == FAIR
    unknown = judged_by("j")
    assert (unknown.labels, unknown.bias, unknown.se, unknown.decided) == (0, 0.0, LEAN, DECIDED)
    assert 0.5 < mean(null_of(unknown)) < 0.65


def test_labels_of_others_and_of_other_kinds_say_nothing() -> None:
    others = [label("after", "before", judge="x"), label("after", "before", kind="teacher")]
    unread = label("after", "tie", comparison=Comparison(forward=None, backward="1"))
    assert judged_by("j", [*others, unread]) == judged_by("j")


def test_a_judge_that_is_right_narrows_it_down_and_one_that_leans_pays() -> None:
    right = [label(side, side) for side in SIDES for _ in range(20)]
    leaning = [label("after", side) for side in SIDES for _ in range(20)]
    against = [label("before", side) for side in SIDES for _ in range(20)]
    good, bad, harsh = (judged_by("j", labels) for labels in (right, leaning, against))
    assert abs(good.bias) < 0.02
    assert good.se < LEAN / 3
    assert bad.bias > 0.5
    assert harsh.bias < -0.5
    assert mean(null_of(good)) < 0.53
    assert mean(null_of(bad)) > 0.8
    assert set(null_of(harsh)) == {(0.5, weight) for _, weight in null_of(harsh)}  # a lean against never helps


@given(st.lists(st.tuples(st.sampled_from(list(SIDES)), st.sampled_from(list(SIDES))), max_size=60))
def test_whatever_the_labels_the_null_is_one(pairs: list[tuple[Side, Side]]) -> None:
    known = judged_by("j", [label(verdict, human) for verdict, human in pairs])
    null = null_of(known)
    assert sum(weight for _, weight in null) == pytest.approx(1)
    assert all(0.5 <= share <= 0.98 for share, _ in null)
    assert known.labels == len(pairs)
    assert 0 < known.se <= LEAN
    assert 0 < known.decided <= 1


@settings(deadline=None)
@given(st.lists(st.booleans(), max_size=9), st.integers(0, 9), st.sampled_from([0.5, 0.6, 0.75, 0.9]))
def test_the_sequential_test_counts_paths_at_any_share(wins: list[bool], first: int, share: float) -> None:
    """Brute force over all paths of nine steps."""
    most = 9

    def wealth(path: tuple[bool, ...]) -> float:
        w, n = sum(path), len(path)
        return sum(math.comb(n + 1, i) for i in range(w + 1)) / ((n + 1) * math.comb(n, w))

    def best(path: tuple[bool, ...]) -> float:
        return max((wealth(path[:n]) for n in range(first, len(path) + 1)), default=0.0)

    reached = best(tuple(wins))
    paths = itertools.product((False, True), repeat=most)
    brute = sum(share ** sum(path) * (1 - share) ** (most - sum(path)) for path in paths if best(path) >= reached - 1e-12)
    assert sequential_sign_test(wins, first=first, most=most, null=((share, 1.0),)) == pytest.approx(brute)


def test_a_mixture_is_the_weighted_mean_and_grows_with_the_share() -> None:
    wins = [True] * 9 + [False] * 2
    ps = [sequential_sign_test(wins, first=8, most=20, null=((share, 1.0),)) for share in (0.5, 0.6, 0.7)]
    assert ps == sorted(ps)
    assert sequential_sign_test(wins, first=8, most=20) == ps[0]
    mixed = sequential_sign_test(wins, first=8, most=20, null=((0.5, 0.25), (0.7, 0.75)))
    assert mixed == pytest.approx(0.25 * ps[0] + 0.75 * ps[2])


def test_p_is_valid_where_useless_candidates_win_as_often_as_the_null_says() -> None:
    rng = np.random.default_rng(3)
    ps = np.array([sequential_sign_test((rng.random(20) < 0.6).tolist(), first=8, most=20, null=((0.6, 1.0),)) for _ in range(2000)])
    for level in (0.05, 0.1, 0.3):
        assert (ps <= level).mean() <= level + 0.02


def test_the_studys_judge_has_the_faults_it_says() -> None:
    rng = np.random.default_rng(0)
    assert {said("win", Faults(0.0), rng).preference for _ in range(20)} == {"second"}
    assert {said("loss", Faults(0.0, order=1.0), rng).preference for _ in range(20)} == {"tie"}
    assert {said("loss", Faults(0.0, lean=1.0), rng).preference for _ in range(20)} == {"second"}
    assert len(labelled(Faults(0.2), 30, rng)) == 30
    row = measure(Cell(Faults(0.1), 50, 0.5), 3)
    assert 0 <= row.fdr.mean <= 1
    assert row.power is not None
