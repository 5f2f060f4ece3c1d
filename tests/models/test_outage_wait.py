"""A server that answered before and is gone: it is waited for, by one call at a time, and only so long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategist.errors import ModelError, ServerUnavailableError, StrategistError, TransientModelError
from strategist.models.adapters.scripted import ScriptedModel
from strategist.models.budget import Budget
from strategist.models.client import OUTAGE_PAUSE_S, ModelClient
from strategist.models.limiter import Limiter
from strategist.records.chat import Message, ModelRequest, Purpose, Reply
from strategist.settings import BudgetSettings
from strategist.store import CallLog, Store, open_store

GONE = ServerUnavailableError("cannot reach the model server", passing=True)
HOUR = 3600.0


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += max(0.0, seconds)
        await asyncio.sleep(0)


class Server:
    """Answers until `down_from`, then fails with `error` until `up_at` (seconds of the clock)."""

    def __init__(self, clock: Clock, error: StrategistError, down_from: int, up_at: float) -> None:
        self.clock, self.error, self.down_from, self.up_at = clock, error, down_from, up_at
        self.calls = self.failed = self.now = self.peak = 0

    def answer(self, request: ModelRequest, draw: int) -> Reply | str:
        self.calls += 1
        if self.calls > self.down_from and self.clock.now < self.up_at:
            self.failed += 1
            raise self.error
        return "fine"


def make(
    store: Store, server: Server, *, outage_s: float = HOUR, retries: int = 1, in_flight: int = 4, notices: list[str] | None = None
) -> ModelClient:
    clock = server.clock
    limiter = Limiter(in_flight, clock=clock, sleep=clock.sleep)
    return ModelClient(
        ScriptedModel("m", server.answer), role="teacher", run="r", seed=0, calls=CallLog(store), budget=Budget(BudgetSettings()),
        limiter=limiter, retries=retries, outage_s=outage_s, notify=(notices if notices is not None else []).append, sleep=clock.sleep,
        clock=clock,
    )  # fmt: skip


def ask(client: ModelClient, count: int, purpose: Purpose = "coach") -> list[Reply | BaseException]:
    async def main() -> list[Reply | BaseException]:
        asked = (
            client.ask(ModelRequest(messages=(Message(role="user", content=f"q{i}"),), max_tokens=5), purpose=purpose, sample=i)
            for i in range(count)
        )
        return await asyncio.gather(*asked, return_exceptions=True)

    return asyncio.run(main())


@pytest.mark.parametrize("error", [GONE, TransientModelError("answers 503")])
def test_an_hour_without_the_teacher_loses_nothing(tmp_path: Path, error: StrategistError) -> None:
    clock, notices = Clock(), list[str]()
    server = Server(clock, error, down_from=6, up_at=HOUR - 60)
    with open_store(tmp_path / "a.db") as store:
        answers = ask(make(store, server, notices=notices), 20)
        assert all(isinstance(answer, Reply) for answer in answers)
        totals = CallLog(store).totals("r")[0]
        assert (totals.calls, totals.failed, totals.retries) == (20 + server.failed, 0, server.failed)
    assert HOUR - 60 <= clock.now < HOUR + OUTAGE_PAUSE_S[1]
    assert server.failed < 60  # one asks every two minutes, not everybody all the time
    assert len(notices) == 2
    assert "waiting for m, 60 min at most" in notices[0]
    assert notices[1] == "m answers again, after 60 min"


def test_longer_than_the_settings_allow_stops_the_run(tmp_path: Path) -> None:
    clock = Clock()
    server = Server(clock, GONE, down_from=6, up_at=10 * HOUR)
    with open_store(tmp_path / "a.db") as store:
        answers = ask(make(store, server), 10)
        assert {type(answer) for answer in answers} == {Reply, ServerUnavailableError}
        assert HOUR <= clock.now <= HOUR + 10 * OUTAGE_PAUSE_S[1]
        server.up_at = 0.0
        assert all(isinstance(answer, Reply) for answer in ask(make(store, server), 10))
    assert server.calls == 10 + server.failed  # what was answered before is not asked again


@pytest.mark.parametrize(
    ("error", "purpose", "outage_s", "down_from"),
    [
        (ServerUnavailableError("answers 401"), "coach", HOUR, 3),  # no time mends a wrong key
        (GONE, "coach", 0.0, 3),
        (GONE, "coach", HOUR, 0),  # it never answered: a wrong address, more likely
        (GONE, "serve", HOUR, 3),  # a customer waits
    ],
)
def test_what_is_not_waited_for(tmp_path: Path, error: StrategistError, purpose: Purpose, outage_s: float, down_from: int) -> None:
    clock = Clock()
    server = Server(clock, error, down_from=down_from, up_at=HOUR)
    with open_store(tmp_path / "a.db") as store:
        answers = ask(make(store, server, outage_s=outage_s, in_flight=1), 5, purpose)
    assert isinstance(answers[-1], ServerUnavailableError)
    assert clock.now < 30


def test_an_outage_does_not_blame_the_request_that_met_it(tmp_path: Path) -> None:
    """After it, a call has all its attempts again: others were answered since, and that says nothing about it."""
    clock = Clock()
    fails = iter([TransientModelError("busy")] * 4)

    def answer(request: ModelRequest, draw: int) -> Reply | str:
        if request.messages[0].content == "q1" and (error := next(fails, None)) is not None:
            raise error
        return "fine"

    limiter = Limiter(1, clock=clock, sleep=clock.sleep)
    with open_store(tmp_path / "a.db") as store:
        client = ModelClient(
            ScriptedModel("m", answer), role="teacher", run="r", seed=0, calls=CallLog(store), budget=Budget(BudgetSettings()),
            limiter=limiter, retries=1, outage_s=HOUR, sleep=clock.sleep, clock=clock,
        )  # fmt: skip
        assert all(isinstance(answer, Reply) for answer in [*ask(client, 1), *ask(client, 2)])


@settings(max_examples=40, deadline=None)
@given(down_from=st.integers(1, 12), minutes=st.floats(0, 59), lanes=st.integers(1, 8), retries=st.integers(0, 3))
def test_whenever_and_however_long_within_the_hour(
    tmp_path_factory: pytest.TempPathFactory, down_from: int, minutes: float, lanes: int, retries: int
) -> None:
    clock = Clock()
    server = Server(clock, GONE, down_from=down_from, up_at=60 * minutes)
    with open_store(tmp_path_factory.mktemp("o") / "a.db") as store:
        answers = ask(make(store, server, in_flight=lanes, retries=retries), 12)
        assert all(isinstance(answer, Reply) for answer in answers)
        assert CallLog(store).spent("r").calls == server.calls


def test_a_lasting_fault_of_one_request_is_still_its_own(tmp_path: Path) -> None:
    def answer(request: ModelRequest, draw: int) -> Reply | str:
        if request.messages[0].content == "q1":
            raise ModelError("too long", kind="model")
        return "fine"

    unused: Callable[[str], None] = pytest.fail
    with open_store(tmp_path / "a.db") as store:
        client = ModelClient(
            ScriptedModel("m", answer), role="teacher", run="r", seed=0, calls=CallLog(store), budget=Budget(BudgetSettings()),
            limiter=Limiter(2), outage_s=HOUR, notify=unused,
        )  # fmt: skip
        first, second = ask(client, 2)
    assert isinstance(first, Reply)
    assert isinstance(second, ModelError)
