"""Files and words that a user names. Every fault becomes one clear error."""

from __future__ import annotations

from pathlib import Path

from strategist.errors import SettingsError


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
