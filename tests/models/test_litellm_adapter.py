"""The litellm adapter over HTTP against a fake server: what goes out, what comes back, what each failure means, what it costs."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from strategist.errors import ModelError, ServerUnavailableError, SettingsError, StrategistError, TransientModelError
from strategist.models.adapters import litellm as adapter
from strategist.models.adapters.litellm import LiteLLMModel, local_prices
from strategist.models.open import open_model, prices_of, server_of
from strategist.models.structured import reply_schema
from strategist.project import open_project
from strategist.records.chat import Message, ModelRequest, Reply, ToolSpec, Usage
from strategist.records.library import Strategy
from strategist.settings import AdvisorSettings, BudgetSettings, ModelSettings, Settings
from tests.fake_openai import Answer, FakeOpenAI

ASK = ModelRequest(messages=(Message(role="user", content="hi"),))
CALL = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"a":1}'}}


async def call(url: str, request: ModelRequest = ASK, *, timeout_s: float = 5.0, stream: bool = False) -> Reply:
    model = LiteLLMModel("openai/m", base_url=url, api_key="secret", timeout_s=timeout_s)
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


def ask(answer: Answer, *, timeout_s: float = 5.0, stream: bool = False) -> Reply:
    with FakeOpenAI(lambda body, number: answer) as server:
        return asyncio.run(call(server.url, timeout_s=timeout_s, stream=stream))


def test_the_request_on_the_wire_is_that_of_the_openai_adapter() -> None:
    tool = ToolSpec(name="find", description="Find it.", parameters={"type": "object", "properties": {}})
    request = ModelRequest(
        messages=(Message(role="user", content="x"),), temperature=0.25, max_tokens=33, stop=("END",), tools=(tool,),
        json_schema=reply_schema(Strategy),
    )  # fmt: skip
    with FakeOpenAI() as server:
        asyncio.run(call(server.url, request))
    (sent,) = server.requests
    assert server.headers[0]["authorization"] == "Bearer secret"
    assert (sent["model"], sent["seed"], sent["temperature"], sent["max_tokens"], sent["stop"]) == ("m", 5, 0.25, 33, ["END"])
    assert sent["messages"] == [{"role": "user", "content": "x"}]
    assert sent["tools"][0]["function"]["name"] == "find"
    assert sent["response_format"]["json_schema"]["name"] == "Strategy"


@pytest.mark.parametrize("stream", [False, True])
def test_replies(stream: bool) -> None:
    said = ask(Answer("two words"), stream=stream)
    assert (said.text, said.finish) == ("two words", "stop")
    assert (said.usage.prompt_tokens, said.usage.completion_tokens) == (20, 5)
    assert ask(Answer("cut", finish="length"), stream=stream).finish == "length"
    called = ask(Answer(None, tool_calls=({**CALL, "index": 0},), finish="tool_calls"), stream=stream)
    assert [(c.name, json.loads(c.arguments)) for c in called.tool_calls] == [("find", {"a": 1})]


def test_refusals() -> None:
    assert ask(Answer(None, refusal="never")).finish == "refusal"
    assert ask(Answer("x", finish="content_filter")).finish == "refusal"
    with pytest.raises(ModelError) as caught:
        ask(Answer("Your request was rejected as a result of the safety system.", status=400))
    assert caught.value.kind == "refusal"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer("slow down", status=429, headers={"retry-after": "0.5"}), TransientModelError),
        (Answer("oops", status=500), TransientModelError),
        (Answer("oops", status=503), TransientModelError),
        (Answer(cut=True), TransientModelError),
        (Answer(body="garbage"), TransientModelError),
        (Answer(delay_s=5), TransientModelError),
        (Answer("no", status=401), ServerUnavailableError),
        (Answer("what model?", status=404), ServerUnavailableError),
        (Answer("too long", status=400), ModelError),
    ],
)
def test_failures(answer: Answer, error: type[StrategistError]) -> None:
    with pytest.raises(error) as caught:
        ask(answer, timeout_s=0.3)
    assert type(caught.value) is error
    if answer.status == 429:
        assert isinstance(caught.value, TransientModelError)
        assert (caught.value.rate_limited, caught.value.retry_after) == (True, 0.5)


def test_each_failure_is_one_request() -> None:
    with FakeOpenAI(lambda body, number: Answer("oops", status=500)) as server:
        with pytest.raises(TransientModelError):
            asyncio.run(call(server.url))
        assert len(server.requests) == 1


def test_a_server_that_is_not_there_may_come_back() -> None:
    with pytest.raises(ServerUnavailableError, match=r"cannot reach the model server http://127\.0\.0\.1:9") as caught:
        asyncio.run(call("http://127.0.0.1:9/v1"))
    assert caught.value.passing


@pytest.mark.parametrize("answer", [Answer("a b c", cut_after=1), Answer("a b c", end_after=1)])
def test_a_stream_that_breaks_off(answer: Answer) -> None:
    with pytest.raises(TransientModelError):
        ask(answer, stream=True)


def test_bugs_of_ours_are_not_dressed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeOpenAI() as server:
        monkeypatch.setattr(adapter, "read_completion", lambda text: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            asyncio.run(call(server.url))


def test_models_may_come_and_go_in_one_process() -> None:
    """litellm keeps connections for all of them: who closes one must not close the others'."""
    with FakeOpenAI() as server:

        async def main() -> None:
            one, other = (LiteLLMModel("openai/m", base_url=server.url, api_key="k") for _ in range(2))
            assert (await one.reply(ASK, 1)).text == (await other.reply(ASK, 1)).text == "ok"
            await one.close()
            assert (await other.reply(ASK, 2)).text == "ok"
            await other.close()

        asyncio.run(main())
        asyncio.run(main())


def test_from_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "k1")
    with FakeOpenAI() as server:
        given = ModelSettings(adapter="litellm", model="hosted_vllm/qwen", base_url=server.url, api_key_env="MY_KEY")
        model = open_model(given)
        assert isinstance(model, LiteLLMModel)

        async def main() -> None:
            assert (await model.reply(ASK, 1)).text == "ok"
            await model.close()

        asyncio.run(main())
    assert (model.name, server_of(given)) == ("litellm:hosted_vllm/qwen", server.url)
    assert server.headers[0]["authorization"] == "Bearer k1"
    assert server_of(ModelSettings(adapter="litellm", model="openai/m")) == "litellm:openai/m"
    with pytest.raises(SettingsError, match="no provider for the model 'qwen'") as caught:
        open_model(ModelSettings(adapter="litellm", model="qwen"))
    assert "anthropic/..." in caught.value.hint


def test_prices_are_those_of_its_own_table_unless_they_are_set() -> None:
    known = local_prices("gpt-4o-mini")
    assert known is not None
    assert known.tokens_out > known.tokens_in > 0
    assert prices_of(ModelSettings(adapter="litellm", model="gpt-4o-mini")) == known
    assert prices_of(ModelSettings(adapter="litellm", model="gpt-4o-mini", price_in=3.0)) == (3.0, 0.0)
    assert prices_of(ModelSettings(adapter="litellm", model="hosted_vllm/qwen")) == (0.0, 0.0)
    assert prices_of(ModelSettings(model="gpt-4o-mini")) == (0.0, 0.0)


def test_a_limit_in_dollars_without_prices_is_no_limit(tmp_path: Path) -> None:
    teacher = ModelSettings(adapter="litellm", model="hosted_vllm/qwen")
    settings = Settings(folder=tmp_path, advisor=AdvisorSettings(kind="model", model=teacher), budget=BudgetSettings(usd=1.0))

    async def main() -> None:
        async with project.deps(project.choose_run(resume=False, new=False)):
            pass

    with open_project(settings) as project, project.at_work(), pytest.raises(SettingsError, match=r"\[budget\] usd needs prices"):
        asyncio.run(main())


def test_it_is_imported_late_and_asks_nobody(tmp_path: Path) -> None:
    """Importing our packages does not import it; importing it opens no connection."""
    code = """
import socket, sys
def refuse(*args, **kwargs):
    raise AssertionError(f"a connection: {args}")
import strategist.cli.main, strategist.project, strategist.models.open, strategist.models.adapters.litellm as adapter
assert "litellm" not in sys.modules
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
assert adapter.local_prices("gpt-4o-mini").tokens_in > 0
"""
    environment = {name: value for name, value in os.environ.items() if name != "LITELLM_LOCAL_MODEL_COST_MAP"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path.cwd(), env=environment, check=False)
    assert done.returncode == 0, done.stderr


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "litellm", None)
    with pytest.raises(SettingsError) as caught:
        adapter.load_litellm.__wrapped__()
    assert "strategist-llm[litellm]" in caught.value.hint


def test_usage_is_what_the_server_says() -> None:
    counted = ask(Answer("x", usage={"prompt_tokens": 7, "completion_tokens": 3}))
    assert counted.usage == Usage(prompt_tokens=7, completion_tokens=3)
