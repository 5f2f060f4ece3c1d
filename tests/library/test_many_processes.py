"""The study of many processes runs as documented on a small library, and would see what is lost."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from evals.library_checks import broken_chains
from evals.many_processes import Board, Watch, entry_of, is_found
from strategist.library.library import Library
from strategist.records.library import SERVABLE, Entry
from strategist.retrieval.embed import HashedEmbedder
from strategist.retrieval.retriever import Retriever
from strategist.settings import RetrievalSettings
from strategist.store import Store, open_store

ROOT = Path(__file__).parents[2]


def test_two_writers_a_reader_and_two_teach_runs_lose_nothing() -> None:
    command = [sys.executable, "-m", "evals.many_processes", "2", "20", "1", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "n = 2 writers x 20 entries, 1 readers, 1 editor" in done.stdout
    assert "| entries written | 40 by 2 processes |" in done.stdout
    assert "stored, found and told of: all" in done.stdout
    assert "n = 2 teach runs of 1 rounds" in done.stdout
    assert "ended well, nothing lost, each replayed alone: all" in done.stdout
    rows = [line.split("|")[1:-1] for line in done.stdout.splitlines() if line.startswith("| run-")]
    assert [row[0].strip() for row in rows] == ["run-001", "run-002"]
    assert any(int(row[3]) for row in rows), "a run that learns nothing proves nothing"


def ranking(entries: tuple[Entry, ...]) -> Retriever:
    from strategist.records.library import Snapshot

    return asyncio.run(Retriever.build(Snapshot(entries=entries), HashedEmbedder(), RetrievalSettings()))


def test_a_reader_that_misses_a_change_is_found_out(tmp_path: Path) -> None:
    told, watch = Board(tmp_path / "board"), Watch(Board(tmp_path / "board"))
    old, new = entry_of("writer-a", 0), entry_of("writer-a", 1)
    told.tell(old.id, 1, True)
    watch.look()
    assert [note.entry for note in watch.check(ranking((old,)))] == [old.id]
    told.tell(new.id, 1, True)
    watch.look()
    watch.check(ranking((old,)))
    assert len(watch.faults) == 1, "an addition that is not seen"
    told.tell(old.id, 1, None)
    told.tell(old.id, 1, False)
    watch.look()
    watch.check(ranking((old, new)))
    assert len(watch.faults) == 2, "a retired entry that is still served"


def test_what_is_changed_while_a_reader_looks_waits_for_its_next_query(tmp_path: Path) -> None:
    told, watch = Board(tmp_path / "board"), Watch(Board(tmp_path / "board"))
    entry = entry_of("writer-a", 0)
    told.tell(entry.id, 1, True)
    watch.look()
    told.tell(entry.id, 1, None)
    assert watch.check(ranking(())) == []
    told.tell(entry.id, 1, False)
    watch.look()
    assert [note.served for note in watch.check(ranking(()))] == [False]
    assert (watch.faults, watch.checked) == ([], 1)
    told.tell("end", 0, True)
    watch.look()
    assert watch.over


def test_a_found_entry_is_first_or_as_near_as_the_first() -> None:
    one, other = entry_of("writer-a", 0), entry_of("writer-b", 7)
    hits = asyncio.run(ranking((one, other)).hits(one.keys[0].text))
    assert is_found(one.id, hits)
    assert not is_found(other.id, hits)
    assert not is_found("writer-c-0001", hits)


def test_a_chain_of_events_with_a_gap_is_found(tmp_path: Path) -> None:
    with open_store(tmp_path / "a.db") as store:
        library = Library(store)
        library.add([entry_of("writer-a", 0)], actor="a", reason="", marker="m")
        library.approve("writer-a-0000", actor="a", reason="")
        stored = {entry.id: entry for entry in library.entries(SERVABLE)}
        events = library.events()
        assert broken_chains(events, stored) == []
        for torn in (events[:1], events[1:], [events[1], events[0]], []):
            assert broken_chains(torn, stored) == ["the events of writer-a-0000 do not lead to what is stored"]
        silently(store)
        assert broken_chains(library.events(), {entry.id: entry for entry in library.entries()})


def silently(store: Store) -> None:
    """Change an entry behind the library's back."""
    with store.transaction() as conn:
        conn.exec_driver_sql("update entries set body = replace(body, 'late', 'lost')")
