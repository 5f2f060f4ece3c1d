"""Runs one tool call over a domain's state. Whatever the model writes and whatever the tool does, there is an answer for the model.

Pure: the given state is never changed, and a call that fails leaves no trace in the state that comes back. A tool sees its state with
sorted keys, as it would be after a visit to the database, so its answer never depends on the order in which keys were written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import cast

from pydantic import JsonValue

from strategist.domains.domain import Domain, Tool, ToolRefusal
from strategist.records.base import JsonObject, canonical
from strategist.records.chat import ToolCall

_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


def run_tool(domain: Domain, state: JsonObject, call: ToolCall) -> tuple[str, JsonObject]:
    """(text for the model, state after the call). Faults of the call or the tool answer `error: ...`, a refusal its own text."""
    tool = next((tool for tool in domain.tools if tool.spec.name == call.name), None)
    if tool is None:
        names = ", ".join(tool.spec.name for tool in domain.tools) or "none"
        return f"error: there is no tool {call.name!r}; tools: {names}", state
    try:
        arguments = _parse(call.arguments)
    except ValueError as error:
        return f"error: {error}", state
    problems = [*argument_faults(tool.spec.parameters, arguments)]
    return (f"error: {'; '.join(problems)}", state) if problems else _run(tool, state, arguments)


def argument_faults(schema: JsonObject, arguments: JsonObject) -> Iterator[str]:
    """What is wrong with arguments by a JSON schema: `required`, `properties`, `type`, `enum` and `items` are looked at.

    Unknown arguments are wrong unless the schema sets `additionalProperties`."""
    properties = cast(JsonObject, schema.get("properties", {}))
    for name in cast(list[str], schema.get("required", [])):
        if name not in arguments:
            yield f"argument {name!r} is missing"
    for name, value in arguments.items():
        if name in properties:
            yield from _value_faults(f"argument {name!r}", cast(JsonObject, properties[name]), value)
        elif not schema.get("additionalProperties", False):
            yield f"there is no argument {name!r}; arguments: {', '.join(properties) or 'none'}"


def _run(tool: Tool, state: JsonObject, arguments: JsonObject) -> tuple[str, JsonObject]:
    after = _copy(state)
    try:
        text: object = tool.run(after, arguments)
        if not isinstance(text, str):
            raise TypeError(f"it answered {type(text).__name__}, not text")
        after = _copy(after)
    except ToolRefusal as refusal:
        return str(refusal) or "refused", state
    except Exception as error:  # noqa: BLE001 - a broken tool is an answer to the model, never the end of a conversation
        return f"error: the tool {tool.spec.name!r} failed ({type(error).__name__}: {error})", state
    return text, after


def _copy(state: JsonObject) -> JsonObject:
    return cast(JsonObject, json.loads(canonical(state)))


def _parse(text: str) -> JsonObject:
    try:
        value = cast(JsonValue, json.loads(text)) if text.strip() else {}
        canonical(value).encode()
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the arguments are not valid JSON ({error})") from None
    if not isinstance(value, dict):
        raise ValueError("the arguments must be one JSON object")
    return value


def _value_faults(where: str, schema: JsonObject, value: JsonValue) -> Iterator[str]:
    kinds = schema.get("type")
    wanted = [kind for kind in (kinds if isinstance(kinds, list) else [kinds]) if isinstance(kind, str)]
    if wanted and not any(_is(value, kind) for kind in wanted):
        yield f"{where} must be of type {' or '.join(wanted)}"
        return
    choices = schema.get("enum")
    if isinstance(choices, list) and canonical(value) not in {canonical(choice) for choice in choices}:
        yield f"{where} must be one of {', '.join(canonical(choice) for choice in choices)}"
    items = schema.get("items")
    if isinstance(value, list) and isinstance(items, dict):
        for place, item in enumerate(value):
            yield from _value_faults(f"{where}[{place}]", items, item)
    if isinstance(value, dict) and "properties" in schema:
        yield from (f"{where}: {problem}" for problem in argument_faults(schema, value))


def _is(value: JsonValue, kind: str) -> bool:
    if isinstance(value, bool) and kind != "boolean":
        return False
    return isinstance(value, _KINDS.get(kind, (object,)))
