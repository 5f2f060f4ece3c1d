"""`strategist purge`: what it shows, when it asks, and that it never claims more than it did."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from strategist.project import open_project
from strategist.records.trace import Trace, customer_hash
from strategist.retrieval.chroma import ChromaIndex
from strategist.settings import load_settings
from tests.cli.commands import Cli
from tests.workspace import files_holding

OLD = "2024-05-01T10:00:00+00:00"


@pytest.fixture
def owned(project: Path) -> Path:
    """A taught project of which two conversations are Anna's; one of them says something of its own. Its settings file."""
    with open_project(load_settings(project)) as opened:
        for place, trace in enumerate(list(opened.store.traces("run-001", purpose="generate"))[:3]):
            words = f"there is a quokka in parcel {'abc'[place]}"
            messages = tuple(m.model_copy(update={"content": words}) if m.role == "user" else m for m in trace.messages)
            who = {
                "customer": customer_hash("anna" if place < 2 else "bob"),
                "time": OLD if place else "",
                "purpose": "import",
                "source": "l",
            }
            opened.store.put_trace("recorded", trace.model_copy(update={**who, "messages": messages}))
    return project


def traces(settings: Path) -> list[Trace]:
    with open_project(load_settings(settings)) as opened:
        return list(opened.store.traces("recorded"))


def test_what_would_go_is_shown_first(cli: Cli, owned: Path) -> None:
    before = traces(owned)
    shown = cli("purge", "--customer", "anna", "--dry-run", "-s", owned)
    assert shown.code == 0
    assert shown.out.startswith(f"customer {customer_hash('anna')[:8]}: 2 conversations with ")
    assert "nothing was erased (--dry-run)" in shown.out
    asked = cli("purge", "--customer", "anna", "-s", owned, stdin="")
    assert (asked.code, "add --yes; nothing was erased" in asked.err) == (2, True)
    assert traces(owned) == before


@pytest.mark.parametrize(("answer", "code"), [(False, 2), (True, 0)])
def test_a_person_at_a_terminal_is_asked(cli: Cli, owned: Path, monkeypatch: pytest.MonkeyPatch, answer: bool, code: int) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda text: answer)
    ran = cli("purge", "--customer", "anna", "-s", owned)
    assert (ran.code, "nothing was erased" in ran.err) == (code, not answer)
    assert [trace.erased for trace in traces(owned)].count(True) == 2 * answer


def test_after_a_purge_no_file_has_the_words_and_the_library_verifies(cli: Cli, owned: Path) -> None:
    assert cli("library", "rebuild", "-s", owned).code == 0
    assert cli("report", "-s", owned).code == 0
    copy = owned.parent / "notes.txt"
    copy.write_text("she said: there is a quokka in parcel a", encoding="utf-8")
    first = cli("purge", "--customer", "anna", "--yes", "-s", owned)
    assert (first.code, f"{copy} holds erased texts" in " ".join(first.err.split())) == (1, True)
    assert f"found in {copy}" in " ".join(first.out.split())
    again = cli("purge", "--customer", "anna", "--yes", "-s", owned)
    assert (again.code, "what an earlier purge left to do follows" in again.out) == (1, True)
    copy.unlink()
    assert cli("purge", "--customer", "anna", "--yes", "-s", owned).code == 0
    assert "nothing is left to erase; erased on 2" in cli("purge", "--customer", "anna", "--yes", "-s", owned).out
    for place in "ab":
        assert files_holding(owned.parent, f"there is a quokka in parcel {place}") == []
    assert files_holding(owned.parent, "there is a quokka in parcel c")
    assert cli("library", "verify", "-s", owned).code == 0
    assert cli("report", "-s", owned).code == 0
    assert cli("library", "export", owned.parent / "x.jsonl", "-s", owned).code == 0
    assert "0 new, 0 changed" in cli("library", "import", owned.parent / "x.jsonl", "-s", owned).out


def test_an_entry_whose_keys_are_all_gone_is_named(cli: Cli, owned: Path) -> None:
    with open_project(load_settings(owned)) as opened:
        entry = next(e for e in opened.library.entries(("admitted",)) if e.scope == "specific")
        trace = next(iter(opened.store.traces("recorded")))
        own = entry.keys[0].model_copy(update={"scenario": f"{trace.id}.0", "text": "a quokka in parcel <code>"})
        for name, keys in (("e1", (own,)), ("e2", (own, entry.keys[0]))):
            opened.library.add([entry.model_copy(update={"id": name, "keys": keys, "strategies": ()})], actor="t", reason="r", marker=name)
    ran = cli("purge", "--customer", "anna", "--yes", "-s", owned)
    assert ran.code == 0
    assert "e1@2: 1 key erased, none is left, so it is not found any more" in ran.out
    assert "e2@2: 1 key erased, 1 key left" in ran.out
    assert "nowhere (keys erased)" in cli("library", "list", "-s", owned).out
    assert "e1@1" in cli("library", "show", "e1@1", "-s", owned).out
    assert cli("library", "verify", "-s", owned).code == 0


def test_old_conversations_are_erased_by_age(cli: Cli, owned: Path) -> None:
    ran = cli("purge", "--older-than", "365d", "--yes", "-s", owned)
    assert ran.code == 0
    assert ran.out.startswith("conversations before ")
    assert "2 conversations" in ran.out
    assert "1 recorded conversation without a readable time" in ran.err
    assert [trace.erased for trace in sorted(traces(owned), key=lambda t: t.time)] == [False, True, True]
    again = cli("purge", "--older-than", "2024-06-01", "--yes", "-s", owned)
    assert (again.code, "nothing is left to erase" in again.out) == (0, True)
    assert "without a readable time" in again.err


def test_reasons_that_quote_the_person_are_counted(cli: Cli, owned: Path) -> None:
    with open_project(load_settings(owned)) as opened, opened.store.transaction() as conn:
        opened.store.append_event(conn, "eve", "note", "e", None, None, "there is a quokka in parcel a")
    assert "1 reason in the audit log" in cli("purge", "--customer", "anna", "--yes", "-s", owned).out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "one of --customer and --older-than"),
        (("--customer", "a", "--older-than", "1d"), "one of --customer and --older-than"),
        (("--customer", " "), "--customer is empty"),
        (("--customer", "nobody"), "no conversation of customer 'nobody'"),
        (("--older-than", "soon"), "such as 365d"),
    ],
)
def test_wrong_words_are_one_error(cli: Cli, owned: Path, words: tuple[str, ...], says: str) -> None:
    ran = cli("purge", *words, "--yes", "-s", owned)
    assert (ran.code, says in ran.err) == (2, True)


def test_what_others_hold_is_an_error_that_says_what_to_do(cli: Cli, owned: Path) -> None:
    assert cli("library", "rebuild", "-s", owned).code == 0
    database = owned.parent / ".strategist" / "strategist.db"
    reader = sqlite3.connect(database, isolation_level=None)
    reader.execute("begin")
    reader.execute("select * from meta").fetchone()
    with ChromaIndex(owned.parent / ".strategist" / "index", "hashed-1024-v1"):
        ran = cli("purge", "--customer", "anna", "--yes", "-s", owned)
    reader.close()
    assert ran.code == 1
    assert "free pages" in ran.err
    assert "index may still hold" in ran.err
    assert "2 things still to do" in ran.err
    assert cli("purge", "--customer", "anna", "-s", owned).code == 0
