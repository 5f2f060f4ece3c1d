from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest

from strategist.errors import LibraryError
from strategist.records.library import Snapshot
from strategist.retrieval.chroma import ChromaIndex, IndexHeldError, collection_name
from strategist.retrieval.embed import HashedEmbedder
from strategist.retrieval.index import ExactIndex, open_index, rebuild, verify
from strategist.retrieval.retriever import Retriever
from strategist.settings import RetrievalSettings

if TYPE_CHECKING:
    from tests.retrieval.conftest import MakeEntry

EMBEDDER = HashedEmbedder()


@pytest.fixture
def snapshot(make_entry: MakeEntry) -> Snapshot:
    keys = [
        "my parcel is late",
        "the vase came broken",
        "who signed for it",
        "i want to pick it up myself",
        "a strange message asks for money",
    ]
    return Snapshot(entries=tuple(make_entry(f"e{i}", [key, f"{key} again"]) for i, key in enumerate(keys)), embedder=EMBEDDER.id)


@pytest.fixture
def index(tmp_path: Path, snapshot: Snapshot) -> Iterator[ChromaIndex]:
    with ChromaIndex(tmp_path / "index", EMBEDDER.id) as opened:
        asyncio.run(rebuild(opened, snapshot, EMBEDDER))
        yield opened


def test_chroma_and_exact_search_give_the_same_ranking_and_survive_reopening(index: ChromaIndex, snapshot: Snapshot) -> None:
    assert asyncio.run(verify(index, snapshot, EMBEDDER)) == []
    index.close()
    index.close()
    with ChromaIndex(index.folder, EMBEDDER.id) as again:
        assert asyncio.run(verify(again, snapshot, EMBEDDER)) == []
        served = asyncio.run(Retriever.build(snapshot, EMBEDDER, RetrievalSettings(), again))
        exact = asyncio.run(Retriever.build(snapshot, EMBEDDER, RetrievalSettings()))
        for question in ("parcel late", "broken vase", "who has signed"):
            assert asyncio.run(served.hits(question)) == asyncio.run(exact.hits(question))
        assert asyncio.run(EMBEDDER.embed(["x"])).shape[1] == len(again.vectors(sorted(again.rows()))[min(again.rows())])


def test_a_new_version_of_the_library_refills_the_index_and_embeds_only_new_keys(
    index: ChromaIndex, snapshot: Snapshot, make_entry: MakeEntry
) -> None:
    newer = snapshot.model_copy(update={"entries": (*snapshot.entries[1:], make_entry("e9", ["customs fee"]))})
    seen: list[str] = []

    class Watched(HashedEmbedder):
        async def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
            seen.extend(texts)
            return await super().embed(texts)

    asyncio.run(Retriever.build(newer, Watched(), RetrievalSettings(), index))
    assert seen == ["customs fee"]
    assert asyncio.run(verify(index, newer, EMBEDDER)) == []


def test_a_small_change_touches_only_what_changed_and_a_large_one_fills_anew(index: ChromaIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.eye(12, dtype=np.float32)
    index.replace([f"r{i}" for i in range(10)], vectors[:10], "one")
    written: list[str] = []
    upsert = type(index._collection).upsert

    def watched(self: object, ids: list[str], embeddings: npt.NDArray[np.float32]) -> None:
        written.extend(ids)
        upsert(index._collection, ids=ids, embeddings=embeddings)

    monkeypatch.setattr(type(index._collection), "upsert", watched)
    index.update([f"r{i}" for i in range(1, 11)], vectors[1:11], "two")
    assert written == ["r10"]
    assert index.rows() == {f"r{i}" for i in range(1, 11)}
    assert index.stamp == "two"
    assert index.search(vectors[10], 1) == [("r10", 1.0)]
    index.update(["r1", "n1", "n2"], vectors[[1, 2, 3]], "three")
    assert written == ["r10", "r1", "n1", "n2"]
    assert index.rows() == {"r1", "n1", "n2"}


def test_a_change_that_breaks_off_leaves_no_stamp(index: ChromaIndex, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(type(index._collection), "upsert", broken)
        with pytest.raises(LibraryError, match="disk full"):
            index.update([*sorted(index.rows()), "new"], np.ones((11, 1024), dtype=np.float32), "later")
    assert index.stamp == ""
    asyncio.run(Retriever.build(snapshot, EMBEDDER, RetrievalSettings(), index))
    assert asyncio.run(verify(index, snapshot, EMBEDDER)) == []


def test_the_second_opener_is_told_who_has_the_folder_and_gets_exact_search(index: ChromaIndex) -> None:
    import os

    with pytest.raises(IndexHeldError, match=f"process {os.getpid()} has the index folder"):
        ChromaIndex(index.folder, EMBEDDER.id)
    choice = open_index(RetrievalSettings(), index.folder, EMBEDDER.id)
    assert isinstance(choice.index, ExactIndex)
    assert f"process {os.getpid()}" in choice.notice
    with pytest.raises(IndexHeldError):
        open_index(RetrievalSettings(), index.folder, EMBEDDER.id, fresh=True)


def test_a_deleted_index_is_found_and_rebuilt(index: ChromaIndex, snapshot: Snapshot) -> None:
    import shutil

    index.close()
    shutil.rmtree(index.folder)
    choice = open_index(RetrievalSettings(), index.folder, EMBEDDER.id)
    assert isinstance(choice.index, ChromaIndex)
    with choice.index as empty:
        assert len(asyncio.run(verify(empty, snapshot, EMBEDDER))) == 2
        assert empty.search(np.ones(1024, dtype=np.float32), 3) == []
        assert asyncio.run(rebuild(empty, snapshot, EMBEDDER)) == 10
        assert asyncio.run(verify(empty, snapshot, EMBEDDER)) == []


def test_a_damaged_database_is_one_clear_error_and_a_fresh_index_repairs_it(index: ChromaIndex, snapshot: Snapshot) -> None:
    index.close()
    (index.folder / "chroma.sqlite3").write_bytes(b"garbage")
    with pytest.raises(LibraryError, match="cannot be opened") as caught:
        open_index(RetrievalSettings(), index.folder, EMBEDDER.id)
    assert "strategist library rebuild" in caught.value.hint
    choice = open_index(RetrievalSettings(), index.folder, EMBEDDER.id, fresh=True)
    assert isinstance(choice.index, ChromaIndex)
    with choice.index as fresh:
        asyncio.run(rebuild(fresh, snapshot, EMBEDDER))
        assert asyncio.run(verify(fresh, snapshot, EMBEDDER)) == []


def test_a_damaged_graph_is_found_by_verify(index: ChromaIndex, snapshot: Snapshot) -> None:
    """Chroma writes its graph to disk from 1,000 rows on; until it is read, the folder opens as if nothing were wrong."""
    vectors = np.random.default_rng(0).normal(size=(1100, 8)).astype(np.float32)
    index.replace([f"r{i}" for i in range(1100)], vectors, "s")
    index.close()
    (header,) = [file for file in index.folder.glob("*/header.bin") if (file.parent / "index_metadata.pickle").exists()]
    header.write_bytes(b"garbage")
    with ChromaIndex(index.folder, EMBEDDER.id) as damaged:
        with pytest.raises(LibraryError, match="cannot be searched"):
            damaged.search(vectors[0], 3)
        asyncio.run(rebuild(damaged, snapshot, EMBEDDER))
        assert asyncio.run(verify(damaged, snapshot, EMBEDDER)) == []


def test_an_interrupted_fill_is_noticed(index: ChromaIndex, snapshot: Snapshot) -> None:
    index._create()
    index._collection.modify(metadata={"stamp": "filling"})
    assert index.stamp == ""
    assert "not to the end" in asyncio.run(verify(index, snapshot, EMBEDDER))[0]


def test_a_closed_index_and_a_folder_that_cannot_be_made_are_clear_errors(index: ChromaIndex, tmp_path: Path) -> None:
    index.close()
    with pytest.raises(LibraryError, match="is closed"):
        index.vectors(["x"])
    (tmp_path / "file").write_text("x")
    with pytest.raises(LibraryError, match="cannot use the index folder"):
        ChromaIndex(tmp_path / "file" / "index", EMBEDDER.id)


def test_collection_names_hold_the_embedder_and_stay_apart() -> None:
    first, second = collection_name("endpoint:a/b"), collection_name("endpoint:a-b")
    assert first.startswith("strategies-endpoint-a-b-")
    assert first != second
    assert len(collection_name("x" * 500)) < 64
