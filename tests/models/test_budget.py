"""The wall: never exceeded, under any interleaving."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategist.errors import BudgetExceededError
from strategist.models.budget import Budget, Reservation, prompt_bound, shortage
from strategist.records.chat import Message, ModelRequest, ToolSpec, Usage
from strategist.records.run import Overrun
from strategist.settings import BudgetSettings
from strategist.store import Spent

STEPS = st.lists(st.tuples(st.booleans(), st.integers(0, 50), st.integers(0, 50)), max_size=40)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 10), st.integers(1, 200), STEPS, st.integers(0, 10**6))
def test_no_interleaving_of_reserve_and_settle_breaks_the_wall(
    calls: int, tokens: int, steps: list[tuple[bool, int, int]], seed: int
) -> None:
    budget = Budget(BudgetSettings(calls=calls, tokens=tokens, usd=1.0))
    open_: list[Reservation] = []
    started, chance = 0, random.Random(seed)
    billed, over = 0, 0
    for reserve, bound, used in steps:
        if reserve or not open_:
            fits = shortage(
                BudgetSettings(calls=calls, tokens=tokens), Spent(started, billed + sum(r.tokens for r in open_)), Spent(1, bound)
            )
            try:
                open_.append(budget.reserve(bound, 0.0))
                started += 1
                assert fits is None
            except BudgetExceededError:
                assert fits is not None
        else:
            reservation = open_.pop(chance.randrange(len(open_)))
            budget.settle(reservation, Usage(completion_tokens=used))
            billed, over = billed + used, over + max(0, used - reservation.tokens)
        assert started <= calls
        assert budget.spent.tokens == billed
        assert budget.overrun.tokens == over
        assert budget.in_flight == len(open_)
        assert billed + sum(r.tokens for r in open_) <= tokens + over


def test_unknown_usage_counts_its_bound_and_settling_twice_changes_nothing() -> None:
    budget = Budget(BudgetSettings(), Spent(1, 10, 0.5))
    reservation = budget.reserve(100, 0.25)
    budget.settle(reservation, None)
    budget.settle(reservation, Usage(prompt_tokens=7))
    assert budget.spent == Spent(2, 110, 0.75)
    assert budget.overrun.tokens == 0


def test_money_overrun_is_recorded() -> None:
    budget = Budget(BudgetSettings(usd=1.0), overrun=Overrun(tokens=3))
    budget.settle(budget.reserve(0, 0.5), Usage(cost_usd=0.75))
    assert budget.overrun == Overrun(tokens=3, usd=0.25), "a run that goes on has the overrun it had"
    with pytest.raises(BudgetExceededError, match=r"0.7500 of 1.0000 dollars are spent, the next call may cost 0.5000"):
        budget.reserve(0, 0.5)


def test_float_dust_does_not_end_a_run() -> None:
    budget = Budget(BudgetSettings(usd=0.3))
    for _ in range(3):
        budget.settle(budget.reserve(0, 0.1), None)
    assert budget.spent.calls == 3


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (BudgetSettings(calls=1), "1 of 1 calls are spent"),
        (BudgetSettings(tokens=12), "10 of 12 tokens are spent, the next call may take 5"),
    ],
)
def test_the_error_says_what_is_used_up_and_how_to_go_on(limits: BudgetSettings, words: str) -> None:
    with pytest.raises(BudgetExceededError, match=words) as caught:
        Budget(limits, Spent(1, 10, 0.0)).reserve(5, 0.0)
    assert "resume" in caught.value.hint


def test_acquire_waits_for_bounds_in_flight_but_not_for_calls() -> None:
    async def main() -> None:
        budget = Budget(BudgetSettings(calls=3, tokens=100))
        first = await budget.acquire(80, 0.0)
        second = asyncio.create_task(budget.acquire(80, 0.0))
        cancelled = asyncio.create_task(budget.acquire(90, 0.0))
        await asyncio.sleep(0)
        assert not second.done()
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)
        budget.settle(first, Usage(prompt_tokens=10))
        reservation = await second
        assert budget.in_flight == 1
        with pytest.raises(BudgetExceededError):
            await budget.acquire(95, 0.0)  # does not fit beside what is spent, so there is nothing to wait for
        budget.settle(reservation, Usage())
        await budget.acquire(1, 0.0)
        with pytest.raises(BudgetExceededError, match="3 of 3 calls"):
            await budget.acquire(1, 0.0)

    asyncio.run(main())


def test_the_prompt_bound_counts_bytes_templates_and_tools() -> None:
    plain = ModelRequest(messages=(Message(role="user", content="naïve 漢字"),))
    tool = ToolSpec(name="find", description="Find it.", parameters={"type": "object", "properties": {}})
    longer = plain.model_copy(update={"messages": (*plain.messages, Message(role="assistant", content="x" * 100))})
    assert prompt_bound(plain) > len("naïve 漢字".encode())
    assert prompt_bound(longer) >= prompt_bound(plain) + 100
    assert prompt_bound(plain.model_copy(update={"tools": (tool,)})) > prompt_bound(plain) + 250
    assert prompt_bound(plain.model_copy(update={"json_schema": {"title": "T" * 50}})) > prompt_bound(plain) + 50


def test_a_waiter_that_was_cancelled_in_a_loop_that_is_closed_is_forgotten() -> None:
    """Regression: one wall may serve several loops, one after the other, and the next call that settled woke somebody in a closed one."""
    budget = Budget(BudgetSettings(tokens=100))
    first = budget.reserve(80, 0.0)

    async def gives_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(budget.acquire(80, 0.0), 0.01)

    asyncio.run(gives_up())
    budget.settle(first, Usage(prompt_tokens=10))
    assert budget.in_flight == 0
    assert asyncio.run(budget.acquire(80, 0.0)).tokens == 80
