"""Do two teach runs on one library, at the same time, end well?

    python -m evals.teach_together [RUNS [ROUNDS]]    default 2 runs of 3 rounds; part of `python -m evals.many_processes`

Real processes begin their runs on one project at the same moment, as `strategist teach --new` in two terminals. The student is simulated
(lab world `specific`). Both must end by their own rules with nothing paid twice; what each admitted must stand in the library with an
unbroken chain of events; the index must be clean; running a finished run again must change nothing. And each run must still be a pure
function: replayed alone in a fresh library, from its call log and the snapshots its rounds began with, it must leave the same rounds
behind.
Exit status 1 where anything is not so.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
import tempfile
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import text

from evals.library_checks import broken_chains, verify
from strategist.loop.runner import Finished, ended_well, teach
from strategist.project import Project, open_project
from strategist.records.evidence import Evidence
from strategist.records.library import Candidate, Snapshot, text_of
from strategist.records.run import RoundSummary, RunInfo
from strategist.settings import Settings, load_settings

RUNS, ROUNDS = 2, 3
PROCESSES = multiprocessing.get_context("spawn")
# The rate of false discoveries is high so that small runs find something: what is tried here is not the gate.
SETTINGS = """domain = "lab:specific"
seed = {seed}
[student]
adapter = "lab"
model = "specific/student"
max_in_flight = 32
[teach]
rounds = {rounds}
conversations = 24
scenarios = 12
candidates = 6
dev_personas = 4
max_turns = 3
[gate]
look = 2
most = 8
fdr = 0.9
[retrieval]
embedder = "hashed"
"""


class Told(NamedTuple):
    """One run: when it was at work (seconds, one clock for all), how it ended, and how many entries of others its rounds began with."""

    run: str
    begun: float
    ended: float
    calls: int
    admitted: int
    foreign: int
    stop: str


def teach_one(settings: Path, start: Barrier) -> None:
    """Body of a process: begin a new run with the others, and teach it to its end."""
    with open_project(load_settings(settings)) as project:
        start.wait()
        with project.at_work():
            asyncio.run(_to_its_end(project, project.choose_run(resume=False, new=True)))
        asyncio.run(project.catch_up())


async def _to_its_end(project: Project, run: RunInfo) -> Finished:
    async with project.deps(run) as deps:
        return await teach(deps, project.checkpoints, lambda event: None)


def together(folder: Path, runs: int, rounds: int) -> list[str]:
    """Teach all runs at once in a new project of this folder; what went wrong."""
    path = folder / "strategist.toml"
    path.write_text(SETTINGS.format(seed=0, rounds=rounds), encoding="utf-8")
    start = PROCESSES.Barrier(runs, timeout=60)  # one that cannot begin must not leave the others waiting
    processes = [PROCESSES.Process(target=teach_one, args=(path, start)) for _ in range(runs)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(600)
    return [f"process {number} ended with {process.exitcode}" for number, process in enumerate(processes, start=1) if process.exitcode != 0]


def tell(project: Project) -> list[Told]:
    """What each run of a project has to say."""
    own = {run.id: _admitted(project, run.id) for run in project.store.runs()}
    out = []
    for run in project.store.runs():
        with project.store.database.reading() as conn:
            query = text("select min(started_at), max(started_at) from calls where run = :run")
            begun, ended = conn.execute(query, {"run": run.id}).one()
        others = {one for name, texts in own.items() if name != run.id for one in texts} - own[run.id]
        snapshots = project.store.documents(run.id, "snapshot", Snapshot)
        foreign = max((sum(text_of(e.strategies) in others for e in s.entries) for s in snapshots), default=0)
        out.append(
            Told(
                run=run.id,
                begun=_seconds(begun),
                ended=_seconds(ended),
                calls=project.calls.spent(run.id).calls,
                admitted=len(own[run.id]),
                foreign=foreign,
                stop=str(run.stop),
            )
        )
    return out


def faults_of(settings: Settings) -> list[str]:
    """What is not as it must be after all runs have ended."""
    with open_project(settings) as project:
        runs, entries = project.store.runs(), project.library.entries()
        faults = [f"{run.id} ended with {run.stop}" for run in runs if not ended_well(run.stop)]
        faults += broken_chains(project.library.events(), {e.id: e for e in entries})
        with project.store.database.reading() as conn:
            paid = conn.execute(text("select count(*) - count(distinct key) from calls where status = 'ok'")).scalar_one()
            left = conn.execute(text("select count(*) from calls where status not in ('ok', 'failed')")).scalar_one()
        faults += [f"{paid} answers were paid twice"] if paid else []
        faults += [f"{left} calls have no answer"] if left else []
        stored = {text_of(entry.strategies) for entry in entries}
        faults += [f"{run.id} admitted {lines}, which is not stored" for run in runs for lines in _admitted(project, run.id) - stored]
        before = (project.library.version(), [project.calls.spent(run.id) for run in runs])
        for run in runs:
            asyncio.run(_to_its_end(project, run))
        if before != (project.library.version(), [project.calls.spent(run.id) for run in runs]):
            faults.append("running the finished runs again changed something")
        for run in runs:
            faults += replayed(project, run)
    verified = verify(settings.folder)
    return [*faults, *([] if verified.returncode == 0 else [f"`strategist library verify`: {verified.stdout}{verified.stderr}"])]


def replayed(project: Project, run: RunInfo) -> list[str]:
    """Teach a run again alone, in a fresh library, from its call log and the snapshots its rounds began with; how it differs."""
    with tempfile.TemporaryDirectory() as name:
        settings = project.settings.model_copy(update={"folder": Path(name)})
        with open_project(settings) as fresh:
            fresh.calls.copy_from(project.store.path)
            fresh.store.put_run(run.model_copy(update={"stop": None}))
            snapshots = project.store.documents(run.id, "snapshot", Snapshot)
            left = [Snapshot(), *project.store.documents(run.id, "snapshot_after", Snapshot)]
            for round_, (snapshot, before) in enumerate(zip(snapshots, left, strict=False)):
                fresh.store.put_document(run.id, "snapshot", f"r{round_}", round_, 0, snapshot)
                foreign = [e for e in snapshot.entries if e.id not in {own.id for own in before.entries}]
                fresh.library.add(foreign, actor="replay", reason="what others wrote", marker=f"others/r{round_}")
            asyncio.run(_to_its_end(fresh, run))
            faults = [] if fresh.calls.spent(run.id).calls == 0 else [f"{run.id} replayed paid for calls"]
            for kind in ("snapshot_after", "round"):
                record = Snapshot if kind == "snapshot_after" else RoundSummary
                if fresh.store.documents(run.id, kind, record) != project.store.documents(run.id, kind, record):
                    faults.append(f"{run.id} replayed leaves another {kind} behind")
            return faults


def _admitted(project: Project, run: str) -> set[tuple[str, ...]]:
    """The texts that a run admitted."""
    store = project.store
    pairs = zip(store.documents(run, "candidate", Candidate), store.documents(run, "evidence", Evidence), strict=True)
    return {text_of(candidate.strategies) for candidate, evidence in pairs if evidence.decision == "admitted" and candidate.strategies}


def _seconds(stamp: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(stamp).timestamp()


def compare(runs: int = RUNS, rounds: int = ROUNDS) -> bool:
    """Print the table; whether anything is wrong."""
    print(
        f"\nn = {runs} teach runs of {rounds} rounds on one library at the same time, simulated student, seeds 0, 1000, ...\n", flush=True
    )
    with tempfile.TemporaryDirectory() as name:
        begun = time.monotonic()
        faults = together(Path(name), runs, rounds)
        wall_s = time.monotonic() - begun
        settings = load_settings(Path(name) / "strategist.toml")
        with open_project(settings) as project:
            told = tell(project)
        print("| run | at work | calls | texts admitted | of the other's in a round's snapshot | ended |\n|---|---|---|---|---|---|")
        for one in told:
            first = min(other.begun for other in told)
            hours = f"{one.begun - first:.1f} to {one.ended - first:.1f} s"
            print(f"| {one.run} | {hours} | {one.calls:,} | {one.admitted} | {one.foreign} | {one.stop} |", flush=True)
        if len(told) != runs or max(one.begun for one in told) >= min(one.ended for one in told):
            faults.append("the runs were not at work at the same time")
        faults += faults_of(settings)
    print(f"\n{wall_s:.1f} s; ended well, nothing lost, each replayed alone: {'all' if not faults else f'{len(faults)} faults'}")
    for fault in faults[:20]:
        print(f"- {fault}")
    return bool(faults)


def main() -> None:
    sys.exit(compare(*(int(word) for word in sys.argv[1:3])))


if __name__ == "__main__":
    main()
