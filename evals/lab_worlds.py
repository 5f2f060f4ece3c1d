"""The whole loop in the four lab worlds, at three sizes, and what each of its parts is worth.

    python -m evals.lab_worlds [SEEDS [FIRST [SIZE]]]    all worlds at one size (small, usual, large); default 5 seeds from 0, usual
    python -m evals.lab_worlds sizes [SEEDS [FIRST]]     all worlds at all sizes, with a picture: share of the optimum against replies spent
    python -m evals.lab_worlds parts [SEEDS [FIRST]]     at the usual size, with one part of the loop taken out at a time

The models are simulated; the worlds' parameters were fixed before the loop was run on them (docs/lab.md). Every run is kept under runs/lab
and not repeated; an interrupted study goes on. Each is evaluated on all 40 dev customers, three arms: bare, the learned library, and
the known best library with no floor. The share of the optimum is lift over lift of the best library on the same customers, summed over
runs; replies are those of the student while learning. At least 2 seeds.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np

from evals.last_run import cell, taught
from strategist.domains.domain import Domain
from strategist.evaluation.arms import make_arm
from strategist.evaluation.report_data import keep_outcomes
from strategist.evaluation.study import run_study, study_seeds, summarise
from strategist.lab.optimum import known_best
from strategist.lab.worlds import load_world, load_worlds
from strategist.loop import graph
from strategist.loop.deps import Deps, Report
from strategist.project import Project, open_project
from strategist.records.evidence import Evidence
from strategist.records.library import SERVABLE, Candidate, Floor
from strategist.records.run import ArmOutcome
from strategist.settings import AdvisorSettings, ModelSettings, RetrievalSettings, Settings, TeachSettings
from strategist.stats import Estimate, mean_interval

EVALUATION_SEEDS = 2
HOME = Path("runs/lab")

SIZES: Mapping[str, TeachSettings] = {
    "small": TeachSettings(rounds=2, conversations=16, scenarios=16, dev_personas=8),
    "usual": TeachSettings(),
    "large": TeachSettings(rounds=4, conversations=48, scenarios=48, candidates=24),
}
PARTS = (
    "all parts", "no gate", "one coaching step", "no merging", "no floor", "gaps alone", "no controls",
    "teacher, scheduled", "teacher, one coaching step", "teacher, always", "teacher, never", "teacher, no gate",
)  # fmt: skip
"""The loop as it is, with the handbook; with one part taken out; with a model as the advisor, which is right seven times in ten and plays a
share of the conversations."""
PART_WORLDS = ("specific", "misleading")
GATE_PARTS = ("all parts", "no gate", "teacher, scheduled", "teacher, no gate")
"""What is compared where no line helps."""


class Result(NamedTuple):
    """One run: mean score of the bare student, with the library and with the known best; servable entries, student replies spent."""

    bare: float
    library: float
    best: float
    entries: int
    replies: int


class Job(NamedTuple):
    """One run to be made."""

    world: str
    seed: int
    size: str = "usual"
    part: str = "all parts"

    def settings(self, home: Path = HOME) -> Settings:
        """The settings of the run."""
        student = ModelSettings(adapter="lab", model=f"{self.world}/student", max_in_flight=32)
        teach_, retrieval, advisor = SIZES[self.size], RetrievalSettings(embedder="hashed"), AdvisorSettings()
        if self.part.endswith("one coaching step"):
            teach_ = teach_.model_copy(update={"coaching_steps": 1})
        if self.part == "no controls":
            teach_ = teach_.model_copy(update={"control_share": 0.0})
        if self.part == "no floor":
            retrieval = retrieval.model_copy(update={"floor": 0.0})
        if self.part.startswith("teacher"):
            advisor = AdvisorSettings(kind="model", model=student.model_copy(update={"model": f"{self.world}/teacher"}))
            shares = {"always": (1.0,), "never": (0.0,)}.get(self.part.removeprefix("teacher, "), teach_.teacher_share)
            teach_ = teach_.model_copy(update={"teacher_share": shares})
        folder = home / self.size / self.part.replace(", ", "-").replace(" ", "-") / f"{self.world}-{self.seed}"
        return Settings(
            folder=folder, domain=f"lab:{self.world}", seed=self.seed, student=student, advisor=advisor, teach=teach_, retrieval=retrieval
        )


async def admit_all(deps: Deps, round_: int, report: Report) -> None:
    """The gate taken out: what coaching proposes is admitted without a test."""
    candidates = deps.store.documents(deps.run.id, "candidate", Candidate, round_)
    evidence = [(c.id, round_, c.index, Evidence(decision="admitted")) for c in candidates]
    deps.store.put_documents(deps.run.id, "evidence", evidence)


@contextmanager
def without(part: str) -> Iterator[None]:
    """The loop with a part taken out that no setting takes out."""
    with ExitStack() as stack:
        if part.endswith("no gate"):
            stack.enter_context(mock.patch.dict(graph.WORK, {"admit": admit_all}))
        if part == "no merging":
            stack.enter_context(mock.patch("strategist.loop.propose.merge", side_effect=lambda candidates, *_, **__: list(candidates)))
        if part == "gaps alone":
            nowhere = Floor(score=0.0, source="calibration")
            stack.enter_context(mock.patch("strategist.loop.consolidate.precise_floor", return_value=nowhere))
        yield


def result_of(job: Job, home: Path = HOME) -> Result:
    """The result of a run: the one that was written down, else taught (or gone on with) and evaluated now."""
    settings = job.settings(home)
    done = settings.folder / "result.json"
    if done.exists():
        return Result(**json.loads(done.read_text(encoding="utf-8")))
    with without(job.part), open_project(settings) as project, project.alone():
        result = asyncio.run(one_run(project, job.world))
    done.write_text(json.dumps(result._asdict()), encoding="utf-8")
    return result


async def one_run(project: Project, world: str) -> Result:
    """Teach (or go on), then evaluate on dev."""
    last = await taught(project)
    replies = project.calls.replies(last.id, "student")
    async with project.deps(last) as deps:
        outcomes = await evaluate(deps, project.domain, None)
        keep_outcomes(project.store, last.id, outcomes, last.rounds)
        best = await evaluate(deps, project.domain, world)
    bare, library = (mean_score(outcomes, arm) for arm in ("bare", "library"))
    return Result(bare, library, mean_score(best, "library"), len(project.library.entries(SERVABLE)), replies)


async def evaluate(deps: Deps, domain: Domain, best_of: str | None) -> tuple[ArmOutcome, ...]:
    """Bare and the learned library on all dev personas; or, for a world, its known best library."""
    snapshot = deps.library_now()
    if best_of is not None:
        snapshot = known_best(load_world(best_of)).model_copy(update={"embedder": deps.embedder.id})
    arms = [make_arm("library", deps.agent, retriever=await deps.retriever(snapshot), entries=snapshot.entries)]
    if best_of is None:
        arms.insert(0, make_arm("bare", deps.agent))
    return await run_study(arms, domain.personas("dev"), study_seeds(EVALUATION_SEEDS), domain=domain, customer=deps.customer)


def mean_score(outcomes: Sequence[ArmOutcome], arm: str) -> float:
    """Mean score of an arm."""
    (found,) = (summary.score for summary in summarise([one for one in outcomes if one.arm == arm]))
    assert found is not None
    return found.mean


def share_of(results: Sequence[Result]) -> Estimate | None:
    """Lift over the best library's lift, summed over runs, with a percentile bootstrap over runs; None where no library lifts."""
    lifts = np.array([[r.library - r.bare, r.best - r.bare] for r in results])
    if lifts[:, 1].sum() <= 1e-9:
        return None
    drawn = lifts[np.random.default_rng(0).integers(len(lifts), size=(4000, len(lifts)))].sum(1)
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], (0.025, 0.975))
    mean = float(lifts[:, 0].sum() / lifts[:, 1].sum())
    return Estimate(mean, float(low), float(high), len(results))


def play(jobs: Sequence[Job]) -> dict[Job, Result]:
    """The results of all jobs, as many at a time as there are cores."""
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        return dict(zip(jobs, pool.map(result_of, jobs), strict=True))


COLUMNS = ("", "bare", "with library", "lift [95 %]", "share of the optimum [95 %]", "entries (min to max)", "student replies", "runs")


def row(name: str, results: Sequence[Result]) -> str:
    """One line of a table."""
    lift, share = mean_interval([r.library - r.bare for r in results]), share_of(results)
    bare, library, _, entries, replies = (sum(column) / len(results) for column in zip(*results, strict=True))
    part = "-" if share is None else f"{share.mean:.0%} [{share.low:.0%}, {share.high:.0%}]"
    range_ = f"{entries:.1f} ({min(r.entries for r in results)} to {max(r.entries for r in results)})"
    return f"| {name} | {bare:.3f} | {library:.3f} | {cell(lift, signed='+')} | {part} | {range_} | {replies:,.0f} | {len(results)} |"


def table(rows: Mapping[str, Sequence[Job]]) -> dict[str, list[Result]]:
    """Make what is missing and print one line for each."""
    played = play([job for jobs in rows.values() for job in jobs])
    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|")
    found = {name: [played[job] for job in jobs] for name, jobs in rows.items()}
    for name, results in found.items():
        print(row(name, results))
    return found


def sizes(seeds: Sequence[int]) -> None:
    """All worlds at all sizes."""
    rows = {f"*{world}*, {size}": [Job(world, seed, size) for seed in seeds] for world in load_worlds() for size in SIZES}
    plot(table(rows))


def plot(found: Mapping[str, Sequence[Result]]) -> None:
    """Share of the optimum against student replies, one line a world that can be taught."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axis = figure.subplots()
    for world in load_worlds():
        results = [found[f"*{world}*, {size}"] for size in SIZES]
        shares = [share_of(runs) for runs in results]
        replies = [sum(r.replies for r in runs) / len(runs) for runs in results]
        points = [(spent, share) for spent, share in zip(replies, shares, strict=True) if share is not None]
        if points:
            x, y = [spent for spent, _ in points], [share.mean for _, share in points]
            bars = [[share.mean - share.low for _, share in points], [share.high - share.mean for _, share in points]]
            axis.errorbar(x, y, yerr=bars, marker="o", capsize=3, label=world)
    axis.axhline(1, color="grey", linewidth=1, linestyle="--")
    axis.set_xlabel("student replies spent on learning")
    axis.set_ylabel("share of the known optimum")
    axis.set_xlim(left=0)
    axis.legend()
    HOME.mkdir(parents=True, exist_ok=True)
    figure.savefig(HOME / "sizes.png", dpi=110)
    print(f"\npicture: {HOME / 'sizes.png'}")


def parts(seeds: Sequence[int]) -> None:
    """The loop with one part taken out at a time; the gate also where no line helps."""
    chosen = [(world, part) for world in PART_WORLDS for part in PARTS] + [("uncoachable", part) for part in GATE_PARTS]
    table({f"*{world}*, {part}": [Job(world, seed, part=part) for seed in seeds] for world, part in chosen})


def main(study: str = "", seeds: int = 5, first: int = 0, size: str = "usual") -> None:
    """Run what is missing and print one line per world (or per what is compared)."""
    chosen = range(first, first + max(2, seeds))
    print(f"seeds {chosen[0]} to {chosen[-1]}, 40 dev customers, {EVALUATION_SEEDS} evaluation seeds\n")
    if study == "sizes":
        sizes(chosen)
    elif study == "parts":
        parts(chosen)
    else:
        table({f"*{world}*": [Job(world, seed, size) for seed in chosen] for world in load_worlds()})


if __name__ == "__main__":
    words = sys.argv[1:]
    which = words.pop(0) if words and not words[0].isdigit() else ""
    if which not in ("", "sizes", "parts") or (len(words) > 2 and words[2] not in SIZES):
        sys.exit((__doc__ or "").split("\n\n")[1])
    count, start = [*map(int, words[:2]), *(5, 0)[len(words[:2]) :]]
    main(which, count, start, *words[2:3])
