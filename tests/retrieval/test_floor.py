from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategist.records.library import Floor
from strategist.retrieval.floor import EQUAL, MIN_STRANGERS, PRECISION, START, calibrate_floor, precise_floor


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


def found(*groups: tuple[float, int, int]) -> list[tuple[float, bool]]:
    """Moments at a score: so many right, so many wrong."""
    return [(score, right) for score, yes, no in groups for right in [True] * yes + [False] * no]


def test_the_floor_stands_where_what_is_found_is_more_often_right_than_wrong() -> None:
    moments = found((0.2, 1, 20), (0.4, 4, 6), (0.6, 6, 4), (0.8, 9, 1))
    assert precise_floor(moments) == Floor(score=0.6, source="calibration", pairs=51)
    assert precise_floor(moments, 0.3).score == 0.4
    assert precise_floor(moments, 0.9).score == 0.8, "ten moments are enough"
    assert precise_floor(moments[::-1]) == precise_floor(moments)


def test_a_few_right_ones_at_a_low_score_do_not_lower_the_floor() -> None:
    assert precise_floor(found((0.2, 3, 0), (0.3, 0, 20), (0.7, 8, 2))).score == 0.7


def test_where_nothing_found_is_right_only_equal_texts_pass() -> None:
    for moments in (found((0.3, 0, 20), (0.9, 0, 5)), found((0.3, 0, 20), (1.0000002, 10, 0))):
        assert precise_floor(moments).score == EQUAL < 0.9999999, "an equal text reaches it, however its cosine is rounded"


def test_a_handful_of_right_ones_is_not_trusted_alone_and_shuts_nobody_out() -> None:
    assert precise_floor(found((0.3, 0, 20), (0.8, 0, 4), (0.7, 1, 0), (0.9, 4, 0))).score == 0.9
    assert precise_floor(found((0.3, 0, 20), (0.8, 0, 4), (0.85, 4, 0))).score == 0.85
    assert precise_floor(found((0.3, 0, 20), (0.6, 3, 1), (0.62, 1, 1))).score == 0.6, "by the wrong ones 0.6, too"
    assert precise_floor(found((0.3, 0, 60), (0.5, 0, 20), (0.4, 3, 0))).score == EQUAL, "wrong ones above: none is right more often"


def test_where_nothing_found_is_wrong_there_is_nothing_to_calibrate_on() -> None:
    assert precise_floor([]) == Floor(score=START, source="start")
    assert precise_floor(found((0.1, 50, 0))) == Floor(score=START, source="start", pairs=50)
    assert precise_floor(found((0.5, 5, 4))) == Floor(score=START, source="start", pairs=9)


def test_a_few_wrong_ones_among_many_right_are_enough_to_calibrate_on() -> None:
    assert precise_floor(found((0.1, 1, 3), (0.2, 10, 1), (0.4, 30, 0))) == Floor(score=0.2, source="calibration", pairs=45)


@given(
    st.lists(st.tuples(st.sampled_from([0.1, 0.3, 0.5, 0.7]), st.booleans()), min_size=30, max_size=60), st.sampled_from([0.3, 0.5, 0.7])
)
@settings(max_examples=50, deadline=None)
def test_from_the_floor_on_at_least_that_share_is_right(moments: list[tuple[float, bool]], precision: float) -> None:
    floor = precise_floor(moments, precision)
    passed = [right for score, right in moments if score >= floor.score]
    if floor.source == "calibration" and passed:
        assert sum(passed) / len(passed) >= precision - 1e-9
    assert precise_floor(moments, min(1.0, precision + 0.2)).score >= floor.score


def test_the_usual_share_is_one_half() -> None:
    assert precise_floor(found((0.5, 10, 10))).score == 0.5
    assert PRECISION == 0.5
