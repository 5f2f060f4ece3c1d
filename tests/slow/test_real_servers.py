"""The student is a served model: vLLM (its CPU build) and llama.cpp serve a real 135M model, and the program talks to both in one way.

Every test with the fixture `student` runs against both. Nothing here says how good a model is; a 135M is for plumbing. `prepare` tells
where model file and vLLM come from; without one of them its tests are skipped. The last test ends vLLM.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Literal

import pytest

from strategist.agent import Agent
from strategist.conversation import play
from strategist.domains.pack import find_domain
from strategist.errors import ModelError, ServerUnavailableError, TransientModelError
from strategist.models.adapters.embedded import EmbeddedModel
from strategist.models.adapters.openai import OpenAIModel
from strategist.models.budget import Budget
from strategist.models.client import ModelClient
from strategist.models.limiter import Limiter
from strategist.models.protocol import Model
from strategist.models.structured import ask_json
from strategist.records.base import Record
from strategist.records.chat import Message, ModelRequest, Reply, ToolSpec
from strategist.records.library import Guidance
from strategist.records.trace import Trace
from strategist.roles.scripted_customer import ScriptedCustomer
from strategist.settings import BudgetSettings
from strategist.store import CallLog, Store, open_store
from tests.slow.prepare import GGUF_VARIABLE, MODELS, ROOT, VLLM_VARIABLE, gguf_path, sha256, vllm_python
from tests.slow.vllm_process import SERVED_NAME, VllmProcess, serving

pytestmark = pytest.mark.slow

SLOTS, CONTEXT, PATIENCE_S = 4, 4096, 300.0
RUN = "run"
ADVICE = "If the parcel is late, say what the desk screen shows."


def asking(text: str, max_tokens: int = 12) -> ModelRequest:
    return ModelRequest(messages=(Message(role="user", content=text),), temperature=0.0, max_tokens=max_tokens)


ASK = asking("What is the capital of France? Answer in one sentence.")


class Ticket(Record):
    """Words that no model would choose by itself."""

    queue: Literal["zebra-7", "quartz-3", "umbra-9"]
    urgent: bool


class Watched:
    """A model that counts how many calls are with it at once."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.now = self.peak = 0

    @property
    def name(self) -> str:
        return self._model.name

    async def reply(self, request: ModelRequest, draw: int) -> Reply:
        self.now += 1
        self.peak = max(self.peak, self.now)
        try:
            return await self._model.reply(request, draw)
        finally:
            self.now -= 1

    def stream(self, request: ModelRequest, draw: int) -> AsyncIterator[str]:
        return self._model.stream(request, draw)

    async def close(self) -> None:
        """The tests share the model."""


class OneLine:
    """Guidance that is the same in every turn."""

    async def guidance(self, messages: object) -> Guidance:
        return Guidance(lines=(ADVICE,), reason="fixed")


def needed(path: Path, what: str, variable: str) -> Path:
    """A path that exists. What was never named or prepared skips the test; what was named wrongly fails it."""
    if not path.is_file():
        (pytest.fail if os.environ.get(variable) else pytest.skip)(f"no {what} at {path}: run `make test-slow`, or name one in {variable}")
    return path.absolute()


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def gguf() -> Path:
    return needed(gguf_path(), "GGUF file", GGUF_VARIABLE)


@pytest.fixture(scope="module")
def vllm(gguf: Path) -> Iterator[VllmProcess]:
    """vLLM with the same model, converted once per file."""
    python = needed(vllm_python(), "Python with vLLM", VLLM_VARIABLE)
    MODELS.mkdir(exist_ok=True)
    directory = MODELS / f"{gguf.stem}-{sha256(gguf)[:12]}"
    if not directory.exists():
        converter = Path(__file__).with_name("convert_gguf.py")
        done = subprocess.run([python, converter, gguf, directory], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
    with serving(python, directory, MODELS / "vllm.log", context_tokens=CONTEXT) as server:
        yield server


@pytest.fixture(scope="module", params=["vllm", "llama.cpp"])
def student(request: pytest.FixtureRequest, runner: asyncio.Runner) -> Iterator[Model]:
    model: Model
    if request.param == "vllm":
        model = OpenAIModel(request.getfixturevalue("vllm").url, SERVED_NAME, timeout_s=PATIENCE_S)
    else:
        model = EmbeddedModel(request.getfixturevalue("gguf"), slots=SLOTS, context_tokens=CONTEXT, timeout_s=PATIENCE_S)
    yield model
    runner.run(model.close())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "a.db") as store:
        yield store


@pytest.fixture
def calls(store: Store) -> CallLog:
    return CallLog(store)


async def rest_of(stream: AsyncIterator[str]) -> list[str]:
    return [piece async for piece in stream]


async def no_pause(seconds: float) -> None:
    """For retries."""


def client_of(model: Model, calls: CallLog, *, in_flight: int = SLOTS, retries: int = 0) -> ModelClient:
    return ModelClient(
        model,
        role="student",
        run=RUN,
        seed=1,
        calls=calls,
        budget=Budget(BudgetSettings(calls=40)),
        limiter=Limiter(in_flight),
        retries=retries,
        sleep=no_pause,
    )


def counted(calls: CallLog) -> tuple[int, int, int]:
    """Attempts, failures and retries in the log."""
    totals = calls.totals(RUN)
    return sum(cost.calls for cost in totals), sum(cost.failed for cost in totals), sum(cost.retries for cost in totals)


def test_a_reply_comes_with_its_usage_and_is_paid_once(student: Model, runner: asyncio.Runner, calls: CallLog) -> None:
    chat = client_of(student, calls)
    reply = runner.run(chat.ask(ASK, purpose="probe"))
    assert "Paris" in reply.text
    assert reply.finish == "stop"
    assert 0 < reply.usage.completion_tokens <= ASK.max_tokens
    assert reply.usage.prompt_tokens > 10
    cut = runner.run(chat.ask(asking("Count from one to one hundred.", max_tokens=3), purpose="probe"))
    assert (cut.finish, cut.usage.completion_tokens) == ("length", 3)
    assert runner.run(chat.ask(ASK, purpose="probe")) == reply
    (cost,) = calls.totals(RUN)
    assert (cost.calls, cost.failed, cost.retries) == (2, 0, 0)
    assert cost.usage == reply.usage + cut.usage


def test_a_stream_is_recorded_whole(student: Model, runner: asyncio.Runner, calls: CallLog) -> None:
    chat = client_of(student, calls)

    first = runner.run(rest_of(chat.stream(ASK, purpose="probe")))
    assert len(first) > 2
    assert "Paris" in "".join(first)
    assert runner.run(rest_of(chat.stream(ASK, purpose="probe"))) == ["".join(first)]  # from the log
    (cost,) = calls.totals(RUN)
    assert cost.calls == 1
    assert cost.usage.prompt_tokens > 10
    assert len(first) <= cost.usage.completion_tokens + 1


def test_a_schema_is_kept_without_repair(student: Model, runner: asyncio.Runner, calls: CallLog) -> None:
    request = asking("Which queue does a late parcel go to, and is it urgent?", max_tokens=60)
    ticket = runner.run(ask_json(client_of(student, calls), request, Ticket, purpose="coach", repairs=0))
    assert isinstance(ticket.urgent, bool)
    assert counted(calls) == (1, 0, 0)


def test_calls_run_at_once_but_never_more_than_allowed(student: Model, runner: asyncio.Runner, calls: CallLog) -> None:
    watched = Watched(student)
    chat = client_of(watched, calls, in_flight=2)

    async def main() -> list[Reply]:
        return await asyncio.gather(*(chat.ask(ASK, purpose="probe", sample=number % 5) for number in range(10)))

    replies = runner.run(main())
    assert watched.peak == 2
    assert replies[:5] == replies[5:]  # asked twice, paid once
    assert counted(calls) == (5, 0, 0)


def test_a_conversation_in_a_company_is_a_trace_that_can_be_replayed(student: Model, runner: asyncio.Runner, store: Store) -> None:
    domain = find_domain("parcel", ROOT)
    calls = CallLog(store)
    (persona,) = domain.personas("train", 1)

    def talk(model: Model) -> Trace:
        agent = Agent(
            client_of(model, calls),
            retriever=OneLine(),
            tools=tuple(tool.spec for tool in domain.tools),
            tool_style="text",
            temperature=0.0,
            max_tokens=40,
        )
        work = play(agent, ScriptedCustomer(), domain, persona, purpose="generate", max_turns=2, tool_style="text")
        return runner.run(work)

    trace = talk(student)
    assert trace.failure is None
    assert trace.outcome is not None
    assert 1 <= trace.outcome.agent_turns <= 2
    assert all(turn.reply and turn.verdicts and turn.guidance.lines == (ADVICE,) for turn in trace.turns)
    assert not any(ADVICE in message.content for message in trace.messages if message.role != "assistant")  # so small a model may recite
    attempts, failures, retries = counted(calls)
    assert attempts >= len(trace.turns)
    assert (failures, retries) == (0, 0)
    if attempts > 1:  # the brief before the desk screen is the same in every request, and servers keep it
        assert trace.usage.cached_tokens > 500
    store.put_trace(RUN, trace)
    assert store.get_trace(RUN, trace.id) == trace
    unreachable = OpenAIModel("http://127.0.0.1:9/v1", SERVED_NAME, name=student.name)
    assert talk(unreachable) == trace
    assert counted(calls)[0] == attempts


def test_a_request_that_is_too_long_fails_once_and_for_good(student: Model, runner: asyncio.Runner, calls: CallLog) -> None:
    chat = client_of(student, calls, retries=3)
    request = asking("parcel " * (2 * CONTEXT))
    for _ in range(2):
        with pytest.raises(ModelError, match="answers 400") as caught:
            runner.run(chat.ask(request, purpose="probe"))
        assert "longer than its context" in caught.value.hint
    assert counted(calls) == (1, 1, 0)
    assert runner.run(chat.ask(ASK, purpose="probe")).text


def test_an_unknown_model_name_stops_the_run_with_one_clear_error(vllm: VllmProcess, runner: asyncio.Runner, calls: CallLog) -> None:
    """llama.cpp serves one file and answers under any name."""

    async def main() -> None:
        model = OpenAIModel(vllm.url, "studnet", timeout_s=PATIENCE_S)
        with pytest.raises(ServerUnavailableError, match=r"\(studnet\) answers 404: .*does not exist") as caught:
            await client_of(model, calls, retries=3).ask(ASK, purpose="probe")
        assert "check `model` and `base_url`" in caught.value.hint
        await model.close()

    runner.run(main())
    assert counted(calls) == (1, 0, 1)


def test_vllm_without_its_tool_options_says_that_it_takes_no_tools(vllm: VllmProcess, runner: asyncio.Runner, calls: CallLog) -> None:
    async def main() -> None:
        model = OpenAIModel(vllm.url, SERVED_NAME, timeout_s=PATIENCE_S)
        tool = ToolSpec(name="hold", description="Keep a parcel.", parameters={"type": "object", "properties": {}})
        with pytest.raises(ModelError, match="enable-auto-tool-choice") as caught:
            await client_of(model, calls).ask(ASK.model_copy(update={"tools": (tool,)}), purpose="probe")
        assert "tools it cannot take" in caught.value.hint
        await model.close()

    runner.run(main())
    assert counted(calls) == (1, 1, 0)


def test_a_server_that_dies_in_the_middle_stops_the_run_and_leaves_nothing_final(
    vllm: VllmProcess, runner: asyncio.Runner, calls: CallLog
) -> None:
    long = asking("Tell a long story about a parcel that went around the world.", max_tokens=400)

    async def main() -> None:
        model = OpenAIModel(vllm.url, SERVED_NAME, timeout_s=PATIENCE_S)
        chat = client_of(model, calls, retries=3)
        kept = await chat.ask(ASK, purpose="probe")
        asked = asyncio.create_task(chat.ask(long, purpose="probe", sample=1))
        stream = aiter(chat.stream(long, purpose="probe", sample=2))
        assert await anext(stream) is not None
        assert not asked.done()
        await asyncio.to_thread(vllm.kill)
        with pytest.raises(TransientModelError, match="broke off") as broken:
            await rest_of(stream)
        assert broken.value.lost
        with pytest.raises(ServerUnavailableError, match="cannot reach the model server") as caught:
            await asked
        assert "resume: nothing is lost" in caught.value.hint
        assert await chat.ask(ASK, purpose="probe") == kept
        await model.close()

    runner.run(main())
    attempts, final, tried_again = counted(calls)
    assert (attempts - tried_again, final) == (1, 0), "one reply; nothing else is final"
    assert tried_again in (
        3,
        4,
    )  # a broken stream, a call that broke off, and once or twice more: while the server dies it may break off again
