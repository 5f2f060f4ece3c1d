"""`strategist teach`: choose the run, run it with bars, say how it ended and what to do next."""

from __future__ import annotations

import asyncio
from pathlib import Path

from strategist.cli.console import Bars, err, out
from strategist.errors import RunInterruptedError, SettingsError, StrategistError
from strategist.loop.runner import Finished, teach
from strategist.project import Project, open_project
from strategist.records.run import RunInfo
from strategist.settings import load_settings

ENDS = {
    "rounds": "all planned rounds are done",
    "parity": "the student reached the teacher on dev",
    "no_progress": "two rounds brought nothing new",
    "nothing_to_teach": "no state had a gap",
    "budget": "the budget is used up; everything up to here is kept",
    "server": "the model server stopped answering; everything up to here is kept",
    "interrupted": "stopped",
}


def run(path: Path, *, resume: bool, new: bool, rounds: int | None, replay_from: Path | None, quiet: bool) -> None:
    """The command."""
    settings = load_settings(path)
    if rounds is not None:
        settings = settings.model_copy(update={"teach": settings.teach.model_copy(update={"rounds": rounds})})
    with open_project(settings) as project:
        if replay_from is not None:
            _copy_calls(project, replay_from)
        info = project.choose_run(resume=resume, new=new)
        if project.embedder.notice:
            err.print(f"[dim]{project.embedder.notice}[/dim]")
        finished = teach_with_bars(project, info, quiet=quiet)
        entries = project.library.entries(("admitted", "approved"))
        out.print(f"{finished.id}: {ENDS[finished.stop or 'interrupted']}; {len(entries)} entries in the library")
        if finished.stop in ("budget", "server"):
            raise StrategistError(finished.error.split("\n")[0], hint="`strategist teach --resume` goes on from here")
        out.print("next: `strategist report`, `strategist library list`, `strategist evaluate`", style="dim")


def teach_with_bars(project: Project, info: RunInfo, *, quiet: bool) -> Finished:
    """Run a teach run in this process with progress bars. Ctrl-C raises RunInterruptedError after everything is kept."""

    async def main() -> Finished:
        async with project.deps(info) as deps:
            return await teach(deps, project.checkpoints, bars)

    with Bars(quiet=quiet) as bars:
        try:
            return asyncio.run(main())
        except KeyboardInterrupt:
            raise RunInterruptedError(f"{info.id} stopped; nothing is lost", hint="`strategist teach --resume` goes on from here") from None


def _copy_calls(project: Project, other: Path) -> None:
    if not other.is_file():
        raise SettingsError(f"no database at {other}", hint="--replay-from takes the .db file of a finished project")
    project.calls.copy_from(other)
