"""What does retrieval cost as a library grows: one query, one entry more, one entry less, memory?

    python -m evals.retrieval_speed [SIZES...]    default 1000 10000 entries of one key; 100000 takes about half an hour more

Each line is a process of its own. It serves a library from a database and asks 200 queries one after the other, as the agent does: the
library's version, masking, embedding, index and BM25, fusion, floor, diversity, lines. Then it adds and retires entries; `add` and `retire`
are the time from the finished write to the answer of the next query, median of five, and of that `read` is reading the entries from the
database. Beside it, in the same process and over the same vectors, what a program does that has no more than vectors: one matrix product
with numpy and the best eight, or `collection.query` of a Chroma collection in memory, and one row added (`add`).

Times are of a wall clock, in milliseconds; `cpu` is what the process itself used for a query, on average, whatever else the machine did.
`mask/embed/find/rest` are means of the wall clock.

Texts are made up, with a seed. With MiniLM the library's keys get made-up unit vectors in place of hours of embedding; queries and new
entries are embedded in earnest. MiniLM is left out where Chroma's folder does not hold it.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Literal, cast

import numpy as np
import numpy.typing as npt

from strategist.agent import LiveLibrary
from strategist.library.library import Library
from strategist.records.chat import Message
from strategist.records.library import SERVABLE, Entry, Floor, Key, Snapshot, Status, Strategy
from strategist.retrieval.embed import Embedder, HashedEmbedder, MiniLMEmbedder, minilm_cache, of_keys
from strategist.retrieval.index import Index, Match, open_index
from strategist.retrieval.mask import key_text
from strategist.retrieval.minilm import DIMENSIONS
from strategist.settings import RetrievalSettings
from strategist.store.store import open_store

SIZES = (1_000, 10_000)
QUERIES = 200
CHANGES = 5
SEED = 7
IndexName = Literal["exact", "chroma"]
Vectors = npt.NDArray[np.float32]


def said(random: Random, length: int) -> str:
    """A made-up sentence: words of 4 to 9 letters, common ones far more often than rare ones."""
    return " ".join(_WORDS[min(int(random.paretovariate(0.6)) - 1, len(_WORDS) - 1)] for _ in range(length))


def _words(count: int) -> list[str]:
    random = Random(SEED)
    return ["".join(random.choice("aeioubcdglmnprst") for _ in range(random.randint(4, 9))) for _ in range(count)]


_WORDS = _words(5_000)


def conversation(number: int) -> list[Message]:
    """A made-up conversation up to the customer's second message."""
    random = Random(f"{SEED}/{number}")
    return [
        Message(role="user", content=said(random, 25)),
        Message(role="assistant", content=said(random, 50)),
        Message(role="user", content=said(random, 15)),
    ]


def entry(number: int) -> Entry:
    """A made-up entry of one key and one line."""
    key = Key(scenario=f"s{number}", persona=f"p{number}", issue="x", text=key_text(conversation(number)))
    line = Strategy(text=said(Random(number), 12))
    provenance = {"domain": "parcel", "brief_hash": "b", "student": "s", "advisor": "a", "round": 0}
    return Entry(id=f"e{number:07}", status="admitted", keys=(key,), strategies=(line,), **provenance)


class MadeUp:
    """An embedder that makes unit vectors up for many texts at once and lets `inner` embed few."""

    def __init__(self, inner: Embedder, dimensions: int) -> None:
        self._inner, self._dimensions = inner, dimensions
        self.id = f"{inner.id}-made-up"

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder.embed`."""
        if len(texts) <= 100:
            return await self._inner.embed(texts)
        rows = np.random.default_rng(SEED).standard_normal((len(texts), self._dimensions), dtype=np.float32)
        unit: Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit


class Clock:
    """Seconds spent in the parts that are watched, and how many texts were embedded."""

    def __init__(self) -> None:
        self.embedding = self.searching = self.reading = 0.0
        self.texts = 0


class WatchedEmbedder:
    """An embedder under a clock."""

    def __init__(self, inner: Embedder, clock: Clock) -> None:
        self._inner, self._clock = inner, clock
        self.id = inner.id

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder.embed`."""
        start = time.perf_counter()
        out = await self._inner.embed(texts)
        self._clock.embedding += time.perf_counter() - start
        self._clock.texts += len(texts)
        return out


class WatchedLibrary(Library):
    """A library under a clock."""

    clock: Clock

    def snapshot(self, statuses: Sequence[Status], embedder: str, floor: Floor | None, *, before: Snapshot | None = None) -> Snapshot:
        """See `Library.snapshot`."""
        start = time.perf_counter()
        out = super().snapshot(statuses, embedder, floor, before=before)
        self.clock.reading += time.perf_counter() - start
        return out


def watch(index: Index, clock: Clock) -> Index:
    """The index with its searches under a clock."""
    search = index.search

    def watched(vector: Vectors, n: int) -> list[Match]:
        start = time.perf_counter()
        out = search(vector, n)
        clock.searching += time.perf_counter() - start
        return out

    index.search = watched  # type: ignore[method-assign]
    return index


def embedder_of(name: str) -> Embedder:
    """The embedder of keys that a line is about."""
    return of_keys(HashedEmbedder()) if name == "hashed" else MadeUp(of_keys(MiniLMEmbedder(minilm_cache())), 3 * DIMENSIONS)


def memory() -> float:
    """Megabytes this process holds."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise AssertionError


async def measure(folder: Path, size: int, name: str, kind: IndexName, queries: int) -> dict[str, float]:
    """The figures of one line; times in milliseconds, building in seconds."""
    clock = Clock()
    embedder = WatchedEmbedder(embedder_of(name), clock)
    await embedder.embed(["warm"])
    store = open_store(folder / "library.db")
    library = WatchedLibrary(store)
    library.clock = clock
    settings = RetrievalSettings(index=kind)
    opened: list[Index] = []

    def index() -> Index:
        if not opened:
            opened.append(watch(open_index(settings, folder / "index", embedder.id).index, clock))
        return opened[0]

    live = LiveLibrary(library, embedder, settings, SERVABLE, index=index)
    asked = [conversation(-1 - number) for number in range(queries)]
    before = memory()
    clock.__init__()  # type: ignore[misc]
    start = time.perf_counter()
    await live.guidance(asked[0])
    out = {"build": time.perf_counter() - start, "build_read": clock.reading, "memory": memory() - before}
    masking = seconds(lambda number: key_text(asked[number]), queries)
    clock.__init__()  # type: ignore[misc]
    times, cpu = [], time.process_time()
    for messages in asked:
        start = time.perf_counter()
        await live.guidance(messages)
        times.append(time.perf_counter() - start)
    out |= spread("query", times) | {"cpu": 1e3 * (time.process_time() - cpu) / queries}
    parts = {"mean": sum(times), "masking": sum(masking), "embedding": clock.embedding, "searching": clock.searching}
    out |= {part: 1e3 * total / queries for part, total in parts.items()}
    for what in ("add", "retire"):
        clock.__init__()  # type: ignore[misc]
        times = []
        for number in range(CHANGES):
            fresh = entry(size + number)
            if what == "add":
                library.add([fresh], actor="bench", reason="", marker=fresh.id)
            else:
                library.retire(fresh.id, actor="bench", reason="")
            start = time.perf_counter()
            await live.guidance(asked[number])
            times.append(time.perf_counter() - start)
        out |= spread(what, times) | {f"{what}_read": 1e3 * clock.reading / CHANGES, f"{what}_texts": clock.texts / CHANGES - 1}
    keys = [e.keys[0].text for e in library.entries(SERVABLE)]
    vectors = await embedder.embed(keys)
    moments = [(await embedder.embed([key_text(messages)]))[0] for messages in asked]
    out |= plain_numpy(vectors, moments) if kind == "exact" else plain_chroma(vectors, moments)
    for one in opened:
        one.close()
    store.close()
    return out


def plain_numpy(vectors: Vectors, moments: Sequence[Vectors]) -> dict[str, float]:
    """Exact search as one writes it without a library of ours: a product, the best eight, sorted; a row is added by copying."""

    def ask(number: int) -> object:
        similar = vectors @ moments[number]
        best = np.argpartition(-similar, 8)[:8]
        return best[np.argsort(-similar[best])]

    added = seconds(lambda number: np.concatenate([vectors, moments[number][None]]), CHANGES)
    return spread("plain", seconds(ask, len(moments))) | spread("plain_add", added)


def plain_chroma(vectors: Vectors, moments: Sequence[Vectors]) -> dict[str, float]:
    """A Chroma collection in memory, filled and asked as its documentation does; a row is added by `add` and found by the next query."""
    import chromadb
    from chromadb.config import Settings

    client = chromadb.EphemeralClient(settings=Settings(anonymized_telemetry=False))
    collection = client.create_collection("plain", embedding_function=None, configuration={"hnsw": {"space": "cosine"}})
    step = client.get_max_batch_size()
    start = time.perf_counter()
    for first in range(0, len(vectors), step):
        part = vectors[first : first + step]
        collection.add(ids=[str(first + i) for i in range(len(part))], embeddings=part)
    built = time.perf_counter() - start

    def ask(number: int) -> object:
        return collection.query(query_embeddings=moments[number][None], n_results=8)

    def add(number: int) -> object:
        collection.add(ids=[f"new{number}"], embeddings=moments[number][None])
        return ask(number)

    times = seconds(ask, len(moments))
    return {"plain_build": built} | spread("plain", times) | spread("plain_add", seconds(add, CHANGES))


def seconds(work: Callable[[int], object], count: int) -> list[float]:
    """How long each of `count` pieces of work took."""
    times = []
    for number in range(count):
        start = time.perf_counter()
        work(number)
        times.append(time.perf_counter() - start)
    return times


def spread(name: str, times: Sequence[float]) -> dict[str, float]:
    """Best, median and 95th percentile in milliseconds."""
    return {f"{name}_best": 1e3 * min(times), name: 1e3 * float(np.median(times)), f"{name}_p95": 1e3 * float(np.quantile(times, 0.95))}


COLUMNS = (8, -8, -6, 19, 7, 21, 8, 8, 8, 9, 8, 8, 19, 8, 8)
HEAD = (
    "entries|embedder|index|query best/p50/p95|cpu|mask/embed/find/rest|add|retire|of read|embedded|build s|MB|"
    "plain best/p50/p95|add|build s"
)


def row(cells: Sequence[str]) -> str:
    """Cells under each other; a negative width means left."""
    return "  ".join(f"{cell:{'<' if width < 0 else '>'}{abs(width)}}" for cell, width in zip(cells, COLUMNS, strict=True))


def line(size: int, name: str, kind: str, found: dict[str, float]) -> str:
    """One line of the table."""
    parts = [found[part] for part in ("masking", "embedding", "searching")]
    query, plain = ("/".join(f"{found[what + end]:.1f}" for end in ("_best", "", "_p95")) for what in ("query", "plain"))
    cells = [str(size), name, kind, query, f"{found['cpu']:.1f}", "/".join(f"{part:.1f}" for part in (*parts, found["mean"] - sum(parts)))]
    cells += [f"{found[what]:.0f}" for what in ("add", "retire", "add_read", "add_texts")]
    cells += [f"{found['build']:.1f}", f"{found['memory']:.0f}", plain, f"{found['plain_add']:.1f}"]
    return row([*cells, f"{found['plain_build']:.1f}" if "plain_build" in found else "-"])


def fill(path: Path, size: int) -> None:
    """A library of made-up entries with a floor that most moments reach."""
    store = open_store(path)
    library = Library(store)
    library.add([entry(number) for number in range(size)], actor="bench", reason="", marker="fill")
    library.set_floor(Floor(score=0.1, source="fixed"))
    store.close()


def run_line(database: Path, size: int, name: str, kind: IndexName, queries: int) -> dict[str, float]:
    """Measure in a process of its own, over a copy of the database."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "library.db").write_bytes(database.read_bytes())
        asked = [sys.executable, "-m", "evals.retrieval_speed", "line", folder, str(size), name, kind, str(queries)]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return cast("dict[str, float]", json.loads(done.stdout.splitlines()[-1]))


def main(sizes: Sequence[int] = SIZES, queries: int = QUERIES) -> None:
    """Print the table."""
    names = ["hashed", "minilm"] if (minilm_cache() / "model.onnx").is_file() else ["hashed"]
    print(f"{queries} queries a line, seed {SEED}, load {os.getloadavg()[0]:.1f} at the start", flush=True)
    print(row(HEAD.split("|")), flush=True)
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            database = Path(folder) / "library.db"
            fill(database, size)
            for name in names:
                for kind in ("exact", "chroma"):
                    print(line(size, name, kind, run_line(database, size, name, kind, queries)), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["line"]:
        where, n, embedder_name, index_name, count = sys.argv[2:]
        measured = measure(Path(where), int(n), embedder_name, cast(IndexName, index_name), int(count))
        print(json.dumps(asyncio.run(measured)))
    else:
        main([int(word) for word in sys.argv[1:]] or SIZES)
