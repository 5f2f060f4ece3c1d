"""One limiter per server: how many calls may be in flight, and when none may start.

Owns the window (additive increase, multiplicative decrease, as in TCP: Chiu and Jain 1989), the queue (first come, first served) and the
pause that a server asked for; and, per model, the last call to begin that was answered. Knows no request. Invariants: never more than
`max_in_flight` slots out; a cancelled waiter neither keeps nor loses a slot for others; one burst of 429 halves the window once, not once
per reply.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from weakref import WeakValueDictionary

MAX_PAUSE_S = 600.0

_registry: WeakValueDictionary[str, Limiter] = WeakValueDictionary()
_registry_lock = threading.Lock()


def limiter_for(server: str, max_in_flight: int) -> Limiter:
    """The process-wide limiter of a server (its base URL). Where several models share a server, the smallest limit holds."""
    with _registry_lock:
        limiter = _registry.get(server)
        if limiter is None:
            limiter = _registry[server] = Limiter(max_in_flight)
        limiter.at_most(max_in_flight)
        return limiter


@dataclass(frozen=True)
class Window:
    """How many calls may be in flight: `size` in [1, ceiling], its whole part counts. `epoch` counts decreases."""

    ceiling: int
    size: float
    epoch: int = 0

    @property
    def slots(self) -> int:
        """The whole number of slots."""
        return int(self.size)

    def grown(self) -> Window:
        """After a success: one slot more per window of successes."""
        return Window(self.ceiling, min(float(self.ceiling), self.size + 1.0 / self.size), self.epoch)

    def shrunk(self, epoch: int) -> Window:
        """After a 429 to a call that started in `epoch`: halved, unless it was halved since that call started."""
        return self if epoch < self.epoch else Window(self.ceiling, max(1.0, self.size / 2), self.epoch + 1)

    def capped(self, ceiling: int) -> Window:
        """With a lower ceiling."""
        return Window(min(ceiling, self.ceiling), min(float(ceiling), self.size), self.epoch)


class Slot:
    """A place in flight, the limiter's `number`-th (1, 2, ...). The caller reports what became of its call."""

    def __init__(self, limiter: Limiter, epoch: int, number: int, model: str) -> None:
        self.number = number
        self._limiter, self._epoch, self._model = limiter, epoch, model

    def succeeded(self) -> None:
        """The server answered."""
        self._limiter.grow(self._model, self.number)

    def throttled(self, *, rate_limited: bool, retry_after: float | None) -> None:
        """The server asked for less (429: the window shrinks) or for a pause (retry-after, in seconds: nobody starts before)."""
        self._limiter.throttle(self._epoch if rate_limited else None, retry_after or 0.0)


class _Waiter:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.turn: asyncio.Future[None] = loop.create_future()
        self.granted = False

    def wake(self) -> None:
        if not self.turn.done():
            self.turn.set_result(None)


class Limiter:
    """Slots for one server. Usable from several event loops and threads at once."""

    def __init__(
        self,
        max_in_flight: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._window = Window(max_in_flight, float(max_in_flight))
        self._clock, self._sleep = clock, sleep
        self._out = 0
        self._begun = 0
        self._answered: dict[str, int] = {}
        self._paused_until = 0.0
        self._queue: deque[_Waiter] = deque()
        self._lock = threading.Lock()

    @property
    def window(self) -> Window:
        """The window as it is now."""
        return self._window

    @property
    def in_flight(self) -> int:
        """Slots that are out."""
        return self._out

    @property
    def begun(self) -> int:
        """How many calls have begun: the number of the last slot."""
        return self._begun

    def answered_since(self, begun: int, model: str) -> bool:
        """Whether the server has answered a call to `model` that began after its first `begun` ones.

        What was in flight when a server went down is often answered after the first failure is seen; so the order of beginnings counts."""
        return self._answered.get(model, 0) > begun

    @asynccontextmanager
    async def slot(self, model: str = "") -> AsyncIterator[Slot]:
        """Wait for a place and for the end of a pause; the place is free again at the end of the block, however it ends."""
        waiter = _Waiter(asyncio.get_running_loop())
        with self._lock:
            self._queue.append(waiter)
            self._grant()
        try:
            await waiter.turn
            while (pause := self._paused_until - self._clock()) > 0:
                await self._sleep(pause)
            with self._lock:
                self._begun += 1
                slot = Slot(self, self._window.epoch, self._begun, model)
            yield slot
        finally:
            with self._lock:
                if waiter.granted:
                    self._out -= 1
                else:
                    self._queue.remove(waiter)
                self._grant()

    def at_most(self, max_in_flight: int) -> None:
        """Lower the ceiling."""
        with self._lock:
            self._window = self._window.capped(max_in_flight)

    def grow(self, model: str, number: int) -> None:
        """Count a success: of the call to `model` in slot `number`."""
        with self._lock:
            self._answered[model] = max(number, self._answered.get(model, 0))
            self._window = self._window.grown()
            self._grant()

    def throttle(self, epoch: int | None, pause_s: float) -> None:
        """Shrink for a 429 to a call of `epoch` (None: do not), and start nothing for `pause_s` seconds (at most MAX_PAUSE_S)."""
        with self._lock:
            if epoch is not None:
                self._window = self._window.shrunk(epoch)
            self._paused_until = max(self._paused_until, self._clock() + min(pause_s, MAX_PAUSE_S))

    def _grant(self) -> None:
        while self._queue and self._out < self._window.slots:
            waiter = self._queue.popleft()
            waiter.granted = True
            self._out += 1
            waiter.turn.get_loop().call_soon_threadsafe(waiter.wake)
