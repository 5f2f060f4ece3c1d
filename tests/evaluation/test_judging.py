"""The figures of a judge: against tables worked out by hand, by brute force, and where there is too little to say."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategist.evaluation.judging import SIDES, kappa, score
from strategist.gate.judged import JudgeLabel, Side
from strategist.records.evidence import Choice, Comparison, JudgedBy
from strategist.stats import mean_interval, wilson

Said = tuple[Choice | None, Choice | None]
BEFORE: Said = ("1", "2")
AFTER: Said = ("2", "1")
TIE: Said = ("tie", "tie")
FIRST: Said = ("1", "1")
SECOND: Said = ("2", "2")
HALF: Said = ("1", "tie")
UNREAD: Said = (None, "2")


def label(said: Said, human: Side, *, judge: str = "j", words: tuple[int, int] = (5, 5)) -> JudgeLabel:
    comparison = Comparison(forward=said[0], backward=said[1])
    return JudgeLabel(
        pair="p", run="r", kind="gate", judge=judge, human=human, comparison=comparison, words_before=words[0], words_after=words[1]
    )  # fmt: skip


def table(counts: dict[tuple[str, str], int]) -> list[tuple[str, str]]:
    return [cell for cell, count in counts.items() for _ in range(count)]


def test_kappa_of_a_table_worked_out_by_hand() -> None:
    """50 units: 35 agree (0.70); margins 20, 20, 10 and 25, 15, 10 make 0.2 + 0.12 + 0.04 = 0.36 by chance: (0.70 - 0.36) / 0.64."""
    counts = {
        ("after", "after"): 17, ("after", "before"): 2, ("after", "tie"): 1,
        ("before", "after"): 6, ("before", "before"): 12, ("before", "tie"): 2,
        ("tie", "after"): 2, ("tie", "before"): 1, ("tie", "tie"): 7,
    }  # fmt: skip
    assert sum(counts.values()) == 50
    assert kappa(table(counts)) == pytest.approx((36 / 50 - 0.36) / 0.64)


def test_kappa_where_nothing_can_be_said_and_at_its_ends() -> None:
    assert kappa([]) is None
    assert kappa([("tie", "tie")] * 9) is None, "chance explains it all"
    assert kappa([("before", "before"), ("after", "after")]) == 1
    assert kappa([("before", "after"), ("after", "before")]) == -1
    assert kappa([("tie", "before"), ("tie", "after")]) == 0


@settings(max_examples=60, deadline=None)
@given(pairs=st.lists(st.tuples(st.sampled_from(SIDES), st.sampled_from(SIDES)), max_size=25))
def test_kappa_agrees_with_pairing_everybody_with_everybody(pairs: list[tuple[Side, Side]]) -> None:
    """What chance explains is how often the judge's answer to one unit equals people's answer to another, or the same, unit."""
    found = kappa(pairs)
    every = [a == b for (a, _), (_, b) in itertools.product(pairs, pairs)]
    if not pairs or all(every):
        assert found is None
    else:
        chance = sum(every) / len(every)
        assert found == pytest.approx((sum(a == b for a, b in pairs) / len(pairs) - chance) / (1 - chance))


def test_agreement_errors_and_lean() -> None:
    labels = [label(AFTER, "after")] * 5 + [label(AFTER, "tie")] * 2 + [label(AFTER, "before")] + [label(BEFORE, "before")] * 2
    labels += [label(TIE, "tie")] * 3 + [label(TIE, "after")] + [label(UNREAD, "after")] * 4
    found = score("j", [*labels, label(AFTER, "before", judge="other")])
    assert (found.judge, found.labels, found.unread) == ("j", 18, 4)
    assert found.agreement == wilson(10, 14)
    assert found.errors == wilson(3, 10), "of the verdicts that are no tie, those that are not people's"
    assert found.lean == mean_interval([0.0] * 10 + [1.0, 1.0, 2.0, -1.0])
    assert found.order == wilson(0, 14)
    assert found.first is None, "no pair whose orders disagree"
    assert found.longer is None, "all replies are as long"


def test_order_and_first_place() -> None:
    labels = [label(FIRST, "tie")] * 6 + [label(SECOND, "tie")] * 2 + [label(HALF, "before")] * 2 + [label(AFTER, "after")] * 10
    found = score("j", labels)
    assert found.order == wilson(10, 20), "a half preference is a disagreement, too"
    assert found.first == wilson(6, 8), "of those that name a place both times"
    assert found.errors == wilson(0, 10), "orders that disagree are ties, and ties are no decided verdict"


def test_length_effect_is_beyond_what_people_do() -> None:
    long_after, long_before = (4, 9), (9, 4)
    labels = [label(AFTER, "after", words=long_after), label(BEFORE, "after", words=long_before), label(TIE, "before", words=long_before)]
    found = score("j", labels)
    assert found.longer == pytest.approx(2 / 2 - 2 / 3)
    shorter = score("j", [label(AFTER, "after", words=long_before), label(BEFORE, "after", words=long_after)])
    assert shorter.longer == pytest.approx(0 - 1 / 2)
    assert score("j", [label(TIE, "after", words=long_after)]).longer is None, "the judge decided nothing"
    assert score("j", [label(AFTER, "tie", words=long_after)]).longer is None, "people decided nothing"


def test_with_nothing_to_go_by_nothing_is_said() -> None:
    none = score("j", [])
    assert (none.labels, none.unread) == (0, 0)
    assert none[3:] == (None,) * 7
    unread = score("j", [label(UNREAD, "after")] * 3)
    assert (unread.labels, unread.unread, unread.agreement, unread.kappa) == (3, 3, None, None)
    one = score("j", [label(AFTER, "before")])
    assert one.lean is None, "one label says nothing about spread"
    assert one.agreement == wilson(0, 1)
    ties = score("j", [label(TIE, "tie")] * 2)
    assert (ties.errors, ties.kappa) == (None, None)


def test_what_is_known_of_a_judge_in_words() -> None:
    unknown = JudgedBy(judge="openai:judge", se=0.2, decided=0.7)
    assert unknown.words == "by the judge alone: openai:judge, checked by nobody"
    known = unknown.model_copy(update={"labels": 50, "bias": -0.0412})
    assert known.words == "by the judge alone: openai:judge, checked on 50 labelled pairs, lean -0.04"
