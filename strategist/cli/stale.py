"""`strategist library stale` and `revalidate`: what a new brief may have made wrong, and testing that again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.padding import Padding
from rich.text import Text

from strategist.cli.console import err, grid, out, plural, say
from strategist.cli.library import coloured, first_line, newest
from strategist.cli.progress import StudyBar
from strategist.cli.teach import catch_up
from strategist.errors import BudgetExceededError, RunInterruptedError, ServerUnavailableError, SettingsError, StrategistError
from strategist.library.briefs import kept_texts
from strategist.library.changes import BriefChange, Change
from strategist.library.stale import TOUCHED, Staleness, Touch, staleness
from strategist.loop.revalidate import Retested, batch_of, choose, number_of
from strategist.loop.revalidate import revalidate as test_again
from strategist.project import Project, open_project
from strategist.records.library import SERVABLE, Entry
from strategist.records.run import RunInfo
from strategist.settings import load_settings

LIKELY: dict[Touch, tuple[str, str]] = {
    "rule": ("rule", "red"),
    "lint": ("text", "red"),
    "unknown": ("unknown", "yellow"),
    "words": ("words", "yellow"),
    "other": ("not touched", "dim"),
}


def show(path: Path) -> None:
    """The stale entries with reasons, what changed in the brief, and what to do."""
    with open_project(load_settings(path)) as project:
        found = look(project)
    if not found.entries:
        say("no entry is stale")
        return
    table = grid("entry", "status", "touched", "why", "first line", wrap="why")
    for one in found.entries:
        why = Text("; ".join(one.why))
        table.add_row(one.entry.ref, coloured(one.entry), Text(*LIKELY[one.touch]), why, Text(first_line(one.entry)))
    out.print(table)
    for old, change in found.changes.items():
        _print_change(old, change)
    _print_next(found)


def look(project: Project) -> Staleness:
    """What is stale in a project."""
    domain, entries = project.domain, project.library.entries()
    known = kept_texts(project.store, [entry.brief_hash for entry in entries])
    return staleness(entries, known, domain.brief, domain.brief_hash, domain.language)


def _print_change(old: str, change: BriefChange | None) -> None:
    say(f"\nsince the brief {old or 'without a hash'}:")
    if change is None:
        say("  its text is not known here (the entries came from elsewhere), so all rules count as changed", "yellow")
        return
    for one in change.real:
        _print_rule(one)
    moved = [f"{c.before.id} is {c.after.id}" for c in change.changes if c.kind == "moved" and c.before is not None and c.after is not None]
    if moved:
        say(f"  only numbers: {', '.join(moved)}", "dim")
    for what, figures in (("no longer named", change.figures_gone), ("newly named", change.figures_new)):
        if figures:
            say(f"  {what}: {', '.join(figures)}")
    if not change.changes:
        say("  nothing but layout", "dim")


def _print_rule(one: Change) -> None:
    now = f", now {one.after.id}" if one.before is not None and one.after is not None and one.after.id != one.before.id else ""
    say(f"  {one.name} {'is new' if one.kind == 'added' else one.kind}{now}")
    for sign, rule, style in (("-", one.before, "red"), ("+", one.after, "green")):
        if rule is not None:
            out.print(Padding(Text(f"{sign} {rule.text}", style=style), (0, 0, 0, 4), expand=False))


def _print_next(found: Staleness) -> None:
    serving = Counter(one.touch in TOUCHED for one in found.entries if one.entry.status in SERVABLE)
    say("")
    if serving[True]:
        say(f"next: `strategist library revalidate` tests the {plural(serving[True], 'entry', 'entries')} again that the brief touches")
    if serving[False]:
        word = "every stale one" if serving[True] else "them all the same"
        say(f"{plural(serving[False], 'entry', 'entries')} not touched; with `--all` it tests {word}", "dim")
    idle = len(found.entries) - serving.total()
    if idle:
        say(f"{plural(idle, 'entry', 'entries')} proposed: out of use, tested again only by name", "dim")


def revalidate(path: Path, names: Sequence[str], *, every: bool, quiet: bool) -> None:
    """Test entries again and say what became of each."""
    if names and every:
        raise SettingsError("--all and names of entries exclude each other", hint="--all tests every stale entry")
    with open_project(load_settings(path)) as project, project.at_work():
        found = look(project)
        entries = choose(project.library, found, [newest(project, name) for name in names], every=every)
        if not entries:
            _say_nothing(found)
            return
        run, number = _begin(project, entries)
        before = project.calls.spent(run.id).calls
        results = _with_bar(project, run, number, entries, quiet=quiet)
        paid = project.calls.spent(run.id).calls - before
        catch_up(project)
    _print_results(results, run, paid)


def _say_nothing(found: Staleness) -> None:
    idle = sum(one.entry.status not in SERVABLE for one in found.entries)
    if len(found.entries) == idle:
        say("nothing to test: no entry in service is stale")
    else:
        say(f"nothing to test: the new brief touches none of the {len(found.entries) - idle} stale entries; --all tests them all the same")


def _begin(project: Project, entries: Sequence[Entry]) -> tuple[RunInfo, int]:
    batch = batch_of(entries, project.revalidation_run(1))
    now = project.library.snapshot(SERVABLE, project.embedder.embedder.id, project.library.get_floor())
    number = number_of(project.store, batch, now)
    return project.revalidation_run(number), number


def _with_bar(project: Project, run: RunInfo, number: int, entries: Sequence[Entry], *, quiet: bool) -> tuple[Retested, ...]:
    async def main() -> tuple[Retested, ...]:
        async with project.deps(run) as deps:
            return await test_again(deps, number, entries, bar)

    again = "the same command goes on from here"
    title = f"{run.id}, {plural(len(entries), 'entry', 'entries')}"
    try:
        with StudyBar(title, quiet=quiet, command="revalidate", units="replies") as bar:
            return asyncio.run(main())
    except KeyboardInterrupt:
        raise RunInterruptedError(f"{run.id} stopped; every reply so far is kept, no entry is changed", hint=again) from None
    except (BudgetExceededError, ServerUnavailableError) as error:
        hint = "\n".join(filter(None, [error.hint, again]))
        raise StrategistError(f"{run.id} stopped, every reply so far is kept, no entry is changed: {error.message}", hint=hint) from error


def _print_results(results: Sequence[Retested], run: RunInfo, paid: int) -> None:
    table = grid("entry", "before", "now", "why", wrap="why")
    for one in results:
        table.add_row((one.after or one.before).ref, coloured(one.before), coloured(one.after or one.before), Text(one.why))
    out.print(table)
    replies = sum(one.evidence.replies for one in results if one.evidence is not None)
    say(f"{run.id}: {plural(replies, 'test reply', 'test replies')}, {plural(paid, 'call')} paid by this command", "dim")
    if any(one.after is not None and one.evidence is None for one in results):
        say("next: change what the brief does not allow (docs/python.md), then test the entry again by its name", "dim")
    untested = [one.before for one in results if one.after is None]
    if untested:
        what = plural(len(untested), "entry was", "entries were")
        say(f"{what} not decided and kept as before, status and brief: {', '.join(entry.id for entry in untested)}", "yellow", to=err)
