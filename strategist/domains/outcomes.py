"""From a trace to what it counts for in a comparison of arms. Pure."""

from __future__ import annotations

from strategist.domains.grading import check_counts
from strategist.records.run import ArmName, ArmOutcome
from strategist.records.trace import Trace


def outcome_of(trace: Trace, arm: ArmName, seed: int) -> ArmOutcome:
    """What one conversation counts for. A failed one has score None and its typed cause; it is left out, never counted as 0."""
    outcome = trace.outcome if trace.failure is None else None
    cause = f"{trace.failure.kind}: {trace.failure.message}" if trace.failure else "model: the conversation has no outcome"
    return ArmOutcome(
        arm=arm,
        persona=trace.persona,
        issue=trace.issue,
        seed=seed,
        score=outcome.score if outcome else None,
        goal=outcome.goal if outcome else False,
        hard_failures=outcome.hard_failures if outcome else 0,
        agent_turns=len(trace.turns),
        guided_turns=sum(bool(turn.guidance.lines) for turn in trace.turns),
        checks=check_counts(outcome) if outcome else (),
        failure=None if outcome else cause,
        trace=trace.id,
    )
