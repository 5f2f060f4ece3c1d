"""`strategist teach`: choose the run, run it with bars, say how it ended and what to do next."""

from __future__ import annotations

import asyncio
from pathlib import Path

from strategist.cli.console import err, plural, say
from strategist.cli.progress import Bars
from strategist.errors import RunInterruptedError, SettingsError, StrategistError
from strategist.library.stale import is_stale
from strategist.loop.runner import Finished, teach
from strategist.project import Project, open_project
from strategist.records.library import SERVABLE
from strategist.records.run import RunInfo, StopReason
from strategist.settings import Settings, load_settings

ENDS: dict[StopReason | None, str] = {
    "rounds": "all planned rounds are done",
    "parity": "the student reached the teacher on dev",
    "no_progress": "two rounds brought nothing new",
    "nothing_to_teach": "no state had a gap",
}


def run(path: Path, *, resume: bool, new: bool, rounds: int | None, replay_from: Path | None, quiet: bool) -> None:
    """The command."""
    if resume and new:
        raise SettingsError("--resume and --new exclude each other", hint="--resume goes on with the last run, --new starts another")
    with open_project(load_settings(path)) as project, project.at_work():
        if resume and rounds is None and (last := project.last_free_run()) is not None:
            rounds = last.rounds  # a resumed run keeps the number it was started with
        if rounds is not None:
            project.settings = with_rounds(project.settings, rounds)
        if replay_from is not None:
            _copy_calls(project, replay_from)
        info = project.choose_run(resume=resume, new=new)
        if not quiet:
            announce(project, info, resume=resume)
            say_stale(project)
        option = "" if path == Path("strategist.toml") else f" --settings {path}"
        finished = teach_with_bars(project, info, quiet=quiet, again=f"`strategist teach --resume{option}` goes on from here")
        entries = project.library.entries(SERVABLE)
        say(f"{finished.id}: {ENDS[finished.stop]}; {plural(len(entries), 'entry', 'entries')} in the library")
        catch_up(project)
        say("next: `strategist report`, `strategist library list`, `strategist evaluate`", "dim")


def with_rounds(settings: Settings, rounds: int) -> Settings:
    """The settings with another number of rounds."""
    return settings.model_copy(update={"teach": settings.teach.model_copy(update={"rounds": rounds})})


def teach_with_bars(project: Project, info: RunInfo, *, quiet: bool, again: str) -> Finished:
    """Run a teach run in this process with progress bars.

    Raises RunInterruptedError for Ctrl-C and StrategistError for any other end that is not the run's own, with `again` as what to do:
    everything is kept then, but there is more to do."""

    async def main() -> Finished:
        async with project.deps(info) as deps:
            return await teach(deps, project.checkpoints, bars)

    try:
        with Bars(quiet=quiet) as bars:
            finished = asyncio.run(main())
    except KeyboardInterrupt:
        raise RunInterruptedError(f"{info.id} stopped; nothing is lost", hint=again) from None
    over = project.calls.overrun(info.id)
    if over.tokens or over.usd:
        beyond = f"{plural(over.tokens, 'token')} and ${over.usd:.4f} more than calls may take at most; they count in the budget"
        say(f"note: model servers billed {beyond}", "yellow", to=err)
    if finished.stop not in ENDS:
        why, *more = finished.error.splitlines() or ["it ended without a reason"]
        hint = "\n".join([*(line.strip() for line in more), again])
        raise StrategistError(f"{finished.id} stopped, everything up to here is kept: {why}", hint=hint)
    return finished


def catch_up(project: Project) -> None:
    """Bring the index up to the library; a fault of it is shown and stops nothing, since the index is derived."""
    if notice := asyncio.run(project.catch_up()):
        say(notice, "yellow", to=err)


def say_stale(project: Project) -> None:
    """One line where entries that may serve were learned under another brief."""
    entries = project.library.entries(project.servable)
    stale = sum(is_stale(entry, project.domain.brief_hash) for entry in entries)
    if stale:
        of = f"{stale} of {plural(len(entries), 'entry', 'entries')}"
        say(f"note: {of} were last tested under another brief and serve all the same: `strategist library stale`", "yellow", to=err)


def announce(project: Project, info: RunInfo, *, resume: bool) -> None:
    """Say which run begins or goes on, with whom, and what is not as good as it could be."""
    verb, rounds = "goes on" if resume else "begins", plural(info.rounds, "round")
    say(f"{info.id} {verb}: {project.domain.title}; student {info.student}, advisor {info.advisor}, at most {rounds}", to=err)
    if project.embedder.notice:
        say(project.embedder.notice, "dim", to=err)


def _copy_calls(project: Project, other: Path) -> None:
    if not other.is_file():
        raise SettingsError(f"no database at {other}", hint="--replay-from takes the .db file of a finished project")
    say(f"{plural(project.calls.copy_from(other), 'recorded answer')} taken over from {other}", "dim", to=err)
