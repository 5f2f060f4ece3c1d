"""The fields of a key: what the customer says now, how the conversation began, what the agent said last, and how much each counts.

Embedded as one text, the agent's words drown the customer's: a weak student's answers are long, vague and much alike. So each field is
embedded and indexed by itself. The cosine of two keys that have all fields is the weighted mean of the fields' cosines; a field that only
one of them has counts as 0 there, one that neither has counts nowhere. BM25 is the weighted sum over fields. Measured on states of a real
1.5B and on airline dialogues (docs/results.md); the weights lie on a plateau and are not tuned finely.

Invariants: a text of one line is as similar to another as its own vector says; rows have length 1.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from strategist.retrieval.bm25 import BM25

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from strategist.retrieval.embed import Embedder, Vectors

WEIGHTS = (1.0, 0.4, 0.3)
"""Of customer, opening and agent."""
EMPTY = "<empty>"
"""Stands for a customer's message without words: embeddings endpoints refuse empty texts."""

LAST = 256
"""Single keys that are remembered, 12 KB each with hashed vectors."""


class Fields(NamedTuple):
    """The fields of a key text. `agent` is empty where no agent has spoken; a customer's message without words is `EMPTY`."""

    customer: str
    opening: str
    agent: str


def fields_of(key: str) -> Fields:
    """Fields of `mask.key_text`: one line is a customer's first message, two are agent and customer, three opening, agent and customer."""
    *before, last = key.split("\n")
    customer = last or EMPTY
    return Fields(customer, before[0] if len(before) > 1 else customer, before[-1] if before else "")


def is_opening(key: str) -> bool:
    """Whether the key is that of a customer's first message, before any agent has spoken."""
    return "\n" not in key


class FieldEmbedder:
    """Embeds keys with d dimensions a field as unit vectors of 3 d dimensions; around any `Embedder`."""

    def __init__(self, inner: Embedder) -> None:
        self._inner = inner
        self.id = f"{inner.id}-fields-v1"
        self._last: OrderedDict[str, Vectors] = OrderedDict()

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder.embed`. The last single keys are remembered: the gate asks one library after the other about the same moment."""
        if len(texts) != 1:
            return await self._embed(texts)
        if texts[0] not in self._last:
            self._last[texts[0]] = await self._embed(texts)
            if len(self._last) > LAST:
                self._last.popitem(last=False)
        return self._last[texts[0]]

    async def _embed(self, texts: Sequence[str]) -> Vectors:
        import numpy as np

        fields = [field for text in texts for field in fields_of(text)]
        if not fields:
            return np.zeros((0, 1), dtype=np.float32)
        there = np.array([bool(field) for field in fields])
        vectors = await self._inner.embed([field for field in fields if field])
        rows = np.zeros((len(fields), vectors.shape[1]), dtype=np.float32)
        rows[there] = vectors
        shares = there.reshape(-1, len(WEIGHTS)) * np.array(WEIGHTS)
        parts = np.sqrt(shares / shares.sum(axis=1, keepdims=True))
        joined: Vectors = (rows.reshape(*parts.shape, -1) * parts[:, :, None]).reshape(len(texts), -1).astype(np.float32)
        return joined


class FieldBM25:
    """BM25 of a key over n keys, field by field. `before` and `origin` as with `BM25`: what is taken over from an earlier one."""

    def __init__(
        self, keys: Sequence[str], before: FieldBM25 | None = None, origin: npt.NDArray[np.int64] | None = None, *, language: str = "en"
    ) -> None:
        self._size = len(keys)
        earlier: Sequence[BM25 | None] = before._fields if before is not None and before._fields else [None] * len(WEIGHTS)
        texts = zip(*map(fields_of, keys), strict=True)
        self._fields: list[BM25] = [
            BM25(field, old, origin, language=language)
            for field, old in zip(texts, earlier, strict=False)  # no keys: no fields
        ]

    def scores(self, key: str) -> npt.NDArray[np.float64]:
        """Weighted sums of shape (n,), 0 where no word is shared."""
        import numpy as np

        total = np.zeros(self._size)
        for weight, index, text in zip(WEIGHTS, self._fields, fields_of(key), strict=False):  # no keys: no fields
            total += weight * index.scores(text)
        return total.round(5)
