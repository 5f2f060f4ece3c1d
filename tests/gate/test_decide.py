"""The admission decision: stages, family, missing pairs, hard failures, and its error rates."""

from __future__ import annotations

from math import comb
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategist.gate.decide import Tested as Case
from strategist.gate.decide import decide_round, goes_on, hard_failure_test, is_complete, tally, win_test
from strategist.records.evidence import Evidence, Pair, PairResult
from strategist.stats import benjamini_hochberg, sign_test

Stage = Literal[1, 2]
GOOD = "wwwt"


def pair(letter: str, stage: Stage = 1) -> Pair:
    """w, l, t: win, loss, tie. H, S: a hard failure with (a loss) and without (saved, a win). b, g: the baseline or guided turn failed."""
    results: dict[str, PairResult] = {"w": "win", "S": "win", "l": "loss", "H": "loss", "g": "loss", "t": "tie", "b": "tie"}
    return Pair(
        scenario="s", persona="p", stage=stage, score=0.5, result=results[letter], uplift=0.0, baseline_hard=int(letter == "S"),
        guided_hard=int(letter == "H"), failure={"b": "baseline: model", "g": "guided: cut_reply"}.get(letter),
    )  # fmt: skip


def case(first: str, second: str = "", shortage: int = 0, tries: int = 1) -> Case:
    """Pairs up to the first look and behind it; without the latter it was stopped there."""
    return Case((*(pair(x, 1) for x in first), *(pair(x, 2) for x in second)), shortage, tries, stopped=not second and not shortage)


def decide(*rounds: Case) -> tuple[Evidence, ...]:
    return decide_round(rounds, fdr=0.1, hard_level=0.1)


@pytest.mark.parametrize(
    ("pairs", "at_first", "later"),
    [
        ("wttt", True, True),
        ("wwll", True, False),
        ("tttt", True, False),
        ("wwlt", True, True),
        ("wltl", False, False),
        ("llll", False, False),
        ("wwwH", True, True),
        ("wwHS", True, True),
        ("wwb", True, True),
        ("wg", True, False),
    ],
)
def test_a_look_drops_what_is_behind_and_later_what_is_not_ahead(pairs: str, at_first: bool, later: bool) -> None:
    found = case(pairs).pairs
    assert (goes_on(found, 18, first=True, hope=0.1), goes_on(found, 18, first=False, hope=0.1)) == (at_first, later)


def test_a_look_drops_what_cannot_pass_any_more() -> None:
    found = case("wwll" + "wttt").pairs
    assert sign_test(3 + 4, 2) <= 0.1 < sign_test(3 + 3, 2)
    assert goes_on(found, 4, first=False, hope=0.1)
    assert not goes_on(found, 3, first=False, hope=0.1)


def test_only_pairs_that_say_something_are_counted() -> None:
    assert tally(case("wwltbg").pairs) == (2, 2, 1, 1)
    assert win_test(case("", "wwwwwbbb").pairs) == sign_test(5, 0)
    assert win_test(case("", "wwwwwggg").pairs) == sign_test(5, 3)


@pytest.mark.parametrize(("pairs", "complete"), [("", False), ("wwwb", True), ("wwbb", False), ("wwgg", True), ("b", False), ("w", True)])
def test_a_quarter_of_the_pairs_may_be_missing(pairs: str, complete: bool) -> None:
    assert is_complete(case(pairs).pairs) is complete


def test_every_decision() -> None:
    kinds = [
        case(GOOD, "w" * 11 + "l"),
        case("wlll"),
        case(GOOD, "wwwlltttttll"),
        case(GOOD, "w" * 8 + "HHHH"),
        case("", shortage=3, tries=2),
        case("wwbb"),
        case(GOOD, "w" * 8 + "bbbbb"),
    ]
    evidence = decide(*kinds)
    assert [one.decision for one in evidence] == [
        "admitted", "dropped_first_stage", "not_significant", "more_hard_failures", "too_few_moments", "incomplete", "incomplete",
    ]  # fmt: skip
    first, dropped, open_, harmful, short, incomplete, late = evidence
    assert (first.wins, first.losses, first.ties, first.p) == (14, 1, 1, sign_test(14, 1))
    assert first.q == pytest.approx(6 * sign_test(14, 1))  # six of seven are in the family
    assert (dropped.wins, dropped.losses, dropped.p, dropped.q, dropped.replies) == (1, 3, 1.0, 1.0, 8)
    assert open_.p == sign_test(6, 4)
    assert (harmful.p, harmful.q, harmful.hard_p) == (sign_test(11, 4), 1.0, 1 / 16)
    assert (short.p, short.q, short.pairs, short.replies, short.tries) == (1.0, 1.0, (), 0, 2)
    assert incomplete.p == late.p == 1.0
    assert (first.replies, len(late.pairs)) == (32, 17)


def test_too_few_moments_leave_the_family_and_dropped_ones_stay() -> None:
    good = case(GOOD, "www" + "l" + "t" * 8)
    p = sign_test(6, 1)
    assert decide(good, case("", shortage=1), case("", shortage=9))[0].q == pytest.approx(p)
    assert decide(good, case("llll"), case("wwbb"))[0].q == pytest.approx(3 * p)
    assert decide(good, case("llll"), case("llll"))[0].decision == "not_significant"


def test_a_refused_candidate_does_not_help_the_others_in() -> None:
    weak = case(GOOD, "www" + "l" + "t" * 8)
    strong = case(GOOD, "w" * 12)
    refused = case("wwww", "w" * 16 + "HHHH")
    assert win_test(refused.pairs) < 0.01
    assert decide(weak, strong)[0].decision == "admitted"
    assert decide(weak, refused)[1].decision == "more_hard_failures"
    assert decide(weak, refused)[0].decision == "not_significant"


def test_hard_failures_are_compared_over_all_pairs() -> None:
    one = case("wwwHS", "w" * 12 + "HHHH")
    assert hard_failure_test(one.pairs) == sign_test(5, 1)
    assert hard_failure_test(case("ggbb").pairs) == 1.0


def test_a_guided_turn_that_fails_can_cost_the_admission() -> None:
    assert decide(case(GOOD, "w" * 2 + "t" * 10))[0].decision == "admitted"
    assert decide(case(GOOD, "w" * 2 + "b" * 3 + "t" * 7))[0].decision == "admitted"
    assert decide(case(GOOD, "w" * 2 + "g" * 3 + "t" * 7))[0].decision == "not_significant"


def test_the_test_is_over_all_pairs_and_dropping_still_counts() -> None:
    both = decide(case("wwwt", "w" * 6 + "ll" + "tttt"))[0]
    assert (both.wins, both.p) == (9, sign_test(9, 2))
    for dropped in decide(case("wlll"), case("wwwt", "wlll")._replace(stopped=True)):
        assert (dropped.decision, dropped.p) == ("dropped_first_stage", 1.0)


pairs_text = st.text(alphabet="wltHSbg", min_size=4, max_size=4)
rounds = st.lists(st.tuples(pairs_text, st.text(alphabet="wwwwltHSbg", min_size=1, max_size=18)), max_size=8)


@settings(max_examples=60, deadline=None)
@given(texts=rounds)
def test_admission_rests_on_what_evidence_says(texts: list[tuple[str, str]]) -> None:
    kinds = [case(a, b if goes_on(case(a).pairs, len(b), first=True, hope=0.1) and is_complete(case(a).pairs) else "") for a, b in texts]
    evidence = decide(*kinds)
    assert len(evidence) == len(kinds)
    for one in evidence:
        assert 0 < one.p <= 1
        assert (one.decision == "admitted") == (one.q <= 0.1)
        assert one.decision != "admitted" or (one.wins > one.losses and one.hard_p > 0.1 and one.p == sign_test(one.wins, one.losses))
    standing = [one.p if one.decision in ("admitted", "not_significant") else 1.0 for one in evidence]
    assert tuple(one.q for one in evidence) == benjamini_hochberg(standing)


def outcomes(count: int, win: float, loss: float) -> list[tuple[int, int, float]]:
    """(wins, losses, probability) of `count` pairs."""
    tie = 1 - win - loss
    return [
        (w, x, comb(count, w) * comb(count - w, x) * win**w * loss**x * tie ** (count - w - x))
        for w in range(count + 1)
        for x in range(count + 1 - w)
    ]


def counted(wins: int, losses: int, ties: int) -> tuple[Pair, ...]:
    return case("w" * wins + "l" * losses + "t" * ties).pairs


@pytest.mark.parametrize(("step", "size"), [(4, 5), (4, 12), (6, 17), (4, 22), (6, 34)])
@pytest.mark.parametrize("even", [0.05, 0.25, 0.5])
def test_the_test_is_exact_for_every_size_with_the_looks_in_between(step: int, size: int, even: float) -> None:
    """Every way a useless candidate can come out, with its probability: p is at most a level with at most that probability."""
    going = {(0, 0): 1.0}
    played, ps = 0, list[tuple[float, float]]()
    while played < size:
        more = min(step, size - played)
        after: dict[tuple[int, int], float] = {}
        for (w, x), share in going.items():
            for w2, x2, p2 in outcomes(more, even, even):
                after[w + w2, x + x2] = after.get((w + w2, x + x2), 0.0) + share * p2
        first, played = played == 0, played + more
        left = size - played
        kept = {(w, x): left == 0 or goes_on(counted(w, x, played - w - x), left, first=first, hope=0.1) for w, x in after}
        ps += [(1.0, share) for at, share in after.items() if not kept[at]]
        going = {at: share for at, share in after.items() if kept[at]}
    ps += [(sign_test(w, x), share) for (w, x), share in going.items()]
    assert sum(share for _, share in ps) == pytest.approx(1)
    for level in (0.01, 0.05, 0.1, 0.3):
        assert sum(share for p, share in ps if p <= level) <= level


def test_three_more_hard_failures_are_not_enough_to_refuse_and_four_are() -> None:
    assert [decide(case(GOOD, "w" * 12 + "H" * n))[0].decision for n in (3, 4)] == ["admitted", "more_hard_failures"]


def realised(kinds: list[tuple[float, float]], rounds_played: int) -> tuple[float, float]:
    """Mean share of useless among the admitted (win == loss: useless), and share of the useful that is admitted."""
    generator = np.random.default_rng(7)
    false, found = [], []
    for _ in range(rounds_played):
        played = []
        for win, loss in kinds:
            letters = "".join(generator.choice(list("wlt"), size=16, p=[win, loss, 1 - win - loss]))
            looks = [goes_on(case(letters[:at]).pairs, 16 - at, first=at == 4, hope=0.1) for at in (4, 8, 12)]
            end = 16 if all(looks) else 4 * (1 + looks.index(False))
            played.append(case(letters[:4], letters[4:end])._replace(stopped=end < 16))
        admitted = [kind for kind, one in zip(kinds, decide(*played), strict=True) if one.decision == "admitted"]
        false.append(sum(win == loss for win, loss in admitted) / max(1, len(admitted)))
        found.append(sum(win > loss for win, loss in admitted) / max(1, sum(win > loss for win, loss in kinds)))
    return float(np.mean(false)), float(np.mean(found))


def test_the_false_discovery_rate_is_kept_and_useful_ones_are_found() -> None:
    rate, power = realised([(0.8, 0.05)] * 4 + [(0.4, 0.4)] * 4, 120)
    assert rate < 0.05
    assert power > 0.85
