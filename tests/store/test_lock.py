from __future__ import annotations

import os
from pathlib import Path

import pytest

from strategist.errors import SettingsError
from strategist.store.lock import HeldError, hold, join, sign


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


def test_several_join_a_lock_and_nobody_holds_it_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    hold(path, "me").close()
    with join(path), join(path), pytest.raises(HeldError, match="another process is at work in"):
        hold(path)
    with hold(path, "somebody"), pytest.raises(HeldError, match="somebody is at work in"):
        join(path)
    join(path).close()


def test_a_lock_in_an_impossible_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="cannot write"):
        hold(tmp_path / "file" / "lock")
