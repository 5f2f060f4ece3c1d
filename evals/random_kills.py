"""kill -9 at random moments: does every run that goes on end with the library of an undisturbed one, and what is paid twice?

    python -m evals.random_kills [KILLS [SEED]]    default 200 kills, seed 0; exit status 1 if a promise is broken

A run of the loop (lab world `specific`, one round, a scripted student that takes 2 ms a reply, 32 calls in flight) is a process of its
own. It is killed after a random time and goes on in the next process, which is killed in turn, until one comes to its end; then the
next run begins. Each run's export must be that of the run that nobody disturbed, and of the calls that had to be made again there must
be no more than were in flight at the kills: those whose answer the log does not hold.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from evals.last_run import taught
from strategist.lab import student
from strategist.lab.worlds import load_world
from strategist.library.export import export_text
from strategist.models.adapters.scripted import ScriptedModel
from strategist.models.open import register_adapter
from strategist.models.protocol import Model
from strategist.project import open_project
from strategist.records.base import digest
from strategist.records.chat import ModelRequest, Reply
from strategist.records.library import SERVABLE
from strategist.settings import GateSettings, ModelSettings, RetrievalSettings, Settings, TeachSettings

LATENCY_S = 0.002
IN_FLIGHT = 32
KILLS = 200
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    ["langgraph.graph", "langgraph.checkpoint.sqlite.aio", "scipy.optimize", "strategist.loop.runner", "strategist.project"]
)


class Log(NamedTuple):
    """What the call log of a run says: attempts, answers that are kept, attempts whose process died before the answer."""

    attempts: int
    answers: int
    lost: int


class Ended(NamedTuple):
    """A run that came to its end: how often it was killed, the hash of its export, its calls."""

    kills: int
    export: str
    log: Log


def settings_in(folder: Path) -> Settings:
    """The settings of a run."""
    return Settings(
        folder=folder,
        domain="lab:specific",
        database=Path("run.db"),
        seed=5,
        student=ModelSettings(model="student", base_url="http://scripted.test", max_in_flight=IN_FLIGHT),
        teach=TeachSettings(rounds=1, conversations=6, scenarios=6, candidates=4, dev_personas=2, max_turns=2),
        gate=GateSettings(look=2, most=8, least=4, fdr=0.3),
        retrieval=RetrievalSettings(embedder="hashed"),
    )


def work(folder: str) -> None:
    """Body of a process: begin the run or go on with it, to its end."""
    world = load_world("specific")

    def answer(request: ModelRequest, draw: int) -> Reply:
        return student.answer(world, request, draw)

    def open_own(settings: ModelSettings) -> Model:
        return ScriptedModel(f"test:{settings.model}", answer, LATENCY_S)

    register_adapter("openai", open_own)
    with open_project(settings_in(Path(folder))) as project:
        asyncio.run(taught(project))


def play(folder: Path, delay: Callable[[], float | None]) -> Ended:
    """A run to its end: each process lives for `delay()` seconds at most (None: to its end)."""
    kills = 0
    while True:
        process = PROCESSES.Process(target=work, args=(str(folder),))
        process.start()
        process.join(delay())
        if process.is_alive() and process.pid is not None:
            os.kill(process.pid, signal.SIGKILL)
            process.join()
        if process.exitcode == 0:
            return Ended(kills, export_hash(folder), log_of(folder))
        if process.exitcode != -signal.SIGKILL:
            raise SystemExit(f"a process ended by itself with code {process.exitcode} after {kills} kills; its run: {folder}")
        kills += 1


def export_hash(folder: Path) -> str:
    """Hash of everything that may reach customers."""
    with open_project(settings_in(folder)) as project:
        library = project.library
        return digest(export_text(library.snapshot(SERVABLE, project.embedder.embedder.id, library.get_floor())))


def log_of(folder: Path) -> Log:
    """The calls of the run."""
    query = "select count(*), sum(status in ('ok', 'failed')), sum(status in ('abandoned', 'sent')) from calls"
    with open_project(settings_in(folder)) as project, project.store.database.reading() as conn:
        attempts, answers, lost = conn.exec_driver_sql(query).one()
    return Log(attempts, answers, lost or 0)


def faults_of(run: Ended, calm: Ended) -> list[str]:
    """Which promises a run broke."""
    again, limit = run.log.attempts - calm.log.attempts, run.kills * IN_FLIGHT
    checks = {
        f"another library: {run.export[:12]} instead of {calm.export[:12]}": run.export != calm.export,
        f"{run.log.answers} answers instead of {calm.log.answers}": run.log.answers != calm.log.answers,
        f"{again} calls made again, but only {run.log.lost} were lost": again > run.log.lost,
        f"{run.log.lost} calls lost in {run.kills} kills, {limit} could be in flight": run.log.lost > limit,
    }
    return [fault for fault, broken in checks.items() if broken]


def main(kills: int = KILLS, seed: int = 0) -> int:
    """Kill until there are enough kills; the exit status."""
    os.environ.setdefault("PYTHONWARNINGS", "ignore::UserWarning:multiprocessing.resource_tracker")  # it finds what the killed left behind
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        play(Path(name) / "warm", lambda: None)  # the server that processes are forked from is up now
        begun = time.monotonic()
        calm = play(Path(name) / "calm", lambda: None)
        length = time.monotonic() - begun
        runs: list[Ended] = []
        faults: list[str] = []
        while sum(run.kills for run in runs) < kills:
            runs.append(play(Path(name) / f"run-{len(runs)}", lambda: chance.uniform(0.05, 0.9) * length))
            faults += [f"run {len(runs) - 1}: {fault}" for fault in faults_of(runs[-1], calm)]
        wall = time.monotonic() - begun
    total, again = sum(run.kills for run in runs), [run.log.attempts - calm.log.attempts for run in runs]
    print(f"undisturbed: {calm.log.attempts} calls in {length:.1f} s, export {calm.export[:12]}; seed {seed}; {wall:.0f} s in all\n")
    print("| runs | kills | most kills of a run | exports equal | calls made again | most a kill | lost at kills | could be in flight |")
    print("|---|---|---|---|---|---|---|---|")
    equal = sum(run.export == calm.export for run in runs)
    most = max((n / run.kills for n, run in zip(again, runs, strict=True) if run.kills), default=0.0)
    lost = sum(run.log.lost for run in runs)
    print(
        f"| {len(runs)} | {total} | {max(run.kills for run in runs)} | {equal} of {len(runs)} | {sum(again)} | {most:.1f} | {lost} "
        f"| {total * IN_FLIGHT} |"
    )
    print("\n".join(faults) or "\nno promise broken")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main(*(int(word) for word in sys.argv[1:3])))
