"""The recorded client over scripted models: cache, sharing, retries, budget, streams, cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from strategist.errors import BudgetExceededError, ModelError, ServerUnavailableError, TransientModelError
from strategist.models.adapters.scripted import ScriptedModel
from strategist.models.budget import Budget, prompt_bound
from strategist.models.client import BACKOFF_CAP_S, ModelClient, backoff_s
from strategist.models.limiter import Limiter
from strategist.models.protocol import Chat, Model
from strategist.records.base import stable_int
from strategist.records.chat import Message, ModelRequest, Reply, ToolCall, Usage
from strategist.records.run import Overrun
from strategist.settings import BudgetSettings
from strategist.store import CallLog, Spent, Store, open_store
from strategist.store.tables import calls as calls_table

Answers = Callable[[ModelRequest, int], Reply | str]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "a.db") as opened:
        yield opened


class Counting:
    """A scripted answer that counts, and fails as told: `faults[n]` is raised at call n."""

    def __init__(self, *faults: Exception | None, text: str = "fine") -> None:
        self.faults, self.text, self.calls = faults, text, 0

    def __call__(self, request: ModelRequest, draw: int) -> str:
        number = self.calls
        self.calls += 1
        fault = self.faults[number] if number < len(self.faults) else None
        if fault is not None:
            raise fault
        return f"{self.text} {draw % 97}"


class Sleeps:
    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def client(
    store: Store,
    answer: Answers | Model,
    *,
    budget: Budget | None = None,
    retries: int = 2,
    run: str = "r",
    seed: int = 0,
    latency: float = 0,
) -> ModelClient:
    model = ScriptedModel("sim", answer, latency) if callable(answer) else answer
    return ModelClient(
        model, role="student", run=run, seed=seed, calls=CallLog(store), budget=budget or Budget(BudgetSettings()), limiter=Limiter(8),
        retries=retries, price_in=1.0, price_out=2.0, sleep=Sleeps(),
    )  # fmt: skip


def request(text: str = "hi") -> ModelRequest:
    return ModelRequest(messages=(Message(role="user", content=text),), max_tokens=10)


def statuses(store: Store) -> list[str]:
    with store.database.reading() as conn:
        return list(conn.scalars(select(calls_table.c.status).order_by(calls_table.c.id)))


def transient(**more: bool) -> TransientModelError:
    return TransientModelError("busy", **more)


async def gathered(answer: Awaitable[Reply]) -> list[Reply | BaseException]:
    return list(await asyncio.gather(answer, return_exceptions=True))


async def collect(pieces: AsyncIterator[str]) -> list[str]:
    return [piece async for piece in pieces]


def test_the_same_question_is_paid_once_and_every_part_of_the_key_counts(store: Store) -> None:
    answer = Counting()
    chat: Chat = client(store, answer)

    async def main() -> None:
        first = await chat.ask(request(), purpose="admit", sample=3)
        assert await chat.ask(request(), purpose="admit", sample=3) == first
        assert answer.calls == 1
        assert first.text == f"fine {stable_int(0, 'admit', 3) % 97}"
        await chat.ask(request(), purpose="admit", sample=4)
        await chat.ask(request(), purpose="coach", sample=3)
        await chat.ask(request("other"), purpose="admit", sample=3)
        await client(store, answer, seed=1).ask(request(), purpose="admit", sample=3)
        assert answer.calls == 5
        again = client(store, answer, run="another run", budget=Budget(BudgetSettings(calls=1), Spent(1)))
        assert await again.ask(request(), purpose="admit", sample=3) == first  # from the log: costs nothing, needs no budget

    asyncio.run(main())
    assert answer.calls == 5
    assert statuses(store) == ["ok"] * 5


def test_usage_is_priced_and_settled(store: Store) -> None:
    usage = Usage(prompt_tokens=1_000_000, completion_tokens=500_000, cached_tokens=7)
    budget = Budget(BudgetSettings())
    reply = asyncio.run(client(store, lambda r, d: Reply(text="x", usage=usage), budget=budget).ask(request(), purpose="try"))
    assert reply.usage == usage.model_copy(update={"cost_usd": 2.0})
    assert budget.spent == Spent(1, 1_500_000, 2.0) == CallLog(store).spent("r")
    assert budget.overrun.tokens > 1_400_000
    assert budget.overrun.usd > 1.9
    assert CallLog(store).overrun("r") == budget.overrun, "the log keeps what was billed beyond the bound"
    assert CallLog(store).overrun("another run") == Overrun()


@pytest.mark.parametrize(
    ("reply", "status"), [(Reply(text="x"), "ok"), (Reply(text=""), "failed"), (Reply(text="No", finish="refusal"), "failed")]
)
def test_a_server_that_does_not_say_what_it_used_is_booked_at_the_bound(store: Store, reply: Reply, status: str) -> None:
    """Regression: a wall of tokens or dollars let everything through before such a server."""
    budget = Budget(BudgetSettings(tokens=2 * (prompt_bound(request()) + 10)))
    for sample in range(2):
        answers = asyncio.run(gathered(client(store, lambda r, d: reply, budget=budget).ask(request(), purpose="try", sample=sample)))
        assert isinstance(answers[0], Reply | ModelError)
    with pytest.raises(BudgetExceededError):
        asyncio.run(client(store, lambda r, d: reply, budget=budget).ask(request(), purpose="try", sample=3))
    bound = prompt_bound(request())
    assert CallLog(store).spent("r") == budget.spent == Spent(2, 2 * (bound + 10), 2 * (bound + 20) / 1e6)
    assert statuses(store) == [status] * 2


@pytest.mark.parametrize("text", ["", "x"])
def test_an_overrun_is_kept_for_replies_and_failures(store: Store, text: str) -> None:
    long = Reply(text=text, usage=Usage(prompt_tokens=1, completion_tokens=5_000))
    asyncio.run(gathered(client(store, lambda r, d: long).ask(request(), purpose="try")))
    assert CallLog(store).overrun("r").tokens == 5_001 - prompt_bound(request()) - 10


def test_two_askers_at_once_share_one_paid_call(store: Store) -> None:
    answer = Counting()

    async def main() -> list[Reply]:
        chat = client(store, answer, latency=0.01)
        return await asyncio.gather(*(chat.ask(request(), purpose="admit") for _ in range(5)))

    replies = asyncio.run(main())
    assert answer.calls == 1
    assert replies == replies[:1] * 5


def test_when_the_first_asker_is_cancelled_the_next_takes_over(store: Store) -> None:
    answer = Counting()

    async def main() -> Reply:
        chat = client(store, answer, latency=0.02)
        first = asyncio.create_task(chat.ask(request(), purpose="admit"))
        second = asyncio.create_task(chat.ask(request(), purpose="admit"))
        await asyncio.sleep(0.005)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        return await second

    assert asyncio.run(main()).text
    assert statuses(store) == ["sent", "ok"]
    log = CallLog(store)
    assert log.mark_abandoned("r") == 1
    assert log.spent("r").calls == 2


def test_transient_errors_are_tried_again_with_growing_pauses(store: Store) -> None:
    budget = Budget(BudgetSettings())
    chat = client(store, Counting(transient(), transient(rate_limited=True)), budget=budget)
    assert asyncio.run(chat.ask(request(), purpose="try")).text.startswith("fine")
    assert statuses(store) == ["retry", "retry", "ok"]
    sleeps = chat._sleep
    assert isinstance(sleeps, Sleeps)
    assert 0.25 <= sleeps.seconds[0] < 0.5 <= sleeps.seconds[1] < 1.0
    assert budget.spent == CallLog(store).spent("r")
    assert budget.spent.calls == 3


def test_a_refused_request_is_not_tried_again(store: Store) -> None:
    answer = Counting(ModelError("too long", hint="shorten it"))
    chat = client(store, answer)
    for _ in range(2):
        with pytest.raises(ModelError, match="too long") as caught:
            asyncio.run(chat.ask(request(), purpose="try"))
        assert caught.value.hint == "shorten it"
    assert answer.calls == 1


def test_an_unreachable_server_stops_and_leaves_nothing_final(store: Store) -> None:
    answer = Counting(ServerUnavailableError("cannot reach it"))
    chat = client(store, answer)
    with pytest.raises(ServerUnavailableError, match="cannot reach it"):
        asyncio.run(chat.ask(request(), purpose="try"))
    assert statuses(store) == ["retry"]
    assert asyncio.run(chat.ask(request(), purpose="try")).text.startswith("fine")


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(text="  \n", usage=Usage(completion_tokens=2)), "empty_reply"),
        (Reply(text="I will not", finish="refusal", usage=Usage(completion_tokens=2)), "refusal"),
    ],
)
def test_empty_replies_and_refusals_are_recorded_failures(store: Store, reply: Reply, kind: str) -> None:
    for _ in range(2):
        with pytest.raises(ModelError) as caught:
            asyncio.run(client(store, lambda r, d: reply).ask(request(), purpose="try"))
        assert caught.value.kind == kind
    assert statuses(store) == ["failed"]
    assert CallLog(store).spent("r").tokens == 2


@pytest.mark.parametrize(
    "reply",
    [Reply(text="cut of", finish="length"), Reply(text="", tool_calls=(ToolCall(id="1", name="f", arguments="{}"),), finish="tool_calls")],
)
def test_cut_replies_and_tool_calls_are_replies(store: Store, reply: Reply) -> None:
    assert asyncio.run(client(store, lambda r, d: reply).ask(request(), purpose="try")) == reply


def test_the_budget_ends_a_run_and_counts_retries(store: Store) -> None:
    answer = Counting(transient(), transient())
    budget = Budget(BudgetSettings(calls=2))
    chat = client(store, answer, budget=budget)
    with pytest.raises(BudgetExceededError, match="2 of 2 calls"):
        asyncio.run(chat.ask(request(), purpose="try"))
    assert statuses(store) == ["retry", "retry"]
    bigger = client(store, answer, budget=Budget(BudgetSettings(calls=3), CallLog(store).spent("r")))
    assert asyncio.run(bigger.ask(request(), purpose="try")).text.startswith("fine")


def test_the_backoff_is_bounded_and_the_same_on_every_machine() -> None:
    assert backoff_s("k", 1) == backoff_s("k", 1) != backoff_s("l", 1)
    assert all(0.25 <= backoff_s(str(i), 1) < 0.5 for i in range(50))
    assert all(backoff_s("k", n) <= BACKOFF_CAP_S for n in range(1, 50))


def test_a_stream_is_recorded_whole_and_replayed_as_one_piece(store: Store) -> None:
    answer = Counting(transient(), text="three words and")
    chat = client(store, answer)
    pieces = asyncio.run(collect(chat.stream(request(), purpose="serve")))
    assert len(pieces) == 4
    assert asyncio.run(collect(chat.stream(request(), purpose="serve"))) == ["".join(pieces)]
    assert asyncio.run(chat.ask(request(), purpose="serve")).text == "".join(pieces)
    assert statuses(store) == ["retry", "ok"]


def test_failures_of_streams_are_recorded_like_others(store: Store) -> None:
    for _ in range(2):
        with pytest.raises(ModelError, match="empty"):
            asyncio.run(collect(client(store, lambda r, d: "").stream(request("b"), purpose="serve")))
    assert statuses(store) == ["failed"]
    with pytest.raises(ServerUnavailableError):
        asyncio.run(collect(client(store, Counting(ServerUnavailableError("gone"))).stream(request("c"), purpose="serve")))


class PlainStream:
    """A model of somebody else's: its stream is a bare generator, and breaks off once."""

    name = "plain"

    def __init__(self, *, breaks: int = 0) -> None:
        self.breaks = breaks

    async def reply(self, request: ModelRequest, draw: int) -> Reply:
        raise AssertionError("only streams")

    async def stream(self, request: ModelRequest, draw: int) -> AsyncIterator[str]:
        yield "one "
        if self.breaks:
            self.breaks -= 1
            raise TransientModelError("broke off", lost=True)
        yield "two"

    async def close(self) -> None:
        self.breaks = -1


def test_a_stream_that_breaks_off_after_its_first_piece_is_raised_and_not_final(store: Store) -> None:
    model = PlainStream(breaks=1)
    chat = client(store, model)
    got: list[str] = []

    async def main() -> None:
        async for piece in chat.stream(request(), purpose="serve"):
            got.append(piece)

    with pytest.raises(TransientModelError, match="broke off"):
        asyncio.run(main())
    assert got == ["one "]
    assert asyncio.run(collect(chat.stream(request(), purpose="serve"))) == ["one ", "two"]
    assert statuses(store) == ["retry", "ok"]
    asyncio.run(chat.close())
    assert model.breaks == -1
    assert chat.model_name == "plain"


def test_a_stream_that_is_left_early_frees_its_slot_and_stays_sent(store: Store) -> None:
    budget = Budget(BudgetSettings())
    chat = client(store, Counting(text="a b c"), budget=budget)

    async def main() -> None:
        stream = chat.stream(request(), purpose="serve")
        assert await anext(stream) == "a "
        await stream.aclose()  # type: ignore[attr-defined]

    asyncio.run(main())
    assert statuses(store) == ["sent"]
    assert budget.in_flight == 0
    assert budget.spent == CallLog(store).spent("r")


def test_a_stream_that_is_left_early_is_closed_before_its_slot_is_free(store: Store) -> None:
    """Regression: the server went on with it, beside the next call, until memory was tidied up."""
    seen: list[str] = []

    class Watched(PlainStream):
        async def stream(self, request: ModelRequest, draw: int) -> AsyncIterator[str]:
            try:
                yield "one "
                yield "two"
            finally:
                seen.append(f"closed with {limiter.in_flight} in flight")

    limiter = Limiter(1)

    async def main() -> None:
        chat = ModelClient(
            Watched(), role="student", run="r", seed=0, calls=CallLog(store), budget=Budget(BudgetSettings()), limiter=limiter
        )
        stream = chat.stream(request(), purpose="serve")
        assert await anext(stream) == "one "
        await stream.aclose()  # type: ignore[attr-defined]
        assert seen == ["closed with 1 in flight"]

    asyncio.run(main())


class Iterates:
    """Not a generator: it cannot be closed."""

    def __init__(self) -> None:
        self.left = ["two", "one "]

    def __aiter__(self) -> Iterates:
        return self

    async def __anext__(self) -> str:
        if not self.left:
            raise StopAsyncIteration
        return self.left.pop()


def test_a_stream_that_cannot_be_closed_will_do(store: Store) -> None:
    class Bare(PlainStream):
        def stream(self, request: ModelRequest, draw: int) -> AsyncIterator[str]:
            return Iterates()

    assert asyncio.run(collect(client(store, Bare()).stream(request(), purpose="serve"))) == ["one ", "two"]


@pytest.mark.parametrize("error", [TransientModelError("upstream died"), ModelError("filtered")])
def test_what_came_in_pieces_before_an_error_may_be_billed(store: Store, error: ModelError) -> None:
    """Regression: it was booked as if it had cost nothing."""

    class Breaks(PlainStream):
        async def stream(self, request: ModelRequest, draw: int) -> AsyncIterator[str]:
            yield "one "
            raise error

    budget = Budget(BudgetSettings())
    with pytest.raises(ModelError):
        asyncio.run(collect(client(store, Breaks(), budget=budget).stream(request(), purpose="serve")))
    assert budget.spent.tokens == prompt_bound(request()) + 10
    assert CallLog(store).spent("r") == budget.spent
