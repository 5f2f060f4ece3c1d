"""Matters for recorded moments that have none: moments at which much the same is said are about the same matter. Pure.

The loop wants to know what a moment is about, to tell where an entry is right. A recorded conversation goes through several matters (who
are you, what shall be changed, how is it paid), so it is moments that are sorted, not conversations. Matters are found on the train split
only, and the other splits' moments get that of the nearest centre: nothing of a test conversation decides how train ones are sorted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from strategist.languages import language_of
from strategist.retrieval.mask import words

if TYPE_CHECKING:
    from strategist.retrieval.embed import Vectors

MOST = 12
GROUPS_A_TOPIC = 2
"""Independent customers for each matter at least; most matters are met by many more."""
SAMPLE = 2_000
"""Moments that matters are found on at most: all pairs of them are compared."""


def topics(keys: Sequence[str], vectors: Vectors, groups: Sequence[str], train: Sequence[bool], language: str) -> list[str]:
    """A matter for each moment: `keys` are masked key texts, `vectors` (n, d) their unit rows, `groups` whom they are of.

    Average linkage over cosine distance (scipy), cut into as many clusters as there are pairs of groups in train, 12 at most."""
    own = [place for place, is_train in enumerate(train) if is_train][:SAMPLE]
    if not own:
        return ["recorded"] * len(keys)
    count = min(MOST, max(1, len({groups[place] for place in own}) // GROUPS_A_TOPIC))
    labels = _clusters(vectors[own], count)
    members = {label: [place for place, at in zip(own, labels, strict=True) if at == label] for label in sorted(set(labels))}
    names = _names({label: [keys[place].rpartition("\n")[2] for place in places] for label, places in members.items()}, language)
    order = list(members)
    centres = [vectors[places].mean(axis=0) for places in members.values()]
    return [names[order[max(range(len(order)), key=lambda i: float(row @ centres[i]))]] for row in vectors]


def _clusters(vectors: Vectors, count: int) -> list[int]:
    import numpy as np
    from scipy.cluster.hierarchy import fcluster, linkage

    if len(vectors) < 2:
        return [1] * len(vectors)
    distances = (1.0 - vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]
    labels: list[int] = fcluster(linkage(distances.clip(min=0.0).round(6), "average"), count, "maxclust").tolist()
    return labels


def _names(texts: Mapping[int, Sequence[str]], language: str) -> dict[int, str]:
    """Each matter by the two words that stand in most of what customers say there, compared with elsewhere."""
    common = language_of(language).common_words
    said = {label: Counter(word for text in own for word in set(words(text)) - common if word.isalpha()) for label, own in texts.items()}
    whole = sum(said.values(), Counter[str]())
    total = sum(map(len, texts.values()))
    found: dict[int, str] = {}
    for label, own in said.items():
        size = len(texts[label])
        shares = {word: (times / size, (whole[word] - times) / max(1, total - size)) for word, times in own.items()}
        weight = {word: inside * math.log((inside + 0.05) / (outside + 0.05)) for word, (inside, outside) in shares.items()}
        name = "-".join(sorted(sorted(weight, key=lambda word: (-weight[word], word))[:2])) or "matter"
        found[label] = name if name not in found.values() else f"{name}-{label}"
    return found
