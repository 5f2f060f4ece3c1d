"""The coachability probe: does this student do better with the right line, and worse with a wrong one? Before a budget is spent.

Owns moments, arms and the verdict. A moment is a train customer's first message at which the advisor has lines for what the student just
did. That reply only chooses the lines; every arm is answered afresh, so that nobody looks better for having failed before. Right: the
moment's own lines. Near miss and far: those of the most and of the least similar moment of another issue, with another text: also the
placebo, since some students get more careful whatever stands there. Knows no database.

Invariants: the unit is the persona, one moment each; differences are paired; results come in the order of the moments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Literal, NamedTuple

from strategist.conversation import TurnResult, opening_scenario, replay
from strategist.errors import DomainError, ModelError
from strategist.gate.pairs import grade_value
from strategist.loop.coach import teacher_reply
from strategist.loop.deps import Count, Deps, in_order
from strategist.records.base import Record, stable_int
from strategist.records.library import Guidance
from strategist.records.trace import Grade, Scenario
from strategist.roles.protocols import Attempt
from strategist.stats import Estimate, paired_difference

if TYPE_CHECKING:
    from strategist.retrieval.embed import Vectors

ProbeArm = Literal["bare", "right", "near miss", "far"]
ARMS: tuple[ProbeArm, ...] = ("bare", "right", "near miss", "far")
FIRST_INDEX = 5_000_000
"""Personas from here on are drawn for probes only."""
DRAWS = 6
"""First messages that are looked at for each moment wanted: the student needs no line at some of them."""
USEFUL = 0.05
"""A lift of less than this share of a reply's value is not worth a library: about one check of four, at one turn in five."""

Verdict = Literal["coachable", "any line helps", "not coachable", "not proven"]


class Moment(NamedTuple):
    """A first message, with the lines of each guided arm."""

    scenario: Scenario
    lines: Mapping[ProbeArm, tuple[str, ...]]


class Replies(Record):
    """What an arm's replies at one moment were worth, in [0, 1] each; how many passed all checks, how many had a hard failure."""

    arm: ProbeArm
    persona: str
    values: tuple[float, ...]
    passed: int
    hard: int


class Probe(Record):
    """All replies of a probe, and how many student replies it took."""

    student: str
    advisor: str
    replies: tuple[Replies, ...]
    spent: int


class ArmFigures(NamedTuple):
    """One arm over all moments: mean value, share of replies that pass all checks, share with a hard failure, difference to bare."""

    arm: ProbeArm
    value: float
    passed: float
    hard: float
    over_bare: Estimate | None


async def probe(deps: Deps, *, moments: int = 24, samples: int = 2, report: Count) -> Probe:
    """Find the moments and play the arms. Raises DomainError where the advisor has lines at fewer than three of them."""
    found = await find_moments(deps, moments, report)
    if len(found) < 3:
        raise DomainError(
            f"the advisor has lines for {len(found)} of {moments * DRAWS} first messages: too few to probe the student",
            hint="a handbook needs checks with advice for what customers say first; or the student already passes them",
        )
    work = [(m, arm, sample) for m in found for arm in ARMS if arm == "bare" or arm in m.lines for sample in range(samples)]

    async def one(_: int, item: tuple[Moment, ProbeArm, int]) -> Grade | None:
        moment, arm, sample = item
        number = stable_int("probe", moment.scenario.id, arm, sample)
        try:
            return Grade.of((await _reply(deps, moment.scenario, moment.lines.get(arm, ()), number)).verdicts)
        except ModelError:
            return None  # recorded in the call log; such a reply says nothing about lines

    grades = await in_order(one, work, report, lanes=deps.lanes)
    by_cell: dict[tuple[ProbeArm, str], list[Grade]] = {}
    for (moment, arm, _), grade in zip(work, grades, strict=True):
        if grade is not None:
            by_cell.setdefault((arm, moment.scenario.persona), []).append(grade)
    replies = tuple(
        Replies(
            arm=arm,
            persona=persona,
            values=tuple(grade_value(grade) for grade in cell),
            passed=sum(not grade.hard_failures and grade.soft_passed == grade.soft_total for grade in cell),
            hard=sum(grade.hard_failures > 0 for grade in cell),
        )
        for (arm, persona), cell in by_cell.items()
    )
    return Probe(student=deps.student.model_name, advisor=deps.advisor.name, replies=replies, spent=deps.spent()[0])


async def find_moments(deps: Deps, wanted: int, report: Count) -> list[Moment]:
    """Up to `wanted` first messages at which the advisor has lines, issues in turn, with the lines of all arms."""
    issues = deps.domain.issues
    chosen: dict[str, tuple[Scenario, tuple[str, ...]]] = {}
    per_issue = -(-wanted // len(issues))
    for part in range(DRAWS):
        if len(chosen) >= wanted:
            break
        numbers = [FIRST_INDEX + part * wanted + i for i in range(wanted)]
        advised = await in_order(lambda _, index: _advised(deps, index), numbers, report, lanes=deps.lanes)
        for scenario, lines in (one for one in advised if one is not None):
            crowded = sum(s.issue == scenario.issue for s, _ in chosen.values()) >= per_issue + part
            if len(chosen) < wanted and not crowded:
                chosen[scenario.persona] = (scenario, lines)
    own = list(chosen.values())
    if not own:
        return []
    vectors = await deps.embedder.embed([scenario.key for scenario, _ in own])
    return with_others([s for s, _ in own], [lines for _, lines in own], vectors)


def with_others(scenarios: Sequence[Scenario], lines: Sequence[tuple[str, ...]], vectors: Vectors) -> list[Moment]:
    """Each moment with its own lines, and with those of the most and the least similar moment of another issue that has another text. Pure.

    `vectors`: unit rows, one per scenario. Where there is no such other moment, only their own."""
    similarity = vectors @ vectors.T
    found = []
    for i, scenario in enumerate(scenarios):
        others = [j for j, other in enumerate(scenarios) if other.issue != scenario.issue and set(lines[j]).isdisjoint(lines[i])]
        given: dict[ProbeArm, tuple[str, ...]] = {"right": lines[i]}
        if others:
            ranked = sorted(others, key=lambda j: (-float(similarity[i, j]), j))
            given |= {"near miss": lines[ranked[0]], "far": lines[ranked[-1]]}
        found.append(Moment(scenario, given))
    return found


async def _advised(deps: Deps, index: int) -> tuple[Scenario, tuple[str, ...]] | None:
    """A customer's first message and the advisor's lines for what the student says to it; None where it has none."""
    persona = deps.domain.draw("train", index, deps.run.seed)
    try:
        scenario = await opening_scenario(
            deps.customer, deps.domain, persona, index=index, tool_style=deps.settings.student.tool_style, purpose="probe"
        )
        number = stable_int("probe", scenario.id, "choose")
        reply = await _reply(deps, scenario, (), number)
        theirs = await teacher_reply(deps, scenario, number, purpose="probe")
        advice = await deps.advisor.advise(scenario, [Attempt(text=reply.reply, verdicts=reply.verdicts)], theirs, sample=number)
    except ModelError:
        return None
    lines = tuple(strategy.text for strategy in advice.strategies)
    return (scenario, lines) if lines else None


async def _reply(deps: Deps, scenario: Scenario, lines: tuple[str, ...], sample: int) -> TurnResult:
    return await replay(deps.agent(None), deps.domain, scenario, guidance=Guidance.given(lines), purpose="probe", sample=sample)


def figures(result: Probe) -> list[ArmFigures]:
    """Each arm's figures; differences are over the personas that both arms have. Pure."""
    values = {arm: {r.persona: fmean(r.values) for r in result.replies if r.arm == arm} for arm in ARMS}
    found = []
    for arm in ARMS:
        own = [r for r in result.replies if r.arm == arm]
        count = sum(len(r.values) for r in own)
        both = sorted(values[arm].keys() & values["bare"].keys())
        over = None
        if arm != "bare" and len(both) > 1:
            over = paired_difference({p: values[arm][p] for p in both}, {p: values["bare"][p] for p in both})
        shares = (sum(r.passed for r in own) / max(1, count), sum(r.hard for r in own) / max(1, count))
        if own:
            found.append(ArmFigures(arm, fmean(values[arm].values()), *shares, over))
    return found


def fit(result: Probe) -> Estimate | None:
    """How much better replies with right lines are than those of the same customer with lines for another matter; None where fewer than two
    have both. Pure."""
    right: dict[str, float] = {}
    others: dict[str, list[float]] = {}
    for one in result.replies:
        if one.arm == "right":
            right[one.persona] = fmean(one.values)
        elif one.arm != "bare":
            others.setdefault(one.persona, []).append(fmean(one.values))
    both = sorted(right.keys() & others.keys())
    if len(both) < 2:
        return None
    return paired_difference({p: right[p] for p in both}, {p: fmean(others[p]) for p in both})


def verdict_of(lift: Estimate | None, fits: Estimate | None) -> Verdict:
    """What the lift with right lines over none, and over lines that do not fit, says. Pure.

    Where every customer needs the same line there are no others: then the lift alone decides."""
    if lift is None:
        return "not proven"
    if lift.low > 0:
        return "coachable" if fits is None or fits.low > 0 else "any line helps"
    return "not coachable" if lift.high < USEFUL else "not proven"


def harm_share(found: Sequence[ArmFigures]) -> float | None:
    """H / (H + L): how likely to be right a line must be to be placed. H is the larger harm of the two wrong arms, L the lift with right
    lines; None without a lift. Pure."""
    over = {one.arm: one.over_bare.mean for one in found if one.over_bare is not None}
    lift, harm = over.get("right", 0.0), max(0.0, -over.get("near miss", 0.0), -over.get("far", 0.0))
    return harm / (harm + lift) if lift > 0 else None
