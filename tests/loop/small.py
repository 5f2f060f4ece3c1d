"""Teach runs small enough for tests: the world `specific`, a student that follows advice, and what a run is judged by.

The keen student is the lab's own with sharper rates, so that a few pairs decide; it is opened under the adapter `openai`, where tests put
their own models. Replies depend on request and draw only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from strategist.lab import student, teacher
from strategist.lab.worlds import World, load_world
from strategist.library.export import export_text
from strategist.loop.deps import Deps, Progress
from strategist.loop.runner import Finished, teach
from strategist.models.adapters.scripted import AnswerFunction, ScriptedModel
from strategist.models.open import register_adapter
from strategist.models.protocol import Model
from strategist.project import Project, open_project
from strategist.records.chat import ModelRequest, Reply
from strategist.records.run import RunInfo
from strategist.settings import (
    AdvisorSettings,
    BudgetSettings,
    GateSettings,
    ModelSettings,
    PlayerSettings,
    RetrievalSettings,
    Settings,
    TeachSettings,
)

IN_FLIGHT = 32
SEED = 2
"""Of small runs: one in which entries are admitted in the first round, also by a student that fails now and then."""
T = TypeVar("T")

KEEN = "keen"
TEACHER = "teacher"

Wrap = Callable[[AnswerFunction], AnswerFunction]
"""Changes a model's answers: fault injection."""


def keen_world() -> World:
    """`specific` with a student that nearly always follows the right line and seldom finds it alone."""
    world = load_world("specific")
    rates = {"bare": 0.1, "right": 0.95, "other": 0.02, "noise": 0.05, "crowding": 0.0, "variation": 0.0, "always": 0.0, "never": 0.0}
    side = {"promise": 0.0, "promise_other": 0.0, "recite": 0.0}
    return world.model_copy(
        update={"rates": world.rates.model_copy(update=rates), "side": world.side.model_copy(update=side), "advice_right": 0.95}
    )


def keen_answer(request: ModelRequest, draw: int) -> Reply:
    """The keen student."""
    return student.answer(_WORLD, request, draw)


def teacher_answer(request: ModelRequest, draw: int) -> Reply:
    """The lab's teacher: acts, advises."""
    return teacher.answer(_WORLD, request, draw)


_WORLD = keen_world()
_ANSWERS: dict[str, AnswerFunction] = {KEEN: keen_answer, TEACHER: teacher_answer}


def use_models(student: Wrap | None = None, teacher: Wrap | None = None, latency_s: float = 0.0) -> None:
    """Make `adapter = "openai"` open the models of this module, wrapped. The caller puts the register back (fixture `own_models`)."""
    wraps = {KEEN: student, TEACHER: teacher}

    def open_own(settings: ModelSettings) -> Model:
        answer, wrap = _ANSWERS[settings.model], wraps[settings.model]
        return ScriptedModel(f"test:{settings.model}", answer if wrap is None else wrap(answer), latency_s)

    register_adapter("openai", open_own)


def small(folder: Path, *, calls: int | None = None, advisor: bool = False, **teach_changes: object) -> Settings:
    """Settings of a run of about 150 calls in two rounds; `advisor` makes the model `teacher` advise and act."""
    own = f"http://{folder.name}.test"
    sizes = {"rounds": 2, "conversations": 8, "scenarios": 8, "candidates": 4, "dev_personas": 2, "max_turns": 2}
    told = AdvisorSettings(kind="model", model=ModelSettings(model=TEACHER, base_url=own, max_in_flight=IN_FLIGHT, outage_s=0))
    return Settings(
        folder=folder,
        domain="lab:specific",
        database=Path("run.db"),
        seed=SEED,
        student=ModelSettings(model=KEEN, base_url=own, max_in_flight=IN_FLIGHT, outage_s=0),
        advisor=told if advisor else AdvisorSettings(),
        customer=PlayerSettings(),
        teach=TeachSettings.model_validate({**sizes, **teach_changes}),
        gate=GateSettings(look=1, most=7, fdr=0.4),
        retrieval=RetrievalSettings(embedder="hashed", floor=0.3),
        budget=BudgetSettings(calls=calls),
    )


async def run_on(project: Project, run: RunInfo, heard: list[Progress] | None = None) -> Finished:
    """Run or go on with a run; its progress goes to `heard`."""
    async with project.deps(run) as deps:
        return await teach(deps, project.checkpoints, ([] if heard is None else heard).append)


def with_deps(settings: Settings, work: Callable[[Deps], Awaitable[T]]) -> T:
    """The result of `work` with the parts of the project's last run, or of a new one."""

    async def main(project: Project) -> T:
        async with project.deps(project.last_run() or project.choose_run(resume=False, new=False)) as deps:
            return await work(deps)

    with open_project(settings) as project:
        return asyncio.run(main(project))


def teach_small(settings: Settings, *, resume: bool = False, heard: list[Progress] | None = None) -> Finished:
    """What `strategist teach` does, without printing."""
    with open_project(settings) as project:
        return asyncio.run(run_on(project, project.choose_run(resume=resume, new=False), heard))


def export_of(settings: Settings) -> str:
    """The export of everything that may reach customers."""
    with open_project(settings) as project:
        library = project.library
        return export_text(library.snapshot(("admitted", "approved"), project.embedder.embedder.id, library.get_floor()))


def paid(settings: Settings, run: str = "run-001") -> int:
    """Attempts at calls that the run has recorded."""
    with open_project(settings) as project:
        return project.calls.spent(run).calls
