"""The loop end to end through the command, in the lab's world `specific`: what is in the library, and why."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import pairwise
from pathlib import Path

import pytest

from strategist.cli.teach import run as teach_command
from strategist.library.export import content_hash, read_export
from strategist.project import Project, open_project
from strategist.records.evidence import Evidence
from strategist.records.library import Candidate
from strategist.records.run import RoundSummary
from strategist.settings import Settings, load_settings
from tests.loop.conftest import Undisturbed
from tests.loop.small import SEED, export_of, paid, small, teach_small
from tests.loop.test_durability import PROCESSES

TOML = """
domain = "lab:specific"
database = "run.db"
seed = 3

[student]
adapter = "lab"
model = "specific/student"
max_in_flight = 8

[teach]
rounds = 2
conversations = 10
scenarios = 10
candidates = 4
dev_personas = 2
max_turns = 2

[gate]
look = 1
most = 5
fdr = 0.5

[retrieval]
embedder = "hashed"
"""


def new_project(folder: Path) -> Path:
    path = folder / "strategist.toml"
    path.write_text(TOML, encoding="utf-8")
    return path


def command(path: Path, *, resume: bool = False, new: bool = False, replay_from: Path | None = None) -> None:
    teach_command(path, resume=resume, new=new, rounds=None, replay_from=replay_from, quiet=True)


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The settings file of a project that `strategist teach` was run in."""
    path = new_project(tmp_path_factory.mktemp("lab"))
    command(path)
    return path


@pytest.fixture
def project(taught: Path) -> Iterator[Project]:
    with open_project(load_settings(taught)) as opened:
        yield opened


def copied(settings: Settings, folder: Path) -> None:
    """Copy a project's database (closed, so it is one file) with its checkpoints."""
    for path in settings.folder.glob("run*.db"):
        shutil.copy(path, folder)


def test_entries_are_admitted_each_with_its_evidence(project: Project) -> None:
    run = project.last_run()
    assert run is not None
    assert (run.id, run.seed, run.stop) == ("run-001", 3, "rounds")
    entries = project.library.entries()
    assert entries
    for entry in entries:
        assert (entry.status, entry.student, entry.advisor) == ("admitted", "lab:specific/student", "handbook")
        assert entry.evidence is not None
        assert entry.evidence.decision == "admitted"
        assert entry.evidence.q <= 0.5
        assert entry.brief_hash == project.domain.brief_hash
        if not entry.is_control:
            assert entry.reply_before != entry.reply_after


def test_nothing_is_tested_on_the_customers_it_was_coached_on(project: Project) -> None:
    tested = 0
    for round_ in range(2):
        candidates = project.store.documents("run-001", "candidate", Candidate, round_)
        evidence = project.store.documents("run-001", "evidence", Evidence, round_)
        for candidate, found in zip(candidates, evidence, strict=True):
            personas = [pair.persona for pair in found.pairs]
            tested += len(personas)
            assert not candidate.personas & set(personas)
            assert len(set(personas)) == len(personas), "one moment per persona"
            assert all(persona.startswith("train-") for persona in personas)
    assert tested


def test_rounds_work_on_the_snapshot_that_the_one_before_left(project: Project) -> None:
    rounds = project.store.documents("run-001", "round", RoundSummary)
    assert [r.round for r in rounds] == [0, 1]
    for before, after in pairwise(rounds):
        assert before.snapshot_after == after.snapshot_before
    assert rounds[-1].entries == len(project.library.entries(("admitted", "approved")))
    assert sum(r.admitted for r in rounds) >= rounds[-1].entries > 0
    assert {o.arm for o in rounds[-1].outcomes} == {"bare", "library"}
    assert all(o.persona.startswith("dev-") for r in rounds for o in r.outcomes)


def test_killed_from_outside_the_command_resumes(taught: Path, tmp_path: Path) -> None:
    path = new_project(tmp_path)
    process = PROCESSES.Process(target=command, args=(path,))
    process.start()
    try:
        wait_for_calls(tmp_path / "run.db", 40)
    finally:
        process.kill()
        process.join(timeout=20)
    assert process.exitcode == -signal.SIGKILL
    before = paid(load_settings(path))
    command(path, resume=True)
    assert export_of(load_settings(path)) == export_of(load_settings(taught))
    assert before >= 40
    assert 0 <= paid(load_settings(path)) - paid(load_settings(taught)) <= 8


def wait_for_calls(database: Path, count: int) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with suppress(sqlite3.OperationalError), closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as conn:
            if conn.execute("select count(*) from calls").fetchone()[0] >= count:
                return
        time.sleep(0.01)
    raise AssertionError("the process did not get that far")


def test_replay_from_another_log_is_free(taught: Path, tmp_path: Path) -> None:
    path = new_project(tmp_path)
    command(path, replay_from=taught.with_name("run.db"))
    assert paid(load_settings(path)) == 0
    assert export_of(load_settings(path)) == export_of(load_settings(taught))


@pytest.mark.usefixtures("own_models")
def test_a_second_run_goes_on_with_the_library_and_new_customers(undisturbed: Undisturbed, tmp_path: Path) -> None:
    copied(undisturbed.settings, tmp_path)
    settings = small(tmp_path)
    finished = teach_small(settings)
    assert (finished.id, finished.seed) == ("run-002", SEED + 1000)
    with open_project(settings) as project:
        personas = {trace.persona for trace in project.store.traces("run-002", purpose="generate")}
        first = read_export(undisturbed.export).entries
        entries = project.library.entries()
    assert all(persona.endswith(f"-{SEED + 1000}") for persona in personas)
    assert {e.id for e in first} <= {e.id for e in entries}
    texts = [tuple(sorted(s.text for s in e.strategies)) for e in entries if e.strategies and e.scope == "specific"]
    assert len(set(texts)) == len(texts), "the same text widens the entry it stands in"
    assert content_hash(export_of(settings)) != content_hash(undisturbed.export)
