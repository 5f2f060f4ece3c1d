"""`strategist demo --real`: coach a real small model on this machine's CPU in the `parcel` domain with the handbook advisor.

The work is done by a process of its own that goes on when this one is stopped; running the command again joins it, or resumes what is
left. Invariants: one process works in a folder at a time, the one that holds the folder's lock; the settings of a run are never changed
under it; `DONE` exists only after the whole of it has ended well.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from http.client import HTTPException
from pathlib import Path
from typing import IO

from rich.text import Text

from strategist.cli.console import err, out, say
from strategist.cli.demo import ARMS, LOCK, MARK, last_line, prepare
from strategist.cli.evaluate import print_arms, study
from strategist.cli.init import quoted
from strategist.cli.report import write
from strategist.cli.teach import announce, catch_up, teach_with_bars
from strategist.errors import SettingsError, StrategistError
from strategist.evaluation.study import contrasts, summarise
from strategist.loop.runner import ended_well
from strategist.project import Project, open_project
from strategist.settings import load_settings
from strategist.store.lock import HeldError, hold, sign

MODEL_URL = "https://huggingface.co/Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF/resolve/main/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"
MODEL_SHA256 = "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"
AGAIN = "run the same command again to go on"
DONE = "done"
LOG = "worker.log"
BEHIND = "background process "
POLL_S = 0.25

SETTINGS = """{mark} --real
domain = "parcel"

[student]
adapter = "embedded"
path = {path}
tool_style = "text"
max_tokens = 140
max_in_flight = 4
timeout_s = 900

[advisor]
kind = "handbook"
max_lines = 1                       # a student of this size follows one line and gets lost in three

[teach]
rounds = 2
conversations = 32
scenarios = 40
coaching_steps = 3
candidates = 12
dev_personas = 12

[gate]
extra_turns = 8                     # what matters most to it are things said in the middle of rare conversations
own_phase = true                    # openings cost nothing: without this, lines about later turns are tested mostly on openings

[retrieval]
max_lines = 1
"""


def run(folder: Path, gguf: Path | None, *, seeds: int, foreground: bool) -> None:
    """The command."""
    model = find_model(folder, gguf)
    out.print(Text.assemble((f"Coaching {model.name}", "bold"), " in the domain `parcel` with its handbook, on this CPU."))
    say("It takes some 1,800 student replies to learn and as many again to evaluate: two to four hours on two cores, 3 GB of memory.")
    text = SETTINGS.format(mark=MARK, path=quoted(str(model.resolve())))
    coach(folder, text, seeds=seeds, foreground=foreground)


def coach(folder: Path, settings: str, *, seeds: int, foreground: bool) -> None:
    """Do, join or resume the work of these settings in a folder; in the background unless `foreground`."""
    try:
        lock = hold(folder / LOCK)
    except HeldError as error:
        _join(folder, settings, error)
        return
    with lock:
        prepare(folder, settings, fresh=False)
        if foreground:
            work(folder, seeds=seeds)
            return
        worker = start_worker(folder, lock, seeds=seeds)
    say("Ctrl-C leaves it running in the background; the same command joins it again, or resumes after a restart.\n")
    follow(folder, worker, f"{BEHIND}{worker.pid}")


def work(folder: Path, *, seeds: int) -> None:
    """Teach (or go on), evaluate all arms on dev, write the report. For whoever holds the folder's lock."""
    (folder / DONE).unlink(missing_ok=True)
    with open_project(load_settings(folder / "strategist.toml")) as project, project.at_work():
        last = project.last_run()
        if last is None or not ended_well(last.stop):
            info = project.choose_run(resume=last is not None, new=False)
            announce(project, info, resume=last is not None)
            teach_with_bars(project, info, quiet=False, again=AGAIN)
            catch_up(project)
        else:
            project.require_same(last)
        _finish(project, seeds)
    (folder / DONE).touch()


def _finish(project: Project, seeds: int) -> None:
    outcomes = study(project, ARMS, seeds=seeds)
    print_arms(summarise(outcomes), contrasts(outcomes))
    write(project)
    last_line(outcomes)


def find_model(folder: Path, gguf: Path | None) -> Path:
    """The model file: the option, $STRATEGIST_GGUF, one downloaded before, else a pinned download. Raises SettingsError."""
    named = os.environ.get("STRATEGIST_GGUF")
    given = gguf or (Path(named) if named else None)
    if given is None:
        target = folder / "models" / MODEL_URL.rsplit("/", 1)[1]
        if not target.exists():
            _download(target)
        return target
    try:
        with given.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        hint = "--gguf and STRATEGIST_GGUF take the path of a .gguf file"
        raise SettingsError(f"cannot read the model file {given}: {error.strerror}", hint=hint) from None
    if magic != b"GGUF":
        raise SettingsError(f"{given} is not a GGUF file", hint="weights in other formats must be converted with llama.cpp first")
    return given


def _download(target: Path) -> None:
    """Fetch the pinned model; a file that does not hash to what is pinned is not kept."""
    import urllib.request

    partial = target.with_suffix(".part")
    say(f"downloading {target.name} (1.1 GB, once)", to=err)
    digest = hashlib.sha256()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(MODEL_URL, timeout=30) as source, partial.open("wb") as file:
            while block := source.read(1 << 20):
                digest.update(block)
                file.write(block)
    except (OSError, HTTPException) as error:
        partial.unlink(missing_ok=True)
        hint = "pass a .gguf file you have: make demo-real GGUF=/path/to/model.gguf"
        raise SettingsError(f"the model cannot be downloaded: {error}", hint=hint) from None
    if digest.hexdigest() != MODEL_SHA256:
        partial.unlink()
        raise SettingsError("the downloaded model has another sha256 than pinned; it was not kept", hint="try again, or pass --gguf FILE")
    partial.rename(target)


def start_worker(folder: Path, lock: IO[str], *, seeds: int) -> subprocess.Popen[bytes]:
    """Start the worker in a session of its own. It inherits the lock, so that no moment lies between one holder and the next."""
    with (folder / LOG).open("wb") as log:
        worker = subprocess.Popen(
            worker_command(folder, seeds),
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=[lock.fileno()],
        )
    sign(lock, f"{BEHIND}{worker.pid}")
    return worker


def worker_command(folder: Path, seeds: int) -> list[str]:
    """What the background process runs: `work` on the settings that lie in the folder."""
    return [sys.executable, "-m", "strategist.cli.main", "demo-worker", str(folder), "--seeds", str(seeds)]


def _join(folder: Path, settings: str, held: HeldError) -> None:
    if not held.holder.startswith(BEHIND):
        raise held
    path = folder / "strategist.toml"
    if path.read_text(encoding="utf-8") != settings:
        raise SettingsError(f"{held.holder} works in {folder} with other settings", hint="wait for it, or pass another --folder")
    say(f"joining the run that is under way ({held.holder})\n", to=err)
    follow(folder, None, held.holder)


def follow(folder: Path, worker: subprocess.Popen[bytes] | None, name: str) -> None:
    """Print the worker's log as it grows until the worker ends; Ctrl-C only stops looking. Raises StrategistError if it ended early."""
    log = folder / LOG
    try:
        with log.open(encoding="utf-8", errors="replace") as file:
            while True:
                running = worker.poll() is None if worker else _is_held(folder / LOCK)
                if text := file.read():
                    out.file.write(text)
                    out.file.flush()
                elif not running:
                    break
                else:
                    time.sleep(POLL_S)
    except KeyboardInterrupt:
        pid = name.removeprefix(BEHIND)
        say(f"\nit goes on in the background; the same command joins it again. Log: {log}; to stop it: kill {pid}")
        return
    if not (folder / DONE).exists():
        killed = worker is not None and worker.returncode < 0
        why = "it was killed" if killed else "the log above says why"
        raise StrategistError(f"the run in {folder} ended early: {why}", hint=AGAIN)


def _is_held(path: Path) -> bool:
    try:
        hold(path).close()
    except HeldError:
        return True
    return False
