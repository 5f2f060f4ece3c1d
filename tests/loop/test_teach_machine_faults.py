"""What a machine does to a run: a full disk, a locked database, lost, damaged and old files, a clock that goes back. Each is one clear
error, or none, and the run that goes on ends with the library of an undisturbed one.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from unittest import mock

import pytest
from sqlalchemy import Connection

from strategist.errors import StoreError
from strategist.loop.runner import Finished
from strategist.models.adapters.scripted import AnswerFunction
from strategist.project import open_project
from strategist.records.chat import ModelRequest, Reply
from strategist.settings import Settings
from strategist.store.database import Database
from tests.loop.conftest import Undisturbed
from tests.loop.small import IN_FLIGHT, Wrap, export_of, paid, small, teach_small, use_models

pytestmark = pytest.mark.usefixtures("own_models")


def at_call(number: int, happens: Iterator[None]) -> Wrap:
    """Something happens at the student's n-th call."""

    def wrap(answer: AnswerFunction) -> AnswerFunction:
        seen = 0

        def counted(request: ModelRequest, draw: int) -> Reply | str:
            nonlocal seen
            seen += 1
            if seen == number:
                next(happens, None)
            return answer(request, draw)

        return counted

    return wrap


def ends_like(undisturbed: Undisturbed, settings: Settings, *, lost: int = 0) -> Finished:
    """Go on to the end."""
    use_models()
    finished = teach_small(settings, resume=True)
    assert finished.stop == "rounds"
    assert export_of(settings) == undisturbed.export
    assert paid(settings) <= undisturbed.paid + lost
    return finished


@pytest.mark.parametrize("call", [30, 100])
def test_a_disk_that_fills_up_in_the_middle(undisturbed: Undisturbed, tmp_path: Path, call: int) -> None:
    """SQLite is told that it may not grow: the same error, at the same place, as from a disk that is full."""
    full = [False]

    def fill() -> Iterator[None]:
        full[0] = True
        yield

    settings = small(tmp_path)
    use_models(student=at_call(call, fill()))
    with no_growth_while(lambda: full[0]), pytest.raises(StoreError, match="the disk is full") as caught:
        teach_small(settings)
    assert "free some space" in caught.value.hint
    ends_like(undisturbed, settings, lost=IN_FLIGHT)


@contextmanager
def no_growth_while(full: Callable[[], bool]) -> Iterator[None]:
    """The database may not grow in transactions that begin while this holds."""
    begin = Database.transaction

    @contextmanager
    def limited(database: Database) -> Iterator[Connection]:
        with begin(database) as connection:
            if full():
                pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
                connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
            yield connection

    with mock.patch.object(Database, "transaction", limited):
        yield


def test_checkpoints_that_are_lost(undisturbed: Undisturbed, tmp_path: Path) -> None:
    settings = stopped(tmp_path, undisturbed)
    with open_project(settings) as project:
        checkpoints = project.checkpoints
    checkpoints.unlink()
    ends_like(undisturbed, unlimited(settings))


def test_checkpoints_that_are_damaged_can_be_thrown_away(undisturbed: Undisturbed, tmp_path: Path) -> None:
    settings = stopped(tmp_path, undisturbed)
    with open_project(settings) as project:
        checkpoints = project.checkpoints
    for rest in checkpoints.parent.glob(f"{checkpoints.name}-*"):
        rest.unlink()
    checkpoints.write_bytes(b"no database at all " * 400)
    use_models()
    with pytest.raises(StoreError, match="not a SQLite database") as caught:
        teach_small(unlimited(settings), resume=True)
    assert "move the file away" in caught.value.hint
    assert "nothing is lost" in caught.value.hint
    checkpoints.rename(tmp_path / "away")
    ends_like(undisturbed, unlimited(settings))


def test_checkpoints_that_know_more_than_the_database(undisturbed: Undisturbed, tmp_path: Path) -> None:
    """A backup of the database is put back, and the checkpoints are of later."""
    settings = stopped(tmp_path, undisturbed, calls=20)
    database, backup = settings.folder / settings.database, tmp_path / "backup.db"
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(backup)) as target:
        source.backup(target)
    use_models()
    teach_small(unlimited(settings, undisturbed.paid - 20), resume=True)
    for rest in database.parent.glob(f"{database.name}-*"):
        rest.unlink()
    shutil.copy(backup, database)
    ends_like(undisturbed, unlimited(settings))


@pytest.mark.parametrize("offset_s", [86_400.0, -86_400.0])
def test_a_clock_that_is_set_back_or_forward(undisturbed: Undisturbed, tmp_path: Path, offset_s: float) -> None:
    settings = small(tmp_path, calls=undisturbed.paid - 20)
    use_models(latency_s=0.002)
    with clock([offset_s]):
        assert teach_small(settings).stop == "budget"
    ends_like(undisturbed, unlimited(settings))
    assert paid(settings) == undisturbed.paid
    with open_project(settings) as project:
        events = project.store.events()
    assert [event.seq for event in events] == sorted(event.seq for event in events), "the order is of the events, not of the clock"


def test_a_clock_that_is_set_back_while_a_run_is_at_work(undisturbed: Undisturbed, tmp_path: Path) -> None:
    offset_s = [0.0]

    def set_back() -> Iterator[None]:
        offset_s[0] = -7_200.0
        yield

    use_models(student=at_call(70, set_back()))
    with clock(offset_s):
        assert teach_small(small(tmp_path)).stop == "rounds"
    assert export_of(small(tmp_path)) == undisturbed.export


@contextmanager
def clock(offset_s: list[float]) -> Iterator[None]:
    """The machine's clock is wrong by this much; LangGraph orders its checkpoints by it."""
    real, real_ns = time.time, time.time_ns

    def wrong() -> float:
        return real() + offset_s[0]

    def wrong_ns() -> int:
        return real_ns() + int(offset_s[0] * 1e9)

    with mock.patch("time.time", wrong), mock.patch("time.time_ns", wrong_ns):
        yield


def test_a_database_that_another_program_locks_for_a_moment_is_waited_for(undisturbed: Undisturbed, tmp_path: Path) -> None:
    settings = small(tmp_path)
    with open_project(settings):
        pass
    other = sqlite3.connect(settings.folder / settings.database, isolation_level=None)

    def lock() -> Iterator[None]:
        other.execute("BEGIN IMMEDIATE")
        yield

    def unlock() -> Iterator[None]:
        other.execute("ROLLBACK")
        yield

    use_models(student=at_call(40, lock()))
    with mock.patch("strategist.store.store.BUSY_TIMEOUT_S", 0.3), pytest.raises(StoreError, match="locked by another process"):
        teach_small(settings)
    next(unlock())
    other.close()
    ends_like(undisturbed, settings, lost=IN_FLIGHT)


def stopped(folder: Path, undisturbed: Undisturbed, calls: int | None = None) -> Settings:
    """A run that ended in its second round because its budget was used up."""
    settings = small(folder, calls=calls or undisturbed.paid - 20)
    use_models(latency_s=0.002)
    assert teach_small(settings).stop == "budget"
    return settings


def unlimited(settings: Settings, calls: int | None = None) -> Settings:
    """The same with another limit of calls."""
    return settings.model_copy(update={"budget": settings.budget.model_copy(update={"calls": calls})})
