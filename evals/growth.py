"""What grows how with the number of traces: memory, database, derived index, checkpoints, CPU.

    python -m evals.growth [FACTOR ...]    default 1 10; 100 takes long, see docs/performance.md

Two rounds in the lab world `specific` with 24, 240 (2400) conversations a round and, in the same proportion, coached states and dev
customers, each size in a process of its own, on a virtual clock (evals.virtual_clock). Candidates stay 16 a round. Printed per size: what
there is, CPU per trace and per call without the simulated student's, CPU seconds per node, peak memory above that of a tiny run, bytes on
the disk. Linear is what stays the same per trace.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from evals.loop_speed import ONE_THREAD, Seen, clocked, open_models, run_once
from evals.virtual_clock import run_virtually
from strategist.loop.deps import NODES
from strategist.loop.runner import teach
from strategist.project import open_project
from strategist.settings import ModelSettings, RetrievalSettings, Settings, TeachSettings

CONVERSATIONS = 24
FACTORS = (1, 10)
SEED = 0
ROUNDS = 2


class Size(NamedTuple):
    """One size: counts, CPU in seconds, memory and files in bytes."""

    factor: int
    traces: int
    calls: int
    cpu_s: float
    nodes: dict[str, float]
    memory: int
    database: int
    indexed: int
    checkpoints: int


def settings_for(folder: Path, factor: int, conversations: int) -> Settings:
    """Two rounds of `factor` times the sizes that go with so many conversations."""
    many = factor * conversations
    return Settings(
        folder=folder,
        domain="lab:specific",
        seed=SEED,
        student=ModelSettings(model="specific/student", base_url=folder.as_uri(), max_in_flight=64),
        teach=TeachSettings(rounds=ROUNDS, conversations=many, scenarios=many, dev_personas=max(2, many * 2 // 3)),
        retrieval=RetrievalSettings(embedder="hashed"),
    )


def measure(factor: int, conversations: int) -> Size:
    """Run one size in this process, which should be new: memory is a peak."""
    run_once(run_virtually, in_flight=2, conversations=2)  # imports what is imported late
    before, seen = _peak(), Seen(clock=time.process_time)
    with tempfile.TemporaryDirectory() as home, clocked(seen), open_project(settings_for(Path(home), factor, conversations)) as project:
        open_models(seen, 0.5)

        async def whole() -> None:
            async with project.deps(project.choose_run(resume=False, new=False)) as deps:
                await teach(deps, project.checkpoints, lambda event: None)

        began = time.process_time()
        run_virtually(whole())
        cpu = time.process_time() - began - seen.answering_s
        memory = _peak() - before
        asyncio.run(project.catch_up())
        traces = sum(1 for _ in project.store.traces("run-001"))
        nodes: dict[str, float] = {name: seen.seconds[name] for name in NODES}
        project.store.close()
        files = [_bytes(place) for place in (project.settings.database_path, project.index_folder, project.checkpoints)]
        return Size(factor, traces, seen.calls.total(), cpu, nodes, memory, *files)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _bytes(place: Path) -> int:
    """A file with its journals, or a folder with all that is in it."""
    files = place.rglob("*") if place.is_dir() else place.parent.glob(f"{place.name}*")
    return sum(file.stat().st_size for file in files if file.is_file())


def main(factors: Sequence[int] = FACTORS, conversations: int = CONVERSATIONS) -> None:
    """Measure each size in a process of its own and print."""
    print(f"n = 1 run a size, {ROUNDS} rounds, seed {SEED}, hashed embedder, one BLAS thread. In all, and per trace.\n")
    print("| size | traces | calls | CPU a call | CPU a trace | memory | database | index | checkpoints |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    sizes = []
    for factor in factors:
        s = _in_new_process(factor, conversations)
        sizes.append(s)
        per = [f"{n / 1e6:.1f} MB ({n / 1e3 / s.traces:.1f} kB)" for n in (s.memory, s.database, s.indexed, s.checkpoints)]
        cpu = f"{1e3 * s.cpu_s / s.calls:.1f} ms | {1e3 * s.cpu_s / s.traces:.1f} ms"
        print(f"| {s.factor}x | {s.traces} | {s.calls} | {cpu} | {' | '.join(per)} |", flush=True)
    print(f"\n| CPU s | {' | '.join(NODES)} |\n|{'---|' * (1 + len(NODES))}")
    for s in sizes:
        print(f"| {s.factor}x | {' | '.join(f'{s.nodes[name]:.1f}' for name in NODES)} |")


def _in_new_process(factor: int, conversations: int) -> Size:
    code = f"from evals.growth import *; print(json.dumps(measure({factor}, {conversations})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, **ONE_THREAD})
    return Size(*json.loads(done.stdout))


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or FACTORS)
