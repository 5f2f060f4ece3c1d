"""`strategist trace list|show|export`: conversations as they were, with the guidance of every turn, and as logs for inspect_ai."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import cast, get_args

from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from strategist.cli.console import grid, out, plural, say
from strategist.cli.files import write_text
from strategist.cli.try_ import WHY
from strategist.errors import SettingsError, StoreError
from strategist.evaluation.inspect_log import as_text, file_name, grouped, inspect_log
from strategist.project import Project, open_project
from strategist.records.chat import Message, Purpose
from strategist.records.library import Guidance
from strategist.records.run import RunInfo
from strategist.records.trace import Trace, Turn
from strategist.settings import load_settings

SHOWN = 40
"""Traces that a list shows unless told otherwise."""
CUT = 300
"""Characters of a tool's result that are shown."""


def list_traces(
    path: Path, *, run_id: str | None, purpose: str | None, arm: str | None, round_: int | None, failed: bool, limit: int
) -> None:
    """The command `trace list`: one line per conversation, in the order they were played."""
    with open_project(load_settings(path)) as project:
        run = run_of(project, run_id)
        kind = _purpose(purpose)
        found = project.store.traces(run.id, purpose=kind, round=None if round_ is None else round_ - 1, arm=arm)
        wanted = (trace for trace in found if not failed or _went_wrong(trace))
        shown = list(islice(wanted, limit + 1))
    if not shown:
        say(f"{run.id} has no such conversation")
        return
    table = grid("trace", "what for", "round", "arm", "issue", "score", "hard", "guided", right=("round", "score", "hard", "guided"))
    for trace in shown[:limit]:
        guided = sum(bool(turn.guidance.lines) for turn in trace.turns)
        score = Text("failed", style="red") if trace.failure else Text("-" if trace.outcome is None else f"{trace.outcome.score:.2f}")
        hard = "" if trace.outcome is None else str(trace.outcome.hard_failures or "")
        row = (trace.id, trace.purpose, str(trace.round + 1), trace.arm or trace.actor, Text(trace.issue))
        table.add_row(*row, score, hard, f"{guided} of {len(trace.turns)}")
    out.print(table)
    if len(shown) > limit:
        say(f"the first {limit}; --limit shows more, --arm, --round and --failed choose", "dim")


def show(path: Path, name: str | None, *, run_id: str | None) -> None:
    """The command `trace show`: a conversation as a person reads it, with what guided each turn and what checks say."""
    with open_project(load_settings(path)) as project:
        run = run_of(project, run_id)
        trace = find_trace(project, run, name)
        about = {check.id: check.about for check in project.domain.checks}
    print_trace(trace, about)
    if name is None:
        say("the newest conversation; `strategist trace list` names the others", "dim")


def export(path: Path, folder: Path, *, run_id: str | None, purpose: str | None) -> None:
    """The command `trace export`: one log per arm and round for inspect_ai's viewer."""
    with open_project(load_settings(path)) as project:
        run = run_of(project, run_id)
        groups = grouped(project.store.traces(run.id, purpose=_purpose(purpose)))
    if not groups:
        raise SettingsError(f"{run.id} has no conversation to export", hint="`strategist trace list` shows what there is")
    created = datetime.now(UTC).isoformat(timespec="seconds")
    for group, traces in groups.items():
        write_text(folder / file_name(run, group, created), as_text(inspect_log(run, group, traces, created=created)))
    conversations = plural(sum(map(len, groups.values())), "conversation")
    say(f"wrote {conversations} in {plural(len(groups), 'log')} to {folder}; open them with `inspect view --log-dir {folder}`")


def run_of(project: Project, run_id: str | None) -> RunInfo:
    """The named run, else the last one. Raises SettingsError."""
    runs = project.store.runs()
    found = next((run for run in runs if run.id == run_id), None) if run_id is not None else runs[-1] if runs else None
    if found is None:
        hint = f"there are {', '.join(run.id for run in runs)}" if runs else "run `strategist teach` first"
        raise SettingsError(f"there is no run {run_id}" if run_id else "there is no run yet", hint=hint)
    return found


def find_trace(project: Project, run: RunInfo, name: str | None) -> Trace:
    """The trace whose id begins so, or the newest. Raises SettingsError where none or several do."""
    ids = project.store.trace_ids(run.id)
    matching = [one for one in ids if name is None or one.startswith(name)]
    if not matching:
        hint = "`strategist trace list` names them" if ids else "run `strategist teach` first"
        raise SettingsError(f"{run.id} has no conversation {name}" if name else f"{run.id} has no conversation yet", hint=hint)
    if name is not None and len(matching) > 1 and name not in matching:
        raise SettingsError(f"{len(matching)} conversations begin with {name}", hint=", ".join(matching[:5]))
    try:
        return project.store.get_trace(run.id, name if name in matching else matching[-1])
    except StoreError as error:
        raise SettingsError(error.message, hint=error.hint) from None


def print_trace(trace: Trace, about: dict[str, str]) -> None:
    """The conversation, turn by turn."""
    arm = f", arm {trace.arm}" if trace.arm else ""
    head = f" {trace.purpose}, round {trace.round + 1}{arm}; {trace.persona} ({trace.issue}); answered by the {trace.actor}"
    out.print(Text.assemble((trace.id, "bold"), head))
    for turn in trace.turns:
        out.print(Rule(Text(f"turn {turn.index + 1}"), style="dim"))
        _said("customer", turn.customer, "cyan")
        _steps(turn.steps)
        _guidance(turn.guidance)
        _said("agent", turn.reply, "green")
        _verdicts(turn, about)
    out.print(Rule(style="dim"))
    _end(trace, about)


def _said(who: str, text: str, style: str) -> None:
    out.print(Text(f"{who}:", style=f"bold {style}"))
    out.print(Padding(Text(text), (0, 0, 0, 2)))


def _steps(steps: Iterable[Message]) -> None:
    for step in steps:
        for call in step.tool_calls:
            out.print(Padding(Text.assemble(("calls ", "dim"), f"{call.name} {call.arguments}"), (0, 0, 0, 2)))
        if step.role == "tool":
            text = step.content if len(step.content) <= CUT else f"{step.content[:CUT]} ..."
            out.print(Padding(Text.assemble(("gets ", "dim"), text), (0, 0, 0, 2)))


def _guidance(guidance: Guidance) -> None:
    score = "" if guidance.score is None else f", score {guidance.score:.3f}"
    entries = f" from {', '.join(guidance.entries)}" if guidance.entries else ""
    out.print(Text.assemble(("guidance: ", "bold blue"), f"{WHY[guidance.reason]}{entries}{score}"))
    for line in guidance.lines:
        out.print(Padding(Text(f"- {line}", style="blue"), (0, 0, 0, 2)))


def _verdicts(turn: Turn, about: dict[str, str]) -> None:
    for verdict in turn.verdicts:
        if verdict.passed is False:
            kind = "fails (hard)" if verdict.hard else "fails"
            out.print(Text.assemble((f"{kind}: ", "red"), f"{verdict.check}: {about.get(verdict.check, '')}".rstrip(": ")))
        if verdict.passed is None:
            out.print(Text.assemble(("broken: ", "yellow"), f"{verdict.check}: {verdict.detail}"))


def _end(trace: Trace, about: dict[str, str]) -> None:
    if trace.failure is not None:
        out.print(Text.assemble(("failed ", "bold red"), f"{trace.failure.kind}: {trace.failure.message}"))
    if trace.outcome is None:
        return
    goal = "goal reached" if trace.outcome.goal else "goal not reached"
    hard = f", {plural(trace.outcome.hard_failures, 'hard failure')}" if trace.outcome.hard_failures else ""
    out.print(Text.assemble(("outcome ", "bold"), f"score {trace.outcome.score:.2f}, {goal}, ended: {trace.outcome.ended}{hard}"))
    for verdict in trace.outcome.verdicts:
        if verdict.turn is None and verdict.passed is False:
            out.print(Text.assemble(("fails: ", "red"), f"{verdict.check}: {about.get(verdict.check, '')}".rstrip(": ")))


def _went_wrong(trace: Trace) -> bool:
    return trace.failure is not None or (trace.outcome is not None and (trace.outcome.hard_failures > 0 or not trace.outcome.goal))


def _purpose(text: str | None) -> Purpose | None:
    if text is not None and text not in get_args(Purpose):
        raise SettingsError(f"--purpose is {text!r}", hint=f"it must be one of {', '.join(get_args(Purpose))}")
    return cast("Purpose | None", text)
