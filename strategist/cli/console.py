"""Printing: the console, numbers with intervals, and the bars of a run. No command decides anything here."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from strategist.loop.deps import NODES
from strategist.loop.deps import Progress as Event

out = Console()
err = Console(stderr=True)

WHAT = {
    "generate": "conversations",
    "select": "states chosen",
    "coach": "states coached",
    "admit": "test replies",
    "consolidate": "entries written",
    "examine": "dev conversations",
}


class Bars:
    """One bar per node of the running round, with calls and cost so far. Plain lines where the output is no terminal."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.plain = not err.is_terminal
        self.round = -1
        self.bars: dict[str, TaskID] = {}
        self.progress = Progress(
            SpinnerColumn(finished_text="[green]✓[/green]"),
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TextColumn("[dim]{task.fields[what]}"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[spent]}"),
            console=err,
            disable=quiet or self.plain,
        )

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.progress.stop()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if event["round"] != self.round:
            self._next_round(event["round"])
        spent = f"{event['calls']} calls" + (f" · ${event['cost_usd']:.2f}" if event["cost_usd"] else "")
        if self.plain:
            if not self.quiet and event["done"] == event["total"]:
                err.print(f"round {event['round'] + 1} {event['node']}: {event['done']} {WHAT[event['node']]} ({spent})", highlight=False)
            return
        bar = self.bars[event["node"]]
        self.progress.start_task(bar)
        self.progress.update(bar, completed=event["done"], total=max(event["total"], event["done"]), spent=spent)

    def _next_round(self, round_: int) -> None:
        self.round = round_
        if self.plain or self.quiet:
            return
        for bar in self.bars.values():
            self.progress.update(bar, visible=False)
        if round_ > 0:
            err.print(f"[dim]round {round_} done[/dim]")
        self.bars = {n: self.progress.add_task(f"{round_ + 1} {n}", start=False, total=None, what=WHAT[n], spent="") for n in NODES}


def interval(mean: float, low: float, high: float) -> str:
    """`+0.21 [0.10, 0.32]`."""
    return f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]"
