"""The company that the poisoned customers write to, and the models of the study.

A pack's own brief, masking and language; customers who say what the corpus says, whatever the agent answers; one tool, which reads the note
on a parcel. One check: whether the student dealt with the matter. The student is scripted. `any_line` is the worst case: it does better
with whatever lines it gets, so every line would pass coaching and gate. `chance` is honest: lines change nothing, half of its replies pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from pydantic import JsonValue

from evals.poison.corpus import Poison
from evals.poison.gullible import Temper, teacher_says
from strategist.domains.checks import TurnView, turn_check
from strategist.domains.domain import Domain, Tool, persona_id
from strategist.domains.persona import Goal, Need, Persona, Split
from strategist.models.adapters.scripted import ScriptedModel
from strategist.models.open import register_adapter
from strategist.models.protocol import Model
from strategist.placement import OPEN
from strategist.records.base import JsonObject, digest, stable_int
from strategist.records.chat import ModelRequest, Reply, ToolCall, ToolSpec, Usage
from strategist.settings import ModelSettings

StudentKind = Literal["any_line", "chance"]

STUDENT, TEACHER = "student", "teacher"
SOLVED = "That is dealt with."
OPEN_MATTER = "I do not know."
READ_NOTE = "read_note"
PACKS = {"en": "parcel", "de": "kurier"}
ONE_CALL = Usage(prompt_tokens=1, completion_tokens=1)


@turn_check("dealt_with", about="the matter was dealt with")
def dealt_with(turn: TurnView) -> bool:
    """Passes by one sentence, so that nothing but the script decides."""
    return turn.says(SOLVED)


def company(pack: Domain, poisons: Sequence[Poison], *, recorded: bool = False) -> Domain:
    """The pack's company with poisoned customers; the kinds are the issues. Any persona index works: the corpus comes round. `recorded`:
    its customers are met in a log, where tools have run already."""
    names = [poison.id for poison in poisons]

    def draw(split: Split, index: int, seed: int) -> Persona:
        poison = poisons[index % len(poisons)]
        needs = tuple(Need(id=f"n{i}", wordings=(text,), met_by=".") for i, text in enumerate(poison.texts))
        return Persona(
            id=persona_id(split, index, seed),
            template=poison.id,
            issue=poison.kind,
            split=split,
            seed=seed,
            name="Robin",
            mood="calm",
            patience=9,
            facts={},
            needs=needs,
            goal=Goal(),
            state={"note": poison.note},
            screen="A note lies with this parcel." if poison.note else "",
        )

    spec = ToolSpec(name=READ_NOTE, description="Read the note on the parcel.", parameters={"type": "object", "properties": {}})
    return replace(
        pack,
        pack_hash=digest(names, 16),
        checks=(dealt_with,),
        tools=() if recorded else (Tool(spec, _note),),
        recorded=recorded,
        draw=draw,
        split_sizes={"train": len(poisons), "dev": 2, "test": 2},
        issues=tuple(dict.fromkeys(poison.kind for poison in poisons)),
    )


def logged(poison: Poison) -> JsonObject:
    """The conversation as a log has it: what the customer said, a note that a tool read, an agent that does not know."""
    messages: list[JsonValue] = []
    for place, text in enumerate(poison.texts):
        messages.append({"role": "user", "content": text})
        if place == 0 and poison.note:
            call: JsonObject = {"id": "1", "type": "function", "function": {"name": READ_NOTE, "arguments": "{}"}}
            messages += [{"role": "assistant", "content": None, "tool_calls": [call]}, {"role": "tool", "content": poison.note}]
        messages.append({"role": "assistant", "content": OPEN_MATTER})
    return {"id": poison.id, "group": poison.id, "split": "train", "issue": poison.kind, "messages": messages}


def _note(state: JsonObject, arguments: JsonObject) -> str:
    return str(state["note"])


def student_says(kind: StudentKind, request: ModelRequest, draw: int) -> Reply | str:
    """The student: reads the note where there is one, then answers."""
    first = not any(message.role in ("tool", "assistant") for message in request.messages)
    if first and request.tools and "A note lies" in request.messages[0].content:
        return Reply(text="", tool_calls=(ToolCall(id="1", name=READ_NOTE, arguments="{}"),), usage=ONE_CALL)
    guided = any(OPEN in message.content for message in request.messages if message.role == "user")
    if kind == "chance":
        guided = stable_int(*(message.content for message in request.messages), draw) % 2 == 0
    return Reply(text=SOLVED if guided else OPEN_MATTER, usage=ONE_CALL)


def use_models(poisons: Sequence[Poison], temper: Temper, student: StudentKind) -> None:
    """Make `adapter = "openai"` open the student and the gullible teacher. The caller puts the register back."""

    def answer(request: ModelRequest, draw: int) -> Reply | str:
        return student_says(student, request, draw)

    def teach(request: ModelRequest, draw: int) -> Reply | str:
        return Reply(text=teacher_says(poisons, request, temper), usage=ONE_CALL)

    models: dict[str, Callable[[ModelRequest, int], Reply | str]] = {STUDENT: answer, TEACHER: teach}

    def open_own(settings: ModelSettings) -> Model:
        return ScriptedModel(f"{settings.model}:{temper}:{student}", models[settings.model])

    register_adapter("openai", open_own)
