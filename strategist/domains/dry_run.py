"""Runs a pack's checks and tools once over made-up turns of drawn personas, to find code that breaks before a run does.

The views cover each act a persona's card can bring (needs, reveals, trap, thanks), an empty and a plain reply, with and without guidance
and a tool call. It says nothing about whether a check is right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import cast

from pydantic import JsonValue

from strategist.domains.checks import Check, ConversationView, TurnView
from strategist.domains.domain import Domain
from strategist.domains.faults import Fault
from strategist.domains.grading import AnyView, fits
from strategist.domains.pack_code import check_line, describe, error_line, function_file, function_line
from strategist.domains.persona import Persona
from strategist.domains.toolset import run_tool
from strategist.records.base import JsonObject, canonical
from strategist.records.chat import Message, ToolCall

_PLAIN = "Thank you for telling me. I will look into it and come back to you."
_GUIDANCE = "Name the next step and who takes it."
_DUMMIES: dict[str, JsonValue] = {"string": "x", "integer": 1, "number": 1.0, "boolean": True, "array": [], "object": {}, "null": None}


def dry_run_checks(checks: Sequence[Check], personas: Sequence[Persona], file: str) -> Iterator[Fault]:
    """One fault per check that raises, or that answers anything but True, False and None, on a made-up view."""
    views = [(persona, made_up_turns(persona)) for persona in personas]
    for check in checks:
        fault = next((fault for persona, turns in views if fits(check, persona) for fault in _broken(check, persona, turns, file)), None)
        if fault is not None:
            yield fault


def dry_run_tools(domain: Domain, personas: Sequence[Persona], file: str) -> Iterator[Fault]:
    """One warning per tool that fails on arguments its own schema allows, instead of refusing them."""
    for tool in domain.tools:
        for persona, known in product(personas, (True, False)):
            arguments = canonical(_arguments(tool.spec.parameters, persona.facts if known else {}))
            answer, _ = run_tool(domain, persona.state, ToolCall(id="dry", name=tool.spec.name, arguments=arguments))
            if answer.startswith("error:"):
                message = f"the tool {tool.spec.name!r} breaks on {arguments}: {answer.removeprefix('error: ')}"
                hint = "raise ToolRefusal with a text for the model instead"
                yield Fault(file=file, line=function_line(tool.run), message=message, hint=hint, severity="warning")
                break


def made_up_turns(persona: Persona) -> tuple[TurnView, ...]:
    """Synthetic turns of a persona, for trying checks on."""
    trap = [((f"trap:{persona.trap.id}",), persona.trap.wordings[0])] if persona.trap else []
    moments: list[tuple[tuple[str, ...], str]] = [
        *(((f"need:{need.id}",), need.wordings[0]) for need in persona.needs),
        *(((f"again:{need.id}",), (need.again or need.wordings)[0]) for need in persona.needs),
        *(((f"reveal:{fact.id}",), fact.wordings[0]) for fact in persona.hidden),
        *trap,
        (("thanks",), "Thanks."),
    ]
    variants = ((reply, with_extras) for reply in ("", _PLAIN) for with_extras in (False, True))
    return tuple(_turn(persona, acts, text, reply, extras) for (acts, text), (reply, extras) in product(moments, variants))


def _turn(persona: Persona, acts: tuple[str, ...], customer: str, reply: str, extras: bool) -> TurnView:
    opening = f"need:{persona.needs[0].id}"
    return TurnView(
        reply=reply,
        customer=customer,
        acts=frozenset(acts),
        past_acts=frozenset({opening, *acts}),
        history=(Message(role="system", content=persona.screen), Message(role="user", content=customer)),
        persona=persona,
        calls=(ToolCall(id="dry", name="dry_run", arguments="{}"),) if extras else (),
        before=persona.state,
        after=persona.state,
        guidance=(_GUIDANCE,) if extras else (),
        turn=0 if acts == (opening,) else 1,
    )


def _broken(check: Check, persona: Persona, turns: tuple[TurnView, ...], file: str) -> Iterator[Fault]:
    if check.turn_test is not None:
        found = (_trial(check, check.turn_test, view, file) for view in turns)
    else:
        assert check.conversation_test is not None
        talks = product((turns, ()), ("done", "out_of_patience", "turn_limit"))
        views = (ConversationView(turns=talk, persona=persona, start=persona.state, end=persona.state, ended=end) for talk, end in talks)
        found = (_trial(check, check.conversation_test, view, file) for view in views)
    yield from (fault for fault in found if fault is not None)


def _trial(check: Check, test: Callable[[AnyView], bool | None], view: AnyView, file: str) -> Fault | None:
    try:
        answer: object = test(view)
    except Exception as error:  # noqa: BLE001 - finding these is the purpose
        line = error_line(error, function_file(test)) or check_line(check)
        return Fault(file=file, line=line, message=f"check {check.id!r} breaks: {describe(error)}")
    if answer is None or isinstance(answer, bool):
        return None
    message = f"check {check.id!r} answers {type(answer).__name__}; True, False or None is wanted"
    return Fault(file=file, line=check_line(check), message=message, hint="wrap the answer in bool(...)")


def _arguments(schema: JsonObject, facts: dict[str, str]) -> JsonObject:
    properties = cast(dict[str, JsonObject], schema.get("properties", {}))
    return {name: _dummy(property_, facts.get(name, "x")) for name, property_ in properties.items()}


def _dummy(schema: JsonObject, text: str) -> JsonValue:
    choices, kind = schema.get("enum"), schema.get("type", "string")
    if isinstance(choices, list) and choices:
        return choices[0]
    name = kind[0] if isinstance(kind, list) and kind else kind
    if name == "object":
        return cast(JsonValue, _arguments(schema, {}))
    return text if name == "string" else _DUMMIES.get(str(name), text)
