"""Does the wall hold? Runs with 64 calls in flight against servers that fail, talk too long and bill what nobody announced.

    python -m evals.budget_walls [RUNS [FIRST]]    default 1,000 runs with the seeds from 0 on

Each run drives the real client, budget, limiter and call log, in a real database, with limits, prices, prompts, retries and faults drawn
from its seed; the model is scripted. A bookkeeper inside the model counts what really begins and what is really billed, and knows nothing
of the budget. Most runs are stopped by their wall or cancelled half way, and go on in a second part with what the log says is spent.

Promises, each checked at every call: no more calls begin than the limit; none begins whose upper bound does not fit beside what is billed
and what is under way; none is refused that would fit; nothing answered is paid again; the overrun that is recorded is what was billed
beyond the bounds; budget, log and bookkeeper agree; and a server that keeps to its bounds never bills more than the limit. One line and the
seed for each that is broken, and exit status 1.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from strategist.errors import BudgetExceededError, ModelError, ServerUnavailableError, TransientModelError
from strategist.loop.deps import in_order
from strategist.models.budget import Budget, prompt_bound
from strategist.models.client import ModelClient
from strategist.models.limiter import Limiter
from strategist.models.protocol import Model
from strategist.models.streams import ReplyStream
from strategist.records.base import canonical, stable_int
from strategist.records.chat import Message, ModelRequest, Reply, ToolSpec, Usage
from strategist.settings import BudgetSettings
from strategist.store import CallLog, Spent, open_store

RUNS = 1_000
IN_FLIGHT = 64
DUST = 1e-9
"""Dollars that sums of the same floats in another order may differ by."""

Fate = Literal["ok", "silent", "busy", "broken", "late", "bad", "empty", "refusal", "down"]
FATES: tuple[Fate, ...] = ("ok", "silent", "busy", "broken", "late", "bad", "empty", "refusal", "down")
"""A reply; a reply without usage; 429; 500; a time-out that may be billed; 400; an empty reply; a refusal; a server that is gone."""

TOOL = ToolSpec(name="find", description="Find a parcel.", parameters={"type": "object", "properties": {"number": {"type": "string"}}})


class Job(NamedTuple):
    """One question. `streamed`: asked as a stream, and broken off by the asker behind that many pieces (0: never)."""

    role: int
    request: ModelRequest
    sample: int
    streamed: bool
    leave_after: int


class Plan(NamedTuple):
    """One run, all of it drawn from its seed. `parts`: the limits of each part, and the call at which it is cancelled (0: never)."""

    seed: int
    jobs: tuple[Job, ...]
    prices: tuple[tuple[float, float], ...]
    parts: tuple[tuple[BudgetSettings, int], ...]
    weights: tuple[float, ...]
    honest: bool
    retries: int
    ordered: bool

    @property
    def limited(self) -> str:
        """Which limits the run has."""
        limits = self.parts[0][0]
        return " + ".join(name for name in ("calls", "tokens", "usd") if getattr(limits, name) is not None) or "none"


class Asks(Protocol):
    """Puts one job to a client, and tells the bookkeeper of a refusal."""

    async def __call__(self, index: int, job: Job, /) -> None: ...


class Bookkeeper:
    """What really begins and what is really billed, counted where the server stands. `broken` holds a line per broken promise."""

    def __init__(self) -> None:
        self.broken: list[str] = []
        self.limits = BudgetSettings()
        self.known = Spent()  # what the client can know: an attempt whose bill it never saw counts with its bound
        self.billed = Spent()
        self.over = (0, 0.0)
        self.under_way: dict[int, Spent] = {}
        self.peak = 0
        self.answered: set[tuple[str, str, int]] = set()
        self.walls = 0

    @property
    def held(self) -> Spent:
        """What is known to be billed, and the bounds of what is under way."""
        return _sum(self.known, *self.under_way.values())

    def begins(self, model: str, request: ModelRequest, draw: int, bound: Spent) -> int:
        """A request reached the server."""
        if (model, canonical(request), draw) in self.answered:
            self.broken.append("a call that was answered before began again")
        if (lack := beyond(self.limits, _sum(self.held, bound))) is not None:
            self.broken.append(f"a call began that does not fit: {lack}")
        number = self.known.calls + len(self.under_way) + 1
        self.under_way[number] = bound
        self.peak = max(self.peak, len(self.under_way))
        return number

    def ends(self, number: int, bill: Spent, *, seen: bool) -> None:
        """The server billed this; `seen`: the client was told."""
        bound = self.under_way.pop(number)
        self.billed = _sum(self.billed, bill)
        known = bill if seen else bound
        self.known = _sum(self.known, known)
        self.over = (self.over[0] + max(0, known.tokens - bound.tokens), self.over[1] + max(0.0, known.usd - bound.usd))

    def refused(self, bound: Spent) -> None:
        """The wall stopped a call: it must not have fitted, be what is under way ever so cheap in the end."""
        self.walls += 1
        if beyond(self.limits, _sum(self.known._replace(calls=self.held.calls), bound)) is None:
            self.broken.append("a call was refused that fits")


class Server:
    """A scripted model: fate and bill of every attempt come from the plan's seed, the question and how often it was asked."""

    def __init__(self, name: str, plan: Plan, role: int, books: Bookkeeper) -> None:
        self._name, self._plan, self._role, self._books = name, plan, role, books
        self._asked: defaultdict[int, int] = defaultdict(int)

    @property
    def name(self) -> str:
        return self._name

    async def reply(self, request: ModelRequest, draw: int) -> Reply:
        pieces = [item async for item in self._pieces(request, draw, streamed=False)]
        return pieces[-1]  # type: ignore[return-value]

    def stream(self, request: ModelRequest, draw: int) -> ReplyStream:
        return ReplyStream(self._pieces(request, draw, streamed=True))

    async def close(self) -> None: ...

    async def _pieces(self, request: ModelRequest, draw: int, *, streamed: bool) -> AsyncGenerator[str | Reply]:
        self._asked[draw] += 1
        chance = random.Random(stable_int(self._plan.seed, self._role, draw, self._asked[draw]))
        fate = chance.choices(FATES, self._plan.weights)[0]
        bill = self._bill(request, chance)
        number = self._books.begins(self._name, request, draw, bound_of(request, self._plan.prices[self._role]))
        paid, seen = self._spent(bill), False
        try:
            for _ in range(chance.randrange(1, 9)):
                await asyncio.sleep(0)
            if streamed:
                for _ in range(chance.randrange(1, 4)):
                    if fate in ("ok", "silent"):
                        yield "word "
                    await asyncio.sleep(0)
            if fate in ("busy", "broken", "bad", "down"):
                paid, seen = Spent(1), True
                if fate == "bad":
                    self._books.answered.add((self._name, canonical(request), draw))
                raise _error(fate)
            if fate == "late":
                raise TransientModelError("no answer in time", lost=True)
            self._books.answered.add((self._name, canonical(request), draw))
            seen = fate != "silent"
            text, finish = ("", "stop") if fate == "empty" else ("No.", "refusal") if fate == "refusal" else ("A reply.", "stop")
            yield Reply.model_validate({"text": text, "finish": finish, "usage": bill if seen else Usage()})
        finally:
            self._books.ends(number, paid, seen=seen)

    def _bill(self, request: ModelRequest, chance: random.Random) -> Usage:
        """At worst a token a byte and all that was announced; a server that is not honest adds to both."""
        prompt = chance.randrange(1, 1 + len(canonical([message.wire() for message in request.messages]).encode()))
        reply = chance.randrange(1, 1 + request.max_tokens)
        if not self._plan.honest and chance.random() < 0.3:
            prompt += chance.choice((0, 0, 50, 5_000))  # hidden tokens
            reply = request.max_tokens + chance.randrange(1, 3_000)  # longer than announced
        return Usage(prompt_tokens=prompt, completion_tokens=reply)

    def _spent(self, usage: Usage) -> Spent:
        return Spent(1, usage.prompt_tokens + usage.completion_tokens, _price(usage, self._plan.prices[self._role]))


def _error(fate: Fate) -> Exception:
    if fate == "busy":
        return TransientModelError("slow down", rate_limited=True)
    if fate == "broken":
        return TransientModelError("the server failed")
    return ModelError("the request is not valid") if fate == "bad" else ServerUnavailableError("the server is gone")


def bound_of(request: ModelRequest, prices: tuple[float, float]) -> Spent:
    """The upper bound of one attempt: all bytes of the prompt and all announced tokens, at list price."""
    usage = Usage(prompt_tokens=prompt_bound(request), completion_tokens=request.max_tokens)
    return Spent(1, usage.prompt_tokens + usage.completion_tokens, _price(usage, prices))


def beyond(limits: BudgetSettings, total: Spent) -> str | None:
    """Which limit a total is beyond."""
    for name, most, has in (
        ("calls", limits.calls, total.calls),
        ("tokens", limits.tokens, total.tokens),
        ("usd", limits.usd, total.usd - DUST),
    ):
        if most is not None and has > most:
            return f"{has} of {most} {name}"
    return None


def plan_of(seed: int) -> Plan:
    """The run of a seed."""
    chance = random.Random(stable_int("budget walls", seed))
    prices = tuple((chance.choice((0.0, 0.1, 2.5)), chance.choice((0.4, 10.0))) for _ in range(2))
    jobs = [_job(chance) for _ in range(chance.randrange(64, 129))]
    jobs += chance.sample(jobs, 8)  # asked twice, mostly at the same time
    chance.shuffle(jobs)
    bounds = [bound_of(job.request, prices[job.role]) for job in jobs]
    first = _limits(chance, _sum(*bounds))
    later = {name: most * 2 for name, most in first.model_dump().items() if most is not None}
    cut = chance.randrange(1, len(jobs)) if chance.random() < 0.25 else 0
    parts = ((first, cut), (first if chance.random() < 0.5 else BudgetSettings.model_validate(later), 0))
    rough = chance.random()  # from a server that mostly works to one that mostly does not
    weights = (6.0, 0.6 * rough, 2 * rough, rough, rough, 0.3 * rough, 0.2 * rough, 0.2 * rough, 0.02 * rough)
    return Plan(seed, tuple(jobs), prices, parts, weights, chance.random() < 0.4, chance.choice((0, 1, 4)), chance.random() < 0.5)


def _job(chance: random.Random) -> Job:
    words = chance.choice(("parcel ", "größer ", "漢字 ")) * chance.randrange(1, 60)
    messages = [Message(role="user", content=words)] * chance.choice((1, 1, 2, 5))
    tools = (TOOL,) if chance.random() < 0.2 else ()
    request = ModelRequest(messages=tuple(messages), max_tokens=chance.choice((1, 20, 200, 1_000)), tools=tools)
    streamed = chance.random() < 0.15
    return Job(chance.randrange(2), request, chance.randrange(10**6), streamed, chance.choice((0, 0, 1)) if streamed else 0)


def _limits(chance: random.Random, demand: Spent) -> BudgetSettings:
    """Each kind of limit in half of the runs: from a small part of what would be needed at most to more than all of it."""
    share = {name: chance.uniform(0.02, 1.3) if chance.random() < 0.5 else None for name in ("calls", "tokens", "usd")}
    most = {name: None if part is None else part * getattr(demand, name) for name, part in share.items()}
    whole = {name: None if most[name] is None else max(1, int(most[name] or 0)) for name in ("calls", "tokens")}
    return BudgetSettings.model_validate({**whole, "usd": most["usd"]})


async def play(plan: Plan, database: Path, books: Bookkeeper, models: Sequence[Model] | None = None) -> None:
    """All parts of one run; what is broken stands in the books. `models`: servers to ask instead of the scripted ones."""
    run = f"run-{plan.seed}"
    servers = models or [Server(f"server-{role}", plan, role, books) for role in range(2)]
    for limits, cut in plan.parts:
        with open_store(database) as store:
            log = CallLog(store)
            log.mark_abandoned(run)
            _agree(books, "the log from which the next part begins", log.spent(run))
            budget, limiter = Budget(limits, log.spent(run), log.overrun(run)), Limiter(IN_FLIGHT)
            books.limits = limits
            clients = [
                ModelClient(
                    model, role="student", run=run, seed=plan.seed, calls=log, budget=budget, limiter=limiter, retries=plan.retries,
                    price_in=price_in, price_out=price_out, sleep=_tick,
                )
                for model, (price_in, price_out) in zip(servers, plan.prices, strict=True)
            ]  # fmt: skip
            await _part(plan, _asker(plan, clients, books), books, cut)
            _agree(books, "the budget", budget.spent)
            _agree(books, "the log", log.spent(run))
            for whose, over in (("budget", budget.overrun), ("log", log.overrun(run))):
                if over.tokens != books.over[0] or abs(over.usd - books.over[1]) > DUST:
                    books.broken.append(f"the {whose}'s overrun is {over}, billed beyond the bounds were {books.over}")
            if budget.in_flight or limiter.in_flight or books.under_way:
                books.broken.append(f"left in flight: {budget.in_flight} in the budget, {limiter.in_flight} in the limiter")
    for (limits, _), name in ((part, name) for part in plan.parts[-1:] for name in ("tokens", "usd")):
        most, has = getattr(limits, name), getattr(books.billed, name)
        if plan.honest and most is not None and has > most + DUST:
            books.broken.append(f"an honest server billed {has} of {most} {name}")


async def _part(plan: Plan, ask: Asks, books: Bookkeeper, cut: int) -> None:
    """Ask everything; stop as the loop does, or let every question run into the wall; cancel at the `cut`-th call of the run."""

    async def single(index: int, job: Job) -> None:
        with suppress(ModelError):
            await ask(index, job)

    async def each(index: int, job: Job) -> None:
        with suppress(BudgetExceededError, ServerUnavailableError):
            await single(index, job)

    work = in_order(single if plan.ordered else each, plan.jobs, lambda done, total: None, lanes=IN_FLIGHT)
    task = asyncio.ensure_future(work)
    while cut and not task.done() and books.held.calls < cut:
        await asyncio.sleep(0)
    if cut:
        task.cancel()
    try:
        await asyncio.wait_for(task, 60)
    except (BudgetExceededError, ServerUnavailableError):
        pass
    except asyncio.CancelledError:
        if not cut:
            raise
    except TimeoutError:
        books.broken.append("the run hangs")


def _asker(plan: Plan, clients: Sequence[ModelClient], books: Bookkeeper) -> Asks:
    async def ask(_: int, job: Job) -> None:
        client = clients[job.role]
        try:
            if not job.streamed:
                await client.ask(job.request, purpose="admit", sample=job.sample)
                return
            async with aclosing(client.stream(job.request, purpose="admit", sample=job.sample)) as pieces:  # type: ignore[type-var]
                count = 0
                async for _piece in pieces:
                    count += 1
                    if count == job.leave_after:
                        break
        except BudgetExceededError:
            books.refused(bound_of(job.request, plan.prices[job.role]))
            raise

    return ask


def _agree(books: Bookkeeper, whose: str, spent: Spent) -> None:
    if spent[:2] != books.known[:2] or abs(spent.usd - books.known.usd) > DUST:
        books.broken.append(f"{whose} has {spent}, the bookkeeper {books.known}")


def _price(usage: Usage, prices: tuple[float, float]) -> float:
    return (usage.prompt_tokens * prices[0] + usage.completion_tokens * prices[1]) / 1e6


def _sum(*parts: Spent) -> Spent:
    return Spent(sum(p.calls for p in parts), sum(p.tokens for p in parts), sum(p.usd for p in parts))


async def _tick(seconds: float) -> None:
    await asyncio.sleep(0)


class Line(NamedTuple):
    """One run as the table needs it: walls hit, calls begun, most in flight, tokens beyond the bounds, share of each limit, faults."""

    plan: Plan
    books: Bookkeeper


def main() -> int:
    """The study; the exit status."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    done: defaultdict[str, list[Line]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, first + runs):
            plan, books = plan_of(seed), Bookkeeper()
            asyncio.run(play(plan, Path(folder) / "calls.db", books))
            done[plan.limited].append(Line(plan, books))
    lines = [line for kind in done.values() for line in kind]
    print(f"n = {runs} runs in two parts each, seeds {first} to {first + runs - 1}, {IN_FLIGHT} calls in flight.\n")
    print("| limits | runs | met the wall | calls begun | most in flight | calls of limit, at most | tokens beyond bounds | broken |")
    print("|---|---|---|---|---|---|---|---|")
    for name, kind in [*sorted(done.items()), ("all", lines)]:
        print(_row(name, kind))
    broken = [(line.plan.seed, what) for line in lines for what in line.books.broken]
    for seed, what in broken[:20]:
        print(f"\nseed {seed}: {what}\n  repeat: python -m evals.budget_walls 1 {seed}")
    return int(bool(broken))


def _row(name: str, kind: Sequence[Line]) -> str:
    begun = sum(line.books.known.calls for line in kind)
    limits = [(line.books.known.calls, line.plan.parts[-1][0].calls) for line in kind]
    share = max((has / most for has, most in limits if most is not None), default=None)
    cells = [
        name,
        f"{len(kind):,}",
        f"{sum(line.books.walls > 0 for line in kind):,}",
        f"{begun:,}",
        str(max(line.books.peak for line in kind)),
        "-" if share is None else f"{share:.3f}",
        f"{sum(line.books.over[0] for line in kind):,}",
        str(sum(len(line.books.broken) for line in kind)),
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
