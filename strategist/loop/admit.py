"""admit: the gate, fed with moments.

For each candidate c and the round's library L: is guidance from L + c better than from L, where c is used?

Moments come from student states of this and earlier rounds, then from openings of newly drawn personas (a customer's first message is a
state that costs no student reply), then from newly played conversations.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from functools import partial
from statistics import median_low
from typing import NamedTuple

from strategist.conversation import opening_scenario, replay, scenarios_of, turn_in
from strategist.domains.persona import Persona
from strategist.errors import ModelError
from strategist.gate.gate import run_gate
from strategist.gate.pairs import Answer, Answered
from strategist.loop.deps import Deps, Report, in_order
from strategist.loop.generate import EXTRA_FIRST_INDEX, play_personas
from strategist.loop.recorded import split_states
from strategist.loop.testbed import TestBed
from strategist.loop.verdicts import compare_turns
from strategist.records.evidence import Evidence
from strategist.records.library import Candidate, Refusal
from strategist.records.trace import Grade, Scenario
from strategist.retrieval.mask import key_text

SEARCH = 5_000
"""How many persona indices are looked at for customers of the wanted issues, for openings and again for conversations."""
CONVERSATIONS = 2
"""Conversations played per missing moment: about every other one comes to a moment like the candidate's."""
OPENINGS = {"scripted": 8, "model": 2}
"""Openings drawn per missing moment, by kind of customer: they cost no student reply, and only some of them are like the candidate's keys.
A customer by a model costs a call for each."""


async def admit(deps: Deps, round_: int, report: Report) -> None:
    """Choose the moments of all candidates, run the pairs, decide the round, store evidence and refusals."""
    candidates = deps.store.documents(deps.run.id, "candidate", Candidate, round_)
    snapshot = deps.snapshot(round_)
    bed = TestBed(
        await deps.retriever(snapshot),
        deps.embedder,
        deps.settings.retrieval,
        candidates=candidates,
        own_phase=deps.settings.gate.own_phase,
    )
    bed.add(known_states(deps, round_))
    _store(deps, round_, candidates, await put_to_test(deps, round_, bed, candidates, report))


async def put_to_test(deps: Deps, round_: int, bed: TestBed, candidates: Sequence[Candidate], report: Report) -> tuple[Evidence, ...]:
    """Find the moments that the bed lacks, play the pairs, decide over all candidates together; evidence in their order.

    `round_` says which customers are drawn: no other round has them."""
    if deps.domain.recorded:
        known = {state.id for state in bed.pool}
        _add(deps, round_, bed, [state for state in split_states(deps, "train") if state.id not in known], first=0)
    elif wanted := _wanted(await _short(bed, candidates, deps.settings.gate.most), deps.domain.issues):
        await _add_openings(deps, round_, bed, wanted, report)
        await _add_conversations(deps, round_, bed, candidates, report)

    def answer_for(tested: Candidate) -> Answer:
        async def answer(scenario: Scenario, sample: int, candidate: Candidate | None) -> Answered:
            guidance = bed.guided(candidate, scenario) if candidate else bed.base(scenario, tested)
            try:
                result = await replay(deps.agent(None), deps.domain, scenario, guidance=guidance, purpose="admit", sample=sample)
            except ModelError as error:
                return Answered(grade=Grade(), failure=f"{error.kind}: {error.message}")
            return Answered(grade=Grade.of(result.verdicts), text=result.reply)

        return answer

    return await run_gate(
        candidates,
        [await bed.usable(c) for c in candidates],
        deps.settings.gate,
        [answer_for(c) for c in candidates],
        k=deps.settings.retrieval.k,
        student=deps.student.model_name,
        snapshot_hash=bed.retriever.snapshot.hash,
        concurrency=deps.lanes,
        progress=report,
        compare=None if deps.judge is None else partial(compare_turns, deps, round_),
        judged=deps.judged,
    )


def known_states(deps: Deps, round_: int) -> list[Scenario]:
    """The student's own states of this and earlier rounds, and what was drawn beyond them in earlier rounds."""
    run, store = deps.run.id, deps.store
    states: list[Scenario] = []
    for earlier in range(round_ + 1):
        states += store.documents(run, "scenario", Scenario, earlier)
        if earlier < round_:
            states += store.documents(run, "extra_scenario", Scenario, earlier)
    return states


async def _short(bed: TestBed, candidates: Sequence[Candidate], needed: int) -> list[tuple[int, Candidate]]:
    """The candidates that have fewer test moments than needed, each with how many it lacks. Controls wait for what comes up.

    The pool is asked for all of them: what counts as alike is set when a candidate is first asked for, before anybody else is served."""
    lacking = [(bed.shortage(c, await bed.usable(c), needed), c) for c in candidates]
    return [(lack, c) for lack, c in lacking if lack and not c.is_control]


def _wanted(short: Sequence[tuple[int, Candidate]], every: Sequence[str] = ()) -> dict[str, int]:
    """Issue -> customers to draw: the largest shortage among the candidates that were coached on it, or on `every` issue."""
    wanted: dict[str, int] = {}
    for lack, candidate in short:
        for issue in _issues(candidate, every):
            wanted[issue] = max(wanted.get(issue, 0), lack)
    return wanted


def _issues(candidate: Candidate, every: Sequence[str]) -> list[str]:
    """The issues that a candidate was coached on; of one without keys, an entry for everywhere, `every` one."""
    return sorted({key.issue for key in candidate.keys} or every)


def extra_personas(
    deps: Deps, first_index: int, wanted: dict[str, int], *, used: Container[int] = frozenset()
) -> list[tuple[int, Persona]]:
    """(index, persona) of train personas from `first_index` on with the wanted issues, at most as many of each as wanted; none `used`."""
    left, found = dict(wanted), []
    for index in range(first_index, first_index + SEARCH):
        if not any(left.values()):
            break
        if index in used:
            continue
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
    _add(deps, round_, bed, [state for state in opened if state is not None], first=0)


async def _add_conversations(deps: Deps, round_: int, bed: TestBed, candidates: Sequence[Candidate], report: Report) -> None:
    """Play customers for the candidates that are still short, one after the other, only up to the turn that a candidate is about.

    First those that have too few moments for any test, then those whose test could be larger; what cannot be completed comes last, and
    gains moments for the next round. A few customers for each would leave all of them short, so the cheapest one to complete comes first.
    One that gained nothing is left alone."""
    first = EXTRA_FIRST_INDEX + (2 * round_ + 1) * SEARCH
    turns_left = deps.settings.gate.extra_turns * deps.settings.teach.conversations
    turn_of = {s.id: s.turn for s in bed.pool}
    used: set[int] = set()
    found = 0

    async def play_for(plan: _Plan) -> None:
        nonlocal turns_left, found
        count = min(plan.conversations, turns_left // plan.turns)
        issues = _issues(plan.candidate, deps.domain.issues)
        personas = extra_personas(deps, first, {issue: -(-count // len(issues)) for issue in issues}, used=used)[:count]
        if personas:
            traces = await play_personas(deps, round_, personas, partial(_more, report, len(used)), max_turns=plan.turns)
            states = [s for t in traces if t.failure is None for s in scenarios_of(t, lambda m: key_text(m, deps.domain.language))]
            _add(deps, round_, bed, states, first=SEARCH + found)
            used.update(index for index, _ in personas)
            turns_left, found = turns_left - plan.turns * len(personas), found + len(states)

    had: dict[str, int] = {}
    gate = deps.settings.gate
    for needed, whole in ((gate.enough, True), (gate.most, True), (gate.most, False)):
        while True:
            short = [(lack, c) for lack, c in await _short(bed, candidates, needed) if c.id not in had or needed - lack > had[c.id]]
            plans = [_Plan(CONVERSATIONS * lack, _turns(deps, c, turn_of), lack, c) for lack, c in short]
            fitting = [plan for plan in plans if plan.cost <= turns_left or not whole]
            if not fitting:
                break
            plan = min(fitting, key=lambda plan: (plan.cost, plan.candidate.id))
            had[plan.candidate.id] = needed - plan.lack
            await play_for(plan)


class _Plan(NamedTuple):
    """Conversations that a candidate's missing moments would take, and the turns of each."""

    conversations: int
    turns: int
    lack: int
    candidate: Candidate

    @property
    def cost(self) -> int:
        return self.conversations * self.turns


def _turns(deps: Deps, candidate: Candidate, turn_of: Mapping[str, int]) -> int:
    """Agent turns to the moment that a candidate is about: the middle one of its keys', the first where it has none."""
    turns = [turn_of[key.scenario] if key.scenario in turn_of else turn_in(key.scenario) for key in candidate.keys]
    return min(1 + median_low(turns or [0]), deps.settings.teach.max_turns)


def _more(report: Report, before: int, done: int, total: int) -> None:
    report(before + done, before + total, "more conversations")


def _add(deps: Deps, round_: int, bed: TestBed, states: Sequence[Scenario], *, first: int) -> None:
    deps.store.put_documents(deps.run.id, "extra_scenario", [(s.id, round_, first + i, s) for i, s in enumerate(states)])
    bed.add(states)


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
