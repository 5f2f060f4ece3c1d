"""What the floor study measures, and its plots: how reliable the fitted probability is, and what a line does by the score at which it was
found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from strategist.records.base import Record
from strategist.stats import mean_interval

GROUPS = 10
LEAST = 10
"""Points that a group needs to be drawn."""
INK, SOFT, RIGHT, WRONG = "#1b2733", "#b9c3cd", "#1f6f8b", "#b4532a"


class Point(Record):
    """One dev state where something is found and no gap is nearer: its score, the fitted probability that it is right, whether it is, and
    the mean uplift of its lines (None for a control)."""

    score: float
    predicted: float
    right: bool
    uplift: float | None


class Rule(Record):
    """What one rule came to on dev: score, share of guided turns, conversations with a hard failure in 100; and its floor."""

    floor: float | None
    score: float
    guided: float
    hard: float


class RunFigures(Record):
    """All figures of one run. `needed` is H / (H + L); `share_right` that of what is found first at the run's own states."""

    needed: float
    share_right: float
    points: tuple[Point, ...]
    rules: dict[str, Rule]


class Group(NamedTuple):
    """Points of one group, run by run."""

    runs: tuple[tuple[Point, ...], ...]

    @property
    def all(self) -> list[Point]:
        return [point for run in self.runs for point in run]


def groups_of(runs: Sequence[RunFigures], field: str) -> list[Group]:
    """Groups of equal width by a value in [0, 1]; those with few points are left out."""

    def place(point: Point) -> int:
        return min(int(getattr(point, field) * GROUPS), GROUPS - 1)

    groups = [Group(tuple(tuple(p for p in run.points if place(p) == number) for run in runs)) for number in range(GROUPS)]
    return [group for group in groups if len(group.all) >= LEAST]


def over_runs(values: Sequence[Sequence[float]]) -> tuple[float, float, float]:
    """Mean of all values, with the half-widths below and above of Student's t interval over the means of runs."""
    mean = fmean(value for run in values for value in run)
    means = [fmean(run) for run in values if run]
    if len(means) < 2:
        return mean, 0.0, 0.0
    found = mean_interval(means)
    return mean, found.mean - found.low, found.high - found.mean


def plot_reliability(worlds: Mapping[str, Sequence[RunFigures]], path: Path) -> None:
    """Realised share against fitted probability, with the number of dev states of each group, one panel a world."""
    figure = Figure(figsize=(4.2 * len(worlds), 4.8))
    axes = figure.subplots(2, len(worlds), height_ratios=(4, 1), sharex=True, squeeze=False)
    for column, (world, runs) in enumerate(worlds.items()):
        above, below = axes[0][column], axes[1][column]
        above.plot((0, 1), (0, 1), color=SOFT, linewidth=1, zorder=0)
        for group in groups_of(runs, "predicted"):
            x = fmean(point.predicted for point in group.all)
            y, low, high = over_runs([[float(point.right) for point in run] for run in group.runs])
            above.errorbar(x, y, yerr=[[min(low, y)], [min(high, 1 - y)]], fmt="o", color=RIGHT, markersize=5, linewidth=1)
        counts = np.histogram([point.predicted for run in runs for point in run.points], bins=GROUPS, range=(0, 1))[0]
        below.bar((np.arange(GROUPS) + 0.5) / GROUPS, counts, width=0.085, color=SOFT)
        above.set(ylim=(-0.03, 1.05), xlim=(-0.02, 1.02))
        above.set_title(f"{world}, {len(runs)} runs", loc="left", fontsize=10)
        below.set(xlabel="fitted probability to be right")
    axes[0][0].set_ylabel("share that is right on dev")
    axes[1][0].set_ylabel("dev states")
    _save(figure, path)


def plot_uplift(worlds: Mapping[str, Sequence[RunFigures]], rule: str, path: Path) -> None:
    """Uplift of the line found first against its score: all, and the right and wrong ones apart; the learned floors as ticks."""
    figure = Figure(figsize=(4.2 * len(worlds), 3.8))
    axes = figure.subplots(1, len(worlds), sharey=True, squeeze=False)
    for axis, (world, runs) in zip(axes[0], worlds.items(), strict=True):
        axis.axhline(0, color=SOFT, linewidth=1, zorder=0)
        for name, color, wanted in (("all", INK, (True, False)), ("right", RIGHT, (True,)), ("wrong", WRONG, (False,))):
            _uplift_line(axis, runs, name, color, wanted)
        floors = [run.rules[rule].floor for run in runs]
        axis.plot(floors, [0.02] * len(floors), "|", color=INK, markersize=11, label="learned floors", transform=axis.get_xaxis_transform())
        axis.set(xlabel="score of what is found first", xlim=(0, 1))
        axis.set_title(f"{world}, {len(runs)} runs", loc="left", fontsize=10)
    axes[0][0].set_ylabel("uplift of its line on dev")
    axes[0][0].legend(frameon=False, fontsize=8, loc="lower right")
    _save(figure, path)


def _uplift_line(axis: Axes, runs: Sequence[RunFigures], name: str, color: str, wanted: Sequence[bool]) -> None:
    xs, ys, lows, highs = [], [], [], []
    for group in groups_of(runs, "score"):
        kept = [[(p.score, p.uplift) for p in run if p.right in wanted and p.uplift is not None] for run in group.runs]
        if sum(map(len, kept)) < LEAST:
            continue
        y, low, high = over_runs([[uplift for _, uplift in run] for run in kept])
        xs.append(fmean(score for run in kept for score, _ in run))
        ys.append(y)
        lows.append(low)
        highs.append(high)
    width = 1.6 if name == "all" else 0.9
    axis.errorbar(xs, ys, yerr=[lows, highs], fmt="o-", color=color, markersize=4, linewidth=width, elinewidth=0.8, label=name)


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    for axis in figure.axes:
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=130)
