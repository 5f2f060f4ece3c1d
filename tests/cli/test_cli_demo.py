"""The demos: folders that are not theirs, the model file, and the background worker that is followed, joined, killed and resumed."""

from __future__ import annotations

import hashlib
import http.server
import os
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path

import pytest

from strategist.cli import demo, demo_real
from strategist.cli.demo import LOCK, MARK, prepare
from strategist.cli.demo_real import DONE, LOG, coach, find_model, work, worker_command
from strategist.cli.evaluate import study
from strategist.errors import SettingsError, StrategistError
from strategist.project import RUN_LOCK, open_project
from strategist.records.run import ArmOutcome
from strategist.settings import load_settings
from strategist.store.lock import HeldError, hold
from tests.cli.commands import EXACT, Cli, read_until, start, write_settings

MINE = f"{MARK}\n{EXACT}"

COACH = """import sys
from pathlib import Path
from strategist.cli import demo_real, main as main_
text, work = Path(sys.argv[2]).read_text(), sys.argv[3]
demo_real.worker_command = lambda folder, seeds: [sys.executable, "-c", work, "demo-worker", str(folder), "--seeds", str(seeds)]
main_.app = lambda args, prog_name: demo_real.coach(Path(sys.argv[1]), text, seeds=1, foreground=False)
main_.main()
"""
WORK = """import time
from functools import partial
from pathlib import Path
from strategist.cli import demo_real, main, teach
from strategist.cli.progress import Bars

class Waiting(Bars):
    def __call__(self, event):
        super().__call__(event)
        while event["node"] != "generate" and Path("wait").exists():
            time.sleep(0.05)

teach.Bars = Waiting
demo_real.study = partial(demo_real.study, personas=4)
main.main()
"""
"""The worker as it is, but for fewer dev personas, and that it waits after the first node for as long as there is a file `wait`."""


def test_a_folder_that_is_not_the_demos_is_left_alone(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "is a file" in cli("demo", "--folder", tmp_path / "file").err
    (tmp_path / "data" / ".strategist").mkdir(parents=True)
    assert cli("demo", "--folder", tmp_path / "data").code == 2
    write_settings(tmp_path / "latin").write_bytes(b"\xff")
    ran = cli("demo", "--folder", tmp_path / "latin")
    assert (ran.code, "was not written by the demo" in ran.err) == (2, True)
    with hold(tmp_path / "held" / LOCK):
        assert "is at work in" in cli("demo", "--folder", tmp_path / "held").err
    write_settings(tmp_path / "looked at", MINE)
    with hold(tmp_path / "looked at" / ".strategist" / RUN_LOCK) as lock:
        assert "is at work in" in cli("demo", "--folder", tmp_path / "looked at").err
        assert Path(lock.name).exists(), "what somebody evaluates is not thrown away"


def test_a_second_demo_starts_from_nothing(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "LAB_SETTINGS", MINE)
    monkeypatch.setattr(demo, "study", partial(study, personas=6))
    first, second = (cli("demo", "--folder", tmp_path, "--seeds", "1") for _ in range(2))
    assert (first.code, second.code) == (0, 0)
    assert "These models are simulated" in first.out
    assert re.fullmatch(r"lift [+-]0\.\d\d \[.*\] n=6 seeds=1", first.out.splitlines()[-1])
    assert first.out.splitlines()[-1] == second.out.splitlines()[-1]
    assert "report-run-001.html" in second.out


def test_a_demo_that_stops_early_says_so(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "LAB_SETTINGS", MINE + "[budget]\ncalls = 3\n")
    ran = cli("demo", "--folder", tmp_path)
    assert (ran.code, "starts the demo again" in ran.err) == (1, True)


def test_no_lift_is_stated_where_none_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    lone = ArmOutcome(arm="bare", persona="dev-0-0", issue="x", seed=0, score=0.5, goal=True, hard_failures=0, agent_turns=1)
    demo.last_line((lone,))
    captured = capsys.readouterr()
    assert (captured.out, "no lift" in captured.err) == ("", True)


# --------------------------------------------------------------------------------------------------- the model


def gguf(folder: Path) -> Path:
    path = folder / "it's a model.gguf"
    path.write_bytes(b"GGUF and the rest")
    return path


def test_the_model_is_the_option_else_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = gguf(tmp_path)
    monkeypatch.setenv("STRATEGIST_GGUF", str(model))
    assert find_model(tmp_path, None) == model
    with pytest.raises(SettingsError, match=r"cannot read the model file .*none.gguf: No such file"):
        find_model(tmp_path, tmp_path / "none.gguf")
    (tmp_path / "other").write_bytes(b"PK\3\4")
    with pytest.raises(SettingsError, match="is not a GGUF file"):
        find_model(tmp_path, tmp_path / "other")


def test_the_settings_name_the_model_whatever_its_path_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = gguf(tmp_path)
    written: list[str] = []
    monkeypatch.setattr(demo_real, "coach", lambda folder, text, *, seeds, foreground: written.append(text))
    demo_real.run(tmp_path / "d", model, seeds=1, foreground=True)
    found = load_settings(write_settings(tmp_path / "x", written[0]))
    assert found.student.path == model
    assert (found.domain, found.student.adapter, found.advisor.kind) == ("parcel", "embedded", "handbook")


@contextmanager
def serving(body: bytes, monkeypatch: pytest.MonkeyPatch, *, length: int | None = None) -> Iterator[None]:
    """The hub: one file, at the pinned address."""

    class Hub(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body) if length is None else length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Hub) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setattr(demo_real, "MODEL_URL", f"http://127.0.0.1:{server.server_port}/pinned.gguf")
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def test_a_pinned_model_is_downloaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STRATEGIST_GGUF", raising=False)
    monkeypatch.setattr(demo_real, "MODEL_SHA256", hashlib.sha256(b"weights").hexdigest())
    with serving(b"weights", monkeypatch):
        found = find_model(tmp_path, None)
    assert found.read_bytes() == b"weights"
    assert find_model(tmp_path, None) == found


@pytest.mark.parametrize("length", [None, 99])
def test_a_download_that_is_cut_or_another_is_not_kept(length: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STRATEGIST_GGUF", raising=False)
    with serving(b"other weights", monkeypatch, length=length), pytest.raises(SettingsError):
        find_model(tmp_path, None)
    assert not list((tmp_path / "models").iterdir())


def test_without_a_hub_one_is_told_to_bring_a_model(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STRATEGIST_GGUF", raising=False)
    monkeypatch.setattr(demo_real, "MODEL_URL", "http://127.0.0.1:9/pinned.gguf")
    ran = cli("demo", "--real", "--folder", tmp_path)
    assert (ran.code, "make demo-real GGUF=" in ran.err) == (2, True)


# --------------------------------------------------------------------------------------------------- the worker


def worker_of(folder: Path) -> int:
    return int((folder / LOCK).read_text(encoding="utf-8").split()[-1])


def test_a_worker_outlives_its_watcher_and_a_killed_one_is_resumed(tmp_path: Path) -> None:
    folder, text = tmp_path / "d", tmp_path / "settings"
    text.write_text(MINE, encoding="utf-8")
    (tmp_path / "wait").touch()
    first = start(folder, text, WORK, cwd=tmp_path, code=COACH)
    read_until(first, "round 1 generate")
    first.send_signal(signal.SIGINT)
    told, _ = first.communicate(timeout=30)
    pid = worker_of(folder)
    assert first.returncode == 0
    assert f"to stop it: kill {pid}" in told
    os.kill(pid, 0)  # it is alive

    with pytest.raises(HeldError):
        hold(folder / LOCK)
    os.kill(pid, signal.SIGKILL)
    assert not (folder / DONE).exists()

    (tmp_path / "wait").unlink()
    last = start(folder, text, WORK, cwd=tmp_path, code=COACH)
    out, _ = last.communicate(timeout=60)
    assert last.returncode == 0, out
    assert out.splitlines()[-1].startswith("lift ")
    assert (folder / DONE).exists()
    with open_project(load_settings(folder / "strategist.toml")) as project:
        (run,) = project.store.runs()
        assert run.stop == "rounds"
        assert project.calls.replies("run-001", "student") > 100


def test_a_worker_that_fails_is_an_error_that_points_to_its_log(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(StrategistError, match="ended early: the log above says why"):
        coach(tmp_path / "d", MINE + "[budget]\ncalls = 3\n", seeds=1, foreground=False)
    assert "3 of 3 calls are spent" in capfd.readouterr().out


def test_a_worker_that_is_killed_under_its_watcher_is_named_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(folder: Path, lock: object, *, seeds: int) -> object:
        worker = start_worker(folder, lock, seeds=seeds)  # type: ignore[arg-type]
        worker.kill()
        return worker

    start_worker = demo_real.start_worker
    monkeypatch.setattr(demo_real, "start_worker", killed)
    with pytest.raises(StrategistError, match="ended early: it was killed"):
        coach(tmp_path, MINE, seeds=1, foreground=False)


class Background:
    """A worker that was started from elsewhere: it writes a line, then ends at the next look."""

    def __init__(self, folder: Path, *, well: bool) -> None:
        self.folder, self.well = folder, well
        self.lock = hold(folder / LOCK, "background process 7")
        prepare(folder, MINE, fresh=False)
        self.log = folder / LOG
        self.log.write_text("begun\n", encoding="utf-8")

    def sleep(self, seconds: float) -> None:
        if self.lock.closed:
            raise AssertionError("it has ended")
        self.log.write_text("begun\nended\n", encoding="utf-8")
        (self.folder / DONE).unlink(missing_ok=True)
        if self.well:
            (self.folder / DONE).touch()
        self.lock.close()


@pytest.mark.parametrize("well", [True, False])
def test_who_joins_sees_the_whole_log_and_how_it_ended(
    well: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = Background(tmp_path, well=well)
    monkeypatch.setattr("time.sleep", worker.sleep)
    with nullcontext() if well else pytest.raises(StrategistError, match="ended early: the log above says why"):
        coach(tmp_path, MINE, seeds=1, foreground=False)
    captured = capsys.readouterr()
    assert captured.out == "begun\nended\n"
    assert "joining the run that is under way (background process 7)" in captured.err


def test_a_worker_with_other_settings_is_not_joined(tmp_path: Path) -> None:
    worker = Background(tmp_path, well=True)
    with pytest.raises(SettingsError, match=r"background process 7 works in .* with other settings"):
        coach(tmp_path, MINE.replace("seed = 0", "seed = 1"), seeds=1, foreground=False)
    worker.lock.close()
    assert (tmp_path / "strategist.toml").read_text(encoding="utf-8") == MINE


def test_who_stops_looking_is_told_how_to_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    worker = Background(tmp_path, well=True)
    monkeypatch.setattr("time.sleep", interrupted)
    coach(tmp_path, MINE, seeds=1, foreground=False)
    worker.lock.close()
    assert f"Log: {worker.log}; to stop it: kill 7" in capsys.readouterr().out


def test_the_worker_command_works_on_the_folder_it_is_given(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Path, int]] = []
    monkeypatch.setattr(demo_real, "work", lambda folder, *, seeds: asked.append((folder, seeds)))
    _, _, _, *words = worker_command(tmp_path, 5)
    assert cli(*words).code == 0
    assert asked == [(tmp_path, 5)]


def test_work_in_a_terminal_cannot_be_joined(tmp_path: Path) -> None:
    with hold(tmp_path / LOCK), pytest.raises(StrategistError, match="is at work in"):
        coach(tmp_path, MINE, seeds=1, foreground=False)


def test_finished_work_of_another_student_is_not_evaluated_as_this_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_real, "study", partial(study, personas=2))
    coach(tmp_path, MINE, seeds=1, foreground=True)
    write_settings(tmp_path, MINE.replace("specific/student", "one_line/student"))
    with pytest.raises(SettingsError, match="changed since run-001 began"):
        work(tmp_path, seeds=1)
