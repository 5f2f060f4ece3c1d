"""The study of random kills finds nothing in a run that is killed, and finds it if a promise is broken."""

from __future__ import annotations

from pathlib import Path

from evals.random_kills import IN_FLIGHT, Ended, Log, faults_of, play, settings_in
from strategist.project import open_project


def test_killed_runs_end_like_the_undisturbed_one(tmp_path: Path) -> None:
    calm = play(tmp_path / "calm", lambda: None)
    delays = iter((0.4, 0.3, 0.5, 0.35))
    killed = play(tmp_path / "killed", lambda: next(delays, None))
    assert (calm.kills, calm.log.lost) == (0, 0)
    assert calm.log.attempts == calm.log.answers > 50
    assert faults_of(killed, calm) == []
    with open_project(settings_in(tmp_path / "killed")) as project:
        assert project.library.entries(), "a library that is not empty"


def test_every_broken_promise_is_told() -> None:
    calm = Ended(0, "a" * 64, Log(100, 100, 0))
    assert faults_of(Ended(2, "a" * 64, Log(103, 100, 3)), calm) == []
    for broken in (
        Ended(1, "b" * 64, Log(100, 100, 0)),
        Ended(1, "a" * 64, Log(99, 99, 0)),
        Ended(1, "a" * 64, Log(104, 100, 3)),
        Ended(1, "a" * 64, Log(100, 100, IN_FLIGHT + 1)),
    ):
        assert len(faults_of(broken, calm)) == 1, broken
