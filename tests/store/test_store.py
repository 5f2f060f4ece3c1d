"""Traces, documents, runs, events, counters; and every way in which a database can be unusable."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import delete, select

from strategist.errors import StoreError
from strategist.records.chat import Message, ToolCall
from strategist.records.library import Candidate, Guidance, Key, Strategy
from strategist.records.run import RunInfo
from strategist.records.trace import Scenario, ScenarioKey, Trace, Turn
from strategist.store import Store, append_event, bump_library_version, meta_get, meta_set, open_store
from strategist.store.database import fault
from tests.loop.made import scenario


def make_trace(
    id_: str = "t1", *, round_: int = 0, index: int = 0, purpose: str = "generate", arm: str = "", word: str = "parcel"
) -> Trace:
    call = ToolCall(id="c1", name="find", arguments='{"q": "PX1"}')
    messages = (
        Message(role="system", content="the brief"),
        Message(role="user", content=f"where is my {word}?"),
        Message(role="assistant", tool_calls=(call,)),
        Message(role="tool", content="in Leeds", tool_call_id="c1"),
        Message(role="assistant", content=f"Your {word} is in Leeds."),
    )
    turn = Turn(
        index=0, customer=messages[1].content, steps=messages[2:4], reply=messages[4].content, guidance=Guidance(),
        state_before={"content": "x", "$text": "y"}, state_after={},
    )  # fmt: skip
    return Trace.model_validate(
        {
            "id": id_, "domain": "d", "persona": "train-0-0", "issue": "i", "purpose": purpose, "round": round_, "index": index,
            "actor": "student", "arm": arm, "messages": messages, "turns": (turn,),
        }
    )  # fmt: skip


def make_run(id_: str, rounds: int = 1) -> RunInfo:
    return RunInfo(
        id=id_, domain="d", pack_hash="p", brief_hash="b", learning_hash="l", code="c", seed=0, student="s", advisor="a", embedder="e",
        rounds=rounds,
    )  # fmt: skip


def candidate(id_: str, round_: int, index: int) -> Candidate:
    key = Key(scenario="s", persona="train-0-0", issue="i", text="where is it")
    return Candidate(id=id_, round=round_, index=index, keys=(key,), strategies=(Strategy(text="Ask for the number."),), reply_before="no")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "deep" / "folder" / "strategist.db") as opened:
        yield opened


def test_a_trace_comes_back_as_it_was_and_again_after_reopening(store: Store) -> None:
    trace = make_trace()
    store.put_trace("r", trace)
    store.put_trace("r", trace)
    assert store.get_trace("r", "t1") == trace
    assert list(store.traces("r")) == [trace]
    store.close()
    with open_store(store.path) as again:
        assert again.get_trace("r", "t1") == trace


def test_the_stored_trace_body_holds_no_words_of_the_conversation(store: Store) -> None:
    store.put_trace("r", make_trace(word="necklace"))
    store.close()
    rows = sqlite3.connect(store.path).execute("select body from traces").fetchall()
    assert len(rows) == 1
    for word in ("necklace", "Leeds", "PX1", "brief"):
        assert word not in rows[0][0]


def test_traces_come_in_order_of_round_index_id_and_can_be_filtered(store: Store) -> None:
    for id_, round_, index in (("b", 1, 0), ("z", 0, 10), ("y", 0, 9), ("a", 1, 0)):
        store.put_trace("r", make_trace(id_, round_=round_, index=index, arm="bare" if id_ == "a" else ""))
    store.put_trace("r", make_trace("e", purpose="examine", round_=0))
    store.put_trace("other", make_trace("o"))
    assert [t.id for t in store.traces("r")] == ["e", "y", "z", "a", "b"]
    assert [t.id for t in store.traces("r", round=0, purpose="generate")] == ["y", "z"]
    assert [t.id for t in store.traces("r", arm="bare")] == ["a"]
    assert [t.id for t in store.traces("nobody")] == []


def test_traces_are_paged_without_loss(store: Store) -> None:
    with store.transaction():
        for i in range(120):
            store.put_trace("r", make_trace(f"t{i}", index=119 - i))
    assert [t.id for t in store.traces("r")] == [f"t{i}" for i in reversed(range(120))]


def test_an_unknown_trace_is_an_error_and_an_unknown_document_is_none(store: Store) -> None:
    with pytest.raises(StoreError, match="run r has no trace nope"):
        store.get_trace("r", "nope")
    assert store.get_document("r", "candidate", "nope", Candidate) is None
    assert store.documents("r", "candidate", Candidate) == []
    store.put_documents("r", "candidate", [])


def test_documents_are_upserted_and_ordered(store: Store) -> None:
    items = [candidate("b", 0, 1), candidate("a", 0, 1), candidate("c", 1, 0), candidate("d", 0, 0)]
    store.put_documents("r", "candidate", [(c.id, c.round, c.index, c) for c in items])
    store.put_document("r", "candidate", "c", 1, 0, candidate("c", 1, 5))
    assert [c.id for c in store.documents("r", "candidate", Candidate)] == ["d", "a", "b", "c"]
    assert [c.id for c in store.documents("r", "candidate", Candidate, 0)] == ["d", "a", "b"]
    found = store.get_document("r", "candidate", "c", Candidate)
    assert found is not None
    assert found.index == 5
    assert store.documents("r", "other", Candidate) == []


def test_a_document_of_another_shape_is_one_clear_error(store: Store) -> None:
    store.put_document("r", "candidate", "c", 0, 0, Strategy(text="x"))
    with pytest.raises(StoreError, match="a stored Candidate does not read as one"):
        store.documents("r", "candidate", Candidate)


def test_runs_keep_their_place_when_they_change(store: Store) -> None:
    for id_ in ("z", "a", "m"):
        store.put_run(make_run(id_))
    store.put_run(make_run("a", rounds=7))
    assert [run.id for run in store.runs()] == ["z", "a", "m"]
    assert store.get_run("a") == make_run("a", rounds=7)
    assert store.get_run("b") is None


def test_events_cannot_be_changed_or_deleted(store: Store) -> None:
    with store.transaction() as conn:
        append_event(conn, "anna", "approve", "e1", None, "h1", "looked at it")
        append_event(conn, "ben", "retire", "e2", "h1", None, "wrong")
    assert [(e.seq, e.actor, e.target) for e in store.events()] == [(1, "anna", "e1"), (2, "ben", "e2")]
    assert [e.reason for e in store.events("e2")] == ["wrong"]
    for statement in ("UPDATE events SET actor = 'eve'", "DELETE FROM events"):
        with pytest.raises(StoreError, match="append-only"), store.transaction() as conn:
            conn.exec_driver_sql(statement)
    assert len(store.events()) == 2


def test_counters_and_meta(store: Store) -> None:
    assert store.library_version() == 0
    with store.transaction() as conn:
        assert bump_library_version(conn) == 1
        assert bump_library_version(conn) == 2
        meta_set(conn, "embedder", "hashed")
        meta_set(conn, "embedder", "minilm")
        assert meta_get(conn, "embedder") == "minilm"
        assert store.library_version() == 2  # the same thread sees its own transaction
    assert store.library_version() == 2


def test_a_failed_transaction_leaves_nothing_and_inner_writes_belong_to_it(store: Store) -> None:

    def half() -> None:
        with store.transaction() as conn:
            bump_library_version(conn)
            store.put_run(make_run("lost"))
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        half()
    assert store.runs() == []
    assert store.library_version() == 0
    store.put_run(make_run("kept"))
    assert len(store.runs()) == 1


def test_two_stores_on_one_file_lose_nothing(store: Store) -> None:
    with open_store(store.path) as second:
        for _ in range(20):
            for each in (store, second):
                with each.transaction() as conn:
                    bump_library_version(conn)
        assert store.library_version() == second.library_version() == 40


def test_writers_that_read_first_wait_for_each_other(store: Store) -> None:
    def work() -> None:
        with open_store(store.path) as mine:
            for _ in range(40):
                with mine.transaction() as conn:
                    bump_library_version(conn)

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work) for _ in range(4)]:
            done.result()
    assert store.library_version() == 160


def test_entries_are_reachable_for_the_library(store: Store) -> None:
    entries = store.tables.entries
    with store.transaction() as conn:
        conn.execute(entries.insert().values(id="e1", version=1, status="admitted", body="{}"))
        assert conn.execute(select(entries.c.status)).scalar_one() == "admitted"


def test_another_schema_version_says_what_to_do(store: Store) -> None:
    with store.transaction() as conn:
        meta_set(conn, "schema_version", "2")
    store.close()
    with pytest.raises(StoreError, match="schema version 2, this program reads version 1") as caught:
        open_store(store.path)
    assert "export" in caught.value.hint


def test_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(b"this is no database at all, but it is long enough to be one" * 30)
    with pytest.raises(StoreError, match="it is not a SQLite database"):
        open_store(path)


def test_a_damaged_page_found_later(store: Store) -> None:
    for i in range(60):
        store.put_trace("r", make_trace(f"t{i}", word=f"word {i} " * 40))
    store.close()
    data = bytearray(store.path.read_bytes())
    data[8192:] = b"\xff" * (len(data) - 8192)
    store.path.write_bytes(bytes(data))
    with pytest.raises(StoreError, match="damaged"), open_store(store.path) as again:
        list(again.traces("r"))


def test_the_database_of_another_program(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db") as other:
        other.execute("create table bookmarks (url text)")
    other.close()
    with pytest.raises(StoreError, match="another program"):
        open_store(tmp_path / "a.db")


def test_whoever_opens_a_new_database_at_the_same_moment_gets_it(tmp_path: Path) -> None:
    """Changing a new file to WAL is refused to all but one, at once: SQLite's own waiting does not cover it."""
    start = threading.Barrier(6, timeout=30)

    def work() -> None:
        for number in range(40):
            start.wait()
            open_store(tmp_path / f"{number}.db").close()

    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(work) for _ in range(6)]:
            done.result()


def test_a_locked_database_is_waited_for_and_then_given_up(store: Store) -> None:
    store.put_run(make_run("r"))
    holder = sqlite3.connect(store.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with open_locked(store.path) as second:
        with pytest.raises(StoreError, match="locked by another process"):
            second.put_run(make_run("s"))
        assert [run.id for run in second.runs()] == ["r"]  # readers are not held up
        holder.execute("ROLLBACK")
        second.put_run(make_run("s"))
    holder.close()


def open_locked(path: Path) -> Store:
    """A store that waits only briefly; it opens although the file is locked for writing, since it is complete."""
    return open_store(path, busy_timeout_s=0.05)


def test_a_full_disk(store: Store) -> None:
    with store.transaction() as conn:
        pages = conn.exec_driver_sql("PRAGMA page_count").scalar_one()
        conn.exec_driver_sql(f"PRAGMA max_page_count = {pages}")  # holds for this connection, which the pool gives out again
    with pytest.raises(StoreError, match="the disk is full") as caught:
        store.put_trace("r", make_trace(word="long " * 20000))
    assert "free some space" in caught.value.hint
    assert list(store.traces("r")) == []


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot make the folder"):
        open_store(tmp_path / "file" / "a.db")


def test_a_path_that_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="it cannot be opened"):
        open_store(tmp_path)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("attempt to write a readonly database", "cannot be written"),
        ("database disk image is malformed", "damaged"),
        ("odd", "refuses: odd"),
    ],
)
def test_messages_of_sqlite_become_ours(message: str, words: str) -> None:
    assert words in fault(Path("x.db"), message).message


def test_records_are_read_in_part_and_counted_without_reading(tmp_path: Path) -> None:
    """What is not asked for is not looked up: a lost text of another field does no harm."""
    with open_store(tmp_path / "a.db") as store:
        said = (Message(role="user", content="Where is it?"),)
        states = [scenario(f"s{i}").model_copy(update={"key": f"key {i}", "messages": said}) for i in range(3)]
        store.put_documents("r", "scenario", [(s.id, i // 2, i, s) for i, s in enumerate(states)])
        with store.transaction() as conn:
            conn.execute(delete(store.tables.texts).where(store.tables.texts.c.text.not_like("key %")))
        parts = store.parts("r", "scenario", ScenarioKey)
        assert [(p.id, p.key, p.verdicts) for p in parts] == [(s.id, s.key, s.verdicts) for s in states]
        assert store.parts("r", "scenario", ScenarioKey, 1) == parts[2:]
        assert (store.count("r", "scenario"), store.count("r", "scenario", 0), store.count("r", "other")) == (3, 2, 0)
        with pytest.raises(StoreError, match="texts of the record are missing"):
            store.documents("r", "scenario", Scenario)
