"""Slots, the adaptive window, pauses, fairness, cancellation."""

from __future__ import annotations

import asyncio
import gc
import threading

from hypothesis import given, settings
from hypothesis import strategies as st

from strategist.models.limiter import MAX_PAUSE_S, Limiter, Window, limiter_for


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 64), st.lists(st.booleans(), max_size=60))
def test_the_window_stays_between_one_and_its_ceiling(ceiling: int, successes: list[bool]) -> None:
    window = Window(ceiling, float(ceiling))
    for success in successes:
        before = window
        window = window.grown() if success else window.shrunk(window.epoch)
        assert 1 <= window.slots <= ceiling
        assert window.size >= before.size if success else window.size <= before.size


def test_a_burst_of_rejections_halves_the_window_once() -> None:
    window = Window(32, 32.0)
    for _ in range(20):
        window = window.shrunk(0)
    assert (window.slots, window.epoch) == (16, 1)
    assert window.shrunk(1).slots == 8


def test_one_window_of_successes_gives_about_one_slot_more() -> None:
    window = Window(32, 8.0)
    for _ in range(8):
        window = window.grown()
    assert 8.9 < window.size < 9.0


def test_an_answer_counts_from_the_beginning_of_its_call_and_for_its_model() -> None:
    async def main() -> None:
        limiter = Limiter(3)
        async with limiter.slot("a") as first, limiter.slot("a") as second, limiter.slot("b") as third:
            assert (first.number, second.number, third.number, limiter.begun) == (1, 2, 3, 3)
            assert not limiter.answered_since(0, "a")
            second.succeeded()
            first.succeeded()  # a later answer to an earlier call takes nothing back
            third.succeeded()
        assert [limiter.answered_since(begun, "a") for begun in range(4)] == [True, True, False, False]
        assert limiter.answered_since(2, "b")
        assert not limiter.answered_since(0, "c")

    asyncio.run(main())


def test_never_more_in_flight_than_allowed_and_first_come_first_served() -> None:
    async def main() -> None:
        limiter, now, peak, order = Limiter(3), 0, 0, []

        async def one(i: int) -> None:
            nonlocal now, peak
            async with limiter.slot() as slot:
                order.append(i)
                now += 1
                peak = max(peak, now)
                await asyncio.sleep(0.001)
                now -= 1
                slot.succeeded()

        await asyncio.gather(*(one(i) for i in range(20)))
        assert peak == 3
        assert order == list(range(20))
        assert limiter.in_flight == 0

    asyncio.run(main())


def test_a_pause_holds_everybody_back_and_is_bounded() -> None:
    async def main() -> None:
        clock = Clock()
        limiter = Limiter(8, clock=clock, sleep=clock.sleep)
        async with limiter.slot() as slot:
            slot.throttled(rate_limited=True, retry_after=7.0)
        assert limiter.window.slots == 4
        async with limiter.slot() as slot:
            assert clock.now == 7.0
            slot.throttled(rate_limited=False, retry_after=None)
            slot.throttled(rate_limited=False, retry_after=1e9)
        assert limiter.window.slots == 4
        async with limiter.slot():
            assert clock.slept == [7.0, MAX_PAUSE_S]

    asyncio.run(main())


def test_cancelled_waiters_take_no_slot_with_them() -> None:
    async def main() -> None:
        clock = Clock()
        limiter = Limiter(1, clock=clock)
        entered = asyncio.Event()

        async def hold() -> None:
            async with limiter.slot():
                entered.set()
                await asyncio.sleep(60)

        holder = asyncio.create_task(hold())
        await entered.wait()
        waiting = [asyncio.create_task(hold()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.gather(waiting[0], return_exceptions=True)
        holder.cancel()  # the slot goes to the next in line, who is cancelled before it wakes
        await asyncio.gather(holder, return_exceptions=True)
        for task in waiting[1:]:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        limiter.throttle(None, 100.0)
        paused = asyncio.create_task(hold())
        await asyncio.sleep(0.01)
        assert limiter.in_flight == 1
        paused.cancel()
        await asyncio.gather(paused, return_exceptions=True)
        assert limiter.in_flight == 0

    asyncio.run(main())


def test_slots_pass_between_threads_with_their_own_loops() -> None:
    limiter, done, peak, lock = Limiter(2), [], [0, 0], threading.Lock()

    async def work() -> None:
        async def one() -> None:
            async with limiter.slot():
                with lock:
                    peak[0] += 1
                    peak[1] = max(peak)
                await asyncio.sleep(0.001)
                with lock:
                    peak[0] -= 1
                    done.append(1)

        await asyncio.gather(*(one() for _ in range(10)))

    threads = [threading.Thread(target=lambda: asyncio.run(work())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(done) == 30
    assert peak[1] <= 2


def test_one_limiter_per_server_with_the_smallest_limit() -> None:
    first = limiter_for("http://server-a/v1", 8)
    assert limiter_for("http://server-a/v1", 3) is first
    assert limiter_for("http://server-a/v1", 5).window.slots == 3
    assert limiter_for("http://server-b/v1", 5).window.slots == 5
    del first
    gc.collect()
    assert limiter_for("http://server-a/v1", 8).window.slots == 8
