"""Every commit boundary of a process, found and not listed: kills at those that a ledger does not name yet.

Each SQLite connection of the process is one of ours (an audit hook ends the process if one is not). It says so before and after each
commit of something written, and around each statement that SQLite commits by itself. A boundary's name says where the loop was and who
wrote what: a method of the store, the call log or the library, or tables of the graph's checkpoints. The process dies at the first boundary
that the ledger lacks, after adding it, so that a chain of processes dies at each, before and after, and then one of them comes to the end.
"""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Literal, NamedTuple

import strategist
from strategist.loop import graph
from strategist.loop.deps import Deps, Report
from strategist.records.run import StopReason

When = Literal["before", "after"]
LATER = 4
"""A process dies before and after its first passage of a boundary, and after this one, with others under way or done. In later rounds it
dies after the first, and before it where nothing was passed in the first round: their places have the word `again` in their name."""
AGAIN = " again"
ALIEN = 97
"""Exit code of a process that opened a database behind our back."""

_PACKAGE = str(Path(strategist.__file__).parent)
_LAYER = str(Path(_PACKAGE) / "store" / "database.py")
_WRITE = re.compile(
    r"\s*(?:INSERT(?: OR \w+)? INTO|UPDATE|DELETE FROM|CREATE \w+(?: IF NOT EXISTS)?|ALTER TABLE)\s+[\"`]?(\w+)", re.IGNORECASE
)
_MODE = re.compile(r"\s*PRAGMA journal_mode\s*=", re.IGNORECASE)


class Death(NamedTuple):
    """Where a process died, how often it had passed there, and how many of its calls were in flight."""

    name: str
    when: When
    passed: int
    in_flight: int


class Ledger:
    """Where the processes of a chain have died, one line each."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[Death]:
        """All deaths so far, in order."""
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        fields = [line.split("\t") for line in lines]
        return [Death(name, "after" if when == "after" else "before", int(count), int(flying)) for name, when, count, flying in fields]

    def add(self, death: Death) -> None:
        """Add one."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write("\t".join(map(str, death)) + "\n")


class Watch:
    """What this process passes, and where it is to die: where the ledger's processes have not died yet."""

    def __init__(self, ledger: Ledger) -> None:
        deaths = ledger.read()
        self.place = "start"
        self._left = deaths[-1].name.split(":")[0] if deaths else self.place
        self._in_flight = 0
        self._ledger = ledger
        self._counts: Counter[tuple[str, When]] = Counter()
        self._known = {death[:3] for death in deaths}

    @property
    def booked(self) -> str:
        """Where the checkpoints are: with the node that was done last, if need be by the process before this one."""
        return self._left if self.place == "start" and self._left.startswith("after") else self.place

    def reached(self, name: str, when: When) -> None:
        """A commit is about to be made, or was."""
        if when == "after":
            self._in_flight += name.endswith("CallLog.begin") - name.endswith(("CallLog.succeed", "CallLog.fail", "CallLog.retry"))
        self._counts[name, when] += 1
        count = self._counts[name, when]
        plain = name.replace(AGAIN, "")
        deadly = {(1, "after")} if AGAIN in name else {(1, "after"), (LATER, "after")}
        if name == plain or not any(other.replace(AGAIN, "") == plain and there == "before" for other, there, _ in self._known):
            deadly.add((1, "before"))
        if (count, when) in deadly and (name, when, count) not in self._known:
            self._ledger.add(Death(name, when, count, self._in_flight))
            os.kill(os.getpid(), signal.SIGKILL)

    def node(self, name: str, work: graph.Node) -> graph.Node:
        """The node, noting that it is at work or was last."""

        async def run(deps: Deps, round_: int, report: Report) -> StopReason | None:
            self.place = name + (AGAIN if round_ else "")
            stop = await work(deps, round_, report)
            self.place = f"after {self.place}"
            return stop

        return run

    def set(self) -> None:
        """Watch this process from now on."""
        for name, work in list(graph.WORK.items()):
            graph.WORK[name] = self.node(name, work)
        connect = partial(sqlite3.connect, factory=partial(Watched, self))
        sqlite3.connect = sqlite3.dbapi2.connect = connect  # type: ignore[assignment]
        sys.addaudithook(_only_ours)


class Watched(sqlite3.Connection):
    """A connection that says when it commits."""

    def __init__(self, watch: Watch, database: str, *args: Any, **settings: Any) -> None:
        super().__init__(database, *args, **settings)
        self._watch = watch
        self._file = Path(database).name
        self._written: dict[str, None] = {}
        self._alone = ""
        self.set_trace_callback(self._runs)

    def commit(self) -> None:
        """See sqlite3.Connection; a transaction that wrote nothing is no boundary."""
        self._settled()
        if not self._written:
            super().commit()
            return
        name = self._name()
        self._watch.reached(name, "before")
        super().commit()
        self._written.clear()
        self._watch.reached(name, "after")

    def rollback(self) -> None:
        """See sqlite3.Connection."""
        super().rollback()
        self._written.clear()

    def close(self) -> None:
        """See sqlite3.Connection."""
        self._settled()
        super().close()

    def _runs(self, statement: str) -> None:
        """SQLite begins a statement. One that writes outside a transaction is committed when it ends."""
        self._settled()
        found = _WRITE.match(statement)
        what = found[1].lower() if found else "journal mode" if _MODE.match(statement) else ""
        if not what:
            return
        if self.in_transaction:
            self._written[what] = None
        else:
            self._alone = self._name(what)
            self._watch.reached(self._alone, "before")

    def _settled(self) -> None:
        alone, self._alone = self._alone, ""
        if alone:
            self._watch.reached(alone, "after")

    def _name(self, alone: str = "") -> str:
        if "checkpoints" in self._file and alone != "journal mode":
            return f"{self._watch.booked}: checkpoints {alone or '+'.join(sorted(self._written))}"
        where = "checkpoints " if "checkpoints" in self._file else ""
        return f"{self._watch.place}: {where}{alone or _writer()}"


def _writer() -> str:
    """Which method of ours the transaction belongs to: the outermost one of the file next to the database layer."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and (not frame.f_code.co_filename.startswith(_PACKAGE) or frame.f_code.co_filename == _LAYER):
        frame = frame.f_back
    if frame is None:
        return "nobody"
    while frame.f_back is not None and frame.f_back.f_code.co_filename == frame.f_code.co_filename:
        frame = frame.f_back
    kind = frame.f_locals.get("kind") if "document" in frame.f_code.co_name else None
    return frame.f_code.co_qualname + (f" {kind}" if kind else "")


def _only_ours(event: str, args: tuple[Any, ...]) -> None:
    if event == "sqlite3.connect/handle" and not isinstance(args[0], Watched):
        os._exit(ALIEN)
