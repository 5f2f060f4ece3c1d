"""A recorded model in a role: the one way in which the program calls language models.

Owns the order of things for a call: look into the call log, wait for a slot, pass the budget, write the attempt, send, write the answer,
use it. Knows no wire format and no role's prompt. Invariants: a key is paid for once, also when asked for twice at the same time; every
attempt is in the log before it is sent; what cannot be answered is recorded as a failure and raised again on every replay; a server that is
down or overloaded stops the run and records nothing final. A cancelled call leaves its attempt as `sent`.

When the attempts at a call are used up, the model's other answers tell whose fault it is. If a call that began after this one's first
failure was answered, the trouble is this request's: a failure. If none was, it is the server's: the run stops, to be resumed. So that a
request that is never answered cannot stop its run at every resume, the first call of a client to which this happens is recorded as a
failure if it happened to it before, under an earlier client; only the first, since in an outage it happens to many.

A server that answered before and is gone now is waited for, up to `outage_s`: its calls stay where they are, one of them asks again now
and then (the limiter holds back the others), and only then the run stops. What no time mends, a wrong key say, stops it at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from strategist.errors import ModelError, ServerUnavailableError, TransientModelError
from strategist.models.budget import Budget, Reservation, prompt_bound
from strategist.models.limiter import Limiter, Slot
from strategist.models.protocol import Model
from strategist.models.streams import ReplyStream, closing
from strategist.records.base import digest, stable_int
from strategist.records.chat import ModelRequest, Purpose, Reply, RoleName, Usage
from strategist.store import Answer, CallLog

BACKOFF_S, BACKOFF_CAP_S = 0.5, 20.0
OUTAGE_PAUSE_S = (1.0, 120.0)
"""Shortest and longest pause between two questions whether a server is back."""

_Verdict = Literal["again", "wait", "stop", "failed"]
"""What follows from an error: another attempt, another one when the server is back, the end of the run with nothing final, or a recorded
failure."""

_WAITED_FOR: frozenset[Purpose] = frozenset({"serve", "try"})
"""Calls that belong to no run that is resumed: somebody waits for the answer, and may ask again as often as they like."""


@dataclass(frozen=True)
class _Call:
    """One question with everything that identifies it."""

    request: ModelRequest
    request_hash: str
    purpose: Purpose
    sample: int
    key: str
    draw: int


@dataclass
class _Tries:
    """The attempts at one call: the `number` of the present one (1, 2, ...), its place since the last outage, and, once one failed, from
    where on others' answers count."""

    number: int = 1
    place: int = 1
    begun: int | None = None

    def next(self, *, afresh: bool) -> None:
        """Go on to the next attempt; `afresh` after an outage, which says nothing about this call."""
        self.number += 1
        self.place = 1 if afresh else self.place + 1
        self.begun = None if afresh else self.begun


def backoff_s(key: str, attempt: int) -> float:
    """Seconds to wait after attempt 1, 2, ...: doubled each time up to a cap, with a jitter in [0.5, 1) made of the key."""
    jitter = 0.5 + stable_int(key, attempt) / 2**49
    return min(BACKOFF_CAP_S, BACKOFF_S * 2.0 ** (attempt - 1)) * jitter


class ModelClient:
    """Implements Chat. Prices in US dollars per million tokens; `retries` is how often a transient error is tried again, `outage_s` for how
    many seconds a server that answered before is waited for; `notify` is told when that begins and ends."""

    def __init__(
        self,
        model: Model,
        *,
        role: RoleName,
        run: str,
        seed: int,
        calls: CallLog,
        budget: Budget,
        limiter: Limiter,
        retries: int = 4,
        price_in: float = 0.0,
        price_out: float = 0.0,
        outage_s: float = 0.0,
        notify: Callable[[str], None] = lambda text: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.model = model
        self.role: RoleName = role
        self._run, self._seed = run, seed
        self._calls, self._budget, self._limiter = calls, budget, limiter
        self._retries, self._price_in, self._price_out, self._sleep = retries, price_in, price_out, sleep
        self._outage_s, self._notify, self._clock = outage_s, notify, clock
        self._asking: dict[str, asyncio.Event] = {}
        self._unanswered = False
        self._down_since: float | None = None

    @property
    def model_name(self) -> str:
        """The model's identity (see Model.name)."""
        return self.model.name

    async def close(self) -> None:
        """Close the model; safe to call twice."""
        await self.model.close()

    async def ask(self, request: ModelRequest, *, purpose: Purpose, sample: int = 0) -> Reply:
        """Answer from the call log, or by one paid call (see Chat.ask)."""
        call = self._call(request, purpose, sample)
        async with self._alone(call.key):
            answer = self._calls.find(call.key) or await self._pay(call)
        if isinstance(answer, ModelError):
            raise answer
        return answer

    async def stream(self, request: ModelRequest, *, purpose: Purpose, sample: int = 0) -> AsyncIterator[str]:
        """Like `ask`, in pieces; a recorded reply comes as one piece. The whole is recorded at the end, a broken-off stream is not."""
        call = self._call(request, purpose, sample)
        async with self._alone(call.key):
            answer = self._calls.find(call.key)
            if isinstance(answer, Reply):
                yield answer.text
            if answer is None:
                paid = self._pay_streaming(call)
                async with closing(paid):
                    async for item in paid:
                        if isinstance(item, str):
                            yield item
                        else:
                            answer = item
        if isinstance(answer, ModelError):
            raise answer

    async def _pay(self, call: _Call) -> Answer:
        tries = _Tries()
        while True:
            async with self._attempt(call, tries) as attempt:
                try:
                    reply = await self.model.reply(call.request, call.draw)
                except (ModelError, ServerUnavailableError) as error:
                    verdict = self._verdict(error, call, attempt)
                    answer = attempt.failed(error, verdict)
                else:
                    verdict = "again"
                    answer = self._answered(attempt, reply)
            if answer is not None:
                return answer
            await self._before_next(call, tries, verdict)

    async def _pay_streaming(self, call: _Call) -> AsyncIterator[str | Answer]:
        """Yields the pieces, then the answer. Retries only as long as no piece is out."""
        tries = _Tries()
        while True:
            async with self._attempt(call, tries) as attempt:
                pieces: list[str] = []
                stream = self.model.stream(call.request, call.draw)
                try:
                    async with closing(stream):
                        async for piece in stream:
                            pieces.append(piece)
                            yield piece
                except (ModelError, ServerUnavailableError) as error:
                    verdict = self._verdict(error, call, attempt, broken_off=bool(pieces))
                    answer = attempt.failed(error, verdict, broken_off=bool(pieces))
                    if answer is None and pieces:
                        raise
                else:
                    verdict = "again"
                    whole = stream.reply if isinstance(stream, ReplyStream) else None
                    answer = self._answered(attempt, whole or Reply(text="".join(pieces)))
            if answer is not None:
                yield answer
                return
            await self._before_next(call, tries, verdict)

    def _answered(self, attempt: _Attempt, reply: Reply) -> Answer:
        if self._down_since is not None:
            self._notify(f"{self.model_name} answers again, after {_minutes(self._clock() - self._down_since)}")
            self._down_since = None
        return attempt.answered(self._priced(reply))

    async def _before_next(self, call: _Call, tries: _Tries, verdict: _Verdict) -> None:
        """Back off; after an outage the limiter has already said when the next one may start."""
        if verdict != "wait":
            await self._sleep(backoff_s(call.key, tries.place))
        tries.next(afresh=verdict == "wait")

    def _verdict(self, error: ModelError | ServerUnavailableError, call: _Call, attempt: _Attempt, *, broken_off: bool = False) -> _Verdict:
        """What follows from an error (see the module); a stream that is `broken_off` after its first piece is not used up."""
        if isinstance(error, ServerUnavailableError):
            return "wait" if error.passing and self._may_wait(error.message, call, attempt) else "stop"
        if not isinstance(error, TransientModelError):
            return "failed"
        tries = attempt.tries
        if tries.begun is None:
            # Where nothing is tried again, nobody can begin between the first failure and the last: then the attempt's own time must do.
            tries.begun = self._limiter.begun if self._retries else attempt.slot.number
        if broken_off or (tries.place <= self._retries and self._down_since is None):
            return "again"
        if self._limiter.answered_since(tries.begun, self.model.name):
            return "failed"
        if self._may_wait(error.message, call, attempt):
            return "wait"
        first, self._unanswered = not self._unanswered, True
        again = first and call.purpose not in _WAITED_FOR and self._calls.was_exhausted(call.key)
        return "failed" if again else "stop"

    def _may_wait(self, why: str, call: _Call, attempt: _Attempt) -> bool:
        """Whether this is an outage that is not too long yet; then nobody starts before a pause that grows with it."""
        if call.purpose in _WAITED_FOR or not self._limiter.answered_since(0, self.model.name):
            return False
        now = self._clock()
        first = self._down_since is None
        since = self._down_since = now if self._down_since is None else self._down_since
        if now - since >= self._outage_s:
            return False
        if first:
            self._notify(
                f"{why}; waiting for {self.model_name}, {_minutes(self._outage_s)} at most (Ctrl-C stops the run, nothing is lost)"
            )
        shortest, longest = OUTAGE_PAUSE_S
        attempt.slot.throttled(rate_limited=True, retry_after=min(longest, max(shortest, (now - since) / 2)))
        return True

    def _call(self, request: ModelRequest, purpose: Purpose, sample: int) -> _Call:
        request_hash = digest(request)
        identity = {"role": self.role, "model": self.model.name, "seed": self._seed, "purpose": purpose, "sample": sample}
        key = digest({**identity, "request": request_hash})
        return _Call(request, request_hash, purpose, sample, key, stable_int(self._seed, purpose, sample))

    def _priced(self, reply: Reply) -> Reply:
        usage = reply.usage
        cost = (usage.prompt_tokens * self._price_in + usage.completion_tokens * self._price_out) / 1e6
        return reply.model_copy(update={"usage": usage.model_copy(update={"cost_usd": cost})})

    @asynccontextmanager
    async def _alone(self, key: str) -> AsyncIterator[None]:
        """One asker per key at a time: the others then find the answer in the log, or take over if the first was cancelled."""
        while (other := self._asking.get(key)) is not None:
            await other.wait()
        done = self._asking[key] = asyncio.Event()
        try:
            yield
        finally:
            del self._asking[key]
            done.set()

    @asynccontextmanager
    async def _attempt(self, call: _Call, tries: _Tries) -> AsyncIterator[_Attempt]:
        """Slot, budget and log row of one attempt. Whatever ends it, slot and reservation are given back."""
        prompt = prompt_bound(call.request)
        tokens = prompt + call.request.max_tokens
        usd = (prompt * self._price_in + call.request.max_tokens * self._price_out) / 1e6
        async with self._limiter.slot(self.model.name) as slot:
            reservation = await self._budget.acquire(tokens, usd)
            attempt: _Attempt | None = None
            try:
                row = self._calls.begin(
                    key=call.key,
                    run=self._run,
                    attempt=tries.number,
                    role=self.role,
                    model=self.model.name,
                    purpose=call.purpose,
                    sample=call.sample,
                    seed=self._seed,
                    request=call.request,
                    request_hash=call.request_hash,
                    held_tokens=tokens,
                    held_usd=usd,
                )
                attempt = _Attempt(self._calls, slot, row, tries, self.model.name, reservation)
                yield attempt
            finally:
                self._budget.settle(reservation, attempt.usage if attempt is not None else None)


class _Attempt:
    """One attempt that was written down and is to be settled. `usage` None: not known, the upper bound counts."""

    def __init__(self, calls: CallLog, slot: Slot, row: int, tries: _Tries, model: str, reservation: Reservation) -> None:
        self.slot, self.tries = slot, tries
        self._calls, self._row, self._model, self._reservation = calls, row, model, reservation
        self._started = time.perf_counter()
        self.usage: Usage | None = None

    @property
    def _ms(self) -> float:
        return (time.perf_counter() - self._started) * 1000

    def answered(self, reply: Reply) -> Answer:
        """Record what the model said: a reply, or a failure if it is empty or a refusal."""
        self.slot.succeeded()
        usage = reply.usage if reply.usage.reported else None
        over = self._reservation.beyond(usage)
        refused = reply.finish == "refusal"
        if refused or not (reply.text.strip() or reply.tool_calls):
            kind = "refusal" if refused else "empty_reply"
            message = f"the model refuses: {reply.text[:200]}" if refused else "the model's reply is empty"
            answer = self._calls.fail(self._row, kind, message, self._ms, usage=usage, lost=usage is None, over=over)
        else:
            answer = self._calls.succeed(self._row, reply, self._ms, over=over)
        self.usage = usage
        return answer

    def failed(self, error: ModelError | ServerUnavailableError, verdict: _Verdict, *, broken_off: bool = False) -> Answer | None:
        """Record an error as the verdict says; None: it may be tried again. Raises ServerUnavailableError where the run is to stop.

        What came in pieces before it was `broken_off` was worked on, so its usage is not known."""
        transient = error if isinstance(error, TransientModelError) else None
        if transient is not None:
            self.slot.throttled(rate_limited=transient.rate_limited, retry_after=transient.retry_after)
        lost = broken_off or (transient is not None and transient.lost)
        self.usage = None if lost else Usage()
        if isinstance(error, ServerUnavailableError) or verdict != "failed":
            self._calls.retry(self._row, error.message, self._ms, lost=lost, exhausted=verdict == "stop" and transient is not None)
            if verdict == "stop":
                raise error if transient is None else self._unavailable(transient)
            return None
        message = error.message if transient is None else f"{error.message} (tried {self.tries.number} times)"
        return self._calls.fail(self._row, error.kind, message, self._ms, hint=error.hint, lost=lost)

    def _unavailable(self, error: TransientModelError) -> ServerUnavailableError:
        tried = f"{self._model}: tried {self.tries.number} times, and no other call that began meanwhile was answered"
        hint = "start the model server again, or wait until it is less busy; then resume: nothing is lost"
        return ServerUnavailableError(f"{error.message} ({tried})", hint=hint)


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"
