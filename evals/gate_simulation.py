"""How often does the gate admit what is useless, how much of what is useful does it find, and at which price?

`python -m evals.gate_simulation [rounds]` simulates rounds of candidates whose win, tie and loss rates are known, stages and decisions
being those of `strategist.gate.decide`, and prints one row per design and world. No model is involved: an outcome is a draw.

Worlds: useful candidates win 0.53 and lose 0.06 (measured on a 1.5B student with the right strategy), or win 0.75 and lose 0.10.
Useless ones win as often as they lose, with the same share of ties, which is the hardest null; harmful ones have win and loss of the
useful swapped. Whatever is admitted and not useful is a false discovery.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from strategist.gate.decide import Tested, decide_round, goes_on
from strategist.records.base import stable_int
from strategist.records.evidence import Evidence, Pair, PairResult
from strategist.settings import GateSettings
from strategist.stats import Estimate, mean_interval

SEED = 0
ROUNDS = 2000
CANDIDATES = 16
Kind = Literal["useful", "useless", "harmful"]
RESULTS: tuple[PairResult, ...] = ("win", "loss", "tie")


class World(NamedTuple):
    """Rates of a useful candidate and how many of the round's candidates are of which kind."""

    win: float
    loss: float
    useless: float
    harmful: float = 0.0

    def kinds(self) -> list[Kind]:
        useless, harmful = round(CANDIDATES * self.useless), round(CANDIDATES * self.harmful)
        names: tuple[tuple[Kind, int], ...] = (("useless", useless), ("harmful", harmful), ("useful", CANDIDATES - useless - harmful))
        return [kind for kind, count in names for _ in range(count)]

    def rates(self, kind: Kind) -> tuple[float, float, float]:
        tie = 1 - self.win - self.loss
        even = (self.win + self.loss) / 2
        return {"useful": (self.win, self.loss, tie), "useless": (even, even, tie), "harmful": (self.loss, self.win, tie)}[kind]


class Design(NamedTuple):
    """Pairs up to the first look (and from look to look), and pairs behind it."""

    first: int
    second: int


class Row(NamedTuple):
    """What came out: false discovery rate and power with intervals over rounds, student replies per candidate."""

    fdr: Estimate
    power: Estimate | None
    replies: Estimate


WORLDS = tuple(
    World(win, loss, useless, harmful)
    for win, loss in ((0.75, 0.10), (0.53, 0.06))
    for useless, harmful in ((0.5, 0.0), (0.9, 0.0), (1.0, 0.0), (0.25, 0.25))
)
DESIGNS = tuple(Design(first, second) for first, second in ((4, 8), (4, 12), (6, 12), (4, 18), (4, 30)))


def simulate(design: Design, world: World, *, rounds: int = ROUNDS, seed: int = SEED, fdr: float = 0.10) -> Row:
    """Play `rounds` rounds and measure. Each has its own draws; the same seed gives the same row."""
    generator = np.random.default_rng(stable_int(seed, str(design), str(world)))
    kinds = world.kinds()
    rates = [world.rates(kind) for kind in kinds]
    shares: list[float] = []
    found: list[float] = []
    replies: list[float] = []
    for _ in range(rounds):
        tested = [_play(design, rate, fdr, generator) for rate in rates]
        evidence = decide_round(tested, fdr=fdr, hard_level=0.10)
        admitted = [kind for kind, one in zip(kinds, evidence, strict=True) if one.decision == "admitted"]
        shares.append(sum(kind != "useful" for kind in admitted) / max(1, len(admitted)))
        found.append(admitted.count("useful") / max(1, kinds.count("useful")))
        replies.append(_mean_replies(evidence))
    return Row(mean_interval(shares), mean_interval(found) if "useful" in kinds else None, mean_interval(replies))


def _play(design: Design, rates: tuple[float, float, float], fdr: float, generator: np.random.Generator) -> Tested:
    pairs: tuple[Pair, ...] = ()
    left = design.first + design.second
    hope = fdr if left >= GateSettings().most else None  # smaller tests are made again
    while True:
        step = min(design.first, left)
        pairs += _draw(step, 2 if pairs else 1, rates, generator)
        left -= step
        if not left or not goes_on(pairs, left, first=len(pairs) == design.first, hope=hope):
            return Tested(pairs, stopped=left > 0)


def _draw(units: int, stage: Literal[1, 2], rates: tuple[float, float, float], generator: np.random.Generator) -> tuple[Pair, ...]:
    counts = generator.multinomial(units, rates)
    return tuple(pair for result, count in zip(RESULTS, counts, strict=True) for pair in (_PAIRS[stage, result],) * int(count))


def _mean_replies(evidence: Sequence[Evidence]) -> float:
    return sum(one.replies for one in evidence) / len(evidence)


_PAIRS: dict[tuple[int, PairResult], Pair] = {
    (stage, result): Pair(scenario="s", persona="p", stage=stage, score=1.0, result=result, uplift=0.0, baseline_hard=0, guided_hard=0)
    for stage in (1, 2)
    for result in RESULTS
}


def _cell(estimate: Estimate | None) -> str:
    return "-" if estimate is None else f"{estimate.mean:.3f} [{max(0.0, estimate.low):.3f}, {min(1.0, estimate.high):.3f}]"


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    defaults = GateSettings()
    print(f"n = {rounds} rounds of {CANDIDATES} candidates a row, seed {SEED}, stated rate 0.10, 95 % t intervals over rounds.")
    print(f"Default sizes: a look every {defaults.look}, at most {defaults.most}, at least {defaults.enough} in all.\n")
    print("| look every / at most | useful win / loss | useless | harmful | false discovery rate | power | replies a candidate |")
    print("|---|---|---|---|---|---|---|")
    for design in DESIGNS:
        for world in WORLDS:
            row = simulate(design, world, rounds=rounds)
            sizes = f"{design.first} / {design.first + design.second}"
            rates = f"{world.win:.2f} / {world.loss:.2f} | {world.useless:.0%} | {world.harmful:.0%}"
            print(f"| {sizes} | {rates} | {_cell(row.fdr)} | {_cell(row.power)} | {row.replies.mean:.1f} |", flush=True)


if __name__ == "__main__":
    main()
