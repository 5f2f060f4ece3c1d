"""BM25 over key texts: a thin, silent use of bm25s (Lucene's variant, k1 1.5, b 0.75, English stop words).

Source: Robertson and Zaragoza (2009), "The probabilistic relevance framework"; Lù (2024), "BM25S", arXiv:2407.03618. The vocabulary is
numbered in sorted order here, so that nothing depends on the hash seed of the process.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from strategist.retrieval.mask import words

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class BM25:
    """BM25 scores of a query over n texts."""

    def __init__(self, texts: Sequence[str]) -> None:
        import logging

        with _hidden("jax.lax", "numba"):
            import bm25s
            from bm25s.stopwords import STOPWORDS_EN

        logging.getLogger("bm25s").setLevel(logging.WARNING)
        self._ignored = frozenset(STOPWORDS_EN)
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


@contextmanager
def _hidden(*modules: str) -> Iterator[None]:
    """Make these modules look as if they were not installed.

    bm25s tries JAX on its import, whatever backend it is asked for: where there is a GPU, JAX then takes three quarters of the memory that
    the model server beside us needs. Seen with bm25s 0.3.16 and JAX 0.11."""
    kept = {name: sys.modules.pop(name) for name in modules if name in sys.modules}
    sys.modules.update(dict.fromkeys(modules))  # type: ignore[arg-type]  # None: the import system's word for "not there"
    try:
        yield
    finally:
        for name in modules:
            del sys.modules[name]
        sys.modules.update(kept)
