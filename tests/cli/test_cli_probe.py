"""`strategist probe` from a user's side."""

from __future__ import annotations

from pathlib import Path

import pytest

from strategist.cli import probe as command
from strategist.evaluation.probe import Probe, Replies
from tests.cli.commands import Cli

PROJECT = 'domain = "lab:{world}"\n[student]\nadapter = "lab"\nmodel = "{world}/student"\n[retrieval]\nembedder = "hashed"\n{more}'


def settings(folder: Path, world: str = "specific", more: str = "") -> Path:
    path = folder / "strategist.toml"
    path.write_text(PROJECT.format(world=world, more=more), encoding="utf-8")
    return path


def test_it_prints_arms_and_a_verdict_and_goes_on_from_what_is_paid(cli: Cli, tmp_path: Path) -> None:
    path = settings(tmp_path)
    first = cli("probe", "--settings", path, "--moments", "12", "--samples", "4")
    assert first.code == 0, first.err
    for words in ("near miss", "over bare [95 %]", "n = 12 customers", "is coachable: it does better with lines that fit"):
        assert words in first.out
    assert "probe: 192 of 192 replies (12 moments, 4 arms, 4 samples)" in first.err, "not only the search for moments is shown"
    assert "evaluate" not in first.err
    assert cli("probe", "--settings", path, "--moments", "12", "--samples", "4").out == first.out
    assert "no run" in cli("report", "--settings", path).err, "a probe is no run"


def test_a_student_that_wrong_lines_harm_is_warned_of(cli: Cli, tmp_path: Path) -> None:
    shown = cli("probe", "--settings", settings(tmp_path, "misleading"), "--quiet")
    assert "wrong lines harm it more than right ones help (H / (H + L) = 0." in shown.out


def test_too_small_a_probe_and_a_used_up_budget_are_one_clear_error(cli: Cli, tmp_path: Path) -> None:
    path = settings(tmp_path, more="[budget]\ncalls = 5\n")
    assert cli("probe", "--settings", path, "--moments", "2").code == 2
    spent = cli("probe", "--settings", path)
    assert spent.code == 1
    assert "budget" in spent.err or "calls are spent" in spent.err
    assert "Traceback" not in spent.err


def test_ctrl_c_says_how_to_go_on(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(work: object) -> Probe:
        work.close()  # type: ignore[attr-defined]
        raise KeyboardInterrupt

    monkeypatch.setattr("strategist.cli.probe.asyncio.run", interrupted)
    stopped = cli("probe", "--settings", settings(tmp_path))
    assert stopped.code == 130
    assert "the same command goes on from here" in stopped.err


def test_a_probe_with_nothing_guided_says_that_nothing_is_proven(capsys: pytest.CaptureFixture[str]) -> None:
    replies = tuple(Replies(arm="bare", persona=f"p{i}", values=(0.5,), passed=0, hard=0) for i in range(3))
    command.print_probe(Probe(student="s", advisor="a", replies=replies, spent=3))
    assert "not proven" in capsys.readouterr().out
