"""Ranking: scores in, an order of entries and the lines of one turn out. Pure.

Dense and BM25 scores of keys become one score per entry (the best of its keys), two rankings, one fused order; the floor, controls,
diversity and the caps then decide what a turn gets. Nothing here embeds, searches or knows where scores come from.

Invariants: the result depends on the set of scores, not on the order they are given in (ties are equal ranks, then cosine, then id);
caps always hold; a line appears once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from strategist.records.library import Entry, Guidance, Strategy
from strategist.settings import RetrievalSettings

if TYPE_CHECKING:
    from strategist.retrieval.embed import Vectors

FUSION_K = 60
"""Constant of reciprocal rank fusion, as in Cormack et al. (2009)."""
POOL = 3
"""Diversity chooses among the first POOL * k entries."""
BESIDE = 0.8
"""Beside the first eligible entry others of its matter are placed if their score is at least this share of its score."""
NEAR_DUPLICATE = 0.8
"""Share of common words (Jaccard) above which two lines say the same."""


class Scores(NamedTuple):
    """What is known of one entry at one moment: best cosine and best BM25 score over its keys."""

    entry: Entry
    cosine: float
    bm25: float


class Hit(NamedTuple):
    """One entry in the fused order. `rank` starts at 1; `score` is the best cosine of its keys, cut to [0, 1]; floor and gate use it."""

    entry: Entry
    rank: int
    score: float
    bm25: float
    fused: float


class Decision(NamedTuple):
    """What a turn gets, and the entries that were chosen for it (also those whose lines all fell to a cap or a duplicate)."""

    guidance: Guidance
    chosen: tuple[Hit, ...]


def fuse(scores: Sequence[Scores]) -> tuple[Hit, ...]:
    """Reciprocal rank fusion of the dense and the BM25 ranking: sum of 1 / (60 + rank), where a BM25 score of 0 has no rank.

    Source: Cormack, Clarke and Buettcher (2009), "Reciprocal rank fusion outperforms Condorcet", SIGIR.
    """
    dense = ranks([s.cosine for s in scores])
    sparse = ranks([s.bm25 for s in scores])
    fused = [1 / (FUSION_K + d) + (1 / (FUSION_K + b) if s.bm25 > 0 else 0.0) for s, d, b in zip(scores, dense, sparse, strict=True)]
    order = sorted(range(len(scores)), key=lambda i: (-fused[i], -scores[i].cosine, scores[i].entry.id))
    return tuple(
        Hit(scores[i].entry, rank, min(1.0, max(0.0, scores[i].cosine)), scores[i].bm25, fused[i]) for rank, i in enumerate(order, start=1)
    )


def ranks(values: Sequence[float]) -> list[int]:
    """Rank of each value, 1 for the highest; equal values share the best of their ranks."""
    first: dict[float, int] = {}
    for position, value in enumerate(sorted(values, reverse=True), start=1):
        first.setdefault(value, position)
    return [first[value] for value in values]


def diverse(relevance: Sequence[float], similarity: Vectors, k: int, trade: float) -> tuple[int, ...]:
    """Maximal marginal relevance: positions of at most k items, in the order chosen. The first item is always taken.

    Each next one has the highest `trade * relevance - (1 - trade) * (highest similarity to a chosen one)`; ties go to the earlier item.
    `similarity` has shape (n, n). Source: Carbonell and Goldstein (1998), "The use of MMR", SIGIR.
    """
    chosen = [0] if relevance and k > 0 else []
    while len(chosen) < min(k, len(relevance)):
        rest = [i for i in range(len(relevance)) if i not in chosen]
        gains = [trade * relevance[i] - (1 - trade) * max(float(similarity[i, j]) for j in chosen) for i in rest]
        chosen.append(rest[gains.index(max(gains))])
    return tuple(chosen)


def above_floor(hits: Sequence[Hit], floor: float | None, tried: str = "") -> tuple[Hit, ...]:
    """Hits whose own score reaches the floor (None: all), in order: the first that does, and what comes near its score and is about the
    same matter. The entry `tried`, an id, needs not reach the floor."""
    reached = [hit for hit in hits if floor is None or hit.score >= floor or hit.entry.id == tried]
    return tuple(hit for hit in reached if hit.score >= BESIDE * reached[0].score and same_matter(hit.entry, reached[0].entry))


def same_matter(one: Entry, other: Entry) -> bool:
    """Whether two entries have keys of a common issue, or one of them has none that says.

    What is found for one moment and was learned at different issues are two guesses at what the matter is, and one of them is wrong."""
    issues, others = ({key.issue for key in entry.keys if key.issue} for entry in (one, other))
    return not issues or not others or bool(issues & others)


def pool(eligible: Sequence[Hit], k: int) -> tuple[Hit, ...]:
    """The hits that diversity chooses from: the first POOL * k that carry lines; none if a control is on top."""
    if not eligible or eligible[0].entry.is_control:
        return ()
    return tuple(hit for hit in eligible if not hit.entry.is_control)[: POOL * k]


def decide(
    eligible: Sequence[Hit],
    pooled: Sequence[Hit],
    similarity: Vectors,
    general: Sequence[Entry],
    *,
    best: float | None,
    settings: RetrievalSettings,
) -> Decision:
    """What a turn gets. `eligible` comes from `above_floor`, `pooled` from `pool`, `similarity` (n, n) is between the pooled entries.

    Nothing eligible: the lines of the company-wide entries, `general` (reason `global`), else nothing (`weak`). A control on top: nothing
    (`control`; it is the entry that was used). `best` is the best score of all hits and goes into the record.
    """
    if not eligible:
        lines, used = merge(general, settings.max_lines, settings.max_tokens)
        return Decision(Guidance(lines=lines, entries=used, reason="global" if lines else "weak", score=best), ())
    if not pooled:
        return Decision(Guidance(reason="control", entries=(eligible[0].entry.ref,), score=best), ())
    positions = diverse([hit.score for hit in pooled], similarity, settings.k, settings.mmr_lambda)
    chosen = tuple(pooled[i] for i in positions)
    lines, used = merge([hit.entry for hit in chosen], settings.max_lines, settings.max_tokens)
    return Decision(Guidance(lines=lines, entries=used, reason="matched" if lines else "weak", score=best), chosen)


def merge(entries: Sequence[Entry], max_lines: int, max_tokens: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Lines of the entries and the refs of those that contribute: specific lines first, near-duplicates once, within both caps.

    A line that does not fit is skipped and a shorter one behind it may still come. An entry also counts as used through a line it shares
    with an earlier one.
    """
    pairs = [(strategy, entry) for entry in entries for strategy in entry.strategies]
    lines: list[str] = []
    used: set[str] = set()
    left = max_tokens
    for strategy, entry in sorted(pairs, key=_general_last):
        twin = any(says_the_same(strategy.text, line) for line in lines)
        cost = estimate_tokens(strategy.text)
        if not twin and (len(lines) >= max_lines or cost > left):
            continue
        used.add(entry.ref)
        if not twin:
            lines.append(strategy.text)
            left -= cost
    return tuple(lines), tuple(entry.ref for entry in entries if entry.ref in used)


def estimate_tokens(line: str) -> int:
    """Upper guess of a line's tokens: one for four characters, rounded up, and two for bullet and line break. No tokenizer is asked."""
    return math.ceil(len(line) / 4) + 2


def says_the_same(first: str, second: str) -> bool:
    """Whether two lines are equal but for case, punctuation and blanks, or share most of their words."""
    a, b = (re.findall(r"[^\W_]+", text.lower()) for text in (first, second))
    if a == b:
        return True
    union = set(a) | set(b)
    same_polarity = set(a) & _NEGATIONS == set(b) & _NEGATIONS
    return same_polarity and len(set(a) & set(b)) / len(union) >= NEAR_DUPLICATE


_NEGATIONS = frozenset({"not", "never", "no", "don", "without", "unless", "before", "after"})


def _general_last(pair: tuple[Strategy, Entry]) -> bool:
    return pair[0].scope == "general"
