"""`strategist library`: texts are data, old versions are told apart, and the index is never trusted blindly."""

from __future__ import annotations

import io
import sqlite3
from pathlib import Path

import pytest
from rich.console import Console

from strategist.cli import console
from strategist.cli import library as library_
from strategist.library.export import export_text
from strategist.library.library import Library
from strategist.project import open_project
from strategist.records.library import Entry, Key, Snapshot, Strategy
from strategist.retrieval.chroma import ChromaIndex
from strategist.settings import load_settings
from tests.cli.commands import EXACT, Cli, first_entry, write_settings

NASTY = "When [/bold] stands in a [red]text[/red], print it as it is :smile: and say 你好."


def nasty(**changes: object) -> Entry:
    """An entry whose every text looks like markup."""
    plain = Entry(
        id="e1",
        domain="lab_specific",
        student="lab:specific/student",
        advisor="handbook",
        strategies=(Strategy(text=NASTY),),
        keys=tuple(Key(text=f"[/dim] {NASTY} {i}", issue="moved", scenario=f"s{i}", persona=f"p{i}") for i in range(7)),
        reply_before="[/] before",
        reply_after="[/] after",
        brief_hash="b",
        round=0,
        status="admitted",
    )
    return plain.model_copy(update=changes)


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """A project with exact search and one entry: its settings file."""
    path = write_settings(tmp_path / "one", EXACT)
    with open_project(load_settings(path)) as opened:
        opened.library.set_embedder(opened.embedder.embedder.id)
        opened.library.add([nasty()], actor="test", reason="[/x] because", marker="m")
    return path


def test_texts_of_people_and_models_are_never_read_as_markup(cli: Cli, settings: Path) -> None:
    assert NASTY in cli("library", "list", "-s", settings).out
    shown = cli("library", "show", "e1", "-s", settings)
    for text in (NASTY, "[/] before", "[/] after", f"key (moved) [/dim] {NASTY} 0", "... and 2 keys more", "add ([/x] because)"):
        assert text in shown.out
    assert "evidence: none for this text" in shown.out
    found = cli("library", "search", NASTY, "-s", settings)
    assert found.code == 0
    assert f"key {NASTY}" in found.out
    assert f"- {NASTY}" in found.out


def test_a_narrow_terminal_gets_lines_below_their_entry_and_none_is_cut(cli: Cli, settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    narrow = Console(file=screen, force_terminal=True, width=60, color_system=None, highlight=False, emoji=False)
    for module in (console, library_):
        monkeypatch.setattr(module, "out", narrow)
    assert cli("library", "list", "-s", settings).code == 0
    lines = screen.getvalue().splitlines()
    assert lines[0].startswith("e1@1 admitted untested q - · moved")
    assert all(line.startswith("    ") and len(line) <= 60 for line in lines[1:])
    assert " ".join(line.strip() for line in lines[1:]) == NASTY
    cli("library", "show", "e1", "-s", settings)
    assert "╭─ lines" in screen.getvalue()
    assert max(len(line) for line in screen.getvalue().splitlines()) <= 60


def test_general_and_empty_entries_are_shown_as_what_they_are(cli: Cli, settings: Path) -> None:
    with open_project(load_settings(settings)) as opened:
        control, general = nasty(id="e2", strategies=()), nasty(id="e3", scope="general", keys=())
        opened.library.add([control, general], actor="test", reason="r", marker="n")
    listed = cli("library", "list", "-s", settings).out
    assert "(nothing needed)" in listed
    assert "everywhere" in listed
    assert "(nothing needed)" in cli("library", "show", "e2", "-s", settings).out
    assert "no entry is proposed" in cli("library", "list", "--status", "proposed", "-s", settings).out


def test_versions_are_told_apart(cli: Cli, settings: Path) -> None:
    with open_project(load_settings(settings)) as opened:
        opened.library.edit("e1", (Strategy(text="Say that you open a trace."),), actor="test", reason="better")
    assert "Say that you open a trace." in cli("library", "show", "e1", "-s", settings).out
    assert NASTY in cli("library", "show", "e1@1", "-s", settings).out
    assert cli("library", "show", "e1@9", "-s", settings).code == 1
    old = cli("library", "retire", "e1@1", "-m", "wrong", "-s", settings)
    assert (old.code, "only the newest can be changed: e1@2" in old.err) == (1, True)
    assert "e1@2 is retired" in cli("library", "retire", "e1@2", "-m", "wrong", "-s", settings).out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("list", "--status", "admited"), "did you mean 'admitted'?"),
        (("show", " "), "the entry's id is empty"),
        (("search", ""), "the text to search for is empty"),
        (("search", "\udcff"), "is not UTF-8"),
        (("retire", "e1", "-m", ""), "--reason is empty"),
    ],
)
def test_wrong_words_are_one_error(cli: Cli, settings: Path, words: tuple[str, ...], says: str) -> None:
    ran = cli("library", *words, "-s", settings)
    assert ran.code == 2
    assert says in ran.err


def test_an_untested_text_cannot_be_approved(cli: Cli, settings: Path) -> None:
    ran = cli("library", "approve", "e1", "-m", "I like it", "-s", settings)
    assert (ran.code, "no evidence for this text" in ran.err) == (1, True)


def test_an_import_tells_what_it_did_and_where_it_came_from(cli: Cli, settings: Path, tmp_path: Path) -> None:
    file = tmp_path / "other.jsonl"
    entries = (nasty(), nasty(id="e9", domain="shop"))
    file.write_text(export_text(Snapshot(entries=entries, embedder="hashed-1024-v1", floor=None)), encoding="utf-8")
    first = cli("library", "import", file, "-s", settings)
    assert "1 new, 0 changed, 1 the same, 0 stay retired here" in first.out
    assert "learned in the domain shop" in first.err
    assert "0 new, 0 changed, 2 the same" in cli("library", "import", file, "-s", settings).out
    assert cli("library", "retire", "e9", "-m", "not ours", "-s", settings).code == 0
    assert "1 stay retired here" in cli("library", "import", file, "-s", settings).out


def test_exact_search_keeps_nothing_to_verify_or_rebuild(cli: Cli, settings: Path) -> None:
    verified = cli("library", "verify", "-s", settings)
    assert (verified.code, "exact search keeps no index on disk" in verified.out) == (0, True)
    assert "nothing to rebuild" in cli("library", "rebuild", "-s", settings).out
    assert not (settings.parent / ".strategist" / "index").exists()


def test_an_empty_library_needs_no_index(cli: Cli, tmp_path: Path) -> None:
    settings = write_settings(tmp_path, EXACT.replace('index = "exact"', 'index = "chroma"'))
    assert "0 entries" in cli("library", "verify", "-s", settings).out
    assert "the library has no entry that may serve" in cli("library", "search", "Hello", "-s", settings).out
    assert not (tmp_path / ".strategist" / "index").exists()


def test_rows_that_were_lost_inside_the_index_are_found_and_brought_back(cli: Cli, project: Path) -> None:
    assert cli("library", "rebuild", "-s", project).code == 0
    database = sqlite3.connect(next((project.parent / ".strategist" / "index").glob("*.sqlite3")))
    with database:
        database.execute("delete from embeddings where id in (select id from embeddings limit 3)")
    database.close()
    verified = cli("library", "verify", "-s", project)
    assert verified.code == 1
    assert "3 of" in verified.err
    assert "library rebuild" in verified.err
    assert cli("library", "rebuild", "-s", project).code == 0
    assert cli("library", "verify", "-s", project).code == 0


def test_a_change_reaches_the_index_and_the_next_search(cli: Cli, project: Path) -> None:
    entry = first_entry(cli, project)
    with open_project(load_settings(project)) as opened:
        key = opened.library.get(entry.partition("@")[0]).keys[0].text
    assert entry in cli("library", "search", key, "-s", project).out
    assert cli("library", "verify", "-s", project).code == 0, "a search lets the index catch up"
    assert cli("library", "retire", entry, "-m", "wrong", "-s", project).code == 0
    assert cli("library", "verify", "-s", project).code == 0, "and so does every change"
    assert entry not in cli("library", "search", key, "-s", project).out


def test_an_index_that_another_process_has_open_is_left_alone(cli: Cli, project: Path) -> None:
    folder = project.parent / ".strategist" / "index"
    with ChromaIndex(folder, "hashed-1024-v1"):
        found = cli("library", "search", "My parcel is late", "-s", project)
        assert (found.code, "exact search in memory, because process" in found.err) == (0, True)
        verified = cli("library", "verify", "-s", project)
        assert (verified.code, "stop that process" in verified.err) == (2, True)
        assert cli("library", "rebuild", "-s", project).code == 1
        assert cli("library", "retire", first_entry(cli, project), "-m", "wrong", "-s", project).code == 0
    assert cli("library", "verify", "-s", project).code == 1


def test_a_damaged_index_never_stops_a_change_of_the_library(cli: Cli, project: Path) -> None:
    assert cli("library", "rebuild", "-s", project).code == 0
    for file in (project.parent / ".strategist" / "index").glob("*.sqlite3"):
        file.write_bytes(b"not a database" * 100)
    entry = first_entry(cli, project)
    retired = cli("library", "retire", entry, "-m", "wrong", "-s", project)
    assert (retired.code, "library rebuild" in retired.err) == (0, True)
    searched = cli("library", "search", "My parcel is late", "-s", project)
    assert (searched.code, "library rebuild" in searched.err) == (0, True), "customers are served by exact search meanwhile"


def test_who_has_no_name_is_unknown(monkeypatch: pytest.MonkeyPatch, cli: Cli, settings: Path) -> None:
    def nobody() -> str:
        raise KeyError("uid")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert cli("library", "retire", "e1", "-m", "wrong", "-s", settings).code == 0
    with open_project(load_settings(settings)) as opened:
        assert Library(opened.store).events("e1")[-1].actor == "unknown"
