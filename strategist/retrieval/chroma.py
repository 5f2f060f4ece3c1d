"""A Chroma collection as the vector index, opened by one process only.

Several processes on one Chroma folder lose vectors without an error, so the folder is guarded by a lock file of ours; who comes second
is told who holds it. Vectors are always our own (`embedding_function=None`, cosine), telemetry is off, and the collection's name holds
the embedder. Everything Chroma raises while the folder is read becomes one LibraryError that says how to repair it: an index is derived
and can be thrown away. Knows no entry, no ranking and no database of ours.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING

from strategist.errors import LibraryError
from strategist.records.base import digest
from strategist.retrieval.index import Match

if TYPE_CHECKING:
    import chromadb
    from chromadb.api import ClientAPI

    from strategist.retrieval.embed import Vectors

LOCK_NAME = "strategist.lock"
FILLING = "filling"


class IndexHeldError(LibraryError):
    """Another process (or another index object of this one) has the folder open."""


class ChromaIndex:
    """See `retrieval.index.Index`. Close it, or use it as a context manager: closing frees the folder for others."""

    def __init__(self, folder: Path, embedder_id: str, *, fresh: bool = False) -> None:
        self.folder = folder
        self._lock = _lock(folder)
        self._client: ClientAPI | None = None
        self._name = collection_name(embedder_id)
        try:
            if fresh:
                _empty(folder)
            with self._guard("opened"):
                self._client = _connect(folder)
                self._collection = self._create()
        except BaseException:
            self.close()
            raise

    @property
    def stamp(self) -> str:
        """See `Index.stamp`."""
        stamp = (self._collection.metadata or {}).get("stamp", "")
        return "" if stamp == FILLING else str(stamp)

    def replace(self, rows: Sequence[str], vectors: Vectors, stamp: str) -> None:
        """See `Index.replace`. The collection is dropped and made anew; the stamp is written after the last batch."""
        with self._guard("written"):
            client = self._open_client()
            client.delete_collection(self._name)
            self._collection = self._create()
            self._put(rows, vectors)
            self._collection.modify(metadata={"stamp": stamp, "dropped": 0})

    def update(self, rows: Sequence[str], vectors: Vectors, stamp: str) -> None:
        """See `Index.update`. One change among thousands of rows must not cost the next customer a new graph, which takes seconds.

        Rows that are dropped leave holes in the graph; once there have been as many of them as there are rows, it is made anew, as it is
        after a fill that was interrupted."""
        with self._guard("written"):
            present, wanted = frozenset(self._collection.get(include=[])["ids"]), frozenset(rows)
            dropped = int((self._collection.metadata or {}).get("dropped", 0)) + len(present - wanted)
            new = [i for i, row in enumerate(rows) if row not in present]
            if self.stamp and dropped + len(new) <= len(rows):
                self._collection.modify(metadata={"stamp": FILLING, "dropped": dropped})
                self._drop(sorted(present - wanted))
                self._put([rows[i] for i in new], vectors[new])
                self._collection.modify(metadata={"stamp": stamp, "dropped": dropped})
                return
        self.replace(rows, vectors, stamp)

    def _put(self, rows: Sequence[str], vectors: Vectors) -> None:
        for part in self._batches(len(rows)):
            self._collection.upsert(ids=list(rows[part]), embeddings=vectors[part])

    def _drop(self, rows: Sequence[str]) -> None:
        for part in self._batches(len(rows)):
            self._collection.delete(ids=list(rows[part]))

    def _batches(self, count: int) -> Iterator[slice]:
        """So many rows in parts that Chroma takes at once."""
        batch = self._open_client().get_max_batch_size()
        return (slice(start, start + batch) for start in range(0, count, batch))

    def search(self, vector: Vectors, n: int) -> list[Match]:
        """See `Index.search`. Approximate (HNSW): with far more rows than n, a near row can be missed."""
        with self._guard("searched"):
            count = self._collection.count()
            if count == 0 or n < 1:
                return []
            found = self._collection.query(query_embeddings=vector[None, :], n_results=min(n, count), include=["distances"])
            distances = found["distances"]
            assert distances is not None
            matches = [Match(row, round(1 - float(distance), 6)) for row, distance in zip(found["ids"][0], distances[0], strict=True)]
            return sorted(matches, key=lambda match: (-match.similarity, match.row))

    def vectors(self, rows: Sequence[str]) -> dict[str, Vectors]:
        """See `Index.vectors`."""
        import numpy as np

        out: dict[str, Vectors] = {}
        with self._guard("read"):
            for part in self._batches(len(rows)):
                found = self._collection.get(ids=list(rows[part]), include=["embeddings"])
                embeddings = found["embeddings"]
                assert embeddings is not None
                out |= {row: np.asarray(vector, dtype=np.float32) for row, vector in zip(found["ids"], embeddings, strict=True)}
        return out

    def rows(self) -> frozenset[str]:
        """See `Index.rows`."""
        with self._guard("read"):
            return frozenset(self._collection.get(include=[])["ids"])

    def close(self) -> None:
        """Free Chroma's files and our lock; safe to call twice."""
        if self._client is not None:
            self._client.close()  # type: ignore[attr-defined]
            self._client = None
        self._lock.close()

    def __enter__(self) -> ChromaIndex:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _create(self) -> chromadb.Collection:
        return self._open_client().get_or_create_collection(
            self._name, embedding_function=None, configuration={"hnsw": {"space": "cosine"}}, metadata={"stamp": FILLING}
        )

    def _open_client(self) -> ClientAPI:
        if self._client is None:
            raise LibraryError(f"the index in {self.folder} is closed")
        return self._client

    @contextmanager
    def _guard(self, doing: str) -> Iterator[None]:
        """Turn whatever Chroma raises (panics of its Rust core included, which are no Exceptions) into one error with the way out."""
        try:
            yield
        except (LibraryError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise LibraryError(
                f"the index in {self.folder} cannot be {doing}: {reason}",
                hint="nothing is lost, it is derived from the library: run `strategist library rebuild`",
            ) from None


def collection_name(embedder_id: str) -> str:
    """Name of the collection for an embedder: its id in the characters Chroma allows, and a hash that keeps alike names apart."""
    slug = re.sub(r"[^a-zA-Z0-9]+", "-", embedder_id).strip("-")[:40]
    return f"strategies-{slug}-{digest(embedder_id, 8)}"


def _connect(folder: Path) -> ClientAPI:
    import chromadb
    from chromadb.api.shared_system_client import SharedSystemClient
    from chromadb.config import Settings

    try:
        return chromadb.PersistentClient(str(folder), settings=Settings(anonymized_telemetry=False))
    except BaseException:
        # Chroma remembers a half-opened system by its path, and would hand it to whoever opens the repaired folder in this process.
        SharedSystemClient._identifier_to_system.pop(str(folder), None)
        SharedSystemClient._identifier_to_refcount.pop(str(folder), None)
        raise


def _lock(folder: Path) -> IO[str]:
    """Take the folder, or raise IndexHeldError naming the process that has it. The system frees the lock when its holder dies."""
    import fcntl

    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK_NAME).open("a+", encoding="utf-8")
    except OSError as error:
        raise LibraryError(f"cannot use the index folder {folder}: {error}", hint="or set [retrieval] index = 'exact'") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        hint = "stop that process, or set [retrieval] index = 'exact' here: exact search needs no folder"
        raise IndexHeldError(f"process {holder} has the index folder {folder} open", hint=hint) from None
    file.seek(0)
    file.truncate()
    file.write(str(os.getpid()))
    file.flush()
    return file


def _empty(folder: Path) -> None:
    """Remove everything but the lock file."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != LOCK_NAME:
            path.unlink()
