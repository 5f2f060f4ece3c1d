"""BM25 over key texts: a thin, silent use of bm25s (Lucene's variant, k1 1.5, b 0.75, English stop words).

Source: Robertson and Zaragoza (2009), "The probabilistic relevance framework"; Lù (2024), "BM25S", arXiv:2407.03618. The vocabulary is
numbered in sorted order here, so that nothing depends on the hash seed of the process.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING

from strategist.retrieval.mask import words

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class BM25:
    """BM25 scores of a query over n texts."""

    def __init__(self, texts: Sequence[str]) -> None:
        import logging

        bm25s = _load()
        logging.getLogger("bm25s").setLevel(logging.WARNING)
        self._ignored = frozenset(bm25s.stopwords.STOPWORDS_EN)
        documents = [self._tokens(text) for text in texts]
        self._vocabulary = {word: number for number, word in enumerate(sorted({word for document in documents for word in document}))}
        self._size = len(texts)
        self._model = None
        if self._vocabulary:
            ids = [[self._vocabulary[word] for word in document] for document in documents]
            self._model = bm25s.BM25(k1=1.5, b=0.75, method="lucene", backend="numpy")
            self._model.index((ids, dict(self._vocabulary)), show_progress=False)

    def scores(self, query: str) -> npt.NDArray[np.float64]:
        """Scores of shape (n,), 0 where no word is shared. Rounded to 5 decimals, so that equal texts tie."""
        import numpy as np

        known = [self._vocabulary[word] for word in self._tokens(query) if word in self._vocabulary]
        if self._model is None or not known:
            return np.zeros(self._size)
        raw: npt.NDArray[np.float64] = np.asarray(self._model.get_scores_from_ids(known), dtype=np.float64)
        return raw.round(5)

    def _tokens(self, text: str) -> list[str]:
        return [word for word in words(text) if word not in self._ignored]


_IMPORTING = threading.Lock()


def _load() -> ModuleType:
    """bm25s, which never sees JAX.

    It tries JAX on its import, whatever backend it is asked for: where there is a GPU, JAX then takes three quarters of the memory that
    the model server beside us needs. Seen with bm25s 0.3.16 and JAX 0.11."""
    with _IMPORTING:
        if "bm25s" not in sys.modules:
            kept = sys.modules.pop("jax.lax", None)
            sys.modules["jax.lax"] = None  # type: ignore[assignment]  # the import system's word for "not there"
            try:
                import bm25s
            finally:
                del sys.modules["jax.lax"]
                if kept is not None:
                    sys.modules["jax.lax"] = kept
        import bm25s.stopwords

    module: ModuleType = bm25s
    return module
