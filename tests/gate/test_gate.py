"""The gate from candidates to evidence, with turns that are draws: order, freshness, limits, faults, and what re-using replies does."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from strategist.errors import BudgetExceededError
from strategist.gate.gate import run_gate
from strategist.gate.moments import RankedScenario
from strategist.gate.pairs import Answer, Answered, grade_value, make_pair, run_pairs, sample_number
from strategist.records.base import stable_int
from strategist.records.evidence import Evidence
from strategist.records.library import Candidate, Key, Strategy
from strategist.records.trace import Grade, Scenario
from strategist.settings import GateSettings

PASS, FAIL, HARD = Grade(soft_passed=2, soft_total=2), Grade(soft_passed=1, soft_total=2), Grade(hard_failures=1, soft_total=2)


def scenario(persona: int) -> Scenario:
    return Scenario(id=f"s-{persona}", trace="t", persona=f"train-{persona}-0", issue="i", turn=0, messages=(), key="k", state={})


def moments(count: int) -> list[RankedScenario]:
    return [RankedScenario(scenario(index), 1, index / count) for index in range(1, count + 1)]


def candidate(name: str, tries: int = 1) -> Candidate:
    key = Key(scenario="s-0", persona="train-0-0", issue="i", text="k")
    return Candidate(id=name, round=1, index=0, keys=(key,), strategies=(Strategy(text="Say the date."),), tries=tries)


def chance(sample: int) -> float:
    """A number in [0, 1) made of the sample number: the simulated student's draw."""
    return stable_int("chance", sample) / 2**48


def gate(
    candidates: Sequence[Candidate], answer: Answer, *, found: int = 40, settings: GateSettings | None = None, concurrency: int = 8
) -> tuple[Evidence, ...]:
    work = run_gate(
        candidates, [moments(found)] * len(candidates), settings or GateSettings(look=4, most=16), answer,
        k=3, student="test:student", snapshot_hash="abc", concurrency=concurrency,
    )  # fmt: skip
    return asyncio.run(work)


async def helped(scenario: Scenario, sample: int, candidate: Candidate | None) -> Answered:
    """Candidates whose name starts with `good` make the student pass always, the others change nothing; bare it passes half the time."""
    if candidate is not None and candidate.id.startswith("good"):
        return Answered(PASS)
    return Answered(PASS if chance(sample) < 0.5 else FAIL)


def test_useful_candidates_are_admitted_and_useless_ones_are_not() -> None:
    names = ["idle-0", "good-0", "good-1", "idle-1", "idle-2", "good-2"]
    evidence = gate([candidate(name) for name in names], helped, settings=GateSettings(look=6, most=26))
    assert [one.decision == "admitted" for one in evidence] == [name.startswith("good") for name in names]
    best = evidence[1]
    assert (best.student, best.snapshot, best.replies, best.losses) == ("test:student", "abc", 24, 0)
    assert [pair.stage for pair in best.pairs] == [1] * 6 + [2] * 6
    assert len({pair.persona for pair in best.pairs}) == 12


def test_evidence_does_not_depend_on_what_finishes_first() -> None:
    async def jittered(scenario: Scenario, sample: int, candidate: Candidate | None) -> Answered:
        for _ in range(jitter.randrange(4)):
            await asyncio.sleep(0)
        return await helped(scenario, sample, candidate)

    everyone = [candidate(f"{kind}-{index}") for index in range(3) for kind in ("good", "idle")]
    straight = gate(everyone, helped, concurrency=1)
    for seed in range(3):
        jitter = random.Random(seed)
        assert gate(everyone, jittered, concurrency=5) == straight


def test_every_reply_of_a_round_and_of_a_second_try_has_its_own_sample_number() -> None:
    samples: list[int] = []

    async def recording(scenario: Scenario, sample: int, candidate: Candidate | None) -> Answered:
        samples.append(sample)
        return await helped(scenario, sample, candidate)

    everyone = [candidate(f"good-{index}", tries) for tries in (1, 2) for index in range(2)]
    evidence = gate(everyone[:2], recording) + gate(everyone[2:], recording)
    assert len(samples) == len(set(samples)) == sum(one.replies for one in evidence)
    assert evidence[0].tries == 1
    assert evidence[2].tries == 2
    assert sample_number(everyone[0], 1, "guided", "s-1") != sample_number(everyone[0], 1, "baseline", "s-1")


def test_too_few_moments_cost_no_reply() -> None:
    async def never(scenario: Scenario, sample: int, candidate: Candidate | None) -> Answered:
        raise AssertionError("played")

    (one,) = gate([candidate("good")], never, found=11)
    assert (one.decision, one.replies, one.student) == ("too_few_moments", 0, "test:student")
    assert gate([], never) == ()


def test_a_candidate_with_fewer_moments_than_a_full_test_has_is_tested_on_those() -> None:
    (one,) = gate([candidate("good")], helped, found=13)
    assert (one.decision, one.replies) == ("admitted", 26)
    assert [pair.stage for pair in one.pairs] == [1] * 4 + [2] * 9
    assert gate([candidate("good")], helped, found=12)[0].replies == 24
    assert (GateSettings(most=17).enough, GateSettings(most=5).enough) == (12, 5)


@pytest.mark.parametrize(
    ("results", "found", "pairs"),
    [
        ("wl" * 2 + "l" * 20, 22, 8),  # level at the first look goes on, not ahead at the second is dropped
        ("wlll" + "w" * 20, 22, 4),  # behind at the first look
        ("wwlwwlwwllwlwl" + "t" * 8, 22, 16),  # ahead, but not by enough
        ("wwlwwtwwlwttwt" + "w" * 8, 22, 16),  # admitted
        ("wllw" + "w" * 18, 22, 12),  # not before there are twelve
        ("wlwlwlwt" + "t" * 4, 12, 12),
    ],
)
def test_looks_stop_what_falls_behind_and_what_is_admitted(results: str, found: int, pairs: int) -> None:
    """The moments of a candidate are won, lost and tied in the order they are played."""
    order: dict[str, int] = {}

    async def scripted(scenario: Scenario, sample: int, candidate: Candidate | None) -> Answered:
        place = order.setdefault(scenario.id, len(order))
        guided = {"w": PASS, "l": FAIL, "t": FAIL}[results[place]]
        bare = {"w": FAIL, "l": PASS, "t": FAIL}[results[place]]
        return Answered(bare if candidate is None else guided)

    (one,) = gate([candidate("c")], scripted, settings=GateSettings(look=4, most=22), found=found, concurrency=1)
    assert (len(one.pairs), one.replies) == (pairs, 2 * pairs)
    ahead = one.wins - one.losses >= pairs // 4 - 1
    assert one.decision == ("not_significant" if pairs == found else "admitted" if ahead else "dropped_first_stage")


def test_turns_under_way_never_exceed_the_limit() -> None:
    running, peak = 0, 0

    async def counted(scenario: Scenario, sample: int, candidate: Candidate | None) -> Answered:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        await asyncio.sleep(0)
        running -= 1
        return await helped(scenario, sample, candidate)

    gate([candidate(f"good-{index}") for index in range(4)], counted, concurrency=3)
    assert peak == 3


def test_an_error_stops_new_turns_and_lets_running_ones_end() -> None:
    started, ended = 0, 0

    async def dying(scenario: Scenario, sample: int, candidate: Candidate | None) -> Answered:
        nonlocal started, ended
        started += 1
        if started == 5:
            raise BudgetExceededError("no money left")
        await asyncio.sleep(0.01)
        ended += 1
        return Answered(PASS)

    with pytest.raises(BudgetExceededError, match="no money left"):
        gate([candidate(f"good-{index}") for index in range(4)], dying, concurrency=3)
    assert started <= 6
    assert ended == started - 1


def test_progress_counts_up_to_what_is_left() -> None:
    seen: list[tuple[int, int]] = []
    everyone = [candidate(name) for name in ("good-0", "idle-0", "idle-1", "idle-2", "idle-3")]
    found = [moments(n) for n in (13, 40, 40, 40, 14)]
    work = run_gate(
        everyone, found, GateSettings(look=4, most=16), helped, k=3, student="s", snapshot_hash="",
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    evidence = asyncio.run(work)
    assert seen[0] == (1, 2 * (13 + 3 * 16 + 14))
    assert seen[-1] == (sum(one.replies for one in evidence),) * 2
    assert seen[-1][1] < 150
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_failed_turns_are_kept_with_their_cause() -> None:
    async def flaky(scenario: Scenario, sample: int, candidate: Candidate | None) -> Answered:
        if scenario.id in ("s-1", "s-3") and candidate is None:
            return Answered(Grade(), "model: time-out")
        if scenario.id in ("s-2", "s-3") and candidate is not None:
            return Answered(Grade(), "cut_reply: 200 tokens")
        return Answered(PASS if candidate else HARD)

    pairs = asyncio.run(run_pairs(candidate("c"), moments(4), 1, answer=flaky, places=asyncio.Semaphore(4)))
    assert [pair.failure for pair in pairs] == [
        "baseline: model: time-out", "guided: cut_reply: 200 tokens", "baseline: model: time-out; guided: cut_reply: 200 tokens", None,
    ]  # fmt: skip
    assert [pair.result for pair in pairs] == ["tie", "loss", "tie", "win"]
    assert [pair.uplift for pair in pairs] == [0.0, 0.0, 0.0, 1.0]
    assert (pairs[3].baseline_hard, pairs[3].guided_hard, pairs[3].score) == (1, 0, 1.0)


@pytest.mark.parametrize(
    ("baseline", "guided", "result", "uplift"),
    [(FAIL, PASS, "win", 0.5), (PASS, FAIL, "loss", -0.5), (PASS, HARD, "loss", -1.0), (HARD, HARD, "tie", 0.0), (HARD, FAIL, "win", 0.5)],
)
def test_a_pair_compares_hard_checks_first(baseline: Grade, guided: Grade, result: str, uplift: float) -> None:
    pair = make_pair(moments(1)[0], 2, Answered(baseline), Answered(guided))
    assert (pair.result, pair.uplift) == (result, uplift)
    assert pair.uplift == grade_value(guided) - grade_value(baseline)


def test_bad_calls_are_refused() -> None:
    one = candidate("c")
    with pytest.raises(ValueError, match="twice"):
        gate([one, one], helped)
    with pytest.raises(ValueError, match="concurrency"):
        gate([one], helped, concurrency=0)
    with pytest.raises(ValueError, match="1 candidates and 0 lists"):
        asyncio.run(run_gate([one], [], GateSettings(), helped, k=3, student="s", snapshot_hash=""))
    with pytest.raises(ValueError, match="1 candidates and 2 answers"):
        asyncio.run(run_gate([one], [[]], GateSettings(), [helped, helped], k=3, student="s", snapshot_hash=""))


def test_each_candidate_can_have_its_own_library_behind_it() -> None:
    def against(grade: Grade) -> Answer:
        async def answer(scenario: Scenario, sample: int, candidate: Candidate | None) -> Answered:
            return Answered(PASS if candidate is not None else grade)

        return answer

    pair, settings = [candidate("good-0"), candidate("good-1")], GateSettings(look=4, most=16)
    work = run_gate(pair, [moments(40)] * 2, settings, [against(FAIL), against(PASS)], k=3, student="s", snapshot_hash="")
    assert [e.decision for e in asyncio.run(work)] == ["admitted", "dropped_first_stage"]


def false_discovery_rate(answer: Answer, rounds: int = 12) -> float:
    """Mean share of `idle` candidates among the admitted; half of each round's twelve candidates are idle."""
    shares = []
    for index in range(rounds):
        evidence = gate([candidate(f"{kind}-{index}-{n}") for n in range(6) for kind in ("good", "idle")], helped_or(answer))
        admitted = [place % 2 for place, one in enumerate(evidence) if one.decision == "admitted"]
        shares.append(sum(admitted) / max(1, len(admitted)))
    return sum(shares) / rounds


def helped_or(answer: Answer) -> Answer:
    """Guided turns as in `helped`, baseline turns by `answer`."""

    async def play(scenario: Scenario, sample: int, candidate: Candidate | None) -> Answered:
        return await (helped if candidate is not None else answer)(scenario, sample, candidate)

    return play


def test_reusing_the_reply_that_made_a_state_interesting_lets_useless_candidates_in() -> None:
    async def logged(scenario: Scenario, sample: int, candidate: Candidate | None) -> Answered:
        return Answered(FAIL)  # the state was picked because the student failed there, half by bad luck; its reply is used again

    assert false_discovery_rate(helped) <= 0.05
    assert false_discovery_rate(logged) >= 0.25
