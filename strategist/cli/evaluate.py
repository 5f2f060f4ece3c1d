"""`strategist evaluate`: the arms of a study on dev or test personas, stored with the last run."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast, get_args

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from strategist.cli.console import err, interval, out
from strategist.domains.persona import Split
from strategist.errors import RunInterruptedError, SettingsError
from strategist.evaluation.arms import Arm, StudentParts, make_arm
from strategist.evaluation.report_data import keep_outcomes, record_opening
from strategist.evaluation.study import ArmComparison, ArmSummary, contrasts, run_study, summarise
from strategist.loop.deps import Deps
from strategist.project import Project, open_project
from strategist.records.base import stable_int
from strategist.records.run import ArmName, ArmOutcome
from strategist.settings import load_settings


def run(path: Path, *, arms: str, seeds: int, personas: int | None, split: str, quiet: bool) -> None:
    """The command."""
    names = _arm_names(arms)
    if split not in ("dev", "test"):
        raise SettingsError(f"--split is {split!r}", hint="it must be dev or test")
    with open_project(load_settings(path)) as project:
        outcomes = study(project, names, seeds=seeds, personas=personas, split=cast(Split, split), quiet=quiet)
        print_arms(summarise(outcomes), contrasts(outcomes))


def study(
    project: Project, names: tuple[ArmName, ...], *, seeds: int, personas: int | None = None, split: Split = "dev", quiet: bool = False
) -> tuple[ArmOutcome, ...]:
    """Play the arms and store their outcomes with the last run. Opening test is counted first and draws personas by a new seed."""
    last = project.last_run()
    if last is None:
        raise SettingsError("there is no run to evaluate", hint="run `strategist teach` first")
    opening = 0
    if split == "test":
        record_opening(project.store, last.id, f"arms {', '.join(names)}, {seeds} seeds")
        opening = sum(event.action == "open test split" for event in project.store.events())
    drawn = project.domain.personas(split, personas, seed=stable_int("opening", last.seed, opening) % 10**6 if opening else 0)

    async def main() -> tuple[ArmOutcome, ...]:
        async with project.deps(last) as deps:
            return await run_study(
                [await _arm(deps, name) for name in names],
                drawn,
                range(seeds),
                domain=project.domain,
                customer=deps.customer,
                max_turns=project.settings.teach.max_turns,
                tool_style=project.settings.student.tool_style,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
                keep=lambda trace: project.store.put_trace(last.id, trace),
            )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, disable=quiet or not err.is_terminal) as bar:
        task = bar.add_task(f"{len(names)} arms, {len(drawn)} {split} personas, {seeds} seeds", total=None)
        try:
            outcomes = asyncio.run(main())
        except KeyboardInterrupt:
            raise RunInterruptedError("evaluation stopped; what was played is kept", hint="the same command goes on from here") from None
    keep_outcomes(project.store, last.id, outcomes, last.rounds)
    return outcomes


async def _arm(deps: Deps, name: ArmName) -> Arm:
    student = deps.settings.student
    parts = StudentParts(
        deps.student,
        tools=tuple(tool.spec for tool in deps.domain.tools),
        tool_style=student.tool_style,
        temperature=student.temperature,
        max_tokens=student.max_tokens,
    )
    snapshot = deps.library.snapshot(("admitted", "approved"), deps.embedder.id, deps.library.get_floor())
    return make_arm(
        name,
        parts,
        handbook=deps.domain.handbook,
        retriever=await deps.retriever(snapshot),
        entries=snapshot.entries,
        teacher=deps.teacher,
        seed=deps.run.seed,
    )


def _arm_names(text: str) -> tuple[ArmName, ...]:
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    known = get_args(ArmName)
    for name in names:
        if name not in known:
            raise SettingsError(f"unknown arm {name!r}", hint=f"arms are {', '.join(known)}")
    if not names:
        raise SettingsError("no arms given", hint=f"arms are {', '.join(known)}")
    return cast(tuple[ArmName, ...], names)


def print_arms(summaries: tuple[ArmSummary, ...], compared: tuple[ArmComparison, ...]) -> None:
    """A table of the arms and one line per contrast, each with n, seeds and interval."""
    table = Table(box=None, header_style="bold")
    for column in ("arm", "score [95 %]", "goal", "hard failures / 100", "personas", "seeds", "failed"):
        table.add_column(column, justify="left" if column == "arm" else "right")
    for s in summaries:
        score = f"{s.score.mean:.2f} [{s.score.low:.2f}, {s.score.high:.2f}]" if s.score else "-"
        goal = f"{s.goal.mean:.0%}" if s.goal else "-"
        hard = f"{s.hard.mean:.0f}" if s.hard else "-"
        table.add_row(s.arm, score, goal, hard, str(s.personas), str(s.seeds), str(s.failed))
    out.print(table)
    for c in compared:
        if c.lift is not None:
            lift = interval(c.lift.mean, c.lift.low, c.lift.high)
            out.print(f"{c.arm} over {c.base}: {lift} n={c.personas} seeds={c.seeds}", highlight=False)
