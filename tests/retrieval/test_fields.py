from __future__ import annotations

import asyncio

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategist.retrieval.embed import HashedEmbedder
from strategist.retrieval.fields import EMPTY, WEIGHTS, FieldBM25, FieldEmbedder, Fields, fields_of

HASHED = HashedEmbedder()
KEYS = FieldEmbedder(HASHED)
OPENINGS = ("where is my parcel", "the vase came broken", "a customs fee")
text = st.sampled_from([*OPENINGS, "so what now", "that does not help", "hm"])
key = st.one_of(text, st.tuples(text, text).map("\n".join), st.tuples(text, st.one_of(text, st.just("")), text).map("\n".join))


def cosine(a: str, b: str, embedder: HashedEmbedder | FieldEmbedder = KEYS) -> float:
    one, two = asyncio.run(embedder.embed([a, b]))
    return float(one @ two)


@pytest.mark.parametrize(
    ("written", "fields"),
    [
        ("now", Fields("now", "now", "")),
        ("agent\nnow", Fields("now", "now", "agent")),
        ("first\nagent\nnow", Fields("now", "first", "agent")),
        ("first\n\nnow", Fields("now", "first", "")),
        ("first\nagent\n", Fields(EMPTY, "first", "agent")),
    ],
)
def test_lines_are_fields(written: str, fields: Fields) -> None:
    assert fields_of(written) == fields


@given(key, key)
@settings(max_examples=60, deadline=None)
def test_similarity_is_the_weighted_sum_over_fields_that_both_have(a: str, b: str) -> None:
    one, two = fields_of(a), fields_of(b)
    total = [sum(w for w, field in zip(WEIGHTS, key, strict=True) if field) for key in (one, two)]
    parts = [w * cosine(x, y, HASHED) for w, x, y in zip(WEIGHTS, one, two, strict=True) if x and y]
    assert cosine(a, b) == pytest.approx(sum(parts) / float(np.sqrt(total[0] * total[1])), abs=1e-5)


@given(st.lists(key, max_size=4))
@settings(max_examples=30, deadline=None)
def test_rows_are_unit_vectors_and_do_not_depend_on_what_they_are_embedded_with(keys: list[str]) -> None:
    rows = asyncio.run(KEYS.embed(keys))
    assert len(rows) == len(keys)
    for row, alone in zip(rows, keys, strict=True):
        assert np.linalg.norm(row) == pytest.approx(1, abs=1e-5)
        np.testing.assert_array_equal(row, asyncio.run(KEYS.embed([alone]))[0])


def test_one_line_is_as_similar_as_its_own_vector_says() -> None:
    assert cosine("my parcel is late", "the parcel is late again") == pytest.approx(
        cosine("my parcel is late", "the parcel is late again", HASHED), abs=1e-6
    )
    assert KEYS.id == "hashed-1024-v1-fields-v1"


def test_who_insists_is_known_by_how_it_began_and_not_by_what_a_vague_agent_says() -> None:
    vague = "I am sorry to hear that and I understand how you feel, please let me know if you have further questions or concerns"
    moment = f"{OPENINGS[1]}\n{vague}\nso what now"
    right, wrong = f"{OPENINGS[1]}\nwe will see\nthat does not help", f"{OPENINGS[0]}\n{vague}\nthat does not help"
    assert cosine(moment, right) > cosine(moment, wrong)
    scores = FieldBM25([right, wrong]).scores(moment)
    assert scores[0] > 0
    own, other = FieldBM25([OPENINGS[1], OPENINGS[0]]).scores(moment)
    assert own > other == 0


def test_bm25_weighs_fields_and_knows_an_empty_library() -> None:
    assert FieldBM25([]).scores("anything").tolist() == []
    now, opening, agent = FieldBM25(["x\ny\nparcel", "parcel\ny\nx", "x\nparcel\ny"]).scores("parcel\nparcel\nparcel")
    assert now > opening > agent > 0
    assert opening / now == pytest.approx(0.4, abs=0.01)
