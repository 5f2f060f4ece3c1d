"""BM25 over key texts: Lucene's variant, k1 1.5, b 0.75, stop words of the language.

Words count as they are written: no stemming, no parts of compounds, no folding of umlauts. The vectors are there for what words miss.

Source: Robertson and Zaragoza (2009), "The probabilistic relevance framework"; Lù (2024), "BM25S", arXiv:2407.03618, whose way it is to
weigh every word of every text beforehand. Libraries that do this index once: one entry more cost them a new index over all texts. Here the
counts of texts that stay are taken over, and only what changes with the whole (how rare a word is, how long texts are) is computed again.

Invariant: scores are those of an index made from scratch; nothing depends on the hash seed of the process or on the order of additions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from strategist.languages import language_of
from strategist.retrieval.mask import words

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

K1 = 1.5
B = 0.75


class _Counts(NamedTuple):
    """How often which word stands in which text: three columns, ordered by word."""

    text: npt.NDArray[np.int64]
    word: npt.NDArray[np.int64]
    times: npt.NDArray[np.int64]


class BM25:
    """BM25 scores of a query over n texts."""

    def __init__(
        self, texts: Sequence[str], before: BM25 | None = None, origin: npt.NDArray[np.int64] | None = None, *, language: str = "en"
    ) -> None:
        """`origin` tells for each text where it stood in `before` (of the same language), -1 where it is new."""
        import numpy as np

        if before is None or origin is None:
            before, origin = None, np.full(len(texts), -1)
        self._size = len(texts)
        self._stop_words = language_of(language).stop_words
        self._vocabulary: dict[str, int] = {} if before is None else before._vocabulary  # grows; numbers stay
        fresh = self._count(texts, np.flatnonzero(origin < 0).tolist())
        self._counts: _Counts = fresh if before is None else _joined(_moved(before._counts, origin, before._size), fresh)
        self._starts, self._weights = self._weigh()

    def scores(self, query: str) -> npt.NDArray[np.float64]:
        """Scores of shape (n,), 0 where no word is shared. Rounded to 5 decimals, so that equal texts tie."""
        import numpy as np

        total = np.zeros(self._size)
        for word, times in Counter(self._tokens(query)).items():
            number = self._vocabulary.get(word, len(self._starts))
            if number < len(self._starts) - 1:  # else no text had it when this was made
                held = slice(self._starts[number], self._starts[number + 1])
                total[self._counts.text[held]] += times * self._weights[held]
        return total.round(5)

    def _count(self, texts: Sequence[str], places: Sequence[int]) -> _Counts:
        import numpy as np

        rows = [
            (place, self._vocabulary.setdefault(word, len(self._vocabulary)), times)
            for place in places
            for word, times in Counter(self._tokens(texts[place])).items()
        ]
        columns = np.array(rows, dtype=np.int64).reshape(-1, 3)
        return _Counts(*columns[np.argsort(columns[:, 1], kind="stable")].T)

    def _tokens(self, text: str) -> list[str]:
        return [word for word in words(text) if word not in self._stop_words]

    def _weigh(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Where each word's texts begin, and the weight of each word in each text."""
        import numpy as np

        text, word, times = self._counts
        found_in = np.bincount(word, minlength=len(self._vocabulary))
        length = np.bincount(text, weights=times, minlength=self._size)
        rare = np.log(1 + (self._size - found_in + 0.5) / (found_in + 0.5))
        damped = K1 * (1 - B + B * length / max(length.mean(), 1e-9)) if self._size else length
        return np.concatenate([[0], np.cumsum(found_in)]), rare[word] * times / (times + damped[text])


def _moved(counts: _Counts, origin: npt.NDArray[np.int64], size: int) -> _Counts:
    """The counts of the texts that stay, under their new places."""
    import numpy as np

    place = np.full(size, -1)
    stays = np.flatnonzero(origin >= 0)
    place[origin[stays]] = stays
    text = place[counts.text]
    kept = text >= 0
    return _Counts(text[kept], counts.word[kept], counts.times[kept])


def _joined(first: _Counts, second: _Counts) -> _Counts:
    import numpy as np

    text, word, times = (np.concatenate(pair) for pair in zip(first, second, strict=True))
    order = np.argsort(word, kind="stable")
    return _Counts(text[order], word[order], times[order])
