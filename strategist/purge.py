"""Erasing a person's texts from a project: database, index, reports, and what is found of them in its folder.

Owns the order of things. First everything is tried and rolled back, which tells what would go; the folder's files are searched for the
words; then one transaction erases, writes an event without personal data, and leaves a note of what is still to be done; then the file is
compacted, what is derived is made anew, and the note goes. A process that dies on the way leaves all or nothing erased, and the note, which
the next purge works off.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection

from strategist.errors import StrategistError
from strategist.library.erase import Lost, erase_entries
from strategist.loop.runner import ended_well
from strategist.project import Project
from strategist.records.base import Record
from strategist.retrieval import index as index_
from strategist.retrieval.chroma import ChromaIndex
from strategist.retrieval.mask import AGENT_WORDS, CUSTOMER_WORDS, mask
from strategist.store.needles import written
from strategist.store.purge import Rows, Swept, Whose, erase_records, eraser_for, sweep

OPEN = "purge_open"
"""Where the database notes that a purge is not finished."""
TARGET = "purge"
LEFT_OUT = frozenset({".git", ".venv", "node_modules", "__pycache__"})
"""Folders that are not searched."""
TOO_LARGE = 2**28
"""Bytes from which a file is not searched."""


class Found(Record):
    """A file that held words of a purged person, and its content's hash at that time."""

    path: str
    hash: str


class Open(Record):
    """What is left to do after the texts are gone: files outside the database that held some."""

    files: tuple[Found, ...] = ()


class Left(NamedTuple):
    """Something that still has, or may have, texts that were erased."""

    what: str
    hint: str


@dataclass(frozen=True)
class Purged:
    """What a purge erases, or has erased: see Rows and Swept; `entries` that lost something; `files` of the folder that hold words."""

    rows: Rows
    swept: Swept
    entries: tuple[Lost, ...]
    files: tuple[Found, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to erase."""
        return not (self.rows.conversations or self.rows.records or self.entries or self.swept.calls or self.swept.reasons)


class _Rolled(Exception):  # noqa: N818 - it ends a trial, it is no fault
    """Ends a transaction that is not meant to last."""


def look(project: Project, whose: Whose) -> Purged:
    """What a purge would erase; nothing is changed."""
    found: list[Purged] = []
    try:
        with project.store.transaction() as conn:
            found.append(_erase(project, conn, whose, actor="nobody", name=""))
            raise _Rolled
    except _Rolled:
        return Purged(found[0].rows, found[0].swept, found[0].entries, files_with(project, found[0].swept.words))


def erase(project: Project, whose: Whose, looked: Purged, *, actor: str, name: str) -> Purged:
    """Erase, in one transaction; `name` stands for the person in the audit log. `finish` has to follow."""
    with project.store.transaction() as conn:
        conn.exec_driver_sql("PRAGMA secure_delete = ON")
        done = _erase(project, conn, whose, actor=actor, name=name)
        files = looked.files if done.swept.words == looked.swept.words else files_with(project, done.swept.words)
        known = {found.path: found for found in (*_open(project).files, *files)}
        project.store.meta_set(conn, OPEN, Open(files=tuple(known.values())).model_dump_json())
    return Purged(done.rows, done.swept, done.entries, files)


def is_open(project: Project) -> bool:
    """Whether an earlier purge was not finished."""
    return bool(_note(project))


def finish(project: Project) -> list[Left]:
    """Compact the database, make anew what is derived, look for files that are left. Returns what remains; nothing does in the end."""
    left = [*_attempt(project.store.database.compact, "the database file may still hold erased texts in free pages")]
    left += _attempt(lambda: _renew_index(project), "the index may still hold vectors of erased texts")
    files = _open(project).files
    derived = [Path(found.path) for found in files if _is_derived(project, Path(found.path))]
    for path in [*derived, *project.store.path.parent.glob("report-*.html")]:
        path.unlink(missing_ok=True)
    there = tuple(found for found in files if _hash(Path(found.path)) == found.hash)
    hint = "it is a copy outside the database: delete it, or take the person's words out of it; then run this command again"
    left += [Left(f"{found.path} holds erased texts", hint) for found in there]
    with project.store.transaction() as conn:
        project.store.meta_set(conn, OPEN, Open(files=there).model_dump_json() if left else "")
    return left


def files_with(project: Project, words: Iterable[str]) -> tuple[Found, ...]:
    """The files of the project's folder, and beside the database, that hold one of the words; without the database and the index."""
    forms = [form for word in sorted(words) for form in written(word)]
    found = []
    for path in _files(project) if forms else ():
        try:
            data = path.read_bytes()
        except OSError:
            continue
        if any(form in data for form in forms):
            found.append(Found(path=str(path), hash=hashlib.sha256(data).hexdigest()))
    return tuple(found)


def _erase(project: Project, conn: Connection, whose: Whose, *, actor: str, name: str) -> Purged:
    store, language = project.store, project.domain.language
    eraser = eraser_for(conn, whose)
    rows = erase_records(conn, whose, eraser)
    entries = erase_entries(store, project.library, eraser.erased, eraser.owns, actor=actor, reason=f"texts of {name} were erased")
    swept = sweep(conn, whose, eraser, lambda text: forms_of(text, language))
    done = Purged(rows, swept, entries)
    if not done.nothing:
        for run in store.runs():
            if run.id in rows.runs and not ended_well(run.stop):  # its next call would not follow from its last
                store.put_run(run.model_copy(update={"stop": "erased"}))
        store.append_event(conn, actor, "purge", TARGET, None, None, f"{name}: {said(done)}")
        store.bump_library_version(conn)
    return done


def said(done: Purged) -> str:
    """What was erased, in counts."""
    rows, swept = done.rows, done.swept
    return (
        f"{rows.conversations} conversations with {rows.turns} turns, {rows.records} records made of them, {swept.calls} calls, "
        f"{swept.texts} texts, {len(done.entries)} entries"
    )


def forms_of(text: str, language: str) -> set[str]:
    """How a text may stand in keys and prompts: masked, and cut to the words of a key."""
    masked = mask(text, language)
    words = masked.split()
    return {masked, " ".join(words[:CUSTOMER_WORDS]), " ".join(words[-AGENT_WORDS:])}


def _note(project: Project) -> str:
    with project.store.database.reading() as conn:
        return project.store.meta_get(conn, OPEN) or ""


def _open(project: Project) -> Open:
    note = _note(project)
    return Open.model_validate_json(note) if note else Open()


def _files(project: Project) -> Iterator[Path]:
    """Regular files that are small enough; not the database, which is erased from, nor the index, which is made anew."""
    database, index = project.store.path, project.index_folder
    own = {database, *(database.with_name(database.name + end) for end in ("-wal", "-shm", "-journal"))}
    seen: set[Path] = set()
    for folder in dict.fromkeys((project.settings.folder.resolve(), database.parent)):
        for at, folders, names in os.walk(folder):
            here = Path(at)
            folders[:] = sorted(name for name in folders if name not in LEFT_OUT and here / name != index)
            for path in (here / name for name in sorted(names)):
                if path not in own and path not in seen and path.is_file() and path.stat().st_size < TOO_LARGE:
                    seen.add(path)
                    yield path


def _is_derived(project: Project, path: Path) -> bool:
    """Whether a file can be made anew from the database: a report beside it, or a run's checkpoints."""
    beside = path.parent == project.store.path.parent
    return beside and (path.name.startswith("report-") or path.name.startswith(project.checkpoints.name))


def _hash(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def _renew_index(project: Project) -> None:
    if not project.index_folder.exists():
        return
    if project.settings.retrieval.index == "exact":
        ChromaIndex(project.index_folder, project.embedder.embedder.id, fresh=True).close()  # to hold it is to know that nobody uses it
        shutil.rmtree(project.index_folder)
        return
    snapshot = project.library.snapshot(project.servable, project.embedder.embedder.id, project.library.get_floor())
    with project.index(fresh=True) as choice:
        asyncio.run(index_.rebuild(choice.index, snapshot, project.embedder.embedder))


def _attempt(work: Callable[[], None], what: str) -> list[Left]:
    try:
        work()
    except StrategistError as error:
        return [Left(f"{what}: {error.message}", f"{error.hint}\nthen run this command again: it goes on from here".strip())]
    return []
