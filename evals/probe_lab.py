"""How often does `strategist probe` say the right thing of students whose answer is known?

    python -m evals.probe_lab [SEEDS]    default 20 seeds, the command's default size, the four lab worlds

Coachable are all but that of *uncoachable*. Models are simulated; runs are thrown away.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from evals.lab_worlds import Job
from evals.last_run import cell
from strategist.evaluation.probe import Probe, Verdict, figures, fit, harm_share, probe, verdict_of
from strategist.lab.worlds import load_worlds
from strategist.project import open_project
from strategist.stats import mean_interval


class Said(NamedTuple):
    """What one probe said: its verdict, lift with right lines, H / (H + L), calls spent."""

    verdict: Verdict
    lift: float
    share: float | None
    spent: int


def ask(job: Job, home: Path) -> Said:
    """Probe the student of a world."""

    async def main() -> Probe:
        with open_project(job.settings(home)) as project:
            async with project.deps(project.probe_run()) as deps:
                return await probe(deps, report=lambda done, total: None)

    result = asyncio.run(main())
    found = figures(result)
    lift = next(one.over_bare for one in found if one.arm == "right")
    assert lift is not None
    return Said(verdict_of(lift, fit(result)), lift.mean, harm_share(found), result.spent)


def main(seeds: int = 20) -> None:
    """One line per world."""
    print(f"seeds 0 to {seeds - 1}\n")
    print("| world | coachable | any line helps | not proven | not coachable | lift with right lines [95 %] | H / (H + L), mean | calls |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        for world in load_worlds():
            said = [ask(Job(world, seed), Path(name)) for seed in range(seeds)]
            counts = Counter(one.verdict for one in said)
            lift = mean_interval([one.lift for one in said])
            shares = [one.share for one in said if one.share is not None and one.verdict == "coachable"]
            share = f"{sum(shares) / len(shares):.2f}" if shares else "-"
            calls = sum(one.spent for one in said) / len(said)
            verdicts = " | ".join(str(counts[name]) for name in ("coachable", "any line helps", "not proven", "not coachable"))
            print(f"| *{world}* | {verdicts} | {cell(lift, signed='+')} | {share} | {calls:.0f} |", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
