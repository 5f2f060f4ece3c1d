"""Figures of a judge against labels: by hand where the tables are small."""

from __future__ import annotations

import pytest

from strategist.evaluation.judging import kappa, score
from strategist.evaluation.wording import trial
from strategist.gate.judged import JudgeLabel, Side
from strategist.records.evidence import Comparison, Evidence, JudgedBy
from strategist.records.library import Entry
from tests.gate.test_judged import label


def test_agreement_error_and_lean() -> None:
    labels = [label("after", "after")] * 5 + [label("after", "tie")] * 2 + [label("tie", "before")] * 3
    found = score("j", labels)
    assert found.agreement is not None
    assert found.agreement.mean == 0.5
    assert found.errors is not None
    assert (found.errors.mean, found.errors.n) == (2 / 7, 7)
    assert found.lean is not None
    assert found.lean.mean == pytest.approx((2 + 3) / 10)
    # judge: 7 after, 3 tie; people: 5 after, 2 tie, 3 before
    assert found.kappa == pytest.approx((0.5 - (0.7 * 0.5 + 0.3 * 0.2)) / (1 - (0.7 * 0.5 + 0.3 * 0.2)))


def test_order_and_first_place() -> None:
    first = label("tie", "tie", comparison=Comparison(forward="1", backward="1"))
    last = label("tie", "tie", comparison=Comparison(forward="2", backward="2"))
    half = label("tie", "tie", comparison=Comparison(forward="1", backward="tie"))
    found = score("j", [first, first, last, half, label("after", "after")])
    assert found.order is not None
    assert found.order.mean == 0.8
    assert found.first is not None
    assert (found.first.mean, found.first.n) == (2 / 3, 3)


def test_length() -> None:
    """The judge takes the longer reply always, people every other time."""
    sides: list[tuple[Side, Side]] = [("after", "after"), ("after", "before"), ("after", "tie")]
    assert score("j", [label(v, h) for v, h in sides]).longer == pytest.approx(1.0 - 0.5)
    short: list[JudgeLabel] = [label("before", "after", words_before=9, words_after=5)]
    assert score("j", short).longer == 1.0
    assert score("j", [label("after", "after", words_before=5, words_after=5)]).longer is None


def test_where_there_is_too_little_to_say() -> None:
    nothing = score("j", [label("after", "after", judge="x")])
    assert (nothing.labels, nothing.agreement, nothing.kappa, nothing.lean, nothing.longer) == (0, None, None, None, None)
    unread = score("j", [label("after", "after", comparison=Comparison(forward=None, backward=None))])
    assert (unread.labels, unread.unread, unread.errors) == (1, 1, None)
    assert score("j", [label("after", "after")]).lean is None
    assert kappa([("tie", "tie")] * 4) is None


def test_an_entry_that_only_a_judge_admitted_says_so_on_the_page() -> None:
    known = JudgedBy(judge="openai:j", se=0.2, decided=0.7)
    entry = Entry(
        id="e1", status="admitted", keys=(), strategies=(), domain="d", brief_hash="b", student="s", advisor="a", round=0,
        evidence=Evidence(decision="admitted", judged=known),
    )  # fmt: skip
    assert trial(entry).endswith("Decided by the judge alone: openai:j, checked by nobody.")
