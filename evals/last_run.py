"""Studies over the last run of a project: teaching it to its end, opening it, and how estimates are printed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from strategist.errors import StrategistError
from strategist.loop.deps import Deps
from strategist.loop.runner import ended_well, teach
from strategist.project import Project, open_project
from strategist.records.run import RunInfo
from strategist.settings import load_settings
from strategist.stats import Estimate

Work = Callable[[Deps], Awaitable[None]]


def on_last_run(settings: Path, work: Work) -> str | None:
    """Work with the parts of the last run of a settings file, alone; returns what is wrong, if anything."""
    try:
        with open_project(load_settings(settings)) as project, project.alone():
            last = project.last_run()
            if last is None:
                return "there is no run to look at: run `strategist teach` first"
            asyncio.run(_with_parts(project, last, work))
    except StrategistError as error:
        return f"{error.message}; {error.hint}"
    return None


def cell(estimate: Estimate | None, digits: int = 3, signed: str = "") -> str:
    """`0.62 [0.54, 0.69]`, with a plus where `signed` is one; `-` for None."""
    if estimate is None:
        return "-"
    mean, low, high = (f"{value:{signed}.{digits}f}" for value in estimate[:3])
    return f"{mean} [{low}, {high}]"


async def taught(project: Project) -> RunInfo:
    """The last run, after it was taught to its end (begun, or gone on with) if it has not ended by its own rules."""
    last = project.last_run()
    if last is None or not ended_well(last.stop):
        last = project.choose_run(resume=last is not None, new=False)
        async with project.deps(last) as deps:
            await teach(deps, project.checkpoints, lambda event: None)
    return last


async def _with_parts(project: Project, run: RunInfo, work: Work) -> None:
    project.require_same(run)
    async with project.deps(run) as deps:
        await work(deps)
