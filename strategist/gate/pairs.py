"""Plays the test pairs: the same moment answered with guidance from L + c and from L, both afresh.

Owns sample numbers, the worth of a grade and what a failed reply means for its pair. Does not know how a reply is made: `Answer` is given.

Invariants: both arms are sampled anew under numbers that nothing else uses, so a reply that was looked at before is never used again;
pairs come back in the order of the moments, whatever finishes first; a failed reply is kept as a failure, and never helps the candidate.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Literal, NamedTuple, TypeVar

from strategist.gate.moments import RankedScenario
from strategist.records.base import stable_int
from strategist.records.evidence import Pair, PairResult
from strategist.records.library import Candidate
from strategist.records.trace import Grade, Scenario

Arm = Literal["baseline", "guided", "judge"]
Stage = Literal[1, 2]
Result = TypeVar("Result")


class Answered(NamedTuple):
    """One student turn at a moment: its grade, or why there is none (the grade is then ignored); its text, where a judge may read it."""

    grade: Grade
    failure: str | None = None
    text: str = ""


Answer = Callable[[Scenario, int, Candidate | None], Awaitable[Answered]]
"""(scenario, sample number, candidate or None) -> the student's turn there, under purpose `admit`, with guidance from L + candidate, or
from L alone for None. Failures of one turn are returned; what ends the run (budget, dead server) is raised."""


class Compared(NamedTuple):
    """What a judge makes of a pair of turns, or why nothing."""

    result: PairResult
    failure: str | None = None


Compare = Callable[[Scenario, Answered, Answered, int], Awaitable[Compared]]
"""(scenario, baseline turn, guided turn, sample number) -> how the guided turn did."""


def grade_value(grade: Grade) -> float:
    """What a grade is worth, in [0, 1]: 0 with any hard failure, else the share of soft checks passed."""
    return 0.0 if grade.hard_failures else grade.soft_share


WORTH: dict[PairResult, float] = {"win": 1.0, "tie": 0.0, "loss": -1.0}
"""Uplift of a pair that a judge decided."""


def sample_number(candidate: Candidate, stage: Stage, arm: Arm, scenario: str) -> int:
    """The sample number of one test reply: new for each candidate, try, stage, arm and moment. The run's seed is in the call's key."""
    return stable_int("admit", candidate.id, candidate.tries, stage, arm, scenario)


async def run_pairs(
    candidate: Candidate,
    moments: Sequence[RankedScenario],
    stage: Stage,
    *,
    answer: Answer,
    places: asyncio.Semaphore,
    compare: Compare | None = None,
) -> tuple[Pair, ...]:
    """Play both arms at every moment, as many moments at a time as there are `places`, and return the pairs in the order of `moments`.

    The arms of one moment come one after the other: their requests begin alike, so the second finds the first in the server's prefix cache.
    What the grades leave undecided is asked of `compare`, where there is one.
    Raises what `answer` raises, after every turn that was under way has ended, so that nothing paid for is lost.
    """
    return tuple(await in_order(_play(candidate, moment, stage, answer, places, compare) for moment in moments))


async def in_order(work: Iterable[Awaitable[Result]]) -> list[Result]:
    """Run everything concurrently, wait for all of it, return results by position or raise the first error by position."""
    results = await asyncio.gather(*work, return_exceptions=True)
    done: list[Result] = []
    for result in results:
        if isinstance(result, BaseException):
            raise result
        done.append(result)
    return done


async def _play(
    candidate: Candidate, moment: RankedScenario, stage: Stage, answer: Answer, places: asyncio.Semaphore, compare: Compare | None
) -> Pair:
    scenario = moment.scenario
    async with places:
        baseline = await answer(scenario, sample_number(candidate, stage, "baseline", scenario.id), None)
        guided = await answer(scenario, sample_number(candidate, stage, "guided", scenario.id), candidate)
        pair = make_pair(moment, stage, baseline, guided)
        if compare is None or pair.failure is not None or pair.result != "tie":
            return pair
        compared = await compare(scenario, baseline, guided, sample_number(candidate, stage, "judge", scenario.id))
    return pair.model_copy(update={**compared._asdict(), "uplift": WORTH[compared.result]})


def make_pair(moment: RankedScenario, stage: Stage, baseline: Answered, guided: Answered) -> Pair:
    """Compare two turns at a moment.

    If a turn failed, the pair has `failure` set, no uplift and no hard counts. Its result is a loss if only the guided turn failed (the
    candidate may be the cause: too long, cut, refused), else a tie that counts nowhere (see gate.decide).
    """
    failures = [f"{arm}: {turn.failure}" for arm, turn in (("baseline", baseline), ("guided", guided)) if turn.failure is not None]
    pair = Pair(
        scenario=moment.scenario.id,
        persona=moment.scenario.persona,
        stage=stage,
        score=moment.score,
        result=guided.grade.against(baseline.grade),
        uplift=grade_value(guided.grade) - grade_value(baseline.grade),
        baseline_hard=baseline.grade.hard_failures,
        guided_hard=guided.grade.hard_failures,
    )
    if not failures:
        return pair
    result = "loss" if baseline.failure is None else "tie"
    blank = {"result": result, "uplift": 0.0, "baseline_hard": 0, "guided_hard": 0, "failure": "; ".join(failures)}
    return pair.model_copy(update=blank)
