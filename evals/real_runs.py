"""The evaluations of real students that docs/results.md reports, computed again from their outcomes.

    python -m evals.real_runs [FILE]    default evals/runs/parcel-outcomes.jsonl.xz; prints the tables, writes runs/real/arms.png

FILE holds one JSON object a line: run, split, and one outcome of an arm (a conversation: score, goal, hard failures), as
`strategist evaluate` stored it. The conversations themselves are not here: they came from models on a GPU. `collect` makes such a file from
databases.
"""

from __future__ import annotations

import json
import lzma
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evals.last_run import cell
from strategist.evaluation.study import ArmComparison, compare, contrasts, summarise
from strategist.records.run import ArmOutcome
from strategist.store import open_store

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FILE = Path(__file__).parent / "runs" / "parcel-outcomes.jsonl.xz"
HOME = Path("runs/real")
Outcomes = Mapping[tuple[str, str], Sequence[ArmOutcome]]
"""(run, split) -> its outcomes."""


def collect(databases: Mapping[str, Path], file: Path) -> None:
    """Write the outcomes of the last run of each database, by name."""
    lines = []
    for name, path in databases.items():
        with open_store(path) as store:
            for outcome in store.documents(store.runs()[-1].id, "study", ArmOutcome):
                lines.append(json.dumps({"run": name, "split": outcome.persona.split("-")[0], "outcome": outcome.model_dump(mode="json")}))
    file.write_bytes(lzma.compress("\n".join(lines).encode()))


def read(file: Path) -> Outcomes:
    """The outcomes of a file, runs in its order."""
    found: dict[tuple[str, str], list[ArmOutcome]] = {}
    for line in lzma.decompress(file.read_bytes()).decode().splitlines():
        row = json.loads(line)
        found.setdefault((row["run"], row["split"]), []).append(ArmOutcome.model_validate(row["outcome"]))
    return found


def print_tables(found: Outcomes) -> None:
    """Arms and contrasts of each run."""
    for (run, split), outcomes in found.items():
        print(f"\n{run}, {split}\n\n| arm | score [95 %] | reached goals | hard failures in 100 | guided turns |\n|---|---|---|---|---|")
        for one in summarise(outcomes):
            goal, hard = ("-" if value is None else f"{value.mean:.{digits}f}" for value, digits in ((one.goal, 2), (one.hard, 1)))
            print(f"| {one.arm} | {cell(one.score)} | {goal} | {hard} | {one.guided_share:.0%} |")
        for contrast in _contrasts(outcomes):
            print(f"{contrast.arm} over {contrast.base}: {cell(contrast.lift, signed='+')} n={contrast.personas} seeds={contrast.seeds}")


def _contrasts(outcomes: Sequence[ArmOutcome]) -> Sequence[ArmComparison]:
    arms = {outcome.arm for outcome in outcomes}
    return contrasts(outcomes) if len(arms) > 2 else [compare(outcomes, "library", "bare")]


def plot(found: Outcomes, path: Path) -> None:
    """Score and hard failures of the arms, for each run that played them all."""
    from matplotlib.figure import Figure

    whole = {key: outcomes for key, outcomes in found.items() if len({o.arm for o in outcomes}) > 2}
    figure = Figure(figsize=(9, 0.8 + 0.55 * 4 * len(whole) / 2), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    labels: list[str] = []
    for (run, split), outcomes in whole.items():
        for one in summarise(outcomes):
            labels.append(f"{run}, {split}: {one.arm}")
            for axis, estimate in zip(axes, (one.score, one.hard), strict=True):
                _bar(axis, len(labels) - 1, estimate, "#1f6f8b" if one.arm == "library" else "#9aa7b1")
    axes[0].set_yticks(range(len(labels)), labels, fontsize=8)
    axes[0].invert_yaxis()
    axes[0].set(xlabel="score [95 %]", xlim=(0, 1))
    axes[1].set(xlabel="hard failures in 100 [95 %]", xlim=(0, None))
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    print(f"\npicture: {path}")


def _bar(axis: Axes, place: int, estimate: tuple[float, float, float, int] | None, color: str) -> None:
    if estimate is not None:
        mean, low, high, _ = estimate
        axis.errorbar(mean, place, xerr=[[mean - low], [high - mean]], fmt="o", color=color, markersize=5, capsize=2)


def main(arguments: Sequence[str]) -> str | None:
    """Print and plot; returns what is wrong, if anything."""
    file = Path(arguments[0]) if arguments else FILE
    try:
        found = read(file)
    except (OSError, lzma.LZMAError, ValueError) as error:
        return f"cannot read {file}: {error}"
    print_tables(found)
    plot(found, HOME / "arms.png")
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
