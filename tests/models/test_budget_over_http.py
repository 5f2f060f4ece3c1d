"""The wall before a real server that fails, talks too long and bills hidden tokens; what it saw is compared with what was booked."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from strategist.errors import BudgetExceededError, ModelError
from strategist.models.adapters.openai import OpenAIModel
from strategist.models.budget import Budget, prompt_bound
from strategist.models.client import ModelClient
from strategist.models.limiter import Limiter
from strategist.records.base import stable_int
from strategist.records.chat import Message, ModelRequest, Reply
from strategist.records.run import Overrun
from strategist.settings import BudgetSettings
from strategist.store import CallLog, Store, open_store
from tests.fake_openai import Answer, FakeOpenAI

CALLS = 40


class Bills:
    """The server's own books. Who begins is checked at once where bills never exceed bounds; what is under way counts with its bound."""

    def __init__(self, seed: int, limits: BudgetSettings, *, honest: bool) -> None:
        self.seed, self.limits, self.honest = seed, limits, honest
        self.calls = self.tokens = self.over = 0
        self.beyond: list[int] = []

    def answer(self, body: dict[str, Any], number: int) -> Answer:
        chance = random.Random(stable_int("over http", self.seed, number))
        request = ModelRequest(messages=tuple(Message.model_validate(m) for m in body["messages"]), max_tokens=body["max_tokens"])
        bound = prompt_bound(request) + request.max_tokens
        self.calls += 1
        if self.limits.tokens is not None and self.honest and self.tokens + bound > self.limits.tokens:
            self.beyond.append(number)
        fate = chance.choices(("ok", "silent", "busy", "broken", "proxy", "late", "cut", "garbage"), (8, 1, 1, 1, 1, 0.3, 1, 1))[0]
        if fate in ("busy", "broken"):
            return Answer("no", status=429 if fate == "busy" else 500)
        if fate != "ok":
            self.tokens += bound
        if fate == "proxy":
            return Answer("gave up", status=504)
        if fate in ("late", "cut", "garbage"):
            return Answer(delay_s=5.0 if fate == "late" else 0.0, cut=fate == "cut", body="<html>" if fate == "garbage" else None)
        if fate == "silent":
            return Answer("fine", usage=None)
        reply = chance.randrange(1, request.max_tokens + 1) if self.honest else request.max_tokens + chance.randrange(500)
        prompt = chance.randrange(1, len(request.messages[0].content))
        self.tokens += prompt + reply
        self.over += max(0, prompt + reply - bound)
        return Answer("fine", delay_s=0.002 * chance.random(), usage={"prompt_tokens": prompt, "completion_tokens": reply})


def ask_all(store: Store, url: str, limits: BudgetSettings, jobs: list[ModelRequest]) -> tuple[Budget, list[Reply | BaseException]]:
    """Ask everything at once, as the next process of the run would."""
    log = CallLog(store)
    budget = Budget(limits, log.spent("r"), log.overrun("r"))

    async def main() -> list[Reply | BaseException]:
        client = ModelClient(
            OpenAIModel(url, "m", timeout_s=0.8), role="student", run="r", seed=0, calls=log, budget=budget, limiter=Limiter(64),
            retries=6, sleep=lambda seconds: asyncio.sleep(0),
        )  # fmt: skip
        try:
            asked = (client.ask(request, purpose="admit", sample=i) for i, request in enumerate(jobs))
            return await asyncio.gather(*asked, return_exceptions=True)
        finally:
            await client.close()

    return budget, asyncio.run(main())


@pytest.mark.parametrize("seed", range(20))
def test_what_the_server_saw_is_what_was_booked_and_never_beyond_the_wall(seed: int, tmp_path: Path) -> None:
    chance = random.Random(stable_int("limits", seed))
    jobs = [
        ModelRequest(messages=(Message(role="user", content="é" * chance.randrange(20, 400)),), max_tokens=chance.choice((5, 50, 500)))
        for _ in range(CALLS)
    ]
    demand = sum(prompt_bound(job) + job.max_tokens for job in jobs)
    limits = BudgetSettings(
        calls=chance.randrange(5, 60) if chance.random() < 0.6 else None,
        tokens=int(demand * chance.uniform(0.1, 1.0)) if chance.random() < 0.6 else None,
    )
    bills = Bills(seed, limits, honest=seed % 2 == 0)
    with FakeOpenAI(bills.answer) as server, open_store(tmp_path / "calls.db") as store:
        first: Budget | None = None
        for _ in range(2):
            budget, answers = ask_all(store, server.url, limits, jobs)
            assert all(isinstance(answer, Reply | ModelError | BudgetExceededError) for answer in answers), answers
            assert bills.calls == len(server.requests) <= (limits.calls or bills.calls)
            assert (budget.spent.calls, budget.spent.tokens) == (bills.calls, bills.tokens)
            assert CallLog(store).spent("r") == budget.spent
            assert budget.overrun == CallLog(store).overrun("r") == Overrun(tokens=bills.over)
            assert bills.tokens <= (limits.tokens or bills.tokens) + bills.over
            assert bills.beyond == []
            assert first is None or budget.spent.calls >= first.spent.calls
            first = budget
