"""How often does the gate admit what is useless, how much of what is useful does it find, and at which price?

    python -m evals.gate_simulation designs [ROUNDS]    designs side by side, at the rates of real students
    python -m evals.gate_simulation grid [ROUNDS]       the design in use over effect x ties x useless x relevance x customers x baselines
    python -m evals.gate_simulation runs [RUNS]         four rounds in a row, one of useless candidates only, with tests that come again

Without a word: all three, 2,000 rounds a cell. Models are not involved: a pair is a draw (evals/gate_worlds.py). Whatever is admitted and
not useful is a false discovery; the rate is the mean over rounds of its share among what is admitted. `grid` also writes
runs/gate/grid.csv and runs/gate/grid.png.
"""

from __future__ import annotations

import asyncio
import csv
import sys
from collections.abc import Callable, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

from evals.gate_designs import Design, Flags, betting, fixed, futility, in_use, screened
from evals.gate_worlds import CANDIDATES, Values, World, draw
from evals.last_run import cell
from strategist.gate.gate import run_gate
from strategist.gate.moments import RankedScenario
from strategist.gate.pairs import Answered
from strategist.loop.propose import is_open
from strategist.records.base import stable_int
from strategist.records.evidence import Evidence
from strategist.records.library import Candidate, Key, Strategy
from strategist.records.trace import Grade, Scenario
from strategist.settings import GateSettings
from strategist.stats import Estimate, mean_interval

ROUNDS = 2000
HOME = Path("runs/gate")

DESIGNS: dict[str, Design] = {
    "in use: sequential, looks every 4, up to 34": in_use(),
    "sequential, looks every 2, up to 34": in_use(look=2),
    "sequential, looks every 4, up to 22": in_use(22),
    "22 pairs, sign test": fixed(22),
    "22 pairs, sign flips of graded values": fixed(22, graded=True),
    "4, who is ahead 18 more: test over those": screened(4, 18, pooled=False),
    "4, who is ahead 18 more: test over all": screened(4, 18, pooled=True),
    "the same, sign flips of graded values": screened(4, 18, pooled=True, graded=True),
    "22, futility looks every 4": futility(22),
    "34, futility looks every 4": futility(34),
    "bets, closed e-BH at looks every 4, up to 34": betting(34),
}
RATES = ((0.75, 0.10, 1.0), (0.58, 0.17, 1.0), (0.53, 0.06, 1.0), (0.55, 0.13, 0.8), (0.26, 0.07, 1.0))
"""Wins, losses, relevance: an example of a strong line; lines of the 1.5B in its own runs; right lines of the 1.5B, picked by hand;
lines of the lab's student; right lines of the 0.5B."""


class Row(NamedTuple):
    """What came out in one cell. `any_false`: share of rounds with a false discovery; `high`: the rate that one round in twenty exceeds;
    `found`: useful entries per 1,000 student replies."""

    fdr: Estimate
    any_false: float
    high: float
    power: Estimate | None
    replies: Estimate
    found: float


def measure(design: Design, world: World, rounds: int = ROUNDS, seed: int = 0) -> Row:
    """Play one cell. With shared baselines, each customer's baseline reply is paid once a round."""
    admitted, pairs = design(draw(world, rounds, seed))
    useful = np.array([kind == "useful" for kind in world.kinds])
    false = shares_false(admitted, useful)
    paid = pairs.sum(1) + (pairs.max(1) if world.shared else pairs.sum(1))
    power = mean_interval(admitted[:, useful].mean(1).tolist()) if useful.any() else None
    found = 1000 * float((admitted & useful).sum() / paid.sum())
    replies = mean_interval((paid / CANDIDATES).tolist())
    return Row(mean_interval(false.tolist()), float((false > 0).mean()), float(np.quantile(false, 0.95)), power, replies, found)


def shares_false(admitted: Flags, useful: Flags) -> Values:
    """Per round, the share of what is admitted that is not useful; 0 where nothing is."""
    shares: Values = (admitted & ~useful).sum(1) / np.maximum(1, admitted.sum(1))
    return shares


def designs(rounds: int) -> None:
    """Table of designs at the rates of real students."""
    print("| design | wins / losses / relevance | useless | false discovery rate | power | replies a candidate | found per 1,000 replies |")
    print("|---|---|---|---|---|---|---|")
    for win, loss, relevance in RATES:
        for useless in (0.5, 0.9, 1.0):
            world = World(win, loss, useless, relevance=relevance)
            for name, design in DESIGNS.items():
                row = measure(design, world, rounds)
                found = "-" if row.power is None else f"{row.found:.1f}"
                where = f"{win:.2f} / {loss:.2f} / {relevance:.0%} | {useless:.0%}"
                print(
                    f"| {name} | {where} | {share_cell(row.fdr)} | {share_cell(row.power)} | {row.replies.mean:.1f} | {found} |", flush=True
                )


EFFECTS = (0.65, 0.75, 0.88, 0.95)
"""Share of wins among the pairs that are not ties."""
TIES = (0.15, 0.45, 0.70)
RELEVANCE = (1.0, 0.75, 0.5)


def grid_worlds() -> list[World]:
    """All cells."""
    worlds = [
        World(effect * (1 - tie), (1 - effect) * (1 - tie), useless, relevance=relevance, spread=spread, shared=shared)
        for effect, tie, useless, relevance, spread, shared in product(EFFECTS, TIES, (0.5, 0.9, 1.0), RELEVANCE, (0.0, 1.0), (False, True))
    ]
    return worlds + [World(win, loss, 0.25, 0.25, relevance) for win, loss, relevance in RATES]


def grid(rounds: int) -> None:
    """Every cell into a file and a picture; here the extremes."""
    design = in_use()
    rows = {world: measure(design, world, rounds) for world in grid_worlds()}
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / "grid.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*World._fields, "fdr", "fdr_low", "fdr_high", "rounds_with_false", "fdp_95", "power", "replies", "found_per_1000"])
        for world, row in rows.items():
            power = "" if row.power is None else f"{row.power.mean:.3f}"
            figures = [f"{value:.3f}" for value in (row.fdr.mean, row.fdr.low, row.fdr.high, row.any_false, row.high)]
            writer.writerow([*(f"{x:.4g}" for x in world), *figures, power, f"{row.replies.mean:.1f}", f"{row.found:.2f}"])
    _plot(rows)
    print(f"{len(rows)} cells, {rounds} rounds each, in {HOME / 'grid.csv'}; picture: {HOME / 'grid.png'}\n")
    print("| useless candidates | cells | highest false discovery rate [95 %] | mean | most rounds with a false discovery |")
    print("|---|---|---|---|---|")
    for useless in sorted({world.useless for world in rows}):
        part = [row for world, row in rows.items() if world.useless == useless]
        worst = max(part, key=lambda row: row.fdr.mean)
        mean = sum(row.fdr.mean for row in part) / len(part)
        print(f"| {useless:.0%} | {len(part)} | {share_cell(worst.fdr)} | {mean:.3f} | {max(row.any_false for row in part):.0%} |")
    worst_cell = max(rows, key=lambda world: rows[world].fdr.mean)
    again = measure(design, worst_cell, 10 * rounds, seed=1)
    print(f"\nThe highest of {len(rows)} cells is partly luck; on {10 * rounds} other rounds it has {share_cell(again.fdr)}: {worst_cell}")


def _plot(rows: dict[World, Row]) -> None:
    """Power and replies over effect and ties, one panel per share of useless candidates and relevance."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7), layout="constrained")
    axes = figure.subplots(2, len(RELEVANCE), squeeze=False)
    for line, useless in enumerate((0.5, 0.9)):
        for column, relevance in enumerate(RELEVANCE):
            axis = axes[line][column]
            cells = [[_of(rows, effect, tie, useless, relevance) for tie in TIES] for effect in EFFECTS]
            powers = np.array([[row.power.mean if row.power else np.nan for row in line_] for line_ in cells])
            axis.imshow(powers, vmin=0, vmax=1, cmap="YlGn", origin="lower", aspect="auto")
            axis.set_xticks(range(len(TIES)), [f"{tie:.0%}" for tie in TIES])
            axis.set_yticks(range(len(EFFECTS)), [f"{effect:.0%}" for effect in EFFECTS])
            axis.set_title(f"{useless:.0%} useless, {relevance:.0%} relevant", fontsize=10)
            axis.set_xlabel("ties")
            axis.set_ylabel("wins among the others")
            for y, x in product(range(len(EFFECTS)), range(len(TIES))):
                row = cells[y][x]
                text = f"{powers[y, x]:.0%}\n{row.replies.mean:.0f} replies\nFDR {row.fdr.mean:.1%}"
                axis.text(x, y, text, ha="center", va="center", fontsize=8, color="white" if powers[y, x] > 0.75 else "black")
    figure.suptitle("Power of the gate, student replies a candidate, realised false discovery rate")
    figure.savefig(HOME / "grid.png", dpi=110)


def _of(rows: dict[World, Row], effect: float, tie: float, useless: float, relevance: float) -> Row:
    return rows[World(effect * (1 - tie), (1 - effect) * (1 - tie), useless, relevance=relevance)]


ROUND_SHARES = (0.5, 0.75, 1.0, 0.9)
"""Share of useless ones among a round's new candidates; in the third there are no others."""
SMALL, FULL, MORE = 16, 34, 6
"""Moments of a small and of a full test, and what a candidate that comes again has more."""
AGAIN = 0.3
"""Share of what was refused that is proposed again later, useful or not: a new hypothesis with fresh replies."""


class Round(NamedTuple):
    """Entries admitted in a round, how many of them are useless, how many candidates were tested, and student replies."""

    admitted: int
    false: int
    tested: int
    replies: int


def one_run(win: float, loss: float, seed: int) -> list[Round]:
    """Four rounds through the gate itself. A third of the candidates has moments for a small test only."""
    generator = np.random.default_rng(stable_int("run", seed, str(win), str(loss)))
    made, again, rounds = 0, list[tuple[Candidate, int]](), list[Round]()
    for useless in ROUND_SHARES:
        tested = again[:CANDIDATES]
        for kind in World(useless=useless).kinds[: CANDIDATES - len(tested)]:
            tested.append((candidate_of(f"{kind}-{seed}-{made}"), int(generator.choice((FULL, FULL, SMALL)))))
            made += 1
        evidence = asyncio.run(play(tested, win, loss))
        admitted = [c for (c, _), one in zip(tested, evidence, strict=True) if one.decision == "admitted"]
        false = sum(not c.id.startswith("useful") for c in admitted)
        rounds.append(Round(len(admitted), false, len(tested), sum(one.replies for one in evidence)))
        again = [
            (c.model_copy(update={"tries": c.tries + 1}), min(FULL, count + MORE))
            for (c, count), one in zip(tested, evidence, strict=True)
            if is_open(one, FULL) or (one.decision != "admitted" and generator.random() < AGAIN)
        ]
    return rounds


def candidate_of(name: str) -> Candidate:
    """A candidate that is nothing but its name."""
    return Candidate(id=name, round=0, index=0, keys=(Key(scenario="", persona="", issue="", text=""),), strategies=(Strategy(text=name),))


async def play(tested: Sequence[tuple[Candidate, int]], win: float, loss: float) -> tuple[Evidence, ...]:
    """The gate over candidates and their numbers of moments. The worth of a candidate is the beginning of its name."""
    even = (win + loss) / 2

    async def answer(scenario: Scenario, sample: int, candidate: Candidate | None) -> Answered:
        if candidate is None:
            return Answered(Grade(soft_passed=1, soft_total=2))
        wins, losses = (win, loss) if candidate.id.startswith("useful") else (even, even)
        chance = stable_int("pair", sample) / 2**48
        return Answered(Grade(soft_passed=2 if chance < wins else 0 if chance < wins + losses else 1, soft_total=2))

    moments = [[RankedScenario(moment(n), 1, 1.0) for n in range(count)] for _, count in tested]
    settings = GateSettings(most=FULL, least=min(SMALL, GateSettings().least))
    return await run_gate([c for c, _ in tested], moments, settings, answer, k=1, student="", snapshot_hash="")


@cache
def moment(number: int) -> Scenario:
    """A test moment of a customer of its own."""
    return Scenario(id=f"s{number}", trace="", persona=f"p{number}", issue="", turn=0, messages=(), key="", state={})


def runs(count: int) -> None:
    """False discovery rate by round and of the whole library."""
    columns = (
        "wins / losses",
        "round",
        "useless of the new",
        "false discovery rate",
        "with a false one",
        "one in 20 above",
        "entries",
        "replies",
    )
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for win, loss in ((0.75, 0.10), (0.58, 0.17), (0.26, 0.07)):
        played = [one_run(win, loss, seed) for seed in range(count)]
        for number, useless in enumerate(ROUND_SHARES):
            part = [rounds[number] for rounds in played]
            print(f"| {win:.2f} / {loss:.2f} | {number + 1} | {useless:.0%} | {_spread(part)} |", flush=True)
        whole = [Round(*map(sum, zip(*rounds, strict=True))) for rounds in played]
        print(f"| {win:.2f} / {loss:.2f} | library | | {_spread(whole)} |", flush=True)


def _spread(rounds: Sequence[Round]) -> str:
    shares = [one.false / max(1, one.admitted) for one in rounds]
    any_false, high = sum(share > 0 for share in shares) / len(shares), float(np.quantile(shares, 0.95))
    entries, replies = sum(one.admitted for one in rounds), sum(one.replies for one in rounds)
    return f"{share_cell(mean_interval(shares))} | {any_false:.0%} | {high:.2f} | {entries / len(rounds):.1f} | {replies / len(rounds):.0f}"


def share_cell(estimate: Estimate | None) -> str:
    """Mean and 95 % interval over rounds of a share, within 0 and 1."""
    return cell(None if estimate is None else estimate._replace(low=max(0.0, estimate.low), high=min(1.0, estimate.high)))


STUDIES: dict[str, tuple[Callable[[int], None], int]] = {"designs": (designs, ROUNDS), "grid": (grid, ROUNDS), "runs": (runs, 300)}


def main(name: str | None = None, count: int | None = None) -> None:
    """One study or all."""
    defaults = GateSettings()
    print(f"{CANDIDATES} candidates a round, seed 0, stated rate 0.10, 95 % t intervals over rounds (or runs).")
    print(f"The gate's defaults: looks every {defaults.look} pairs, {defaults.enough} to {defaults.most} moments a test.\n")
    for study, (work, usual) in STUDIES.items():
        if name in (None, study):
            print(f"{study}: n = {count or usual}\n")
            work(count or usual)
            print()


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] not in STUDIES:
        sys.exit(f"which study? {', '.join(STUDIES)}, then how many rounds; got {sys.argv[1]!r}")
    main(sys.argv[1] if len(sys.argv) > 1 else None, int(sys.argv[2]) if len(sys.argv) > 2 else None)
