"""Which moments a candidate is tested on. Pure.

Owns the choice of test moments. Knows no reply and no outcome: moments are chosen before anything is played, by rank, persona and a hash
only, so that nothing that happened at a moment earlier can make a candidate look good there.

Invariants: never a persona the candidate was coached on; at most one moment per persona, because turns and replays of one persona are not
independent; the order is a hash order, so what is played up to a look is a random subset.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from strategist.records.base import stable_int
from strategist.records.library import Candidate
from strategist.records.trace import Scenario


class RankedScenario(NamedTuple):
    """A train state, with where the candidate would rank there among L + c (1 is on top, no floor applied) and its retrieval score."""

    scenario: Scenario
    rank: int
    score: float


def choose_moments(candidate: Candidate, ranked: Sequence[RankedScenario], *, k: int, most: int) -> tuple[RankedScenario, ...]:
    """The moments for a candidate's test out of the states it could be used at, in test order, at most `most`.

    A specific candidate is tested where it ranks in the top `k`; for a general one the caller passes the states at which nothing else
    matches, and ranks are not looked at. Per persona the moment with the smallest hash of (candidate, try, scenario) is taken, and moments
    are ordered by that hash. The order of `ranked` does not matter. ValueError if `k` or `most` is below 1, or a rank is.
    """
    if k < 1 or most < 1:
        raise ValueError(f"k and most must be at least 1, got k={k}, most={most}")
    by_persona: dict[str, tuple[int, str, RankedScenario]] = {}
    for moment in ranked:
        if moment.rank < 1:
            raise ValueError(f"ranks start at 1, got {moment.rank} for scenario {moment.scenario.id}")
        if not _usable(candidate, moment, k):
            continue
        scenario = moment.scenario
        place = (stable_int("moment", candidate.id, candidate.tries, scenario.id), scenario.id, moment)
        best = by_persona.get(scenario.persona)
        if best is None or place[:2] < best[:2]:
            by_persona[scenario.persona] = place
    ordered = sorted(by_persona.values(), key=lambda place: place[:2])
    return tuple(moment for _, _, moment in ordered[:most])


def _usable(candidate: Candidate, moment: RankedScenario, k: int) -> bool:
    in_reach = candidate.scope == "general" or moment.rank <= k
    return in_reach and moment.scenario.persona not in candidate.personas
