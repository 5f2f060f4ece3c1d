"""The vector index: one protocol, an exact implementation, and what keeps a derived index honest.

An index holds key vectors under row ids and nothing else; the truth is in the database. A row id names entry, version, position and the
text's hash, so a row can never stand for another text. `verify` tells whether an index is complete and can be found in; `rebuild`
refills it. Nothing here ranks entries or reads a database.

Invariants: results are ordered by similarity, ties by row id; similarities are cosines; a filled index carries the stamp of what it was
filled from, written last, so that an interrupted fill is noticed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from strategist.errors import LibraryError
from strategist.records.base import digest
from strategist.records.library import Entry, Snapshot
from strategist.retrieval.embed import Embedder
from strategist.settings import RetrievalSettings

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from strategist.retrieval.embed import Vectors

SELF_QUERIES = 64
"""How many rows `verify` looks for by their own text, spread evenly over the library."""
ALIKE = 0.999
"""Cosine from which a row counts as found by its own text (an index may store rounded values)."""


class Match(NamedTuple):
    """One row that a search found, with its cosine similarity."""

    row: str
    similarity: float


class Row(NamedTuple):
    """One key of one entry: the unit that an index holds."""

    id: str
    entry: Entry
    text: str


class Index(Protocol):
    """Key vectors under row ids."""

    @property
    def stamp(self) -> str:
        """Fingerprint of the snapshot it was filled from; empty if never filled, or not to the end."""
        ...

    def replace(self, rows: Sequence[str], vectors: Vectors, stamp: str) -> None:
        """Drop everything, hold these rows (vectors of shape (n, d)), then set the stamp."""
        ...

    def update(self, rows: Sequence[str], vectors: Vectors, stamp: str) -> None:
        """The same, but rows that are here already may stay: a row id names its text."""
        ...

    def search(self, vector: Vectors, n: int) -> list[Match]:
        """The n rows nearest to a unit vector of shape (d,), best first."""
        ...

    def vectors(self, rows: Sequence[str]) -> dict[str, Vectors]:
        """Stored vectors of those of the rows that are here."""
        ...

    def rows(self) -> frozenset[str]:
        """All row ids."""
        ...

    def close(self) -> None:
        """Free files and locks; safe to call twice."""
        ...


ALONE = 2**23
"""Numbers in an array up to which one thread is enough."""
MARGIN = 1e-3
"""More than a cosine of two unit vectors can be off in single precision."""


class ExactIndex:
    """Exact cosine search with numpy, in memory. It keeps the array it is given: whoever else needs the vectors holds the same one.

    One product in single precision finds what may be among the best; only their cosines are computed in full. Half the memory is read,
    which is what such a search waits for. A small product is done without BLAS: on a busy machine, waking its threads takes longer."""

    def __init__(self) -> None:
        self._rows: tuple[str, ...] = ()
        self._vectors: Vectors | None = None
        self._stamp = ""

    @property
    def stamp(self) -> str:
        """See `Index.stamp`."""
        return self._stamp

    def replace(self, rows: Sequence[str], vectors: Vectors, stamp: str) -> None:
        """See `Index.replace`."""
        self._rows = tuple(rows)
        self._vectors = vectors if rows else None
        self._stamp = stamp

    def update(self, rows: Sequence[str], vectors: Vectors, stamp: str) -> None:
        """See `Index.update`."""
        self.replace(rows, vectors, stamp)

    def search(self, vector: Vectors, n: int) -> list[Match]:
        """See `Index.search`."""
        import numpy as np

        if self._vectors is None or n < 1:
            return []
        rough = _rough(self._vectors, vector)
        least = np.partition(rough, -n)[-n] if n < len(rough) else -np.inf
        near = np.flatnonzero(rough >= least - MARGIN)
        matches = [Match(self._rows[i], s) for i, s in zip(near.tolist(), cosines(self._vectors[near], vector).tolist(), strict=True)]
        return sorted(matches, key=lambda match: (-match.similarity, match.row))[:n]

    def vectors(self, rows: Sequence[str]) -> dict[str, Vectors]:
        """See `Index.vectors`."""
        wanted = set(rows)
        return {} if self._vectors is None else {row: self._vectors[i] for i, row in enumerate(self._rows) if row in wanted}

    def rows(self) -> frozenset[str]:
        """See `Index.rows`."""
        return frozenset(self._rows)

    def close(self) -> None:
        """See `Index.close`. Nothing to free."""


@dataclass(frozen=True)
class IndexChoice:
    """The index that serves, and one line to show when it is not the one the settings name (else empty)."""

    index: Index
    notice: str


def open_index(settings: RetrievalSettings, folder: Path, embedder_id: str, *, fresh: bool = False) -> IndexChoice:
    """Open the index of the settings. If another process holds the Chroma folder, exact search serves and the notice says who holds it.

    `fresh` throws away what the folder holds (for `library rebuild`), and then a held folder is an error, as is a damaged one without it.
    """
    if settings.index == "exact":
        return IndexChoice(ExactIndex(), "")
    from strategist.retrieval.chroma import ChromaIndex, IndexHeldError

    try:
        return IndexChoice(ChromaIndex(folder, embedder_id, fresh=fresh), "")
    except IndexHeldError as error:
        if fresh:
            raise
        return IndexChoice(ExactIndex(), f"index: exact search in memory, because {error.message}")


def rows_of(entries: Sequence[Entry]) -> tuple[Row, ...]:
    """The keys of all specific entries that are not retired, by entry id and position."""
    servable = sorted((e for e in entries if e.status != "retired" and e.scope == "specific"), key=lambda e: e.id)
    return tuple(Row(f"{e.ref}#{i}-{digest(key.text, 12)}", e, key.text) for e in servable for i, key in enumerate(e.keys))


def fingerprint(embedder_id: str, rows: Sequence[Row]) -> str:
    """What an index of these rows carries as its stamp: embedder and row ids, hashed."""
    return digest([embedder_id, *(row.id for row in rows)], 32)


async def verify(index: Index, snapshot: Snapshot, embedder: Embedder) -> list[str]:
    """What is wrong with an index of this snapshot, one line a fault; empty if it is complete, current and findable.

    Sampled keys are embedded again and looked for: that finds lost rows, changed vectors and another embedder alike.
    """
    rows = rows_of(snapshot.entries)
    expected = {row.id for row in rows}
    try:
        present = index.rows()
        faults = []
        if index.stamp != fingerprint(embedder.id, rows):
            faults.append("the index was filled from another version of the library or by another embedder, or not to the end")
        if expected - present:
            faults.append(f"{len(expected - present)} of {len(expected)} keys are not in the index")
        if present - expected:
            faults.append(f"{len(present - expected)} rows of the index belong to no key of the library")
        return faults + await _self_queries(index, [row for row in rows if row.id in present], embedder)
    except LibraryError as error:
        return [error.message]


async def _self_queries(index: Index, rows: Sequence[Row], embedder: Embedder) -> list[str]:
    """Every sampled row must be among the first 8 for its own key, and alike; or the 8 are all its twins."""
    sample = rows[:: max(1, -(-len(rows) // SELF_QUERIES))]
    vectors = await embedder.embed([row.text for row in sample]) if sample else ()
    lost = 0
    for row, vector in zip(sample, vectors, strict=True):
        alike = [match.row for match in index.search(vector, 8) if match.similarity >= ALIKE]
        lost += row.id not in alike and len(alike) < 8
    return [f"{lost} of {len(sample)} sampled keys are not found by their own text"] if lost else []


async def rebuild(index: Index, snapshot: Snapshot, embedder: Embedder) -> int:
    """Embed every key again and refill the index; returns the number of rows. Raises LibraryError for another embedder."""
    import numpy as np

    if snapshot.embedder and snapshot.embedder != embedder.id:
        raise LibraryError(f"the library's embedder is {snapshot.embedder}, not {embedder.id}", hint="set the library's embedder first")
    rows = rows_of(snapshot.entries)
    vectors = await embedder.embed([row.text for row in rows]) if rows else np.zeros((0, 1), dtype=np.float32)
    index.replace([row.id for row in rows], vectors, fingerprint(embedder.id, rows))
    return len(rows)


def highest_cosines(rows: Vectors, first: npt.NDArray[np.int64], vector: Vectors) -> npt.NDArray[np.float64]:
    """The highest of `cosines` in each run of rows; `first` says where the runs begin. Single precision shows which rows may hold it, and
    only these are computed in full."""
    import numpy as np

    rough = _rough(rows, vector)
    number = np.repeat(np.arange(len(first)), np.diff(first, append=len(rows)))
    near = np.flatnonzero(rough >= np.maximum.reduceat(rough, first)[number] - MARGIN)
    highest = np.full(len(first), -np.inf)
    np.maximum.at(highest, number[near], cosines(rows[near], vector))
    return highest


def _rough(rows: Vectors, vector: Vectors) -> npt.NDArray[np.float32]:
    import numpy as np

    single = vector.astype(np.float32)
    out: npt.NDArray[np.float32] = rows @ single if rows.size > ALONE else np.einsum("ij,j->i", rows, single)
    return out


def cosines(rows: Vectors | npt.NDArray[np.float64], vector: Vectors) -> npt.NDArray[np.float64]:
    """Cosine of each unit row with a unit vector, rounded to 6 decimals so that equal texts tie whatever the order of summation was.

    For hundreds of rows: einsum uses no threads, and waiting for a second one costs more than such a product where the machine is busy."""
    import numpy as np

    exact: npt.NDArray[np.float64] = np.einsum("ij,j->i", rows.astype(np.float64, copy=False), vector.astype(np.float64))
    return exact.round(6)
