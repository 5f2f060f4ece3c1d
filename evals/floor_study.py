"""Where should the injection floor stand? Fitted on a run's own states, judged on dev customers, in the lab.

    python -m evals.floor_study [SEEDS [FIRST]]    default 5 seeds from 0 on; runs and figures are kept under runs/lab and not repeated

On the learned libraries of the worlds *specific* and *misleading*, usual size:

1. Reliability: where no gap is nearer, how likely is what is found first to be right (an entry with a key of this issue), as fitted on the
   rounds' own states by keys of other customers, and how often is it right at the states of dev conversations? Brier score, and calibration
   error over ten groups of equal width.
2. Uplift of the line found first over no line, against its score: fresh replies of both kinds at the same dev states.
3. Mean dev score under rules: the learned floor with its gaps, either of the two alone, no floor, fixed scores, H / (H + L) as a score and
   as a precision (H of the worse of wrong lines and L of right ones, as `strategist probe` measures them), these with and without gaps.

Train and dev customers are drawn from different wordings. Intervals are Student's t over runs; every run is evaluated on the same 40 dev
customers with 2 seeds. Plots: runs/lab/floor_reliability.png and floor_uplift.png.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression

from evals.floor_plots import Point, Rule, RunFigures, plot_reliability, plot_uplift
from evals.lab_worlds import EVALUATION_SEEDS, HOME, Job
from evals.last_run import cell, taught
from strategist.conversation import replay, scenarios_of
from strategist.domains.persona import Persona
from strategist.evaluation.arms import make_arm
from strategist.evaluation.probe import Probe, figures, harm_share, probe
from strategist.evaluation.study import run_study, study_seeds, summarise
from strategist.gate.pairs import grade_value
from strategist.loop.consolidate import First, firsts, found_first
from strategist.loop.deps import Deps, in_order
from strategist.project import Project, open_project
from strategist.records.base import stable_int
from strategist.records.library import Entry, Floor, Guidance, Snapshot
from strategist.records.run import ArmName
from strategist.records.trace import Grade, Scenario, Trace
from strategist.retrieval.floor import PRECISION, precise_floor
from strategist.retrieval.mask import key_text
from strategist.stats import mean_interval, paired_difference

WORLDS = ("specific", "misleading")
FIXED = (0.2, 0.36, 0.5, 0.7)
REPLIES = 2
"""Fresh replies of each kind at each state."""
GROUPS = 10
LEARNED = "learned floor and gaps"


class Curve(NamedTuple):
    """A non-decreasing step function: `values[i]` from `grid[i]` on, and `values[0]` below it."""

    grid: npt.NDArray[np.float64]
    values: npt.NDArray[np.float64]

    def at(self, x: float) -> float:
        """The value at x."""
        return float(self.values[max(int(np.searchsorted(self.grid, x, side="right")) - 1, 0)])


def fit_curve(found: Sequence[tuple[float, bool]]) -> Curve:
    """Isotonic regression of right on the score, as `precise_floor` does it."""
    grid, position = np.unique([score for score, _ in found], return_inverse=True)
    count = np.bincount(position)
    means = np.bincount(position, weights=[float(right) for _, right in found]) / count
    return Curve(grid, np.asarray(isotonic_regression(means, weights=count).x))


def run_figures(job: Job, home: Path = HOME, dev: int | None = None) -> RunFigures:
    """The figures of one run on `dev` customers (None: all): read back, else measured now (and taught, if it is not there)."""
    settings = job.settings(home)
    done = settings.folder / "floor.json"
    if done.exists():
        return RunFigures.model_validate_json(done.read_text(encoding="utf-8"))
    with open_project(settings) as project, project.alone():
        found = asyncio.run(measured(project, dev))
    done.write_text(found.model_dump_json(), encoding="utf-8")
    return found


async def measured(project: Project, dev: int | None) -> RunFigures:
    """Teach if need be, probe, and measure."""
    last = await taught(project)
    async with project.deps(project.probe_run()) as deps:
        probed: Probe = await probe(deps, report=lambda done, total: None)
    needed = harm_share(figures(probed))
    async with project.deps(last) as deps:
        return await Study(deps, PRECISION if needed is None else needed, dev).figures()


class Study:
    """The measurements of one run."""

    def __init__(self, deps: Deps, needed: float, dev: int | None) -> None:
        self.deps, self.needed = deps, needed
        self.personas: tuple[Persona, ...] = deps.domain.personas("dev", dev)
        self.learned = deps.store.documents(deps.run.id, "snapshot_after", Snapshot)[-1]
        self.entries: list[Entry] = [entry for entry in self.learned.entries if entry.keys]

    async def figures(self) -> RunFigures:
        """Measure everything."""
        deps = self.deps
        own, dev = deps.store.documents(deps.run.id, "scenario", Scenario), await self.dev_states()
        keys = await deps.embedder.embed([key.text for entry in self.entries for key in entry.keys])
        vectors = await deps.embedder.embed([state.key for state in (*own, *dev)])
        gaps = {gap.scenario for gap in self.learned.floor.gaps} if self.learned.floor else set()
        there = firsts(self.entries, keys, [*own, *dev], vectors, [i for i, state in enumerate(own) if state.id in gaps])
        fitted = [(first.score, first.right) for first in there[: len(own)] if first is not None]
        everywhere = found_first(self.entries, keys, own, vectors[: len(own)])
        curve, seen = fit_curve(fitted), there[len(own) :]
        uplifts = await self.uplifts(dev, seen)
        points = [
            Point(score=first.score, predicted=curve.at(first.score), right=first.right, uplift=uplift)
            for first, uplift in zip(seen, uplifts, strict=True)
            if first is not None
        ]
        return RunFigures(
            needed=self.needed,
            share_right=fmean(right for _, right in fitted),
            points=tuple(points),
            rules={name: await self.played(floor) for name, floor in self.floors(fitted, everywhere).items()},
        )

    def floors(self, fitted: Sequence[tuple[float, bool]], everywhere: Sequence[tuple[float, bool]]) -> Mapping[str, Floor | None]:
        """Rule -> its floor; None plays the bare student. `everywhere`: as `fitted`, without gaps."""
        learned = self.learned.floor
        assert learned is not None, "a run that ended has a floor"
        alone = {
            "no floor": 0.0,
            "learned floor without gaps": precise_floor(everywhere).score,
            "H/(H+L) as score": self.needed,
            "H/(H+L) as precision": precise_floor(everywhere, self.needed).score,
            **{f"fixed {score}": score for score in FIXED},
        }
        beside = {
            "gaps alone": 0.0,
            "H/(H+L) as score, and gaps": self.needed,
            "H/(H+L) as precision, and gaps": precise_floor(fitted, self.needed).score,
            **{f"fixed {score}, and gaps": score for score in FIXED},
        }
        return {
            "bare": None,
            LEARNED: learned,
            **{name: learned.model_copy(update={"score": score}) for name, score in beside.items()},
            **{name: Floor(score=score, source="fixed") for name, score in alone.items()},
        }

    async def dev_states(self) -> list[Scenario]:
        """The states of the bare student's dev conversations, first seed."""
        traces: list[Trace] = []
        deps = self.deps
        arms = [make_arm("bare", deps.agent)]
        await run_study(arms, self.personas, study_seeds(1), domain=deps.domain, customer=deps.customer, keep=traces.append)
        traces.sort(key=lambda trace: trace.index)
        return [s for t in traces if t.failure is None for s in scenarios_of(t, lambda m: key_text(m, deps.domain.language))]

    async def uplifts(self, states: Sequence[Scenario], found: Sequence[First | None]) -> list[float | None]:
        """Mean value of fresh replies with the lines of what is found first, minus that of fresh bare ones."""
        deps = self.deps

        async def value(state: Scenario, lines: tuple[str, ...], kind: str) -> float:
            guidance = Guidance.given(lines)
            numbers = [stable_int("floor", kind, state.id, number) for number in range(REPLIES)]
            results = [
                await replay(deps.agent(None), deps.domain, state, guidance=guidance, purpose="probe", sample=number) for number in numbers
            ]
            return fmean(grade_value(Grade.of(result.verdicts)) for result in results)

        async def one(_: int, item: tuple[Scenario, First | None]) -> float | None:
            state, first = item
            lines = () if first is None else tuple(s.text for s in self.entries[first.entry].strategies)
            return await value(state, lines, "guided") - await value(state, (), "bare") if lines else None

        return await in_order(one, list(zip(states, found, strict=True)), lambda done, total: None, lanes=deps.lanes)

    async def played(self, floor: Floor | None) -> Rule:
        """What a rule comes to on dev."""
        deps = self.deps
        name: ArmName = "bare" if floor is None else "library"
        retriever = None if floor is None else await deps.retriever(self.learned.model_copy(update={"floor": floor}))
        arms = [make_arm(name, deps.agent, retriever=retriever)]
        outcomes = await run_study(arms, self.personas, study_seeds(EVALUATION_SEEDS), domain=deps.domain, customer=deps.customer)
        (summary,) = summarise(outcomes)
        assert summary.score is not None
        assert summary.hard is not None
        where = None if floor is None else floor.score
        return Rule(floor=where, score=summary.score.mean, guided=summary.guided_share, hard=summary.hard.mean)


def calibration_error(points: Sequence[Point]) -> float:
    """Distance of the fitted probability from the realised share, mean over groups of equal width by their numbers of points."""
    groups: dict[int, list[Point]] = {}
    for point in points:
        groups.setdefault(min(int(point.predicted * GROUPS), GROUPS - 1), []).append(point)
    return sum(abs(sum(p.predicted - p.right for p in group)) for group in groups.values()) / len(points)


def print_reliability(world: str, runs: Sequence[RunFigures]) -> None:
    """What the fit is worth, and what lines are where they are right and where wrong."""
    points = [point for run in runs for point in run.points]
    brier = mean_interval([fmean((p.predicted - p.right) ** 2 for p in run.points) for run in runs])
    constant = mean_interval([fmean((run.share_right - p.right) ** 2 for p in run.points) for run in runs])
    print(f"{world}: n={len(runs)} runs, {len(points)} dev states where no gap is nearer, {fmean(p.right for p in points):.0%} right")
    print(f"  Brier {cell(brier)}, of the own states' share {cell(constant)}")
    errors = mean_interval([calibration_error(run.points) for run in runs])
    print(f"  calibration error {cell(errors)}, all runs as one {calibration_error(points):.3f}")
    for right in (True, False):
        uplifts = [[p.uplift for p in run.points if p.uplift is not None and p.right is right] for run in runs]
        means = [fmean(values) for values in uplifts if values]
        print(f"  uplift where it is {'right' if right else 'wrong'}: {cell(mean_interval(means), signed='+') if len(means) > 1 else '-'}")
    print(f"  H / (H + L) by the probe: {cell(mean_interval([run.needed for run in runs]))}")


def print_rules(world: str, runs: Sequence[RunFigures]) -> None:
    """One line a rule; the best fixed score is chosen on the other runs (leave one out)."""
    over = f"less than {LEARNED}"
    print(f"\n| {world} | floor | guided | score | {over} [95 %] | hard in 100 | more than there [95 %] |\n|---|---|---|---|---|---|---|")
    learned = [run.rules[LEARNED] for run in runs]
    rows = {name: [run.rules[name] for run in runs] for name in runs[0].rules}
    for kind in ("", ", and gaps"):
        rows[f"best fixed one of the other runs{kind}"] = [run.rules[_best_fixed([r for r in runs if r is not run], kind)] for run in runs]
    for name, rules in rows.items():
        floors = [rule.floor for rule in rules if rule.floor is not None]
        span = f"{min(floors):.2f} to {max(floors):.2f}" if floors else "-"
        guided, hard, score = (fmean(getattr(rule, field) for rule in rules) for field in ("guided", "hard", "score"))
        worse = cell(paired_difference([r.score for r in learned], [r.score for r in rules]), signed="+") if name != LEARNED else ""
        harder = cell(paired_difference([r.hard for r in rules], [r.hard for r in learned]), 1, "+") if name != LEARNED else ""
        print(f"| {name} | {span} | {guided:.0%} | {score:.3f} | {worse} | {hard:.1f} | {harder} |")
    print()


def _best_fixed(runs: Sequence[RunFigures], kind: str) -> str:
    return max((f"fixed {score}{kind}" for score in FIXED), key=lambda name: fmean(run.rules[name].score for run in runs))


def main(seeds: int = 5, first: int = 0) -> None:
    """Measure what is missing, print and plot."""
    jobs = [Job(world, seed) for world in WORLDS for seed in range(first, first + max(2, seeds))]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        runs = dict(zip(jobs, pool.map(run_figures, jobs), strict=True))
    found = {world: [run for job, run in runs.items() if job.world == world] for world in WORLDS}
    for world, figures_ in found.items():
        print_reliability(world, figures_)
        print_rules(world, figures_)
    plot_reliability(found, HOME / "floor_reliability.png")
    plot_uplift(found, LEARNED, HOME / "floor_uplift.png")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
