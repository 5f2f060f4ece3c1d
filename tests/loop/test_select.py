"""select: how many, how different, from where; whatever order the states come in."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategist.loop.select import NEAR_DUPLICATE, Selection, choose, farthest_points
from tests.loop.made import PURE, scenario

NONE = Selection(failing=(), controls=())


def vectors_of(angles: list[float]) -> np.ndarray:
    """Unit vectors in the plane, shape (n, 2)."""
    return np.array([[np.cos(a), np.sin(a)] for a in angles], dtype=np.float32)


states = st.lists(st.tuples(st.floats(0, 6.28), st.booleans()), min_size=1, max_size=20)


@PURE
@given(states, st.integers(0, 12), st.floats(0, 0.5), st.randoms(use_true_random=False))
def test_what_is_chosen(found: list[tuple[float, bool]], count: int, share: float, order: random.Random) -> None:
    scenarios = [scenario(f"s{i}", failed=failed) for i, (_, failed) in enumerate(found)]
    angles = [angle for angle, _ in found]
    chosen = choose(scenarios, vectors_of(angles), count=count, control_share=share)

    by_id = {s.id: (s, angle) for s, angle in zip(scenarios, angles, strict=True)}
    assert len(chosen.failing) + len(chosen.controls) <= count
    assert all(by_id[name][0].verdicts[0].passed is False for name in chosen.failing)
    assert all(by_id[name][0].verdicts[0].passed for name in chosen.controls)
    assert len(chosen.controls) <= round(count * share)
    for group in (chosen.failing, chosen.controls):
        assert len(set(group)) == len(group)
        near = vectors_of([by_id[name][1] for name in group]) if group else np.zeros((0, 2))
        alike = near @ near.T - np.eye(len(group))
        assert not len(group) or alike.max() < NEAR_DUPLICATE + 1e-6

    shuffled = list(zip(scenarios, angles, strict=True))
    order.shuffle(shuffled)
    again = choose([s for s, _ in shuffled], vectors_of([a for _, a in shuffled]), count=count, control_share=share)
    assert again == chosen


def test_nothing_to_choose_from() -> None:
    assert choose([], None, count=5, control_share=0.1) == NONE
    assert choose([], vectors_of([0.0]), count=5, control_share=0.1) == NONE
    assert farthest_points([], vectors_of([0.0]), [], 3) == []


def test_the_next_state_is_the_one_least_like_all_chosen() -> None:
    angles = [0.0, 0.4, 0.8, 1.6]
    scenarios = [scenario(f"s{i}", failed=True) for i in range(4)]
    first, *rest = farthest_points(range(4), vectors_of(angles), scenarios, 4)
    distance = sorted(range(4), key=lambda i: -abs(angles[i] - angles[first]))
    assert rest[0] == distance[0]
    assert sorted([first, *rest]) == [0, 1, 2, 3]


def test_where_the_teacher_played_the_student_was_not_asked_and_is_coached() -> None:
    scenarios = [scenario("taught"), scenario("clean"), scenario("failed", failed=True)]
    chosen = choose(scenarios, vectors_of([0.0, 1.0, 2.0]), count=10, control_share=0.5, unasked={"taught"})
    assert (set(chosen.failing), chosen.controls) == ({"taught", "failed"}, ("clean",))


@pytest.mark.parametrize(("count", "share", "controls"), [(10, 0.1, 1), (10, 0.5, 5), (4, 0.0, 0), (1, 0.5, 0)])
def test_the_control_share_is_taken_off_the_failing_states(count: int, share: float, controls: int) -> None:
    scenarios = [scenario(f"f{i}", failed=True) for i in range(12)] + [scenario(f"c{i}") for i in range(12)]
    angles = [0.5 * i for i in range(12)] * 2
    chosen = choose(scenarios, vectors_of(angles), count=count, control_share=share)
    assert (len(chosen.failing), len(chosen.controls)) == (count - controls, controls)
