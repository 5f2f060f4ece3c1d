"""When the attempts at a call are used up: whether the request is to blame, or the server, and what stays in the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from strategist.errors import BudgetExceededError, ModelError, ServerUnavailableError, TransientModelError
from strategist.models.budget import Budget
from strategist.models.client import ModelClient
from strategist.models.limiter import Limiter
from strategist.records.chat import Message, ModelRequest, Purpose, Reply
from strategist.settings import BudgetSettings
from strategist.store import CallLog, Store, open_store
from strategist.store.tables import calls as calls_table

Attempt = tuple[bool, int]
"""What becomes of an attempt: answered or not, after so many turns of the event loop."""

OK, ERR = (True, 1), (False, 1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "a.db") as opened:
        yield opened


class Planned:
    """A model whose attempts end as planned for each text, the last plan for ever; `events` is what happened, in order."""

    def __init__(self, plans: Mapping[str, Sequence[Attempt]], name: str = "sim") -> None:
        self.name = name
        self.plans = {text: list(plan) for text, plan in plans.items()}
        self.events: list[tuple[str, str]] = []

    async def reply(self, request: ModelRequest, draw: int) -> Reply:
        text = request.messages[-1].content
        plan = self.plans[text]
        ok, turns = plan.pop(0) if len(plan) > 1 else plan[0]
        self.events.append(("began", text))
        for _ in range(turns):
            await asyncio.sleep(0)
        self.events.append(("answered" if ok else "erred", text))
        if not ok:
            raise TransientModelError("busy", lost=True)
        return Reply(text="fine")

    async def stream(self, request: ModelRequest, draw: int) -> AsyncIterator[str]:
        yield (await self.reply(request, draw)).text

    async def close(self) -> None:
        """Nothing to free."""


async def few_turns(seconds: float) -> None:
    for _ in range(2):
        await asyncio.sleep(0)


def client(store: Store, model: Planned, *, retries: int = 2, limiter: Limiter | None = None, budget: Budget | None = None) -> ModelClient:
    return ModelClient(
        model, role="student", run="r", seed=0, calls=CallLog(store), budget=budget or Budget(BudgetSettings()),
        limiter=limiter or Limiter(8), retries=retries, sleep=few_turns,
    )  # fmt: skip


def request(text: str) -> ModelRequest:
    return ModelRequest(messages=(Message(role="user", content=text),), max_tokens=10)


def asked(chat: ModelClient, *texts: str, purpose: Purpose = "admit") -> list[str]:
    """What became of the texts, asked at once: `ok`, `failed`, or `stop`."""

    async def main() -> list[Reply | BaseException]:
        return await asyncio.gather(*(chat.ask(request(text), purpose=purpose) for text in texts), return_exceptions=True)

    return [fate(result) for result in asyncio.run(main())]


def fate(result: Reply | BaseException) -> str:
    if isinstance(result, Reply):
        return "ok"
    assert isinstance(result, ModelError | ServerUnavailableError), result
    return "failed" if isinstance(result, ModelError) else "stop"


def statuses(store: Store) -> list[str]:
    with store.database.reading() as conn:
        return list(conn.scalars(select(calls_table.c.status).order_by(calls_table.c.id)))


def test_a_server_that_answers_nobody_stops_the_run_and_nothing_is_final(store: Store) -> None:
    budget, model = Budget(BudgetSettings()), Planned({"a": [ERR, ERR, ERR, OK]})
    chat = client(store, model, budget=budget)
    with pytest.raises(ServerUnavailableError, match=r"busy \(sim: tried 3 times, and no other call") as caught:
        asyncio.run(chat.ask(request("a"), purpose="admit"))
    assert "then resume" in caught.value.hint
    assert statuses(store) == ["retry"] * 3
    assert budget.spent == CallLog(store).spent("r")
    assert budget.spent.tokens > 3 * 10, "lost answers count with their bound"
    assert asked(chat, "a") == ["ok"], "asked again, it is answered"
    assert statuses(store) == ["retry"] * 3 + ["ok"]
    assert budget.spent == CallLog(store).spent("r")


def test_a_request_that_fails_while_others_are_answered_is_a_failure_that_replays(store: Store) -> None:
    budget, model = Budget(BudgetSettings()), Planned({"a": [ERR], "b": [OK], "c": [OK]})
    chat = client(store, model, budget=budget, limiter=Limiter(1))
    assert asked(chat, "a", "b", "c") == ["failed", "ok", "ok"]
    for again in (chat, client(store, Planned({}))):
        with pytest.raises(ModelError) as caught:
            asyncio.run(again.ask(request("a"), purpose="admit"))
        assert (str(caught.value), caught.value.kind) == ("busy (tried 3 times)", "model")
    assert sorted(statuses(store)) == ["failed", "ok", "ok", "retry", "retry"]
    assert budget.spent == CallLog(store).spent("r")


def test_answers_to_calls_that_were_in_flight_when_the_trouble_began_do_not_count(store: Store) -> None:
    assert asked(client(store, Planned({"a": [(True, 5)], "b": [ERR]})), "a", "b") == ["ok", "stop"]
    assert asked(client(store, Planned({"c": [(False, 5), ERR], "d": [OK]})), "c", "d") == ["stop", "ok"], "began later, but before it"


def test_answers_of_another_model_on_the_same_server_do_not_count(store: Store) -> None:
    limiter = Limiter(1)

    async def main() -> list[Reply | BaseException]:
        down, up = client(store, Planned({"a": [ERR]}), limiter=limiter), client(store, Planned({"b": [OK]}, "other"), limiter=limiter)
        asks = (chat.ask(request(text), purpose="admit") for chat, text in ((down, "a"), (up, "b")))
        return await asyncio.gather(*asks, return_exceptions=True)

    assert [fate(result) for result in asyncio.run(main())] == ["stop", "ok"]


@pytest.mark.parametrize("retries", [0, 2])
def test_what_is_used_up_again_after_a_resume_is_a_failure(store: Store, retries: int) -> None:
    model = Planned({"a": [ERR]})
    chat = client(store, model, retries=retries)
    assert [asked(chat, "a"), asked(chat, "a")] == [["stop"], ["stop"]], "the same client says nothing new"
    assert asked(client(store, model, retries=retries), "a") == ["failed"]
    assert asked(client(store, Planned({})), "a") == ["failed"]
    assert statuses(store) == ["retry"] * (3 * (retries + 1) - 1) + ["failed"]


def test_a_run_that_is_resumed_too_early_loses_one_call_and_not_all(store: Store) -> None:
    texts = [str(i) for i in range(6)]
    model = Planned({text: [ERR] for text in texts})
    assert asked(client(store, model), *texts) == ["stop"] * 6
    assert sorted(asked(client(store, model), *texts)) == ["failed"] + ["stop"] * 5
    assert sorted(asked(client(store, Planned({text: [OK] for text in texts})), *texts)) == ["failed"] + ["ok"] * 5


def test_where_somebody_waits_for_the_answer_no_outage_is_remembered(store: Store) -> None:
    purposes: tuple[Purpose, ...] = ("serve", "try")
    for purpose in purposes:
        for _ in range(3):
            assert asked(client(store, Planned({"a": [ERR]})), "a", purpose=purpose) == ["stop"]
        assert asked(client(store, Planned({"a": [OK]})), "a", purpose=purpose) == ["ok"]


def test_attempts_that_ended_otherwise_do_not_use_a_call_up(store: Store) -> None:
    with pytest.raises(BudgetExceededError):
        asyncio.run(client(store, Planned({"a": [ERR]}), budget=Budget(BudgetSettings(calls=2))).ask(request("a"), purpose="admit"))

    class Refusing(Planned):
        async def reply(self, request: ModelRequest, draw: int) -> Reply:
            raise ServerUnavailableError("cannot reach it")

    for _ in range(3):
        assert asked(client(store, Refusing({})), "a") == ["stop"]
    assert statuses(store) == ["retry"] * 5
    assert asked(client(store, Planned({"a": [ERR]})), "a") == ["stop"]


def test_without_retries_the_answers_to_calls_that_began_later_count(store: Store) -> None:
    assert asked(client(store, Planned({"a": [(False, 5)], "b": [OK]}), retries=0), "a", "b") == ["failed", "ok"]
    assert asked(client(store, Planned({"c": [(True, 2)], "d": [(False, 5)]}), retries=0), "c", "d") == ["ok", "stop"]


def test_streams_follow_the_same_rule(store: Store) -> None:
    async def pieces(chat: ModelClient, text: str) -> Reply:
        return Reply(text="".join([piece async for piece in chat.stream(request(text), purpose="generate")]))

    async def main(chat: ModelClient, *texts: str) -> list[str]:
        return [fate(r) for r in await asyncio.gather(*(pieces(chat, text) for text in texts), return_exceptions=True)]

    model = Planned({"a": [ERR], "b": [ERR], "c": [OK]})
    assert asyncio.run(main(client(store, model, limiter=Limiter(1)), "a", "c")) == ["failed", "ok"]
    assert asyncio.run(main(client(store, model), "b")) == ["stop"]
    assert asyncio.run(main(client(store, model), "b", "a")) == ["failed", "failed"]
    assert asyncio.run(main(client(store, Planned({})), "b")) == ["failed"]


def blameless(events: Sequence[tuple[str, str]], text: str, *, retried: bool) -> bool:
    """Whether no other call began after the first failure of `text` (without retries: after its beginning) and was answered before its
    last: the rule once more, read off what happened."""
    mine = [i for i, (kind, whose) in enumerate(events) if whose == text and kind == ("erred" if retried else "began")]
    last = max(i for i, event in enumerate(events) if event == ("erred", text))
    between = events[mine[0] : last]
    return not any(("answered", whose) in between[i:] for i, (kind, whose) in enumerate(between) if kind == "began" and whose != text)


PLAN = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=3, max_size=3)


def test_no_call_fails_unless_others_were_answered_meanwhile_or_it_was_used_up_before(store: Store) -> None:
    examples = count()

    @settings(max_examples=80, deadline=None)
    @given(st.lists(st.tuples(PLAN, PLAN), min_size=1, max_size=5), st.integers(0, 2), st.integers(1, 4))
    def check(plans: list[tuple[list[Attempt], list[Attempt]]], retries: int, slots: int) -> None:
        number = next(examples)
        texts = [f"{number} {i}" for i in range(len(plans))]
        before = dict.fromkeys(texts, "")
        for turn in range(2):  # a run, then the same run resumed
            model = Planned({text: plan[turn] for text, plan in zip(texts, plans, strict=True)})
            now = dict(zip(texts, asked(client(store, model, retries=retries, limiter=Limiter(slots)), *texts), strict=True))
            lone = []
            for text, became in now.items():
                if before[text] in ("ok", "failed"):
                    assert became == before[text], "what is final stays"
                elif became != "ok" and blameless(model.events, text, retried=retries > 0):
                    lone += [text] if became == "failed" else []
                else:
                    assert became != "stop", "others were answered"
            assert len(lone) <= 1
            assert all(before[text] == "stop" for text in lone)
            before = now

    check()
