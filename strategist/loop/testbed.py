"""The gate's pool of test moments in one round: states, the library's guidance there, and what each candidate would make of it.

A moment belongs to a candidate if the library with it, ranked exactly as in service, would use it there and give other lines than the
library without it; it must also be alike enough: more than any of the first moments of other issues is. In a small library any entry ranks
high everywhere, so rank alone says nothing. The library's floor holds for all other entries, not for the candidate. All of this is known
before any test reply is seen. Nothing here knows outcomes.
"""

from __future__ import annotations

from collections.abc import Sequence

from strategist.gate.moments import RankedScenario, choose_moments
from strategist.records.library import Candidate, Entry, Guidance, Key
from strategist.records.trace import Scenario
from strategist.retrieval.embed import Embedder
from strategist.retrieval.fields import is_opening
from strategist.retrieval.floor import precise_floor
from strategist.retrieval.retriever import Retriever
from strategist.settings import RetrievalSettings

STRANGERS = 1.0
"""Quantile of a candidate's scores at moments of other issues from which a moment counts as alike: all of them."""


class TestBed:
    """States with the library's guidance; grows while moments are short."""

    __test__ = False  # not a pytest class

    def __init__(
        self,
        retriever: Retriever,
        embedder: Embedder,
        settings: RetrievalSettings,
        *,
        candidates: Sequence[Candidate] = (),
        own_phase: bool = False,
    ) -> None:
        self.candidates = candidates
        self.retriever = retriever
        self.embedder = embedder
        self.settings = settings
        self.own_phase = own_phase
        self.pool: list[Scenario] = []
        self._seen: set[str] = set()
        self._base: dict[str, Guidance] = {}
        self._joint: dict[str, Retriever] = {}
        self._guided: dict[tuple[str, str], Guidance] = {}
        self._usable: dict[str, tuple[int, list[RankedScenario]]] = {}
        self._alike_from: dict[str, float] = {}

    async def add(self, scenarios: Sequence[Scenario]) -> None:
        """Add states that are not there yet (by id), in order."""
        for scenario in scenarios:
            if scenario.id not in self._seen:
                self._seen.add(scenario.id)
                self.pool.append(scenario)

    def base(self, scenario: Scenario) -> Guidance:
        """Guidance from L, at a moment that is usable for a candidate."""
        return self._base[scenario.id]

    def guided(self, candidate: Candidate, scenario: Scenario) -> Guidance:
        """Guidance from L + c, at a moment that is usable for the candidate."""
        return self._guided[candidate.id, scenario.id]

    async def usable(self, candidate: Candidate) -> list[RankedScenario]:
        """Where the candidate would be used and changes the lines; the gate chooses its moments among these."""
        seen, found = self._usable.get(candidate.id, (0, []))
        fresh = self._in_phase(candidate, self.pool[seen:])
        near = fresh if candidate.scope == "general" else await self._alike(candidate, fresh)
        placed = [one for scenario in near if (one := await self._place(candidate, scenario)) is not None]
        self._usable[candidate.id] = (len(self.pool), [*found, *placed])
        return [*found, *placed]

    def shortage(self, candidate: Candidate, usable: Sequence[RankedScenario], needed: int) -> int:
        """How many personas the candidate's test lacks to have `needed`."""
        return needed - len(choose_moments(candidate, usable, k=self.settings.k, most=needed))

    async def _place(self, candidate: Candidate, scenario: Scenario) -> RankedScenario | None:
        """Ask L + c; None where it does not use the candidate, or says the same as L."""
        entry = entry_of(candidate)
        if candidate.id not in self._joint:
            self._joint[candidate.id] = await self.retriever.with_entry(entry)
        found = await self._joint[candidate.id].explain(scenario.messages, tried=entry.id)
        if entry.ref not in found.guidance.entries:
            return None
        if scenario.id not in self._base:
            self._base[scenario.id] = await self.retriever.guidance(scenario.messages)
        if found.guidance.lines == self._base[scenario.id].lines:
            return None
        self._guided[candidate.id, scenario.id] = found.guidance
        rank, score = next(((hit.rank, hit.score) for hit in found.hits if hit.entry.id == entry.id), (1, 0.0))
        return RankedScenario(scenario=scenario, rank=rank, score=score)

    def _in_phase(self, candidate: Candidate, states: Sequence[Scenario]) -> Sequence[Scenario]:
        """With `own_phase` the openings if a key is one, and the later turns if a key is of one; else all states."""
        if not self.own_phase:
            return states
        openings = {is_opening(key.text) for key in candidate.keys}
        return [s for s in states if is_opening(s.key) in openings]

    async def _alike(self, candidate: Candidate, states: Sequence[Scenario]) -> list[Scenario]:
        """The states that are alike enough; the others need not be ranked."""
        if not states:
            return []
        keys = await self.embedder.embed([key.text for key in candidate.keys])
        vectors = await self.embedder.embed([s.key for s in states])
        scores = (vectors @ keys.T).max(axis=1)
        if rivals := self._rivals(candidate):
            others = (vectors @ (await self.embedder.embed([key.text for key in rivals])).T).max(axis=1)
            nearest = (scores >= others).tolist()
        else:
            nearest = [True] * len(states)
        own = [(s, score) for s, score, near in zip(states, scores.tolist(), nearest, strict=True) if near]
        least = self._threshold(candidate, own)
        return [s for s, score in own if score >= least]

    def _rivals(self, candidate: Candidate) -> list[Key]:
        """Keys of entries and candidates of other matters."""
        own = {key.issue for key in candidate.keys}
        others: list[Candidate | Entry] = [*self.candidates, *self.retriever.snapshot.entries]
        return [key for one in others if one.scope == "specific" and not own & {k.issue for k in one.keys} for key in one.keys]

    def _threshold(self, candidate: Candidate, near: Sequence[tuple[Scenario, float]]) -> float:
        """How alike a moment must be, from the first states that are seen; the settings' floor where one is fixed."""
        if self.settings.floor is not None:
            return self.settings.floor
        if candidate.id not in self._alike_from:
            own = {key.issue for key in candidate.keys}
            found = [(score, s.issue in own) for s, score in near if s.persona not in candidate.personas]
            self._alike_from[candidate.id] = precise_floor(found).score
        return self._alike_from[candidate.id]


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
