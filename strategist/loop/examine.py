"""examine: the student with the new library against the bare student on dev personas, a summary of the round, and whether to go on.

Bare conversations have the same call keys in every round, so they are paid once. All improvement happens on dev; test is never drawn here.
"""

from __future__ import annotations

from collections.abc import Sequence

from strategist.agent import GuidanceSource
from strategist.conversation import play
from strategist.domains.outcomes import outcome_of
from strategist.domains.persona import Persona
from strategist.loop.coached import Coached
from strategist.loop.compare import Armed, by_moments, compare_at, moments_of
from strategist.loop.deps import Count, Deps, in_order
from strategist.loop.generate import EXTRA_FIRST_INDEX
from strategist.records.base import stable_int
from strategist.records.evidence import Evidence
from strategist.records.library import Snapshot
from strategist.records.run import ArmName, ArmOutcome, RoundSummary, StopReason
from strategist.records.trace import Trace
from strategist.stats import Estimate, paired_difference

PARITY_MARGIN = 0.02
"""How far below the teacher the student may be at most, as far as the interval can tell, to count as equal: in score, 0 to 1."""
MIN_PROGRESS = 0.01


async def examine(deps: Deps, round_: int, report: Count) -> StopReason | None:
    """Meet the dev customers in both arms (and with the teacher, once, if it can act), store the summary, return why to stop or None."""
    snapshot = deps.store.get_document(deps.run.id, "snapshot_after", f"r{round_}", Snapshot)
    assert snapshot is not None, "consolidate runs before examine"
    source: GuidanceSource | None = await deps.retriever(snapshot) if snapshot.entries else None
    arms: list[Source] = [("bare", None), ("library", source)]
    if deps.teacher is not None:
        arms.append(("teacher", None))
    if by_moments(deps):
        outcomes = await _at_moments(deps, round_, arms, report)
    else:
        outcomes = await _in_conversations(deps, round_, arms, report)
    summary = summarise(deps, round_, snapshot, outcomes)
    deps.store.put_document(deps.run.id, "round", f"r{round_}", round_, 0, summary)
    if deps.domain.recorded and not summary.conversations:
        return "nothing_to_teach"  # all are used up
    return stop_reason(deps.store.documents(deps.run.id, "round", RoundSummary)[: round_ + 1], deps.settings.teach.rounds)


Source = tuple[ArmName, GuidanceSource | None]


async def _at_moments(deps: Deps, round_: int, arms: Sequence[Source], report: Count) -> tuple[ArmOutcome, ...]:
    count = deps.settings.teach.dev_personas
    personas = () if deps.domain.recorded else deps.domain.personas("dev", count)
    moments = (await moments_of(deps, "dev", personas, round_=round_))[:count]
    armed: list[Armed] = []
    for arm, source in arms:
        teacher = deps.teacher if arm == "teacher" else None
        armed.append((arm, teacher or deps.agent(source), "teacher" if teacher else "student"))
    return await compare_at(deps, armed, moments, report, round_=round_)


async def _in_conversations(deps: Deps, round_: int, arms: Sequence[Source], report: Count) -> tuple[ArmOutcome, ...]:
    personas = deps.domain.personas("dev", deps.settings.teach.dev_personas)
    jobs = [(arm, src, persona) for arm, src in arms for persona in personas]

    async def one(index: int, job: tuple[ArmName, GuidanceSource | None, Persona]) -> Trace:
        arm, src, persona = job
        teacher = deps.teacher if arm == "teacher" else None
        return await play(
            teacher or deps.agent(src),
            deps.customer,
            deps.domain,
            persona,
            purpose="examine",
            round=round_,
            index=index,
            arm=arm,
            sample=stable_int("study", 0, persona.id),
            max_turns=deps.settings.teach.max_turns,
            actor_role="teacher" if teacher else "student",
            tool_style=deps.settings.student.tool_style,
        )

    traces = await in_order(one, jobs, report, lanes=deps.lanes)
    for trace in traces:
        deps.store.put_trace(deps.run.id, trace)
    return tuple(outcome_of(trace, arm, 0) for trace, (arm, _, _) in zip(traces, jobs, strict=True))


def summarise(deps: Deps, round_: int, after: Snapshot, outcomes: tuple[ArmOutcome, ...]) -> RoundSummary:
    """Count what the round did, from the store."""
    run, store = deps.run.id, deps.store
    traces = [t for t in store.traces(run, purpose="generate", round=round_) if t.index < EXTRA_FIRST_INDEX]
    coached = store.documents(run, "coached", Coached, round_)
    evidence = store.documents(run, "evidence", Evidence, round_)
    return RoundSummary(
        round=round_,
        conversations=len(traces),
        failed_conversations=sum(t.failure is not None for t in traces),
        scenarios=store.count(run, "scenario", round_),
        gaps=sum(c.kind in ("candidate", "refusal") for c in coached),
        failed_states=sum(c.kind == "failed" for c in coached),
        candidates=store.count(run, "candidate", round_),
        refused=store.count(run, "refusal", round_),
        admitted=sum(e.decision == "admitted" for e in evidence),
        entries=len(after.entries),
        snapshot_before=deps.snapshot(round_).hash,
        snapshot_after=after.hash,
        floor=after.floor,
        outcomes=outcomes,
    )


def lift(outcomes: Sequence[ArmOutcome], arm: ArmName, base: ArmName) -> Estimate | None:
    """Paired difference in score over personas with both arms finished, with its 95 % interval; None for fewer than two."""
    one = {o.persona: o.score for o in outcomes if o.arm == arm and o.score is not None}
    other = {o.persona: o.score for o in outcomes if o.arm == base and o.score is not None}
    both = [name for name in one if name in other]
    return paired_difference({n: one[n] for n in both}, {n: other[n] for n in both}) if len(both) > 1 else None


def stop_reason(rounds: Sequence[RoundSummary], planned: int) -> StopReason | None:
    """Why the run ends after these rounds, or None. Pure; the first reason that holds.

    Parity with the teacher on dev; nothing left to teach (no state had a gap, and none failed to be coached); no progress (twice in a row
    neither an entry was admitted nor the lift rose by a point); the planned number of rounds.

    Parity is claimed where the lower bound of the difference to the teacher is within the margin, not where its mean is: that the student
    may be as good is no proof that it is. The interval of few personas is wide, so with few of them parity is rarely claimed
    (but it has no width where all of them differ by the same).
    """
    last = rounds[-1]
    behind = lift(last.outcomes, "library", "teacher")
    if behind is not None and behind.low >= -PARITY_MARGIN:
        return "parity"
    if last.scenarios and last.gaps == last.failed_states == 0:
        return "nothing_to_teach"
    if len(rounds) >= 3 and all(_stalled(before, after) for before, after in zip(rounds[-3:], rounds[-2:], strict=False)):
        return "no_progress"
    return "rounds" if len(rounds) >= planned else None


def _stalled(before: RoundSummary, after: RoundSummary) -> bool:
    old, new = lift(before.outcomes, "library", "bare"), lift(after.outcomes, "library", "bare")
    return after.admitted == 0 and (old is None or new is None or new.mean - old.mean < MIN_PROGRESS)
