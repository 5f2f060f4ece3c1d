"""Lab models behind the protocol of `strategist.models`: by name, in this process.

A lab model's name is `<world>/<role>`, e.g. `specific/student`. Owns the names and the way from a name to an answering function; the HTTP
server (lab.server) answers from the same functions, so a model is the same wherever it runs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, get_args

from strategist.errors import SettingsError
from strategist.lab import student, teacher
from strategist.lab.worlds import World, load_world, load_worlds
from strategist.models.adapters.scripted import ScriptedModel
from strategist.models.open import register_adapter
from strategist.models.protocol import Model
from strategist.records.chat import ModelRequest, Reply
from strategist.settings import ModelSettings

LabRole = Literal["student", "teacher", "judge"]
Answer = Callable[[ModelRequest, int], Reply]
"""(request, draw) -> reply: pure."""

ROLES: tuple[LabRole, ...] = get_args(LabRole)


def lab_answer(world: World, role: LabRole) -> Answer:
    """The answering function of a role in a world. The judge is the teacher under a judge's prompt."""
    return partial(student.answer if role == "student" else teacher.answer, world)


def split_name(name: str) -> tuple[World, LabRole]:
    """World and role of a lab model's name. Raises SettingsError for anything else."""
    world, _, role = name.partition("/")
    for known in ROLES:
        if role == known and world in load_worlds():
            return load_world(world), known
    raise SettingsError(f"no lab model named {name!r}", hint=f"lab models are: {', '.join(lab_models())}")


def lab_models() -> tuple[str, ...]:
    """The names of all lab models."""
    return tuple(f"{world}/{role}" for world in load_worlds() for role in ROLES)


def lab_model(world: World, role: LabRole, latency_s: float = 0.0) -> Model:
    """A role of a world as a model, `lab:<world>/<role>`; each call takes `latency_s` seconds."""
    return ScriptedModel(f"lab:{world.name}/{role}", lab_answer(world, role), latency_s)


def open_lab_model(settings: ModelSettings) -> Model:
    """The model that settings with `adapter = "lab"` name. Raises SettingsError for an unknown one."""
    world, role = split_name(settings.model)
    return lab_model(world, role)


def register_lab_models() -> None:
    """Make `adapter = "lab"`, `model = "<world>/<role>"` open lab models everywhere; may be called more than once."""
    register_adapter("lab", open_lab_model)
