"""Do many processes on one library lose anything, and does every reader see every change on its next query?

    python -m evals.many_processes [WRITERS ENTRIES READERS [ROUNDS]]    default 8 500 4 3: 8 processes add 500 entries each, 4 query

All are real processes on one project, as users start them: they open a database that is not there yet at the same moment. One more process
changes every tenth entry that was added (retired and approved again, edited and put back when it is tested, found under one more key,
approved) and retires some of its own for good. The first reader holds the Chroma index; for the others exact search serves.

The check is independent of the library: who has committed a change says so on a board, a plain file. A reader reads the board, queries,
and must find there everything that stood on the board before. At the end all entries must be stored, found by their own keys, and told of
by an unbroken chain of events, and `strategist library verify` must be clean. Then two teach runs of ROUNDS rounds work on one library at
the same time (evals.teach_together). Exit status 1 where anything is not so.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import quantiles
from typing import NamedTuple

from evals import teach_together
from evals.library_checks import broken_chains, verify
from strategist.library.library import Library
from strategist.project import open_project
from strategist.records.base import stable_int
from strategist.records.evidence import Evidence
from strategist.records.library import SERVABLE, Entry, Key, Strategy
from strategist.retrieval.rank import Hit
from strategist.retrieval.retriever import Retriever
from strategist.settings import load_settings

WRITERS, ENTRIES, READERS = 8, 500, 4
EVERY = 10
"""One in this many entries is changed by the editor."""
QUIET = 50
"""Queries of each reader after the last change."""
PATIENCE_S = 900.0

PROCESSES = multiprocessing.get_context("spawn")
SETTINGS = """domain = "lab:specific"
[student]
adapter = "lab"
model = "specific/student"
[retrieval]
embedder = "hashed"
index = "chroma"
"""
WORDS = tuple(
    a + b for a in ("ba", "de", "fi", "go", "lu", "mi", "no", "pa", "ru", "se") for b in ("lan", "mor", "nis", "ted", "vak", "zur")
)
PERSON = "person"


class Size(NamedTuple):
    """How many processes write, how many entries each, how many processes query."""

    writers: int = WRITERS
    entries: int = ENTRIES
    readers: int = READERS


class Note(NamedTuple):
    """A line of the board. `served`: whether the entry may reach customers from here on; None: a change of it is about to be made."""

    entry: str
    version: int
    served: bool | None


class Times(NamedTuple):
    """Seconds, per change or query; `waits` of a writer are for the lock, `fresh` of a reader are queries that met a changed library."""

    who: str
    all: tuple[float, ...]
    waits: tuple[float, ...] = ()
    fresh: tuple[float, ...] = ()
    notice: str = ""
    checked: int = 0
    faults: tuple[str, ...] = ()


class Gate(NamedTuple):
    """Where all processes wait for each other: before they open the project, and when each writer has written one entry and the first
    reader holds the index."""

    start: Barrier
    ready: Barrier


Say = Callable[[Times], None]


class Board:
    """A file that everybody appends whole lines to. Knows nothing of the library."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        self._read = 0

    def tell(self, entry: str, version: int, served: bool | None) -> None:
        os.write(self._file, f"{entry} {version} {served}\n".encode())

    def news(self, *, keep: bool = False) -> list[Note]:
        """What was appended since the last call; `keep`: the next call gets it once more."""
        size = os.fstat(self._file).st_size
        lines = os.pread(self._file, size - self._read, self._read).decode().split("\n")
        if not keep:
            self._read = size
        parts = [line.split() for line in lines if line]
        return [Note(name, int(version), {"True": True, "False": False}.get(served)) for name, version, served in parts]


def entry_of(who: str, number: int, *, tested: int = 0) -> Entry:
    """An entry with a key and a line that no other has; `tested` counts the texts that were put in its place."""
    chosen = [WORDS[stable_int("words", who, number, place) % len(WORDS)] for place in range(8)]
    return Entry(
        id=f"{who}-{number:04d}",
        status="admitted",
        keys=(Key(scenario=f"{who}-{number}", persona=f"train-{number}-0", issue="late", text=f"where is my {' '.join(chosen)} parcel"),),
        strategies=(line_of(who, number, tested),),
        domain="lab_specific",
        brief_hash="b",
        student="s",
        advisor="a",
        round=0,
        evidence=Evidence(decision="admitted", wins=9),
    )


def line_of(who: str, number: int, tested: int) -> Strategy:
    spelt = "".join(chr(ord("k") + int(digit)) for digit in f"{number}")
    return Strategy(text=f"When the {who.replace('-', ' ')} {spelt} parcel is overdue, say that you start a {WORDS[tested]} trace.")


def other_key(entry: Entry) -> Key:
    """One more key for an entry."""
    return entry.keys[0].model_copy(update={"text": entry.keys[0].text.replace("where is", "nobody delivered")})


def write(folder: Path, number: int, size: Size, gate: Gate, say: Say) -> None:
    """Body of a writer."""
    took, waits = [], []
    gate.start.wait()
    with open_project(load_settings(folder / "strategist.toml")) as project:
        board = Board(folder / "board")
        for index in range(size.entries):
            entry = entry_of(f"writer-{chr(ord('a') + number)}", index)
            begun = time.perf_counter()
            with project.store.transaction():  # what `add` would open itself: so the wait for the lock can be told from the work
                waits.append(time.perf_counter() - begun)
                project.library.add([entry], actor=PERSON, reason="written", marker=entry.id)
            took.append(time.perf_counter() - begun)
            board.tell(entry.id, 1, True)
            if index == 0:
                gate.ready.wait()
    say(Times("writer", tuple(took), tuple(waits)))


def change(library: Library, board: Board, id_: str) -> int:
    """Change one entry in one of four ways; returns how many changes that were. In the end it is in service."""
    entry = library.get(id_)
    kind = stable_int("change", id_) % 4
    board.tell(id_, entry.version, None)
    if kind == 0:
        library.retire(id_, actor=PERSON, reason="looks wrong")
        board.tell(id_, entry.version, False)
        board.tell(id_, entry.version, None)
        library.approve(id_, actor=PERSON, reason="it is right")
        board.tell(id_, entry.version, True)
        return 2
    if kind == 1:
        who, number = id_.rsplit("-", 1)
        new = entry_of(who, int(number), tested=1)
        library.edit(id_, new.strategies, actor=PERSON, reason="better words")
        board.tell(id_, entry.version + 1, False)
        board.tell(id_, entry.version + 1, None)
        library.add([new], actor=PERSON, reason="the new words are tested", marker=f"{id_}/tested")
        board.tell(id_, entry.version + 2, True)
        return 2
    if kind == 2:
        library.widen(id_, [other_key(entry)], actor=PERSON, reason="found elsewhere too")
        board.tell(id_, entry.version + 1, True)
        return 1
    library.approve(id_, actor=PERSON, reason="it is right")
    board.tell(id_, entry.version, True)
    return 1


def edit(folder: Path, size: Size, gate: Gate, say: Say) -> None:
    """Body of the process that changes what others have written."""
    gate.start.wait()
    took: list[float] = []
    with open_project(load_settings(folder / "strategist.toml")) as project:
        board, library = Board(folder / "board"), project.library
        seen = 0
        gate.ready.wait()
        end = time.monotonic() + PATIENCE_S
        while seen < size.writers * size.entries and time.monotonic() < end:
            for note in board.news():
                if not note.entry.startswith("writer-") or note.version != 1 or note.served is not True or note.entry in _changed:
                    continue
                seen += 1
                if seen % EVERY == 0:
                    _changed.add(note.entry)
                    begun = time.perf_counter()
                    count = change(library, board, note.entry)
                    took += [(time.perf_counter() - begun) / count] * count
                if seen % (5 * EVERY) == 0:
                    own = entry_of("editor", seen)
                    library.add([own], actor=PERSON, reason="a try", marker=own.id)
                    board.tell(own.id, 1, True)
                    board.tell(own.id, 1, None)
                    library.retire(own.id, actor=PERSON, reason="for good")
                    board.tell(own.id, 1, False)
            time.sleep(0.001)
        board.tell("end", 0, True)
    say(Times("editor", tuple(took)))


_changed: set[str] = set()
"""Of the editor's process: an entry that it approved or put back is no new one."""


class Watch:
    """What a reader knows from the board, and what it found not to be so."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.due: dict[str, Note] = {}
        self.faults: list[str] = []
        self.checked = 0
        self.over = False

    def look(self) -> None:
        """Read the board before a query."""
        for note in self.board.news():
            if note.entry == "end":
                self.over = True
            elif note.served is None:
                self.due.pop(note.entry, None)  # it may be changed at any moment from here on, until the board says how
            else:
                self.due[note.entry] = note

    def check(self, retriever: Retriever) -> list[Note]:
        """Compare the ranking that the query got with all that stood on the board before; returns what was looked for."""
        moving = {note.entry for note in self.board.news(keep=True)}
        served = {entry.id: entry.version for entry in retriever.snapshot.entries}
        looked = [note for note in self.due.values() if note.entry not in moving]
        for note in looked:
            if served.get(note.entry) != (note.version if note.served else None):
                self.faults.append(f"{note} stood on the board, the query met version {served.get(note.entry)}")
        self.checked += len(looked)
        self.due = {name: note for name, note in self.due.items() if name in moving}
        return looked


def read(folder: Path, first: bool, gate: Gate, say: Say) -> None:
    """Body of a reader; the `first` opens the index before the others query."""
    asyncio.run(_read(folder, first, gate, say))


async def _read(folder: Path, first: bool, gate: Gate, say: Say) -> None:
    took: list[float] = []
    fresh: list[float] = []
    gate.start.wait()
    with open_project(load_settings(folder / "strategist.toml")) as project:
        watch, live = Watch(Board(folder / "board")), project.live()
        while first and not (await live.retriever()).snapshot.entries:
            await asyncio.sleep(0.001)
        gate.ready.wait()
        last, quiet, question = None, 0, entry_of("writer-a", 0).keys[0].text
        end = time.monotonic() + PATIENCE_S
        while quiet < QUIET and time.monotonic() < end:
            watch.look()
            quiet += watch.over
            begun = time.perf_counter()
            retriever = await live.retriever()
            await retriever.hits(question)
            (took if retriever is last else fresh).append(time.perf_counter() - begun)
            last = retriever
            for note in watch.check(retriever)[-1:]:
                question = entry_of_id(note.entry).keys[0].text
                if is_found(note.entry, await retriever.hits(question)) != note.served:
                    watch.faults.append(f"{note} stood on the board, and the query by its key says otherwise")
        if quiet < QUIET:
            watch.faults.append("the writers did not come to an end")
        say(
            Times("reader", tuple(took), fresh=tuple(fresh), notice=project.index_notice, checked=watch.checked, faults=tuple(watch.faults))
        )


def entry_of_id(id_: str) -> Entry:
    who, number = id_.rsplit("-", 1)
    return entry_of(who, int(number))


def is_found(id_: str, hits: Sequence[Hit]) -> bool:
    """Whether an entry comes first, or as near as what comes first."""
    return any(hit.entry.id == id_ and hit.score >= max(other.score for other in hits) for hit in hits)


def run(folder: Path, size: Size) -> list[Times]:
    """All processes at once on the project of a folder; what each has to say. Raises RuntimeError if one dies."""
    (folder / "strategist.toml").write_text(SETTINGS, encoding="utf-8")
    said: multiprocessing.Queue[Times] = PROCESSES.Queue()
    gate = Gate(*(PROCESSES.Barrier(size.writers + size.readers + 1, timeout=120) for _ in range(2)))
    bodies: list[tuple[Callable[..., None], tuple[object, ...]]] = [(edit, (folder, size, gate, said.put))]
    bodies += [(write, (folder, number, size, gate, said.put)) for number in range(size.writers)]
    bodies += [(read, (folder, number == 0, gate, said.put)) for number in range(size.readers)]
    processes = [PROCESSES.Process(target=body, args=args, daemon=True) for body, args in bodies]
    for process in processes:
        process.start()
    try:
        heard: list[Times] = []
        while len(heard) < len(processes):
            if said.empty() and any(process.exitcode for process in processes):
                raise RuntimeError("a process died; what it said stands above")
            if not said.empty():
                heard.append(said.get())
            time.sleep(0.01)
        return heard
    finally:
        for process in processes:
            process.terminate()
            process.join()


def faults_of(folder: Path, size: Size) -> list[str]:
    """What of the library as it was left is not as it must be."""
    with open_project(load_settings(folder / "strategist.toml")) as project:
        entries, events = project.library.entries(), project.library.events()
        names = {f"writer-{chr(ord('a') + number)}-{index:04d}" for number in range(size.writers) for index in range(size.entries)}
        stored = {entry.id: entry for entry in entries}
        tried = {name for name in stored if name.startswith("editor-")}
        faults = [f"{name} is not stored" for name in sorted(names - stored.keys())]
        faults += [f"{name} was stored by nobody" for name in sorted(stored.keys() - names - tried)]
        faults += [f"{name} is {stored[name].status}" for name in sorted(tried) if stored[name].status != "retired"]
        faults += [f"{name} is {stored[name].status}" for name in sorted(names & stored.keys()) if stored[name].status not in SERVABLE]
        faults += broken_chains(events, stored)
        if len(events) != project.library.version():
            faults.append(f"{len(events)} events tell of {project.library.version()} changes")
        faults += asyncio.run(_lost(project.live().retriever, [stored[name] for name in sorted(names & stored.keys())]))
    verified = verify(folder)
    return [*faults, *([] if verified.returncode == 0 else [f"`strategist library verify`: {verified.stdout}{verified.stderr}"])]


async def _lost(build: Callable[[], Awaitable[Retriever]], entries: Sequence[Entry]) -> list[str]:
    """Entries that are not found by one of their own keys."""
    retriever = await build()
    return [
        f"{entry.ref} is not found by {key.text!r}"
        for entry in entries
        for key in entry.keys
        if not is_found(entry.id, await retriever.hits(key.text))
    ]


def table(size: Size, heard: Sequence[Times], wall_s: float) -> list[str]:
    """The figures as lines of markdown."""
    writers = [one for one in heard if one.who == "writer"]
    readers = [one for one in heard if one.who == "reader"]
    held = sum(not one.notice for one in readers)
    lines = [
        f"| entries written | {size.writers * size.entries:,} by {size.writers} processes |",
        f"| wall time until the last reader was done | {wall_s:.1f} s |",
        f"| changes a second while all write | {_rate(heard):.0f} |",
        f"| readers | {len(readers)}, {held} of them with the Chroma index |",
        f"| changes checked by readers | {sum(one.checked for one in readers):,} |",
    ]
    rows = {
        "one addition, with the wait for the lock": [t for one in writers for t in one.all],
        "wait for the lock": [t for one in writers for t in one.waits],
        "query of a changed library, exact": [t for one in readers if one.notice for t in one.fresh],
        "query of a changed library, Chroma": [t for one in readers if not one.notice for t in one.fresh],
        "query of an unchanged library": [t for one in readers for t in one.all],
    }
    for name, times in rows.items():
        if len(times) > 1:
            cuts = quantiles(times, n=20, method="inclusive")
            lines.append(f"| {name}: p50, p95, max of {len(times):,} | {_ms(cuts[9])}, {_ms(cuts[18])}, {_ms(max(times))} |")
    return lines


def _rate(heard: Sequence[Times]) -> float:
    """Changes a second: all of them over the time of the writer that took longest."""
    writers = [one for one in heard if one.who == "writer"]
    return sum(len(one.all) for one in heard if one.who in ("writer", "editor")) / max(sum(one.all) for one in writers)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def main() -> int:
    """Both studies; the exit status."""
    size = Size(*(int(word) for word in sys.argv[1:4]))
    print(f"n = {size.writers} writers x {size.entries} entries, {size.readers} readers, 1 editor; {os.cpu_count()} CPUs\n", flush=True)
    with tempfile.TemporaryDirectory() as name:
        begun = time.monotonic()
        heard = run(Path(name), size)
        wall_s = time.monotonic() - begun
        print("| | |\n|---|---|")
        print("\n".join(table(size, heard, wall_s)), flush=True)
        faults = [*(fault for one in heard for fault in one.faults), *faults_of(Path(name), size)]
    print(f"\nstored, found and told of: {'all' if not faults else f'{len(faults)} faults'}", flush=True)
    for fault in faults[:20]:
        print(f"- {fault}")
    rounds = int(sys.argv[4]) if len(sys.argv) > 4 else teach_together.ROUNDS
    return int(bool(faults) | teach_together.compare(rounds=rounds))


if __name__ == "__main__":
    sys.exit(main())
