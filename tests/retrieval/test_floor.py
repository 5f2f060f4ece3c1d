from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategist.records.library import Floor
from strategist.retrieval.floor import MIN_PERSONAS, MIN_STRANGERS, START, calibrate_floor, fit_floor


def test_calibration_is_the_percentile_of_what_strangers_reach() -> None:
    scores = [0.1, 0.2, 0.3, 0.4] * 3
    floor = calibrate_floor(scores, quantile=1.0)
    assert (floor.score, floor.source, floor.pairs) == (0.4, "calibration", 12)
    assert calibrate_floor(scores, quantile=0.5).score == pytest.approx(0.25)


def test_calibration_stays_in_the_range_of_scores() -> None:
    assert calibrate_floor([1.0000002] * MIN_STRANGERS).score == 1
    assert calibrate_floor([-0.3] * MIN_STRANGERS).score == 0


def test_with_few_strangers_a_start_value_holds() -> None:
    assert calibrate_floor([]) == Floor(score=START, source="start", pairs=0)
    assert calibrate_floor([0.9] * (MIN_STRANGERS - 1)).source == "start"
    assert pytest.approx(START, abs=0.005) == (25 - 6) / ((25 - 6) + (59 - 25))


def points(low: float, high: float, n: int = 40) -> list[tuple[float, float, str]]:
    """Scores 0.01 .. 0.40; uplift `low` below 0.2 and `high` from there, with a ripple that averages out."""
    return [((i + 1) / 100, (low if i < n // 2 else high) + (-0.05, 0.05)[i % 2], f"p{i}") for i in range(n)]


def test_the_floor_stands_where_guidance_begins_to_help() -> None:
    floor = fit_floor(points(-0.5, 0.5))
    assert floor is not None
    assert 0.20 <= floor.score <= 0.24
    assert floor.source == "uplift"
    assert floor.pairs == 40
    assert floor.lower_bound is not None
    assert floor.lower_bound > 0


def test_the_order_of_points_does_not_matter() -> None:
    assert fit_floor(points(-0.5, 0.5)[::-1]) == fit_floor(points(-0.5, 0.5))


def test_no_floor_where_guidance_never_helps() -> None:
    assert fit_floor(points(-0.5, -0.1)) is None
    assert fit_floor(points(0.0, 0.0)) is None


def test_guidance_that_helps_everywhere_has_the_lowest_score_as_its_floor() -> None:
    floor = fit_floor(points(0.5, 0.5))
    assert floor is not None
    assert floor.score == 0.01


def test_the_good_ones_do_not_carry_the_bad_ones_along() -> None:
    """From the lowest score on guidance helps on average and for sure, but not at the lowest scores."""
    floor = fit_floor(points(-0.1, 0.5))
    assert floor is not None
    assert floor.score >= 0.2


def test_many_moments_at_one_score_do_not_lift_the_floor_up_to_it() -> None:
    """Regression: most test moments of a real run were texts like a key, score 1, and a bound at each score alone held nowhere else."""
    few = [(0.8 + i / 100, (-0.1, 0.2, 0.1)[i % 3], f"p{i}") for i in range(12)]
    many = [(0.99999994, (-0.1, 0.3)[i % 2], f"q{i}") for i in range(40)]
    floor = fit_floor([*few, *many])
    assert floor is not None
    assert floor.score < 0.9
    only = fit_floor(many)
    assert only is not None
    assert only.score == 0.9999, "an equal text reaches it, whatever its cosine is rounded to"


def test_points_of_few_personas_give_no_floor_however_many_they_are() -> None:
    few = [(score, 1.0, f"p{i % (MIN_PERSONAS - 1)}") for i, (score, _, _) in enumerate(points(1, 1))]
    assert fit_floor(few) is None
    assert fit_floor([]) is None


def test_one_lucky_persona_at_the_top_gives_no_floor() -> None:
    lucky = [((i + 1) / 100, -0.3, f"p{i}") for i in range(20)] + [(0.9, 1.0, "lucky")] * 10
    assert fit_floor(lucky) is None


def test_one_persona_weighs_as_one_however_often_it_appears() -> None:
    """40 points of 8 personas of which one is bad: by points the bound is above 0 early, by personas it is not."""
    single = [(0.5, uplift, f"p{i}") for i, uplift in enumerate([1.0] * 5 + [-1.0] * 3)]
    assert fit_floor([(s, u, f"{p}-{i}") for i in range(20) for s, u, p in single]) is not None
    assert fit_floor(single * 20) is None


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.3, 0.5]), st.sampled_from([-1.0, 0.0, 1.0]), st.sampled_from("abcdefgh")), max_size=20))
@settings(max_examples=25, deadline=None)
def test_a_floor_is_an_observed_score_with_a_positive_bound(found: list[tuple[float, float, str]]) -> None:
    floor = fit_floor(found)
    if floor is not None:
        assert floor.score in {score for score, _, _ in found}
        assert floor.lower_bound is not None
        assert floor.lower_bound > 0
