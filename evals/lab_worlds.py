"""The whole loop in the four lab worlds: lift over bare on dev, share of the known optimum, entries, replies spent.

    python -m evals.lab_worlds [SEEDS [FIRST]]    default 5 seeds from 0 on, at least 2; each run is kept under runs/lab and not repeated

The models are simulated; the parameters were fixed before the loop was run on them (docs/lab.md).
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import NamedTuple

from strategist.domains.domain import Domain
from strategist.evaluation.arms import make_arm
from strategist.evaluation.report_data import keep_outcomes
from strategist.evaluation.study import compare, run_study, study_seeds, summarise
from strategist.lab.optimum import share_of_best
from strategist.lab.worlds import load_world, load_worlds
from strategist.loop.deps import Deps
from strategist.loop.runner import ended_well, teach
from strategist.project import Project, open_project
from strategist.records.library import SERVABLE
from strategist.records.run import ArmOutcome
from strategist.settings import ModelSettings, RetrievalSettings, Settings, TeachSettings
from strategist.stats import mean_interval

EVALUATION_SEEDS = 2
HOME = Path("runs/lab")


class Result(NamedTuple):
    """One run: score of the bare student and with the library, difference, servable entries, student replies spent on learning."""

    bare: float
    library: float
    lift: float
    entries: int
    replies: int


def settings_for(world: str, seed: int, home: Path = HOME) -> Settings:
    """The settings of one run."""
    return Settings(
        folder=home / f"{world}-{seed}",
        domain=f"lab:{world}",
        seed=seed,
        student=ModelSettings(adapter="lab", model=f"{world}/student", max_in_flight=32),
        teach=TeachSettings(dev_personas=40),
        retrieval=RetrievalSettings(embedder="hashed"),
    )


def result_of(settings: Settings) -> Result:
    """The result of a run: the one that was written down, else taught (or gone on with) and evaluated now."""
    done = settings.folder / "result.json"
    if done.exists():
        return Result(**json.loads(done.read_text(encoding="utf-8")))
    with open_project(settings) as project, project.alone():
        result = asyncio.run(one_run(project))
    done.write_text(json.dumps(result._asdict()), encoding="utf-8")
    return result


async def one_run(project: Project) -> Result:
    """Teach (or go on), then evaluate on dev."""
    last = project.last_run()
    if last is None or not ended_well(last.stop):
        last = project.choose_run(resume=last is not None, new=False)
        async with project.deps(last) as deps:
            await teach(deps, project.checkpoints, lambda event: None)
    replies = project.calls.replies(last.id, "student")
    async with project.deps(last) as deps:
        outcomes = await evaluate(deps, project.domain)
    keep_outcomes(project.store, last.id, outcomes, last.rounds)
    found, arms = compare(outcomes, "library", "bare"), {s.arm: s for s in summarise(outcomes)}
    bare, library = arms["bare"].score, arms["library"].score
    assert found.lift is not None
    assert bare is not None
    assert library is not None
    return Result(bare.mean, library.mean, found.lift.mean, len(project.library.entries(SERVABLE)), replies)


async def evaluate(deps: Deps, domain: Domain) -> tuple[ArmOutcome, ...]:
    """Bare and library on all dev personas."""
    snapshot = deps.library_now()
    retriever = await deps.retriever(snapshot)
    arms = [make_arm("bare", deps.agent), make_arm("library", deps.agent, retriever=retriever, entries=snapshot.entries)]
    return await run_study(arms, domain.personas("dev"), study_seeds(EVALUATION_SEEDS), domain=domain, customer=deps.customer)


def main(seeds: int = 5, first: int = 0) -> None:
    """Run what is missing and print one line per world."""
    print(f"{'world':<12} {'bare':>6} {'library':>8} {'lift [95 %]':>24} {'of optimum':>11} {'entries':>14} {'replies':>8}  runs")
    for world in load_worlds():
        results = [result_of(settings_for(world, seed)) for seed in range(first, first + max(2, seeds))]
        lift = mean_interval([r.lift for r in results])
        shares = [part for r in results if (part := share_of_best(load_world(world), r.library)) is not None]
        share = f"{sum(shares) / len(shares):.0%}" if shares else "-"
        mean = [sum(column) / len(results) for column in zip(*results, strict=True)]
        entries = f"{mean[3]:.1f} ({min(r.entries for r in results)}-{max(r.entries for r in results)})"
        interval = f"{lift.mean:+.3f} [{lift.low:+.3f}, {lift.high:+.3f}]"
        print(f"{world:<12} {mean[0]:>6.3f} {mean[1]:>8.3f} {interval:>24} {share:>11} {entries:>14} {mean[4]:>8.0f}  n={len(results)}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
