"""kill -9 anywhere, resume in a fresh process: the library of an undisturbed run, and nothing paid twice beyond what was in flight.

A run is killed at one failpoint after the other, each time in a process of its own, and goes on in the next one.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import pytest

from strategist.library.library import Library
from strategist.loop import graph
from strategist.loop.deps import Deps, NodeName, Report
from strategist.models.adapters.scripted import AnswerFunction
from strategist.project import open_project
from strategist.records.chat import ModelRequest, Reply
from strategist.records.library import Floor
from strategist.records.run import RoundSummary, StopReason
from strategist.store.store import Store
from tests.loop.conftest import Undisturbed
from tests.loop.small import IN_FLIGHT, export_of, paid, small, teach_small, use_models

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    ["langgraph.graph", "langgraph.checkpoint.sqlite.aio", "scipy.optimize", "scipy.stats", "tests.loop.small"]
)


class Failpoint(NamedTuple):
    """Where a process kills itself: in a node of a round, before or after its work (the checkpoint is not written yet), in its n-th model
    call, at its first or second write of documents, or after the library has the entries and before it has the floor."""

    node: NodeName
    round: int
    when: Literal["before", "after", "call", "write", "floor"]
    nth: int = 1


CHAIN = (
    Failpoint("generate", 0, "call", 9),
    Failpoint("select", 0, "write"),
    Failpoint("coach", 0, "call", 5),
    Failpoint("coach", 0, "write", 2),
    Failpoint("admit", 0, "call", 15),
    Failpoint("admit", 0, "after"),
    Failpoint("consolidate", 0, "floor"),
    Failpoint("examine", 0, "call", 3),
    Failpoint("generate", 1, "after"),
    Failpoint("consolidate", 1, "after"),
    Failpoint("examine", 1, "after"),
)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Trap:
    """Counts what happens while the failpoint's node of its round is at work, and kills the process at the count."""

    def __init__(self, point: Failpoint) -> None:
        self.point = point
        self.armed = False
        self.seen = 0

    def count(self, what: str) -> None:
        if self.armed and what == self.point.when:
            self.seen += 1
            if self.seen == self.point.nth:
                die()

    def node(self, work: graph.Node) -> graph.Node:
        async def run(deps: Deps, round_: int, report: Report) -> StopReason | None:
            self.armed = round_ == self.point.round
            self.count("before")
            stop = await work(deps, round_, report)
            self.count("after")
            self.armed = False
            return stop

        return run

    def answer(self, answer: AnswerFunction) -> AnswerFunction:
        def counted(request: ModelRequest, draw: int) -> Reply | str:
            self.count("call")
            return answer(request, draw)

        return counted

    def set(self) -> None:
        """Put the trap into this process, which dies of it."""
        graph.WORK[self.point.node] = self.node(graph.WORK[self.point.node])
        use_models(student=self.answer, latency_s=0.001)
        put, set_floor = Store.put_documents, Library.set_floor

        def counted_put(store: Store, run: str, kind: str, items: object) -> None:
            self.count("write")
            put(store, run, kind, items)  # type: ignore[arg-type]

        def counted_floor(library: Library, floor: Floor | None, *, actor: str = "strategist", reason: str = "") -> None:
            self.count("floor")
            set_floor(library, floor, actor=actor, reason=reason)

        Store.put_documents = counted_put  # type: ignore[method-assign, assignment]
        Library.set_floor = counted_floor  # type: ignore[method-assign, assignment]


def work_until(folder: str, point: Failpoint | None, resume: bool) -> None:
    """Body of a process: teach until the failpoint, or to the end."""
    use_models()
    if point is not None:
        Trap(point).set()
    teach_small(small(Path(folder)), resume=resume)


def in_a_process(body: Callable[..., None], *args: object) -> int | None:
    """Run it in a fresh process and return its exit code: minus the signal where one killed it."""
    process = PROCESSES.Process(target=body, args=args)
    process.start()
    process.join(timeout=60)
    return process.exitcode


def replies_of(folder: Path) -> int:
    with open_project(small(folder)) as project:
        return project.calls.replies("run-001", "student")


@pytest.mark.usefixtures("own_models")
def test_killed_at_every_node_a_run_ends_like_an_undisturbed_one(tmp_path: Path, undisturbed: Undisturbed) -> None:
    for number, point in enumerate(CHAIN):
        assert in_a_process(work_until, str(tmp_path), point, number > 0) == -signal.SIGKILL, point
    assert in_a_process(work_until, str(tmp_path), None, True) == 0
    settings = small(tmp_path)
    assert export_of(settings) == undisturbed.export
    with open_project(settings) as project:
        last = project.last_run()
        assert last is not None
        assert last.stop == "rounds"
    assert replies_of(tmp_path) == replies_of(undisturbed.settings.folder) == undisturbed.paid
    twice = paid(settings) - undisturbed.paid
    killed_in_calls = sum(point.when == "call" for point in CHAIN)
    assert 0 < twice <= killed_in_calls * IN_FLIGHT


@pytest.mark.usefixtures("own_models")
def test_a_finished_run_run_again_changes_nothing(undisturbed: Undisturbed) -> None:
    from tests.loop.small import run_on

    with open_project(undisturbed.settings) as project:
        events = len(project.library.events())
        run = project.last_run()
        assert run is not None
        again = asyncio.run(run_on(project, run))
        assert again == undisturbed.finished
        assert len(project.library.events()) == events
    assert paid(undisturbed.settings) == undisturbed.paid
    assert export_of(undisturbed.settings) == undisturbed.export


@pytest.mark.usefixtures("own_models")
def test_every_node_may_run_twice(undisturbed: Undisturbed) -> None:
    """All nodes of all rounds once more over the finished database: no call is paid, and nothing changes in the library or in what the
    rounds say of themselves."""
    with open_project(undisturbed.settings) as project:
        run = project.last_run()
        assert run is not None
        rounds = project.store.documents(run.id, "round", RoundSummary)

        async def again() -> None:
            async with project.deps(run) as deps:
                for round_ in range(2):
                    for name in ("coach", "admit", "consolidate", "examine"):
                        await graph.WORK[name](deps, round_, lambda done, total, what="": None)

        asyncio.run(again())
        assert project.store.documents(run.id, "round", RoundSummary) == rounds
    assert paid(undisturbed.settings) == undisturbed.paid
    assert export_of(undisturbed.settings) == undisturbed.export
