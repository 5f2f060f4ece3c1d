from __future__ import annotations

import math

import numpy as np

from strategist.retrieval.bm25 import BM25


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
