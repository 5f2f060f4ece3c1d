"""An event loop whose clock jumps: waiting takes no time, and computing takes none of its time.

Where nothing is ready, the clock moves to the next timer at once. So `asyncio.sleep(0.5)` ends half a virtual second later, whatever the
program computes meanwhile, and the virtual duration of a program that waits for models only is that of its own schedule on a machine that
costs nothing. What threads do (the checkpoints' file, an embedder in a thread) takes no virtual time either: it is waited for in real time
before the clock moves, as far as this loop knows of it; a thread that it does not know of is awaited where no timer runs.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class _Jumping(selectors.DefaultSelector):
    """Tells `jump` by how much the loop would sleep, instead of sleeping, unless `busy` says that a thread is at work."""

    def __init__(self, jump: Callable[[float], None], busy: Callable[[], bool]) -> None:
        super().__init__()
        self._jump, self._busy = jump, busy

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        if self._busy():
            return super().select(None)  # the thread's end wakes the loop
        events = super().select(0)
        if not events:
            self._jump(timeout)
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """See the module. `time()` starts at 0 and counts virtual seconds."""

    def __init__(self) -> None:
        self._virtual = 0.0
        self._threads = 0
        super().__init__(_Jumping(self._jump, lambda: self._threads > 0))

    def time(self) -> float:
        return self._virtual

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        self._threads += 1
        future: asyncio.Future[T] = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._thread_ended)
        return future

    def _thread_ended(self, _: asyncio.Future[T]) -> None:
        self._threads -= 1

    def _jump(self, seconds: float) -> None:
        self._virtual += seconds


def run_virtually(work: Coroutine[object, object, T]) -> T:
    """Like `asyncio.run`, on a virtual clock."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
