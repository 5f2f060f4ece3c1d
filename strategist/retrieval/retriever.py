"""The retriever: one snapshot of the library, asked once per turn.

It embeds the masked key of a moment, lets index and BM25 propose entries, and leaves every decision to `retrieval.rank`. It holds no
database: who reads a library compares its version and builds a new retriever when it has changed.

Invariants: an empty snapshot costs no embedding; retired entries are never seen; a retriever over the same entries gives the same
answer in whatever order they were added; vectors of one embedder only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from strategist.errors import LibraryError
from strategist.records.chat import Message
from strategist.records.library import Entry, Guidance, Snapshot
from strategist.retrieval.embed import Embedder
from strategist.retrieval.fields import FieldBM25
from strategist.retrieval.index import ExactIndex, Index, Row, cosines, fingerprint, rows_of
from strategist.retrieval.mask import key_text
from strategist.retrieval.rank import Hit, Scores, above_floor, decide, fuse, pool
from strategist.settings import RetrievalSettings

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from strategist.retrieval.embed import Vectors

DEPTH = 200
"""Rows that index and BM25 each propose per query; an entry proposed by neither has no rank."""

Moment = Sequence[Message] | str
"""A conversation so far, or the masked key text of one."""


class Keys(NamedTuple):
    """The keys of a snapshot: rows, their vectors in the same order (shape (n, d)), the index that searches them; vectors of its gaps."""

    rows: tuple[Row, ...]
    vectors: Vectors
    searched: Index
    gaps: Vectors


@dataclass(frozen=True)
class Explanation:
    """Why a turn gets what it gets: the key, all hits in order, the floor that was applied, the entries chosen, the guidance."""

    key: str
    floor: float | None
    hits: tuple[Hit, ...]
    chosen: tuple[Hit, ...]
    guidance: Guidance


class Retriever:
    """Ranks the entries of one snapshot. Make it with `build`."""

    def __init__(self, snapshot: Snapshot, embedder: Embedder, settings: RetrievalSettings, keys: Keys, *, language: str) -> None:
        self.snapshot = snapshot
        self._embedder = embedder
        self._settings = settings
        self._rows, self._vectors, self._index, self._gaps = keys
        self._language = language
        self._bm25 = FieldBM25([row.text for row in self._rows])
        self._general = tuple(sorted((e for e in snapshot.entries if e.scope == "general" and e.status != "retired"), key=lambda e: e.id))
        self._entry_of = {row.id: row.entry.id for row in self._rows}
        self._places: list[int] | None = None
        if type(self._index) is ExactIndex and self._rows:
            self._places = self._index.places([row.id for row in self._rows])
            self._row_at = {place: i for i, place in enumerate(self._places)}
        self._span: dict[str, range] = {}
        for i, row in enumerate(self._rows):  # rows come by entry, so those of one entry are neighbours
            self._span[row.entry.id] = range(self._span[row.entry.id].start if row.entry.id in self._span else i, i + 1)

    @classmethod
    async def build(
        cls,
        snapshot: Snapshot,
        embedder: Embedder,
        settings: RetrievalSettings,
        index: Index | None = None,
        *,
        language: str = "en",
        before: Retriever | None = None,
    ) -> Retriever:
        """Embed the keys (those that a given index does not hold yet) and, if the index is of another version, bring it up to this one.

        Without an index, exact search serves. `before` is an earlier ranking, whose vectors are at hand.
        Raises LibraryError if the snapshot was made with another embedder.
        """
        if snapshot.embedder and snapshot.embedder != embedder.id:
            raise LibraryError(
                f"this library was built with the embedder {snapshot.embedder}, not {embedder.id}",
                hint="restore the [retrieval] settings, or run `strategist library rebuild`",
            )
        rows = rows_of(snapshot.entries)
        index = ExactIndex() if index is None else index
        stamp = fingerprint(embedder.id, rows)
        vectors = await _key_vectors(rows, embedder, index, before)
        if index.stamp != stamp:
            index.update([row.id for row in rows], vectors, stamp)
        gaps = () if snapshot.floor is None or settings.floor is not None else snapshot.floor.gaps
        unserved = await embedder.embed([key.text for key in gaps]) if gaps else vectors[:0]
        return cls(snapshot, embedder, settings, Keys(rows, vectors, index, unserved), language=language)

    async def guidance(self, messages: Moment) -> Guidance:
        """What the agent's next turn gets."""
        return (await self.explain(messages)).guidance

    async def hits(self, moment: Moment, *, tried: str = "") -> tuple[Hit, ...]:
        """All entries proposed for a moment (and the entry `tried`, an id, if it has keys), in fused order, no floor applied."""
        return (await self._found(self._key(moment), tried))[0]

    async def _found(self, key: str, tried: str) -> tuple[tuple[Hit, ...], float | None]:
        """All hits of a key, and the floor there: where a gap is nearer than the floor asks, an entry must be as near."""
        if not self._rows or not key:
            return (), self.floor
        vector = (await self._embedder.embed([key]))[0]
        floor = self.floor
        if floor is not None and len(self._gaps):
            floor = max(floor, min(1.0, float(cosines(self._gaps, vector).max())))
        return fuse(self._scores(key, vector, always=tried)), floor

    async def explain(self, moment: Moment, *, tried: str = "") -> Explanation:
        """The guidance of a moment together with everything it rests on.

        `tried` is for the gate: the entry of this id is used as if it reached the floor, all else is as in service: far behind the first
        it is not used."""
        key = self._key(moment)
        if not self._rows and not self._general:
            return Explanation(key, self.floor, (), (), Guidance(reason="empty"))
        hits, floor = await self._found(key, tried)
        eligible = above_floor(hits, floor, tried)
        pooled = pool(eligible, self._settings.k)
        best = max((hit.score for hit in hits), default=None)
        guidance, chosen = decide(eligible, pooled, self._similarity(pooled), self._general, best=best, settings=self._settings)
        return Explanation(key, floor, hits, chosen, guidance)

    @property
    def floor(self) -> float | None:
        """The floor in force: the settings' own, else the library's; None means that everything retrieved is injected."""
        if self._settings.floor is not None:
            return self._settings.floor
        return None if self.snapshot.floor is None else self.snapshot.floor.score

    async def with_entry(self, entry: Entry) -> Retriever:
        """A retriever over L + c: this snapshot with one entry more (or replaced, if the id is known), by exact search.

        Only keys that were never embedded are; the answer equals that of a retriever built from scratch.
        """
        entries = tuple(sorted([*(e for e in self.snapshot.entries if e.id != entry.id), entry], key=lambda e: e.id))
        index = ExactIndex()
        index.replace([row.id for row in self._rows], self._vectors, "")
        rows = rows_of(entries)
        vectors = await _key_vectors(rows, self._embedder, index)
        index.replace([row.id for row in rows], vectors, fingerprint(self._embedder.id, rows))
        snapshot = self.snapshot.model_copy(update={"entries": entries})
        return Retriever(snapshot, self._embedder, self._settings, Keys(rows, vectors, index, self._gaps), language=self._language)

    def _key(self, moment: Moment) -> str:
        return moment if isinstance(moment, str) else key_text(moment, self._language)

    def _scores(self, key: str, vector: Vectors, always: str = "") -> list[Scores]:
        """Best cosine and BM25 score of every entry that either half proposes (and of `always`), by entry id."""
        import numpy as np

        sparse = self._bm25.scores(key)
        near, similarity = self._near(vector)
        proposed = near | {self._rows[i].entry.id for i in np.argsort(-sparse, kind="stable")[:DEPTH] if sparse[i] > 0}
        spans = [self._span[entry] for entry in sorted(proposed | ({always} & self._span.keys()))]
        if not spans:
            return []
        own = np.concatenate([np.arange(span.start, span.stop) for span in spans])
        first = np.cumsum([0, *(len(span) for span in spans[:-1])])
        dense = np.maximum.reduceat(cosines(self._vectors[own], vector) if similarity is None else similarity[own], first).tolist()
        lexical = np.maximum.reduceat(sparse[own], first).tolist()
        return [Scores(self._rows[span.start].entry, d, b) for span, d, b in zip(spans, dense, lexical, strict=True)]

    def _near(self, vector: Vectors) -> tuple[set[str], npt.NDArray[np.float64] | None]:
        """The entries that the index proposes, and the similarity of all rows where the index computed it anyway."""
        import numpy as np

        if self._places is None:
            return {self._entry_of[match.row] for match in self._index.search(vector, DEPTH) if match.row in self._entry_of}, None
        assert isinstance(self._index, ExactIndex)
        everywhere = self._index.cosines(vector)
        best = np.argsort(-everywhere, kind="stable")[:DEPTH]
        similarity = everywhere[self._places]
        return {self._rows[self._row_at[i]].entry.id for i in best.tolist()}, similarity

    def _similarity(self, hits: Sequence[Hit]) -> Vectors:
        """Similarity between entries, the best over their keys: shape (n, n)."""
        import numpy as np

        keys = [self._own(hit.entry) for hit in hits]
        out = np.ones((len(hits), len(hits)), dtype=np.float32)
        for i, first in enumerate(keys):
            for j, second in enumerate(keys[:i]):
                out[i, j] = out[j, i] = np.round((first @ second.T).max(), 6)
        return out

    def _own(self, entry: Entry) -> npt.NDArray[np.float64]:
        span = self._span[entry.id]
        return self._vectors[span.start : span.stop].astype("float64")


async def _key_vectors(rows: Sequence[Row], embedder: Embedder, index: Index, before: Retriever | None = None) -> Vectors:
    """Vectors of all rows, shape (n, d): from the ranking before or the index where they hold them, else embedded."""
    import numpy as np

    if not rows:
        return np.zeros((0, 1), dtype=np.float32)
    known = {} if before is None else {row.id: vector for row, vector in zip(before._rows, before._vectors, strict=True)}
    known |= index.vectors([row.id for row in rows if row.id not in known])
    missing = [row for row in rows if row.id not in known]
    if missing:
        known.update(zip([row.id for row in missing], await embedder.embed([row.text for row in missing]), strict=True))
    return np.stack([known[row.id] for row in rows])
