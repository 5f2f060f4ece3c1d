"""`strategist library ...`: look at entries, change statuses, move libraries, check the index."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal, cast, get_args

from rich.panel import Panel
from rich.table import Table

from strategist.cli.console import err, out
from strategist.cli.try_ import print_explanation
from strategist.errors import LibraryError, SettingsError
from strategist.library.export import export_text, import_text
from strategist.project import Project, open_project
from strategist.records.chat import Message
from strategist.records.evidence import Evidence
from strategist.records.library import Entry, Snapshot, Status
from strategist.retrieval import index as index_
from strategist.settings import load_settings

COLOURS: dict[Status, str] = {"proposed": "yellow", "admitted": "cyan", "approved": "green", "retired": "dim"}


def list_entries(path: Path, status: str | None) -> None:
    """A table, one line per entry."""
    wanted = None if status is None else (_status(status),)
    with open_project(load_settings(path)) as project:
        entries = project.library.entries(wanted)
    if not entries:
        out.print("the library is empty" if status is None else f"no entry is {status}")
        return
    table = Table(box=None, header_style="bold")
    for column in ("entry", "status", "round", "issues", "w-l-t", "q", "first line"):
        table.add_column(column, overflow="fold")
    for entry in entries:
        issues = ", ".join(sorted({key.issue for key in entry.keys})) or "everywhere"
        first = entry.strategies[0].text if entry.strategies else "(nothing needed)"
        status_ = f"[{COLOURS[entry.status]}]{entry.status}[/]"
        table.add_row(entry.ref, status_, str(entry.round + 1), issues, *_record(entry.evidence), first)
    out.print(table)


def show(path: Path, name: str) -> None:
    """Everything about one entry."""
    with open_project(load_settings(path)) as project:
        entry = project.library.get(name)
        events = project.library.events(entry.id)
    out.print(f"[bold]{entry.ref}[/bold] {entry.status}, round {entry.round + 1}, for {entry.student}, written by {entry.advisor}")
    out.print(Panel("\n".join(f"- {s.text}" for s in entry.strategies) or "(nothing needed)", title="lines", border_style="blue"))
    for key in entry.keys[:5]:
        out.print(f"[dim]key ({key.issue})[/dim] {key.text}", highlight=False)
    if len(entry.keys) > 5:
        out.print(f"[dim]... and {len(entry.keys) - 5} keys more[/dim]")
    out.print(Panel(entry.reply_before or "-", title="reply before", border_style="dim"))
    out.print(Panel(entry.reply_after or "-", title="reply after", border_style="green"))
    out.print(_evidence(entry))
    for event in events:
        out.print(f"[dim]{event.time}[/dim] {event.actor}: {event.action} ({event.reason})", highlight=False)


def search(path: Path, text: str) -> None:
    """What a customer's message retrieves, through the index of the settings."""
    with open_project(load_settings(path)) as project:

        async def main() -> None:
            retriever = await project.live().retriever()
            print_explanation(await retriever.explain([Message(role="user", content=text)]))

        asyncio.run(main())


def change_status(path: Path, name: str, action: Literal["approve", "retire"], reason: str) -> None:
    """Approve or retire an entry."""
    with open_project(load_settings(path)) as project:
        change = project.library.approve if action == "approve" else project.library.retire
        change(name, actor=_person(), reason=reason)
        out.print(f"{project.library.get(name).ref} is {project.library.get(name).status}")


def export(path: Path, target: Path | None) -> None:
    """Write the servable entries."""
    with open_project(load_settings(path)) as project:
        text = export_text(_servable(project))
    if target is None:
        out.file.write(text)
        return
    target.write_text(text, encoding="utf-8")
    out.print(f"wrote {target}", soft_wrap=True)


def import_file(path: Path, file: Path) -> None:
    """Read an exported file into the library."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read {file}: {error}") from None
    with open_project(load_settings(path)) as project:
        count = len(import_text(project.library, text, actor=_person()))
        out.print(f"{count} new entries from {file}")


def verify(path: Path) -> None:
    """Compare index and database; raises LibraryError if they differ."""
    with open_project(load_settings(path)) as project:
        faults = asyncio.run(_verify(project))
        for fault in faults:
            err.print(f"[red]fault[/red] {fault}", highlight=False)
        if faults:
            raise LibraryError(f"{len(faults)} fault{'s' * (len(faults) > 1)} in the index", hint="`strategist library rebuild` repairs it")
        snapshot = _servable(project)
        out.print(f"[green]ok[/green] {len(snapshot.entries)} entries, embedder {project.embedder.embedder.id}, hash {snapshot.hash[:12]}")


async def _verify(project: Project) -> list[str]:
    try:
        with project.index() as index:
            return await index_.verify(index, _servable(project), project.embedder.embedder)
    except LibraryError as error:
        return [error.message]


def rebuild(path: Path) -> None:
    """Drop and refill the index."""
    with open_project(load_settings(path)) as project, project.index(fresh=True) as index:
        asyncio.run(index_.rebuild(index, _servable(project), project.embedder.embedder))
        out.print(f"[green]ok[/green] the index holds {len(index.rows())} keys")


def _servable(project: Project) -> Snapshot:
    return project.library.snapshot(project.servable, project.embedder.embedder.id, project.library.get_floor())


def _record(evidence: Evidence | None) -> tuple[str, str]:
    if evidence is None:
        return "-", "none for this text"
    return f"{evidence.wins}-{evidence.losses}-{evidence.ties}", f"{evidence.q:.3f}"


def _evidence(entry: Entry) -> str:
    found = entry.evidence
    if found is None:
        return "evidence: none for this text"
    moments = found.wins + found.losses + found.ties
    return (
        f"evidence: {found.wins} wins, {found.losses} losses, {found.ties} ties on {moments} moments it was not "
        f"written for; p = {found.p:.4f}, q = {found.q:.4f}; {found.replies} replies; try {found.tries}"
    )


def _status(text: str) -> Status:
    if text not in get_args(Status):
        raise SettingsError(f"--status is {text!r}", hint=f"it must be one of {', '.join(get_args(Status))}")
    return cast(Status, text)


def _person() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
