from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import strategist.retrieval.index as index_module
from strategist.errors import LibraryError
from strategist.records.library import Snapshot
from strategist.retrieval.embed import HashedEmbedder
from strategist.retrieval.index import (
    ExactIndex,
    Match,
    cosines,
    fingerprint,
    highest_cosines,
    open_index,
    rebuild,
    rows_of,
    verify,
)
from strategist.settings import RetrievalSettings

if TYPE_CHECKING:
    from tests.retrieval.conftest import MakeEntry


def filled(snapshot: Snapshot) -> ExactIndex:
    index = ExactIndex()
    asyncio.run(rebuild(index, snapshot, HashedEmbedder()))
    return index


@pytest.fixture
def snapshot(make_entry: MakeEntry) -> Snapshot:
    entries = (make_entry("e1", ["late parcel", "where is it"]), make_entry("e2", ["broken vase"]), make_entry("e3", ["late parcel"]))
    return Snapshot(entries=entries, embedder="hashed-1024-v1")


def test_only_keys_of_specific_entries_in_use_are_rows(make_entry: MakeEntry) -> None:
    entries = [
        make_entry("e2", ["b"]),
        make_entry("e1", ["a", "c"], version=3),
        make_entry("e3", ["x"], status="retired"),
        make_entry("e4", ["y"], scope="general"),
    ]
    rows = rows_of(entries)
    assert [(row.entry.ref, row.text) for row in rows] == [("e1@3", "a"), ("e1@3", "c"), ("e2@1", "b")]
    assert len({row.id for row in rows}) == 3
    assert fingerprint("h", rows) != fingerprint("m", rows) != fingerprint("m", rows[:2])


def test_exact_search_orders_by_similarity_then_id() -> None:
    index = ExactIndex()
    assert index.search(np.array([1.0], dtype=np.float32), 3) == []
    assert index.vectors(["a"]) == {}
    index.replace(["b", "a", "c"], np.array([[1, 0], [1, 0], [0.6, 0.8]], dtype=np.float32), "s")
    assert index.search(np.array([1, 0], dtype=np.float32), 3) == [("a", 1.0), ("b", 1.0), ("c", 0.6)]
    assert [match.row for match in index.search(np.array([0, 1], dtype=np.float32), 1)] == ["c"]
    assert index.rows() == {"a", "b", "c"}
    assert index.stamp == "s"
    assert set(index.vectors(["a", "zz"])) == {"a"}


@pytest.mark.parametrize("alone", [0, 2**23])
def test_search_finds_the_best_whatever_single_precision_says(alone: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Differences below what single precision tells apart, and ties in plenty: the order is that of cosines in full, then of ids."""
    monkeypatch.setattr(index_module, "ALONE", alone)
    random = np.random.default_rng(3)
    rows = random.standard_normal((300, 48)).astype(np.float32)
    rows[50:150] = rows[0] + 1e-6 * random.standard_normal((100, 48)).astype(np.float32)
    rows[150:200] = rows[1]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    ids = [f"r{i:03}" for i in random.permutation(300)]
    index = ExactIndex()
    index.update(ids, rows, "s")
    for query in (rows[0], rows[1], rows[5]):
        exact = (rows.astype(np.float64) @ query.astype(np.float64)).round(6)
        expected = sorted(zip(ids, exact.tolist(), strict=True), key=lambda pair: (-pair[1], pair[0]))
        for n in (1, 7, 120, 300, 400):
            assert index.search(query, n) == expected[:n]
    assert index.search(rows[0], 0) == []


def test_a_rebuilt_index_has_no_faults(snapshot: Snapshot) -> None:
    assert asyncio.run(verify(filled(snapshot), snapshot, HashedEmbedder())) == []
    assert asyncio.run(verify(filled(Snapshot()), Snapshot(), HashedEmbedder())) == []


def test_verify_names_an_old_version_and_missing_and_foreign_rows(snapshot: Snapshot, make_entry: MakeEntry) -> None:
    index = filled(snapshot)
    newer = snapshot.model_copy(update={"entries": (*snapshot.entries[1:], make_entry("e4", ["new", "newer"]))})
    faults = asyncio.run(verify(index, newer, HashedEmbedder()))
    assert "another version" in faults[0]
    assert "2 of 4 keys are not in the index" in faults[1]
    assert "2 rows of the index belong to no key" in faults[2]
    assert "another version" in asyncio.run(verify(ExactIndex(), snapshot, HashedEmbedder()))[0]


class Forgetful(ExactIndex):
    """Finds nothing that it holds, as a damaged graph would."""

    def search(self, vector: npt.NDArray[np.float32], n: int) -> list[Match]:
        return []


def test_verify_finds_rows_that_no_query_finds(snapshot: Snapshot) -> None:
    index = Forgetful()
    asyncio.run(rebuild(index, snapshot, HashedEmbedder()))
    assert asyncio.run(verify(index, snapshot, HashedEmbedder())) == ["4 of 4 sampled keys are not found by their own text"]


def test_more_twins_than_a_self_query_returns_are_no_fault(make_entry: MakeEntry) -> None:
    twins = Snapshot(entries=tuple(make_entry(f"e{i}", ["the same"]) for i in range(30)), embedder="hashed-1024-v1")
    assert asyncio.run(verify(filled(twins), twins, HashedEmbedder())) == []


def test_verify_finds_vectors_that_are_not_those_of_their_texts(snapshot: Snapshot) -> None:
    index = filled(snapshot)
    rows = rows_of(snapshot.entries)
    vectors = asyncio.run(HashedEmbedder().embed([f"another text {i}" for i in range(len(rows))]))
    index.replace([row.id for row in rows], vectors, index.stamp)
    assert asyncio.run(verify(index, snapshot, HashedEmbedder())) == ["4 of 4 sampled keys are not found by their own text"]
    index.close()


class Broken(ExactIndex):
    def rows(self) -> frozenset[str]:
        raise LibraryError("the index cannot be read", hint="rebuild")


def test_verify_reports_an_index_that_cannot_be_read(snapshot: Snapshot) -> None:
    assert asyncio.run(verify(Broken(), snapshot, HashedEmbedder())) == ["the index cannot be read"]


def test_rebuild_refuses_another_embedder(snapshot: Snapshot) -> None:
    with pytest.raises(LibraryError, match="not hashed-1024-v1"):
        asyncio.run(rebuild(ExactIndex(), snapshot.model_copy(update={"embedder": "minilm"}), HashedEmbedder()))


def test_exact_by_setting_touches_no_folder(tmp_path: Path) -> None:
    choice = open_index(RetrievalSettings(index="exact"), tmp_path / "index", "h")
    assert isinstance(choice.index, ExactIndex)
    assert not (tmp_path / "index").exists()


@given(st.lists(st.integers(1, 40), min_size=60, max_size=60), st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_the_highest_of_each_run_is_what_comparing_all_rows_in_full_gives(runs: list[int], seed: int) -> None:
    """Many rows differ by less than single precision tells: they must not decide by it."""
    rng = np.random.default_rng(seed)
    number = np.repeat(np.arange(len(runs)), runs)
    rows = rng.normal(size=(len(runs), 256))[number] + rng.normal(scale=3e-6, size=(sum(runs), 256))
    unit = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    first = np.cumsum([0, *runs[:-1]])
    for query in unit[first[:10]]:
        assert highest_cosines(unit, first, query).tolist() == np.maximum.reduceat(cosines(unit, query), first).tolist()
