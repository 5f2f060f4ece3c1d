"""OpenAI's chat format, out and in: request bodies, completions, chunks. Pure; knows no connection.

What comes in is read strictly where we need it (choices, text, tool calls, finish, usage) and ignored elsewhere.
"""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from strategist.errors import TransientModelError
from strategist.records.base import JsonObject, canonical
from strategist.records.chat import Finish, ModelRequest, Reply, ToolCall, Usage

_FINISH: dict[str, Finish] = {"length": "length", "tool_calls": "tool_calls", "function_call": "tool_calls", "content_filter": "refusal"}
_SEEDS = 2**31


class _Wire(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class _Function(_Wire):
    name: str | None = None
    arguments: str | JsonObject | None = None


class _ToolCall(_Wire):
    id: str | None = None
    index: int | None = None
    function: _Function = _Function()


class _Message(_Wire):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(_Wire):
    message: _Message
    finish_reason: str | None = None


class _ChunkChoice(_Wire):
    delta: _Message
    finish_reason: str | None = None


class _Details(_Wire):
    cached_tokens: int | None = None


class _Usage(_Wire):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None

    def usage(self) -> Usage:
        cached = self.prompt_tokens_details.cached_tokens if self.prompt_tokens_details else 0
        return Usage(prompt_tokens=self.prompt_tokens or 0, completion_tokens=self.completion_tokens or 0, cached_tokens=cached or 0)


class _Completion(_Wire):
    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None


class _Chunk(_Wire):
    choices: list[_ChunkChoice] = []
    usage: _Usage | None = None


def request_body(request: ModelRequest, draw: int, *, length_field: str = "max_tokens") -> JsonObject:
    """The body of a chat completion, without model and stream. The seed is the draw, cut to 31 bits, which every server accepts."""
    body: JsonObject = {
        "messages": [message.wire() for message in request.messages],
        "temperature": request.temperature,
        length_field: request.max_tokens,
        "seed": draw % _SEEDS,
    }
    if request.stop:
        body["stop"] = list(request.stop)
    if request.tools:
        body["tools"] = [tool.wire() for tool in request.tools]
    if request.json_schema is not None:
        name = re.sub(r"[^A-Za-z0-9_-]", "_", str(request.json_schema.get("title", "reply")))[:64]
        schema: JsonObject = {"name": name, "schema": request.json_schema, "strict": is_strict(request.json_schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return body


def is_strict(schema: JsonValue) -> bool:
    """Whether a schema keeps OpenAI's rules for strict output: every object closed, every property required."""
    if isinstance(schema, list):
        return all(is_strict(item) for item in schema)
    if not isinstance(schema, dict):
        return True
    properties, required = schema.get("properties"), schema.get("required", [])
    closed = schema.get("type") != "object" or schema.get("additionalProperties") is False
    complete = not isinstance(properties, dict) or (isinstance(required, list) and all(name in required for name in properties))
    return closed and complete and all(is_strict(item) for item in schema.values())


def read_completion(text: str) -> Reply:
    """The reply in a response body. Raises TransientModelError for a body that is none: proxies answer so for a while."""
    try:
        completion = _Completion.model_validate_json(text)
    except ValidationError as error:
        raise garbage(text) from error
    whole = Gathered()
    whole.take(completion.choices[0].message, completion.choices[0].finish_reason)
    whole.usage = completion.usage
    return whole.reply()


def garbage(text: str) -> TransientModelError:
    """The error for a 200 answer that is no chat completion."""
    shown = " ".join(text.split())[:120]
    return TransientModelError(f"the model server answers with something that is no chat completion: {shown!r}", lost=True)


class Gathered:
    """The parts of a reply as they come in: all at once, or chunk by chunk."""

    def __init__(self) -> None:
        self.usage: _Usage | None = None
        self.finish: str | None = None
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._calls: dict[int, ToolCall] = {}

    def chunk(self, chunk: object) -> str:
        """Take one chunk of a stream; returns its text. Raises TransientModelError if it is none."""
        try:
            read = _Chunk.model_validate(chunk)
        except ValidationError as error:
            raise garbage(str(chunk)) from error
        self.usage = read.usage or self.usage
        return "".join([self.take(choice.delta, choice.finish_reason) for choice in read.choices[:1]])

    def take(self, part: _Message, finish: str | None) -> str:
        """Take one message or delta; returns its text."""
        self.finish = finish or self.finish
        self._text.append(part.content or "")
        self._refusal.append(part.refusal or "")
        for position, call in enumerate(part.tool_calls or ()):
            place = position if call.index is None else call.index
            self._calls[place] = _joined(self._calls.get(place), call, place)
        return part.content or ""

    def reply(self) -> Reply:
        """The whole. A server's `stop` with tool calls in the message is still a stop for tools."""
        calls = tuple(self._calls[place] for place in sorted(self._calls))
        refusal = "".join(self._refusal)
        finish = "refusal" if refusal else _FINISH.get(self.finish or "", "tool_calls" if calls else "stop")
        usage = self.usage.usage() if self.usage is not None else Usage()
        return Reply(text=refusal or "".join(self._text), tool_calls=calls, finish=finish, usage=usage)


def _joined(known: ToolCall | None, part: _ToolCall, place: int) -> ToolCall:
    given = part.function.arguments
    arguments = given if isinstance(given, str) else canonical(given) if given is not None else ""
    if known is None:
        return ToolCall(id=part.id or f"call_{place}", name=part.function.name or "", arguments=arguments)
    return known.model_copy(update={"arguments": known.arguments + arguments})
