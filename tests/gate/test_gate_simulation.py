"""The simulation is of the gate that is used, repeats itself, keeps the stated rate, and prints its tables."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from evals import gate_simulation
from evals.gate_designs import FDR, benjamini_hochberg, betting, closed_e_bh, fixed, flip_ps, futility, in_use, screened
from evals.gate_worlds import CANDIDATES, Drawn, World, draw
from strategist.gate.decide import Tested as Case
from strategist.gate.decide import falls_behind, win_test
from strategist.gate.gate import run_gate
from strategist.gate.moments import RankedScenario
from strategist.gate.pairs import Answered, make_pair
from strategist.records.evidence import Evidence
from strategist.records.library import Candidate
from strategist.records.trace import Grade, Scenario
from strategist.settings import GateSettings
from strategist.stats import benjamini_hochberg as adjusted
from strategist.stats import sign_flip_test

ROOT = Path(__file__).parents[2]
WEAK = World(0.55, 0.20, 0.5)


def grade_of(result: int) -> Grade:
    """A reply that is better, as good or worse than one of 1 in 2."""
    return Grade(soft_passed=1 + result, soft_total=2)


def through_the_gate(results: np.ndarray[tuple[int, int], np.dtype[np.int8]], settings: GateSettings) -> tuple[Evidence, ...]:
    """One round (candidates, moments) played by the gate itself; the n-th moment of a candidate has its n-th result."""
    seen: dict[str, int] = {}

    async def answer(scenario: Scenario, sample: int, candidate: Candidate | None) -> Answered:
        if candidate is None:
            return Answered(grade_of(0))
        seen[candidate.id] = seen.get(candidate.id, -1) + 1
        return Answered(grade_of(int(results[int(candidate.id), seen[candidate.id]])))

    candidates = [gate_simulation.candidate_of(str(index)) for index in range(len(results))]
    moments = [[RankedScenario(gate_simulation.moment(n), 1, 1.0) for n in range(results.shape[1])]] * len(candidates)
    return asyncio.run(run_gate(candidates, moments, settings, answer, k=1, student="", snapshot_hash="", concurrency=1))


def to_the_end(results: np.ndarray[tuple[int, int], np.dtype[np.int8]], settings: GateSettings) -> list[bool]:
    """Who is admitted if everybody who is not dropped plays all moments."""
    ps = []
    for row in results:
        scenario = RankedScenario(gate_simulation.moment(0), 1, 1.0)
        pairs = tuple(make_pair(scenario, 1, Answered(grade_of(0)), Answered(grade_of(int(result)))) for result in row)
        ends = range(settings.look, len(row), settings.look)
        one = Case(pairs, len(row), settings.enough)
        dropped = any(falls_behind(one._replace(pairs=pairs[:end]), fdr=settings.fdr) for end in ends)
        ps.append(1.0 if dropped else win_test(one))
    return [q <= settings.fdr for q in adjusted(ps)]


@pytest.mark.parametrize(("look", "most"), [(4, 22), (3, 17)])
def test_the_arrays_do_what_the_gate_does_and_stopping_early_changes_no_decision(look: int, most: int) -> None:
    settings = GateSettings(look=look, most=most)
    drawn = draw(WEAK, 12)
    cut = Drawn(drawn.results[:, :, :most], drawn.values[:, :, :most])
    outcome = in_use(most, look)(cut)
    stopped_early = 0
    for number, results in enumerate(cut.results):
        evidence = through_the_gate(results, settings)
        admitted = [one.decision == "admitted" for one in evidence]
        assert admitted == outcome.admitted[number].tolist() == to_the_end(results, settings)
        assert [len(one.pairs) for one in evidence] == outcome.pairs[number].tolist()
        stopped_early += sum(one.decision == "admitted" and len(one.pairs) < most for one in evidence)
    assert stopped_early > 15


def test_all_designs_keep_the_rate_and_differ_in_what_they_cost() -> None:
    strong = World(0.75, 0.10, 0.5)
    now = gate_simulation.measure(in_use(), strong, 200)
    assert now.fdr.mean <= FDR
    assert now.power is not None
    assert now.power.mean >= 0.9
    assert now.replies.mean <= 32
    for design in (fixed(22), screened(4, 18, pooled=True), futility(22), fixed(22, graded=True)):
        other = gate_simulation.measure(design, strong, 200)
        assert other.fdr.mean <= FDR
        assert other.found < now.found
    bets = gate_simulation.measure(betting(34), strong, 40)
    assert bets.fdr.mean <= FDR
    assert bets.power is not None
    assert bets.power.mean > 0.8


def test_rates_of_the_drawn_pairs_are_the_stated_ones() -> None:
    results = draw(World(0.6, 0.1, 0.5, 0.25, spread=1.0), 300).results
    wins, losses = (results == 1).mean(axis=(0, 2)), (results == -1).mean(axis=(0, 2))
    useful, useless, harmful = slice(0, 4), slice(4, 12), slice(12, 16)
    assert wins[useful] == pytest.approx([0.6] * 4, abs=0.03)
    assert losses[useful] == pytest.approx([0.1] * 4, abs=0.03)
    assert wins[useless] == pytest.approx(losses[useless], abs=0.03)
    assert wins[harmful] == pytest.approx([0.1] * 4, abs=0.03)
    half = draw(World(0.6, 0.1, 0.0, relevance=0.5), 300).results
    assert 0.35 < (half == 1).mean() < 0.5
    assert np.array_equal(draw(WEAK, 3).results, draw(WEAK, 3).results)
    assert not np.array_equal(draw(WEAK, 3).results, draw(WEAK, 3, seed=1).results)


def test_with_shared_baselines_each_is_paid_once() -> None:
    apart, shared = (gate_simulation.measure(fixed(20), World(shared=shared), 20) for shared in (False, True))
    assert apart.replies.mean == 40
    assert shared.replies.mean == pytest.approx(20 + 20 / CANDIDATES)


def test_procedures_over_a_round_agree_with_the_plain_ones() -> None:
    generator = np.random.default_rng(3)
    ps = generator.random((50, 8)) ** 3
    assert benjamini_hochberg(ps).tolist() == [[q <= FDR for q in adjusted(row)] for row in ps.tolist()]
    values = generator.normal(0.3, 0.5, (2, 3, 12))
    plain = [[sign_flip_test(one, draws=20_000) for one in row] for row in values.tolist()]
    assert flip_ps(values, flips=20_000) == pytest.approx(np.array(plain), abs=0.02)
    # one great e-value takes a hopeless one along if their mean is great enough; alone it needs its own bar
    assert closed_e_bh(np.array([[1000.0, 11.0, 0.0], [25.0, 1.0, 0.0], [40.0, 0.0, 0.0]])).tolist() == [
        [True, True, False], [False, False, False], [True, False, False],
    ]  # fmt: skip


def test_runs_have_rounds_with_candidates_that_come_again() -> None:
    rounds = gate_simulation.one_run(0.75, 0.10, seed=1)
    assert len(rounds) == len(gate_simulation.ROUND_SHARES)
    assert rounds == gate_simulation.one_run(0.75, 0.10, seed=1)
    assert all(one.tested == CANDIDATES for one in rounds)
    assert rounds[0].admitted >= 5
    assert all(0 <= one.false <= one.admitted for one in rounds)


def test_the_command_prints_its_tables(tmp_path: Path) -> None:
    for study, rows in (("grid", 4), ("runs", 15), ("designs", 165)):
        command = [sys.executable, "-m", "evals.gate_simulation", study, "4"]
        done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True)
        lines = [line for line in done.stdout.splitlines() if line.startswith("| ") and "false discovery" not in line]
        assert len(lines) == rows, done.stdout
    assert (tmp_path / "runs/gate/grid.png").stat().st_size > 10_000
    assert len((tmp_path / "runs/gate/grid.csv").read_text(encoding="utf-8").splitlines()) == 438
    wrong = subprocess.run([sys.executable, "-m", "evals.gate_simulation", "all"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert wrong.returncode == 1
    assert wrong.stderr == "which study? designs, grid, runs, then how many rounds; got 'all'\n"
