"""The injection floor: the retrieval score below which a turn gets no guidance. Pure.

Wrong guidance does harm (measured on small models: 25 of 72 moments passed without, 6 with an irrelevant line), so the floor is a
decision on evidence: guidance is injected where the lower bound of the mean paired uplift is above 0. Until there are enough pairs, a
calibration stands in: entries seldom score higher than this at moments of other issues. Both are functions of numbers alone; they know no
model and no library, and draw from a fixed seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from strategist.records.library import Floor

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


START = 0.36
"""The floor where there is nothing to calibrate on (one kind of issue only): H / (H + L) with the harm H of wrong and the lift L of right
guidance as measured for a 1.5B model, 24 moments, 72 samples an arm: bare 25 passed, right line 59, irrelevant line 6."""
MIN_STRANGERS = 10
"""With fewer scores of strangers there is nothing to calibrate on."""
MIN_PERSONAS = 6
"""A floor needs points of this many personas at or above it: with fewer, a bootstrap over personas means little."""
RESAMPLES = 1000


def calibrate_floor(strangers: Sequence[float], quantile: float = 0.95) -> Floor:
    """The `quantile` of `strangers`: scores in [0, 1] that keys reach at moments they were not written for. With few of them, `START`.

    For a library, one score a moment: the best among the entries of other issues, because the likeliest mistake is what matters.
    """
    import numpy as np

    if len(strangers) < MIN_STRANGERS:
        return Floor(score=START, source="start", pairs=len(strangers))
    score = float(np.clip(np.quantile(np.asarray(strangers, dtype=np.float64), quantile), 0, 1))
    return Floor(score=round(score, 6), source="calibration", pairs=len(strangers))


def fit_floor(points: Sequence[tuple[float, float, str]], level: float = 0.9, seed: int = 0) -> Floor | None:
    """The lowest observed score from which on guidance helps for sure, and at which it helps in all likelihood; None if there is none.

    `points`: (retrieval score, paired uplift, persona). For sure: the lower bound of the mean uplift of all points at or above the score is
    above 0, which is the effect of injecting from there on; the bound is the lower end of the two-sided `level` interval of a bootstrap
    that draws personas, not points. In all likelihood: the mean uplift at the score is above 0, fitted as a non-decreasing function
    (isotonic regression, pool adjacent violators), so that the good ones do not carry the bad ones along. Source: Barlow et al. (1972),
    "Statistical inference under order restrictions"; Field and Welsh (2007) on cluster bootstraps. The bound is pointwise, not
    simultaneous over scores. Scores are cut to four places, so that equal texts reach a floor of 1.
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
    weights = draws[:, owner].astype(np.float64)
    total, summed = (np.cumsum(part[:, ::-1], axis=1)[:, ::-1] for part in (weights, weights * uplift))  # of a point and all behind it
    fitted = _isotonic(grid, position, uplift)
    for value, here, first in zip(grid, fitted, np.searchsorted(score, grid), strict=True):
        if here <= 0 or len(set(owner[first:])) < MIN_PERSONAS:
            continue
        there = total[:, first] > 0
        lower = float(np.quantile(summed[there, first] / total[there, first], (1 - level) / 2))
        if lower > 0:
            return Floor(score=math.floor(value * 1e4) / 1e4, source="uplift", pairs=len(ordered), lower_bound=round(lower, 6))
    return None


def _isotonic(grid: npt.NDArray[np.float64], position: npt.NDArray[np.intp], uplift: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Non-decreasing fit at every grid score."""
    import numpy as np
    from scipy.optimize import isotonic_regression

    count = np.bincount(position)
    fitted: npt.NDArray[np.float64] = isotonic_regression(np.bincount(position, weights=uplift) / count, weights=count).x
    return fitted
