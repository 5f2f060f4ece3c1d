"""The budget: a wall in front of every call.

Owns what is spent and what is set aside for calls in flight; knows no request and no server. Invariants, under any interleaving: calls
spent plus calls in flight never exceed the limit; no call starts unless its upper bound in tokens and dollars still fits beside what is
spent and set aside; what a server bills beyond a bound is recorded as overrun, never hidden.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass

from strategist.errors import BudgetExceededError
from strategist.records.base import canonical
from strategist.records.chat import ModelRequest, Usage
from strategist.records.run import Overrun
from strategist.settings import BudgetSettings
from strategist.store import Spent

_PER_REQUEST, _PER_MESSAGE, _PER_TOOLS = 64, 16, 256
_CENT_DUST = 1e-9


@dataclass(frozen=True)
class Reservation:
    """What is set aside for one attempt: one call and its upper bounds."""

    id: int
    tokens: int
    usd: float

    def beyond(self, usage: Usage | None) -> Overrun:
        """What a usage has on top of the bounds; of one that is not known the bounds are all that counts."""
        if usage is None:
            return Overrun()
        return Overrun(tokens=max(0, _tokens(usage) - self.tokens), usd=max(0.0, usage.cost_usd - self.usd))


def prompt_bound(request: ModelRequest) -> int:
    """Upper bound of a request's prompt tokens: a token is at least one byte, and chat templates add a little per message and for tools."""
    body = [message.wire() for message in request.messages], [tool.wire() for tool in request.tools], request.json_schema
    template = _PER_REQUEST + _PER_MESSAGE * len(request.messages) + (_PER_TOOLS if request.tools else 0)
    return len(canonical(body).encode()) + template


def shortage(limits: BudgetSettings, spent: Spent, more: Spent) -> str | None:
    """What `more` on top of `spent` would break, in words; None if it fits."""
    if limits.calls is not None and spent.calls + more.calls > limits.calls:
        return f"{spent.calls} of {limits.calls} calls are spent"
    if limits.tokens is not None and spent.tokens + more.tokens > limits.tokens:
        return f"{spent.tokens} of {limits.tokens} tokens are spent, the next call may take {more.tokens}"
    if limits.usd is not None and spent.usd + more.usd > limits.usd + _CENT_DUST:
        return f"{spent.usd:.4f} of {limits.usd:.4f} dollars are spent, the next call may cost {more.usd:.4f}"
    return None


class Budget:
    """The wall of one run. `spent` and `overrun` are what its call log already holds."""

    def __init__(self, limits: BudgetSettings, spent: Spent = Spent(), overrun: Overrun = Overrun()) -> None:  # noqa: B008 - immutable
        self._limits = limits
        self._spent = spent
        self._overrun = overrun
        self._open: dict[int, Reservation] = {}
        self._count = 0
        self._lock = threading.Lock()
        self._settled: list[asyncio.Future[None]] = []

    @property
    def spent(self) -> Spent:
        """What settled attempts have used."""
        return self._spent

    @property
    def overrun(self) -> Overrun:
        """What was billed beyond the bounds."""
        return self._overrun

    @property
    def in_flight(self) -> int:
        """Attempts with a reservation that is not settled."""
        return len(self._open)

    def reserve(self, bound_tokens: int, bound_usd: float) -> Reservation:
        """Set aside one call with its upper bounds. Raises BudgetExceededError if it does not fit."""
        with self._lock:
            return self._reserve(bound_tokens, bound_usd)

    async def acquire(self, bound_tokens: int, bound_usd: float) -> Reservation:
        """Like `reserve`, but waits where only the bounds of calls in flight are in the way: they mostly settle for less."""
        while True:
            with self._lock:
                try:
                    return self._reserve(bound_tokens, bound_usd)
                except BudgetExceededError:
                    more = Spent(len(self._open) + 1, bound_tokens, bound_usd)
                    if not self._open or shortage(self._limits, self._spent, more) is not None:
                        raise
                turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._settled.append(turn)
            try:
                await turn
            finally:
                with self._lock:
                    if turn in self._settled:  # cancelled: its loop may be closed when the next call settles
                        self._settled.remove(turn)

    def _reserve(self, bound_tokens: int, bound_usd: float) -> Reservation:
        held = self._open.values()
        taken = Spent(len(held), sum(r.tokens for r in held), sum(r.usd for r in held))
        lacking = shortage(self._limits, _add(self._spent, taken), Spent(1, bound_tokens, bound_usd))
        if lacking is not None:
            raise BudgetExceededError(
                f"the budget is used up: {lacking}",
                hint="raise the limit under [budget] in strategist.toml and resume: nothing is lost",
            )
        self._count += 1
        reservation = Reservation(self._count, bound_tokens, bound_usd)
        self._open[reservation.id] = reservation
        return reservation

    def settle(self, reservation: Reservation, usage: Usage | None) -> None:
        """Replace a reservation by what was used; None: not known, the bound is counted. A second time changes nothing."""
        with self._lock:
            if self._open.pop(reservation.id, None) is None:
                return
            tokens, usd = reservation.tokens, reservation.usd
            if usage is not None:
                tokens, usd = _tokens(usage), usage.cost_usd
            self._overrun += reservation.beyond(usage)
            self._spent = _add(self._spent, Spent(1, tokens, usd))
            waiting, self._settled = self._settled, []
        for turn in waiting:
            turn.get_loop().call_soon_threadsafe(_wake, turn)


def _wake(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)


def _tokens(usage: Usage) -> int:
    return usage.prompt_tokens + usage.completion_tokens


def _add(one: Spent, other: Spent) -> Spent:
    return Spent(one.calls + other.calls, one.tokens + other.tokens, one.usd + other.usd)
