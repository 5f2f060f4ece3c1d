"""`strategist probe`: is this student coachable? A table of arms, and a verdict."""

from __future__ import annotations

import asyncio
from pathlib import Path

from rich.text import Text

from strategist.cli.console import grid, interval, out, plural, say
from strategist.cli.progress import StudyBar
from strategist.errors import RunInterruptedError
from strategist.evaluation.probe import USEFUL, Probe, Verdict, figures, fit, harm_share, probe, verdict_of
from strategist.project import Project, open_project
from strategist.settings import load_settings

WORDS: dict[Verdict, str] = {
    "coachable": "is coachable: it does better with lines that fit",
    "any line helps": "does better with lines, but not surely better with those that fit than with others; more moments tell "
    "(--moments), and one line for all customers may do as much as a library",
    "not coachable": f"is not coachable: with lines that fit it gains less than {USEFUL} at 95 %; a library would stay empty or harm",
    "not proven": "is not proven: the interval holds both no gain and a useful one; more moments tell (--moments)",
}


def run(path: Path, *, moments: int, samples: int, quiet: bool) -> None:
    """The command."""
    with open_project(load_settings(path)) as project:
        result = measure(project, moments=moments, samples=samples, quiet=quiet)
    print_probe(result)


def measure(project: Project, *, moments: int, samples: int, quiet: bool) -> Probe:
    """Play the probe, or go on with it; its replies are in the call log."""

    async def main() -> Probe:
        async with project.deps(project.probe_run()) as deps:
            return await probe(deps, moments=moments, samples=samples, report=bar)

    try:
        title = f"{plural(moments, 'moment')}, 4 arms, {plural(samples, 'sample')}"
        with StudyBar(title, quiet=quiet, command="probe", units="replies") as bar:
            return asyncio.run(main())
    except KeyboardInterrupt:
        raise RunInterruptedError("probe stopped; every reply so far is kept", hint="the same command goes on from here") from None


def print_probe(result: Probe) -> None:
    """The table, the verdict, and what wrong lines do."""
    found = figures(result)
    table = grid("arm", "value", "passed", "hard", "over bare [95 %]", right=("value", "passed", "hard"))
    for one in found:
        over = "" if one.over_bare is None else interval(one.over_bare.mean, one.over_bare.low, one.over_bare.high)
        table.add_row(one.arm, f"{one.value:.2f}", f"{one.passed:.0%}", f"{one.hard:.0%}", over)
    out.print(table)
    personas = len({r.persona for r in result.replies})
    say(f"n = {plural(personas, 'customer')}, {plural(result.spent, 'call')}; value: share of passed checks, 0 with a hard failure", "dim")
    lift = next((one.over_bare for one in found if one.arm == "right"), None)
    fits = fit(result)
    if fits is not None:
        say(f"right lines over those for other matters: {interval(fits.mean, fits.low, fits.high)}", "dim")
    out.print(Text.assemble((result.student, "bold"), " ", WORDS[verdict_of(lift, fits)]))
    share = harm_share(found)
    if share is not None and share > 0.5:
        say(
            f"wrong lines harm it more than right ones help (H / (H + L) = {share:.2f}): a library pays only where it is mostly right",
            "yellow",
        )
