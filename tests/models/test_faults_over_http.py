"""The whole path under faults: client, call log, budget and limiter against a misbehaving server; and a process killed half way."""

from __future__ import annotations

import asyncio
import collections
import random
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from strategist.errors import BudgetExceededError, ModelError, ServerUnavailableError
from strategist.models.adapters.openai import OpenAIModel
from strategist.models.budget import Budget
from strategist.models.client import ModelClient
from strategist.models.limiter import Limiter
from strategist.records.chat import Message, ModelRequest, Reply
from strategist.settings import BudgetSettings
from strategist.store import CallLog, Spent, Store, open_store
from strategist.store.tables import calls as calls_table
from tests.fake_openai import Answer, FakeOpenAI


def request(text: str = "hi") -> ModelRequest:
    return ModelRequest(messages=(Message(role="user", content=text),), max_tokens=10)


async def no_sleep(seconds: float) -> None:
    await asyncio.sleep(0)


def make_client(
    store: Store, url: str, *, budget: Budget | None = None, in_flight: int = 32, retries: int = 3, timeout_s: float = 5.0
) -> ModelClient:
    return ModelClient(
        OpenAIModel(url, "m", timeout_s=timeout_s), role="student", run="r", seed=0, calls=CallLog(store),
        budget=budget or Budget(BudgetSettings()), limiter=Limiter(in_flight), retries=retries, sleep=no_sleep,
    )  # fmt: skip


def attempts(store: Store) -> dict[str, int]:
    with store.database.reading() as conn:
        return {status: n for status, n in conn.execute(select(calls_table.c.status, func.count()).group_by(calls_table.c.status))}  # noqa: C416


async def ask_all(client: ModelClient, count: int) -> list[Reply | BaseException]:
    asked = (client.ask(request(f"question {i}"), purpose="admit", sample=i) for i in range(count))
    try:
        return await asyncio.gather(*asked, return_exceptions=True)
    finally:
        await client.close()


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([Answer("slow down", status=429, headers={"retry-after": "0.02"}), Answer("fine")], {"retry": 1, "ok": 1}),
        ([Answer("oops", status=500), Answer("oops", status=503), Answer("fine")], {"retry": 2, "ok": 1}),
        ([Answer(cut=True), Answer("fine")], {"retry": 1, "ok": 1}),
        ([Answer(delay_s=3.0), Answer("fine")], {"retry": 1, "ok": 1}),
        ([Answer(body="garbage"), Answer("fine")], {"retry": 1, "ok": 1}),
    ],
)
def test_passing_faults_are_survived(tmp_path: Path, answers: list[Answer], expected: dict[str, int]) -> None:
    with FakeOpenAI(lambda body, number: answers[number]) as server, open_store(tmp_path / "a.db") as store:
        (reply,) = asyncio.run(ask_all(make_client(store, server.url, timeout_s=0.3), 1))
        assert isinstance(reply, Reply)
        assert attempts(store) == expected
        assert len(server.requests) == sum(expected.values()) == CallLog(store).spent("r").calls


@pytest.mark.parametrize(
    ("answer", "kind", "seen"),
    [
        (Answer("too long", status=400), "model", 1),
        (Answer(""), "empty_reply", 1),
        (Answer(None, refusal="never"), "refusal", 1),
        (Answer("The prompt triggered our content management policy.", status=400), "refusal", 1),
    ],
)
def test_lasting_faults_are_recorded_and_replayed_without_a_call(tmp_path: Path, answer: Answer, kind: str, seen: int) -> None:
    with FakeOpenAI(lambda body, number: answer) as server, open_store(tmp_path / "a.db") as store:
        errors = [asyncio.run(ask_all(make_client(store, server.url), 1))[0] for _ in range(2)]
        assert [getattr(error, "kind", None) for error in errors] == [kind] * 2
        assert str(errors[0]) == str(errors[1])
        assert len(server.requests) == seen


def test_a_wrong_key_and_a_dead_server_leave_the_way_open(tmp_path: Path) -> None:
    with open_store(tmp_path / "a.db") as store:
        with FakeOpenAI(lambda body, number: Answer("no", status=401)) as server:
            (error,) = asyncio.run(ask_all(make_client(store, server.url), 1))
            assert isinstance(error, ServerUnavailableError)
            assert len(server.requests) == 1
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            dead = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        (error,) = asyncio.run(ask_all(make_client(store, dead), 1))
        assert isinstance(error, ServerUnavailableError)
        assert attempts(store) == {"retry": 2}
        with FakeOpenAI() as server:
            (reply,) = asyncio.run(ask_all(make_client(store, server.url), 1))
            assert isinstance(reply, Reply)


def test_an_outage_under_32_in_flight_is_nobodys_failure(tmp_path: Path) -> None:
    """The calls that were in flight when the server went down had seen others answered; that says nothing about them."""
    down = threading.Event()

    def script(body: dict[str, Any], number: int) -> Answer:
        if number >= 60:
            down.set()
        return Answer("loading", status=503) if down.is_set() else Answer("fine", delay_s=0.001 * (number % 7))

    with FakeOpenAI(script) as server, open_store(tmp_path / "a.db") as store:
        budget = Budget(BudgetSettings())
        results = asyncio.run(ask_all(make_client(store, server.url, budget=budget), 200))
        before = attempts(store)
        assert before == {"ok": sum(isinstance(result, Reply) for result in results), "retry": len(server.requests) - before["ok"]}
        assert all(isinstance(result, Reply | ServerUnavailableError) for result in results)
        assert budget.spent == CallLog(store).spent("r") == Spent(len(server.requests), before["ok"] * 25, 0.0)
        server.script = lambda body, number: Answer("fine")
        results = asyncio.run(ask_all(make_client(store, server.url), 200))
        assert all(isinstance(result, Reply) for result in results)
        assert attempts(store) == before | {"ok": 200}


def test_a_request_that_breaks_a_server_which_is_up_is_a_failure(tmp_path: Path) -> None:
    def script(body: dict[str, Any], number: int) -> Answer:
        return Answer("oops", status=500) if body["messages"][0]["content"] == "question 3" else Answer("fine", delay_s=0.002)

    with FakeOpenAI(script) as server, open_store(tmp_path / "a.db") as store:
        results = asyncio.run(ask_all(make_client(store, server.url, in_flight=2), 20))
        assert [i for i, result in enumerate(results) if not isinstance(result, Reply)] == [3]
        assert "answers 500: oops (tried 4 times)" in str(results[3])
        again = asyncio.run(ask_all(make_client(store, server.url), 20))
        assert str(again[3]) == str(results[3])
        assert len(server.requests) == 23


def test_a_budget_under_32_in_flight_with_retries_is_never_exceeded(tmp_path: Path) -> None:
    chance, lock = random.Random(7), threading.Lock()

    def script(body: dict[str, Any], number: int) -> Answer:
        with lock:
            luck = chance.random()
        bad = Answer("oops", status=500) if luck < 0.1 else Answer("slow down", status=429) if luck < 0.2 else Answer(cut=True)
        return bad if luck < 0.3 else Answer("fine", delay_s=luck / 100)

    with FakeOpenAI(script) as server, open_store(tmp_path / "a.db") as store:
        budget = Budget(BudgetSettings(calls=100))
        results = asyncio.run(ask_all(make_client(store, server.url, budget=budget), 200))
        recorded = attempts(store)
        assert len(server.requests) == sum(recorded.values()) == 100
        assert budget.spent == CallLog(store).spent("r")
        assert sum(isinstance(result, Reply) for result in results) == recorded["ok"] > 40
        assert sum(isinstance(result, BudgetExceededError) for result in results) > 60
        assert all(isinstance(result, Reply | BudgetExceededError | ModelError) for result in results)
        assert 4 < server.peak <= 32
        assert budget.in_flight == 0
        again = asyncio.run(ask_all(make_client(store, server.url, budget=Budget(BudgetSettings(calls=100), budget.spent)), 200))
        assert len(server.requests) == 100
        assert sum(isinstance(result, Reply) for result in again) == recorded["ok"]


KILLED = """
    import asyncio, sys
    from pathlib import Path
    from tests.models.test_faults_over_http import ask_all, make_client
    from strategist.store import open_store
    asyncio.run(ask_all(make_client(open_store(Path(sys.argv[1])), sys.argv[2], in_flight=8), 50))
"""


def test_a_killed_process_pays_at_most_its_calls_in_flight_twice(tmp_path: Path) -> None:
    reached = threading.Event()

    def script(body: dict[str, Any], number: int) -> Answer:
        if number >= 20:
            reached.set()
        return Answer(f"reply to {body['messages'][0]['content']}", delay_s=0.01)

    path = tmp_path / "a.db"
    with FakeOpenAI(script) as server:
        root = Path(__file__).parents[2]
        process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(KILLED), str(path), server.url], cwd=root)
        assert reached.wait(60)
        process.send_signal(signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL
        with open_store(path) as store:
            log = CallLog(store)
            abandoned = log.mark_abandoned("r")
            before = attempts(store)
            assert abandoned <= 8
            assert 0 < before["ok"] < 50
            replies = asyncio.run(ask_all(make_client(store, server.url), 50))
            assert [reply.text for reply in replies if isinstance(reply, Reply)] == [f"reply to question {i}" for i in range(50)]
            assert attempts(store)["ok"] == 50
            assert log.spent("r").calls == 50 + abandoned
        seen = collections.Counter(body["messages"][0]["content"] for body in server.requests)
        assert len(seen) == 50
        assert sum(count - 1 for count in seen.values()) <= abandoned
