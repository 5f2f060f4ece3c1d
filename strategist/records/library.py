"""The library's records: strategies, candidates, entries, guidance, events, snapshots.

An entry is what passed the gate, with its evidence. Edits make a new version.
 What a turn gets is guidance: lines and the entries they came from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field

from strategist.records.base import Record, digest
from strategist.records.evidence import Evidence

Status = Literal["proposed", "admitted", "approved", "retired"]
SERVABLE: tuple[Status, ...] = ("admitted", "approved")
"""The statuses that an entry can be used with."""
Scope = Literal["specific", "general"]
GuidanceReason = Literal["matched", "global", "control", "weak", "empty", "fixed", "off"]


class Strategy(Record):
    """One line of advice: imperative, conditional if specific. `rules` are the brief's rules it rests on (R1, R2, ...)."""

    text: str
    scope: Scope = "specific"
    rules: tuple[str, ...] = ()


def text_of(strategies: Sequence[Strategy]) -> tuple[str, ...]:
    """The lines in one order: two lists of strategies are the same text where this is equal, however they were ordered."""
    return tuple(sorted(strategy.text for strategy in strategies))


class Guidance(Record):
    """The lines one turn actually gets. `entries` are ids with version (`e1f2@1`); `score` is the best retrieval score, in [0, 1]."""

    lines: tuple[str, ...] = ()
    entries: tuple[str, ...] = ()
    reason: GuidanceReason = "empty"
    score: float | None = None

    @classmethod
    def given(cls, lines: Sequence[str]) -> Self:
        """These lines and no library: what is tried, or nothing where there are none."""
        return cls(lines=tuple(lines), reason="fixed" if lines else "off")


class Key(Record):
    """A masked key text under which an entry is found, and the scenario it came from."""

    scenario: str
    persona: str
    issue: str
    text: str


class Candidate(Record):
    """Scenario keys and the strategies that coach proposes for them. No strategies: a control, meaning nothing is needed here.

    `excluded`: personas beyond those of the keys on whom one of its lines was coached, in this round or an earlier one."""

    id: str
    round: int
    index: int
    keys: tuple[Key, ...]
    strategies: tuple[Strategy, ...]
    scope: Scope = "specific"
    why: str = ""
    tries: int = 1
    excluded: tuple[str, ...] = ()
    reply_before: str = ""
    reply_after: str = ""
    reply_teacher: str | None = None

    @property
    def is_control(self) -> bool:
        """Whether this candidate says that nothing is needed."""
        return not self.strategies

    @property
    def personas(self) -> frozenset[str]:
        """Personas the candidate was coached on: never among its test moments."""
        return frozenset(key.persona for key in self.keys) | frozenset(self.excluded)


class Entry(Record):
    """One record of the library. `evidence` None reads: none for this text."""

    id: str
    version: int = Field(default=1, ge=1)
    status: Status
    keys: tuple[Key, ...]
    strategies: tuple[Strategy, ...]
    scope: Scope = "specific"
    domain: str
    brief_hash: str
    student: str
    advisor: str
    round: int
    why: str = ""
    reply_before: str = ""
    reply_after: str = ""
    reply_teacher: str | None = None
    evidence: Evidence | None = None

    @property
    def ref(self) -> str:
        """Id with version, as guidance records it."""
        return f"{self.id}@{self.version}"

    @property
    def is_control(self) -> bool:
        """Whether retrieving this entry means that nothing is needed."""
        return not self.strategies

    @property
    def is_lost(self) -> bool:
        """Whether nothing finds it: all its keys were erased."""
        return self.scope == "specific" and not self.keys

    def with_keys(self, keys: Sequence[Key]) -> Entry:
        """The entry as its next version, found under these keys too; itself if it has them all."""
        known = {(key.scenario, key.text) for key in self.keys}
        fresh = tuple(key for key in dict.fromkeys(keys) if (key.scenario, key.text) not in known)
        return self.model_copy(update={"keys": self.keys + fresh, "version": self.version + 1}) if fresh else self


class Floor(Record):
    """The score below which nothing is injected. `source` says how it was found, `pairs` on how many moments it rests. `gaps` are moments
    that no entry is for: where one of them is nearer than every entry, nothing is injected either. Libraries of earlier versions have
    `uplift` as a source, and a `lower_bound`."""

    score: float
    source: Literal["uplift", "calibration", "fixed", "start"]
    pairs: int = 0
    gaps: tuple[Key, ...] = ()
    lower_bound: float | None = None


class Snapshot(Record):
    """The library as one round, one evaluation or one release sees it: entries sorted by id, the embedder and the floor that go with it."""

    entries: tuple[Entry, ...] = ()
    floor: Floor | None = None
    embedder: str = ""

    @property
    def hash(self) -> str:
        """Content hash over entries, floor and embedder: no clock, cost or run id in it."""
        return digest(self)


class Refusal(Record):
    """A candidate or line that never became an entry, with its reason."""

    candidate: str
    round: int
    index: int
    stage: Literal["lint", "coach", "gate"]
    reason: str
    strategies: tuple[Strategy, ...]
    issue: str = ""
    evidence: Evidence | None = None


class Event(Record):
    """One line of the append-only audit log. Hashes are of the entry's content before and after."""

    seq: int
    time: str
    actor: str
    action: str
    target: str
    before: str | None
    after: str | None
    reason: str
