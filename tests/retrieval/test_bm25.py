from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from strategist.retrieval.bm25 import BM25

text = st.lists(st.sampled_from(["late", "parcel", "vase", "<code>", "the", "refund"]), max_size=6).map(" ".join)


def test_scores_follow_lucenes_formula() -> None:
    texts = ["parcel late", "parcel broken vase", "invoice"]
    scores = BM25(texts).scores("broken")
    idf = math.log(1 + (3 - 1 + 0.5) / (1 + 0.5))
    expected = idf * 1 / (1 + 1.5 * (1 - 0.75 + 0.75 * 3 / 2))
    np.testing.assert_allclose(scores, [0, expected, 0], atol=1e-5)


def test_equal_texts_tie_and_unknown_words_score_nothing() -> None:
    index = BM25(["late <code>", "late <code>", ""])
    scores = index.scores("my <code> is late")
    assert scores[0] == scores[1] > scores[2] == 0
    assert index.scores("zebra").tolist() == [0, 0, 0]


def test_no_texts_and_texts_of_stop_words_only() -> None:
    assert BM25([]).scores("late").tolist() == []
    assert BM25(["it is", "the"]).scores("late").tolist() == [0, 0]


@given(st.lists(text, max_size=6), st.data(), text)
@settings(max_examples=60, deadline=None)
def test_taking_over_gives_the_scores_of_an_index_made_from_scratch(texts: list[str], data: st.DataObject, query: str) -> None:
    """Texts go, come and move; the earlier index still answers for its own."""
    before = BM25(texts)
    own = before.scores(query)
    kept = data.draw(st.permutations(range(len(texts))))[: data.draw(st.integers(0, len(texts)))]
    now = data.draw(st.permutations([*((texts[i], i) for i in kept), *((new, -1) for new in data.draw(st.lists(text, max_size=3)))]))
    after = BM25([new for new, _ in now], before, np.array([place for _, place in now], dtype=np.int64))
    assert after.scores(query).tolist() == BM25([new for new, _ in now]).scores(query).tolist()
    assert before.scores(query).tolist() == own.tolist()


def test_a_word_that_came_later_is_unknown_to_the_earlier_index() -> None:
    before = BM25(["late parcel"])
    after = BM25(["late parcel", "broken vase"], before, np.array([0, -1]))
    assert before.scores("vase").tolist() == [0]
    assert after.scores("vase")[1] > after.scores("vase")[0] == 0
