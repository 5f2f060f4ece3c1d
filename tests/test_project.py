"""A project from its settings: which run is worked on, what is opened, and what a prompt of the agent holds."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from strategist.casting import model_name
from strategist.errors import BudgetExceededError, DomainError, LibraryError, SettingsError
from strategist.loop.deps import NODES
from strategist.models import open as models_open
from strategist.models.adapters.scripted import ScriptedModel
from strategist.models.open import register_adapter
from strategist.models.protocol import Model
from strategist.placement import OPEN
from strategist.project import Project, open_project, studio_graph
from strategist.records.base import canonical
from strategist.records.chat import Message, ModelRequest
from strategist.records.library import Entry, Key, Strategy
from strategist.records.run import RunInfo
from strategist.roles.customer import LLMCustomer
from strategist.roles.handbook import HandbookAdvisor
from strategist.roles.prompts import prompt_hashes
from strategist.roles.scripted_customer import ScriptedCustomer
from strategist.roles.teacher import LLMTeacher
from strategist.settings import AdvisorSettings, BudgetSettings, ModelSettings, PlayerSettings, RetrievalSettings, Settings
from strategist.store import Store
from strategist.store.lock import HeldError

LINE = "When a parcel is overdue, say that you start a trace."
ASKED = "My parcel has not arrived."
CHAT = (Message(role="system", content="You serve customers."), Message(role="user", content=ASKED))


class Recorder:
    """Models that note what they are asked, and whether they were closed."""

    def __init__(self) -> None:
        self.requests: list[ModelRequest] = []
        self.opened: list[ModelSettings] = []
        self.closed = 0

    def open(self, settings: ModelSettings) -> Model:
        recorder = self

        class Noted(ScriptedModel):
            async def close(self) -> None:
                recorder.closed += 1

        self.opened.append(settings)
        return Noted(f"noted:{settings.model}", self.answer)

    def answer(self, request: ModelRequest, draw: int) -> str:
        self.requests.append(request)
        return "Thank you for writing."


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    monkeypatch.setattr(models_open, "_adapters", dict(models_open._adapters))
    recorder = Recorder()
    register_adapter("openai", recorder.open)
    register_adapter("embedded", recorder.open)
    return recorder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(folder=tmp_path, domain="lab:specific", seed=5, retrieval=RetrievalSettings(embedder="hashed", index="exact"))


@pytest.fixture
def project(settings: Settings, recorder: Recorder) -> Iterator[Project]:
    with open_project(settings) as opened:
        yield opened


def entry(name: str = "e1", line: str = LINE) -> Entry:
    return Entry(
        id=name,
        status="admitted",
        keys=(Key(scenario="s", persona="train-0-0", issue="late", text="My parcel has not arrived."),),
        strategies=(Strategy(text=line),),
        domain="lab_specific",
        brief_hash="b",
        student="s",
        advisor="a",
        round=0,
    )


def ask(project: Project, *, with_library: bool = True) -> None:
    """One question to the agent as it serves customers."""

    async def work() -> None:
        await project.agent(with_library=with_library).reply(CHAT)
        await project.close_models()

    asyncio.run(work())


# ------------------------------------------------------------------------------------------------ which run


def begin(project: Project) -> RunInfo:
    """A run that has sent its first call."""
    run = project.choose_run(resume=False, new=False)
    request = ModelRequest(messages=CHAT)
    project.calls.begin(
        key="k", run=run.id, attempt=1, role="student", model="m", purpose="generate", sample=0, seed=run.seed, request=request
    )
    return run


def test_runs_are_numbered_and_seeded_apart(project: Project) -> None:
    assert project.last_run() is None
    first = project.choose_run(resume=False, new=False)
    assert (first.id, first.seed, first.student, first.advisor) == ("run-001", 5, "openai:student", "handbook")
    assert (first.domain, first.pack_hash, first.embedder) == ("lab_specific", project.domain.pack_hash, project.embedder.embedder.id)
    project.store.put_run(first.model_copy(update={"stop": "rounds"}))
    second = project.choose_run(resume=False, new=False)
    assert (second.id, second.seed) == ("run-002", 1005)
    assert project.last_run() == second


def test_there_must_be_something_to_resume(project: Project) -> None:
    with pytest.raises(SettingsError, match="no unfinished run to resume"):
        project.choose_run(resume=True, new=False)
    project.store.put_run(project.choose_run(resume=False, new=False).model_copy(update={"stop": "parity"}))
    with pytest.raises(SettingsError, match="no unfinished run to resume"):
        project.choose_run(resume=True, new=False)


@pytest.mark.parametrize(("stop", "why"), [(None, "it was killed"), ("budget", "budget"), ("interrupted", "interrupted")])
def test_an_unfinished_run_is_not_passed_over_silently(project: Project, stop: str | None, why: str) -> None:
    run = begin(project).model_copy(update={"stop": stop})
    project.store.put_run(run)
    with pytest.raises(SettingsError, match=rf"run-001 is unfinished \({why}\)") as caught:
        project.choose_run(resume=False, new=False)
    assert "--resume" in caught.value.hint
    assert "--new" in caught.value.hint
    assert project.choose_run(resume=True, new=False) == run
    assert project.choose_run(resume=False, new=True).id == "run-002"


def test_a_resumed_run_needs_the_settings_it_began_with(settings: Settings, project: Project) -> None:
    begin(project)
    changed = settings.model_copy(update={"teach": settings.teach.model_copy(update={"rounds": 9})})
    with open_project(changed) as other, pytest.raises(SettingsError, match="the settings changed since run-001 began"):
        other.choose_run(resume=True, new=False)
    faster = settings.student.model_copy(update={"max_in_flight": 99, "base_url": "http://elsewhere.test/v1", "price_out": 3.0})
    with open_project(settings.model_copy(update={"student": faster})) as other:
        assert other.choose_run(resume=True, new=False).id == "run-001"


def test_a_resumed_run_needs_the_pack_it_began_with(project: Project) -> None:
    begin(project)
    project.domain = replace(project.domain, pack_hash="another")
    with pytest.raises(SettingsError, match="the domain pack changed since run-001 began"):
        project.choose_run(resume=True, new=False)


def test_a_run_that_left_nothing_behind_binds_nobody_to_its_settings(settings: Settings, project: Project) -> None:
    project.choose_run(resume=False, new=False)  # and then its model cannot be opened
    corrected = settings.model_copy(update={"student": settings.student.model_copy(update={"model": "right"})})
    with open_project(corrected) as other:
        run = other.choose_run(resume=False, new=False)
        assert (run.id, run.student, run.seed) == ("run-001", "openai:right", 5)
        assert [run.id for run in other.store.runs()] == ["run-001"]


@pytest.mark.parametrize(
    ("role", "changes"),
    [("advisor", {"advisor": AdvisorSettings(kind="model")}), ("customer", {"customer": PlayerSettings(kind="model")})],
)
def test_a_model_that_is_not_named_is_a_fault_of_the_settings_before_a_run_begins(
    settings: Settings, role: str, changes: dict[str, object]
) -> None:
    with open_project(settings.model_copy(update=changes)) as opened:
        with pytest.raises(SettingsError, match=rf'\[{role}\] kind = "model" needs a model') as caught:
            opened.choose_run(resume=False, new=False)
        assert f"[{role}.model]" in caught.value.hint
        assert opened.last_run() is None


@pytest.mark.parametrize(
    ("kept", "what"),
    [
        ({"prompts": "another"}, "the prompts changed since run-001 began"),
        ({"embedder": "minilm"}, r"the embedder \(minilm\) changed since run-001 began"),
        ({"code": "0.0.1"}, r"the version of strategist \(0\.0\.1\) changed since run-001 began"),
    ],
)
def test_a_resumed_run_needs_the_prompts_the_embedder_and_the_program_it_began_with(
    project: Project, kept: dict[str, str], what: str
) -> None:
    run = begin(project)
    project.store.put_run(run.model_copy(update=kept))
    with pytest.raises(SettingsError, match=what):
        project.choose_run(resume=True, new=False)
    unknown = run.model_copy(update=dict.fromkeys(kept, ""))
    project.store.put_run(unknown)
    assert project.choose_run(resume=True, new=False) == unknown, "what an old record does not say is no reason to refuse"


def test_a_changed_prompt_is_seen(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    run = begin(project)
    assert run.prompts
    assert project.choose_run(resume=True, new=False) == run
    monkeypatch.setattr("strategist.project.prompt_hashes", lambda: {**prompt_hashes(), "advise.v1": "edited"})
    with pytest.raises(SettingsError, match="the prompts changed since run-001 began"):
        project.choose_run(resume=True, new=False)


# ------------------------------------------------------------------------------------------------ one process at a time


def in_flight(project: Project) -> int:
    """Calls that are on their way, as the call log has it."""
    with project.store.database.reading() as conn:
        return int(conn.exec_driver_sql("select count(*) from calls where status = 'sent'").scalar_one())


def test_who_works_on_a_run_is_alone(settings: Settings, project: Project) -> None:
    run = begin(project)

    async def work() -> None:
        async with project.deps(run):
            assert project.choose_run(resume=True, new=False) == run, "its own process is not kept out"
            with open_project(settings) as other:
                assert other.last_run() == run, "looking is free"
                with pytest.raises(HeldError, match=rf"process {os.getpid()} is at work in"):
                    other.choose_run(resume=True, new=False)
                with pytest.raises(HeldError):
                    async with other.deps(run):
                        raise AssertionError("opened")

    asyncio.run(work())
    with open_project(settings) as other, other.alone():
        assert other.choose_run(resume=True, new=False) == run


def test_only_what_a_dead_process_left_is_marked_as_abandoned(settings: Settings, project: Project) -> None:
    run = begin(project)
    with project.alone():
        assert in_flight(project) == 0, "whoever sent it is dead, or could not be kept out"
        request = ModelRequest(messages=CHAT)
        project.calls.begin(
            key="k2", run=run.id, attempt=1, role="student", model="m", purpose="generate", sample=0, seed=run.seed, request=request
        )

        async def work() -> None:
            async with project.deps(run):
                assert in_flight(project) == 1, "it may be under way in this process"

        asyncio.run(work())
        with open_project(settings) as other, pytest.raises(HeldError), other.alone():
            raise AssertionError("held")
        assert in_flight(project) == 1


def test_a_run_is_begun_beside_one_that_another_process_teaches_only_on_purpose(settings: Settings, project: Project) -> None:
    with project.at_work(), open_project(settings) as other:
        run = begin(project)
        assert other.last_free_run() is None
        for resume in (True, False):
            with pytest.raises(HeldError, match=f"process {os.getpid()} is at work in") as caught:
                other.choose_run(resume=resume, new=False)
            assert "--new begins another run beside it" in caught.value.hint
        beside = other.choose_run(resume=False, new=True)
        assert (beside.id, beside.seed) == ("run-002", 1005)
        assert other.last_free_run() == beside
        assert in_flight(other) == 1, "the other's calls are under way"
        with pytest.raises(HeldError), other.alone():
            raise AssertionError("others are at work")
    with open_project(settings) as later:
        assert later.last_free_run() == beside
        later.store.put_run(beside.model_copy(update={"stop": "rounds"}))
        with later.at_work():
            later.take(beside.id)  # as who evaluates it
            with open_project(settings) as third:
                assert third.choose_run(resume=False, new=False).id == "run-003"
    assert run.id == "run-001"


def test_a_run_that_died_is_resumed_beside_one_that_is_taught(settings: Settings, project: Project) -> None:
    died = begin(project)
    with open_project(settings) as other, other.at_work():
        assert other.choose_run(resume=False, new=True).id == "run-002"
        assert project.choose_run(resume=True, new=False) == died
        assert in_flight(project) == 0
        with pytest.raises(HeldError):
            project.choose_run(resume=False, new=False)
        assert project.choose_run(resume=False, new=True).id == "run-003"


def test_a_run_without_a_call_keeps_its_number_beside_others(settings: Settings, project: Project) -> None:
    first = project.choose_run(resume=False, new=False)
    with open_project(settings) as other, other.at_work():
        other.store.put_run(first.model_copy(update={"id": "run-002"}))
        other.take("run-002")
        assert project.choose_run(resume=False, new=True) == first


def test_choosing_a_new_run_leaves_the_old_one_to_others(settings: Settings, project: Project) -> None:
    old = begin(project)
    with project.at_work():
        assert project.choose_run(resume=False, new=True).id == "run-002"
        with open_project(settings) as other:
            assert other.choose_run(resume=True, new=False) == old


# ------------------------------------------------------------------------------------------------ one wall per run


def limited(settings: Settings, calls: int) -> Settings:
    return settings.model_copy(update={"budget": BudgetSettings(calls=calls)})


def test_all_agents_of_a_project_stand_before_one_wall(settings: Settings, recorder: Recorder) -> None:
    async def work(project: Project) -> None:
        one, other = project.agent(), project.agent(with_library=False)
        await one.reply(CHAT, sample=1)
        await other.reply(CHAT, sample=2)
        for agent in (one, other, project.agent()):
            with pytest.raises(BudgetExceededError, match="2 of 2 calls are spent"):
                await agent.reply(CHAT, sample=3)
        await project.close_models()

    with open_project(limited(settings, 2)) as project:
        asyncio.run(work(project))
    assert len(recorder.requests) == 2


def test_a_run_that_is_opened_twice_has_one_wall(settings: Settings, recorder: Recorder) -> None:
    async def work(project: Project, run: RunInfo) -> None:
        async with project.deps(run) as deps:
            await deps.agent(None).reply(CHAT, purpose="examine", sample=1)
            async with project.deps(run) as again:
                await again.agent(None).reply(CHAT, purpose="examine", sample=2)
                assert deps.spent() == again.spent() == (2, 0.0)
                with pytest.raises(BudgetExceededError):
                    await deps.agent(None).reply(CHAT, purpose="examine", sample=3)
        async with project.deps(run) as later:
            assert later.spent() == (2, 0.0)
            with pytest.raises(BudgetExceededError):
                await later.agent(None).reply(CHAT, purpose="examine", sample=3)

    with open_project(limited(settings, 2)) as project:
        asyncio.run(work(project, project.choose_run(resume=False, new=False)))
    assert len(recorder.requests) == 2


def test_what_another_process_spent_meanwhile_counts(settings: Settings, recorder: Recorder) -> None:
    async def one_call(project: Project, run: RunInfo, sample: int) -> int:
        async with project.deps(run) as deps:
            await deps.agent(None).reply(CHAT, purpose="examine", sample=sample)
            return deps.spent()[0]

    with open_project(limited(settings, 3)) as project, open_project(limited(settings, 3)) as other:
        run = project.choose_run(resume=False, new=False)
        assert [asyncio.run(one_call(who, run, sample)) for sample, who in enumerate((project, other, project))] == [1, 2, 3]
        with pytest.raises(BudgetExceededError):
            asyncio.run(one_call(other, run, 9))


# ------------------------------------------------------------------------------------------------ what is opened


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (ModelSettings(model="qwen"), "openai:qwen"),
        (ModelSettings(adapter="lab", model="specific/student"), "lab:specific/student"),
        (ModelSettings(adapter="embedded", path=Path("models/small.gguf")), "embedded:small.gguf"),
        (ModelSettings(adapter="embedded", model="bare"), "embedded:bare"),
    ],
)
def test_the_name_of_a_model_without_opening_it(model: ModelSettings, name: str) -> None:
    assert model_name(model) == name


def test_a_run_opens_its_roles_and_closes_them(settings: Settings, recorder: Recorder) -> None:
    own = settings.model_copy(
        update={
            "student": ModelSettings(adapter="embedded", path=Path("small.gguf")),
            "advisor": AdvisorSettings(kind="model", model=ModelSettings(model="teacher")),
            "customer": PlayerSettings(kind="model", model=ModelSettings(model="customer")),
        }
    )

    async def work(project: Project) -> None:
        async with project.deps(project.choose_run(resume=False, new=False)) as deps:
            assert isinstance(deps.advisor, LLMTeacher)
            assert deps.teacher is deps.advisor
            assert isinstance(deps.customer, LLMCustomer)
            assert deps.student.model_name == "noted:student"
            assert deps.spent() == (0, 0.0)
            assert recorder.closed == 0
            said = await deps.teacher.reply(CHAT, purpose="generate")
            assert said.message.content == "Thank you for writing."
            assert deps.spent()[0] == 1

    with open_project(own) as project:
        asyncio.run(work(project))
        assert project.calls.totals("run-001")[0].role == "teacher"
    assert recorder.closed == 3
    assert recorder.opened[0].path == settings.folder / "small.gguf", "paths are the settings file's"


def test_the_handbook_and_the_scripted_customer_need_no_model(project: Project, recorder: Recorder) -> None:
    async def work() -> None:
        async with project.deps(project.choose_run(resume=False, new=False)) as deps:
            assert isinstance(deps.advisor, HandbookAdvisor)
            assert isinstance(deps.customer, ScriptedCustomer)
            assert deps.teacher is None

    asyncio.run(work())
    assert (len(recorder.opened), recorder.closed) == (1, 1)
    assert project.library.get_embedder() == project.embedder.embedder.id


def test_what_was_opened_is_closed_where_the_next_cannot_be(settings: Settings, recorder: Recorder) -> None:
    advisor = AdvisorSettings(kind="model", model=ModelSettings(adapter="lab", model="no such world/teacher"))

    async def work(project: Project) -> None:
        async with project.deps(project.choose_run(resume=False, new=False)):
            raise AssertionError("opened")

    with open_project(settings.model_copy(update={"advisor": advisor})) as project, pytest.raises(SettingsError, match="no lab model"):
        asyncio.run(work(project))
    assert (len(recorder.opened), recorder.closed) == (1, 1)


def test_domains_by_name(settings: Settings) -> None:
    with open_project(settings.model_copy(update={"domain": "parcel"})) as opened:
        assert opened.domain.name == "parcel"
    with pytest.raises(DomainError):
        open_project(settings.model_copy(update={"domain": "no_such_pack"}))
    with pytest.raises(DomainError, match="no lab world"):
        open_project(settings.model_copy(update={"domain": "lab:nowhere"}))


def test_a_library_of_another_embedder_is_refused_and_the_database_closed(
    settings: Settings, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.library.set_embedder("minilm")
    closed: list[Store] = []

    def close(store: Store) -> None:
        closed.append(store)

    monkeypatch.setattr(Store, "close", close)
    with pytest.raises(LibraryError, match="built with the embedder minilm"):
        open_project(settings)
    monkeypatch.undo()
    (opened,) = closed
    opened.close()


def test_the_index_lies_beside_the_database(project: Project) -> None:
    with project.index() as choice:
        assert choice.index.vectors([]) == {}
    assert project.checkpoints.parent == project.settings.database_path.parent
    assert project.checkpoints != project.settings.database_path


# ------------------------------------------------------------------------------------------------ what reaches a prompt


def test_an_empty_library_changes_no_byte_of_a_request(project: Project, recorder: Recorder) -> None:
    ask(project)
    ask(project, with_library=False)
    (only,) = recorder.requests  # byte for byte the same, so the call log answers the second
    assert canonical(only.messages) == canonical(CHAT)


def test_an_entry_is_in_the_next_prompt_and_a_retired_one_is_gone(project: Project, recorder: Recorder) -> None:
    async def work() -> None:
        agent = project.agent()

        async def sent(sample: int) -> ModelRequest:
            await agent.reply(CHAT, sample=sample)
            return recorder.requests[-1]

        plain = await sent(0)
        project.library.add([entry()], actor="test", reason="", marker="m")
        first = await sent(1)
        assert first.messages[:-1] == CHAT[:-1]
        assert first.messages[-1].content.startswith(ASKED)
        assert OPEN in first.messages[-1].content
        assert LINE in first.messages[-1].content
        project.library.retire("e1", actor="an expert", reason="not true any more")
        assert canonical(await sent(2)) == canonical(plain)
        await project.close_models()

    asyncio.run(work())
    assert len(recorder.requests) == 3


def test_a_change_by_another_process_is_seen_too(settings: Settings, project: Project, recorder: Recorder) -> None:
    project.library.add([entry()], actor="test", reason="", marker="m")

    async def work() -> None:
        live = project.live()
        assert (await live.guidance(CHAT)).lines == (LINE,)
        with open_project(settings) as other:
            other.library.retire("e1", actor="an expert", reason="")
        assert (await live.guidance(CHAT)).lines == ()

    asyncio.run(work())


@pytest.mark.parametrize(("serve", "lines"), [("admitted", (LINE,)), ("approved", ())])
def test_what_may_reach_customers_is_a_setting(settings: Settings, serve: str, lines: tuple[str, ...]) -> None:
    with open_project(settings.model_copy(update={"serve_status": serve})) as project:
        project.library.add([entry()], actor="test", reason="", marker="m")
        assert asyncio.run(project.live().guidance(CHAT)).lines == lines


def test_keys_are_masked_in_the_language_of_the_domain(project: Project) -> None:
    """Regression: serving masked German texts as English ones, so they met other keys than in teaching."""
    project.library.add([entry()], actor="test", reason="", marker="m")

    async def key_in(language: str) -> str:
        project.domain = replace(project.domain, language=language)
        return (await (await project.live().retriever()).explain((Message(role="user", content="Wo ist mein Paket?"),))).key

    assert asyncio.run(key_in("de")) == "Wo ist mein Paket?"
    assert asyncio.run(key_in("en")) == "Wo ist mein <name>?"


# ------------------------------------------------------------------------------------------------ studio


TOML = 'domain = "lab:specific"\n[student]\nadapter = "lab"\nmodel = "specific/student"\n[retrieval]\nembedder = "hashed"\n'


def test_the_graph_for_studio_is_where_langgraph_json_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).parent.parent
    declared = json.loads((root / "langgraph.json").read_text(encoding="utf-8"))
    file, _, name = declared["graphs"]["teach"].partition(":")
    module = importlib.import_module(".".join(Path(file).with_suffix("").parts))
    assert (root / file).resolve() == Path(str(module.__file__))
    assert getattr(module, name) is studio_graph

    (tmp_path / "strategist.toml").write_text(TOML, encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    async def edges() -> set[tuple[str, str]]:
        async with studio_graph() as graph:
            return {(edge.source, edge.target) for edge in graph.get_graph().edges}

    shown = asyncio.run(edges())
    assert set(pairwise(("__start__", *NODES, "__end__"))) <= shown
    assert shown - set(pairwise(("__start__", *NODES, "__end__"))) == {("examine", "generate")}
    assert asyncio.run(edges()) == shown, "the unfinished run is taken up again"
    with open_project(Settings(folder=tmp_path, domain="lab:specific", retrieval=RetrievalSettings(embedder="hashed"))) as project:
        assert [run.id for run in project.store.runs()] == ["run-001"]
