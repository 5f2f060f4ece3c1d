"""Merging: candidates that say the same become one candidate with more keys before anything is tested. Pure.

Two lines say the same when their normalised texts are equal or their vectors have a cosine of at least `SAME_LINE`; two candidates say the
same when at least half of their lines do. The text that is kept is one that was coached as it stands: that of a library entry if one is in
the group (its evidence then covers the new keys once the gate has tested them), else the most frequent, else the shortest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from strategist.records.base import digest
from strategist.records.library import Candidate, Entry, Key, Scope, Strategy, text_of

if TYPE_CHECKING:
    import numpy as np

SAME_LINE = 0.9
SAME_CANDIDATE = 0.5
GENERAL_ISSUES = 4
"""A line that was coached for this many issues is proposed as a company-wide line."""

Lines = frozenset[int]


def merge(
    candidates: Sequence[Candidate],
    lines: Sequence[str],
    vectors: np.ndarray | None,
    tested_texts: Sequence[tuple[Strategy, ...]],
) -> list[Candidate]:
    """Merge candidates in order; `vectors` are those of `lines`, L2-normalised, shape (len(lines), d), None without lines.

    Controls merge with controls under the same key text only."""
    classes = {} if vectors is None else _same_lines(lines, vectors)
    groups: list[list[Candidate]] = []
    for candidate in candidates:
        home = _same_control(candidate, groups) if candidate.is_control else _home(candidate, groups, classes)
        if home is None:
            groups.append([candidate])
        else:
            home.append(candidate)
    known = {text_of(text): text for text in tested_texts}
    return [_one(group, known) for group in groups]


def general_candidates(round_: int, merged: Sequence[Candidate], known: Sequence[Entry]) -> list[Candidate]:
    """One candidate per line that was coached for at least `GENERAL_ISSUES` issues and is not company-wide already.

    It carries the keys of all candidates with that line: nobody whom the line was coached on may be among its test moments.
    """
    have = {s.text for entry in known for s in entry.strategies}
    sources: dict[str, list[tuple[Strategy, Candidate]]] = {}
    for candidate in merged:
        for strategy in candidate.strategies:
            sources.setdefault(strategy.text, []).append((strategy, candidate))
    found = []
    for text, coached in sources.items():
        keys = tuple({key.scenario: key for _, candidate in coached for key in candidate.keys}.values())
        issues = sorted({key.issue for key in keys})
        if len(issues) < GENERAL_ISSUES or text in have:
            continue
        strategy, first = coached[0]
        changes = {
            "id": candidate_id(round_, [strategy], keys, "general"),
            "scope": "general",
            "keys": keys,
            "strategies": (strategy.model_copy(update={"scope": "general"}),),
            "excluded": tuple(sorted({persona for _, candidate in coached for persona in candidate.personas})),
            "why": f"coached for {len(issues)} issues: {', '.join(issues)}",
        }
        found.append(first.model_copy(update=changes))
    return found


def candidate_id(round_: int, strategies: Sequence[Strategy], keys: Sequence[Key], scope: Scope = "specific") -> str:
    """Id of a candidate: content and round; no clock, no run id."""
    return "c" + digest({"round": round_, "scope": scope, "lines": [s.text for s in strategies], "keys": [k.text for k in keys]}, 12)


def _same_lines(lines: Sequence[str], vectors: np.ndarray) -> dict[str, int]:
    """Line -> class number; a line joins the first earlier line it equals."""
    classes: dict[str, int] = {}
    for i, line in enumerate(lines):
        near = [j for j in range(i) if float(vectors[i] @ vectors[j]) >= SAME_LINE or _plain(lines[j]) == _plain(line)]
        classes[line] = classes[lines[near[0]]] if near else i
    return classes


def _plain(line: str) -> str:
    return " ".join("".join(ch if ch.isalnum() else " " for ch in line.lower()).split())


def _home(candidate: Candidate, groups: Sequence[list[Candidate]], classes: dict[str, int]) -> list[Candidate] | None:
    mine = _classes(candidate, classes)
    for group in groups:
        theirs = _classes(group[0], classes)
        if theirs and len(mine & theirs) / len(mine | theirs) >= SAME_CANDIDATE:
            return group
    return None


def _same_control(candidate: Candidate, groups: Sequence[list[Candidate]]) -> list[Candidate] | None:
    mine = {key.text for key in candidate.keys}
    return next((group for group in groups if group[0].is_control and {key.text for key in group[0].keys} == mine), None)


def _classes(candidate: Candidate, classes: dict[str, int]) -> Lines:
    return frozenset(classes[s.text] for s in candidate.strategies)


def _one(group: Sequence[Candidate], known: dict[tuple[str, ...], tuple[Strategy, ...]]) -> Candidate:
    if len(group) == 1:
        return group[0]
    texts = [text_of(c.strategies) for c in group]
    counts = Counter(texts)
    kept = min(texts, key=lambda text: (text not in known, -counts[text], len(text), text))
    first = group[texts.index(kept)]
    keys = tuple({key.text: key for c in group for key in c.keys}.values())
    return first.model_copy(
        update={
            "id": candidate_id(first.round, known.get(kept, first.strategies), keys),
            "keys": keys,
            "strategies": known.get(kept, first.strategies),
            "excluded": tuple(sorted({persona for c in group for persona in c.personas})),  # equal keys stand once, whoever said them
        }
    )
