"""`strategist evaluate`: the arms of a study on dev or test personas, stored with the last run."""

from __future__ import annotations

import asyncio
import difflib
from pathlib import Path
from typing import cast, get_args

from strategist.cli.console import grid, interval, out, plural, say
from strategist.cli.progress import StudyBar
from strategist.domains.persona import Persona, Split
from strategist.errors import RunInterruptedError, SettingsError
from strategist.evaluation.arms import Arm, make_arm
from strategist.evaluation.report_data import OPENING, keep_outcomes, record_opening
from strategist.evaluation.study import ArmComparison, ArmSummary, contrasts, run_study, study_seeds, summarise
from strategist.loop.compare import Armed, by_moments, compare_at, moments_of
from strategist.loop.deps import Deps
from strategist.project import Project, open_project
from strategist.records.base import stable_int
from strategist.records.run import ArmOutcome, RunInfo, StudyArm
from strategist.settings import load_settings


def run(path: Path, *, arms: str, seeds: int, personas: int | None, split: str, resume: bool, quiet: bool) -> None:
    """The command."""
    names = arm_names(arms)
    if split not in ("dev", "test"):
        raise SettingsError(f"--split is {split!r}", hint="it must be dev or test")
    if resume and split == "dev":
        raise SettingsError("--resume goes with --split test", hint="on dev the same command goes on by itself")
    with open_project(load_settings(path)) as project:
        outcomes = study(project, names, seeds=seeds, personas=personas, split=cast(Split, split), resume=resume, quiet=quiet)
        print_arms(summarise(outcomes), contrasts(outcomes))
        say(f"on {split}; the test split was opened {plural(openings(project), 'time')} so far", "dim")
        say("next: `strategist report`", "dim")


def study(
    project: Project,
    names: tuple[StudyArm, ...],
    *,
    seeds: int,
    personas: int | None = None,
    split: Split = "dev",
    resume: bool = False,
    quiet: bool = False,
) -> tuple[ArmOutcome, ...]:
    """Play the arms: every trace is stored as its conversation ends, the outcomes with the last run when all have ended.

    Opening test is counted first, and draws personas by a new seed; `resume` goes on with the last opening, if it has not ended."""
    with project.at_work():
        last = project.last_run()
        if last is None:
            raise SettingsError("there is no run to evaluate", hint="run `strategist teach` first")
        project.take(last.id)  # before test is opened
        if "teacher" in names and project.settings.advisor.kind == "handbook":
            raise SettingsError("arm teacher needs a teacher that can act", hint="a handbook cannot: set [advisor] kind = 'model'")
        if project.domain.recorded:  # whom to meet is known from the conversations
            drawn: tuple[Persona, ...] = ()
            if split == "test" and not resume:
                record_opening(project.store, last.id, f"arms {', '.join(names)}, {seeds} seeds")
        elif split == "dev":
            drawn = project.domain.personas("dev", personas)
        elif resume:
            drawn = _unfinished_opening(project, last, personas)
        else:
            record_opening(project.store, last.id, f"arms {', '.join(names)}, {seeds} seeds")
            drawn = _test_personas(project, last, personas)
        outcomes = _play(project, last, names, drawn, seeds=seeds, split=split, count=personas, quiet=quiet)
        keep_outcomes(project.store, last.id, outcomes, last.rounds)
    return outcomes


def _test_personas(project: Project, run: RunInfo, count: int | None) -> tuple[Persona, ...]:
    """The test personas of the last opening: every opening and every run has its own."""
    return project.domain.personas("test", count, seed=stable_int("opening", run.seed, openings(project)) % 10**6)


def _unfinished_opening(project: Project, run: RunInfo, count: int | None) -> tuple[Persona, ...]:
    """The personas of the last opening, whose outcomes nobody has seen yet. Raises SettingsError where there is no such opening."""
    drawn = _test_personas(project, run, count)
    opened = [event.target for event in project.store.events() if event.action == OPENING]
    seen = {outcome.persona for outcome in project.store.documents(run.id, "study", ArmOutcome)}
    if opened[-1:] != [run.id] or seen & {persona.id for persona in drawn}:
        hint = "leave out --resume: that opens test once more, and is counted"
        raise SettingsError(f"there is no unfinished opening of test for {run.id}", hint=hint)
    return drawn


def _play(
    project: Project,
    run: RunInfo,
    names: tuple[StudyArm, ...],
    drawn: tuple[Persona, ...],
    *,
    seeds: int,
    split: Split,
    count: int | None,
    quiet: bool,
) -> tuple[ArmOutcome, ...]:
    async def main() -> tuple[ArmOutcome, ...]:
        async with project.deps(run) as deps:
            arms = [await _arm(deps, name) for name in names]
            if by_moments(deps):
                return await _at_moments(deps, arms, drawn, seeds=seeds, split=split, count=count, report=bar)
            return await run_study(
                arms,
                drawn,
                study_seeds(seeds),
                domain=project.domain,
                customer=deps.customer,
                max_turns=project.settings.teach.max_turns,
                tool_style=project.settings.student.tool_style,
                lanes=deps.lanes,
                round=run.rounds,  # after the run's own rounds, whose traces have other ids
                progress=bar,
                keep=lambda trace: project.store.put_trace(run.id, trace),
            )

    whom = plural(len(drawn), f"{split} persona") if drawn else f"{split} customers as recorded"
    title = f"{plural(len(names), 'arm')}, {whom}, {plural(seeds, 'seed')}"
    try:
        with StudyBar(title, quiet=quiet) as bar:
            return asyncio.run(main())
    except KeyboardInterrupt:
        again = "the same command goes on from here" if split == "dev" else "the same command with --resume goes on with this opening"
        raise RunInterruptedError("evaluation stopped; every reply so far is kept", hint=again) from None


async def _at_moments(
    deps: Deps, arms: list[Arm], drawn: tuple[Persona, ...], *, seeds: int, split: Split, count: int | None, report: StudyBar
) -> tuple[ArmOutcome, ...]:
    """The arms at one moment per customer, another one for each seed. Raises SettingsError where a judge has nothing to compare with."""
    if deps.judge is not None and not any(arm.name == "bare" for arm in arms):
        raise SettingsError("a judge compares every reply with the bare student's", hint="add the arm bare")
    outcomes: list[ArmOutcome] = []
    armed: list[Armed] = [(arm.name, arm.actor, arm.role) for arm in arms]
    for seed in study_seeds(seeds):
        moments = (await moments_of(deps, split, drawn, round_=deps.run.rounds, seed=seed))[:count]
        outcomes += await compare_at(deps, armed, moments, report, round_=deps.run.rounds, seed=seed)
    return tuple(outcomes)


def openings(project: Project) -> int:
    """How often the test split of this project was opened."""
    return sum(event.action == OPENING for event in project.store.events())


async def _arm(deps: Deps, name: StudyArm) -> Arm:
    snapshot = deps.library_now()
    return make_arm(
        name,
        deps.agent,
        handbook=deps.domain.handbook,
        retriever=await deps.retriever(snapshot),
        entries=snapshot.entries,
        teacher=deps.teacher,
        seed=deps.run.seed,
    )


def arm_names(text: str) -> tuple[StudyArm, ...]:
    """Arms from a comma-separated list, each once. Raises SettingsError."""
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    known = get_args(StudyArm)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            meant = f"did you mean {near[0]!r}? " if near else ""
            raise SettingsError(f"unknown arm {name!r}", hint=f"{meant}arms are {', '.join(known)}")
    if not names:
        raise SettingsError("no arms given", hint=f"arms are {', '.join(known)}")
    return cast(tuple[StudyArm, ...], names)


def print_arms(summaries: tuple[ArmSummary, ...], compared: tuple[ArmComparison, ...]) -> None:
    """A table of the arms and one line per contrast, each with n, seeds and interval."""
    failed = any(s.failed for s in summaries)
    numbers = ("score [95 %]", "goal", "hard/100", "n", "seeds", *(("failed",) if failed else ()))
    table = grid("arm", *numbers, right=numbers)
    for s in summaries:
        score = f"{s.score.mean:.2f} [{s.score.low:.2f}, {s.score.high:.2f}]" if s.score else "-"
        goal = f"{s.goal.mean:.0%}" if s.goal else "-"
        hard = f"{s.hard.mean:.0f}" if s.hard else "-"
        table.add_row(s.arm, score, goal, hard, str(s.personas), str(s.seeds), *((str(s.failed),) if failed else ()))
    out.print(table)
    say("goal: customers who got what they came for; hard/100: conversations with a policy or safety failure", "dim")
    for c in compared:
        lift = "not measured" if c.lift is None else interval(c.lift.mean, c.lift.low, c.lift.high)
        left = f", {plural(c.left_out, 'pair')} left out because one side failed" if c.left_out else ""
        say(f"{c.arm} over {c.base}: {lift} n={c.personas} seeds={c.seeds}{left}")
