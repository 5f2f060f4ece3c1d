"""The injection floor: the retrieval score below which a turn gets no guidance. Pure.

Wrong guidance does harm (measured on small models: 25 of 72 moments passed without, 6 with an irrelevant line), so the floor is a
decision on evidence: guidance is injected from the score on at which what is found is more often right than wrong. A function of numbers
alone; it knows no model and no library.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from strategist.records.library import Floor

START = 0.36
"""The floor where there is nothing to calibrate on (one kind of issue only): H / (H + L) with the harm H of wrong and the lift L of right
guidance as measured for a 1.5B model, 24 moments, 72 samples an arm: bare 25 passed, right line 59, irrelevant line 6."""
PRECISION = 0.5
"""How likely to be right an entry must be to be placed. By H / (H + L) 0.36 would do; but what a wrong line does besides is not in H."""
MIN_STRANGERS = 10
"""With fewer moments, or scores of strangers, there is nothing to calibrate on; a floor with fewer moments above it is not trusted."""
EQUAL = 0.9999
"""What equal texts reach, however their cosine is rounded."""


def precise_floor(found: Sequence[tuple[float, bool]], precision: float = PRECISION) -> Floor:
    """The lowest score at which what is found first is right with at least this probability; `EQUAL` if there is none.

    `found`: for each moment the score in [0, 1] of the entry that is found first, and whether it was written for such moments. The
    probability is fitted as a non-decreasing function of the score (isotonic regression; Barlow et al. 1972, "Statistical inference under
    order restrictions"); moments of one customer count as independent. Where few moments reach that score, it is at least what one wrong
    one in twenty reaches. With no wrong one, or hardly any moments, `START`. Cut to four places.
    """
    import numpy as np
    from scipy.optimize import isotonic_regression

    wrong = [score for score, right in found if not right]
    if not wrong or len(found) < MIN_STRANGERS:
        return Floor(score=START, source="start", pairs=len(found))
    grid, position = np.unique(np.clip([score for score, _ in found], 0, 1), return_inverse=True)
    count = np.bincount(position)
    share = np.bincount(position, weights=[float(right) for _, right in found]) / count
    reached = np.flatnonzero(isotonic_regression(share, weights=count).x >= precision)
    lowest = float(grid[reached[0]]) if reached.size else EQUAL
    if reached.size and count[reached[0] :].sum() < MIN_STRANGERS:
        lowest = max(lowest, calibrate_floor(wrong).score)
    return Floor(score=math.floor(min(lowest, EQUAL) * 1e4) / 1e4, source="calibration", pairs=len(found))


def calibrate_floor(strangers: Sequence[float], quantile: float = 0.95) -> Floor:
    """The `quantile` of `strangers`: scores in [0, 1] that keys reach at moments they were not written for. With few of them, `START`."""
    import numpy as np

    if len(strangers) < MIN_STRANGERS:
        return Floor(score=START, source="start", pairs=len(strangers))
    score = float(np.clip(np.quantile(np.asarray(strangers, dtype=np.float64), quantile), 0, 1))
    return Floor(score=round(score, 6), source="calibration", pairs=len(strangers))
