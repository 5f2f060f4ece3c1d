"""kill -9 before and after every commit, resume in a fresh process: the library of an undisturbed run, and nothing paid twice but what
was in flight.

The run has everything that a run can commit: replies, failures, attempts that are tried again, entries.
"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import NamedTuple

import pytest

from strategist.errors import ModelError, TransientModelError
from strategist.loop.runner import ended_well
from strategist.models import client
from strategist.models.adapters.scripted import AnswerFunction
from strategist.project import open_project
from strategist.records.base import digest, stable_int
from strategist.records.chat import ModelRequest, Reply
from strategist.settings import Settings
from tests.loop.boundaries import AGAIN, Death, Ledger, Watch
from tests.loop.processes import in_a_process
from tests.loop.small import IN_FLIGHT, Wrap, export_of, small, teach_small, use_models

SEED = 36
"""Of a run in which calls fail and are tried again in several nodes."""
FATES = 60

CALLS = ("CallLog.begin", "CallLog.succeed")
BOOKS = ("checkpoints writes", "checkpoints checkpoints")
BOUNDARIES: dict[str, tuple[str, ...]] = {
    "start": (
        *("journal mode", "open_store", "Project.choose_run", "Store.put_run", "CallLog.mark_abandoned", "Library.set_embedder"),
        *("checkpoints journal mode", "checkpoints checkpoints", "checkpoints writes"),
    ),
    "generate": ("Store.put_document snapshot", *CALLS, "CallLog.fail", "CallLog.retry", "Store.put_trace"),
    "select": ("Store.put_documents scenario", "Store.put_document selection"),
    "coach": (*CALLS, "CallLog.fail", *(f"Store.put_documents {kind}" for kind in ("coached", "refusal", "candidate"))),
    "admit": (
        *(*CALLS, "CallLog.fail", "CallLog.retry", "Store.put_trace"),
        *(f"Store.put_documents {kind}" for kind in ("extra_scenario", "evidence", "refusal")),
    ),
    "consolidate": ("consolidate", "Library.set_floor", "Store.put_document snapshot_after"),
    "examine": (*CALLS, "Store.put_trace", "Store.put_document round"),
    "after generate": ("Store.put_document booked", *BOOKS),
    "after select": ("Store.put_document booked", *BOOKS),
    "after coach": ("Store.put_document booked", *BOOKS),
    "after admit": ("Store.put_document booked", *BOOKS),
    "after consolidate": ("Store.put_document booked", *BOOKS),
    "after examine": ("Store.put_document booked", *BOOKS, "Store.put_run"),
}
"""All there are. A commit that is not named here fails the test, which is the place to think about what a kill there means."""


ONCE = {"after examine: Store.put_run", "generate: CallLog.retry", "admit: CallLog.retry"}
"""Passed once in a run, so a chain dies on one side of them only: when it dies before the run is ended, the next process ends it from the
start, and a call that was tried again does not fail any more."""


def faulty(folder: Path) -> Wrap:
    """Replies that are empty, calls that fail for good, and calls that fail at the first try, whichever process makes it."""
    tried = folder / "tried"

    def wrap(answer: AnswerFunction) -> AnswerFunction:
        def answered(request: ModelRequest, draw: int) -> Reply | str:
            fate = stable_int("fate", request.messages[-1].content, draw) % FATES
            if fate == 0:
                return ""
            if fate == 1:
                raise ModelError("the context is full", kind="model")
            if fate == 2 and not (mark := tried / digest([digest(request), draw])).exists():
                mark.touch()
                raise TransientModelError("busy")
            return answer(request, draw)

        return answered

    tried.mkdir(exist_ok=True)
    return wrap


def run_of(folder: Path) -> Settings:
    return small(folder).model_copy(update={"seed": SEED})


def teach_on(folder: str, watched: bool) -> None:
    """Body of a process: begin the run or go on with it, to the end or to the first boundary that the ledger lacks."""
    client.BACKOFF_S = 0.001
    use_models(student=faulty(Path(folder)), latency_s=0.001)
    settings = run_of(Path(folder))
    if watched:
        Watch(Ledger(Path(folder) / "ledger")).set()
    with open_project(settings) as project:
        last = project.last_run()
    if last is None or not ended_well(last.stop):
        teach_small(settings, resume=last is not None)


class Log(NamedTuple):
    """What the call log says of a run: attempts, those without an answer because their process died, final answers."""

    attempts: int
    abandoned: int
    answers: int


def log_of(settings: Settings) -> Log:
    with open_project(settings) as project, project.store.database.reading() as conn:
        query = "select count(*), sum(status in ('abandoned', 'sent')), sum(status in ('ok', 'failed')) from calls"
        return Log(*conn.exec_driver_sql(query).one())


def chain(folder: Path) -> list[Death]:
    """Processes that die one after the other until one comes to the end: where they died."""
    ledger = Ledger(folder / "ledger")
    died = -signal.SIGKILL
    while (code := in_a_process(teach_on, str(folder), True)) == died:
        pass
    assert code == 0, ledger.read()[-1:]
    return ledger.read()


@pytest.mark.usefixtures("own_models")
def test_killed_before_and_after_every_commit_a_run_ends_like_an_undisturbed_one(tmp_path: Path) -> None:
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    calm.mkdir()
    killed.mkdir()
    assert in_a_process(teach_on, str(calm), False) == 0
    deaths = chain(killed)

    named = {f"{place}: {what}" for place, names in BOUNDARIES.items() for what in names}
    found = {death.name.replace(AGAIN, "") for death in deaths}
    assert (sorted(found - named), sorted(named - found)) == ([], [])
    for when in ("before", "after"):
        assert named - {death.name.replace(AGAIN, "") for death in deaths if death.when == when} <= ONCE

    assert export_of(run_of(killed)) == export_of(run_of(calm))
    one, other = log_of(run_of(calm)), log_of(run_of(killed))
    assert (one.abandoned, other.answers) == (0, one.answers)
    assert other.abandoned == sum(death.in_flight for death in deaths) > 0
    assert 0 < other.attempts - one.attempts <= other.abandoned
    assert max(death.in_flight for death in deaths) <= IN_FLIGHT
