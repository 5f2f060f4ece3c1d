"""How near does a teach run come to the schedule that costs nothing, and what does a call cost in CPU?

    python -m evals.loop_speed [REPEATS [CONVERSATIONS]]    default 1 and 64; some thousand calls, about two minutes a repeat

A teach run in the lab world `specific` with 500 ms a call and 64 in flight, in real time and on a virtual clock, where waiting and
computing take no time: that is the zero-overhead schedule of the same program, barriers and all. What its barriers cost is a question of
its own: `bound` is the sum over nodes of the larger of critical path (the same run with room for all calls at once) and work (calls x
latency / 64). CPU is the whole process's, less what the simulated student spends on its answers; imports and opening are not counted.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import NamedTuple

from evals.virtual_clock import run_virtually
from strategist.lab import student
from strategist.lab.worlds import load_world
from strategist.library.export import export_text
from strategist.loop import graph
from strategist.loop.deps import NODES, Deps, NodeName, Report
from strategist.loop.runner import teach
from strategist.models.adapters.scripted import ScriptedModel
from strategist.models.open import register_adapter
from strategist.project import Project, open_project
from strategist.records.base import digest
from strategist.records.chat import ModelRequest, Reply
from strategist.records.library import SERVABLE
from strategist.records.run import StopReason
from strategist.settings import ModelSettings, RetrievalSettings, Settings, TeachSettings

LATENCY_S = 0.5
IN_FLIGHT = 64
UNLIMITED = 100_000
CONVERSATIONS = 64
SEED = 0
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
"""Threads that wait for each other count as CPU, on a busy machine as much as they like: with two of them a call cost twice as much."""
CLOCKED: tuple[NodeName, ...] = ("generate", "coach", "admit", "examine")
"""Nodes that ask models."""

Runner = Callable[[Coroutine[object, object, None]], None]


@dataclass
class Seen:
    """What one run took: seconds per node by `clock`, calls per node, CPU of the simulated student."""

    clock: Callable[[], float] = lambda: asyncio.get_running_loop().time()
    seconds: dict[NodeName, float] = field(default_factory=lambda: dict.fromkeys(NODES, 0.0))
    calls: Counter[NodeName] = field(default_factory=Counter)
    answering_s: float = 0.0
    node: NodeName = "generate"


class Ran(NamedTuple):
    """One run: seconds of its clock, CPU seconds without the student's, and a hash of what was learned."""

    seen: Seen
    seconds: float
    cpu_s: float
    learned: str

    @property
    def calls(self) -> int:
        return self.seen.calls.total()


def settings_for(folder: Path, in_flight: int, conversations: int) -> Settings:
    """Default rounds, gate and turns; the other sizes grow with the conversations."""
    return Settings(
        folder=folder,
        domain="lab:specific",
        seed=SEED,
        student=ModelSettings(model="specific/student", base_url=folder.as_uri(), max_in_flight=in_flight),
        teach=TeachSettings(
            conversations=conversations, scenarios=conversations, candidates=max(4, conversations // 2), dev_personas=max(2, conversations)
        ),
        retrieval=RetrievalSettings(embedder="hashed"),
    )


def run_once(run: Runner, *, in_flight: int, conversations: int, latency_s: float = LATENCY_S) -> Ran:
    """One fresh teach run under `run`, a real or a virtual clock."""
    seen = Seen()
    open_models(seen, latency_s)
    with (
        tempfile.TemporaryDirectory() as folder,
        clocked(seen),
        open_project(settings_for(Path(folder), in_flight, conversations)) as project,
    ):
        taken: list[tuple[float, float]] = []

        async def whole() -> None:
            loop = asyncio.get_running_loop()
            async with project.deps(project.choose_run(resume=False, new=False)) as deps:
                began, cpu = loop.time(), time.process_time()
                await teach(deps, project.checkpoints, lambda event: None)
                taken.append((loop.time() - began, time.process_time() - cpu))

        run(whole())
        (seconds, cpu) = taken[0]
        return Ran(seen, seconds, cpu - seen.answering_s, _learned(project))


def open_models(seen: Seen, latency_s: float) -> None:
    """Make the adapter `openai` open the lab's student, which counts its calls and its CPU."""
    world = load_world("specific")

    def answer(request: ModelRequest, draw: int) -> Reply:
        seen.calls[seen.node] += 1
        began = time.thread_time()
        try:
            return student.answer(world, request, draw)
        finally:
            seen.answering_s += time.thread_time() - began

    register_adapter("openai", lambda settings: ScriptedModel(f"openai:{settings.model}", answer, latency_s))


def _learned(project: Project) -> str:
    library = project.library
    return digest(export_text(library.snapshot(SERVABLE, project.embedder.embedder.id, library.get_floor())), 12)


@contextmanager
def clocked(seen: Seen) -> Iterator[None]:
    """The graph's nodes, each with its time by the running loop's clock written down."""
    original = dict(graph.WORK)

    def timed(name: NodeName) -> graph.Node:
        async def node(deps: Deps, round_: int, report: Report) -> StopReason | None:
            began = seen.clock()
            seen.node = name
            try:
                return await original[name](deps, round_, report)
            finally:
                seen.seconds[name] += seen.clock() - began

        return node

    graph.WORK.update({name: timed(name) for name in original})
    try:
        yield
    finally:
        graph.WORK.update(original)


def bound_s(calls: Counter[NodeName], critical: Mapping[NodeName, float], latency_s: float) -> float:
    """Seconds that no schedule with nodes as barriers can go below."""
    return sum(max(critical[name], calls[name] * latency_s / IN_FLIGHT) for name in CLOCKED)


def main(repeats: int = 1, conversations: int = CONVERSATIONS, latency_s: float = LATENCY_S) -> None:
    """Measure in a process with one BLAS thread, as the command line has it, and print."""
    code = f"from evals.loop_speed import *; measure({repeats}, {conversations}, {latency_s})"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, **ONE_THREAD})


def measure(repeats: int, conversations: int, latency_s: float) -> None:
    """Run all and print."""
    run_once(run_virtually, in_flight=2, conversations=2, latency_s=latency_s)  # imports what is imported late
    ideal = run_once(run_virtually, in_flight=IN_FLIGHT, conversations=conversations, latency_s=latency_s)
    free = run_once(run_virtually, in_flight=UNLIMITED, conversations=conversations, latency_s=latency_s)
    real = [run_once(asyncio.run, in_flight=IN_FLIGHT, conversations=conversations, latency_s=latency_s) for _ in range(repeats)]
    bound = bound_s(ideal.seen.calls, free.seen.seconds, latency_s)
    best = min(real, key=lambda ran: ran.seconds)
    runs = f"{repeats} run{'s' if repeats > 1 else ''}"
    learned = ", ".join(sorted({ran.learned for ran in (ideal, free, *real)}))
    print(f"n = {runs} of {ideal.calls} calls, {latency_s * 1000:.0f} ms each, {IN_FLIGHT} in flight, seed {SEED}.")
    print(f"Load {os.getloadavg()[0]:.1f}. Learned: {learned}\n")
    print("| | calls | wall s | zero-overhead s | ratio | bound s | zero-overhead / bound |")
    print("|---|---|---|---|---|---|---|")
    for name in CLOCKED:
        calls = ideal.seen.calls[name]
        least = max(free.seen.seconds[name], calls * latency_s / IN_FLIGHT)
        print(_row(name, calls, best.seen.seconds[name], ideal.seen.seconds[name], least))
    print(_row("whole run, best", ideal.calls, best.seconds, ideal.seconds, bound))
    print(_row("whole run, median", ideal.calls, median(ran.seconds for ran in real), ideal.seconds, bound))
    cpu = [1000 * ran.cpu_s / ran.calls for ran in real]
    own = 1000 * best.seen.answering_s / best.calls
    print(f"\nCPU a call: best {min(cpu):.2f} ms, median {median(cpu):.2f} ms (the simulated student's {own:.2f} ms not counted)")


def _row(name: str, calls: int, wall: float, ideal: float, least: float) -> str:
    return f"| {name} | {calls} | {wall:.1f} | {ideal:.1f} | {wall / ideal:.3f} | {least:.1f} | {ideal / least:.2f} |"


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
