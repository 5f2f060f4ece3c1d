"""OpenAI's chat format, as the lab's server reads and writes it. Pure: JSON objects in, records out, and back.

Reading is strict about what changes a reply (messages, limits, seed, schema, n) and silent about the rest, as real servers are.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from pydantic import JsonValue, ValidationError

from strategist.records.base import JsonObject, digest
from strategist.records.chat import Message, ModelRequest, Reply, ToolCall

DEFAULT_MAX_TOKENS = 256


class BadRequest(Exception):  # noqa: N818 - it is an answer to the client, not an error of ours
    """The body is not a chat request; the text says why."""


class Asked(NamedTuple):
    """A chat request as it came: the model's name, the record, the seed if there was one, and how to answer."""

    model: str
    request: ModelRequest
    seed: int | None
    stream: bool
    usage_chunk: bool


def read_request(raw: bytes) -> Asked:
    """Read a body of /v1/chat/completions. Raises BadRequest."""
    try:
        body = json.loads(raw)
    except ValueError:
        raise BadRequest("the body is not JSON") from None
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object")
    model, messages, seed, options = body.get("model"), body.get("messages"), body.get("seed"), body.get("stream_options")
    if not isinstance(model, str) or not isinstance(messages, list) or not messages:
        raise BadRequest("model and messages are required")
    if body.get("n") not in (None, 1):
        raise BadRequest("n must be 1")
    if seed is not None and not isinstance(seed, int):
        raise BadRequest("seed must be a whole number")
    try:
        request = ModelRequest(
            messages=tuple(_message(message) for message in messages),
            temperature=body.get("temperature", 1.0),
            max_tokens=body.get("max_completion_tokens") or body.get("max_tokens") or DEFAULT_MAX_TOKENS,
            stop=_stop(body.get("stop")),
            json_schema=_schema(body.get("response_format")),
        )
    except ValidationError as error:
        problem = error.errors()[0]
        raise BadRequest(f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}") from None
    usage_chunk = isinstance(options, dict) and options.get("include_usage") is True
    return Asked(model, request, seed, body.get("stream") is True, usage_chunk)


def completion(asked: Asked, reply: Reply) -> JsonObject:
    """The body of a whole reply."""
    message: JsonObject = {"role": "assistant", "content": reply.text}
    choice: JsonObject = {"index": 0, "message": message, "finish_reason": reply.finish, "logprobs": None}
    return {**_head(asked, reply, "chat.completion"), "choices": [choice], "usage": _usage(reply)}


def chunks(asked: Asked, reply: Reply) -> list[JsonObject]:
    """The bodies of a streamed reply: one a word, one with the finish, and one with the usage if that was asked for."""
    head = _head(asked, reply, "chat.completion.chunk")

    def chunk(delta: JsonObject, finish: str | None = None) -> JsonObject:
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    words = [word + " " for word in reply.text.split(" ")]
    words[-1] = words[-1][:-1]
    out = [chunk({"role": "assistant", "content": ""}), *(chunk({"content": word}) for word in words), chunk({}, reply.finish)]
    return [*out, {**head, "choices": [], "usage": _usage(reply)}] if asked.usage_chunk else out


def error_body(message: str, kind: str) -> JsonObject:
    """The body of an error."""
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def _head(asked: Asked, reply: Reply, kind: str) -> JsonObject:
    """Id and time are made of content, so that the same question gets the same bytes."""
    return {"id": f"chatcmpl-{digest([asked.request, reply], 24)}", "object": kind, "created": 0, "model": asked.model}


def _usage(reply: Reply) -> JsonObject:
    usage = reply.usage
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


def _message(raw: JsonValue) -> Message:
    if not isinstance(raw, dict):
        raise BadRequest("each of messages must be an object")
    role = "system" if raw.get("role") == "developer" else raw.get("role")
    calls = raw.get("tool_calls") or []
    fields: JsonObject = {"role": role, "content": _text(raw.get("content")), "tool_call_id": raw.get("tool_call_id")}
    return Message.model_validate({**fields, "tool_calls": tuple(_call(call) for call in calls)} if isinstance(calls, list) else fields)


def _call(raw: JsonValue) -> ToolCall:
    function = raw.get("function") if isinstance(raw, dict) else None
    if not isinstance(raw, dict) or not isinstance(function, dict):
        raise BadRequest("a tool call must have a function")
    return ToolCall.model_validate({"id": raw.get("id"), "name": function.get("name"), "arguments": function.get("arguments")})


def _text(content: JsonValue) -> str:
    """Text, or the text parts of a list, joined; other parts are refused."""
    if content is None or isinstance(content, str):
        return content or ""
    texts = [part.get("text") if isinstance(part, dict) else None for part in content] if isinstance(content, list) else [None]
    if not all(isinstance(text, str) for text in texts):
        raise BadRequest("content must be text, or a list of text parts")
    return "".join(str(text) for text in texts)


def _stop(raw: JsonValue) -> tuple[str, ...]:
    if raw is None or isinstance(raw, str):
        return (raw,) if raw else ()
    if isinstance(raw, list) and all(isinstance(item, str) for item in raw):
        return tuple(str(item) for item in raw)
    raise BadRequest("stop must be a text or a list of texts")


def _schema(raw: JsonValue) -> JsonObject | None:
    """The schema of a response_format; an empty one for `json_object`."""
    if not isinstance(raw, dict) or raw.get("type") in (None, "text"):
        return None
    if raw.get("type") == "json_object":
        return {}
    inner = raw.get("json_schema")
    schema = inner.get("schema") if isinstance(inner, dict) else None
    if raw.get("type") != "json_schema" or not isinstance(schema, dict):
        raise BadRequest("response_format must be text, json_object, or json_schema with a schema")
    return schema
