"""generate: customers talk to the student with the round's library or, by schedule, to the teacher; or recorded conversations are taken.
Every conversation becomes a trace."""

from __future__ import annotations

from strategist.conversation import play
from strategist.domains.persona import Persona
from strategist.loop.deps import Count, Deps, in_order
from strategist.loop.recorded import round_traces
from strategist.records.base import stable_int
from strategist.records.trace import Trace

EXTRA_FIRST_INDEX = 100_000
"""Personas drawn later in a round, where the gate is short of test moments, start at this index: they never meet those of a later round."""


def teacher_plays(deps: Deps, round_: int, index: int) -> bool:
    """Whether the teacher plays this conversation: with probability beta[round] by a stable draw, never where it cannot act."""
    if deps.teacher is None:
        return False
    shares = deps.settings.teach.teacher_share
    share = shares[min(round_, len(shares) - 1)] if shares else 0.0
    return stable_int(deps.run.seed, "actor", round_, index) / 2**48 < share


async def generate(deps: Deps, round_: int, report: Count) -> None:
    """Play the round's train personas, or take recorded conversations: new ones every round, so that entries are never coached twice on
    one person's words."""
    count = deps.settings.teach.conversations
    if deps.domain.recorded:
        traces = round_traces(deps, round_)
        for trace in traces:
            deps.store.put_trace(deps.run.id, trace)
        report(len(traces), len(traces))
        return
    personas = [deps.domain.draw("train", round_ * count + index, deps.run.seed) for index in range(count)]
    await play_personas(deps, round_, list(enumerate(personas)), report)


async def play_personas(
    deps: Deps, round_: int, personas: list[tuple[int, Persona]], report: Count, *, max_turns: int | None = None
) -> list[Trace]:
    """Play (index, persona) pairs with the round's snapshot and store the traces, in order; `max_turns` below the settings' cuts short."""
    snapshot = deps.snapshot(round_)
    student = deps.agent(await deps.retriever(snapshot) if snapshot.entries else None)

    async def one(_: int, item: tuple[int, Persona]) -> Trace:
        index, persona = item
        teacher = deps.teacher if teacher_plays(deps, round_, index) else None
        return await play(
            teacher or student,
            deps.customer,
            deps.domain,
            persona,
            purpose="generate",
            round=round_,
            index=index,
            sample=stable_int("generate", round_, index),
            max_turns=max_turns or deps.settings.teach.max_turns,
            actor_role="teacher" if teacher else "student",
            tool_style=deps.settings.student.tool_style,
        )

    traces = await in_order(one, personas, report, lanes=deps.lanes)
    for trace in traces:
        deps.store.put_trace(deps.run.id, trace)
    return traces
