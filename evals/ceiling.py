"""How far does it take a student to be told at every turn what the handbook says of its failures?

    python -m evals.ceiling SETTINGS [SEEDS]    default 3 seeds; calls are cached, so it can be stopped

At every turn of dev conversations the handbook advisor is told how the student fails, and what it says is placed at that very moment:

    one look, 1 line      lines for what an extra reply of the student failed here; one line at most
    one look, 3 lines     the same, three at most
    coached, 1 line       tried as in coaching (`teach.coaching_steps` tries); the line that helped most, or none
    coached, 3 lines      the same with three lines at most

The reply that counts is a fresh one. This is what naming the failing check at each turn gives: more than retrieval can know of a moment,
but no bound. A line that stands there before anything has failed may do more.
Printed: share of guided turns, score, goal, conversations with a hard failure in 100, lift over bare; Student's t intervals over customers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from evals.last_run import cell, on_last_run
from strategist.conversation import Guide, play, replay
from strategist.domains.outcomes import outcome_of
from strategist.domains.persona import Persona
from strategist.evaluation.study import compare, study_sample, study_seeds, summarise
from strategist.loop.deps import Deps, in_order
from strategist.records.base import stable_int
from strategist.records.library import Guidance
from strategist.records.run import ArmOutcome
from strategist.records.trace import Scenario
from strategist.roles.handbook import HandbookAdvisor
from strategist.roles.protocols import Attempt

SEEDS = 3


class Way(NamedTuple):
    """How to find out what helps: whether lines are tried first, lines at most."""

    coached: bool
    lines: int


WAYS = {
    "one look, 1 line": Way(False, 1),
    "one look, 3 lines": Way(False, 3),
    "coached, 1 line": Way(True, 1),
    "coached, 3 lines": Way(True, 3),
}


def guide_for(deps: Deps, way: Way, sample: int) -> Guide:
    """What the handbook says at each moment after looking at replies to it."""
    advisor = HandbookAdvisor(deps.domain, way.lines)

    async def attempt(scenario: Scenario, lines: tuple[str, ...], number: int) -> Attempt:
        guidance = Guidance.given(lines)
        result = await replay(
            deps.agent(None), deps.domain, scenario, guidance=guidance, purpose="coach", sample=stable_int(sample, scenario.turn, number)
        )
        return Attempt(text=result.reply, lines=lines, verdicts=result.verdicts)

    async def look(scenario: Scenario) -> Guidance:
        attempts = [await attempt(scenario, (), 0)]
        best = attempts[0]
        for number in range(1, deps.settings.teach.coaching_steps + 1):
            advice = await advisor.advise(scenario, attempts, None)
            lines = tuple(strategy.text for strategy in advice.strategies)
            if lines and not way.coached:
                return Guidance.given(lines)
            if not lines:
                break
            attempts.append(await attempt(scenario, lines, number))
            if attempts[-1].grade.against(best.grade) == "win":
                best = attempts[-1]
        return Guidance.given(best.lines)

    return look


async def play_all(deps: Deps, guide_of: Callable[[int], Guide] | None, seeds: int) -> list[ArmOutcome]:
    """All dev customers with every seed; the bare student where there is no guide. `guide_of` gets the sample number of a conversation."""
    personas = deps.domain.personas("dev", None)
    jobs = [(persona, seed) for persona in personas for seed in study_seeds(seeds)]

    async def one(index: int, job: tuple[Persona, int]) -> ArmOutcome:
        persona, seed = job
        sample = study_sample(seed, persona.id)
        trace = await play(
            deps.agent(None),
            deps.customer,
            deps.domain,
            persona,
            purpose="examine",
            index=index,
            sample=sample,
            max_turns=deps.settings.teach.max_turns,
            tool_style=deps.settings.student.tool_style,
            guide=None if guide_of is None else guide_of(sample),
        )
        return outcome_of(trace, "bare" if guide_of is None else "library", seed)

    return await in_order(one, jobs, lambda done, total: None, lanes=deps.lanes)


async def report(deps: Deps, seeds: int) -> None:
    """Play and print, one line a way."""
    await print_ways(deps, {name: partial(guide_for, deps, way) for name, way in WAYS.items()}, seeds)


async def print_ways(deps: Deps, ways: Mapping[str, Callable[[int], Guide]], seeds: int) -> None:
    """Play the bare student and then with each guide; one line is printed as soon as it is known."""
    width = max(map(len, ways))
    bare = await play_all(deps, None, seeds)
    (alone,) = summarise(bare)
    print(f"{'bare':{width}} guided   0%, score {cell(alone.score)}, goal {cell(alone.goal)}, hard {cell(alone.hard, 1)}", flush=True)
    for name, guide_of in ways.items():
        outcomes = await play_all(deps, guide_of, seeds)
        (one,) = summarise(outcomes)
        lift = compare([*outcomes, *bare], "library", "bare")
        print(
            f"{name:{width}} guided {one.guided_share:4.0%}, score {cell(one.score)}, goal {cell(one.goal)}, hard {cell(one.hard, 1)}, "
            f"lift {cell(lift.lift, signed='+')} n={lift.personas} seeds={lift.seeds}",
            flush=True,
        )


def main(arguments: Sequence[str]) -> str | None:
    """Run the study on the last run of a settings file; returns what is wrong, if anything."""
    if not arguments or not all(word.isdigit() for word in arguments[1:]):
        return __doc__
    seeds = int(arguments[1]) if len(arguments) > 1 else SEEDS
    return on_last_run(Path(arguments[0]), lambda deps: report(deps, seeds))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
