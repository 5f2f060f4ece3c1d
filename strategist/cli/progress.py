"""Progress of what runs long: bars on a terminal, whole lines in a log. Shows what it is told and decides nothing.

In a log a line is due when a stretch of work is done and, for stretches that take long, at about every fifth and after two silent minutes:
runs of seconds stay short, runs of hours show that they are alive.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from strategist.cli.console import err, say
from strategist.loop.deps import NodeName
from strategist.loop.deps import Progress as Event

SHARES = 5
QUIET_S = 15.0
"""Seconds that must have passed since the last line before one is printed within a stretch."""
SILENT_S = 120.0
"""Seconds after which any progress is printed."""

WHAT: dict[NodeName, str] = {
    "generate": "conversations",
    "select": "states chosen",
    "coach": "states coached",
    "admit": "test replies",
    "consolidate": "entries written",
    "examine": "dev conversations",
}


class Pace:
    """When a line is due. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = clock()
        self._stretch: object = None
        self._shown = self._done = 0

    def due(self, stretch: object, done: int, total: int) -> bool:
        """Whether to print: the stretch is done (told once), another fifth of it is and the log was quiet for a while, or it was silent."""
        if stretch != self._stretch:
            self._stretch, self._shown, self._done = stretch, 0, 0
        share = SHARES * done // total if total else SHARES
        now = self._clock()
        silence = now - self._last
        fifth = share > self._shown and (share == SHARES or silence >= QUIET_S)
        if not fifth and (done <= self._done or silence < SILENT_S):
            return False
        self._shown, self._done, self._last = share, done, now
        return True


class Bars:
    """One bar per node of the running round, with calls and cost so far."""

    def __init__(self, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self.quiet = quiet
        self.plain = not err.is_terminal
        self._pace = Pace(clock)
        self._round = -1
        self._bars: dict[NodeName, TaskID] = {}
        self._done: dict[NodeName, str] = {}
        self._spent = self._waiting = ""
        self._stretch: tuple[int, NodeName, str] | None = None
        columns: list[ProgressColumn] = [
            SpinnerColumn(finished_text="[green]✓[/green]"),
            TextColumn("{task.description:<13}"),
            BarColumn(bar_width=16 if err.width < 90 else 28),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        ]
        if err.width >= 90:
            columns.insert(4, TextColumn("[dim]{task.fields[what]}"))
        if err.width >= 72:
            columns.append(TextColumn("[dim]{task.fields[spent]}"))
        self._progress = Progress(*columns, console=err, disable=quiet or self.plain)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None:
            self._flush()
            self._finish_bars()
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if self.quiet:
            return
        node, round_, done, total = event["node"], event["round"], event["done"], event["total"]
        what = event.get("what") or WHAT[node]
        spent = f"{event['calls']:,} calls" + (f" · ${event['cost_usd']:.2f}" if event["cost_usd"] else "")
        if self.plain:
            self._line((round_, node, what), done, total, spent)
            return
        if round_ != self._round:
            self._next_round(round_)
        if node not in self._bars:
            self._finish_bars()
            self._bars[node] = self._progress.add_task(f"{round_ + 1} {node}", total=None, what=what, spent="")
        self._progress.update(self._bars[node], completed=done, total=max(total, done), what=what, spent=spent)
        self._done[node] = f"{done} {what}"
        self._spent = spent

    def _line(self, stretch: tuple[int, NodeName, str], done: int, total: int, spent: str) -> None:
        """Print the line of an event when it is due; at the latest when the next stretch of work begins."""
        round_, node, what = stretch
        if stretch != self._stretch:
            self._flush()
            self._stretch = stretch
        count = f"{done}" if done == total else f"{done} of {total}"
        self._waiting = f"round {round_ + 1} {node}: {count} {what} ({spent})"
        if self._pace.due(stretch, done, total):
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            say(self._waiting, to=err)
        self._waiting = ""

    def _finish_bars(self) -> None:
        """The bars of nodes that are over: not every node does all that it looked at."""
        for bar in self._bars.values():
            task = self._progress.tasks[self._progress.task_ids.index(bar)]
            self._progress.update(bar, total=task.completed)

    def _next_round(self, round_: int) -> None:
        """One line for the round that is over instead of its bars."""
        for bar in self._bars.values():
            self._progress.remove_task(bar)
        if self._done:
            say(f"round {self._round + 1}: {', '.join(self._done.values())} ({self._spent})", "dim", to=err)
        self._round, self._bars, self._done = round_, {}, {}


class StudyBar:
    """One bar over all conversations of a study, or whatever `units` a command counts."""

    def __init__(
        self,
        title: str,
        *,
        quiet: bool = False,
        command: str = "evaluate",
        units: str = "conversations",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._title, self._command, self._units = title, command, units
        self._quiet = quiet
        self._plain = not err.is_terminal
        self._pace = Pace(clock)
        columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=err, disable=quiet or self._plain)
        self._bar = self._progress.add_task(title, total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def __call__(self, done: int, total: int, what: str = "", /) -> None:
        """Show that `done` of `total` have ended; `what` names them where they are not the usual units."""
        if self._plain and not self._quiet and self._pace.due((what, total), done, total):
            say(f"{self._command}: {done} of {total} {what or self._units} ({self._title})", to=err)
        self._progress.update(self._bar, completed=done, total=total)
