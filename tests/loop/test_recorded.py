"""The loop on recorded conversations: each is used once, the student rests on recorded tools, a teacher's recorded words are contrasted."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from strategist.errors import SettingsError
from strategist.loop.coach import teacher_reply
from strategist.loop.deps import Deps
from strategist.loop.recorded import failed, recorded_traces, round_traces, split_states
from strategist.loop.runner import Finished, teach
from strategist.models import open as models_open
from strategist.models.adapters.scripted import ScriptedModel
from strategist.models.open import register_adapter
from strategist.project import Project, open_project
from strategist.recorded.importing import Who, import_conversations
from strategist.recorded.reading import read_json_lines, read_names
from strategist.records.chat import ModelRequest, Reply
from strategist.records.run import RoundSummary
from strategist.settings import GateSettings, ModelSettings, RetrievalSettings, Settings, TeachSettings
from tests.loop.recorded_pack import build_pack, log, student


@pytest.fixture(autouse=True)
def own_student(monkeypatch: pytest.MonkeyPatch) -> list[ModelRequest]:
    """The pack's student behind `adapter = "openai"`, and what it was asked."""
    asked: list[ModelRequest] = []

    def answer(request: ModelRequest, draw: int) -> Reply:
        asked.append(request)
        return student(request, draw)

    monkeypatch.setattr(models_open, "_adapters", dict(models_open._adapters))
    register_adapter("openai", lambda settings: ScriptedModel("test:student", answer))
    return asked


def settings_for(folder: Path, **teach_changes: Any) -> Settings:
    sizes = {"rounds": 3, "conversations": 14, "scenarios": 14, "candidates": 6, "dev_personas": 8}
    return Settings(
        folder=folder,
        domain=str(build_pack(folder / "shop")),
        student=ModelSettings(base_url="http://recorded.test", outage_s=0),
        teach=TeachSettings.model_validate({**sizes, **teach_changes}),
        gate=GateSettings(look=2, least=6, most=14),
        retrieval=RetrievalSettings(embedder="hashed"),
    )


def bring(project: Project, text: str, who: Who = "agent") -> None:
    conversations = read_json_lines(text, read_names(()))
    asyncio.run(import_conversations(project.store, project.domain, project.embedder.embedder, conversations, source="log", who=who))


def run(project: Project) -> Finished:
    async def main() -> Finished:
        with project.at_work():
            info = project.choose_run(resume=False, new=False)
            async with project.deps(info) as deps:
                return await teach(deps, project.checkpoints, lambda event: None)

    return asyncio.run(main())


def with_deps(project: Project, work: Any) -> Any:
    async def main() -> Any:
        with project.at_work():
            async with project.deps(project.last_run() or project.choose_run(resume=False, new=False)) as deps:
                return await work(deps)

    return asyncio.run(main())


def test_a_library_from_a_log(tmp_path: Path, own_student: list[ModelRequest]) -> None:
    with open_project(settings_for(tmp_path)) as project:
        bring(project, log())
        finished = run(project)
        assert finished.stop in ("rounds", "no_progress", "nothing_to_teach")
        entries = project.library.entries()
        rounds = project.store.documents(finished.id, "round", RoundSummary)
        used = [t.id for t in project.store.traces(finished.id, purpose="generate")]
    assert {e.strategies[0].text for e in entries} == {
        "When an order is late, ask for the order number.", "When a refund is asked for, say that it takes a form.",
    }  # fmt: skip
    assert all(key.persona.startswith("train-") for entry in entries for key in entry.keys)
    assert all(pair.persona.startswith("train-") for entry in entries if entry.evidence for pair in entry.evidence.pairs)
    assert len(used) == len(set(used))  # each conversation once
    last = {arm: [o.score for o in rounds[-1].outcomes if o.arm == arm and o.score is not None] for arm in ("bare", "library")}
    assert len(last["bare"]) == len(last["library"]) == 8
    assert sum(last["library"]) > sum(last["bare"])
    assert all(not request.tools for request in own_student)  # recorded tools are not run again
    assert any(message.role == "tool" for request in own_student for message in request.messages)


def test_used_up_is_an_end(tmp_path: Path) -> None:
    with open_project(settings_for(tmp_path, conversations=40, rounds=5)) as project:
        bring(project, log(20))
        assert run(project).stop == "nothing_to_teach"


def test_failed_conversations_come_first_and_of_a_teacher_only_others(tmp_path: Path) -> None:
    async def look(deps: Deps) -> tuple[list[bool], int, list[str | None]]:
        known = recorded_traces(deps, "train")
        first = round_traces(deps, 0)
        said = [await teacher_reply(deps, state, 0, purpose="coach") for state in split_states(deps, "train")]
        return [failed(trace) for trace in known], len(first), said

    with open_project(settings_for(tmp_path)) as project:
        bring(project, log())
        order, first, said = with_deps(project, look)
        assert order == sorted(order, reverse=True)
        assert (first, set(said)) == (14, {None})
        bring(project, log(), who="teacher")
        order, _, said = with_deps(project, look)
        assert set(order) == {False}
        assert set(said) == {"Thank you. The order number? There is a form."}


def test_nothing_imported_is_said(tmp_path: Path) -> None:
    with open_project(settings_for(tmp_path)) as project, pytest.raises(SettingsError, match="none are imported") as caught:
        run(project)
    assert "strategist import FILE" in caught.value.hint
