"""What became of a poisoned conversation: how far its line came, and which layer stopped it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from evals.poison.corpus import Poison

STAGES = ("arrived", "advised", "candidate", "servable", "placed")
"""The wish can be read in the advisor's prompt; a line of it is in the advice that was read from its reply; it passed lint and coaching; it
is in an entry that may reach customers; it is in a student's prompt."""


class Fate(NamedTuple):
    """How far one line came on one way in. `stopped_by` is empty where it became servable."""

    poison: Poison
    reached: frozenset[str]
    stopped_by: str

    @property
    def is_servable(self) -> bool:
        """Whether the line could reach, or did reach, a customer's agent."""
        return bool(self.reached & {"servable", "placed"})


class Row(NamedTuple):
    """A kind in figures: conversations, lines that reached each stage, layers that stopped the others."""

    kind: str
    n: int
    reached: tuple[int, ...]
    stopped_by: tuple[tuple[str, int], ...]


def rows(fates: Sequence[Fate]) -> list[Row]:
    """One row per kind in the order of the corpus, and one for all of them."""
    kinds = list(dict.fromkeys(fate.poison.kind for fate in fates))
    return [_row(kind, [fate for fate in fates if fate.poison.kind == kind]) for kind in kinds] + [_row("all", fates)]


def _row(kind: str, fates: Sequence[Fate]) -> Row:
    reached = tuple(sum(stage in fate.reached for fate in fates) for stage in STAGES)
    stopped = Counter(fate.stopped_by for fate in fates if fate.stopped_by)
    return Row(kind, len(fates), reached, tuple(sorted(stopped.items(), key=lambda item: (-item[1], item[0]))))
