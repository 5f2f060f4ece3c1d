"""Which of two replies is better: checks first, the judge where they leave it open, and what is kept for people to label."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from strategist.errors import ModelError
from strategist.gate.pairs import Answered, Compared
from strategist.loop.deps import Deps
from strategist.loop.verdicts import JUDGED, compare_attempts, compare_turns, preference_over
from strategist.records.evidence import Judged, PairResult
from strategist.records.trace import Grade, Verdict
from strategist.roles.protocols import Attempt
from tests.loop.judged import ToldJudge, moments, with_judge


@pytest.fixture(autouse=True)
def own_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNUSED_KEY", "k")


def kept(deps: Deps) -> list[Judged]:
    return deps.store.documents(deps.run.id, JUDGED, Judged)


def attempt(text: str, *, hard: bool | None = None, soft: bool | None = None) -> Attempt:
    verdicts = (Verdict(check="h", hard=True, passed=hard, turn=0), Verdict(check="s", hard=False, passed=soft, turn=0))
    return Attempt(text=text, verdicts=verdicts)


@pytest.mark.parametrize(
    ("one", "other", "result"),
    [
        (attempt("a", hard=True), attempt("b!", hard=False), "win"),
        (attempt("a!", hard=False), attempt("b", hard=True), "loss"),
        (attempt("a", soft=True), attempt("b!", soft=False), "win"),
    ],
)
def test_attempts_that_checks_tell_apart_cost_no_verdict(tmp_path: Path, one: Attempt, other: Attempt, result: PairResult) -> None:
    judge = ToldJudge()

    async def work(deps: Deps) -> PairResult:
        return await compare_attempts(deps, 0, moments(deps, 1)[0], one, other, 1)

    assert with_judge(tmp_path, judge, work) == result
    assert judge.asked == []


@pytest.mark.parametrize(("text", "result"), [("good!", "win"), ("plain", "tie"), ("what?", "tie")])
def test_the_judge_tells_the_others_apart_and_an_abstention_is_a_tie(tmp_path: Path, text: str, result: PairResult) -> None:
    judge = ToldJudge()

    async def work(deps: Deps) -> tuple[PairResult, PairResult, list[Judged]]:
        state = moments(deps, 1)[0]
        forth = await compare_attempts(deps, 2, state, attempt(text), attempt("plain reply"), 7)
        back = await compare_attempts(deps, 2, state, attempt("plain reply"), attempt(text), 8, teacher=True)
        return forth, back, kept(deps)

    forth, back, documents = with_judge(tmp_path, judge, work)
    assert forth == result
    assert back == {"win": "loss", "tie": "tie"}[result]
    assert [(purpose, sample) for *_, purpose, sample in judge.asked] == [("coach", 7), ("coach", 8)]
    assert {(one.kind, one.reply_before, one.reply_after) for one in documents} == {
        ("gate", "plain reply", text), ("teacher", text, "plain reply"),
    }  # fmt: skip
    assert {(one.judge, one.round, one.scenario) for one in documents} == {("test:judge", 2, "m-0")}


def test_without_a_judge_the_checks_have_the_last_word(tmp_path: Path) -> None:
    async def work(deps: Deps) -> tuple[PairResult, list[Judged]]:
        return await compare_attempts(deps, 0, moments(deps, 1)[0], attempt("a!"), attempt("b"), 1), kept(deps)

    assert with_judge(tmp_path, None, work) == ("tie", [])


def test_a_coaching_comparison_that_fails_is_raised(tmp_path: Path) -> None:
    async def work(deps: Deps) -> PairResult:
        return await compare_attempts(deps, 0, moments(deps, 1)[0], attempt("gone"), attempt("b"), 1)

    with pytest.raises(ModelError, match="nobody answers"):
        with_judge(tmp_path, ToldJudge(), work)


def test_turns_of_the_gate_become_results_or_failures(tmp_path: Path) -> None:
    judge = ToldJudge()

    async def work(deps: Deps) -> tuple[list[Compared], list[Judged]]:
        state, base = moments(deps, 1)[0], Answered(Grade(), text="plain")
        asked = [compare_turns(deps, 0, state, base, Answered(Grade(), text=t), n) for n, t in enumerate(["a!", "a", "a?", "gone"])]
        back = compare_turns(deps, 0, state, Answered(Grade(), text="a!"), base, 9)
        return list(await asyncio.gather(*asked, back)), kept(deps)

    results, documents = with_judge(tmp_path, judge, work)
    assert results == [
        Compared("win"),
        Compared("tie"),
        Compared("tie", "judge: its verdict could not be read"),
        Compared("tie", "judge: model: nobody answers"),
        Compared("loss"),
    ]
    assert len(documents) == 4, "what failed says nothing that could be labelled"
    assert {one.kind for one in documents} == {"gate"}
    assert {purpose for *_, purpose, _ in judge.asked} == {"admit"}


def test_equal_replies_and_examinations_are_not_kept_for_labelling(tmp_path: Path) -> None:
    async def work(deps: Deps) -> tuple[Compared, list[float | None], list[Judged]]:
        state = moments(deps, 1)[0]
        same = await compare_turns(deps, 0, state, Answered(Grade(), text="same "), Answered(Grade(), text="same"), 1)
        found = [await preference_over(deps, 0, state, "plain", text, 1) for text in ("a!", "a", "a?")]
        return same, [*found, await preference_over(deps, 0, state, "a!", "plain", 1)], kept(deps)

    assert with_judge(tmp_path, ToldJudge(), work) == (Compared("tie"), [1.0, 0.0, None, -1.0], [])


def test_the_same_question_asked_again_is_kept_once(tmp_path: Path) -> None:
    async def work(deps: Deps) -> list[Judged]:
        state = moments(deps, 1)[0]
        for _ in range(2):
            await compare_turns(deps, 0, state, Answered(Grade(), text="a"), Answered(Grade(), text="b!"), 5)
        await compare_turns(deps, 0, state, Answered(Grade(), text="a"), Answered(Grade(), text="b!"), 6)
        return kept(deps)

    assert len(with_judge(tmp_path, ToldJudge(), work)) == 2
