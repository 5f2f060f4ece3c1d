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
from strategist.retrieval.index import ExactIndex, Index, Row, fingerprint, highest_cosines, rows_of
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
    """The keys of a snapshot: rows, their vectors in the same order (shape (n, d)), their words, the index that searches them; vectors of
    its gaps."""

    rows: tuple[Row, ...]
    vectors: Vectors
    words: FieldBM25
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
        import numpy as np

        self.snapshot = snapshot
        self._embedder = embedder
        self._settings = settings
        self._rows, self._vectors, self._bm25, self._index, self._gaps = keys
        self._language = language
        self._general = tuple(sorted((e for e in snapshot.entries if e.scope == "general" and e.status != "retired"), key=lambda e: e.id))
        self._place = {row.id: i for i, row in enumerate(self._rows)}
        self._entries = tuple({row.entry.id: row.entry for row in self._rows}.values())  # rows come by entry: those of one are neighbours
        self._number = {entry.id: number for number, entry in enumerate(self._entries)}
        self._number_of = np.array([self._number[row.entry.id] for row in self._rows], dtype=np.int64)
        self._all = type(self._index) is ExactIndex and len(self._rows) <= DEPTH  # it would propose every row

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

        Without an index, exact search serves. `before` is a retriever with the same embedder over an earlier version: vectors and words of
        keys that stay are taken over from it, the answers are the same without. Raises LibraryError if the snapshot was made with another
        embedder.
        """
        if snapshot.embedder and snapshot.embedder != embedder.id:
            raise LibraryError(
                f"this library was built with the embedder {snapshot.embedder}, not {embedder.id}",
                hint="restore the [retrieval] settings, or run `strategist library rebuild`",
            )
        rows = rows_of(snapshot.entries)
        index = ExactIndex() if index is None else index
        stamp = fingerprint(embedder.id, rows)
        origin = _places(rows, () if before is None else before._rows)
        vectors = await _key_vectors([row for row, place in zip(rows, origin.tolist(), strict=True) if place < 0], embedder, index)
        if before is not None:
            vectors = _taken_over(before._vectors, origin, vectors)
        words = FieldBM25([row.text for row in rows], None if before is None else before._bm25, origin, language=language)
        if index.stamp != stamp:
            index.update([row.id for row in rows], vectors, stamp)
        gaps = () if snapshot.floor is None or settings.floor is not None else snapshot.floor.gaps
        if before is not None and before.snapshot.floor == snapshot.floor:
            unserved = before._gaps
        else:
            unserved = await embedder.embed([key.text for key in gaps]) if gaps else vectors[:0]
        return cls(snapshot, embedder, settings, Keys(rows, vectors, words, index, unserved), language=language)

    async def guidance(self, messages: Moment) -> Guidance:
        """What the agent's next turn gets."""
        return (await self.explain(messages)).guidance

    async def hits(self, moment: Moment, *, tried: str = "") -> tuple[Hit, ...]:
        """All entries proposed for a moment (and the entry `tried`, an id, if it has keys), in fused order, no floor applied."""
        return (await self._found(self._key(moment), tried))[0]

    async def _found(self, key: str, tried: str) -> tuple[tuple[Hit, ...], float | None]:
        """All hits of a key, and the floor there: where a gap is nearer than the floor asks, an entry must be as near."""
        import numpy as np

        if not self._rows or not key:
            return (), self.floor
        vector = (await self._embedder.embed([key]))[0]
        floor = self.floor
        if floor is not None and len(self._gaps):
            floor = max(floor, min(1.0, float(highest_cosines(self._gaps, np.zeros(1, dtype=np.int64), vector)[0])))
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
        snapshot = self.snapshot.model_copy(update={"entries": entries})
        return await Retriever.build(snapshot, self._embedder, self._settings, language=self._language, before=self)

    async def without(self, entry: str) -> Retriever:
        """A retriever over L without the entry of this id, by exact search; nothing is embedded."""
        entries = tuple(e for e in self.snapshot.entries if e.id != entry)
        snapshot = self.snapshot.model_copy(update={"entries": entries})
        return await Retriever.build(snapshot, self._embedder, self._settings, language=self._language, before=self)

    def _key(self, moment: Moment) -> str:
        return moment if isinstance(moment, str) else key_text(moment, self._language)

    def _scores(self, key: str, vector: Vectors, always: str = "") -> list[Scores]:
        """Best cosine and BM25 score of every entry that either half proposes (and of `always`), by entry id."""
        import numpy as np

        sparse = self._bm25.scores(key)
        if self._all:
            own = np.arange(len(self._rows))
        else:
            found = [self._place[match.row] for match in self._index.search(vector, DEPTH) if match.row in self._place]
            proposed = np.zeros(len(self._entries), dtype=np.bool_)
            proposed[self._number_of[np.array([*found, *_highest(sparse, DEPTH)], dtype=np.int64)]] = True
            if always in self._number:
                proposed[self._number[always]] = True
            own = np.flatnonzero(proposed[self._number_of])
        if not own.size:
            return []
        numbers = self._number_of[own]
        first = np.flatnonzero(np.diff(numbers, prepend=-1))
        dense = highest_cosines(self._vectors if self._all else self._vectors[own], first, vector).tolist()
        lexical = np.maximum.reduceat(sparse[own], first).tolist()
        return [Scores(self._entries[i], d, b) for i, d, b in zip(numbers[first].tolist(), dense, lexical, strict=True)]

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
        import numpy as np

        number = self._number[entry.id]
        start, stop = np.searchsorted(self._number_of, [number, number + 1])
        return self._vectors[start:stop].astype("float64")


async def _key_vectors(rows: Sequence[Row], embedder: Embedder, index: Index) -> Vectors:
    """Vectors of rows, shape (n, d): from the index where it holds them, else embedded."""
    import numpy as np

    if not rows:
        return np.zeros((0, 1), dtype=np.float32)
    known = index.vectors([row.id for row in rows])
    missing = [row for row in rows if row.id not in known]
    if missing:
        known.update(zip([row.id for row in missing], await embedder.embed([row.text for row in missing]), strict=True))
    return np.stack([known[row.id] for row in rows])


def _highest(scores: npt.NDArray[np.float64], n: int) -> list[int]:
    """Places of the n highest scores above 0, best first, ties by place."""
    import numpy as np

    least = np.partition(scores, -n)[-n] if n < len(scores) else 0.0
    places = np.flatnonzero((scores >= least) & (scores > 0))
    chosen: list[int] = places[np.argsort(-scores[places], kind="stable")][:n].tolist()
    return chosen


def _places(rows: Sequence[Row], earlier: Sequence[Row]) -> npt.NDArray[np.int64]:
    """Where rows stand among earlier ones, -1 for those that do not."""
    import numpy as np

    there = {row.id: i for i, row in enumerate(earlier)}
    return np.array([there.get(row.id, -1) for row in rows], dtype=np.int64)


def _taken_over(earlier: Vectors, origin: npt.NDArray[np.int64], fresh: Vectors) -> Vectors:
    """Earlier vectors at their new places, and fresh ones where there is no origin."""
    import numpy as np

    if len(fresh) == len(origin):
        return fresh
    if np.array_equal(origin, np.arange(len(earlier))):
        return earlier
    out = earlier[np.maximum(origin, 0)]
    out[origin < 0] = fresh
    return out
