"""The gate's pool of test moments in one round: states, the library's guidance there, and what each candidate would make of it.

A moment belongs to a candidate if the library with it, ranked exactly as in service, would use it there and give other lines than the
library without it; it must also be alike enough: more than any of the first moments of other issues is. In a small library any entry ranks
high everywhere, so rank alone says nothing. The library's floor holds for all other entries, not for the candidate. All of this is known
before any test reply is seen. Nothing here knows outcomes.

An entry that is tested again stands in the library already: then L is the library without it, another one for each such entry, and alike
enough is what reaches the library's floor, as in service.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from strategist.gate.moments import RankedScenario, choose_moments
from strategist.records.library import Candidate, Entry, Guidance
from strategist.records.trace import Scenario
from strategist.retrieval.embed import Embedder
from strategist.retrieval.fields import is_opening
from strategist.retrieval.floor import precise_floor
from strategist.retrieval.retriever import Retriever
from strategist.settings import RetrievalSettings

if TYPE_CHECKING:
    from strategist.retrieval.embed import Vectors


class _Place(NamedTuple):
    """What L + c says at a key, and where the candidate stands there."""

    guidance: Guidance
    rank: int
    score: float


class _Survey(NamedTuple):
    """Key texts of states with their vectors (n, d), and how near the nearest key of each matter is, `near` (n, matters)."""

    texts: list[str]
    vectors: Vectors
    matters: tuple[frozenset[str], ...]
    near: Vectors


class _Asked(NamedTuple):
    """L and L + c of one candidate."""

    base: Retriever
    joint: Retriever


class TestBed:
    """States with the library's guidance; grows while moments are short. `again`: candidate id -> the entry that it is, of those that are
    tested again."""

    __test__ = False  # not a pytest class

    def __init__(
        self,
        retriever: Retriever,
        embedder: Embedder,
        settings: RetrievalSettings,
        *,
        candidates: Sequence[Candidate] = (),
        own_phase: bool = False,
        again: Mapping[str, Entry] | None = None,
    ) -> None:
        self.candidates = candidates
        self.retriever = retriever
        self.embedder = embedder
        self.settings = settings
        self.own_phase = own_phase
        self.again = again or {}
        self.pool: list[Scenario] = []
        self._seen: set[str] = set()
        self._base: dict[tuple[str, str], Guidance] = {}
        self._asked: tuple[str, _Asked] | None = None
        self._places: dict[tuple[str, str], _Place | None] = {}
        self._usable: dict[str, tuple[int, list[RankedScenario]]] = {}
        self._alike_from: dict[str, float] = {}
        self._survey: _Survey | None = None

    def add(self, scenarios: Sequence[Scenario]) -> None:
        """Add states that are not there yet (by id), in order."""
        for scenario in scenarios:
            if scenario.id not in self._seen:
                self._seen.add(scenario.id)
                self.pool.append(scenario)

    def base(self, scenario: Scenario, candidate: Candidate | None = None) -> Guidance:
        """Guidance from L, at a moment that is usable for a candidate; which one matters only where entries are tested again."""
        return self._base[self._library_of(candidate), scenario.key]

    def guided(self, candidate: Candidate, scenario: Scenario) -> Guidance:
        """Guidance from L + c, at a moment that is usable for the candidate."""
        place = self._places[candidate.id, scenario.key]
        assert place is not None, "not a moment of this candidate"
        return place.guidance

    async def usable(self, candidate: Candidate) -> list[RankedScenario]:
        """Where the candidate would be used and changes the lines; the gate chooses its moments among these."""
        seen, found = self._usable.get(candidate.id, (0, []))
        fresh = self._in_phase(candidate, self.pool[seen:])
        near = fresh if candidate.scope == "general" else await self._alike(candidate, fresh)
        placed = [(scenario, await self._place(candidate, scenario.key)) for scenario in near]
        found = [*found, *(RankedScenario(scenario, place.rank, place.score) for scenario, place in placed if place is not None)]
        self._usable[candidate.id] = (len(self.pool), found)
        return found

    def shortage(self, candidate: Candidate, usable: Sequence[RankedScenario], needed: int) -> int:
        """How many personas the candidate's test lacks to have `needed`."""
        return needed - len(choose_moments(candidate, usable, k=self.settings.k, most=needed))

    async def _place(self, candidate: Candidate, key: str) -> _Place | None:
        """Ask L + c; None where it does not use the candidate, or says the same as L. What a library says depends on the key alone, and
        customers often begin alike, so equal keys are asked once."""
        if (candidate.id, key) not in self._places:
            self._places[candidate.id, key] = await self._ask(candidate, key)
        return self._places[candidate.id, key]

    async def _ask(self, candidate: Candidate, key: str) -> _Place | None:
        entry = self.again.get(candidate.id) or entry_of(candidate)
        if self._asked is None or self._asked[0] != candidate.id:  # one at a time: each holds the vectors of the whole library
            base = await self.retriever.without(entry.id) if candidate.id in self.again else self.retriever
            self._asked = candidate.id, _Asked(base, await base.with_entry(entry))
        library = self._asked[1]
        found = await library.joint.explain(key, tried=entry.id)
        if entry.ref not in found.guidance.entries:
            return None
        place = self._library_of(candidate), key
        if place not in self._base:
            self._base[place] = await library.base.guidance(key)
        if found.guidance.lines == self._base[place].lines:
            return None
        rank, score = next(((hit.rank, hit.score) for hit in found.hits if hit.entry.id == entry.id), (1, 0.0))
        return _Place(found.guidance, rank, score)

    def _library_of(self, candidate: Candidate | None) -> str:
        """Which L a candidate is tested against: empty for the one that is the same for all."""
        return candidate.id if candidate is not None and candidate.id in self.again else ""

    def _in_phase(self, candidate: Candidate, states: Sequence[Scenario]) -> Sequence[Scenario]:
        """With `own_phase` the openings if a key is one, and the later turns if a key is of one; else all states."""
        if not self.own_phase or not candidate.keys:
            return states
        openings = {is_opening(key.text) for key in candidate.keys}
        return [s for s in states if is_opening(s.key) in openings]

    async def _alike(self, candidate: Candidate, states: Sequence[Scenario]) -> list[Scenario]:
        """The states that are alike enough; the others need not be ranked."""
        if not states:
            return []
        survey = await self._look_around(list(dict.fromkeys(s.key for s in states)))
        scores = await self._nearest(survey, candidate)
        own = [(s, scores[s.key]) for s in states if s.key in scores]
        least = self._threshold(candidate, own)
        return [s for s, score in own if score >= least]

    async def _nearest(self, survey: _Survey, candidate: Candidate) -> dict[str, float]:
        """Text -> similarity to the candidate's nearest key, where no key of an entry or candidate of other matters is nearer. Rounded, so
        that equal texts tie."""
        import numpy as np

        keys = await self.embedder.embed([key.text for key in candidate.keys])
        near = (survey.vectors @ keys.T).max(axis=1).round(6)
        own = {key.issue for key in candidate.keys}
        rivals = [column for column, issues in enumerate(survey.matters) if not own & issues]
        others = survey.near[:, rivals].max(axis=1, initial=-np.inf)
        return {text: float(mine) for text, mine, other in zip(survey.texts, near, others, strict=True) if mine >= other}

    async def _look_around(self, texts: list[str]) -> _Survey:
        """What is the same for all candidates, which are asked about the same new states one after the other: the last one is kept."""
        import numpy as np

        if self._survey is None or self._survey.texts != texts:
            keys = self._keys_by_matter()
            vectors = await self.embedder.embed(texts)
            near = np.empty((len(texts), len(keys)), dtype=np.float32)
            for column, own in enumerate(keys.values()):
                near[:, column] = (vectors @ (await self.embedder.embed(own)).T).max(axis=1)
            self._survey = _Survey(texts, vectors, tuple(keys), near.round(6))
        return self._survey

    def _keys_by_matter(self) -> dict[frozenset[str], list[str]]:
        """Issues -> key texts of the entries and candidates that are for just these."""
        found: dict[frozenset[str], dict[str, None]] = {}
        everyone: list[Candidate | Entry] = [*self.candidates, *self.retriever.snapshot.entries]
        for one in everyone:
            if one.scope == "specific" and one.keys:
                found.setdefault(frozenset(k.issue for k in one.keys), {}).update(dict.fromkeys(k.text for k in one.keys))
        return {issues: list(texts) for issues, texts in found.items()}

    def _threshold(self, candidate: Candidate, near: Sequence[tuple[Scenario, float]]) -> float:
        """How alike a moment must be, from the first states that are seen; the settings' floor where one is fixed, or the library's for
        an entry that is tested again."""
        if self.settings.floor is not None:
            return self.settings.floor
        if candidate.id in self.again and self.retriever.floor is not None:
            return self.retriever.floor
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
