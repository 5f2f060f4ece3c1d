"""A model server that is down for a while, over HTTP: the run stops, and resumed it ends as if nothing had happened."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import pytest

from strategist.lab.wire import read_request
from strategist.loop.runner import Finished
from strategist.models import client
from strategist.project import open_project
from strategist.settings import Settings
from tests.fake_openai import Answer, FakeOpenAI
from tests.loop.small import IN_FLIGHT, export_of, keen_answer, paid, small, teach_small


@dataclass
class Student:
    """The keen student behind a server that answers the first `served` requests and then 503: `down` times, or until it is mended."""

    served: int | None
    down: float = inf

    def __call__(self, body: dict[str, Any], number: int) -> Answer:
        if self.served is not None and self.served <= number < self.served + self.down:
            return Answer("loading model", status=503)
        asked = read_request(json.dumps(body).encode())
        assert asked.seed is not None
        return Answer(keen_answer(asked.request, asked.seed).text, delay_s=0.001)


@contextmanager
def serving(folder: Path, served: int | None) -> Iterator[tuple[Settings, Student]]:
    student = Student(served)
    with FakeOpenAI(student) as server:
        settings = small(folder)
        changed = settings.student.model_copy(update={"base_url": server.url, "retries": 1})
        yield settings.model_copy(update={"student": changed}), student


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, int]:
    """Export and number of paid calls of a run whose server never fails."""
    with serving(tmp_path_factory.mktemp("undisturbed"), None) as (settings, _):
        finished = teach_small(settings)
        assert finished.stop == "rounds", finished
        return export_of(settings), paid(settings)


def failures(settings: Settings, finished: Finished) -> int:
    with open_project(settings) as project:
        return sum(cost.failed for cost in project.calls.totals(finished.id))


@pytest.mark.parametrize("served", [0, 30, 90])
def test_it_stops_the_run_and_a_resumed_run_ends_as_an_undisturbed_one(undisturbed: tuple[str, int], tmp_path: Path, served: int) -> None:
    export, calls = undisturbed
    with serving(tmp_path, served) as (settings, student):
        finished = teach_small(settings)
        assert finished.stop == "server"
        assert "answers 503: loading model (openai:keen: tried 2 times" in finished.error
        assert "then resume" in finished.error
        assert failures(settings, finished) == 0
        student.served = None
        again = teach_small(settings, resume=True)
        assert (again.id, again.stop) == (finished.id, "rounds")
        assert failures(settings, again) == 0
        assert export_of(settings) == export
        assert calls < paid(settings) <= calls + 2 * IN_FLIGHT


@pytest.mark.parametrize("served", [1, 90])
def test_it_is_waited_for_where_the_settings_allow_it(
    undisturbed: tuple[str, int], tmp_path: Path, served: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody has to be there: the run goes on by itself and learns what it would have learned."""
    monkeypatch.setattr(client, "OUTAGE_PAUSE_S", (0.01, 0.02))
    export, calls = undisturbed
    down = 2 * IN_FLIGHT + 8
    with serving(tmp_path, served) as (settings, student):
        student.down = down
        patient = settings.model_copy(update={"student": settings.student.model_copy(update={"outage_s": 60})})
        finished = teach_small(patient)
        assert (finished.stop, failures(patient, finished)) == ("rounds", 0)
        assert export_of(patient) == export
        assert paid(patient) == calls + down
    said = [record.message for record in caplog.records if record.name == "strategist"]
    assert "waiting for openai:keen, 1 min at most" in said[0]
    assert "openai:keen answers again" in said[1]
