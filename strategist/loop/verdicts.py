"""Which of two replies is better: by the checks' verdicts first, and by the judge where they leave it open and there is one.

Every comparison that a judge makes is kept (records.evidence.Judged), so that people can label a sample of them and the judge's lean be
known. Knows no candidate and no guidance.
"""

from __future__ import annotations

from strategist.errors import ModelError
from strategist.gate.pairs import Answered, Compared
from strategist.loop.deps import Deps
from strategist.records.base import digest
from strategist.records.chat import Purpose
from strategist.records.evidence import Comparison, Judged, JudgedKind, PairResult
from strategist.records.trace import Scenario
from strategist.roles.protocols import Attempt

JUDGED = "judged"
"""Kind of the documents that hold a judge's comparisons."""

_RESULTS: dict[str, PairResult] = {"second": "win", "first": "loss", "tie": "tie", "abstain": "tie"}


async def compare_attempts(
    deps: Deps, round_: int, scenario: Scenario, one: Attempt, other: Attempt, sample: int, *, teacher: bool = False
) -> PairResult:
    """How `one` does against `other`. An abstention of the judge is a tie. `teacher`: `one` is what the teacher says."""
    by_checks = one.grade.against(other.grade)
    if deps.judge is None or by_checks != "tie":
        return by_checks
    kind: JudgedKind = "teacher" if teacher else "gate"
    said = await _asked(deps, round_, scenario, other.text, one.text, purpose="coach", sample=sample, kind=kind)
    return _RESULTS[said.preference]


async def compare_turns(deps: Deps, round_: int, scenario: Scenario, baseline: Answered, guided: Answered, sample: int) -> Compared:
    """The gate's question. A judge that cannot be read, or fails, leaves the pair without a result."""
    try:
        said = await _asked(deps, round_, scenario, baseline.text, guided.text, purpose="admit", sample=sample, kind="gate")
    except ModelError as error:
        return Compared("tie", f"judge: {error.kind}: {error.message}")
    unread = said.preference == "abstain"
    return Compared(_RESULTS[said.preference], "judge: its verdict could not be read" if unread else None)


async def preference_over(deps: Deps, round_: int, scenario: Scenario, bare: str, reply: str, sample: int) -> float | None:
    """1 where `reply` is better than `bare`, -1 where it is worse, 0 for a tie, None for an abstention. Raises ModelError."""
    said = await _asked(deps, round_, scenario, bare, reply, purpose="examine", sample=sample, kind=None)
    return {"second": 1.0, "first": -1.0, "tie": 0.0}.get(said.preference)


async def _asked(
    deps: Deps,
    round_: int,
    scenario: Scenario,
    before: str,
    after: str,
    *,
    purpose: Purpose,
    sample: int,
    kind: JudgedKind | None,
) -> Comparison:
    assert deps.judge is not None, "only where there is a judge"
    said = await deps.judge.compare(scenario, before, after, purpose=purpose, sample=sample)
    if kind is not None and before.strip() != after.strip():
        judged = Judged(
            kind=kind,
            judge=deps.judge.name,
            scenario=scenario.id,
            persona=scenario.persona,
            round=round_,
            reply_before=before,
            reply_after=after,
            comparison=said,
        )
        deps.store.put_document(deps.run.id, JUDGED, digest([kind, scenario.id, purpose, sample], 16), round_, 0, judged)
    return said
