"""Every commit boundary of a process, found and not listed: kills at those that a ledger does not name yet.

Each SQLite connection of the process is one of ours (an audit hook ends the process if one is not), and calls `reached` before and after
each commit of something written, and around each statement that SQLite commits by itself. A boundary's name says where the loop was and who
wrote what: a method of the store, the call log or the library, or tables of the graph's checkpoints. The process dies at the first boundary
that the ledger lacks, after adding it, so that a chain of processes dies once at each and then ends.
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
COUNTS = (1, 4)
"""At which passage of a boundary in one process it may kill: the first, and one with others under way and done."""
ALIEN = 97
"""Exit code of a process that opened a database behind our back."""

_PACKAGE = str(Path(strategist.__file__).parent)
_LAYER = str(Path(_PACKAGE) / "store" / "database.py")
_WRITE = re.compile(r"\s*(?:INSERT(?: OR \w+)? INTO|UPDATE|DELETE FROM|CREATE \w+(?: IF NOT EXISTS)?|ALTER TABLE)\s+[\"`]?(\w+)", re.IGNORECASE)
_MODE = re.compile(r"\s*PRAGMA journal_mode\s*=", re.IGNORECASE)


class Death(NamedTuple):
    """Where a process died, how often it had passed there, and how many of its calls were in flight."""

    name: str
    when: When
    count: int
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
    """What this process passes, and where it is to die. `ledger` None: nowhere, it only notes the names it passes."""

    def __init__(self, ledger: Ledger | None) -> None:
        self.place = "start"
        self.passed: list[str] = []
        self.in_flight = 0
        self._ledger = ledger
        self._counts: Counter[tuple[str, When]] = Counter()
        self._known = set() if ledger is None else {death[:3] for death in ledger.read()}

    def reached(self, name: str, when: When) -> None:
        """A commit is about to be made, or was."""
        if when == "after":
            self.in_flight += name.endswith("CallLog.begin") - name.endswith(("CallLog.succeed", "CallLog.fail", "CallLog.retry"))
        elif name not in self.passed:
            self.passed.append(name)
        self._counts[name, when] += 1
        count = self._counts[name, when]
        if self._ledger is not None and count in COUNTS and (name, when, count) not in self._known:
            self._ledger.add(Death(name, when, count, self.in_flight))
            os.kill(os.getpid(), signal.SIGKILL)

    def node(self, name: str, work: graph.Node) -> graph.Node:
        """The node, noting that it is at work or was last."""

        async def run(deps: Deps, round_: int, report: Report) -> StopReason | None:
            self.place = name
            stop = await work(deps, round_, report)
            self.place = f"after {name}"
            return stop

        return run

    def set(self) -> None:
        """Watch this process from now on."""
        for name, work in list(graph.WORK.items()):
            graph.WORK[name] = self.node(name, work)
        connect = partial(sqlite3.connect, factory=partial(Watched, self))
        sqlite3.connect = sqlite3.dbapi2.connect = connect  # type: ignore[attr-defined]
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
            self._alone = f"{self._watch.place}: {self._base} {what}"
            self._watch.reached(self._alone, "before")

    def _settled(self) -> None:
        alone, self._alone = self._alone, ""
        if alone:
            self._watch.reached(alone, "after")

    @property
    def _base(self) -> str:
        return "checkpoints" if "checkpoints" in self._file else "database"

    def _name(self) -> str:
        who = _writer() if self._base == "database" else f"checkpoints {'+'.join(sorted(self._written))}"
        return f"{self._watch.place}: {who}"


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
