"""examine: what counts as progress, and which reason to stop holds first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategist.loop.examine import MIN_PROGRESS, PARITY_MARGIN, lift, stop_reason
from strategist.loop.runner import ended_well
from strategist.records.run import RoundSummary, StopReason
from tests.loop.made import PURE, outcomes, summary


def scored(
    round_: int, library: float, *, bare: float = 0.2, teacher: float | None = None, admitted: int = 1, gaps: int = 3
) -> RoundSummary:
    found = outcomes("bare", [bare, bare]) + outcomes("library", [library, library])
    if teacher is not None:
        found += outcomes("teacher", [teacher, teacher])
    return summary(round_, found, admitted=admitted, gaps=gaps)


scores = st.one_of(st.none(), st.floats(0, 1))


@PURE
@given(st.lists(st.tuples(scores, scores), min_size=0, max_size=8))
def test_lift_is_the_mean_over_customers_that_finished_in_both_arms(pairs: list[tuple[float | None, float | None]]) -> None:
    found = outcomes("library", [one for one, _ in pairs]) + outcomes("bare", [other for _, other in pairs])
    both = [(one, other) for one, other in pairs if one is not None and other is not None]
    value = lift(found, "library", "bare")
    if len(both) < 2:
        assert value is None
    else:
        assert value is not None
        assert value.mean == pytest.approx(sum(one - other for one, other in both) / len(both))
        assert value.low <= value.mean <= value.high
        assert lift(found, "bare", "library") == pytest.approx((-value.mean, -value.high, -value.low, len(both)))


def test_a_failed_conversation_is_left_out_not_counted_as_0() -> None:
    found = outcomes("library", [0.8, 0.8, None]) + outcomes("bare", [0.4, 0.4, 1.0])
    assert lift(found, "library", "bare") == pytest.approx((0.4, 0.4, 0.4, 2))
    assert lift(found, "library", "teacher") is None


@pytest.mark.parametrize(
    ("rounds", "planned", "reason"),
    [
        ([scored(0, 0.5)], 3, None),
        ([scored(0, 0.5)], 1, "rounds"),
        ([scored(0, 0.5, teacher=0.5 + PARITY_MARGIN - 0.001)], 3, "parity"),
        ([scored(0, 0.5, teacher=0.5 + PARITY_MARGIN + 0.001)], 3, None),
        ([scored(0, 0.9, teacher=0.5, gaps=0)], 1, "parity"),
        ([scored(0, 0.5, gaps=0)], 3, "nothing_to_teach"),
        ([summary(0, gaps=0, failed_states=2)], 3, None),
        ([summary(0, gaps=0, scenarios=0)], 3, None),
        ([scored(0, 0.5, admitted=0), scored(1, 0.5, admitted=0)], 9, None),
        ([scored(0, 0.5), scored(1, 0.5, admitted=0), scored(2, 0.5, admitted=0)], 9, "no_progress"),
        ([scored(0, 0.5), scored(1, 0.5, admitted=0), scored(2, 0.5, admitted=0)], 3, "no_progress"),
        ([scored(0, 0.5), scored(1, 0.5, admitted=0), scored(2, 0.5 + 2 * MIN_PROGRESS, admitted=0)], 9, None),
        ([scored(0, 0.5), scored(1, 0.5, admitted=0), scored(2, 0.5, admitted=1)], 9, None),
        ([summary(0, admitted=0), summary(1, admitted=0), summary(2, admitted=0)], 9, "no_progress"),
    ],
)
def test_the_first_reason_that_holds(rounds: list[RoundSummary], planned: int, reason: StopReason | None) -> None:
    assert stop_reason(rounds, planned) == reason


def beside_the_teacher(differences: list[float]) -> RoundSummary:
    """A round in which the library is this far above the teacher, per customer."""
    return summary(0, outcomes("library", [0.5 + found for found in differences]) + outcomes("teacher", [0.5] * len(differences)))


def test_parity_is_claimed_only_where_the_interval_rules_out_that_the_student_is_behind() -> None:
    spread = [0.2, -0.2, 0.1, -0.1, 0.15, -0.15, 0.05, -0.05]
    assert stop_reason([beside_the_teacher(spread)], 3) is None, "the mean is equal, but eight customers cannot tell"
    assert stop_reason([beside_the_teacher([0.2 + found for found in spread])], 3) == "parity"
    assert stop_reason([beside_the_teacher(spread * 40)], 3) == "parity", "the same spread over 320 customers is enough"


@PURE
@given(st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=12))
def test_parity_is_the_lower_bound_within_the_margin(differences: list[float]) -> None:
    found = lift(beside_the_teacher(differences).outcomes, "library", "teacher")
    assert found is not None
    assert (stop_reason([beside_the_teacher(differences)], 3) == "parity") is (found.low >= -PARITY_MARGIN)


@pytest.mark.parametrize(
    ("stop", "well"), [("rounds", True), ("parity", True), ("nothing_to_teach", True), ("budget", False), ("server", False), (None, False)]
)
def test_only_a_run_that_ended_by_its_own_rules_is_over(stop: StopReason | None, well: bool) -> None:
    assert ended_well(stop) is well
