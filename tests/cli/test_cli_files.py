from __future__ import annotations

from pathlib import Path

import pytest

from strategist.cli.files import decode, read_text, write_text, written
from strategist.errors import SettingsError


def test_texts_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "text"
    write_text(path, "Grüße\n你好\n")
    assert read_text(path) == "Grüße\n你好\n"
    assert path.read_bytes() == "Grüße\n你好\n".encode()
    path.write_bytes(b"\xef\xbb\xbfdomain")
    assert read_text(path) == "domain"


def test_what_cannot_be_read_or_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none: No such file"):
        read_text(tmp_path / "none")
    with pytest.raises(SettingsError, match=r"Is a directory"):
        read_text(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"cannot write .*file/text: (Not a directory|File exists)"):
        write_text(tmp_path / "file" / "text", "")
    with pytest.raises(SettingsError, match=r"standard input is not UTF-8 text \(byte 2\)"):
        decode(b"ab\xff", "standard input")


def test_words_of_the_command_line_are_checked() -> None:
    assert written("  why not  ", "--reason") == "why not"
    with pytest.raises(SettingsError, match="--reason is empty"):
        written(" ", "--reason")
    with pytest.raises(SettingsError, match="--reason is not UTF-8"):
        written("\udcff", "--reason")
