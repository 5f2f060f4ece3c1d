from __future__ import annotations

import os
from pathlib import Path

import pytest

from strategist.cli.files import HeldError, decode, hold, read_text, sign, write_text, written
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


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "lock"
    with hold(path) as lock:
        with pytest.raises(HeldError, match=rf"process {os.getpid()} is at work in .*deep") as caught:
            hold(path)
        sign(lock, "background process 7")
        with pytest.raises(HeldError) as caught:
            hold(path)
        assert caught.value.holder == "background process 7"
        sign(lock, "")
        with pytest.raises(HeldError, match="another process"):
            hold(path)
    hold(path, "me").close()
    assert path.read_text(encoding="utf-8") == "me"


def test_a_lock_in_an_impossible_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="cannot write"):
        hold(tmp_path / "file" / "lock")
