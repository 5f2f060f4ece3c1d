"""Does the gate keep its promise where a judge decides the pairs?

    python -m evals.judge_gate [ROUNDS]    default 400 rounds a cell, a few minutes

Simulated judges of known faults, asked in both orders as the real one is: in each order a judge takes another answer than the true one with
probability `error`; names the reply shown first with probability `order`, whatever it says; takes the guided reply with probability
`lean`, however good it is (a matter of style). People label some pairs, the lean is estimated from them as in a run, and the rounds go
through the real gate (gate.run_gate). A false discovery is an admitted candidate whose true wins are no more than its losses. The last
columns: the same rounds with the lean ignored, which is what a fair coin as the null hypothesis would do.

Also: how often the interval of the error rate that `judge score` gives covers the judge's true rate, for 50 labels.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from evals.gate_simulation import share_cell
from strategist.evaluation.judging import score
from strategist.gate.gate import run_gate
from strategist.gate.judged import JudgeLabel, Side, judged_by
from strategist.gate.moments import RankedScenario
from strategist.gate.pairs import Answered, Compared
from strategist.records.evidence import Choice, Comparison, JudgedBy, PairResult
from strategist.records.library import Candidate, Key, Strategy
from strategist.records.trace import Grade, Scenario
from strategist.settings import GateSettings
from strategist.stats import Estimate, mean_interval

ROUNDS = 400
CANDIDATES = 12
SETTINGS = GateSettings()
USELESS, USEFUL = (0.22, 0.56, 0.22), (0.62, 0.26, 0.12)
"""True wins, ties, losses of a pair."""
TRUTHS: tuple[PairResult, ...] = ("win", "tie", "loss")
_SIDES: dict[PairResult, Side] = {"win": "after", "tie": "tie", "loss": "before"}
_RESULTS: dict[str, PairResult] = {"second": "win", "first": "loss", "tie": "tie", "abstain": "tie"}


class Faults(NamedTuple):
    """A judge's faults, see the module."""

    error: float
    order: float = 0.0
    lean: float = 0.0


class Cell(NamedTuple):
    """A judge, how many pairs are labelled, the share of useless candidates."""

    faults: Faults
    labels: int
    useless: float


class Row(NamedTuple):
    """False discovery rate and power over rounds, with the lean in the test and without."""

    fdr: Estimate
    power: Estimate | None
    fdr_fair: Estimate


def said(truth: PairResult, faults: Faults, rng: np.random.Generator) -> Comparison:
    """What the judge says in both orders; the second reply is the guided one."""
    return Comparison(forward=_choice(truth, faults, rng, guided="2"), backward=_choice(truth, faults, rng, guided="1"))


def _choice(truth: PairResult, faults: Faults, rng: np.random.Generator, *, guided: Literal["1", "2"]) -> Choice:
    other: Literal["1", "2"] = "1" if guided == "2" else "2"
    right: Choice = {"win": guided, "loss": other, "tie": "tie"}[truth]
    draw = rng.random(3)
    if draw[0] < faults.order:
        return "1"
    if draw[1] < faults.lean:
        return guided
    if draw[2] < faults.error:
        choices: list[Choice] = [choice for choice in ("1", "2", "tie") if choice != right]
        return choices[int(rng.integers(2))]
    return right


def draw_truth(rates: Sequence[float], rng: np.random.Generator) -> PairResult:
    """A pair's truth."""
    return TRUTHS[int(rng.choice(3, p=rates))]


def labelled(faults: Faults, count: int, rng: np.random.Generator, useless: float = 0.7) -> list[JudgeLabel]:
    """Pairs as the gate meets them, with the judge's verdict and people's, who are right here."""
    out = []
    for number in range(count):
        truth = draw_truth(USELESS if rng.random() < useless else USEFUL, rng)
        comparison = said(truth, faults, rng)
        out.append(
            JudgeLabel(
                pair=str(number),
                run="r",
                kind="gate",
                judge="sim",
                human=_SIDES[truth],
                comparison=comparison,
                words_before=10,
                words_after=12,
            )
        )
    return out


def candidate(number: int) -> Candidate:
    key = Key(scenario=f"c{number}.0", persona=f"own-{number}", issue="i", text="k")
    return Candidate(id=f"c{number}", round=0, index=number, keys=(key,), strategies=(Strategy(text=f"Do {number}."),))


def moments(number: int) -> list[RankedScenario]:
    """As many moments as a test takes, each of a customer of its own."""
    out = []
    for place in range(SETTINGS.most):
        name = f"p{number}x{place}"
        state = Scenario(id=f"{name}.0", persona=name, issue="i", turn=0, key="k", trace=name, messages=(), state={})
        out.append(RankedScenario(state, 1, 0.9))
    return out


_CANDIDATES = [candidate(number) for number in range(CANDIDATES)]
_MOMENTS = [moments(number) for number in range(CANDIDATES)]


async def one_round(useful: Sequence[bool], faults: Faults, judged: JudgedBy | None, seed: int) -> list[bool]:
    """Who is admitted. The same seed draws the same pairs and verdicts."""

    async def answer(scenario: Scenario, sample: int, candidate: Candidate | None) -> Answered:
        return Answered(Grade(), text="" if candidate is None else candidate.id)

    async def compare(scenario: Scenario, baseline: Answered, guided: Answered, sample: int) -> Compared:
        rng = np.random.default_rng([seed, sample % 2**32])
        rates = USEFUL if useful[int(guided.text[1:])] else USELESS
        return Compared(_RESULTS[said(draw_truth(rates, rng), faults, rng).preference])

    evidence = await run_gate(
        _CANDIDATES, _MOMENTS, SETTINGS, answer, k=3, student="s", snapshot_hash="h", concurrency=64, compare=compare, judged=judged
    )
    return [one.decision == "admitted" for one in evidence]


def measure(cell: Cell, rounds: int) -> Row:
    """Play one cell."""
    false, fair, power = [], [], []
    for seed in range(rounds):
        rng = np.random.default_rng([seed, 1])
        useful = (rng.random(CANDIDATES) >= cell.useless).tolist()
        judged = judged_by("sim", labelled(cell.faults, cell.labels, rng))
        admitted = asyncio.run(one_round(useful, cell.faults, judged, seed))
        false.append(_false_share(admitted, useful))
        fair.append(_false_share(asyncio.run(one_round(useful, cell.faults, None, seed)), useful))
        if any(useful):
            power.append(sum(a and u for a, u in zip(admitted, useful, strict=True)) / sum(useful))
    return Row(mean_interval(false), mean_interval(power) if len(power) > 1 else None, mean_interval(fair))


def _false_share(admitted: Sequence[bool], useful: Sequence[bool]) -> float:
    return sum(a and not u for a, u in zip(admitted, useful, strict=True)) / max(1, sum(admitted))


def coverage(faults: Faults, labels: int, sets: int) -> tuple[float, float]:
    """The judge's true error rate among its decided verdicts, and how often the interval of `judge score` covers it."""
    rng = np.random.default_rng(7)
    whole = score("sim", labelled(faults, 20_000, rng)).errors
    assert whole is not None
    found = [score("sim", labelled(faults, labels, rng)).errors for _ in range(sets)]
    return whole.mean, sum(one is not None and one.low <= whole.mean <= one.high for one in found) / sets


def cells() -> list[Cell]:
    """What is tried."""
    judges = (
        Faults(0.1),
        Faults(0.2, order=0.3),
        Faults(0.2, lean=0.1),
        Faults(0.2, order=0.2, lean=0.2),
        Faults(0.35, order=0.2, lean=0.1),
    )
    return [
        Cell(faults, labels, useless) for faults in judges for labels, useless in ((0, 0.9), (50, 0.5), (50, 0.9), (50, 1.0), (200, 0.9))
    ]


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    print(
        f"n = {rounds} rounds of {CANDIDATES} candidates a cell, seeds 0 to {rounds - 1}; false discovery rate at most {SETTINGS.fdr:.2f}\n"
    )
    print("| error / order / lean | labels | useless | false discovery rate | power | lean ignored |\n|---|---|---|---|---|---|")
    worst = 0.0
    for cell in cells():
        row = measure(cell, rounds)
        worst = max(worst, row.fdr.mean)
        power = share_cell(row.power)
        shown = f"{cell.faults.error:.2f} / {cell.faults.order:.2f} / {cell.faults.lean:.2f}"
        print(
            f"| {shown} | {cell.labels} | {cell.useless:.0%} | {share_cell(row.fdr)} | {power} | {share_cell(row.fdr_fair)} |", flush=True
        )
    print(f"\nhighest: {worst:.3f}\n\n| error / order / lean | true error rate | covered by the interval of 50 labels |\n|---|---|---|")
    for faults in dict.fromkeys(cell.faults for cell in cells()):
        true, covered = coverage(faults, 50, 400)
        print(f"| {faults.error:.2f} / {faults.order:.2f} / {faults.lean:.2f} | {true:.3f} | {covered:.2f} |")


if __name__ == "__main__":
    main()
