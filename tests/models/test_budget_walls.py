"""The study of the wall runs as documented, finds nothing, and would find it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from evals.budget_walls import Bookkeeper, plan_of, play
from strategist.models.budget import Budget, Reservation, shortage
from strategist.records.chat import Usage
from strategist.store import CallLog, Spent

ROOT = Path(__file__).parents[2]
SEEDS = range(8)


def test_it_prints_its_table_and_finds_nothing() -> None:
    done = subprocess.run([sys.executable, "-m", "evals.budget_walls", "8", "100"], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[0] == "n = 8 runs in two parts each, seeds 100 to 107, 64 calls in flight."
    cells = [cell.strip() for cell in lines[-1].split("|")[1:-1]]
    assert (cells[0], cells[1], cells[-1]) == ("all", "8", "0")
    assert int(cells[3].replace(",", "")) > 200


def faults(folder: Path) -> set[str]:
    """What it says is broken, without numbers."""
    found: set[str] = set()
    for seed in SEEDS:
        books = Bookkeeper()
        asyncio.run(play(plan_of(seed), folder / "calls.db", books))
        found |= {line.partition(":")[0].partition(" has ")[0].partition(" is ")[0] for line in books.broken}
    return found


def test_a_sound_wall_has_no_faults(tmp_path: Path) -> None:
    assert faults(tmp_path) == set()


def test_a_wall_that_forgets_what_is_under_way_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def only_spent(limits: object, total: Spent, more: Spent) -> str | None:
        return shortage(limits, total._replace(calls=total.calls - 1, tokens=total.tokens // 2), more)  # type: ignore[arg-type]

    monkeypatch.setattr("strategist.models.budget.shortage", only_spent)
    assert "a call began that does not fit" in faults(tmp_path)


def test_a_wall_that_stands_too_near_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def early(limits: object, total: Spent, more: Spent) -> str | None:
        return shortage(limits, total, more._replace(calls=more.calls + 1))  # type: ignore[arg-type]

    monkeypatch.setattr("strategist.models.budget.shortage", early)
    assert "a call was refused that fits" in faults(tmp_path)


def test_an_overrun_that_is_not_recorded_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CallLog, "_put_overrun", lambda *args: None)
    assert "the log's overrun" in faults(tmp_path)


def test_what_is_settled_for_too_little_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settle = Budget.settle

    def forgets(self: Budget, reservation: Reservation, usage: Usage | None) -> None:
        settle(self, reservation, usage or Usage())

    monkeypatch.setattr(Budget, "settle", forgets)
    assert "the budget" in faults(tmp_path)
