"""Studies: the same customers met by several arms, and what the difference is.

Owns how a comparison is run (`run_study`) and how its outcomes are counted (everything else here, pure). Knows no database and no model.

Invariants: the unit of every interval is the persona, because seeds of one persona are not independent: values are averaged over seeds
first. A conversation that failed has no score; it is left out together with its partner in the other arm and counted, never scored 0.
Nothing depends on the order in which conversations finish.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, get_args

from strategist.conversation import play
from strategist.domains.domain import Domain
from strategist.domains.outcomes import outcome_of
from strategist.domains.persona import Persona
from strategist.evaluation.arms import Arm
from strategist.loop.deps import in_order
from strategist.records.base import Record, stable_int
from strategist.records.run import ArmName, ArmOutcome, CheckCount
from strategist.records.trace import Trace
from strategist.roles.protocols import Customer
from strategist.stats import Estimate, mean_interval, paired_difference, wilson

ARM_ORDER: tuple[ArmName, ...] = get_args(ArmName)
CONTRASTS: tuple[tuple[ArmName, ArmName], ...] = (
    ("library", "bare"),
    ("handbook", "bare"),
    ("random", "bare"),
    ("teacher", "bare"),
    ("library", "handbook"),
    ("library", "random"),
    ("library", "teacher"),
)
"""Pairs worth reading, the most important first: does it help, do simpler things help as much, does relevance matter, how far to go."""

Pairing = tuple[ArmOutcome, ArmOutcome]

FIRST_SEED = 1
"""Evaluations begin here: the replies of seed 0 are those of the examination after each round, which decides when teaching stops."""


class ArmSummary(Record):
    """One arm on its own. Intervals are over personas; `hard` is conversations with a hard failure per 100; None: fewer than 2 personas."""

    arm: ArmName
    score: Estimate | None
    goal: Estimate | None
    hard: Estimate | None
    turns: Estimate | None
    guided_share: float
    conversations: int
    failed: int
    personas: int
    seeds: int


class ArmComparison(Record):
    """`arm` minus `base` for the same personas and seeds. `lift` is of the score, `goal` of the goal rate, `hard` of conversations with a
    hard failure per 100 (below 0 is better). `left_out` counts (persona, seed) units that lack a finished conversation on either side."""

    arm: ArmName
    base: ArmName
    lift: Estimate | None
    goal: Estimate | None
    hard: Estimate | None
    personas: int
    seeds: int
    left_out: int

    @property
    def line(self) -> str:
        """One line for terminals: `lift +0.12 [0.05, 0.19] n=16 seeds=3`."""
        size = f"n={self.personas} seeds={self.seeds}"
        if self.lift is None:
            return f"lift not measured {size}"
        return f"lift {self.lift.mean:+.2f} [{self.lift.low:+.2f}, {self.lift.high:+.2f}] {size}"


class CheckComparison(Record):
    """One check in two arms: pass rates where it applied, and their paired difference over the personas where it applied in both."""

    check: str
    hard: bool
    base: Estimate | None
    arm: Estimate | None
    lift: Estimate | None
    seeds: int


class IssueComparison(Record):
    """One kind of issue: mean scores of both arms and the paired lift over its personas."""

    issue: str
    base_mean: float
    arm_mean: float
    lift: Estimate | None
    personas: int
    seeds: int


def study_seeds(count: int) -> range:
    """The seeds of an evaluation with `count` seeds: none of them was looked at while the library was learned."""
    return range(FIRST_SEED, FIRST_SEED + count)


def study_sample(seed: int, persona: str) -> int:
    """The sample number of a conversation: the same in every arm and study."""
    return stable_int("study", seed, persona)


async def run_study(
    arms: Sequence[Arm],
    personas: Sequence[Persona],
    seeds: Sequence[int],
    *,
    domain: Domain,
    customer: Customer,
    max_turns: int = 6,
    tool_style: Literal["native", "text"] = "native",
    lanes: int = 8,
    round: int = 0,  # noqa: A002 - the record's word
    progress: Callable[[int, int], None] | None = None,
    keep: Callable[[Trace], None] | None = None,
) -> tuple[ArmOutcome, ...]:
    """Play every persona with every seed in every arm, `lanes` conversations at a time; outcomes come in the order arms, personas, seeds.

    The sample number depends on seed and persona only, so requests that do not differ between arms or studies are paid for once. `progress`
    gets (done, total), `keep` every trace as soon as its conversation has ended. Raises BudgetExceededError or ServerUnavailableError
    after stopping the rest; what was answered until then is in the call log.
    """
    jobs = [(arm, persona, seed) for arm in arms for persona in personas for seed in seeds]

    async def one(index: int, job: tuple[Arm, Persona, int]) -> Trace:
        arm, persona, seed = job
        trace = await play(
            arm.actor,
            customer,
            domain,
            persona,
            purpose="examine",
            round=round,
            index=index,
            arm=arm.name,
            sample=study_sample(seed, persona.id),
            max_turns=max_turns,
            actor_role=arm.role,
            tool_style=tool_style,
        )
        if keep is not None:
            keep(trace)
        return trace

    traces = await in_order(one, jobs, progress or _silent, lanes=lanes)
    return tuple(outcome_of(trace, arm.name, seed) for trace, (arm, _, seed) in zip(traces, jobs, strict=True))


def summarise(outcomes: Iterable[ArmOutcome]) -> tuple[ArmSummary, ...]:
    """One summary per arm that occurs, in the order bare, handbook, random, library, teacher."""
    by_arm: dict[ArmName, list[ArmOutcome]] = defaultdict(list)
    for outcome in outcomes:
        by_arm[outcome.arm].append(outcome)
    return tuple(_summary(arm, by_arm[arm]) for arm in ARM_ORDER if arm in by_arm)


def compare(outcomes: Iterable[ArmOutcome], arm: ArmName, base: ArmName) -> ArmComparison:
    """Paired difference `arm` - `base`: per persona the mean over seeds, then Student's t interval over personas."""
    pairs, left_out = pair_up(outcomes, arm, base)
    return ArmComparison(
        arm=arm,
        base=base,
        lift=_difference(pairs, _score),
        goal=_difference(pairs, _goal),
        hard=_difference(pairs, _hard),
        personas=len({a.persona for a, _ in pairs}),
        seeds=len({a.seed for a, _ in pairs}),
        left_out=left_out,
    )


def contrasts(outcomes: Iterable[ArmOutcome]) -> tuple[ArmComparison, ...]:
    """The comparisons of CONTRASTS for which both arms were played."""
    known = tuple(outcomes)
    played = {outcome.arm for outcome in known}
    return tuple(compare(known, arm, base) for arm, base in CONTRASTS if arm in played and base in played)


def pair_up(outcomes: Iterable[ArmOutcome], arm: ArmName, base: ArmName) -> tuple[list[Pairing], int]:
    """(arm, base) outcomes of the same persona and seed that both have a score, sorted, and how many units were left out."""
    sides: dict[ArmName, dict[tuple[str, int], ArmOutcome]] = {arm: {}, base: {}}
    for outcome in outcomes:
        if outcome.arm in sides:
            sides[outcome.arm][(outcome.persona, outcome.seed)] = outcome
    units = sorted(sides[arm].keys() | sides[base].keys())
    pairs = [(sides[arm][unit], sides[base][unit]) for unit in units if unit in sides[arm] and unit in sides[base]]
    complete = [(a, b) for a, b in pairs if a.score is not None and b.score is not None]
    return complete, len(units) - len(complete)


def by_check(outcomes: Iterable[ArmOutcome], arm: ArmName = "library", base: ArmName = "bare") -> tuple[CheckComparison, ...]:
    """Every check that applied anywhere, hard ones first, then by name. A persona's rate is passed / applied over its seeds."""
    pairs, _ = pair_up(outcomes, arm, base)
    kinds = {count.check: count.hard for pair in pairs for side in pair for count in side.checks}
    found = []
    for name, hard in sorted(kinds.items(), key=lambda item: (not item[1], item[0])):
        with_arm, with_base = (_check_rates([pair[side] for pair in pairs], name) for side in (0, 1))
        common = with_arm.keys() & with_base.keys()
        found.append(
            CheckComparison(
                check=name,
                hard=hard,
                base=rate(with_base.values()),
                arm=rate(with_arm.values()),
                lift=paired_difference(with_arm, with_base) if len(common) > 1 else None,
                seeds=len({a.seed for a, _ in pairs}),
            )
        )
    return tuple(found)


def by_issue(outcomes: Iterable[ArmOutcome], arm: ArmName = "library", base: ArmName = "bare") -> tuple[IssueComparison, ...]:
    """Every kind of issue, by name, with the lift over its personas; None where there is only one."""
    groups: dict[str, list[Pairing]] = defaultdict(list)
    for pair in pair_up(outcomes, arm, base)[0]:
        groups[pair[0].issue].append(pair)
    return tuple(_issue(issue, groups[issue]) for issue in sorted(groups))


def rate(values: Iterable[float]) -> Estimate | None:
    """A share in [0, 1] over personas. Wilson's interval where every persona is all or nothing (it has a width even at 0 and 1), else
    Student's t interval of the personas' shares, cut to [0, 1]. None for fewer than two personas."""
    shares = sorted(values)
    if len(shares) < 2:
        return None
    if all(share in (0.0, 1.0) for share in shares):
        return wilson(round(sum(shares)), len(shares))
    plain = mean_interval(shares)
    return Estimate(plain.mean, max(0.0, plain.low), min(1.0, plain.high), plain.n)


def _summary(arm: ArmName, outcomes: Sequence[ArmOutcome]) -> ArmSummary:
    scored = [outcome for outcome in outcomes if outcome.score is not None]
    turns = sum(outcome.agent_turns for outcome in scored)
    return ArmSummary(
        arm=arm,
        score=rate(_means(scored, _score).values()),
        goal=rate(_means(scored, _goal).values()),
        hard=_times(rate(_means(scored, _any_hard).values()), 100),
        turns=mean_interval(list(_means(scored, _turns).values())) if len({o.persona for o in scored}) > 1 else None,
        guided_share=sum(outcome.guided_turns for outcome in scored) / turns if turns else 0.0,
        conversations=len(scored),
        failed=len(outcomes) - len(scored),
        personas=len({outcome.persona for outcome in scored}),
        seeds=len({outcome.seed for outcome in scored}),
    )


def _issue(issue: str, pairs: Sequence[Pairing]) -> IssueComparison:
    arm = _means([a for a, _ in pairs], _score)
    base = _means([b for _, b in pairs], _score)
    return IssueComparison(
        issue=issue,
        base_mean=math.fsum(base.values()) / len(base),
        arm_mean=math.fsum(arm.values()) / len(arm),
        lift=paired_difference(arm, base) if len(arm) > 1 else None,
        personas=len(arm),
        seeds=len({a.seed for a, _ in pairs}),
    )


def _difference(pairs: Sequence[Pairing], value: Callable[[ArmOutcome], float]) -> Estimate | None:
    arm = _means([a for a, _ in pairs], value)
    return paired_difference(arm, _means([b for _, b in pairs], value)) if len(arm) > 1 else None


def _means(outcomes: Iterable[ArmOutcome], value: Callable[[ArmOutcome], float]) -> dict[str, float]:
    """Persona -> mean over its conversations, in persona order."""
    values: dict[str, list[float]] = defaultdict(list)
    for outcome in outcomes:
        values[outcome.persona].append(value(outcome))
    return {persona: math.fsum(values[persona]) / len(values[persona]) for persona in sorted(values)}


def _check_rates(outcomes: Iterable[ArmOutcome], check: str) -> Mapping[str, float]:
    """Persona -> share of passes, for the personas where the check applied."""
    counts: dict[str, list[CheckCount]] = defaultdict(list)
    for outcome in outcomes:
        counts[outcome.persona].extend(count for count in outcome.checks if count.check == check and count.total)
    return {
        persona: sum(c.passed for c in counts[persona]) / sum(c.total for c in counts[persona])
        for persona in sorted(counts)
        if counts[persona]
    }


def _times(estimate: Estimate | None, factor: float) -> Estimate | None:
    if estimate is None:
        return None
    return Estimate(estimate.mean * factor, estimate.low * factor, estimate.high * factor, estimate.n)


def _score(outcome: ArmOutcome) -> float:
    return outcome.score or 0.0


def _goal(outcome: ArmOutcome) -> float:
    return float(outcome.goal)


def _any_hard(outcome: ArmOutcome) -> float:
    return float(outcome.hard_failures > 0)


def _hard(outcome: ArmOutcome) -> float:
    return 100.0 * _any_hard(outcome)


def _turns(outcome: ArmOutcome) -> float:
    return float(outcome.agent_turns)


def _silent(done: int, total: int) -> None:
    """No progress wanted."""
