"""The gate's pool of test moments in one round: states, the library's guidance there, and where each candidate comes in.

A moment belongs to a candidate if it ranks among the top k there, is alike enough, and changes the lines; a company-wide candidate gets
those where nothing specific matches. Alike enough is more than any of the first moments of other issues reaches: in a small library any
entry ranks high everywhere, so rank alone says nothing. The library's floor is not applied. All of this is known before any test reply is
seen. Nothing here knows outcomes.
"""

from __future__ import annotations

from collections.abc import Sequence

from strategist.gate.moments import RankedScenario, choose_moments
from strategist.records.library import Candidate, Entry, Guidance
from strategist.records.trace import Scenario
from strategist.retrieval.embed import Embedder
from strategist.retrieval.floor import calibrate_floor
from strategist.retrieval.rank import merge
from strategist.retrieval.retriever import Explanation, Retriever
from strategist.settings import RetrievalSettings

STRANGERS = 1.0
"""Quantile of a candidate's scores at moments of other issues from which a moment counts as alike: all of them."""


class TestBed:
    """States with the library's guidance; grows while moments are short."""

    __test__ = False  # not a pytest class

    def __init__(self, retriever: Retriever, embedder: Embedder, settings: RetrievalSettings) -> None:
        self.retriever = retriever
        self.embedder = embedder
        self.settings = settings
        self.pool: list[Scenario] = []
        self._known: dict[str, Explanation] = {}
        self._usable: dict[str, tuple[int, list[RankedScenario]]] = {}
        self._alike: dict[str, float] = {}

    async def add(self, scenarios: Sequence[Scenario]) -> None:
        """Add states that are not there yet (by id), in order."""
        for scenario in scenarios:
            if scenario.id not in self._known:
                self._known[scenario.id] = await self.retriever.explain(scenario.messages)
                self.pool.append(scenario)

    def base(self, scenario: Scenario) -> Guidance:
        """Guidance from L."""
        return self._known[scenario.id].guidance

    async def usable(self, candidate: Candidate) -> list[RankedScenario]:
        """Where the candidate would be used and changes the lines; the gate chooses its moments among these."""
        seen, found = self._usable.get(candidate.id, (0, []))
        fresh = self.pool[seen:]
        ranked = self._unmatched(fresh) if candidate.scope == "general" else await self._ranked(candidate, fresh)
        changed = [r for r in ranked if self.guided(candidate, r.scenario).lines != self.base(r.scenario).lines]
        self._usable[candidate.id] = (len(self.pool), [*found, *changed])
        return [*found, *changed]

    def shortage(self, candidate: Candidate, usable: Sequence[RankedScenario], needed: int) -> int:
        """How many more personas the candidate's test would need."""
        return choose_moments(candidate, usable, k=self.settings.k, needed=needed).shortage

    def guided(self, candidate: Candidate, scenario: Scenario) -> Guidance:
        """Guidance from L + c where c is used: its lines, then those of the entries that L would use beside it, within the caps.

        A control leaves nothing. Where only company-wide lines matched, a specific candidate takes their place, as retrieval would.
        """
        if candidate.is_control:
            return Guidance(reason="control", entries=(candidate.id,))
        if candidate.scope == "general":
            beside = [e for e in self.retriever.snapshot.entries if e.scope == "general"]
        else:
            beside = [hit.entry for hit in self._known[scenario.id].chosen][: self.settings.k - 1]
        lines, used = merge([entry_of(candidate), *beside], self.settings.max_lines, self.settings.max_tokens)
        return Guidance(lines=lines, entries=used, reason="global" if candidate.scope == "general" else "matched")

    async def _ranked(self, candidate: Candidate, states: Sequence[Scenario]) -> list[RankedScenario]:
        """Rank among L + c, for the states that are alike enough; the others need none."""
        if not states:
            return []
        keys = await self.embedder.embed([key.text for key in candidate.keys])
        scores = (await self.embedder.embed([s.key for s in states]) @ keys.T).max(axis=1).tolist()
        alike = [s for s, score in zip(states, scores, strict=True) if score >= self._threshold(candidate, states, scores)]
        placed = await self.retriever.rank_with(entry_of(candidate), [s.key for s in alike])
        return [RankedScenario(scenario=s, rank=rank, score=score) for s, (rank, score) in zip(alike, placed, strict=True)]

    def _threshold(self, candidate: Candidate, states: Sequence[Scenario], scores: Sequence[float]) -> float:
        """How alike a moment must be, from the first states that are seen; the settings' floor where one is fixed."""
        if self.settings.floor is not None:
            return self.settings.floor
        if candidate.id not in self._alike:
            own = {key.issue for key in candidate.keys}
            strangers = [score for s, score in zip(states, scores, strict=True) if s.issue not in own]
            self._alike[candidate.id] = calibrate_floor(strangers, STRANGERS).score
        return self._alike[candidate.id]

    def _unmatched(self, states: Sequence[Scenario]) -> list[RankedScenario]:
        open_ = [s for s in states if self.base(s).reason in ("weak", "empty", "global")]
        return [RankedScenario(scenario=s, rank=1, score=0.0) for s in open_]


def entry_of(candidate: Candidate, *, id: str | None = None) -> Entry:  # noqa: A002
    """The candidate as the entry it would become; provenance is filled in when it is admitted."""
    return Entry(
        id=id or "e" + candidate.id[1:],
        status="proposed",
        keys=candidate.keys if candidate.scope == "specific" else (),
        strategies=candidate.strategies,
        scope=candidate.scope,
        domain="",
        brief_hash="",
        student="",
        advisor="",
        round=candidate.round,
        why=candidate.why,
        reply_before=candidate.reply_before,
        reply_after=candidate.reply_after,
        reply_teacher=candidate.reply_teacher,
    )
