"""What goes wrong around a run: servers that are gone, models that answer badly, customers that never end, checks that break."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from strategist.domains.checks import TurnView, turn_check
from strategist.domains.persona import CustomerTurn, Persona
from strategist.errors import ModelError, ServerUnavailableError
from strategist.loop.coached import Coached
from strategist.loop.consolidate import consolidate
from strategist.loop.deps import Deps, Progress
from strategist.loop.examine import examine
from strategist.loop.generate import generate
from strategist.loop.runner import teach
from strategist.loop.select import select
from strategist.models.adapters.scripted import AnswerFunction
from strategist.project import open_project
from strategist.records.base import stable_int
from strategist.records.chat import Message, ModelRequest, Purpose, Reply
from strategist.records.evidence import Evidence
from strategist.records.run import ArmOutcome, RoundSummary
from strategist.records.trace import Scenario, Trace
from strategist.settings import Settings
from strategist.store.calls import CallLog
from tests.loop.conftest import Undisturbed
from tests.loop.small import IN_FLIGHT, Wrap, export_of, paid, small, teach_small, use_models, with_deps


def gone_after(calls: int) -> Wrap:
    """A server that answers so many calls and then none."""
    left = [calls]

    def wrap(answer: AnswerFunction) -> AnswerFunction:
        def answered(request: ModelRequest, draw: int) -> Reply | str:
            left[0] -= 1
            if left[0] < 0:
                raise ServerUnavailableError("nobody answers at http://model.test", hint="is the server running?")
            return answer(request, draw)

        return answered

    return wrap


def flaky(answer: AnswerFunction) -> AnswerFunction:
    """Some replies are empty, some are refusals, some calls fail for good: by what is asked and the draw. With 26 the run has all three."""

    def answered(request: ModelRequest, draw: int) -> Reply | str:
        fate = stable_int("fate", request.messages[-1].content, draw) % 26
        if fate == 0:
            return ""
        if fate == 1:
            return Reply(text="I cannot help with that.", finish="refusal")
        if fate == 2:
            raise ModelError("the context is full", kind="model")
        return answer(request, draw)

    return answered


def always(reply: str | Reply) -> Wrap:
    return lambda _: lambda request, draw: reply


@pytest.mark.usefixtures("own_models")
def test_a_server_that_is_not_there_ends_the_run_to_be_resumed(tmp_path: Path) -> None:
    settings = small(tmp_path)
    use_models(student=gone_after(0))
    finished = teach_small(settings)
    assert finished.stop == "server"
    assert "nobody answers" in finished.error
    assert "is the server running?" in finished.error
    with open_project(settings) as project:
        assert project.choose_run(resume=True, new=False).id == finished.id
        assert project.library.entries() == ()


@pytest.mark.usefixtures("own_models")
def test_a_server_that_dies_in_the_middle_costs_what_was_in_flight(undisturbed: Undisturbed, tmp_path: Path) -> None:
    settings = small(tmp_path)
    for served in (30, 60):  # generating and admitting, as it happens
        use_models(student=gone_after(served), latency_s=0.001)
        assert teach_small(settings, resume=served > 30).stop == "server"
    use_models()
    assert teach_small(settings, resume=True).stop == "rounds"
    assert export_of(settings) == undisturbed.export
    assert undisturbed.paid < paid(settings) <= undisturbed.paid + 2 * IN_FLIGHT


@pytest.mark.usefixtures("own_models")
def test_a_log_with_failures_in_it_replays_for_nothing(tmp_path: Path) -> None:
    first, second = small(tmp_path / "first"), small(tmp_path / "second")
    use_models(student=flaky)
    finished = teach_small(first)
    assert finished.stop == "rounds"
    with open_project(first) as project:
        run = finished.id
        traces = [*project.store.traces(run, purpose="generate"), *project.store.traces(run, purpose="examine")]
        kinds = Counter(t.failure.kind for t in traces if t.failure is not None)
        coached = project.store.documents(run, "coached", Coached)
        evidence = project.store.documents(run, "evidence", Evidence)
        rounds = project.store.documents(run, "round", RoundSummary)
        failed = sum(cost.failed for cost in project.calls.totals(run))
        assert project.library.entries()
    assert {"empty_reply", "refusal", "model"} <= set(kinds)
    assert any(c.kind == "failed" for c in coached)
    assert any(pair.failure for e in evidence for pair in e.pairs)
    assert sum(r.failed_conversations for r in rounds) > 0
    lost = [o for r in rounds for o in r.outcomes if o.failure]
    assert all(o.score is None for o in lost), "left out, not counted as 0"

    use_models(student=always(Reply(text="The replay asked a model.")))
    with open_project(second) as project:
        copied = project.calls.copy_from(first.database_path)
    assert copied > failed > 0
    again = teach_small(second)
    assert again.stop == finished.stop
    assert paid(second) == 0
    assert export_of(second) == export_of(first)


def bad_advice(reply: Reply) -> Wrap:
    """A teacher that acts well and answers this where it is asked for advice."""
    return lambda answer: lambda request, draw: reply if request.json_schema else answer(request, draw)


REFUSAL = Reply(text="I will not write advice.", finish="refusal")


@pytest.mark.usefixtures("own_models")
@pytest.mark.parametrize(
    ("reply", "cause"),
    [(REFUSAL, "refusal"), (Reply(text="Sure! Here is my advice: be kind."), "not_json"), (Reply(text='{"gap": "huge"}'), "not_json")],
)
def test_an_advisor_that_gives_no_advice_is_recorded_and_the_round_goes_on(tmp_path: Path, reply: Reply, cause: str) -> None:
    """Regression: a run whose advisor always refuses ended with `nothing to teach`."""
    use_models(teacher=bad_advice(reply))
    finished = teach_small(small(tmp_path, advisor=True, conversations=3, scenarios=3, rounds=2, teacher_share=(0.0,), max_turns=1))
    assert finished.stop == "rounds"
    with open_project(small(tmp_path)) as project:
        coached = project.store.documents(finished.id, "coached", Coached)
        rounds = project.store.documents(finished.id, "round", RoundSummary)
        assert project.library.entries() == ()
    assert coached
    assert {(c.kind, c.message.split(":")[0]) for c in coached} == {("failed", cause)}
    assert [(r.gaps, r.failed_states > 0, r.candidates) for r in rounds] == [(0, True, 0)] * 2


class Endless:
    """A customer that never ends, or says nothing."""

    def __init__(self, text: str) -> None:
        self.text = text

    async def next(self, persona: Persona, messages: Sequence[Message], *, purpose: Purpose, sample: int = 0) -> CustomerTurn:
        return CustomerTurn(text=self.text)


def generated(settings: Settings, changed: dict[str, object]) -> list[Trace]:
    async def work(deps: Deps) -> list[Trace]:
        await generate(replace(deps, **changed), 0, lambda done, total: None)  # type: ignore[arg-type]
        return list(deps.store.traces(deps.run.id))

    return with_deps(settings, work)


@pytest.mark.usefixtures("own_models")
def test_a_customer_that_never_ends_meets_the_turn_limit(tmp_path: Path) -> None:
    for trace in generated(small(tmp_path, conversations=2, max_turns=3), {"customer": Endless("And what about my parcel?")}):
        assert trace.outcome is not None
        assert (trace.outcome.ended, trace.outcome.agent_turns) == ("turn_limit", 3)


@pytest.mark.usefixtures("own_models")
def test_a_customer_without_words_fails_its_own_conversation_only(tmp_path: Path) -> None:
    settings = small(tmp_path, conversations=2)
    assert [t.failure and t.failure.kind for t in generated(settings, {"customer": Endless(" ")})] == ["customer", "customer"]

    async def after(deps: Deps) -> list[Scenario]:
        await select(deps, 0, lambda done, total: None)
        return deps.store.documents(deps.run.id, "scenario", Scenario)

    assert with_deps(settings, after) == [], "no state comes of a failed conversation"


@turn_check("broken", about="a check with a fault in it", hard=True)
def broken(turn: TurnView) -> bool:
    raise KeyError("order")


@pytest.mark.usefixtures("own_models")
def test_a_broken_check_says_nothing_and_counts_nowhere(tmp_path: Path) -> None:
    async def work(deps: Deps) -> list[Trace]:
        domain = replace(deps.domain, checks=(*deps.domain.checks, broken))
        await generate(replace(deps, domain=domain), 0, lambda done, total: None)
        return list(deps.store.traces(deps.run.id))

    for trace in with_deps(small(tmp_path, conversations=2, max_turns=1), work):
        assert trace.outcome is not None
        (verdict,) = [v for v in trace.outcome.verdicts if v.check == "broken"]
        assert (verdict.passed, "order" in verdict.detail) == (None, True)
        assert trace.outcome.hard_failures == 0


@pytest.mark.usefixtures("own_models")
def test_where_everything_fails_there_is_no_lift_and_the_round_ends(tmp_path: Path) -> None:
    use_models(student=always(""))

    async def work(deps: Deps) -> tuple[object, tuple[ArmOutcome, ...]]:
        await consolidate(deps, 0, lambda done, total: None)
        stop = await examine(deps, 0, lambda done, total: None)
        (summary,) = deps.store.documents(deps.run.id, "round", RoundSummary)
        return stop, summary.outcomes

    stop, outcomes = with_deps(small(tmp_path), work)
    assert stop is None
    assert {o.score for o in outcomes} == {None}
    assert {o.failure for o in outcomes} == {"empty_reply: the model's reply is empty"}


@pytest.mark.usefixtures("own_models")
def test_ctrl_c_keeps_everything_and_marks_the_run(undisturbed: Undisturbed, tmp_path: Path) -> None:
    settings = small(tmp_path)
    use_models(latency_s=0.001)
    seen: list[Progress] = []

    async def interrupted() -> None:
        with open_project(settings) as project:
            async with project.deps(project.choose_run(resume=False, new=False)) as deps:

                def on_progress(event: Progress) -> None:
                    seen.append(event)
                    if event["node"] == "admit" and event["done"] == 5:
                        work.cancel()

                work = asyncio.ensure_future(teach(deps, project.checkpoints, on_progress))
                with pytest.raises(asyncio.CancelledError):
                    await work

    asyncio.run(interrupted())
    with open_project(settings) as project:
        run = project.choose_run(resume=True, new=False)
        assert run.stop == "interrupted"
    assert seen[0] == Progress(node="generate", round=0, done=0, total=8, calls=0, cost_usd=0.0)
    assert [e["calls"] for e in seen] == sorted(e["calls"] for e in seen)
    use_models()
    later: list[Progress] = []
    assert teach_small(settings, resume=True, heard=later).stop == "rounds"
    assert (later[0]["node"], later[0]["round"]) == ("admit", 0), "it goes on where it stopped"
    assert (later[-1]["node"], later[-1]["round"], later[-1]["calls"]) == ("examine", 1, paid(settings))
    assert export_of(settings) == undisturbed.export


@pytest.mark.usefixtures("own_models")
def test_a_fault_of_the_program_is_not_hidden(tmp_path: Path) -> None:
    def full(log: CallLog, id: int, reply: Reply, ms: float, **more: object) -> Reply:  # noqa: A002
        raise OSError("No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CallLog, "succeed", full)
        with pytest.raises(OSError, match="No space left"):
            teach_small(small(tmp_path))
    with open_project(small(tmp_path)) as project:
        assert project.choose_run(resume=True, new=False).stop is None
