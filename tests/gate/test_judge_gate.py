"""The study of the gate under a judge: its simulated judges have the faults they are said to have, and it runs small."""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter

import numpy as np
import pytest

from evals import __main__ as bench
from evals import judge_gate
from evals.judge_gate import USEFUL, USELESS, Cell, Faults, cells, coverage, draw_truth, labelled, measure, one_round, said
from strategist.gate.judged import judged_by
from strategist.records.evidence import PairResult

N = 3000


def verdicts(truth: PairResult, faults: Faults) -> dict[str, float]:
    """Shares of what a judge says of pairs with this truth."""
    rng = np.random.default_rng(5)
    counts = Counter(said(truth, faults, rng).preference for _ in range(N))
    return {name: count / N for name, count in counts.items()}


def test_a_judge_without_faults_is_right() -> None:
    assert verdicts("win", Faults(0.0)) == {"second": 1.0}
    assert verdicts("loss", Faults(0.0)) == {"first": 1.0}
    assert verdicts("tie", Faults(0.0)) == {"tie": 1.0}


def test_errors_hit_both_sides_alike() -> None:
    """Wrong in both orders alike: 0.1 squared; an error in one order makes a tie."""
    tie = verdicts("tie", Faults(0.2))
    assert tie["first"] == pytest.approx(tie["second"], abs=0.01)
    assert tie["first"] == pytest.approx(0.01, abs=0.006)
    win = verdicts("win", Faults(0.2))
    assert win["second"] == pytest.approx(0.64, abs=0.03)
    assert win["first"] == pytest.approx(0.01, abs=0.006)


def test_a_love_of_the_first_place_only_makes_ties() -> None:
    assert verdicts("tie", Faults(0.0, order=0.4)) == {"tie": 1.0}
    assert verdicts("win", Faults(0.0, order=0.4))["second"] == pytest.approx(0.6, abs=0.03)
    assert verdicts("win", Faults(0.0, order=1.0)) == {"tie": 1.0}


def test_a_lean_takes_the_guided_reply_whatever_it_is() -> None:
    assert verdicts("loss", Faults(0.0, lean=1.0)) == {"second": 1.0}
    half = verdicts("tie", Faults(0.0, lean=0.5))
    assert half["second"] == pytest.approx(0.25, abs=0.03)
    assert "first" not in half


def test_useless_pairs_are_won_as_often_as_lost_and_people_are_right() -> None:
    rng = np.random.default_rng(1)
    counts = Counter(draw_truth(USELESS, rng) for _ in range(N))
    assert counts["win"] == pytest.approx(counts["loss"], rel=0.12)
    assert sum(USEFUL) == pytest.approx(1)
    labels = labelled(Faults(0.0), 200, rng)
    assert all(one.verdict == one.human for one in labels)
    assert judged_by("sim", labels).labels == 200
    assert abs(judged_by("sim", labels).bias) < 0.02


def test_a_leaning_judge_is_found_out_by_its_labels_and_not_by_a_fair_coin() -> None:
    row = measure(Cell(Faults(0.2, 0.2, 0.2), 50, 1.0), 12)
    assert row.fdr.mean < 0.1 < row.fdr_fair.mean
    assert row.power is None
    assert row.fdr.n == 12


def test_a_good_judge_with_labels_finds_what_helps() -> None:
    row = measure(Cell(Faults(0.1), 200, 0.5), 6)
    assert row.power is not None
    assert row.power.mean > 0.3
    assert row == measure(Cell(Faults(0.1), 200, 0.5), 6), "the same seeds draw the same rounds"


def test_the_same_seed_draws_the_same_round() -> None:
    useful = [number % 2 == 0 for number in range(judge_gate.CANDIDATES)]
    one, again = (asyncio.run(one_round(useful, Faults(0.1), None, 3)) for _ in range(2))
    assert one == again
    assert any(one)


def test_the_interval_of_the_error_rate_covers_it() -> None:
    true, covered = coverage(Faults(0.35, 0.2, 0.1), 50, 60)
    assert 0.2 < true < 0.4
    assert covered > 0.85


def test_it_prints_its_tables_and_is_part_of_the_bench(capsys: pytest.CaptureFixture[str]) -> None:
    judge_gate.main(2, [Cell(Faults(0.1), 0, 0.9), Cell(Faults(0.1), 50, 1.0)], 3)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("n = 2 rounds of 12 candidates a cell, seeds 0 to 1")
    assert sum(line.startswith("| 0.10 / 0.00 / 0.00 | ") for line in lines) == 3
    assert any(line.startswith("highest: ") for line in lines)
    assert len(cells()) == 25
    assert "judge_gate.main()" in inspect.getsource(bench.main)
