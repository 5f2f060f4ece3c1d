"""What the tests of the command line share: small settings, a way to run a command, and what it left."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from evals.teach_together import SETTINGS as SMALL

SETTINGS = SMALL.replace("{rounds}", "1")
"""A run of half a second, with a place for its seed."""
EXACT = SETTINGS.format(seed=0) + 'index = "exact"\n'


class Ran(NamedTuple):
    """What a command printed and its exit code."""

    code: int
    out: str
    err: str


Cli = Callable[..., Ran]


def write_settings(folder: Path, text: str = EXACT) -> Path:
    """A project's folder with these settings; returns the settings file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "strategist.toml"
    path.write_text(text, encoding="utf-8")
    return path


def first_entry(cli: Cli, settings: Path) -> str:
    """Ref of the first entry that `library list` shows."""
    listed = cli("library", "list", "-s", settings)
    assert listed.code == 0
    return next(word for line in listed.out.splitlines() for word in line.split() if "@" in word)


# A test run in the background ignores SIGINT, and children inherit that.
INTERRUPTIBLE = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
MAIN = "from strategist.cli.main import main; main()"


def start(*args: str | Path, cwd: Path, code: str = MAIN) -> subprocess.Popen[str]:
    """The command in a process of its own; `code` replaces the entry point. Both streams come as one."""
    return subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE + code, *(str(arg) for arg in args)],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONUNBUFFERED": "1"},
    )


def read_until(process: subprocess.Popen[str], word: str) -> str:
    """What the process prints up to the first line that holds the word."""
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if word in line:
            return seen
    raise AssertionError(f"{word!r} was not printed, but:\n{seen}")
