"""The injection floor: the retrieval score below which a turn gets no guidance. Pure.

Wrong guidance does harm (measured on small models: 25 of 72 moments passed without, 6 with an irrelevant line), so the floor is a
decision on evidence: guidance is injected where the lower bound of the mean paired uplift is above 0. Until there are enough pairs, a
calibration stands in: keys of different issues are seldom more alike than this. Both are functions of vectors or points alone; they know
no model and no library, and draw from a fixed seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from strategist.records.library import Floor

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from strategist.retrieval.embed import Vectors

MIN_PERSONAS = 6
"""A floor needs points of this many personas at or above it: with fewer, a bootstrap over personas means little."""
RESAMPLES = 1000
MAX_CALIBRATION = 1000
"""Keys looked at by `calibrate_floor`, spread evenly over those given: enough for a percentile, and a second of work at most."""


def calibrate_floor(vectors: Vectors, issues: Sequence[str], quantile: float = 0.95) -> Floor:
    """The `quantile` of what a moment's best match reaches among moments of other issues: above it, a match is rarely a stranger.

    The best match counts, not any pair: a library holds many entries, so what matters is the likeliest mistake at a moment. `vectors`: unit
    rows, shape (n, d), one per key; `issues`: the issue of each. Without two issues the floor is 0.
    """
    import numpy as np

    step = max(1, -(-len(issues) // MAX_CALIBRATION))
    chosen, kinds = vectors[::step].astype(np.float64), np.array(list(issues[::step]))
    others = np.where(kinds[:, None] != kinds[None, :], chosen @ chosen.T, -np.inf) if len(kinds) else np.zeros((0, 1))
    best = [value for value in others.max(axis=1).tolist() if value > -np.inf]
    if not best:
        return Floor(score=0.0, source="calibration")
    score = float(np.clip(np.quantile(best, quantile), 0, 1))
    return Floor(score=round(score, 6), source="calibration", pairs=len(best))


def fit_floor(points: Sequence[tuple[float, float, str]], level: float = 0.9, seed: int = 0) -> Floor | None:
    """The lowest observed score at which the lower bound of the mean uplift is above 0; None if there is none.

    `points`: (retrieval score, paired uplift, persona). The mean uplift is fitted as a non-decreasing function of the score (isotonic
    regression, pool adjacent violators); its bound is the lower end of the two-sided `level` interval of a bootstrap that draws
    personas, not points. Source: Barlow et al. (1972), "Statistical inference under order restrictions"; Field and Welsh (2007) on
    cluster bootstraps. The bound is pointwise, not simultaneous over scores.
    """
    import numpy as np

    ordered = sorted(points)
    personas = sorted({persona for _, _, persona in ordered})
    if len(personas) < MIN_PERSONAS:
        return None
    score = np.array([point[0] for point in ordered])
    uplift = np.array([point[1] for point in ordered])
    owner = np.array([personas.index(point[2]) for point in ordered])
    grid, position = np.unique(score, return_inverse=True)
    draws = np.random.default_rng(seed).multinomial(len(personas), [1 / len(personas)] * len(personas), size=RESAMPLES)
    curves = np.stack([_isotonic(grid, position, uplift, draw[owner].astype(np.float64)) for draw in draws])
    bound = np.quantile(curves, (1 - level) / 2, axis=0)
    for value, lower in zip(grid, bound, strict=True):
        if lower > 0 and len(set(owner[score >= value])) >= MIN_PERSONAS:
            return Floor(score=float(value), source="uplift", pairs=len(ordered), lower_bound=round(float(lower), 6))
    return None


def _isotonic(
    grid: npt.NDArray[np.float64], position: npt.NDArray[np.intp], uplift: npt.NDArray[np.float64], weight: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Weighted non-decreasing fit at every grid score; scores without weight get what lies between their neighbours."""
    import numpy as np
    from scipy.optimize import isotonic_regression

    total = np.bincount(position, weights=weight, minlength=len(grid))
    there = total > 0
    mean = np.bincount(position, weights=weight * uplift, minlength=len(grid))[there] / total[there]
    fitted = isotonic_regression(mean, weights=total[there]).x
    return np.interp(grid, grid[there], fitted)
