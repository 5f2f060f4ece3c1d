"""The wire: what goes out, what is read of what comes back, and what each failure means. Over HTTP against a fake server."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest

from strategist.errors import ModelError, ServerUnavailableError, StrategistError, TransientModelError
from strategist.models.adapters.faults import classified, retry_after_s
from strategist.models.adapters.openai import OpenAIModel
from strategist.models.adapters.wire import request_body
from strategist.models.structured import reply_schema
from strategist.records.chat import Message, ModelRequest, Reply, ToolCall, ToolSpec, Usage
from strategist.records.library import Strategy
from tests.fake_openai import Answer, FakeOpenAI

ASK = ModelRequest(messages=(Message(role="user", content="hi"),))
CALL = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"a":1}'}}


def ask(answer: Answer, request: ModelRequest = ASK, *, timeout_s: float = 5.0, stream: bool = False) -> Reply:
    """One call to a server that always gives this answer."""
    with FakeOpenAI(lambda body, number: answer) as server:
        return asyncio.run(call(server.url, request, timeout_s=timeout_s, stream=stream))


async def call(url: str, request: ModelRequest = ASK, *, timeout_s: float = 5.0, stream: bool = False) -> Reply:
    model = OpenAIModel(url, "m", "secret", timeout_s, key_hint="the key in X_KEY")
    try:
        if not stream:
            return await model.reply(request, draw=2**31 + 5)
        pieces = model.stream(request, draw=1)
        text = "".join([piece async for piece in pieces])
        assert pieces.reply is not None
        assert pieces.reply.text == text
        return pieces.reply
    finally:
        await model.close()
        await model.close()


def test_the_request_on_the_wire() -> None:
    tool = ToolSpec(name="find", description="Find it.", parameters={"type": "object", "properties": {}})
    request = ModelRequest(
        messages=(
            Message(role="assistant", tool_calls=(ToolCall(id="c", name="find", arguments="{}"),)),
            Message(role="tool", content="x", tool_call_id="c"),
        ),
        temperature=0.25, max_tokens=33, stop=("END",), tools=(tool,), json_schema=reply_schema(Strategy),
    )  # fmt: skip
    with FakeOpenAI() as server:
        asyncio.run(call(server.url, request))
    (sent,) = server.requests
    assert server.paths == ["/v1/chat/completions"]
    assert server.headers[0]["authorization"] == "Bearer secret"
    assert sent["model"] == "m"
    assert sent["seed"] == 5
    assert (sent["temperature"], sent["max_tokens"], sent["stop"]) == (0.25, 33, ["END"])
    assert sent["messages"][1] == {"role": "tool", "content": "x", "tool_call_id": "c"}
    assert sent["tools"][0]["function"]["name"] == "find"
    assert sent["response_format"]["json_schema"]["name"] == "Strategy"
    assert sent["response_format"]["json_schema"]["strict"] is True
    assert "stream" not in sent


def test_openai_itself_gets_its_new_field_name_and_odd_titles_are_cleaned() -> None:
    model = OpenAIModel("https://api.openai.com/v1", "m")
    assert model._body(ASK, 1)["max_completion_tokens"] == 256
    body: Any = request_body(ASK.model_copy(update={"json_schema": {"title": "a b/c", "anyOf": [{"type": "object"}]}}), 1)
    assert body["response_format"]["json_schema"]["name"] == "a_b_c"
    assert body["response_format"]["json_schema"]["strict"] is False


USAGE = Usage(prompt_tokens=20, completion_tokens=5, cached_tokens=8)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        (Answer("two words"), Reply(text="two words", usage=USAGE)),
        (Answer("cut", finish="length"), Reply(text="cut", finish="length", usage=USAGE)),
        (Answer("odd", finish="eos", usage=None), Reply(text="odd")),
        (Answer("no", finish="content_filter"), Reply(text="no", finish="refusal", usage=USAGE)),
        (
            Answer("", tool_calls=(CALL,)),
            Reply(text="", tool_calls=(ToolCall(id="c1", name="find", arguments='{"a":1}'),), finish="tool_calls", usage=USAGE),
        ),
        (
            Answer("x", usage={"prompt_tokens": 3, "completion_tokens": None, "prompt_tokens_details": None}),
            Reply(text="x", usage=Usage(prompt_tokens=3)),
        ),
    ],
)  # fmt: skip
def test_replies_are_read(answer: Answer, reply: Reply, stream: bool) -> None:
    assert ask(answer, stream=stream) == reply


def test_a_refusal_field_and_arguments_as_an_object() -> None:
    assert ask(Answer(None, refusal="I can't")) == Reply(text="I can't", finish="refusal", usage=USAGE)
    odd = {"function": {"name": "f", "arguments": {"b": 2}}}
    assert ask(Answer(None, tool_calls=(odd,))).tool_calls == (ToolCall(id="call_0", name="f", arguments='{"b":2}'),)


def test_tool_calls_that_come_in_pieces_are_joined() -> None:
    parts = ({**CALL, "index": 0}, {"index": 1, "function": {"name": "g"}}, {"index": 0, "function": {"arguments": " "}})
    assert ask(Answer("", tool_calls=parts), stream=True).tool_calls == (
        ToolCall(id="c1", name="find", arguments='{"a":1} '),
        ToolCall(id="call_1", name="g", arguments=""),
    )


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503])
def test_transient_statuses(status: int, stream: bool) -> None:
    with pytest.raises(TransientModelError, match=f"answers {status}: busy") as caught:
        ask(Answer("busy", status=status, headers={"retry-after": "2"}), stream=stream)
    assert caught.value.retry_after == 2.0
    assert caught.value.rate_limited is (status == 429)
    assert not caught.value.lost


@pytest.mark.parametrize("status", [400, 403, 413, 422, 418])
def test_statuses_that_end_this_request_only(status: int) -> None:
    with pytest.raises(ModelError, match=f"answers {status}: no") as caught:
        ask(Answer("no", status=status))
    assert not isinstance(caught.value, TransientModelError)
    assert caught.value.kind == "model"
    assert bool(caught.value.hint) is (status != 418)


@pytest.mark.parametrize(("status", "hint"), [(401, "the key in X_KEY"), (402, "the key in X_KEY"), (404, "base_url")])
def test_statuses_that_end_the_run(status: int, hint: str) -> None:
    with pytest.raises(ServerUnavailableError, match=f"answers {status}") as caught:
        ask(Answer("no", status=status))
    assert hint in caught.value.hint


def test_an_exhausted_quota_is_not_waited_for() -> None:
    body = json.dumps({"error": {"message": "pay", "code": "insufficient_quota"}})
    with pytest.raises(ServerUnavailableError, match="insufficient_quota pay"):
        ask(Answer(status=429, body=body))


def test_errors_without_a_readable_body() -> None:
    with pytest.raises(TransientModelError, match="answers 500") as caught:
        ask(Answer(status=500, body="<html>oops", headers={"content-type": "text/html"}))
    assert not caught.value.lost
    with pytest.raises(ModelError, match=r"answers 400: .*detail"):
        ask(Answer(status=400, body='{"detail": "x"}'))


@pytest.mark.parametrize("stream", [False, True])
def test_a_cut_connection_is_lost(stream: bool) -> None:
    with pytest.raises(TransientModelError, match="broke off") as caught:
        ask(Answer(cut=True), stream=stream)
    assert caught.value.lost


@pytest.mark.parametrize("status", [504, 524])
def test_what_a_proxy_gave_up_waiting_for_may_be_billed(status: int) -> None:
    with pytest.raises(TransientModelError, match=f"answers {status}") as caught:
        ask(Answer("gave up", status=status))
    assert caught.value.lost


@pytest.mark.parametrize("stream", [False, True])
def test_a_slow_server_is_given_up(stream: bool) -> None:
    start = time.monotonic()
    with pytest.raises(TransientModelError, match="in time") as caught:
        ask(Answer(delay_s=30.0), timeout_s=0.15, stream=stream)
    assert caught.value.lost
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    ("answer", "words"), [(Answer("a b c", cut_after=1), "broke off"), (Answer("a b c", end_after=1), "ended its stream")]
)
def test_a_stream_that_breaks_off(answer: Answer, words: str) -> None:
    with pytest.raises(TransientModelError, match=words) as caught:
        ask(answer, stream=True)
    assert caught.value.lost


@pytest.mark.parametrize(
    "answer",
    [
        Answer(body="not json"),
        Answer(body="<html>proxy</html>", headers={"content-type": "text/html"}),
        Answer(body='{"choices": []}'),
        Answer(body='{"error": {"message": "upstream"}}'),
        Answer(body='{"choices": [{"message": {"content": ["a"]}}]}'),
        Answer(body="[]"),
    ],
)
def test_nonsense_with_status_200_is_transient(answer: Answer) -> None:
    with pytest.raises(TransientModelError, match="no chat completion") as caught:
        ask(answer)
    assert caught.value.lost, "a reply that cannot be read is billed like any other"


@pytest.mark.parametrize("event", ["not json", '{"choices": 7}', '{"error": {"message": "upstream died"}}'])
def test_nonsense_in_a_stream_is_transient(event: str) -> None:
    body = f"data: {event}\n\ndata: [DONE]\n\n"
    with pytest.raises(TransientModelError):
        ask(Answer(body=body, headers={"content-type": "text/event-stream"}), stream=True)


def test_nobody_listens_or_no_such_host() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}/v1", "http://no-such-host.invalid/v1"):
        with pytest.raises(ServerUnavailableError, match="cannot reach the model server") as caught:
            asyncio.run(call(url))
        assert "resume" in caught.value.hint


def test_one_model_serves_several_event_loops() -> None:
    with FakeOpenAI() as server:
        model = OpenAIModel(server.url, "m")
        assert model.name == "openai:m"

        async def once() -> str:
            text = (await model.reply(ASK, 1)).text
            await model.close()
            return text

        assert [asyncio.run(once()) for _ in range(2)] == ["ok", "ok"]


def later(seconds: float) -> str:
    return formatdate(time.time() + seconds, usegmt=True)


@pytest.mark.parametrize(
    ("headers", "low", "high"),
    [
        (lambda: {"retry-after-ms": "1500", "retry-after": "9"}, 1.5, 1.5),
        (lambda: {"retry-after": "3"}, 3, 3),
        (lambda: {"retry-after": "-3"}, 0, 0),
        (lambda: {"retry-after": later(30)}, 27, 31),
        (lambda: {"retry-after": later(-30)}, 0, 0),
    ],
)
def test_retry_after_in_all_its_forms(headers: Callable[[], dict[str, str]], low: float, high: float) -> None:
    seconds = retry_after_s(headers())
    assert seconds is not None
    assert low <= seconds <= high


@pytest.mark.parametrize("headers", [{}, {"retry-after": "soon"}])
def test_no_retry_after(headers: dict[str, str]) -> None:
    assert retry_after_s(headers) is None


def test_our_own_errors_pass_and_bugs_stay_bugs() -> None:
    ours = StrategistError("ours")
    assert classified(ours, server="s", model="m", key_hint="k") is ours
    assert classified(KeyError("bug"), server="s", model="m", key_hint="k") is None
    model = OpenAIModel("http://127.0.0.1:1/v1", "m")
    with pytest.raises(KeyError), model._classified():
        raise KeyError("bug")
