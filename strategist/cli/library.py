"""`strategist library ...`: look at entries, change statuses, move libraries, check the index."""

from __future__ import annotations

import asyncio
import difflib
from pathlib import Path
from typing import Literal, cast, get_args

from rich.padding import Padding
from rich.text import Text

from strategist.cli.console import block, err, grid, out, plural, say
from strategist.cli.files import read_text, write_text, written
from strategist.cli.teach import catch_up, say_stale
from strategist.cli.try_ import explain
from strategist.errors import LibraryError, SettingsError
from strategist.library.briefs import keep_brief
from strategist.library.export import export_text, import_text, read_export
from strategist.library.stale import is_stale
from strategist.project import Project, open_project
from strategist.records.chat import Message
from strategist.records.evidence import Evidence
from strategist.records.library import Entry, Snapshot, Status
from strategist.retrieval import index as index_
from strategist.settings import load_settings

COLOURS: dict[Status, str] = {"proposed": "yellow", "admitted": "cyan", "approved": "green", "retired": "dim"}
TABLE_WIDTH = 120
"""Columns from which the list is a table; a narrower terminal gets each entry's lines below it."""


def list_entries(path: Path, status: str | None) -> None:
    """A table, one line per entry."""
    wanted = None if status is None else (_status(status),)
    with open_project(load_settings(path)) as project:
        entries = project.library.entries(wanted)
        stale = frozenset(entry.id for entry in entries if is_stale(entry, project.domain.brief_hash))
    if not entries:
        say("the library is empty" if status is None else f"no entry is {status}")
        return
    if out.width < TABLE_WIDTH:
        _list_narrow(entries, stale)
        return
    about = ("brief",) if stale else ()
    table = grid("entry", "status", *about, "round", "w-l-t", "q", "issues", "first line", right=("round",), wrap="first line")
    for entry in entries:
        wins, q = _record(entry.evidence)
        mark = [Text(_mark(entry, stale), style="yellow") for _ in about]
        lines = Text.assemble(first_line(entry), (f"\n{said}" if (said := _judged(entry)) else "", "dim"))
        table.add_row(entry.ref, coloured(entry), *mark, str(entry.round + 1), wins, q, Text(_issues(entry)), lines)
    out.print(table)
    say("w-l-t: test moments won, lost and tied against the library without it; q: after correction for the round's tests", "dim")
    if stale:
        say("stale: last tested under another brief; `strategist library stale` says what that may have made wrong", "dim")


def _mark(entry: Entry, stale: frozenset[str]) -> str:
    return "stale" if entry.id in stale else ""


def _list_narrow(entries: tuple[Entry, ...], stale: frozenset[str]) -> None:
    for entry in entries:
        wins, q = _record(entry.evidence)
        mark = (" · stale", "yellow") if entry.id in stale else ""
        out.print(Text.assemble((entry.ref, "bold"), " ", coloured(entry), f" {wins} q {q} · {_issues(entry)}", mark))
        for strategy in entry.strategies:
            out.print(Padding(Text(strategy.text), (0, 0, 0, 4)))
        if said := _judged(entry):
            out.print(Padding(Text(said, style="dim"), (0, 0, 0, 4)))


def show(path: Path, name: str) -> None:
    """Everything about one entry, the newest version or `id@version`."""
    id_, version = ref_of(name)
    with open_project(load_settings(path)) as project:
        entry = project.library.get(id_, version)
        events = project.library.events(entry.id)
    about = f", round {entry.round + 1}, for {entry.student}, written by {entry.advisor}"
    out.print(Text.assemble((entry.ref, "bold"), " ", coloured(entry), about))
    block("lines", "\n".join(f"- {s.text}" for s in entry.strategies) or "(nothing needed)", "blue")
    for key in entry.keys[:5]:
        out.print(Text.assemble((f"key ({key.issue}) ", "dim"), key.text))
    if len(entry.keys) > 5:
        say(f"... and {len(entry.keys) - 5} keys more", "dim")
    block("reply before", entry.reply_before or "-", "dim")
    block("reply after", entry.reply_after or "-", "green")
    say(_evidence(entry))
    if said := _judged(entry):
        say(f"decided {said}", "yellow")
    for event in events:
        out.print(Text.assemble((event.time, "dim"), f" {event.actor}: {event.action} ({event.reason})"))


def search(path: Path, text: str) -> None:
    """What a customer's message retrieves, through the index of the settings."""
    said = written(text, "the text to search for")
    with open_project(load_settings(path)) as project:
        asyncio.run(explain(project, [Message(role="user", content=said)]))


def change_status(path: Path, name: str, action: Literal["approve", "retire"], reason: str) -> None:
    """Approve or retire an entry."""
    why = written(reason, "--reason")
    with open_project(load_settings(path)) as project:
        id_ = newest(project, name)
        change = project.library.approve if action == "approve" else project.library.retire
        changed = change(id_, actor=person(), reason=why)
        catch_up(project)
        say(f"{changed.ref} is {changed.status}")


def export(path: Path, target: Path | None) -> None:
    """Write the servable entries: to a file, or as they are to standard output."""
    with open_project(load_settings(path)) as project:
        snapshot = _servable(project)
        text = export_text(snapshot)
        say_stale(project)
    if target is None:
        out.file.write(text)
        return
    write_text(target, text)
    say(f"wrote {plural(len(snapshot.entries), 'entry', 'entries')} to {target}")


def import_file(path: Path, file: Path) -> None:
    """Read an exported file into the library."""
    text = read_text(file)
    with open_project(load_settings(path)) as project:
        done = import_text(project.library, text, actor=person(), brief=project.domain.brief, language=project.domain.language)
        if any(entry.brief_hash == project.domain.brief_hash for entry in read_export(text).entries):
            keep_brief(project.store, project.domain)
        catch_up(project)
        foreign = sorted({entry.domain for entry in read_export(text).entries} - {project.domain.name})
    count = done.counts
    say(f"{file}: {count.added} new, {count.changed} changed, {count.same} the same, {count.kept_retired} stay retired here")
    notes = [*done.notes, *(f"its entries were learned in the domain {name}, not in this project's" for name in foreign)]
    for note in notes:
        say(f"note: {note}", "yellow", to=err)


def verify(path: Path) -> None:
    """Compare index and database; raises LibraryError if they differ."""
    with open_project(load_settings(path)) as project:
        faults = asyncio.run(_verify(project))
        for fault in faults:
            err.print(Text.assemble(("fault", "red"), f" {fault}"))
        if faults:
            hint = "nothing is lost, the index is derived: `strategist library rebuild` repairs it"
            raise LibraryError(f"the index has {plural(len(faults), 'fault')}", hint=hint)
        snapshot = _servable(project)
        kind = "" if project.settings.retrieval.index == "chroma" else "; exact search keeps no index on disk"
        entries = plural(len(snapshot.entries), "entry", "entries")
        out.print(Text.assemble(("ok", "green"), f" {entries}, embedder {project.embedder.embedder.id}, hash {snapshot.hash[:12]}{kind}"))


async def _verify(project: Project) -> list[str]:
    if project.settings.retrieval.index == "exact":
        return []
    snapshot = _servable(project)
    if not snapshot.entries and not project.index_folder.exists():
        return []
    try:
        with project.index() as choice:
            if choice.notice:
                raise SettingsError("the index cannot be looked into now", hint=f"{choice.notice}\nstop that process, then verify again")
            return await index_.verify(choice.index, snapshot, project.embedder.embedder)
    except LibraryError as error:
        return [error.message]


def rebuild(path: Path) -> None:
    """Drop and refill the index."""
    with open_project(load_settings(path)) as project:
        if project.settings.retrieval.index == "exact":
            say("nothing to rebuild: exact search keeps no index on disk")
            return
        with project.index(fresh=True) as choice:
            count = asyncio.run(index_.rebuild(choice.index, _servable(project), project.embedder.embedder))
        out.print(Text.assemble(("ok", "green"), f" the index holds {plural(count, 'key')}"))


def _servable(project: Project) -> Snapshot:
    return project.library.snapshot(project.servable, project.embedder.embedder.id, project.library.get_floor())


def coloured(entry: Entry) -> Text:
    """Its status in the colour that it has everywhere."""
    return Text(entry.status, style=COLOURS[entry.status])


def _issues(entry: Entry) -> str:
    return "nowhere (keys erased)" if entry.is_lost else ", ".join(sorted({key.issue for key in entry.keys})) or "everywhere"


def first_line(entry: Entry) -> str:
    """What stands for an entry in a table."""
    return entry.strategies[0].text if entry.strategies else "(nothing needed)"


def _record(evidence: Evidence | None) -> tuple[str, str]:
    if evidence is None:
        return "untested", "-"
    return f"{evidence.wins}-{evidence.losses}-{evidence.ties}", f"{evidence.q:.3f}"


def _judged(entry: Entry) -> str:
    """That no check stands behind an entry, only a judge; else nothing."""
    return entry.evidence.judged.words if entry.evidence is not None and entry.evidence.judged is not None else ""


def _evidence(entry: Entry) -> str:
    found = entry.evidence
    if found is None:
        return "evidence: none for this text"
    moments = found.wins + found.losses + found.ties
    return (
        f"evidence: {found.wins} wins, {found.losses} losses, {found.ties} ties on {moments} moments it was not "
        f"written for; p = {found.p:.4f}, q = {found.q:.4f}; {found.replies} replies; try {found.tries}"
    )


def newest(project: Project, name: str) -> str:
    """The id in `id` or `id@version`. Raises LibraryError for an unknown one, or for an old version: only the newest can be changed."""
    id_, version = ref_of(name)
    now = project.library.get(id_)
    if version not in (None, now.version):
        raise LibraryError(f"{name} is an old version", hint=f"only the newest can be changed: {now.ref}")
    return id_


def ref_of(name: str) -> tuple[str, int | None]:
    """Id and version of `id` or `id@version`."""
    id_, _, version = written(name, "the entry's id").partition("@")
    return id_, int(version) if version.isdecimal() else None


def _status(text: str) -> Status:
    known = get_args(Status)
    if text not in known:
        near = difflib.get_close_matches(text, known, n=1)
        meant = f"did you mean {near[0]!r}? " if near else ""
        raise SettingsError(f"--status is {text!r}", hint=f"{meant}it must be one of {', '.join(known)}")
    return cast(Status, text)


def person() -> str:
    """Who is at work, for the audit log."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
