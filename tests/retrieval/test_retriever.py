from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategist.errors import LibraryError
from strategist.records.chat import Message
from strategist.records.library import Entry, Floor, Key, Snapshot, Status
from strategist.retrieval.embed import CachedEmbedder, HashedEmbedder
from strategist.retrieval.index import ExactIndex, Match
from strategist.retrieval.retriever import Retriever
from strategist.settings import RetrievalSettings

if TYPE_CHECKING:
    from tests.retrieval.conftest import MakeEntry

EMBEDDER = CachedEmbedder(HashedEmbedder())
SETTINGS = RetrievalSettings()
TOPICS = [
    "my parcel is late",
    "the parcel is late again",
    "the vase came broken",
    "someone signed for my parcel",
    "i want to pick it up",
    "a customs fee is asked",
    "who decides about the refund",
]


def build(entries: Sequence[Entry], settings: RetrievalSettings = SETTINGS, floor: float | None = None) -> Retriever:
    fixed = None if floor is None else Floor(score=floor, source="fixed")
    return asyncio.run(Retriever.build(Snapshot(entries=tuple(entries), floor=fixed, embedder=EMBEDDER.id), EMBEDDER, settings))


def ask(text: str) -> list[Message]:
    return [Message(role="user", content=text)]


class NoEmbedder:
    id = EMBEDDER.id

    async def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        raise AssertionError("embedded for nothing")


def test_vectors_of_the_ranking_before_are_not_asked_for_again(make_entry: MakeEntry) -> None:
    """Regression: an index on disk was read from end to end after every change."""
    asked: list[tuple[str, ...]] = []

    class Watched(ExactIndex):
        def vectors(self, rows: Sequence[str]) -> dict[str, npt.NDArray[np.float32]]:
            asked.append(tuple(rows))
            return super().vectors(rows)

    entries = [make_entry(f"e{i}", [topic]) for i, topic in enumerate(TOPICS)]
    index, question = Watched(), "is my parcel late"

    async def ranked(kept: Sequence[Entry], before: Retriever | None) -> Retriever:
        snapshot = Snapshot(entries=tuple(kept), embedder=EMBEDDER.id)
        return await Retriever.build(snapshot, EMBEDDER, SETTINGS, index, before=before)

    first = asyncio.run(ranked(entries[1:5], None))
    second = asyncio.run(ranked(entries[:4], first))
    assert [len(rows) for rows in asked] == [4, 1]
    assert asyncio.run(second.hits(question)) == asyncio.run(build(entries[:4]).hits(question))


def test_an_empty_library_costs_nothing_and_gives_nothing() -> None:
    retriever = asyncio.run(Retriever.build(Snapshot(), NoEmbedder(), SETTINGS))
    guidance = asyncio.run(retriever.guidance(ask("where is my parcel?")))
    assert (guidance.lines, guidance.entries, guidance.reason, guidance.score) == ((), (), "empty", None)
    assert asyncio.run(retriever.hits("where")) == ()


def test_company_wide_lines_alone_need_no_embedding(make_entry: MakeEntry) -> None:
    snapshot = Snapshot(entries=(make_entry("e1", ["ignored"], ["Be brief."], scope="general"),))
    guidance = asyncio.run(asyncio.run(Retriever.build(snapshot, NoEmbedder(), SETTINGS)).guidance(ask("hello")))
    assert (guidance.lines, guidance.reason) == (("Be brief.",), "global")


def test_the_right_entry_is_found_by_either_of_its_keys(make_entry: MakeEntry) -> None:
    entries = [make_entry(f"e{i}", [TOPICS[i], TOPICS[-1 - i]], [f"Line {'abc'[i]}."]) for i in range(3)]
    retriever = build(entries)
    for question in (TOPICS[2], TOPICS[-3]):
        hits = asyncio.run(retriever.hits(question))
        assert hits[0].entry.id == "e2"
        assert hits[0].score == 1.0
        assert hits[0].rank == 1
    guidance = asyncio.run(retriever.guidance(ask("The vase came broken")))
    assert guidance.entries[0] == "e2@1"
    assert guidance.score == 1.0


def test_the_floor_of_library_and_settings(make_entry: MakeEntry) -> None:
    entries = [make_entry("e1", ["the vase came broken"], ["Ask for photos."])]
    high = build(entries, floor=0.99)
    assert asyncio.run(high.guidance(ask("a broken vase!"))).reason == "weak"
    assert asyncio.run(high.explain(ask("a broken vase!"), tried="e1")).guidance.reason == "matched"
    assert build(entries, RetrievalSettings(floor=0.1), floor=0.99).floor == 0.1
    assert build(entries).floor is None
    explained = asyncio.run(high.explain("a broken vase"))
    assert (explained.key, explained.floor, explained.chosen) == ("a broken vase", 0.99, ())
    assert explained.hits[0].entry.id == "e1"
    assert explained.guidance.score == explained.hits[0].score < 0.99


def test_nothing_is_placed_where_a_moment_that_no_entry_is_for_is_nearer(make_entry: MakeEntry) -> None:
    entries = (make_entry("e1", ["my parcel is late"], ["Open a trace."]), make_entry("e9", ["x"], ["Be brief."], scope="general"))
    gaps = (Key(scenario="s", persona="p", issue="lost", text="my parcel is lost"),)
    floor = Floor(score=0.2, source="calibration")
    snapshot = Snapshot(entries=entries, floor=floor, embedder=EMBEDDER.id)
    closed = snapshot.model_copy(update={"floor": floor.model_copy(update={"gaps": gaps})})

    def guidance(snapshot: Snapshot, text: str, settings: RetrievalSettings = SETTINGS, tried: str = "") -> tuple[str, ...]:
        retriever = asyncio.run(Retriever.build(snapshot, EMBEDDER, settings))
        return asyncio.run(retriever.explain(text, tried=tried)).guidance.lines

    assert guidance(snapshot, "so my parcel is lost") == ("Open a trace.",)
    assert guidance(closed, "so my parcel is lost") == ("Be brief.",), "company-wide lines are for moments that no entry is for"
    assert guidance(closed, "so my parcel is late") == ("Open a trace.",)
    assert guidance(closed, "so my parcel is lost", tried="e1") == ("Open a trace.",), "the gate tries it there all the same"
    assert guidance(closed, "so my parcel is lost", RetrievalSettings(floor=0.1)) == ("Open a trace.",), (
        "a floor set by hand is all there is"
    )
    joint = asyncio.run(asyncio.run(Retriever.build(closed, EMBEDDER, SETTINGS)).with_entry(make_entry("e2", ["a vase"], ["Ask."])))
    assert asyncio.run(joint.guidance("so my parcel is lost")).lines == ("Be brief.",)
    assert asyncio.run(joint.explain("so my parcel is lost")).floor > 0.5  # type: ignore[operator]


def test_a_conversation_without_a_customer_matches_nothing(make_entry: MakeEntry) -> None:
    retriever = build([make_entry("e1", ["late"])])
    assert asyncio.run(retriever.guidance([Message(role="system", content="brief")])).reason == "weak"


def test_guidance_is_diverse(make_entry: MakeEntry) -> None:
    late, lost = (f"blue parcel aunt birthday courier doorbell neighbour garden {word}" for word in ("late", "lost"))
    twins = [make_entry("e1", [late], ["Open a trace."]), make_entry("e2", [late], ["Say sorry once."])]
    other = make_entry("e3", [lost], ["Name the wait."])
    one = build([*twins, other], RetrievalSettings(k=2, mmr_lambda=0.3))
    assert asyncio.run(one.guidance(late)).entries == ("e1@1", "e3@1")
    greedy = build([*twins, other], RetrievalSettings(k=2, mmr_lambda=1.0))
    assert asyncio.run(greedy.guidance(late)).entries == ("e1@1", "e2@1")


def test_another_embedder_is_refused(make_entry: MakeEntry) -> None:
    with pytest.raises(LibraryError, match="embedder minilm"):
        asyncio.run(Retriever.build(Snapshot(embedder="minilm"), EMBEDDER, SETTINGS))


STATUSES: tuple[Status, ...] = ("proposed", "admitted", "approved", "retired")


@st.composite
def libraries(draw: st.DrawFn) -> list[tuple[str, list[str], list[str], Status]]:
    count = draw(st.integers(0, 6))
    return [
        (
            f"e{i}",
            draw(st.lists(st.sampled_from(TOPICS), min_size=1, max_size=3)),
            draw(st.lists(st.sampled_from(["Ask first.", "Open a trace.", "Never promise a day.", "Name the pick-up point."]), max_size=3)),
            draw(st.sampled_from(STATUSES)),
        )
        for i in range(count)
    ]


@given(libraries(), st.sampled_from(TOPICS), st.randoms())
@settings(max_examples=60, deadline=None)
def test_order_of_entries_never_matters_and_retired_ones_are_never_seen(
    make_entry: MakeEntry, library: list[tuple[str, list[str], list[str], Status]], question: str, random: Random
) -> None:
    entries = [make_entry(name, keys, lines, status=status) for name, keys, lines, status in library]
    shuffled = list(entries)
    random.shuffle(shuffled)
    first, second = asyncio.run(build(entries).explain(question)), asyncio.run(build(shuffled).explain(question))
    assert first == second
    retired = {entry.ref for entry in entries if entry.status == "retired"}
    assert not retired & ({hit.entry.ref for hit in first.hits} | set(first.guidance.entries))
    assert len(first.guidance.lines) <= SETTINGS.max_lines
    assert bool(first.guidance.lines) == (first.guidance.reason in ("matched", "global"))
    assert bool(first.guidance.entries) == (first.guidance.reason in ("matched", "global", "control"))


@given(libraries(), st.lists(st.sampled_from(TOPICS), min_size=1, max_size=3), st.lists(st.sampled_from(TOPICS), min_size=1, max_size=2))
@settings(max_examples=40, deadline=None)
def test_a_library_with_a_candidate_is_one_built_with_it(
    make_entry: MakeEntry, library: list[tuple[str, list[str], list[str], Status]], questions: list[str], keys: list[str]
) -> None:
    entries = [make_entry(name, names, lines, status=status) for name, names, lines, status in library]
    candidate = make_entry("c0", keys, status="proposed")
    fast, joint = asyncio.run(build(entries).with_entry(candidate)), build([*entries, candidate])
    for question in questions:
        assert asyncio.run(fast.explain(question)) == asyncio.run(joint.explain(question))
        tried = asyncio.run(fast.explain(question, tried="c0"))
        assert "c0" in [hit.entry.id for hit in tried.hits]


@given(libraries(), libraries(), st.sampled_from(TOPICS))
@settings(max_examples=40, deadline=None)
def test_a_retriever_that_takes_over_answers_like_one_built_from_scratch(
    make_entry: MakeEntry,
    old: list[tuple[str, list[str], list[str], Status]],
    new: list[tuple[str, list[str], list[str], Status]],
    question: str,
) -> None:
    first, second = ([make_entry(name, keys, lines, status=status) for name, keys, lines, status in library] for library in (old, new))
    before = build(first)
    answer = asyncio.run(before.explain(question))
    snapshot = Snapshot(entries=tuple(second), embedder=EMBEDDER.id)
    after = asyncio.run(Retriever.build(snapshot, EMBEDDER, SETTINGS, before=before))
    assert asyncio.run(after.explain(question)) == asyncio.run(build(second).explain(question))
    assert asyncio.run(before.explain(question)) == answer


def test_vectors_are_shared_and_not_copied(make_entry: MakeEntry) -> None:
    """One library's vectors are in memory once, and a change of lines or floor costs none."""
    index = ExactIndex()
    entries = (make_entry("e1", ["late", "broken"]), make_entry("e2", ["customs"]))
    before = asyncio.run(Retriever.build(Snapshot(entries=entries), EMBEDDER, SETTINGS, index))
    assert index._vectors is before._vectors
    changed = (entries[0].model_copy(update={"status": "approved"}), entries[1])
    after = asyncio.run(Retriever.build(Snapshot(entries=changed), NoEmbedder(), SETTINGS, index, before=before))
    assert after._vectors is before._vectors


def test_a_candidate_replaces_the_entry_of_its_id_and_the_library_stays_as_it_was(make_entry: MakeEntry) -> None:
    old, new = make_entry("e1", ["late"], ["Old."]), make_entry("e1", ["late"], ["New."], version=2)
    retriever = build([old])
    joint = asyncio.run(retriever.with_entry(new))
    assert asyncio.run(joint.guidance("late")).lines == ("New.",)
    assert asyncio.run(retriever.guidance("late")).lines == ("Old.",)


def test_a_library_without_an_entry_is_one_built_without_it(make_entry: MakeEntry) -> None:
    entries = [
        make_entry("e1", ["late", "lost"], ["Trace."]),
        make_entry("e2", ["late today"], ["Ask."]),
        make_entry("e3", ["broken"], ["Photo."]),
    ]
    less, built = asyncio.run(build(entries).without("e1")), build(entries[1:])
    for question in TOPICS:
        assert asyncio.run(less.explain(question)) == asyncio.run(built.explain(question))
    assert asyncio.run(build(entries).without("e9")).snapshot.entries == tuple(entries)


def test_only_new_keys_are_embedded_for_a_candidate(make_entry: MakeEntry) -> None:
    seen: list[str] = []

    class Watched(HashedEmbedder):
        async def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
            seen.extend(texts)
            return await super().embed(texts)

    snapshot = Snapshot(entries=(make_entry("e1", ["late"]),))
    retriever = asyncio.run(Retriever.build(snapshot, Watched(), SETTINGS))
    asyncio.run(retriever.with_entry(make_entry("c1", ["broken"])))
    assert seen == ["late", "broken"]


def test_who_is_tried_needs_not_reach_the_floor_and_all_others_do(make_entry: MakeEntry) -> None:
    entries = [make_entry("e1", ["broken vase"], ["Ask for a photo."]), make_entry("e2", ["late parcel"], ["Open a trace."])]
    retriever = build(entries, floor=0.99)
    assert asyncio.run(retriever.guidance("a late vase")).reason == "weak"
    tried = asyncio.run(retriever.explain("a late vase", tried="e2")).guidance
    assert (tried.lines, tried.entries) == (("Open a trace.",), ("e2@1",))
    assert asyncio.run(retriever.explain("a late vase", tried="unknown")).guidance.reason == "weak"


class Lost(ExactIndex):
    """An index that finds nothing of what it holds."""

    def search(self, vector: npt.NDArray[np.float32], n: int) -> list[Match]:
        return []


def test_bm25_still_proposes_what_the_index_has_lost(make_entry: MakeEntry) -> None:
    snapshot = Snapshot(entries=(make_entry("e1", ["the vase came broken"]),))
    retriever = asyncio.run(Retriever.build(snapshot, EMBEDDER, SETTINGS, Lost()))
    assert [hit.entry.id for hit in asyncio.run(retriever.hits("a broken vase"))] == ["e1"]
    assert asyncio.run(retriever.hits("customs")) == ()
