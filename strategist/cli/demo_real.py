"""`strategist demo --real`: coach a real small model on this machine's CPU in the `parcel` domain with the handbook advisor.

The work is done by a process of its own that goes on when this one is stopped; running the command again joins it, or resumes what is left.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO

from strategist.cli.console import err, out
from strategist.cli.demo import ARMS, MARK, last_line, prepare
from strategist.cli.evaluate import print_arms, study
from strategist.cli.report import write
from strategist.cli.teach import teach_with_bars
from strategist.errors import SettingsError, StrategistError
from strategist.evaluation.study import contrasts, summarise
from strategist.loop.runner import ended_well
from strategist.project import Project, open_project
from strategist.settings import load_settings

MODEL_URL = "https://huggingface.co/Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF/resolve/main/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"
MODEL_SHA256 = "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"

SETTINGS = """{mark} --real
domain = "parcel"

[student]
adapter = "embedded"
path = '{path}'
tool_style = "text"
max_tokens = 140
max_in_flight = 8
timeout_s = 600

[advisor]
kind = "handbook"

[teach]
rounds = 2
candidates = 10
dev_personas = 12

[budget]
calls = 6000
"""


def run(folder: Path, gguf: Path | None, *, seeds: int, foreground: bool) -> None:
    """The command."""
    model = find_model(folder, gguf)
    prepare(folder, SETTINGS.format(mark=MARK, path=model.resolve()), fresh=False)
    if foreground:
        work(folder, seeds=seeds)
        return
    out.print(f"[bold]Coaching {model.name}[/bold] in the domain [italic]parcel[/italic] with its handbook, on this CPU.")
    out.print(
        "It takes about 1,500 student replies to learn and as many again to evaluate: one to two hours on two cores, 3 GB of memory.\n"
        "Ctrl-C leaves it running in the background; the same command joins it again, or resumes after a restart.",
        highlight=False,
    )
    follow(folder, start_worker(folder, model, seeds=seeds))


def work(folder: Path, *, seeds: int) -> None:
    """Teach (or go on), evaluate all arms on dev, write the report."""
    with _held(folder / "worker.lock"), open_project(load_settings(folder / "strategist.toml")) as project:
        last = project.last_run()
        if last is None or not ended_well(last.stop):
            finished = teach_with_bars(project, project.choose_run(resume=last is not None, new=False), quiet=False)
            if not ended_well(finished.stop):
                raise StrategistError(finished.error or f"the run stopped: {finished.stop}", hint="run the same command again to go on")
        _finish(project, seeds)


def _finish(project: Project, seeds: int) -> None:
    outcomes = study(project, ARMS, seeds=seeds)
    print_arms(summarise(outcomes), contrasts(outcomes))
    write(project)
    last_line(outcomes)


def find_model(folder: Path, gguf: Path | None) -> Path:
    """The model file: the option, $STRATEGIST_GGUF, one downloaded before, else a pinned download."""
    given = gguf or (Path(os.environ["STRATEGIST_GGUF"]) if os.environ.get("STRATEGIST_GGUF") else None)
    if given is not None:
        if not given.is_file():
            raise SettingsError(f"no model file at {given}", hint="--gguf and STRATEGIST_GGUF take the path of a .gguf file")
        return given
    target = folder / "models" / MODEL_URL.rsplit("/", 1)[1]
    if not target.exists():
        _download(target)
    return target


def _download(target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".part")
    err.print(f"downloading {target.name} (1.1 GB, once)")
    digest = hashlib.sha256()
    try:
        with urllib.request.urlopen(MODEL_URL, timeout=30) as source, partial.open("wb") as file:
            while block := source.read(1 << 20):
                digest.update(block)
                file.write(block)
    except (urllib.error.URLError, OSError) as error:
        raise SettingsError(
            f"the model cannot be downloaded: {error}", hint="pass a .gguf file you have: make demo-real GGUF=/path/to/model.gguf"
        ) from None
    if digest.hexdigest() != MODEL_SHA256:
        partial.unlink()
        raise SettingsError("the downloaded model has another sha256 than pinned; it was not kept")
    partial.rename(target)


def start_worker(folder: Path, model: Path, *, seeds: int) -> subprocess.Popen[bytes] | None:
    """Start the worker unless one is running; None if one is."""
    try:
        _held(folder / "worker.lock").close()
    except StrategistError:
        err.print("joining the run that is under way\n")
        return None
    command = [sys.executable, "-m", "strategist.cli.main", "demo", "--real", "--foreground"]
    command += ["--folder", str(folder), "--gguf", str(model), "--seeds", str(seeds)]
    with (folder / "worker.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)


def follow(folder: Path, worker: subprocess.Popen[bytes] | None) -> None:
    """Print the worker's log as it grows until the worker ends; Ctrl-C only stops looking."""
    log = folder / "worker.log"
    try:
        with log.open(encoding="utf-8", errors="replace") as file:
            while True:
                running = worker.poll() is None if worker else _is_held(folder / "worker.lock")
                if text := file.read():
                    out.print(text, end="", highlight=False, markup=False, soft_wrap=True)
                elif not running:
                    break
                else:
                    time.sleep(0.5)
    except KeyboardInterrupt:
        out.print(f"\nit goes on in the background; log: {log}; the same command joins it again", highlight=False, soft_wrap=True)
        return
    if worker is not None and worker.returncode:
        raise StrategistError("the run ended early, see above", hint="run the same command again to go on")


def _held(path: Path) -> IO[str]:
    """Take a lock file; the system frees it when its holder dies. Raises StrategistError if another process has it."""
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise StrategistError("a worker is running already", hint="run the command without --foreground to join it") from None
    return file


def _is_held(path: Path) -> bool:
    try:
        _held(path).close()
    except StrategistError:
        return True
    return False
