"""From settings to models; what is missing is said before a run starts."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
import types
from pathlib import Path
from typing import Literal

import pytest

from strategist.errors import SettingsError
from strategist.models import open as opening
from strategist.models.adapters.embedded import EmbeddedModel
from strategist.models.adapters.scripted import ScriptedModel
from strategist.models.budget import Budget
from strategist.models.open import open_client, open_model, register_adapter, server_of
from strategist.models.structured import ask_json
from strategist.records.base import Record
from strategist.records.chat import Message, ModelRequest, Reply
from strategist.settings import BudgetSettings, ModelSettings
from strategist.store import CallLog, open_store
from tests.fake_openai import FakeOpenAI

ASK = ModelRequest(messages=(Message(role="user", content="Say hi."),), max_tokens=8)


class Choice(Record):
    answer: Literal["yes", "no"]


def test_an_openai_model_takes_its_key_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "k1")
    with FakeOpenAI() as server:
        model = open_model(ModelSettings(base_url=server.url, model="qwen", api_key_env="MY_KEY"))

        async def main() -> None:
            assert (await model.reply(ASK, 1)).text == "ok"
            await model.close()

        asyncio.run(main())
    assert model.name == "openai:qwen"
    assert server.headers[0]["authorization"] == "Bearer k1"


def test_adapters_are_registered_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_adapters", dict(opening._adapters))
    opening._adapters.pop("lab", None)
    with pytest.raises(SettingsError, match="no adapter is registered as `lab`") as caught:
        open_model(ModelSettings(adapter="lab"))
    assert "embedded, litellm, openai" in caught.value.hint
    register_adapter("lab", lambda settings: ScriptedModel(f"lab:{settings.model}", lambda request, draw: "hi"))
    assert open_model(ModelSettings(adapter="lab", model="specific")).name == "lab:specific"


def test_open_client_uses_the_settings(tmp_path: Path) -> None:
    def answer(request: ModelRequest, draw: int) -> Reply:
        return Reply.model_validate({"text": "x", "usage": {"prompt_tokens": 1000, "completion_tokens": 0}})

    settings = ModelSettings(adapter="lab", price_in=2.0)
    with open_store(tmp_path / "a.db") as store:
        model = ScriptedModel("m", answer)
        client = open_client(
            settings, role="judge", run="r", seed=0, calls=CallLog(store), budget=Budget(BudgetSettings()), model=model
        )  # fmt: skip
        assert client.model is model
        assert asyncio.run(client.ask(ASK, purpose="try")).usage.cost_usd == pytest.approx(0.002)


def test_limiters_are_shared_by_server() -> None:
    assert server_of(ModelSettings(base_url="http://h/v1/")) == server_of(ModelSettings(base_url="http://h/v1", model="other"))
    assert server_of(ModelSettings(adapter="embedded", path=Path("a.gguf"))) != server_of(ModelSettings(adapter="lab"))


def test_scripted_models_stream_and_close() -> None:
    model = ScriptedModel("m", lambda request, draw: f"one two {draw}", latency_s=0.001)

    async def main() -> None:
        stream = model.stream(ASK, 7)
        assert [piece async for piece in stream] == ["one ", "two ", "7"]
        assert stream.reply == await model.reply(ASK, 7)
        left = model.stream(ASK, 7)
        assert await anext(left) == "one "
        await left.aclose()
        await model.close()

    asyncio.run(main())


def test_embedded_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="needs `path`"):
        open_model(ModelSettings(adapter="embedded"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    with pytest.raises(SettingsError, match="no model file at"):
        open_model(ModelSettings(adapter="embedded", path=tmp_path / "no.gguf"))
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    model = open_model(ModelSettings(adapter="embedded", path=tmp_path / "m.gguf"))
    assert model.name == "embedded:m.gguf"
    asyncio.run(model.close())
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match="needs the package xllamacpp") as caught:
        open_model(ModelSettings(adapter="embedded", path=tmp_path / "m.gguf"))
    assert "strategist-llm[embedded]" in caught.value.hint


def stand_in(given: list[types.SimpleNamespace], address: str) -> types.ModuleType:
    """A module in place of xllamacpp whose server is elsewhere; an empty address means that the file cannot be loaded."""

    def params() -> types.SimpleNamespace:
        return types.SimpleNamespace(
            model=types.SimpleNamespace(), cpuparams=types.SimpleNamespace(), cpuparams_batch=types.SimpleNamespace()
        )  # fmt: skip

    def server(params: types.SimpleNamespace) -> types.SimpleNamespace:
        given.append(params)
        if not address:
            raise RuntimeError("bad magic")
        return types.SimpleNamespace(listening_address=address)

    module = types.ModuleType("xllamacpp")
    module.__dict__.update(CommonParams=params, Server=server)
    return module


def test_a_file_that_llama_cpp_cannot_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "xllamacpp", stand_in([], ""))
    (tmp_path / "m.gguf").write_bytes(b"not one")
    with pytest.raises(SettingsError, match=r"llama\.cpp cannot load .*: bad magic"):
        asyncio.run(EmbeddedModel(tmp_path / "m.gguf").reply(ASK, 1))


def test_embedded_talks_to_its_server_once_it_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server itself is replaced by the fake one; the slow test below has the real one."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    path = tmp_path / "m.gguf"
    path.write_bytes(b"GGUF")
    given: list[types.SimpleNamespace] = []
    with FakeOpenAI() as server:
        address = server.url.removesuffix("/v1")
        monkeypatch.setitem(sys.modules, "xllamacpp", stand_in(given, address))
        monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
        monkeypatch.setenv("GOMP_SPINCOUNT", "7")
        model = EmbeddedModel(path, slots=3, context_tokens=1000)

        async def main() -> None:
            replies = await asyncio.gather(*(model.reply(ASK, i) for i in range(3)))
            assert [reply.text for reply in replies] == ["ok"] * 3
            stream = model.stream(ASK, 1)
            assert [piece async for piece in stream] == ["ok"]
            assert stream.reply == replies[0]
            await model.close()
            await model.close()

        asyncio.run(main())
    (params,) = given
    assert (params.model.path, params.n_parallel, params.n_ctx, params.port) == (str(path), 3, 3000, 0)
    assert server.requests[0]["model"] == "m"
    assert os.environ["OMP_WAIT_POLICY"] == "passive"
    assert os.environ["GOMP_SPINCOUNT"] == "7"  # what the user has set stays


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("STRATEGIST_GGUF"), reason="STRATEGIST_GGUF names no GGUF file")
def test_a_real_file_is_served_in_this_process(tmp_path: Path) -> None:
    path = Path(os.environ["STRATEGIST_GGUF"])
    model = EmbeddedModel(path, slots=2, context_tokens=1024)

    async def main() -> None:
        first, second = await asyncio.gather(model.reply(ASK, 1), model.reply(ASK, 2))
        assert first.text.strip()
        assert 0 < second.usage.completion_tokens <= 8
        stream = model.stream(ASK, 3)
        pieces = [piece async for piece in stream]
        assert len(pieces) > 1
        assert stream.reply is not None
        assert stream.reply.usage.prompt_tokens > 0
        with open_store(tmp_path / "a.db") as store:
            chat = open_client(
                ModelSettings(adapter="embedded", path=path), role="advisor", run="r", seed=0, calls=CallLog(store),
                budget=Budget(BudgetSettings(calls=4)), model=model,
            )  # fmt: skip
            asked = ASK.model_copy(update={"max_tokens": 40})
            assert (await ask_json(chat, asked, Choice, purpose="coach")).answer in {"yes", "no"}
        await model.close()
        (tmp_path / "broken.gguf").write_bytes(b"GGUF, but not really")
        broken = open_model(ModelSettings(adapter="embedded", path=tmp_path / "broken.gguf"))
        with pytest.raises(SettingsError, match="cannot load"):
            await broken.reply(ASK, 1)

    asyncio.run(main())
