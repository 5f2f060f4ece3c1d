"""Arms compared at single moments: where customers are recorded and cannot be played, or where only a judge tells which reply is better.

A moment is one state per customer. Each arm answers it afresh; a reply counts for what its checks say, or, where a judge decides, for how
it does against the bare student's reply there: 1 better, 0.5 a tie, 0 worse, the bare reply itself 0.5. So differences between arms
mean the same in both cases: above 0 is better. Every answer is kept as a trace of one turn.
"""

from __future__ import annotations

from collections.abc import Sequence

from strategist.conversation import failure_of, play, replay, scenarios_of
from strategist.domains.outcomes import outcome_of
from strategist.domains.persona import Persona, Split
from strategist.errors import ModelError
from strategist.gate.pairs import grade_value
from strategist.loop.deps import Count, Deps, in_order
from strategist.loop.recorded import moments as recorded_moments
from strategist.loop.verdicts import preference_over
from strategist.records.base import digest, stable_int
from strategist.records.chat import RoleName
from strategist.records.run import ArmName, ArmOutcome
from strategist.records.trace import Grade, Outcome, Scenario, Trace, Turn
from strategist.retrieval.mask import key_text
from strategist.roles.protocols import Actor

EVEN = 0.5
"""What a reply counts for that a judge finds as good as the bare one."""

Armed = tuple[ArmName, Actor, RoleName]


def by_moments(deps: Deps) -> bool:
    """Whether arms are compared so in this run, and not by whole conversations."""
    return deps.domain.recorded or deps.judge is not None


async def moments_of(deps: Deps, split: Split, personas: Sequence[Persona], *, round_: int = 0, seed: int = 0) -> list[Scenario]:
    """One state per customer: of recorded conversations, or of conversations that the bare student has with `personas`."""
    if deps.domain.recorded:
        return recorded_moments(deps, split, seed)[: len(personas) or None]

    async def one(index: int, persona: Persona) -> Scenario | None:
        trace = await play(
            deps.agent(None),
            deps.customer,
            deps.domain,
            persona,
            purpose="examine",
            round=round_,
            index=index,
            arm="bare",
            sample=stable_int("moments", seed, persona.id),
            max_turns=deps.settings.teach.max_turns,
            tool_style=deps.settings.student.tool_style,
        )
        found = scenarios_of(trace, lambda messages: key_text(messages, deps.domain.language))
        return found[stable_int("moment", seed, persona.id) % len(found)] if found else None

    drawn = await in_order(one, personas, lambda done, total: None, lanes=deps.lanes)
    return [state for state in drawn if state is not None]


async def compare_at(
    deps: Deps, arms: Sequence[Armed], moments: Sequence[Scenario], report: Count, *, round_: int, seed: int = 0
) -> tuple[ArmOutcome, ...]:
    """Every arm's answer at every moment, `bare` among the arms; outcomes come by arm and moment. Traces are kept."""
    jobs = [(arm, moment) for arm in arms for moment in moments]

    async def one(index: int, job: tuple[Armed, Scenario]) -> Trace:
        (name, actor, role), moment = job
        return await _answer(deps, name, actor, role, moment, round_=round_, index=index, seed=seed)

    traces = await in_order(one, jobs, report, lanes=deps.lanes)
    if deps.judge is not None:
        bare = {moment.id: trace for trace, ((name, _, _), moment) in zip(traces, jobs, strict=True) if name == "bare"}

        async def judge(index: int, trace: Trace) -> Trace:
            return await _judged(deps, trace, jobs[index][1], bare[jobs[index][1].id], round_=round_, seed=seed)

        traces = await in_order(judge, traces, lambda done, total: None, lanes=deps.lanes)
    for trace in traces:
        deps.store.put_trace(deps.run.id, trace)
    return tuple(outcome_of(trace, name, seed) for trace, ((name, _, _), _) in zip(traces, jobs, strict=True))


async def _answer(
    deps: Deps, name: ArmName, actor: Actor, role: RoleName, moment: Scenario, *, round_: int, index: int, seed: int
) -> Trace:
    trace = Trace(
        id=digest([deps.domain.name, "moment", name, round_, seed, moment.id], 16),
        domain=deps.domain.name,
        persona=moment.persona,
        issue=moment.issue,
        purpose="examine",
        round=round_,
        index=index,
        actor=role,
        arm=name,
        messages=moment.messages,
        turns=(),
    )
    sample = stable_int("study", seed, moment.id)
    try:
        result = await replay(actor, deps.domain, moment, guidance=None, purpose="examine", sample=sample)
    except ModelError as error:
        return trace.model_copy(update={"failure": failure_of(error)})
    grade = Grade.of(result.verdicts)
    turn = Turn(
        index=0,
        customer=moment.customer,
        acts=moment.acts,
        steps=result.steps,
        reply=result.reply,
        guidance=result.guidance,
        verdicts=result.verdicts,
        state_before=moment.state,
        state_after=result.state,
    )
    outcome = Outcome(
        goal=grade_value(grade) == 1.0,
        ended="turn_limit",
        verdicts=result.verdicts,
        score=grade_value(grade),
        hard_failures=grade.hard_failures,
        agent_turns=1,
    )
    messages = (*moment.messages, *result.steps, result.last)
    return trace.model_copy(update={"messages": messages, "turns": (turn,), "outcome": outcome, "usage": result.usage})


async def _judged(deps: Deps, trace: Trace, moment: Scenario, bare: Trace, *, round_: int, seed: int) -> Trace:
    """The trace scored by the judge. One that failed, or stands against a bare reply that failed, has no score."""
    if trace.outcome is None or bare.outcome is None:
        return trace if trace.failure is not None else trace.model_copy(update={"outcome": None, "failure": bare.failure})
    try:
        score = await _score(deps, trace, moment, bare, round_=round_, seed=seed)
    except ModelError as error:
        return trace.model_copy(update={"outcome": None, "failure": failure_of(error)})
    goal = score > EVEN
    return trace.model_copy(update={"outcome": trace.outcome.model_copy(update={"score": score, "goal": goal})})


async def _score(deps: Deps, trace: Trace, moment: Scenario, bare: Trace, *, round_: int, seed: int) -> float:
    """Hard failures first, as everywhere; between replies with as many, the judge. Raises ModelError, also for an abstention."""
    own, other = (Grade.of(one.turns[0].verdicts).hard_failures for one in (trace, bare))
    if own != other:
        return 1.0 if own < other else 0.0
    if trace.arm == "bare":
        return EVEN
    found = await preference_over(
        deps, round_, moment, bare.turns[0].reply, trace.turns[0].reply, stable_int("judge", trace.arm, seed, moment.id)
    )
    if found is None:
        raise ModelError("the judge's verdict could not be read", kind="not_json")
    return EVEN + found / 2
