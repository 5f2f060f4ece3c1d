"""Files that a user names, and the lock that keeps two processes from one piece of work. Every fault becomes one clear error."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

from strategist.errors import SettingsError, StrategistError


def read_text(path: Path) -> str:
    """The text of a UTF-8 file. Raises SettingsError."""
    try:
        return decode(path.read_bytes(), str(path))
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from None


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file, with its folder if that is missing. Raises SettingsError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise SettingsError(f"cannot write {path}: {error.strerror}", hint="choose a file in a folder that can be written") from None


def decode(raw: bytes, source: str) -> str:
    """UTF-8 text, a byte order mark left out. Raises SettingsError naming the source."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{source} is not UTF-8 text (byte {error.start})", hint="save it as UTF-8") from None


def written(text: str, what: str) -> str:
    """Text from the command line, checked: not empty, and readable in the terminal's encoding. Raises SettingsError."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise SettingsError(f"{what} is not UTF-8 text", hint="set the terminal to UTF-8") from None
    if not text.strip():
        raise SettingsError(f"{what} is empty")
    return text.strip()


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
