"""The lock that keeps two processes from one piece of work.

Knows a file and who wrote into it, and nothing of what the work is. The system frees it when its holder dies, so a lock is never stale.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

from strategist.errors import SettingsError, StrategistError


class HeldError(StrategistError):
    """Another process holds the lock; `holder` is what it wrote into the file."""

    def __init__(self, path: Path, holder: str) -> None:
        super().__init__(f"{holder} is at work in {path.parent}", hint="wait for it, or stop it; nothing is lost")
        self.holder = holder


def hold(path: Path, who: str = "") -> IO[str]:
    """Take a lock file until it is closed; the system frees it when its holder dies. Raises HeldError, or SettingsError for a bad path."""
    import fcntl

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"cannot write {path}: {error.strerror}") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        holder = file.read().strip()
        file.close()
        raise HeldError(path, holder or "another process") from None
    sign(file, who or f"process {os.getpid()}")
    return file


def sign(file: IO[str], who: str) -> None:
    """Write into a lock file that is held who holds it."""
    file.seek(0)
    file.truncate()
    file.write(who)
    file.flush()
