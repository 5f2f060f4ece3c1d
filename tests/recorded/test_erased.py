"""Recorded conversations whose texts were erased: nobody learns from them, and the same file does not bring them back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from strategist.cli.import_ import tell
from strategist.project import Project, open_project
from strategist.purge import erase, finish, look
from strategist.recorded.importing import Imported, import_conversations
from strategist.recorded.reading import read_json_lines, read_names
from strategist.recorded.turns import RECORDED
from strategist.records.trace import customer_hash
from strategist.settings import RetrievalSettings, Settings
from strategist.store.purge import Whose
from tests.workspace import files_holding


def lines(*customers: str) -> str:
    said = [
        {"role": "user", "content": "Where has the green umbrella of mine gone?"},
        {"role": "assistant", "content": "I will look for it."},
        {"role": "user", "content": "Thank you all very much!"},
        {"role": "assistant", "content": "You are welcome."},
    ]
    rows = []
    for number, customer in enumerate(customers):
        own = [{**m, "content": m["content"].replace("green", f"green {customer}ish")} for m in said]
        rows.append(json.dumps({"id": f"c{number}", "customer": customer, "time": "2024-05-01", "messages": own}))
    return "\n".join(rows)


def bring(project: Project, text: str) -> Imported:
    conversations = read_json_lines(text, read_names(()))
    return asyncio.run(import_conversations(project.store, project.domain, project.embedder.embedder, conversations, source="logs"))


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    settings = Settings(folder=tmp_path, domain="lab:specific", retrieval=RetrievalSettings(embedder="hashed", index="exact"))
    with open_project(settings) as opened:
        yield opened


def test_erased_conversations_stay_erased(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    text = lines("wilma", "bruno", "carla")
    assert bring(project, text).new == 3
    assert files_holding(project.settings.folder, "umbrella")
    assert files_holding(project.settings.folder, "train-wilma") == [], "whose the conversations are is kept as a hash"
    whose = Whose(customer=customer_hash("wilma"))
    with project.alone():
        erase(project, whose, look(project, whose), actor="test", name="customer x")
        assert finish(project) == []
    again = bring(project, text)
    assert (again.new, again.changed, again.erased) == (0, 0, 1)
    tell(again, "logs")
    assert "1 conversation erased here" in capsys.readouterr().out
    assert [trace.erased for trace in project.store.traces(RECORDED)].count(True) == 1
    assert look(project, whose).nothing
    assert files_holding(project.settings.folder, "wilmaish") == []
    assert files_holding(project.settings.folder, "brunoish")
    assert files_holding(project.settings.folder, "Thank you all very much!"), "others said that, too"
