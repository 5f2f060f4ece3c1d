"""Ctrl-C, kill and two processes at once, on real processes: a clear end, the right code, and nothing lost."""

from __future__ import annotations

import shutil
import signal
import socket
import sqlite3
import time
from pathlib import Path

import pytest

from strategist.evaluation.report_data import OPENING
from strategist.project import open_project
from strategist.settings import load_settings
from strategist.store.lock import HeldError, hold
from tests.cli.commands import MAIN, SETTINGS, Cli, read_until, start, write_settings


def test_a_run_that_was_stopped_ends_like_one_that_was_not(taught: Path, cli: Cli, tmp_path: Path) -> None:
    stopped = write_settings(tmp_path, SETTINGS.format(seed=0))
    process = start("teach", "-s", stopped, cwd=tmp_path)
    read_until(process, "round 1 generate")
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert rest.endswith(f"run-001 stopped; nothing is lost\n  `strategist teach --resume --settings {stopped}` goes on from here\n")
    assert "is unfinished" in cli("teach", "-s", stopped).err
    resumed = cli("teach", "--resume", "-s", stopped)
    assert resumed.code == 0, resumed.err
    assert "run-001 goes on" in resumed.err
    exported = cli("library", "export", "-s", stopped).out
    assert exported == cli("library", "export", "-s", taught / "strategist.toml").out
    assert len(exported.splitlines()) > 1, "an empty library proves nothing"


def test_an_evaluation_that_was_stopped_keeps_what_it_played(cli: Cli, taught: Path, tmp_path: Path) -> None:
    shutil.copytree(taught, tmp_path / "copy")
    settings = tmp_path / "copy" / "strategist.toml"

    def kept() -> int:
        with sqlite3.connect(tmp_path / "copy" / ".strategist" / "strategist.db") as database:
            return int(database.execute("select count(*) from traces where purpose = 'examine' and round = 1").fetchone()[0])

    code = "from strategist.cli import progress\nprogress.QUIET_S = 0\n"
    process = start("evaluate", "--seeds", "5", "--personas", "10", "-s", settings, cwd=tmp_path, code=code + MAIN)
    read_until(process, "evaluate: ")
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "every reply so far is kept" in rest
    assert "the same command goes on from here" in rest
    assert 40 <= kept() < 200, "a fifth was played when it was stopped"


def test_ctrl_c_ends_a_server_with_one_word(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = start("lab", "serve", "--port", str(port), cwd=tmp_path)
    read_until(process, "Ctrl-C stops")
    for _ in range(100):
        with socket.socket() as probe:
            probe.settimeout(30)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                probe.sendall(b"GET /v1/models HTTP/1.0\r\n\r\n")
                assert probe.recv(4) == b"HTTP", "it listens before it answers"
                break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=30)
    assert (process.returncode, rest) == (130, "stopped\n")


SLOW = """from strategist.lab import adapter
open_lab_model = adapter.open_lab_model
def slow(settings):
    model = open_lab_model(settings)
    model._latency_s = 60.0
    return model
adapter.open_lab_model = slow
"""
"""A student that is still thinking while the test looks at the call log."""


def test_only_one_process_works_on_a_run_and_another_run_is_begun_on_purpose_only(cli: Cli, tmp_path: Path) -> None:
    settings = write_settings(tmp_path)
    folder = settings.parent / ".strategist"
    process = start("teach", "-s", settings, cwd=tmp_path, code=SLOW + MAIN)
    read_until(process, "begins")
    for words in (("--resume",), ()):
        second = cli("teach", *words, "-s", settings)
        told = "wait for it, or stop it; nothing is lost. --new begins another run beside it\n"
        assert (second.code, second.out, second.err) == (1, "", f"error: process {process.pid} is at work in {folder}\n  {told}")
    beside = cli("teach", "--new", "-s", settings)
    assert (beside.code, "run-002: all planned rounds are done" in beside.out) == (0, True)
    with pytest.raises(HeldError, match="another process is at work in"):
        hold(folder / "teach.lock")
    process.kill()
    process.communicate(timeout=30)
    hold(folder / "teach.lock").close()
    with open_project(load_settings(settings)) as project:
        assert [run.stop for run in project.store.runs()] == [None, "rounds"]


def statuses(database: Path) -> dict[str, int]:
    """How many calls have which status."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        return dict(connection.execute("select status, count(*) from calls group by status").fetchall())


def test_what_is_being_taught_cannot_be_evaluated_meanwhile(tmp_path: Path) -> None:
    """Regression: `evaluate` marked the calls of a teach run that was under way as abandoned."""
    settings = write_settings(tmp_path)
    database = settings.parent / ".strategist" / "strategist.db"
    teaching = start("teach", "-s", settings, cwd=tmp_path, code=SLOW + MAIN)
    read_until(teaching, "begins")
    for _ in range(200):
        if under_way := statuses(database).get("sent", 0):
            break
        time.sleep(0.05)
    assert under_way
    for words in (("evaluate", "--arms", "bare"), ("evaluate", "--arms", "bare", "--split", "test")):
        evaluating = start(*words, "-s", settings, cwd=tmp_path)
        said, _ = evaluating.communicate(timeout=60)
        told = f"error: process {teaching.pid} is at work in {database.parent}\n  wait for it, or stop it; nothing is lost\n"
        assert (evaluating.returncode, said) == (1, told)
    assert statuses(database).keys() == {"sent"}
    assert statuses(database)["sent"] >= under_way
    teaching.kill()
    teaching.communicate(timeout=30)
    with open_project(load_settings(settings)) as project:
        assert OPENING not in {event.action for event in project.store.events()}, "test was not opened"
        with project.alone():
            assert statuses(database).keys() == {"abandoned"}


def test_a_locked_and_a_damaged_database_are_one_clear_error(cli: Cli, taught: Path, tmp_path: Path) -> None:
    shutil.copytree(taught, tmp_path / "copy")
    settings = tmp_path / "copy" / "strategist.toml"
    folder = settings.parent / ".strategist"
    (folder / "strategist.checkpoints.db").write_bytes(b"nothing of use" * 500)
    ran = cli("teach", "-q", "-s", settings)
    assert (ran.code, "strategist.checkpoints.db" in ran.err, "move the file away" in ran.err) == (1, True, True)
    (folder / "strategist.checkpoints.db").unlink()
    assert cli("teach", "-q", "--resume", "-s", settings).code == 0
    (folder / "strategist.db").write_bytes(b"nothing of use" * 500)
    for words in (("teach",), ("library", "list"), ("report",), ("evaluate",), ("try",)):
        ran = cli(*words, "-s", settings, stdin="customer: Hi")
        assert (ran.code, "is not a SQLite database" in ran.err) == (1, True)
