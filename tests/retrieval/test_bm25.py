from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

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


def test_jax_is_not_started_for_it(tmp_path: Path) -> None:
    (tmp_path / "jax").mkdir()
    (tmp_path / "jax" / "__init__.py").write_text("print('jax was imported')")
    (tmp_path / "jax" / "lax.py").write_text("top_k = lambda scores, k: print('jax was started')")
    (tmp_path / "mine.py").write_text(
        "from strategist.retrieval.bm25 import BM25\nBM25(['late parcel']).scores('late')\nimport jax.lax\njax.lax.top_k([], 1)\n"
    )
    command = [sys.executable, str(tmp_path / "mine.py")]  # its folder comes first on the path
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout.split("\n") == ["jax was imported", "jax was started", ""], "only when the user's own code asked for it"
