"""What the nodes of the loop work with, and how they report progress.

Nodes get `Deps` bound when the graph is built; the graph's state holds ids and counters only. Everything a node produces goes to the store
under ids made of run, round and index, so that running a node twice changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NotRequired, Protocol, TypedDict, TypeVar

from strategist.agent import Agent, GuidanceSource, agent_for
from strategist.domains.domain import Domain
from strategist.errors import BudgetExceededError
from strategist.library.library import Library
from strategist.models.protocol import Chat
from strategist.records.base import Record
from strategist.records.evidence import JudgedBy
from strategist.records.library import SERVABLE, Snapshot
from strategist.records.run import RunInfo, StopReason
from strategist.retrieval.embed import Embedder
from strategist.retrieval.retriever import Retriever
from strategist.roles.protocols import Actor, Advisor, Customer, Judge
from strategist.settings import Settings
from strategist.store import Store

NodeName = Literal["generate", "select", "coach", "admit", "consolidate", "examine"]
NODES: tuple[NodeName, ...] = ("generate", "select", "coach", "admit", "consolidate", "examine")

T = TypeVar("T")
R = TypeVar("R")


class LoopState(TypedDict, total=False):
    """The graph's state: no texts, so that checkpoints stay small."""

    run_id: str
    round: int
    stop: StopReason | None
    done: str


class Booked(Record):
    """A node of a round that is done, written behind everything else that it writes: `done` in the graph's state is its id."""

    node: NodeName
    round: int


class Progress(TypedDict):
    """One progress event: `done` of `total` units of a node; calls paid and money spent so far by the run.

    `what` names the units where they are not the node's usual ones."""

    node: NodeName
    round: int
    done: int
    total: int
    calls: int
    cost_usd: float
    what: NotRequired[str]


Count = Callable[[int, int], None]
"""Told (done, total)."""


class Report(Protocol):
    """Told how far the running node is."""

    def __call__(self, done: int, total: int, what: str = "", /) -> None:
        """`done` of `total` units; `what` as in Progress."""
        ...


@dataclass(frozen=True)
class Deps:
    """One run's parts. `teacher` is None where the advisor cannot act (the handbook); `judge` where checks decide, else `judged` says how
    far it can be trusted."""

    settings: Settings
    domain: Domain
    store: Store
    library: Library
    embedder: Embedder
    student: Chat
    advisor: Advisor
    customer: Customer
    run: RunInfo
    teacher: Actor | None = None
    judge: Judge | None = None
    judged: JudgedBy | None = None
    spent: Callable[[], tuple[int, float]] = field(default=lambda: (0, 0.0))

    def agent(self, source: GuidanceSource | None) -> Agent:
        """The student with guidance from `source`."""
        return agent_for(self.student, self.domain, self.settings.student, source)

    @property
    def lanes(self) -> int:
        """How many conversations, or other strings of calls, are under way at a time: as many as the student's server takes at once."""
        return self.settings.student.max_in_flight

    async def retriever(self, snapshot: Snapshot) -> Retriever:
        """The exact ranking over a snapshot: inside the loop nothing else ranks."""
        return await Retriever.build(snapshot, self.embedder, self.settings.retrieval, language=self.domain.language)

    def library_now(self) -> Snapshot:
        """What can be used of the library at this moment."""
        return self.library.snapshot(SERVABLE, self.embedder.id, self.library.get_floor())

    def snapshot(self, round_: int) -> Snapshot:
        """The snapshot round `round_` works on: taken once, then read back, whatever others write meanwhile."""
        name = f"r{round_}"
        stored = self.store.get_document(self.run.id, "snapshot", name, Snapshot)
        if stored is None:
            stored = self.library_now()
            self.store.put_document(self.run.id, "snapshot", name, round_, 0, stored)
        return stored


async def in_order(work: Callable[[int, T], Awaitable[R]], items: Sequence[T], report: Count, *, lanes: int) -> list[R]:
    """Run `work(index, item)` for `lanes` items at a time and return the results in item order; the first error cancels the rest.

    How many calls are really in flight is the limiter's business; with as many lanes as the server has slots, a conversation finds its
    beginning in the server's prefix cache at every turn, which all of them at once would push out. At the end of the budget what is under
    way is waited for: it is paid, nothing new starts beside it, and its replies are kept for the run that goes on from here.
    """
    done = 0
    report(0, len(items))
    free = asyncio.Semaphore(lanes)
    over: list[BudgetExceededError] = []

    async def one(index: int, item: T) -> R:
        nonlocal done
        async with free:
            if over:
                raise over[0]
            try:
                result = await work(index, item)
            except BudgetExceededError as error:
                over.append(error)
                raise
        done += 1
        report(done, len(items))
        return result

    tasks = [asyncio.ensure_future(one(index, item)) for index, item in enumerate(items)]
    try:
        return list(await asyncio.gather(*tasks))
    except BudgetExceededError:
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
