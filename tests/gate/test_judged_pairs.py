"""Pairs that a judge decides: when it is asked, what its verdict is worth, and what its failures cost."""

from __future__ import annotations

import asyncio

import pytest

from strategist.errors import BudgetExceededError
from strategist.gate.gate import run_gate
from strategist.gate.judged import judged_by, null_of
from strategist.gate.moments import RankedScenario
from strategist.gate.pairs import Answered, Compare, Compared, run_pairs, sample_number
from strategist.records.evidence import Evidence, JudgedBy, Pair, PairResult
from strategist.records.library import Candidate, Key, Strategy
from strategist.records.trace import Grade, Scenario
from strategist.settings import GateSettings
from strategist.stats import sequential_sign_test

PASS, HARD, SOFT = Grade(soft_passed=1, soft_total=1), Grade(hard_failures=1, soft_total=1), Grade(soft_passed=0, soft_total=1)
CANDIDATE = Candidate(
    id="c", round=0, index=0, keys=(Key(scenario="s-0", persona="p-0", issue="i", text="k"),), strategies=(Strategy(text="Say it."),)
)  # fmt: skip


def moments(count: int) -> list[RankedScenario]:
    names = range(1, count + 1)
    states = [Scenario(id=f"s-{n}", trace="t", persona=f"p-{n}", issue="i", turn=0, messages=(), key="k", state={}) for n in names]
    return [RankedScenario(state, 1, 0.5) for state in states]


class FakeJudge:
    """Answers in turn, by moment; keeps what it was asked."""

    def __init__(self, *answers: Compared) -> None:
        self.answers = answers
        self.asked: list[tuple[str, str, str, int]] = []

    async def __call__(self, scenario: Scenario, baseline: Answered, guided: Answered, sample: int) -> Compared:
        self.asked.append((scenario.id, baseline.text, guided.text, sample))
        return self.answers[(int(scenario.id[2:]) - 1) % len(self.answers)]


def play(turns: list[tuple[Answered, Answered]], compare: Compare | None) -> tuple[Pair, ...]:
    async def answer(scenario: Scenario, sample: int, candidate: Candidate | None) -> Answered:
        return turns[int(scenario.id[2:]) - 1][candidate is not None]

    found = moments(len(turns))
    return asyncio.run(run_pairs(CANDIDATE, found, 1, answer=answer, places=asyncio.Semaphore(4), compare=compare))


@pytest.mark.parametrize(("result", "uplift"), [("win", 1.0), ("loss", -1.0), ("tie", 0.0)])
def test_the_judge_decides_where_the_grades_tie(result: PairResult, uplift: float) -> None:
    judge = FakeJudge(Compared(result))
    (pair,) = play([(Answered(PASS, text="bare"), Answered(PASS, text="guided"))], judge)
    assert (pair.result, pair.uplift, pair.failure) == (result, uplift, None)
    assert judge.asked == [("s-1", "bare", "guided", sample_number(CANDIDATE, 1, "judge", "s-1"))]


def test_it_is_not_asked_where_checks_decide_or_a_turn_failed() -> None:
    judge = FakeJudge(Compared("loss"))
    turns = [
        (Answered(HARD), Answered(PASS)),
        (Answered(PASS), Answered(HARD)),
        (Answered(SOFT), Answered(PASS)),
        (Answered(PASS, "model: gone"), Answered(PASS)),
        (Answered(PASS), Answered(PASS, "cut_reply")),
        (Answered(PASS, "model: gone"), Answered(PASS, "cut_reply")),
    ]
    pairs = play(turns, judge)
    assert judge.asked == []
    assert [pair.result for pair in pairs] == ["win", "loss", "win", "tie", "loss", "tie"]
    assert [pair.uplift for pair in pairs] == [1.0, -1.0, 1.0, 0.0, 0.0, 0.0]
    assert pairs == play(turns, None)


def test_hard_failures_that_are_as_many_are_left_to_the_judge_and_stay_counted() -> None:
    (pair,) = play([(Answered(HARD), Answered(HARD))], FakeJudge(Compared("win")))
    assert (pair.result, pair.baseline_hard, pair.guided_hard) == ("win", 1, 1)


def test_a_judge_that_fails_leaves_the_pair_without_a_result() -> None:
    pairs = play([(Answered(PASS), Answered(PASS))] * 2, FakeJudge(Compared("tie", "judge: model: gone"), Compared("win")))
    assert [(pair.result, pair.uplift, pair.failure) for pair in pairs] == [("tie", 0.0, "judge: model: gone"), ("win", 1.0, None)]


def gate(compare: Compare, judged: JudgedBy | None, count: int = 16) -> Evidence:
    async def answer(scenario: Scenario, sample: int, candidate: Candidate | None) -> Answered:
        return Answered(Grade(), text="bare" if candidate is None else "guided")

    work = run_gate(
        [CANDIDATE], [moments(count)], GateSettings(look=4, most=16), answer,
        k=3, student="s", snapshot_hash="h", compare=compare, judged=judged,
    )  # fmt: skip
    return asyncio.run(work)[0]


def test_evidence_names_the_judge_and_its_p_is_taken_at_the_judges_null() -> None:
    judge, judged = FakeJudge(Compared("win")), judged_by("openai:judge")
    found = gate(judge, judged)
    assert found.judged == judged
    assert (found.decision, found.wins, found.losses) == ("admitted", len(found.pairs), 0)
    assert found.p == sequential_sign_test([True] * found.wins, first=12, most=16, null=null_of(judged))
    sure = gate(FakeJudge(Compared("win")), None)
    assert sure.judged is None
    assert sure.p < found.p
    assert len({sample for *_, sample in judge.asked}) == len(judge.asked) == len(found.pairs)


def test_a_leaning_judge_needs_more_wins() -> None:
    leaning = JudgedBy(judge="j", labels=50, bias=0.4, se=0.05, decided=0.8)
    mixed = FakeJudge(*[Compared("win")] * 3, Compared("loss"))
    fair, doubted = gate(mixed, judged_by("j").model_copy(update={"se": 0.01})), gate(mixed, leaning)
    assert fair.p < 0.1 < doubted.p
    assert doubted.decision != "admitted"


def test_a_judge_that_cannot_be_read_makes_no_decision_and_what_ends_a_run_is_raised() -> None:
    found = gate(FakeJudge(Compared("win"), Compared("tie", "judge: unread")), judged_by("j"))
    assert (found.decision, found.p) == ("incomplete", 1.0)

    async def spent(scenario: Scenario, baseline: Answered, guided: Answered, sample: int) -> Compared:
        raise BudgetExceededError("spent")

    with pytest.raises(BudgetExceededError):
        gate(spent, None)
