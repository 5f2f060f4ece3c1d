"""Made-up records for the loop's pure parts: as little as a decision looks at."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import settings

from strategist.records.evidence import Decision, Evidence, Pair, PairResult
from strategist.records.library import Candidate, Entry, Key, Scope, Strategy
from strategist.records.run import ArmName, ArmOutcome, RoundSummary
from strategist.records.trace import Scenario, Verdict

PURE = settings(max_examples=50, deadline=None)
"""For properties of pure decisions."""


def key(name: str, *, persona: str = "train-0-0", issue: str = "late", text: str | None = None) -> Key:
    return Key(scenario=f"s-{name}", persona=persona, issue=issue, text=name if text is None else text)


def candidate(name: str, *lines: str, keys: Sequence[Key] = (), scope: Scope = "specific", index: int = 0, round_: int = 0) -> Candidate:
    """A candidate; without lines a control."""
    own = tuple(keys) or (key(name),)
    return Candidate(
        id=name, round=round_, index=index, keys=own, scope=scope, strategies=tuple(Strategy(text=line, scope=scope) for line in lines)
    )


def entry(name: str, *lines: str, keys: Sequence[Key] = (), scope: Scope = "specific") -> Entry:
    return Entry(
        id=name,
        status="admitted",
        keys=tuple(keys) or (key(name),),
        strategies=tuple(Strategy(text=line, scope=scope) for line in lines),
        scope=scope,
        domain="d",
        brief_hash="b",
        student="s",
        advisor="a",
        round=0,
    )


def scenario(name: str, *, failed: bool = False, persona: str = "train-0-0", issue: str = "late", text: str = "") -> Scenario:
    verdict = Verdict(check="c", hard=False, passed=not failed, turn=0)
    return Scenario(
        id=name, trace=name, persona=persona, issue=issue, turn=0, messages=(), key=text or name, state={}, verdicts=(verdict,)
    )  # fmt: skip


def evidence(decision: Decision, pairs: Sequence[Pair] = ()) -> Evidence:
    return Evidence(decision=decision, pairs=tuple(pairs))


def pair(scenario_id: str, result: PairResult = "win", *, score: float = 0.5, persona: str = "train-9-0") -> Pair:
    uplift = {"win": 1.0, "loss": -1.0, "tie": 0.0}[result]
    return Pair(
        scenario=scenario_id, persona=persona, stage=1, score=score, result=result, uplift=uplift, baseline_hard=0, guided_hard=0
    )  # fmt: skip


def outcomes(arm: ArmName, scores: Sequence[float | None]) -> tuple[ArmOutcome, ...]:
    """One outcome per persona dev-0, dev-1, ...; None: that conversation failed."""
    return tuple(
        ArmOutcome(arm=arm, persona=f"dev-{i}", issue="late", seed=0, score=score, goal=False, hard_failures=0, agent_turns=1)
        for i, score in enumerate(scores)
    )


def summary(
    round_: int, found: Sequence[ArmOutcome] = (), *, gaps: int = 3, failed_states: int = 0, scenarios: int = 9, admitted: int = 1
) -> RoundSummary:
    return RoundSummary(
        round=round_,
        conversations=4,
        failed_conversations=0,
        scenarios=scenarios,
        gaps=gaps,
        failed_states=failed_states,
        candidates=2,
        refused=1,
        admitted=admitted,
        entries=admitted,
        snapshot_before="a",
        snapshot_after="b",
        outcomes=tuple(found),
    )
