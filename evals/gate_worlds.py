"""Test pairs of candidates whose worth is known, drawn for whole rounds at once. No model is involved.

A round has 16 candidates. At a moment both replies have a quality, normal around the student's level there; the guided one is better by
the candidate's effect where the moment is one that needs it (`relevance`: how often that is so). Some customers respond to guidance more
than others (`spread`, a standard deviation in units of a reply's). The pair is a win where the guided reply is better by more than a
threshold, a loss where it is worse by as much, else a tie. Effect and threshold are set so that a useful candidate has the stated rates
where it matters. A useless one has no effect and the same threshold, a harmful one the opposite effect. With `shared` all candidates of
a round meet the same customers, and one baseline reply at each serves them all.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from strategist.records.base import stable_int

CANDIDATES = 16
MOMENTS = 34
Kind = Literal["useful", "useless", "harmful"]
Results = npt.NDArray[np.int8]
"""1 win, 0 tie, -1 loss; shape (rounds, candidates, moments)."""
Values = npt.NDArray[np.float64]


class World(NamedTuple):
    """What the candidates of a round are, and how their pairs come out."""

    win: float = 0.75
    loss: float = 0.10
    useless: float = 0.5
    harmful: float = 0.0
    relevance: float = 1.0
    spread: float = 0.0
    shared: bool = False

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Of each candidate."""
        useless, harmful = round(CANDIDATES * self.useless), round(CANDIDATES * self.harmful)
        counts: tuple[tuple[Kind, int], ...] = (("useful", CANDIDATES - useless - harmful), ("useless", useless), ("harmful", harmful))
        return tuple(kind for kind, count in counts for _ in range(count))


class Drawn(NamedTuple):
    """Results of all pairs that could be played, and their graded values in [-1, 1] (0 for a tie)."""

    results: Results
    values: Values


def draw(world: World, rounds: int, seed: int = 0) -> Drawn:
    """The pairs of `rounds` rounds. They depend on world and seed only, so that designs are compared on the same pairs."""
    generator = np.random.default_rng(stable_int(seed, *map(str, world)))
    z = NormalDist().inv_cdf
    scale = float(np.sqrt(2 + world.spread**2))
    threshold, effect = -scale * (z(world.win) + z(world.loss)) / 2, scale * (z(world.win) - z(world.loss)) / 2
    shape, common = (rounds, CANDIDATES, MOMENTS), (rounds, 1 if world.shared else CANDIDATES, MOMENTS)
    effects = np.array([{"useful": effect, "useless": 0.0, "harmful": -effect}[kind] for kind in world.kinds])[:, None]
    gain = effects * (generator.random(shape) < world.relevance)
    gain = gain + generator.standard_normal(shape) - generator.standard_normal(common)
    if world.spread:
        gain += world.spread * generator.standard_normal(common)
    results = np.where(gain > threshold, 1, np.where(gain < -threshold, -1, 0)).astype(np.int8)
    return Drawn(results, np.where(results == 0, 0.0, np.tanh(gain)))
