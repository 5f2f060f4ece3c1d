"""Arms at single moments where a judge decides: what a reply counts, and what is left out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from strategist.loop.compare import Armed, by_moments, compare_at, moments_of
from strategist.loop.deps import Deps
from strategist.records.run import ArmOutcome
from strategist.records.trace import Scenario, Trace
from tests.fake_openai import FakeOpenAI
from tests.loop.judged import ToldActor, ToldJudge, moments, with_judge
from tests.loop.small import with_deps
from tests.loop.unchecked import settings_for, speak


@pytest.fixture(autouse=True)
def own_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNUSED_KEY", "k")


def compared(
    folder: Path, judge: ToldJudge | None, bare: Sequence[str], library: Sequence[str], *, seed: int = 0
) -> tuple[dict[str, list[ArmOutcome]], list[Trace]]:
    """Outcomes by arm, one per moment, and the traces that were kept."""
    count = len(bare)

    async def work(deps: Deps) -> tuple[tuple[ArmOutcome, ...], list[Trace]]:
        arms: list[Armed] = [("bare", ToldActor(bare), "student"), ("library", ToldActor(library), "student")]
        heard: list[tuple[int, int]] = []
        found = await compare_at(deps, arms, moments(deps, count), lambda *told: heard.append(told), round_=3, seed=seed)
        assert heard[-1] == (2 * count, 2 * count)
        return found, list(deps.store.traces(deps.run.id))

    outcomes, traces = with_judge(folder, judge, work)
    return {arm: [one for one in outcomes if one.arm == arm] for arm in ("bare", "library")}, traces


def scores(outcomes: Sequence[ArmOutcome]) -> list[float | None]:
    return [one.score for one in outcomes]


def test_better_even_and_worse_replies_count_1_a_half_and_0(tmp_path: Path) -> None:
    judge = ToldJudge()
    found, traces = compared(tmp_path, judge, ["plain", "plain", "good!"], ["good!", "as plain", "plain"])
    assert scores(found["library"]) == [1.0, 0.5, 0.0]
    assert scores(found["bare"]) == [0.5, 0.5, 0.5]
    assert [one.goal for one in found["library"]] == [True, False, False]
    assert [(first, second) for _, first, second, _, _ in judge.asked] == [("plain", "good!"), ("plain", "as plain"), ("good!", "plain")]
    assert {purpose for *_, purpose, _ in judge.asked} == {"examine"}
    assert len({sample for *_, sample in judge.asked}) == 3
    kept = {(trace.arm, trace.index): trace for trace in traces}
    assert len(kept) == 6
    outcome = kept["library", 3].outcome
    assert outcome is not None
    assert (outcome.score, kept["library", 3].turns[0].reply, kept["library", 3].round) == (1.0, "good!", 3)


def test_a_bare_reply_that_failed_leaves_its_moment_out_in_every_arm(tmp_path: Path) -> None:
    judge = ToldJudge()
    found, traces = compared(tmp_path, judge, ["fail", "plain"], ["good!", "good!"])
    assert scores(found["bare"]) == [None, 0.5]
    assert scores(found["library"]) == [None, 1.0]
    failures = {(trace.arm, trace.persona): trace.failure for trace in traces if trace.failure is not None}
    assert len(failures) == 2
    assert {failure.kind for failure in failures.values()} == {"cut_reply"}
    assert len(judge.asked) == 1


def test_a_reply_that_failed_is_left_out_and_so_is_one_without_a_verdict(tmp_path: Path) -> None:
    found, traces = compared(tmp_path, ToldJudge(), ["plain"] * 4, ["fail", "what?", "gone", "good!"])
    assert scores(found["library"]) == [None, None, None, 1.0]
    assert scores(found["bare"]) == [0.5] * 4, "what another arm says changes nothing of it"
    kinds = [trace.failure.kind for trace in sorted(traces, key=lambda t: t.index) if trace.failure is not None]
    assert kinds == ["cut_reply", "not_json", "model"]
    assert all(trace.outcome is None for trace in traces if trace.failure is not None)


def test_hard_failures_come_before_the_judge(tmp_path: Path) -> None:
    judge = ToldJudge()
    found, _ = compared(
        tmp_path, judge, ["I promise", "plain", "I promise", "I promise"], ["plain", "I promise!", "promise again", "promised!"]
    )
    assert scores(found["library"]) == [1.0, 0.0, 0.5, 1.0]
    assert scores(found["bare"]) == [0.5] * 4
    assert [one.hard_failures for one in found["library"]] == [0, 1, 1, 1]
    assert len(judge.asked) == 2, "between replies with as many the judge decides"


def test_another_seed_draws_other_replies_and_other_verdicts(tmp_path: Path) -> None:
    one, other = ToldJudge(), ToldJudge()
    for seed, judge in ((0, one), (1, other)):
        folder = tmp_path / str(seed)
        folder.mkdir()
        compared(folder, judge, ["plain"], ["good!"], seed=seed)
    assert one.asked[0][-1] != other.asked[0][-1]


def test_without_a_judge_a_reply_counts_for_what_its_checks_say(tmp_path: Path) -> None:
    found, _ = compared(tmp_path, None, ["plain", "fail"], ["I promise", "plain"])
    assert scores(found["bare"]) == [1.0, None]
    assert scores(found["library"]) == [0.0, 1.0]


def test_moments_come_from_conversations_of_the_bare_student_one_per_customer(tmp_path: Path) -> None:
    async def work(deps: Deps) -> tuple[bool, list[Scenario], list[Scenario], list[str]]:
        personas = deps.domain.personas("dev", 4)
        found = await moments_of(deps, "dev", personas)
        return by_moments(deps), found, await moments_of(deps, "dev", personas), [persona.id for persona in personas]

    with FakeOpenAI(speak) as server:
        judged, found, again, personas = with_deps(settings_for(tmp_path, server.url, "openai"), work)
    assert judged
    assert [state.persona for state in found] == personas
    assert found == again
