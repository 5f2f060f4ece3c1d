"""admit: the gate, fed with moments.

For each candidate c and the round's library L: is guidance from L + c better than from L, where c is used?

Moments come from student states of this and earlier rounds, then from openings of newly drawn personas (a customer's first message is a
state that costs no student reply), then from newly played conversations.
"""

from __future__ import annotations

from collections.abc import Sequence

from strategist.conversation import opening_scenario, replay, scenarios_of
from strategist.domains.persona import Persona
from strategist.errors import ModelError
from strategist.gate.gate import run_gate
from strategist.gate.moments import RankedScenario
from strategist.gate.pairs import Answered
from strategist.loop.deps import Deps, Report, in_order
from strategist.loop.generate import EXTRA_FIRST_INDEX, play_personas
from strategist.loop.testbed import TestBed
from strategist.records.evidence import Evidence
from strategist.records.library import Candidate, Refusal
from strategist.records.trace import Grade, Scenario
from strategist.retrieval.mask import key_text

SEARCH = 5_000
"""How many persona indices are looked at for customers of the wanted issues, for openings and again for conversations."""
OPENINGS = {"scripted": 8, "model": 2}
"""Openings drawn per missing moment, by kind of customer: they cost no student reply, and only some of them are like the candidate's keys.
A customer by a model costs a call for each."""


async def admit(deps: Deps, round_: int, report: Report) -> None:
    """Choose the moments of all candidates, run the pairs, decide the round, store evidence and refusals."""
    candidates = deps.store.documents(deps.run.id, "candidate", Candidate, round_)
    snapshot = deps.snapshot(round_)
    bed = TestBed(await deps.retriever(snapshot), deps.embedder, deps.settings.retrieval)
    await bed.add(known_states(deps, round_))
    usable = [await bed.usable(c) for c in candidates]
    for grow in (_add_openings, _add_conversations):
        if wanted := _wanted(deps, bed, candidates, usable):
            await grow(deps, round_, bed, wanted, report)
            usable = [await bed.usable(c) for c in candidates]

    async def answer(scenario: Scenario, sample: int, candidate: Candidate | None) -> Answered:
        guidance = bed.guided(candidate, scenario) if candidate else bed.base(scenario)
        try:
            result = await replay(deps.agent(None), deps.domain, scenario, guidance=guidance, purpose="admit", sample=sample)
        except ModelError as error:
            return Answered(grade=Grade(), failure=f"{error.kind}: {error.message}")
        return Answered(grade=Grade.of(result.verdicts))

    evidence = await run_gate(
        candidates,
        usable,
        deps.settings.gate,
        answer,
        k=deps.settings.retrieval.k,
        student=deps.student.model_name,
        snapshot_hash=snapshot.hash,
        concurrency=deps.lanes,
        progress=report,
    )
    _store(deps, round_, candidates, evidence)


def known_states(deps: Deps, round_: int, *, extras: bool = False) -> list[Scenario]:
    """The student's own states of this and earlier rounds, and what was drawn beyond them in earlier rounds (`extras`: in this one too)."""
    run, store = deps.run.id, deps.store
    states: list[Scenario] = []
    for earlier in range(round_ + 1):
        states += store.documents(run, "scenario", Scenario, earlier)
        if earlier < round_ or extras:
            states += store.documents(run, "extra_scenario", Scenario, earlier)
    return states


def _wanted(deps: Deps, bed: TestBed, candidates: Sequence[Candidate], usable: Sequence[Sequence[RankedScenario]]) -> dict[str, int]:
    """Issue -> customers to draw: the largest shortage among the candidates that were coached on it. Empty: nobody is short."""
    needed = deps.settings.gate.first_stage + deps.settings.gate.second_stage
    wanted: dict[str, int] = {}
    for candidate, found in zip(candidates, usable, strict=True):
        if not candidate.is_control and (short := bed.shortage(candidate, found, needed)):
            for issue in {key.issue for key in candidate.keys}:
                wanted[issue] = max(wanted.get(issue, 0), short)
    return wanted


def extra_personas(deps: Deps, first_index: int, wanted: dict[str, int]) -> list[tuple[int, Persona]]:
    """(index, persona) of train personas from `first_index` on with the wanted issues, at most as many per issue as wanted."""
    left, found = dict(wanted), []
    for index in range(first_index, first_index + SEARCH):
        if not any(left.values()):
            break
        persona = deps.domain.draw("train", index, deps.run.seed)
        if left.get(persona.issue, 0) > 0:
            left[persona.issue] -= 1
            found.append((index, persona))
    return found


async def _add_openings(deps: Deps, round_: int, bed: TestBed, wanted: dict[str, int], report: Report) -> None:
    async def opening(_: int, item: tuple[int, Persona]) -> Scenario | None:
        index, persona = item
        try:
            return await opening_scenario(deps.customer, deps.domain, persona, index=index, tool_style=deps.settings.student.tool_style)
        except ModelError:
            return None  # a customer that cannot speak is no test moment; the failure is in the call log

    each = OPENINGS[deps.settings.customer.kind]
    personas = extra_personas(deps, EXTRA_FIRST_INDEX + 2 * round_ * SEARCH, {issue: each * short for issue, short in wanted.items()})
    opened = await in_order(opening, personas, lambda done, total: report(done, total, "more openings"), lanes=deps.lanes)
    await _add(deps, round_, bed, [state for state in opened if state is not None], first=0)


async def _add_conversations(deps: Deps, round_: int, bed: TestBed, wanted: dict[str, int], report: Report) -> None:
    personas = extra_personas(deps, EXTRA_FIRST_INDEX + (2 * round_ + 1) * SEARCH, wanted)[: deps.settings.teach.conversations]
    traces = await play_personas(deps, round_, personas, lambda done, total: report(done, total, "more conversations"))
    states = [s for t in traces if t.failure is None for s in scenarios_of(t, lambda m: key_text(m, deps.domain.language))]
    await _add(deps, round_, bed, states, first=SEARCH)


async def _add(deps: Deps, round_: int, bed: TestBed, states: Sequence[Scenario], *, first: int) -> None:
    deps.store.put_documents(deps.run.id, "extra_scenario", [(s.id, round_, first + i, s) for i, s in enumerate(states)])
    await bed.add(states)


def _store(deps: Deps, round_: int, candidates: Sequence[Candidate], evidence: Sequence[Evidence]) -> None:
    run, store = deps.run.id, deps.store
    store.put_documents(run, "evidence", [(c.id, round_, c.index, e) for c, e in zip(candidates, evidence, strict=True)])
    refusals = [
        Refusal(
            candidate=c.id,
            round=round_,
            index=c.index,
            stage="gate",
            reason=e.decision.replace("_", " "),
            strategies=c.strategies,
            issue=c.keys[0].issue,
            evidence=e,
        )
        for c, e in zip(candidates, evidence, strict=True)
        if e.decision != "admitted"
    ]
    store.put_documents(run, "refusal", [(f"{r.candidate}-gate", round_, r.index, r) for r in refusals])
