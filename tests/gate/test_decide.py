"""The admission decision: looks, family, missing pairs, hard failures, and its error rates."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategist.gate.decide import Tested as Case
from strategist.gate.decide import decide_round, falls_behind, hard_failure_test, is_complete, tally, win_test
from strategist.records.evidence import Evidence, Pair, PairResult
from strategist.stats import benjamini_hochberg, sequential_sign_test, sign_test

Stage = Literal[1, 2]
GOOD = "wwwt"
LEVELS = (0.01, 0.05, 0.1, 0.3)


def pair(letter: str, stage: Stage = 1) -> Pair:
    """w, l, t: win, loss, tie. H, S: a hard failure with (a loss) and without (saved, a win). b, g: the baseline or guided turn failed."""
    results: dict[str, PairResult] = {"w": "win", "S": "win", "l": "loss", "H": "loss", "g": "loss", "t": "tie", "b": "tie"}
    return Pair(
        scenario="s", persona="p", stage=stage, score=0.5, result=results[letter], uplift=0.0, baseline_hard=int(letter == "S"),
        guided_hard=int(letter == "H"), failure={"b": "baseline: model", "g": "guided: cut_reply"}.get(letter),
    )  # fmt: skip


def case(letters: str, moments: int | None = None, *, enough: int = 4, shortage: int = 0, tries: int = 1, dropped: bool = False) -> Case:
    """Pairs that were played, of as many moments as there are pairs unless more are said."""
    pairs = tuple(pair(x, 1 if index < 4 else 2) for index, x in enumerate(letters))
    return Case(pairs, len(pairs) if moments is None else moments, enough, shortage, tries, dropped)


def p_of(letters: str, moments: int | None = None, enough: int = 4) -> float:
    """The test's p for wins, losses and ties in this order, read from the fourth pair on."""
    first = len([x for x in letters[:enough] if x in "wl"])
    end = first + (len(letters) if moments is None else moments) - enough
    return sequential_sign_test([x == "w" for x in letters if x in "wl"], first=first, most=end)


def decide(*rounds: Case) -> tuple[Evidence, ...]:
    return decide_round(rounds, fdr=0.1, hard_level=0.1)


@pytest.mark.parametrize(
    ("pairs", "behind"),
    [
        ("wttt", False),
        ("wwll", False),
        ("tttt", False),
        ("wltl", True),
        ("wwHH", False),
        ("wHtt", False),
        ("Httt", True),
        ("wgbb", False),
        ("wwll" + "tttt", True),
        ("wwll" + "wttt", False),
        ("wwll" + "wttt" + "tttt", True),
        ("wwll" + "wttt" + "wttt", False),
    ],
)
def test_a_look_drops_what_is_not_one_win_further_ahead_every_four_pairs(pairs: str, behind: bool) -> None:
    assert falls_behind(case(pairs, 34), fdr=0.1) is behind


def test_who_has_passed_is_never_dropped() -> None:
    """A lead once proven stays proven: the test may be read at any time."""
    letters = "w" * 7 + "l" * 6 + "ttt"
    assert p_of(letters, 34) == p_of("w" * 7, 34) < 0.1
    assert not falls_behind(case(letters, 34), fdr=0.1)
    assert falls_behind(case(letters, 34), fdr=0.001)


def test_only_pairs_that_say_something_are_counted() -> None:
    assert tally(case("wwltbg").pairs) == (2, 2, 1, 1)
    assert win_test(case("wwwwwbbb")) == p_of("wwwwwttt")
    assert win_test(case("gggwwwww")) == p_of("lllwwwww")
    assert win_test(case("tttt", 8)) == 1.0


def test_nothing_is_read_before_there_are_pairs_enough() -> None:
    assert win_test(case("w" * 11, 34, enough=12)) == 1.0
    assert win_test(case("w" * 12, 34, enough=12)) == p_of("w" * 12, 34, 12) < 0.001
    assert win_test(case("wwwwwwlll" + "ttt", enough=12)) == sign_test(6, 3)  # six to none on the way count for nothing


@pytest.mark.parametrize(("pairs", "complete"), [("", False), ("wwwb", True), ("wwbb", False), ("wwgg", True), ("b", False), ("w", True)])
def test_a_quarter_of_the_pairs_may_be_missing(pairs: str, complete: bool) -> None:
    assert is_complete(case(pairs).pairs) is complete


def test_every_decision() -> None:
    kinds = [
        case(GOOD + "w" * 11 + "l"),
        case("wlll", 22, dropped=True),
        case(GOOD + "lltwlwtwtttl"),
        case(GOOD + "w" * 12 + "HHHH"),
        case("", 9, shortage=3, tries=2),
        case("wwbb", 22),
        case(GOOD + "w" * 8 + "bbbbb"),
    ]
    evidence = decide(*kinds)
    assert [one.decision for one in evidence] == [
        "admitted", "dropped_first_stage", "not_significant", "more_hard_failures", "too_few_moments", "incomplete", "incomplete",
    ]  # fmt: skip
    first, dropped, open_, harmful, short, incomplete, late = evidence
    assert (first.wins, first.losses, first.ties) == (14, 1, 1)
    assert first.p == p_of(GOOD + "w" * 11 + "l")
    assert first.q == pytest.approx(6 * first.p)  # six of seven are in the family
    assert (dropped.wins, dropped.losses, dropped.p, dropped.q, dropped.replies) == (1, 3, 1.0, 1.0, 8)
    assert open_.p == p_of(GOOD + "lltwlwtwtttl")
    assert (harmful.p, harmful.q, harmful.hard_p) == (p_of(GOOD + "w" * 12 + "llll"), 1.0, 1 / 16)
    assert (short.p, short.q, short.pairs, short.replies, short.tries) == (1.0, 1.0, (), 0, 2)
    assert incomplete.p == late.p == 1.0
    assert (first.replies, len(late.pairs)) == (32, 17)


def test_too_few_moments_leave_the_family_and_dropped_ones_stay() -> None:
    good = case("lwwwwwwt")
    p = p_of("lwwwwwwt")
    short, dropped = case("", shortage=1), case("llll", 22, dropped=True)
    assert decide(good, short, case("", shortage=9))[0].q == pytest.approx(p)
    assert decide(good, dropped, case("wwbb", 22))[0].q == pytest.approx(3 * p)
    assert decide(good, dropped, dropped)[0].decision == "not_significant"


def test_a_refused_candidate_does_not_help_the_others_in() -> None:
    weak = case("lwwwwwwt")
    strong = case(GOOD + "w" * 12)
    refused = case("w" * 20 + "HHHH")
    assert win_test(refused) < 0.01
    assert decide(weak, strong)[0].decision == "admitted"
    assert decide(weak, refused)[1].decision == "more_hard_failures"
    assert decide(weak, refused)[0].decision == "not_significant"


def test_a_round_can_be_decided_before_its_end_and_more_pairs_change_nothing_that_is_admitted() -> None:
    early = [case("w" * 8, 22), case("wtwt", 22), case("llww", 22)]
    assert [one.decision for one in decide(*early)] == ["admitted", "not_significant", "not_significant"]
    for rest in ("w" * 14, "l" * 14, "t" * 14):
        assert decide(case("w" * 8 + rest), *early[1:])[0].decision == "admitted"


def test_hard_failures_are_compared_over_all_pairs() -> None:
    one = case("wwwHS" + "w" * 12 + "HHHH")
    assert hard_failure_test(one.pairs) == sign_test(5, 1)
    assert hard_failure_test(case("ggbb").pairs) == 1.0


def test_a_guided_turn_that_fails_can_cost_the_admission() -> None:
    assert decide(case(GOOD + "www" + "t" * 10))[0].decision == "admitted"
    assert decide(case(GOOD + "www" + "b" * 3 + "t" * 7))[0].decision == "admitted"
    assert decide(case("ggg" + GOOD + "www" + "t" * 7))[0].decision == "not_significant"


rounds = st.lists(st.tuples(st.text(alphabet="wwwwltHSbg", min_size=4, max_size=22), st.booleans()), max_size=8)


@settings(max_examples=60, deadline=None)
@given(texts=rounds)
def test_admission_rests_on_what_evidence_says(texts: list[tuple[str, bool]]) -> None:
    kinds = [case(letters, 22, dropped=dropped) for letters, dropped in texts]
    evidence = decide(*kinds)
    assert len(evidence) == len(kinds)
    for played, one in zip(kinds, evidence, strict=True):
        assert 0 < one.p <= 1
        assert (one.decision == "admitted") == (one.q <= 0.1)
        assert one.decision != "admitted" or (one.wins > 0 and one.hard_p > 0.1 and one.p == win_test(played))
    standing = [one.p if one.decision in ("admitted", "not_significant") else 1.0 for one in evidence]
    assert tuple(one.q for one in evidence) == benjamini_hochberg(standing)


@pytest.mark.parametrize(("size", "enough"), [(5, 1), (12, 12), (17, 6), (22, 12)])
@pytest.mark.parametrize("even", [0.1, 0.25, 0.5])
def test_the_test_holds_its_level_wherever_one_stops(size: int, enough: int, even: float) -> None:
    """All ways a useless candidate can come out, with their probabilities: at the best time to stop p is at most a level with at most it.

    A state is (wins, losses, how many of the first pairs are decided, the lowest level reached so far)."""
    states: dict[tuple[int, int, int, float], float] = {(0, 0, 0, 1.0): 1.0}
    for step in range(1, size + 1):
        after: dict[tuple[int, int, int, float], float] = {}
        for (w, x, first, p), share in states.items():
            for w2, x2, chance in ((w + 1, x, even), (w, x + 1, even), (w, x, 1 - 2 * even)):
                decided = w2 + x2 if step <= enough else first
                now = 1.0
                if step >= enough:
                    now = sequential_sign_test([False] * x2 + [True] * w2, first=decided, most=decided + size - enough)
                key = (w2, x2, decided, min(p, min((level for level in LEVELS if now <= level), default=1.0)))
                after[key] = after.get(key, 0.0) + share * chance
        states = after
    assert sum(states.values()) == pytest.approx(1)
    for level in LEVELS:
        assert sum(share for (*_, p), share in states.items() if p <= level) <= level + 1e-12


def test_three_more_hard_failures_are_not_enough_to_refuse_and_four_are() -> None:
    assert [decide(case("w" * 16 + "H" * n))[0].decision for n in (3, 4)] == ["admitted", "more_hard_failures"]


def realised(kinds: list[tuple[float, float]], rounds_played: int) -> tuple[float, float]:
    """Mean share of useless among the admitted (win == loss: useless), and share of the useful that is admitted."""
    generator = np.random.default_rng(7)
    false, found = [], []
    for _ in range(rounds_played):
        played = []
        for win, loss in kinds:
            letters = "".join(generator.choice(list("wlt"), size=16, p=[win, loss, 1 - win - loss]))
            ends = [at for at in (4, 8, 12) if falls_behind(case(letters[:at], 16), fdr=0.1)]
            played.append(case(letters[: ends[0]] if ends else letters, 16, dropped=bool(ends)))
        admitted = [kind for kind, one in zip(kinds, decide(*played), strict=True) if one.decision == "admitted"]
        false.append(sum(win == loss for win, loss in admitted) / max(1, len(admitted)))
        found.append(sum(win > loss for win, loss in admitted) / max(1, sum(win > loss for win, loss in kinds)))
    return float(np.mean(false)), float(np.mean(found))


def test_the_false_discovery_rate_is_kept_and_useful_ones_are_found() -> None:
    rate, power = realised([(0.8, 0.05)] * 4 + [(0.4, 0.4)] * 4, 120)
    assert rate < 0.07
    assert power > 0.85
