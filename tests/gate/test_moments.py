"""The choice of test moments: what is allowed, that it is random but fixed, and that it looks at no outcome."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategist.gate.moments import RankedScenario, choose_moments
from strategist.records.library import Candidate, Key, Scope, Strategy
from strategist.records.trace import Scenario, Verdict


def scenario(persona: int, turn: int, *, passed: bool = True) -> Scenario:
    verdicts = (Verdict(check="c", hard=True, passed=passed),)
    return Scenario(
        id=f"s-{persona}-{turn}",
        trace="t",
        persona=f"train-{persona}-0",
        issue="i",
        turn=turn,
        messages=(),
        key="k",
        state={},
        verdicts=verdicts,
    )


def candidate(name: str = "c", *, coached: tuple[int, ...] = (0,), scope: Scope = "specific", tries: int = 1) -> Candidate:
    keys = tuple(Key(scenario=f"s-{persona}-0", persona=f"train-{persona}-0", issue="i", text="k") for persona in coached)
    return Candidate(id=name, round=1, index=0, keys=keys, strategies=(Strategy(text="Say the date."),), scope=scope, tries=tries)


def ranked(personas: int, turns: int = 3, rank: int = 1) -> list[RankedScenario]:
    return [RankedScenario(scenario(p, t), rank, 0.5) for p in range(personas) for t in range(turns)]


@settings(max_examples=40, deadline=None)
@given(ranks=st.lists(st.integers(1, 6), min_size=1, max_size=40), k=st.integers(1, 6), most=st.integers(1, 12), seed=st.integers(0, 99))
def test_what_is_chosen_is_allowed_and_all_that_is_allowed_is_used(ranks: list[int], k: int, most: int, seed: int) -> None:
    one = candidate(coached=(0, 3))
    moments = [RankedScenario(scenario(index % 9, index), rank, 0.5) for index, rank in enumerate(ranks)]
    chosen = choose_moments(one, moments, k=k, most=most)
    personas = [moment.scenario.persona for moment in chosen]
    allowed = {moment.scenario.persona for moment in moments if moment.rank <= k} - one.personas
    assert len(personas) == len(set(personas)) == min(most, len(allowed))
    assert set(personas) <= allowed
    assert all(moment.rank <= k for moment in chosen)
    random.Random(seed).shuffle(moments)
    assert choose_moments(one, moments, k=k, most=most) == chosen


def test_earlier_outcomes_change_nothing() -> None:
    good = [RankedScenario(scenario(p, t, passed=True), 1, 0.5) for p in range(20) for t in range(3)]
    bad = [RankedScenario(scenario(p, t, passed=(p + t) % 2 == 0), 1, 0.5) for p in range(20) for t in range(3)]
    picks = [[m.scenario.id for m in choose_moments(candidate(), moments, k=3, most=8)] for moments in (good, bad)]
    assert picks[0] == picks[1]


def test_a_shorter_test_is_a_prefix_of_a_longer_one() -> None:
    long = choose_moments(candidate(), ranked(30), k=3, most=16)
    assert choose_moments(candidate(), ranked(30), k=3, most=4) == long[:4]


def test_candidates_and_tries_draw_different_moments_evenly() -> None:
    firsts = [choose_moments(candidate(f"c{i}"), ranked(10), k=3, most=1)[0].scenario for i in range(300)]
    per_persona = {persona: sum(s.persona == persona for s in firsts) for persona in {s.persona for s in firsts}}
    per_turn = [sum(s.turn == turn for s in firsts) for turn in range(3)]
    assert len(per_persona) == 9  # all but the coached one
    assert min(per_persona.values()) > 15  # expected 33, standard deviation 5.4
    assert min(per_turn) > 70  # expected 100, standard deviation 8.2
    again = choose_moments(candidate(tries=2), ranked(30), k=3, most=16)
    assert again != choose_moments(candidate(), ranked(30), k=3, most=16)


def test_general_candidates_are_tested_wherever_the_caller_says() -> None:
    far = ranked(6, rank=9)
    assert choose_moments(candidate(), far, k=3, most=4) == ()
    assert len(choose_moments(candidate(scope="general"), far, k=3, most=4)) == 4


@pytest.mark.parametrize(("k", "most", "rank", "text"), [(0, 1, 1, "k=0"), (1, 0, 1, "most=0"), (1, 1, 0, "ranks start at 1")])
def test_bad_sizes_are_refused(k: int, most: int, rank: int, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        choose_moments(candidate(), ranked(2, rank=rank), k=k, most=most)
