"""coach: for each chosen state the advisor compares and writes lines, and the student tries again with them; the best attempt is kept.

A state where the fresh reply has no gap gives a control (nothing needed). Lines that break the wording rules, or help nobody, become
refusals with their reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from strategist.conversation import replay
from strategist.errors import ModelError
from strategist.library.lint import lint_candidate
from strategist.loop.coached import Coached
from strategist.loop.deps import Count, Deps, in_order
from strategist.loop.merge import candidate_id
from strategist.loop.propose import propose
from strategist.loop.recorded import recorded_reply
from strategist.loop.select import Selection
from strategist.loop.verdicts import compare_attempts
from strategist.records.base import stable_int
from strategist.records.chat import Purpose
from strategist.records.library import Candidate, Guidance, Key, Refusal, Strategy
from strategist.records.trace import Scenario
from strategist.retrieval.retriever import Retriever
from strategist.roles.protocols import Advice, Attempt


async def coach(deps: Deps, round_: int, report: Count) -> None:
    """Coach the selected states, merge what says the same, store candidates and refusals."""
    selection = deps.store.get_document(deps.run.id, "selection", f"r{round_}", Selection)
    assert selection is not None, "select runs before coach"
    scenarios = {s.id: s for s in deps.store.documents(deps.run.id, "scenario", Scenario, round_)}
    chosen = [scenarios[name] for name in (*selection.failing, *selection.controls)]
    snapshot = deps.snapshot(round_)
    retriever = await deps.retriever(snapshot)

    async def one(index: int, scenario: Scenario) -> Coached:
        try:
            return await coach_state(deps, round_, index, scenario, retriever)
        except ModelError as error:
            return Coached(scenario=scenario.id, kind="failed", message=f"{error.kind}: {error.message}")

    coached = await in_order(one, chosen, report, lanes=deps.lanes)
    store, run = deps.store, deps.run.id
    store.put_documents(run, "coached", [(c.scenario, round_, i, c) for i, c in enumerate(coached)])
    refusals = [c.refusal for c in coached if c.refusal is not None]
    store.put_documents(run, "refusal", [(f"{r.candidate}-{r.stage}-{r.index}", round_, r.index, r) for r in refusals])
    await propose(deps, round_, [c.candidate for c in coached if c.candidate is not None], snapshot)


async def coach_state(deps: Deps, round_: int, index: int, scenario: Scenario, retriever: Retriever) -> Coached:
    """Up to J tries at one state. Raises ModelError where a model fails for good."""
    sample = stable_int("coach", round_, scenario.id)
    before = await retriever.guidance(scenario.messages)
    attempts = [await _attempt(deps, scenario, before, stable_int(sample, 0))]
    theirs = await teacher_reply(deps, scenario, sample, purpose="coach")
    if deps.judge is not None and theirs is not None and not await _behind(deps, round_, scenario, attempts[0], theirs, sample):
        return _conclude(deps, round_, index, scenario, attempts, [], theirs, best=0)
    advices: list[Advice] = []
    best = 0
    for step in range(deps.settings.teach.coaching_steps):
        advice = await deps.advisor.advise(scenario, attempts, theirs, sample=stable_int(sample, "advice", step))
        advices.append(advice)
        if advice.gap == "none" or not advice.strategies:
            break
        guidance = Guidance.given([s.text for s in advice.strategies])
        attempts.append(await _attempt(deps, scenario, guidance, stable_int(sample, step + 1)))
        if await compare_attempts(deps, round_, scenario, attempts[-1], attempts[best], stable_int(sample, "better", step)) == "win":
            best = len(attempts) - 1
        if best if deps.judge is not None else not any(v.passed is False for v in attempts[-1].verdicts):
            break
    return _conclude(deps, round_, index, scenario, attempts, advices, theirs, best=best)


async def _behind(deps: Deps, round_: int, scenario: Scenario, own: Attempt, theirs: str, sample: int) -> bool:
    """Whether a judge prefers the teacher's reply: else there is nothing to advise."""
    other = Attempt(text=theirs, verdicts=own.verdicts)
    return await compare_attempts(deps, round_, scenario, other, own, stable_int(sample, "gap"), teacher=True) == "win"


async def _attempt(deps: Deps, scenario: Scenario, guidance: Guidance, sample: int) -> Attempt:
    result = await replay(deps.agent(None), deps.domain, scenario, guidance=guidance, purpose="coach", sample=sample)
    return Attempt(text=result.reply, lines=guidance.lines, verdicts=result.verdicts)


async def teacher_reply(deps: Deps, scenario: Scenario, sample: int, *, purpose: Purpose) -> str | None:
    """What the teacher says there, or said where a conversation of its was recorded; None without one. Raises ModelError where it fails
    for good."""
    if (recorded := recorded_reply(deps, scenario)) is not None:
        return recorded
    if deps.teacher is None:
        return None
    return (await replay(deps.teacher, deps.domain, scenario, guidance=Guidance.given(()), purpose=purpose, sample=sample)).reply


def _conclude(
    deps: Deps,
    round_: int,
    index: int,
    scenario: Scenario,
    attempts: Sequence[Attempt],
    advices: Sequence[Advice],
    teacher_reply: str | None,
    *,
    best: int,
) -> Coached:
    """What comes of the attempts, of which `best` did better than all before it; 0: none did."""
    first, seen = attempts[0], {"scenario": scenario.id, "attempts": tuple(attempts), "advice": tuple(advices)}
    if len(attempts) == 1:
        control = not first.lines and not any(v.passed is False for v in first.verdicts)
        candidate = _candidate(round_, index, scenario, (), advices, first, first, teacher_reply) if control else None
        return Coached.model_validate({**seen, "kind": "control" if control else "no_gap", "candidate": candidate})
    strategies = advices[max(best, 1) - 1].strategies
    faults = lint_candidate(
        strategies,
        teacher_reply=teacher_reply,
        customer_texts=[m.content for m in scenario.messages if m.role == "user"],
        brief=deps.domain.brief,
        language=deps.domain.language,
    )
    if faults:
        return Coached.model_validate(
            {
                **seen,
                "kind": "refusal",
                "refusal": _refusal(round_, index, scenario, strategies, "lint", "; ".join(f.message for f in faults)),
            }
        )
    if not best:
        return Coached.model_validate(
            {
                **seen,
                "kind": "refusal",
                "refusal": _refusal(round_, index, scenario, strategies, "coach", "the student did not do better with these lines"),
            }
        )
    return Coached.model_validate(
        {
            **seen,
            "kind": "candidate",
            "candidate": _candidate(round_, index, scenario, strategies, advices, first, attempts[best], teacher_reply),
        }
    )


def _candidate(
    round_: int,
    index: int,
    scenario: Scenario,
    strategies: tuple[Strategy, ...],
    advices: Sequence[Advice],
    first: Attempt,
    best: Attempt,
    teacher_reply: str | None,
) -> Candidate:
    key = Key(scenario=scenario.id, persona=scenario.persona, issue=scenario.issue, text=scenario.key)
    return Candidate(
        id=candidate_id(round_, strategies, (key,)),
        round=round_,
        index=index,
        keys=(key,),
        strategies=strategies,
        why=advices[-1].why if advices else "",
        reply_before=first.text,
        reply_after=best.text,
        reply_teacher=teacher_reply,
    )


def _refusal(
    round_: int, index: int, scenario: Scenario, strategies: tuple[Strategy, ...], stage: Literal["lint", "coach"], why: str
) -> Refusal:
    name = candidate_id(round_, strategies, [Key(scenario=scenario.id, persona=scenario.persona, issue=scenario.issue, text=scenario.key)])
    return Refusal(candidate=name, round=round_, index=index, stage=stage, reason=why, strategies=strategies, issue=scenario.issue)
