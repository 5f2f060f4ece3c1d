"""`strategist transfer`: a library on another company, another student or both: what it still gives, and which entries stay behind."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

from rich.table import Table
from rich.text import Text

from strategist.casting import model_name
from strategist.cli.console import grid, interval, out, plural, say
from strategist.cli.evaluate import openings, print_arms
from strategist.cli.files import read_text
from strategist.cli.progress import StudyBar
from strategist.domains.persona import Split
from strategist.errors import DomainError, RunInterruptedError, SettingsError
from strategist.evaluation.report_data import record_opening
from strategist.evaluation.study import study_seeds, summarise
from strategist.evaluation.transfer import (
    CARRIED,
    EntryUse,
    Plan,
    Transfer,
    gains,
    make_plan,
    own_library,
    play_transfer,
    require_lines,
    share_kept,
)
from strategist.library.crossing import Company, Held, company_of
from strategist.library.export import read_export
from strategist.project import LAB, Project, open_domain, open_project
from strategist.records.base import Record, stable_int
from strategist.records.library import SERVABLE, Snapshot
from strategist.records.run import RunInfo
from strategist.settings import Settings, load_settings

RESULT, OPENED = "transfer", "transfer_opening"
"""Kinds of the documents that a transfer leaves: what was found, and which opening of the test split it is playing."""


class Opening(Record):
    """The number of an opening of the test split, of the customers it draws; `ended` once somebody has seen the result."""

    number: int
    ended: bool = False


def run(
    path: Path,
    file: Path,
    *,
    domain: str | None,
    student: str | None,
    source: str | None,
    personas: int | None,
    seeds: int,
    split: str,
    whole: bool,
    quiet: bool,
) -> None:
    """The command."""
    if split not in ("dev", "test"):
        raise SettingsError(f"--split is {split!r}", hint="it must be dev or test")
    library = read_export(read_text(file))
    settings = elsewhere(load_settings(path), domain, student)
    with open_project(settings) as project:
        plan = plan_of(project, library, sources_of(library, settings, source), whole=whole)
        print_held(plan)
        require_lines(plan, project.domain)
        result = measure(project, plan, personas=personas, seeds=seeds, split=cast(Split, split), quiet=quiet)
        print_transfer(result)
        say(f"on {split}; the test split was opened {plural(openings(project), 'time')} so far", "dim")


def elsewhere(settings: Settings, domain: str | None, student: str | None) -> Settings:
    """The settings with another domain (a name, or a folder from here) and another student: a model's name, or a GGUF file from here."""
    changes: dict[str, object] = {}
    if domain is not None:
        changes["domain"] = str(Path(domain).resolve()) if Path(domain).is_dir() else domain
    if student is not None and student.lower().endswith(".gguf"):
        file = Path(student).expanduser().resolve()
        if not file.is_file():
            raise SettingsError(
                f"there is no model file {student}", hint="--student takes a GGUF file, or a model's name on the same server"
            )
        changes["student"] = settings.student.model_copy(update={"adapter": "embedded", "path": file, "model": file.stem})
    elif student is not None:
        changes["student"] = settings.student.model_copy(update={"model": student, "path": None})
    return settings.model_copy(update=changes)


def sources_of(library: Snapshot, settings: Settings, given: str | None) -> dict[str, Company]:
    """The companies where a library was learned, by the name of their domain: the one that is given, and those that are found by name."""
    names = sorted({entry.domain for entry in library.entries})
    if given is not None:
        domain = open_domain(elsewhere(settings, given, None))
        if domain.name not in names:
            raise SettingsError(f"--source is {domain.name}, but the library was learned in {', '.join(names) or 'no domain'}")
        return {domain.name: company_of(domain)}
    found = {}
    for name in names:
        try:
            own = f"{LAB}{name.removeprefix('lab_')}" if name.startswith("lab_") else name
            found[name] = company_of(open_domain(settings.model_copy(update={"domain": own})))
        except DomainError:
            say(
                f"note: the domain {name} is not here, so its lines are held against this company's brief alone (--source names it)",
                "yellow",
            )
    return found


def plan_of(project: Project, library: Snapshot, sources: dict[str, Company], *, whole: bool) -> Plan:
    """The arms of a project: with its own library where one was taught to this student."""
    mine = project.library.snapshot(SERVABLE, project.embedder.embedder.id, project.library.get_floor())
    return make_plan(
        library,
        sources=sources,
        target=project.domain,
        embedder=project.embedder.embedder.id,
        own=own_library(mine, project.domain.name, model_name(project.settings.student)),
        whole=whole,
    )


def measure(project: Project, plan: Plan, *, personas: int | None, seeds: int, split: Split, quiet: bool) -> Transfer:
    """Play the arms, or go on with them: every reply is in the call log, every trace and the result are kept under the transfer's run."""
    info = project.transfer_run(plan.library.hash)
    arms = 2 + (plan.whole is not None) + (plan.own is not None)
    count = project.domain.split_sizes[split] if personas is None else personas

    async def main(draw_seed: int) -> Transfer:
        async with project.deps(info) as deps:
            return await play_transfer(
                deps,
                plan,
                personas,
                study_seeds(seeds),
                split=split,
                draw_seed=draw_seed,
                progress=bar,
                keep=lambda trace: project.store.put_trace(info.id, trace),
            )

    try:
        with project.at_work():
            project.take(info.id)  # before test is opened
            draw_seed = 0 if split == "dev" else _open_test(project, info)
            title = f"{plural(arms, 'arm')}, {plural(count, f'{split} persona')}, {plural(seeds, 'seed')}"
            with StudyBar(title, quiet=quiet, command="transfer") as bar:
                result = asyncio.run(main(draw_seed))
    except KeyboardInterrupt:
        raise RunInterruptedError("transfer stopped; every reply so far is kept", hint="the same command goes on from here") from None
    project.store.put_document(info.id, RESULT, split, 0, 0, result)
    if split == "test":
        project.store.put_document(info.id, OPENED, OPENED, 0, 0, Opening(number=openings(project), ended=True))
    return result


def _open_test(project: Project, info: RunInfo) -> int:
    """The seed of the test customers: those of an opening that nobody has seen the end of, else of a new one, which is counted."""
    last = project.store.get_document(info.id, OPENED, OPENED, Opening)
    if last is None or last.ended:
        record_opening(project.store, info.id, "transfer")
        last = Opening(number=openings(project))
        project.store.put_document(info.id, OPENED, OPENED, 0, 0, last)
    return stable_int("opening", info.seed, last.number) % 10**6


def print_held(plan: Plan) -> None:
    """How much crosses, and every line that is held back with its reason."""
    lines = sum(len(entry.strategies) for entry in plan.library.entries)
    crossed = sum(bool(entry.strategies) for entry in plan.transferred.entries)
    entries = plural(sum(bool(entry.strategies) for entry in plan.library.entries), "entry", "entries")
    say(f"{crossed} of {entries} cross, with {lines - len(plan.held)} of {plural(lines, 'line')}")
    if plan.held:
        out.print(_held_table(plan.held))


def _held_table(held: tuple[Held, ...]) -> Table:
    table = grid("held back", "why", "line", wrap="line")
    for one in held:
        table.add_row(one.entry, Text(one.message), Text(one.line))
    return table


def print_transfer(result: Transfer) -> None:
    """Arms with their differences, the share of the gain kept, and the entries."""
    say(f"library {result.library[:12]}, learned in {'; '.join(result.learned)}; played in {result.domain} with {result.student}", "dim")
    print_arms(summarise(result.outcomes), gains(result.outcomes))
    kept = share_kept(result.outcomes)
    if kept.share is None:
        say(f"share of the gain kept: not defined, because {kept.why}")
    else:
        share = kept.share
        say(f"share of the gain kept: {share.mean:.0%} [{share.low:.0%}, {share.high:.0%}] n={share.n}, of the gain of the own library")
    table = grid(
        "entry", "verdict", "turns", "customers", "over bare [95 %]", "first line", right=("turns", "customers"), wrap="first line"
    )
    for use in (one for one in result.uses if one.verdict != "held back"):
        table.add_row(use.entry, use.verdict, str(use.turns), str(use.personas), _difference(use), Text(use.lines[0]))
    out.print(table)
    behind = sum(use.verdict not in CARRIED for use in result.uses)
    say(f"{behind} of {plural(len(result.uses), 'entry', 'entries')} did not carry over; {NOTE}", "dim")


NOTE = "over bare: the conversations that had lines of the entry, against the same ones without; a hint, since several entries share them"


def _difference(use: EntryUse) -> str:
    if use.difference is None:
        return "-"
    found = use.interval
    return f"{use.difference:+.2f}" if found is None else interval(found.mean, found.low, found.high)
