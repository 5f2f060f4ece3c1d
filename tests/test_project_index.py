"""A project's derived index: brought up to the library, left alone where another process has it, never a reason to lose anything."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

import strategist.project
from strategist.errors import LibraryError
from strategist.project import open_project
from strategist.retrieval.index import ExactIndex, IndexChoice
from strategist.settings import RetrievalSettings, Settings
from tests.loop.made import entry

LINE = "When a parcel is overdue, say that you start a trace."


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(folder=tmp_path, domain="lab:specific", retrieval=RetrievalSettings(embedder="hashed", index="exact"))


class Shelf:
    """Stands in for `open_index`: one index that is kept, so that what was written can be looked at."""

    def __init__(self, notice: str = "", error: LibraryError | None = None) -> None:
        self.kept = ExactIndex()
        self.notice, self.error = notice, error

    def open(self, settings: RetrievalSettings, folder: Path, embedder_id: str, *, fresh: bool = False) -> IndexChoice:
        if self.error is not None:
            raise self.error
        return IndexChoice(self.kept, self.notice)


def caught_up(settings: Settings, shelf: Shelf, monkeypatch: pytest.MonkeyPatch, *, entries: int = 1) -> str:
    """What `catch_up` says in a project whose index is the shelf's."""
    monkeypatch.setattr(strategist.project, "open_index", shelf.open)
    chroma = settings.retrieval.model_copy(update={"index": "chroma"})
    with open_project(settings.model_copy(update={"retrieval": chroma})) as project:
        project.library.add([entry(f"e{i}", LINE) for i in range(entries)], actor="test", reason="", marker="m")
        return asyncio.run(project.catch_up())


def test_the_index_catches_up_with_the_library(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf()
    assert caught_up(settings, shelf, monkeypatch, entries=2) == ""
    assert len(shelf.kept.search(np.ones(3 * 1024, dtype=np.float32), 9)) == 2


def test_what_is_written_while_the_index_catches_up_is_not_left_out(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: who wrote it found the index held and left it to us, and we had looked before."""
    shelf = Shelf()
    chroma = settings.model_copy(update={"retrieval": settings.retrieval.model_copy(update={"index": "chroma"})})
    with open_project(chroma) as project, open_project(settings) as other:
        project.library.add([entry("e0", LINE)], actor="test", reason="", marker="m")

        def opened(settings: RetrievalSettings, folder: Path, embedder_id: str, *, fresh: bool = False) -> IndexChoice:
            other.library.add([entry("e1", "When it is lost, say sorry.")], actor="test", reason="", marker="once")
            return shelf.open(settings, folder, embedder_id, fresh=fresh)

        monkeypatch.setattr(strategist.project, "open_index", opened)
        assert asyncio.run(project.catch_up()) == ""
    assert len(shelf.kept.rows()) == 2


def test_an_index_that_another_process_has_open_is_left_to_it(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf(notice="another process holds it")
    assert caught_up(settings, shelf, monkeypatch) == ""
    assert shelf.kept.search(np.ones(1024, dtype=np.float32), 9) == []


@pytest.mark.parametrize(("hint", "said"), [("rebuild it", "the index is damaged; rebuild it"), ("", "the index is damaged")])
def test_a_damaged_index_is_said_and_loses_nothing(settings: Settings, hint: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert caught_up(settings, Shelf(error=LibraryError("the index is damaged", hint=hint)), monkeypatch) == said


def test_without_an_index_or_entries_there_is_nothing_to_bring_up(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert caught_up(settings, Shelf(error=LibraryError("opened")), monkeypatch, entries=0) == ""
    with open_project(settings) as project:
        project.library.add([entry("e1", LINE)], actor="test", reason="", marker="m")
        assert asyncio.run(project.catch_up()) == "", "exact search needs no index"
