"""The outcomes that docs/results.md reports are there, and the study says of them what they say."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from evals import real_runs
from evals.real_runs import FILE, collect, main, read
from strategist.evaluation.report_data import keep_outcomes
from strategist.evaluation.study import compare
from strategist.store import open_store
from tests.evaluation.test_report_data import RUN


def test_the_tables_and_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(real_runs, "HOME", tmp_path)
    assert main([]) is None
    printed = capsys.readouterr().out
    assert printed.count("library over bare") == len(read(FILE))
    assert (tmp_path / "arms.png").stat().st_size > 10_000


def test_outcomes_are_collected_from_databases_and_read_back(tmp_path: Path) -> None:
    found = read(FILE)
    (key, outcomes), *_ = found.items()
    assert key == ("1.5B, handbook, seed 0", "dev")
    assert compare(outcomes, "library", "bare").personas == 40
    with open_store(tmp_path / "run.db") as store:
        store.put_run(RUN)
        keep_outcomes(store, RUN.id, outcomes, 1)
    collect({key[0]: tmp_path / "run.db"}, tmp_path / "again.xz")
    again = read(tmp_path / "again.xz")
    assert list(again) == [key]
    assert sorted(map(str, again[key])) == sorted(map(str, outcomes))


def test_what_is_no_such_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.xz").write_bytes(lzma.compress(b"{}"))
    assert "cannot read" in str(main([str(tmp_path / "none.xz")]))
    (tmp_path / "b.xz").write_bytes(b"no archive")
    assert "cannot read" in str(main([str(tmp_path / "b.xz")]))
