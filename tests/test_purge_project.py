"""A purge of a project: no byte of the person is left in any file, and everything else is as it was."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from strategist.errors import SettingsError
from strategist.evaluation.report import write_report
from strategist.evaluation.report_data import gather
from strategist.library.export import export_text, import_text
from strategist.library.library import Library
from strategist.models import open as models_open
from strategist.project import Project, open_project
from strategist.purge import Purged, erase, finish, is_open, look
from strategist.records.base import ERASED
from strategist.records.chat import Message
from strategist.records.library import SERVABLE, Floor, Key
from strategist.records.run import RoundSummary
from strategist.records.trace import Trace, customer_hash
from strategist.retrieval import index as index_
from strategist.retrieval.chroma import ChromaIndex
from strategist.retrieval.mask import mask
from strategist.roles import scripted_customer
from strategist.settings import Settings
from strategist.store import open_store
from strategist.store.purge import Whose
from tests.loop.small import small, teach_small, use_models
from tests.workspace import files_holding

ANNA = "anna@example.com"
WHOSE = Whose(customer=customer_hash(ANNA))


def word_of(persona: str) -> str:
    """A word that only this persona says, and no masking changes."""
    return "quokka" + "".join("abcdefghij"[int(c)] if c.isdigit() else "z" for c in persona if c.isdigit() or c == "-")


@pytest.fixture(scope="session")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A run with a teacher, all of whose customers say a word of their own in every message. Copy it before changing it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models_open, "_adapters", dict(models_open._adapters))
        use_models()
        plain = scripted_customer.ScriptedCustomer.next

        async def marked(self: object, persona: object, *args: object, **named: object) -> object:
            said = await plain(self, persona, *args, **named)  # type: ignore[arg-type]
            return said.model_copy(update={"text": f"{said.text} and my own word is {word_of(persona.id)}"})  # type: ignore[attr-defined]

        patch.setattr(scripted_customer.ScriptedCustomer, "next", marked)
        settings = small(tmp_path_factory.mktemp("taught"), advisor=True, teacher_share=(0.5, 0.5))
        finished = teach_small(settings)
        assert finished.stop == "rounds", finished
        return settings


@pytest.fixture
def project(taught: Settings, tmp_path: Path) -> Iterator[Project]:
    """A copy of it whose every second customer of the first round is Anna, with index and report."""
    shutil.copytree(taught.folder, tmp_path / "copy")
    with open_project(taught.model_copy(update={"folder": tmp_path / "copy"})) as project:
        for trace in list(project.store.traces("run-001", purpose="generate")):
            if trace.index % 2 == 0:
                project.store.put_trace("run-001", trace.model_copy(update={"customer": WHOSE.customer, "source": "logs"}))
        with project.index(fresh=True) as choice:
            snapshot = project.library.snapshot(SERVABLE, project.embedder.embedder.id, project.library.get_floor())
            asyncio.run(index_.rebuild(choice.index, snapshot, project.embedder.embedder))
        write_report(gather(project.store, "run-001", project.domain), project.store.path.parent / "report-run-001.html")
        yield project


def traces_of(project: Project, *, anna: bool) -> list[Trace]:
    return [t for t in project.store.traces("run-001") if (t.customer == WHOSE.customer) == anna]


def words_of(traces: list[Trace]) -> set[str]:
    return {word_of(trace.persona) for trace in traces}


def said_by(traces: list[Trace]) -> set[str]:
    said = {message.content for trace in traces for message in trace.messages if message.role == "user"}
    return said | {mask(text) for text in said}


def holding(project: Project, words: set[str]) -> dict[str, int]:
    """Word -> texts of the database that hold it, in all records and calls."""
    database = sqlite3.connect(project.store.path)
    texts = [text for (text,) in database.execute("select text from texts")]
    database.close()
    return {word: sum(word in text for text in texts) for word in words}


def purge(project: Project) -> Purged:
    with project.alone():
        looked = look(project, WHOSE)
        done = erase(project, WHOSE, looked, actor="test", name="customer 12345678")
        assert finish(project) == []
    return done


def test_no_byte_is_left_and_everything_else_stays(project: Project) -> None:
    mine, others = traces_of(project, anna=True), traces_of(project, anna=False)
    mine = [t for t in mine if t.persona not in {o.persona for o in others}]
    secrets, kept = said_by(mine) | words_of(mine), holding(project, words_of(others))
    folder = project.settings.folder
    assert all(files_holding(folder, word) for word in words_of(mine)), "what is not there cannot be erased"
    before = {e.id: e for e in project.library.entries()}
    totals, rounds = project.calls.totals("run-001"), project.store.documents("run-001", "round", RoundSummary)
    assert any(key.scenario.partition(".")[0] in {t.id for t in mine} for e in before.values() for key in e.keys)

    done = purge(project)
    project.store.close()

    assert {text: files for text in secrets if (files := files_holding(folder, text))} == {}
    assert holding(project, words_of(others)) == kept, "prompts and replies about others, too"
    assert [t for t in project.store.traces("run-001") if t.id in {o.id for o in others}] == others
    assert [t.erased for t in project.store.traces("run-001") if t.id in {m.id for m in mine}] == [True] * len(mine)
    assert project.calls.totals("run-001") == totals
    assert [r.model_dump(exclude={"floor"}) for r in project.store.documents("run-001", "round", RoundSummary)] == [
        r.model_dump(exclude={"floor"}) for r in rounds
    ]
    assert done.entries
    for entry in project.library.entries():
        old = before[entry.id]
        assert (entry.strategies, entry.evidence, entry.status) == (old.strategies, old.evidence, old.status)
        assert all(key in old.keys for key in entry.keys)
        assert not any(key.text == ERASED for key in entry.keys)


def test_the_library_still_verifies_exports_and_reports(project: Project, tmp_path: Path) -> None:
    purge(project)
    embedder = project.embedder.embedder
    snapshot = project.library.snapshot(SERVABLE, embedder.id, project.library.get_floor())
    with project.index() as choice:
        assert asyncio.run(index_.verify(choice.index, snapshot, embedder)) == []
    with open_store(tmp_path / "elsewhere" / "x.db") as other:
        assert import_text(Library(other), export_text(snapshot), "test").counts.added == len(snapshot.entries)
    page = tmp_path / "report.html"
    write_report(gather(project.store, "run-001", project.domain), page)
    assert ERASED in page.read_text(encoding="utf-8")
    actions = [event.action for event in project.store.events("purge")]
    assert actions == ["purge"]
    assert ANNA not in json.dumps([event.model_dump() for event in project.store.events()])


KILLED = """
import sys
from strategist.project import open_project
from strategist.purge import erase, look
from strategist.settings import Settings
from strategist.store.purge import Whose
import os
settings = Settings.model_validate_json(sys.stdin.read())
whose = Whose(customer=sys.argv[1])
with open_project(settings) as project, project.alone():
    looked = look(project, whose)
    if sys.argv[2] == "inside":
        with project.store.transaction():
            erase(project, whose, looked, actor="test", name="customer x")
            os._exit(9)
    erase(project, whose, looked, actor="test", name="customer x")
    os._exit(9)
"""


@pytest.mark.parametrize("when", ["inside", "after"])
def test_a_purge_that_is_killed_leaves_all_or_nothing_and_is_finished_later(project: Project, when: str) -> None:
    mine = traces_of(project, anna=True)
    others = {trace.persona for trace in traces_of(project, anna=False)}
    words = {word for trace in mine if trace.persona not in others for word in [word_of(trace.persona)]}
    note = project.settings.folder / "note.txt"
    note.write_text(next(iter(said_by([mine[0]]))), encoding="utf-8")
    settings = project.settings.model_dump_json()
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, WHOSE.customer, when],
        input=settings,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert killed.returncode == 9
    if when == "inside":
        assert not is_open(project)
        assert traces_of(project, anna=True) == mine
        return
    assert is_open(project)
    assert look(project, WHOSE).nothing
    with project.alone():
        assert [left.what for left in finish(project)] == [f"{note} holds erased texts"], "it was found before the words were gone"
        assert is_open(project)
        note.unlink()
        assert finish(project) == []
    assert not is_open(project)
    project.store.close()
    assert {word: files for word in words if (files := files_holding(project.settings.folder, word))} == {}


def test_copies_in_the_folder_are_named_until_they_are_gone(project: Project) -> None:
    folder = project.settings.folder
    message = sorted(said_by(traces_of(project, anna=True)), key=len)[-1]
    (folder / "export").mkdir()
    copies = {
        folder / "export" / "ä.json": json.dumps({"x": message}),
        folder / "page.html": message.replace("'", "&#39;"),
        project.store.path.parent / "report-mine.html": message,
        project.checkpoints: message,
    }
    for path, text in copies.items():
        path.write_text(text, encoding="utf-8")
    (folder / ".git").mkdir()
    (folder / ".git" / "x").write_text(message, encoding="utf-8")
    with project.alone():
        looked = look(project, WHOSE)
        assert {Path(found.path) for found in looked.files} >= copies.keys()
        erase(project, WHOSE, looked, actor="test", name="customer 12345678")
        left = finish(project)
        assert [one.what.split(" holds ")[0] for one in left] == [str(folder / "page.html"), str(folder / "export" / "ä.json")]
        assert not project.checkpoints.exists()
        (folder / "page.html").write_text("other", encoding="utf-8")
        assert len(finish(project)) == 1
        (folder / "export" / "ä.json").unlink()
        assert finish(project) == []


def test_a_file_that_cannot_be_read_is_passed_over(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Path.read_bytes

    def read(path: Path) -> bytes:
        if path.name == "locked.txt":
            raise PermissionError
        return plain(path)

    monkeypatch.setattr(Path, "read_bytes", read)
    (project.settings.folder / "locked.txt").write_text("x", encoding="utf-8")
    assert "locked.txt" not in str(look(project, WHOSE).files)


def test_what_another_process_holds_is_left_for_the_next_time(project: Project) -> None:
    reader = sqlite3.connect(project.store.path, isolation_level=None)
    reader.execute("begin")
    reader.execute("select count(*) from texts").fetchone()
    with project.alone(), ChromaIndex(project.index_folder, project.embedder.embedder.id):
        erase(project, WHOSE, look(project, WHOSE), actor="test", name="customer 12345678")
        left = finish(project)
    assert [one.what.partition(":")[0] for one in left] == [
        "the database file may still hold erased texts in free pages",
        "the index may still hold vectors of erased texts",
    ]
    assert all("run this command again" in one.hint for one in left)
    reader.close()
    assert finish(project) == []


def test_vectors_go_where_the_index_is_not_used_any_more(project: Project) -> None:
    retrieval = project.settings.retrieval.model_copy(update={"index": "exact"})
    project.settings = project.settings.model_copy(update={"retrieval": retrieval})
    purge(project)
    assert not project.index_folder.exists()
    purge(project)


def test_words_that_come_in_between_are_searched_for_as_well(project: Project) -> None:
    folder = project.settings.folder
    looked = look(project, WHOSE)
    late = traces_of(project, anna=True)[0].model_copy(update={"id": "late"})
    messages = (*late.messages[:-1], Message(role="user", content="something said at the last moment"))
    project.store.put_trace("recorded", late.model_copy(update={"messages": messages}))
    (folder / "late.txt").write_text("something said at the last moment", encoding="utf-8")
    done = erase(project, WHOSE, looked, actor="test", name="customer 12345678")
    assert str(folder / "late.txt") in [found.path for found in done.files]


def test_an_unfinished_run_that_worked_on_erased_texts_has_ended(project: Project) -> None:
    run = project.store.get_run("run-001")
    assert run is not None
    project.store.put_run(run.model_copy(update={"stop": "budget"}))
    purge(project)
    found = project.store.get_run("run-001")
    assert found is not None
    assert found.stop == "erased"
    with pytest.raises(SettingsError, match="no unfinished run"):
        project.choose_run(resume=True, new=False)
    assert project.choose_run(resume=False, new=False).id == "run-002"


def test_customers_gaps_leave_the_floor(project: Project) -> None:
    mine, others = (traces_of(project, anna=anna)[0] for anna in (True, False))
    gaps = tuple(Key(scenario=f"{t.id}.0", persona=t.persona, issue="x", text=t.turns[0].customer) for t in (mine, others))
    project.library.set_floor(Floor(score=0.4, source="fixed", gaps=gaps))
    assert word_of(others.persona) not in str(project.store.events("library")), "the audit log is kept for good"
    purge(project)
    floor = project.library.get_floor()
    assert floor is not None
    assert floor.gaps == gaps[1:]
