"""JSON replies of a given record type, with bounded repair.

Owns the schema that is asked for, how JSON is found in a reply, and the words of the repair question. Invariant: the answer is a valid
record, or a ModelError of kind `not_json` or `cut_reply` after at most `repairs` further questions; a cut reply is never taken for a
whole one.
"""

from __future__ import annotations

import json
from typing import TypeVar

from pydantic import JsonValue, ValidationError

from strategist.errors import ModelError
from strategist.models.protocol import Chat
from strategist.records.base import JsonObject, Record
from strategist.records.chat import Message, ModelRequest, Purpose, Reply

R = TypeVar("R", bound=Record)


async def ask_json(chat: Chat, request: ModelRequest, type_: type[R], *, purpose: Purpose, sample: int = 0, repairs: int = 1) -> R:
    """Ask for a reply of `type_`. What does not validate is sent back with its error, at most `repairs` times.

    Raises ModelError: kind `not_json` if no reply validates, `cut_reply` if the last one was cut off, else as Chat.ask does.
    """
    if request.json_schema is None:
        request = request.model_copy(update={"json_schema": reply_schema(type_)})
    problem, cut = "", False
    for _ in range(repairs + 1):
        reply = await chat.ask(request, purpose=purpose, sample=sample)
        try:
            return type_.model_validate(_read(reply))
        except ValueError as error:
            problem, cut = _explain(error), reply.finish == "length"
        request = _repair(request, reply, problem)
    raise ModelError(f"{chat.model_name} gives no valid {type_.__name__} as JSON: {problem}", kind="cut_reply" if cut else "not_json")


def reply_schema(type_: type[Record]) -> JsonObject:
    """The JSON schema of a record as models are asked for it: every field required, since weak models leave out what is optional."""
    schema: JsonObject = type_.model_json_schema()
    return {name: _all_required(value) for name, value in _demanding(schema).items()}


def find_object(text: str) -> str:
    """The outermost JSON object in a reply, without code fences or chatter around it. Raises ValueError if there is none."""
    start, end = text.find("{"), text.rfind("}")
    if start < 0 or end < start:
        raise ValueError("there is no JSON object in the reply")
    return text[start : end + 1]


def _read(reply: Reply) -> JsonValue:
    if reply.finish == "length":
        raise ValueError("the reply was cut off before its end; answer more briefly")
    value: JsonValue = json.loads(find_object(reply.text))
    return value


def _explain(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        problems = (f"{'.'.join(str(part) for part in e['loc']) or 'object'}: {e['msg']}" for e in error.errors(include_url=False))
        return "; ".join(list(problems)[:5])
    return str(error)


def _repair(request: ModelRequest, reply: Reply, problem: str) -> ModelRequest:
    question = f"That is not valid: {problem}. Answer again with one JSON object of the required form and nothing else."
    more = (Message(role="assistant", content=reply.text), Message(role="user", content=question))
    return request.model_copy(update={"messages": (*request.messages, *more)})


def _all_required(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {name: _all_required(item) for name, item in _demanding(value).items()}
    if isinstance(value, list):
        return [_all_required(item) for item in value]
    return value


def _demanding(schema: JsonObject) -> JsonObject:
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return schema
    plain: JsonObject = {
        name: {k: v for k, v in item.items() if k != "default"} if isinstance(item, dict) else item for name, item in properties.items()
    }
    return {**schema, "properties": plain, "required": list(plain)}
