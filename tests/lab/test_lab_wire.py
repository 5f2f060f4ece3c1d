"""The wire format: what is read, what is refused, what is written."""

import json
from typing import Any

import pytest

from strategist.lab.wire import DEFAULT_MAX_TOKENS, BadRequest, chunks, completion, read_request
from strategist.records.chat import Message, ModelRequest, Reply, ToolCall, Usage

USER = {"role": "user", "content": "Hello"}


def read(**fields: Any) -> Any:
    return read_request(json.dumps({"model": "m", "messages": [USER], **fields}).encode())


def test_a_request_comes_back_as_it_was_sent() -> None:
    call = ToolCall(id="c1", name="look", arguments="{}")
    messages = (
        Message(role="system", content="Rules"),
        Message(role="user", content="Hello"),
        Message(role="assistant", tool_calls=(call,)),
        Message(role="tool", content="found", tool_call_id="c1"),
    )
    request = ModelRequest(messages=messages, temperature=0.3, max_tokens=17, stop=("\n",), json_schema={"type": "object"})
    asked = read(
        messages=[message.wire() for message in messages],
        temperature=0.3,
        max_tokens=17,
        stop="\n",
        seed=9,
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
        unknown_field=True,
    )
    assert asked.request == request
    assert (asked.model, asked.seed, asked.stream, asked.usage_chunk) == ("m", 9, False, False)


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        ({}, ModelRequest(messages=(Message.model_validate(USER),), temperature=1.0, max_tokens=DEFAULT_MAX_TOKENS)),
        (
            {"max_completion_tokens": 5, "stop": ["a", "b"]},
            ModelRequest(messages=(Message.model_validate(USER),), temperature=1.0, max_tokens=5, stop=("a", "b")),
        ),
        (
            {"response_format": {"type": "json_object"}, "stop": ""},
            ModelRequest(messages=(Message.model_validate(USER),), temperature=1.0, json_schema={}),
        ),
        ({"response_format": {"type": "text"}}, ModelRequest(messages=(Message.model_validate(USER),), temperature=1.0)),
        (
            {"messages": [{"role": "developer", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]},
            ModelRequest(messages=(Message(role="system", content="ab"),), temperature=1.0),
        ),
        (
            {"messages": [{"role": "assistant", "content": None, "tool_calls": "odd"}]},
            ModelRequest(messages=(Message(role="assistant"),), temperature=1.0),
        ),
    ],
)
def test_other_ways_to_ask(fields: dict[str, Any], value: ModelRequest) -> None:
    assert read(**fields).request == value


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"messages": []}, "required"),
        ({"model": None}, "required"),
        ({"n": 2}, "n must be 1"),
        ({"seed": "x"}, "seed must be"),
        ({"messages": ["x"]}, "must be an object"),
        ({"messages": [{"role": "nobody", "content": "x"}]}, "role: "),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "list of text parts"),
        ({"messages": [{"role": "user", "content": 3}]}, "list of text parts"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "c"}]}]}, "must have a function"),
        ({"stop": 3}, "stop must be"),
        ({"max_tokens": "many"}, "max_tokens: "),
        ({"response_format": {"type": "json_schema"}}, "response_format must be"),
        ({"response_format": {"type": "grammar"}}, "response_format must be"),
    ],
)
def test_what_changes_a_reply_is_read_strictly(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        read(**fields)


def test_a_body_must_be_an_object() -> None:
    with pytest.raises(BadRequest, match="must be a JSON object"):
        read_request(b"[]")


def test_chunks_add_up_to_the_completion() -> None:
    reply = Reply(text="Two  blanks stay. ", finish="length", usage=Usage(prompt_tokens=3, completion_tokens=4))
    asked = read(stream=True, stream_options={"include_usage": True})
    written: Any = chunks(asked, reply)
    whole: Any = completion(asked, reply)
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in written[:-1]) == reply.text
    assert written[-2]["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"] == "length"
    assert written[-1]["usage"] == whole["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    assert len(chunks(read(stream=True), reply)) == len(written) - 1
    assert {chunk["id"] for chunk in written} == {whole["id"]}
