"""What the nodes share: results in order whatever finishes first, and one snapshot of the library per round."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategist.errors import BudgetExceededError
from strategist.loop.deps import Deps, in_order
from tests.loop.made import PURE, entry
from tests.loop.small import small, with_deps


def silent(done: int, total: int) -> None:
    """No progress."""


@PURE
@given(st.lists(st.integers(0, 4), max_size=12), st.integers(1, 5))
def test_results_come_in_the_order_of_the_items_and_no_lane_is_used_twice_at_a_time(waits: list[int], lanes: int) -> None:
    seen: list[tuple[int, int]] = []
    under_way, most = 0, 0

    async def work(index: int, wait: int) -> tuple[int, int]:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(wait):
            await asyncio.sleep(0)
        under_way -= 1
        return index, wait

    found = asyncio.run(in_order(work, waits, lambda done, total: seen.append((done, total)), lanes=lanes))
    assert found == list(enumerate(waits))
    assert most <= lanes
    assert seen == [(done, len(waits)) for done in range(len(waits) + 1)]


class Calls:
    """Three pieces of work: the middle one fails, the others have a call in flight."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.answered: list[int] = []
        self.cancelled: list[int] = []

    async def work(self, index: int, item: str) -> str:
        if index == 1:
            await asyncio.sleep(0)
            raise self.error
        try:
            await asyncio.sleep(0.01)
            self.answered.append(index)
        except asyncio.CancelledError:
            self.cancelled.append(index)
            raise
        return item


def test_the_first_error_cancels_the_rest() -> None:
    calls = Calls(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        asyncio.run(in_order(calls.work, "abc", silent, lanes=3))
    assert (calls.answered, calls.cancelled) == ([], [0, 2])


def test_at_the_end_of_the_budget_calls_in_flight_are_waited_for() -> None:
    calls = Calls(BudgetExceededError("spent"))
    with pytest.raises(BudgetExceededError, match="spent"):
        asyncio.run(in_order(calls.work, "abc", silent, lanes=3))
    assert (calls.answered, calls.cancelled) == ([0, 2], [])


def test_at_the_end_of_the_budget_nothing_new_is_begun() -> None:
    calls = Calls(BudgetExceededError("spent"))
    with pytest.raises(BudgetExceededError, match="spent"):
        asyncio.run(in_order(calls.work, "abcdef", silent, lanes=2))
    assert calls.answered == [0]


def test_ctrl_c_waits_for_nothing() -> None:
    calls = Calls(BudgetExceededError("spent"))

    async def interrupted() -> None:
        task = asyncio.ensure_future(in_order(calls.work, "abc", silent, lanes=3))
        await asyncio.sleep(0.002)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(interrupted())
    assert (calls.answered, calls.cancelled) == ([], [0, 2])


@pytest.mark.usefixtures("own_models")
def test_a_round_works_on_one_snapshot_whatever_others_write_meanwhile(tmp_path: Path) -> None:
    async def work(deps: Deps) -> tuple[list[int], str, str]:
        before = deps.snapshot(0)
        deps.library.add([entry("e1", "Ask.")], actor="another process", reason="", marker="m")
        found = [len(deps.snapshot(round_).entries) for round_ in (0, 1)]
        return found, before.hash, deps.snapshot(0).hash

    sizes, before, after = with_deps(small(tmp_path), work)
    assert sizes == [0, 1]
    assert before == after
