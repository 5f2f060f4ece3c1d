"""The locks that keep two processes from one piece of work.

Knows a file and who wrote into it, and nothing of what the work is. One process holds a lock file, or several have joined it: never both.
The system frees it when its holders die, so a lock is never stale.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from strategist.errors import SettingsError, StrategistError


class HeldError(StrategistError):
    """Another process holds the lock; `holder` is what it wrote into the file."""

    def __init__(self, path: Path, holder: str, *, hint: str = "wait for it, or stop it; nothing is lost") -> None:
        super().__init__(f"{holder} is at work in {path.parent}", hint=hint)
        self.path, self.holder = path, holder


def hold(path: Path, who: str = "") -> IO[str]:
    """Take a lock file until it is closed; the system frees it when its holder dies. Raises HeldError, or SettingsError for a bad path."""
    file = _open(path)
    _lock(file, path, fcntl.LOCK_EX)
    sign(file, who or f"process {os.getpid()}")
    return file


def join(path: Path) -> IO[str]:
    """Share a lock file with others that join it, until it is closed; meanwhile nobody can `hold` it. Raises like `hold`."""
    file = _open(path)
    _lock(file, path, fcntl.LOCK_SH)
    return file


def sign(file: IO[str], who: str) -> None:
    """Write into a lock file that is held who holds it."""
    file.seek(0)
    file.truncate()
    file.write(who)
    file.flush()


def _open(path: Path) -> IO[str]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("a+", encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"cannot write {path}: {error.strerror}") from None


def _lock(file: IO[str], path: Path, kind: int) -> None:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        holder = "" if _is_joined(file) else file.read().strip()  # nobody signs for all, and who held it before has left
        file.close()
        raise HeldError(path, holder or "another process") from None


def _is_joined(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
