"""Statistics: exact tests, intervals, false discovery rate. Small pure functions, each with its formula and source.

Knows numbers only: no records, no models, no clock. A unit is whatever is independent of the others (here mostly a persona); callers
reduce dependent values to one per unit, or name the clusters. Every test is one-sided towards "better" and every p-value is valid:
P(p <= t) <= t under its null hypothesis. Anything random takes a seed. Bad input raises ValueError.

numpy and scipy are imported where they are used, so that importing this module costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import cache
from typing import NamedTuple

EXACT_FLIPS = 16
"""Up to this many differences the sign-flip test enumerates all 2**n assignments."""


class Estimate(NamedTuple):
    """A mean or share with its interval; `n` counts independent units (personas, clusters), not single values."""

    mean: float
    low: float
    high: float
    n: int


def mean_interval(values: Sequence[float], level: float = 0.95) -> Estimate:
    """Mean of independent units with Student's t interval: m -/+ t(n - 1, (1 + level) / 2) * s / sqrt(n), s with n - 1 below.

    `values` holds one number per unit. ValueError for fewer than two, because one value says nothing about spread. Equal values give an
    interval of width 0: the method sees no spread, which does not mean that there is none.
    Source: Student (1908), The probable error of a mean, Biometrika 6.
    """
    from scipy.stats import t

    _check_level(level)
    _check_finite(values)
    n = len(values)
    if n < 2:
        raise ValueError(f"an interval of a mean needs at least 2 units, got {n}")
    mean = math.fsum(values) / n
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    half = float(t.ppf((1 + level) / 2, n - 1)) * spread / math.sqrt(n)
    return Estimate(mean, mean - half, mean + half, n)


def paired_difference(a: Mapping[str, float] | Sequence[float], b: Mapping[str, float] | Sequence[float], level: float = 0.95) -> Estimate:
    """Mean of a - b over the units that both arms have, with Student's t interval of the differences.

    Mappings (unit -> value) are matched by unit, units of one arm only are left out; sequences are matched by position and must have the
    same length. ValueError for a mapping against a sequence, or fewer than two common units.
    Source: Student (1908), paired comparison.
    """
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return mean_interval([a[unit] - b[unit] for unit in sorted(a.keys() & b.keys())], level)
    if isinstance(a, Mapping) or isinstance(b, Mapping):
        raise ValueError("cannot pair a mapping with a sequence: give both arms in the same form")
    if len(a) != len(b):
        raise ValueError(f"paired sequences must have the same length, got {len(a)} and {len(b)}")
    return mean_interval([x - y for x, y in zip(a, b, strict=True)], level)


def cluster_bootstrap(
    values: Sequence[float], clusters: Sequence[str], level: float = 0.95, *, seed: int = 0, draws: int = 4000
) -> Estimate:
    """Mean of all values with a percentile bootstrap interval that draws whole clusters with replacement.

    `clusters[i]` is the cluster of `values[i]`; `n` of the result counts clusters. Each draw takes as many clusters as there are and
    divides the sum of their values by their number of values. The order of the input does not matter. With fewer than about 15 clusters
    the interval is too narrow: prefer `mean_interval` over cluster means. ValueError for fewer than two clusters or unequal lengths.
    Source: Davison and Hinkley (1997), Bootstrap Methods and their Application, sections 3.8 and 5.3.
    """
    import numpy as np

    _check_level(level)
    _check_finite(values)
    if len(values) != len(clusters):
        raise ValueError(f"every value needs its cluster: got {len(values)} values and {len(clusters)} clusters")
    if draws < 1:
        raise ValueError(f"draws must be at least 1, got {draws}")
    groups: dict[str, list[float]] = {name: [] for name in sorted(set(clusters))}
    if len(groups) < 2:
        raise ValueError(f"a cluster bootstrap needs at least 2 clusters, got {len(groups)}")
    for value, name in zip(values, clusters, strict=True):
        groups[name].append(value)
    sums = np.array([math.fsum(group) for group in groups.values()])
    sizes = np.array([len(group) for group in groups.values()])
    drawn = np.random.default_rng(seed).integers(0, len(groups), size=(draws, len(groups)))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(math.fsum(values) / len(values), float(low), float(high), len(groups))


def ratio_of_means(
    above: Mapping[str, float], below: Mapping[str, float], level: float = 0.95, *, seed: int = 0, draws: int = 4000
) -> Estimate:
    """Mean of `above` over mean of `below`, with a percentile bootstrap interval that draws whole units with replacement.

    Both map units to values and are matched by unit, so that what one unit adds to both is drawn together. It has a meaning only where the
    mean of `below` is surely above 0: a draw in which it is not counts as endless in the direction of its `above`, and an end of the
    interval can be infinite. ValueError for fewer than two common units, or a mean of `below` that is not above 0.
    Source: Davison and Hinkley (1997), Bootstrap Methods and their Application, sections 2.3 (ratio) and 5.3; Fieller (1954), JRSS B 16, on
    where there is no such interval.
    """
    import numpy as np

    _check_level(level)
    units = sorted(above.keys() & below.keys())
    tops, bottoms = [above[unit] for unit in units], [below[unit] for unit in units]
    _check_finite([*tops, *bottoms])
    if len(units) < 2:
        raise ValueError(f"a ratio of means needs at least 2 units, got {len(units)}")
    if math.fsum(bottoms) <= 0:
        raise ValueError("a ratio of means needs a mean below the line that is above 0")
    drawn = np.random.default_rng(seed).integers(0, len(units), size=(draws, len(units)))
    top, bottom = np.array(tops)[drawn].sum(axis=1), np.array(bottoms)[drawn].sum(axis=1)
    ratios = np.divide(top, bottom, out=np.copysign(np.inf, top), where=bottom > 0)
    low, high = np.quantile(ratios, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    return Estimate(math.fsum(tops) / math.fsum(bottoms), float(low), float(high), len(units))


def wilson(successes: int, n: int, level: float = 0.95) -> Estimate:
    """Share successes / n with Wilson's score interval, which stays inside [0, 1] and has a width even at 0 and n.

    (p + z^2 / 2n -/+ z * sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n), z the normal quantile of (1 + level) / 2.
    Source: Wilson (1927), Probable inference, the law of succession, and statistical inference, JASA 22.
    """
    from statistics import NormalDist

    _check_level(level)
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"a share needs 0 <= successes <= n and n >= 1, got {successes} of {n}")
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = successes / n
    middle = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low = 0.0 if successes == 0 else (middle - half) / scale
    high = 1.0 if successes == n else (middle + half) / scale
    return Estimate(share, low, high, n)


def sign_test(wins: int, losses: int) -> float:
    """Exact one-sided p of the sign test: P(Bin(wins + losses, 1/2) >= wins). 1 where there are only ties.

    H0: among units that are not ties, a win is at most as likely as a loss. Ties are left out (conditioning on their number), which keeps
    the test exact. Source: Conover (1999), Practical Nonparametric Statistics, section 3.4.
    """
    _check_counts(wins=wins, losses=losses)
    n = wins + losses
    tail = sum(math.comb(n, k) for k in range(wins, n + 1))
    return float(tail / 2**n)


FINENESS = 1000
"""Shares under a null hypothesis are taken as fractions with at most this denominator, so that everything after is exact."""
Null = tuple[tuple[float, float], ...]
"""What a share is where nothing is gained, as far as it is known: values in [0, 1] with weights that add up to 1."""
FAIR: Null = ((0.5, 1.0),)


def sequential_sign_test(wins: Sequence[bool], *, first: int, most: int, null: Null = FAIR) -> float:
    """Exact one-sided p of a sign test that is read after its `first` decided unit and after every one that follows, at most `most` in all.

    `wins`: units that are not ties, in the order they came. Who bets on wins at fair odds, with a stake spread evenly over all shares of
    wins from 1/2 to 1, has after w wins and l losses, with n = w + l,
    E(w, l) = 2^(n + 1) * integral from 1/2 to 1 of s^w (1 - s)^l ds = sum over i <= w of C(n + 1, i) / ((n + 1) C(n, w)).
    p = P(E reaches at some reading the highest value it has reached so far), counted over all paths of a fair coin; 1 before the first
    reading. With first = most it is the plain sign test. H0: whatever came before, a win is at most as likely as a loss. p only falls
    as units come in, and P(p <= a) <= a holds whenever one stops. ValueError if there are more units than `most`, or `first` lies outside
    0..most.

    `null`: the share of wins under H0 where whoever decides the units leans to one side, with weights where that is only estimated. p is
    then the weighted mean of the p at each share: the predictive p, which is valid on average over what the estimate rests on (Box 1980,
    JRSS A 143; Meng 1994, Annals of Statistics 22). Source of the bet: Ramdas, Grunwald, Vovk and Shafer (2023), Statistical Science 38; to
    count the paths instead of taking Ville's bound 1 / E is what a known `most` allows.
    """
    if not 0 <= first <= most or len(wins) > most:
        raise ValueError(f"the test is read from {first} units on and made for at most {most}, got {len(wins)}")
    best, won = Fraction(0), 0
    for count, win in enumerate(wins, start=1):
        won += win
        if count >= first:
            best = max(best, _wealth(won, count - won))
    return min(1.0, math.fsum(weight * _share_of_paths(best, first, most, share) for share, weight in null))


@cache
def _wealth(wins: int, losses: int) -> Fraction:
    """What the bet of `sequential_sign_test` has made of 1."""
    n = wins + losses
    return Fraction(sum(math.comb(n + 1, i) for i in range(wins + 1)), (n + 1) * math.comb(n, wins))


@cache
def _share_of_paths(wealth: Fraction, first: int, most: int, win: float) -> float:
    """The probability that the bet has `wealth` or more at some time from step `first` to `most`, each step being a win with `win`."""
    chance = Fraction(win).limit_denominator(FINENESS)
    win_weight, whole = chance.numerator, chance.denominator
    reached, open_ = 0, [1]  # in units of whole^-step: paths that have reached it, and the others by their wins
    for step in range(most + 1):
        if step > 0:
            steps = zip([*open_, 0], [0, *open_], strict=True)
            reached, open_ = whole * reached, [lost * (whole - win_weight) + won * win_weight for lost, won in steps]
        if step >= first:
            there = [_wealth(won, step - won) >= wealth for won in range(step + 1)]
            reached += sum(ways for ways, at in zip(open_, there, strict=True) if at)
            open_ = [0 if at else ways for ways, at in zip(open_, there, strict=True)]
    return float(Fraction(reached, whole**most))


def pass_hat(successes: int, n: int, k: int) -> float:
    """Share of the ways to draw k of n trials in which all succeed: C(successes, k) / C(n, k), the unbiased estimate of p^k.

    ValueError unless 0 <= successes <= n and 1 <= k <= n. Source: Yao et al. (2024), tau-bench, arXiv:2406.12045, section 3.
    """
    if not 0 <= successes <= n or not 1 <= k <= n:
        raise ValueError(f"pass^k needs 0 <= successes <= n and 1 <= k <= n, got {successes} of {n}, k={k}")
    return math.comb(successes, k) / math.comb(n, k)


def mcnemar_one_sided(b: int, c: int) -> float:
    """Exact one-sided McNemar p: P(Bin(b + c, 1/2) >= b), b and c being the pairs that are discordant in either direction.

    Small when `b` is too large for chance: with b = failed only with guidance, c = failed only without, a small p speaks of harm.
    Source: McNemar (1947), Psychometrika 12; exact form: Agresti (2013), Categorical Data Analysis, section 11.1.
    """
    _check_counts(b=b, c=c)
    return sign_test(b, c)


def sign_flip_test(differences: Sequence[float], *, seed: int = 0, draws: int = 20_000) -> float:
    """One-sided p that the differences (one per independent unit) are centred above 0, by flipping their signs.

    H0: every difference is as likely with the other sign. p is the share of the 2**n sign assignments whose sum is at least the observed
    one; exact for n <= EXACT_FLIPS, above that (1 + hits) / (1 + draws) over `draws` random assignments, which is valid too. 1 for none.
    Source: Fisher (1935), The Design of Experiments, section 21; Monte Carlo form: Phipson and Smyth (2010), SAGMB 9.
    """
    import numpy as np

    _check_finite(differences)
    n = len(differences)
    if n == 0:
        return 1.0
    if draws < 1:
        raise ValueError(f"draws must be at least 1, got {draws}")
    sizes = np.abs(np.asarray(differences, dtype=np.float64))
    observed = math.fsum(differences) - 1e-9 * float(sizes.sum())
    if n <= EXACT_FLIPS:
        bits = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
        return float(np.mean((2 * bits - 1) @ sizes >= observed))
    generator = np.random.default_rng(seed)
    hits = 0
    for start in range(0, draws, 1000):
        bits = generator.integers(0, 2, size=(min(1000, draws - start), n))
        hits += int(np.count_nonzero((2 * bits - 1) @ sizes >= observed))
    return (1 + hits) / (1 + draws)


def benjamini_hochberg(ps: Sequence[float]) -> tuple[float, ...]:
    """Adjusted p-values q in the order of `ps`: q of the i-th smallest of m is min over j >= i of m * p(j) / j, at most 1.

    Taking those with q <= f as discoveries keeps the expected share of false ones at most f, for independent (or positively dependent)
    tests. Source: Benjamini and Hochberg (1995), JRSS B 57; dependence: Benjamini and Yekutieli (2001), Annals of Statistics 29.
    """
    for p in ps:
        if not 0 <= p <= 1:
            raise ValueError(f"a p-value lies in [0, 1], got {p}")
    total = len(ps)
    qs = [1.0] * total
    lowest = 1.0
    ranked = sorted(range(total), key=lambda index: ps[index], reverse=True)
    for step, index in enumerate(ranked):
        lowest = min(lowest, ps[index] * total / (total - step))
        qs[index] = lowest
    return tuple(qs)


def power_of_sign_test(n: int, win: float, loss: float, alpha: float) -> float:
    """Probability that the sign test over `n` units has p <= alpha, if a unit is a win, loss or tie with these probabilities. Exact.

    Sums over the number m of units that are not ties: Bin(m; n, win + loss) * P(Bin(m, win / (win + loss)) >= critical(m, alpha)).
    ValueError for probabilities outside [0, 1] or adding up to more than 1. Source: Conover (1999), section 3.4.
    """
    from scipy.stats import binom

    if n < 0:
        raise ValueError(f"the number of units cannot be negative, got {n}")
    if min(win, loss) < 0 or not win + loss <= 1 + 1e-12:
        raise ValueError(f"win and loss are probabilities that add up to at most 1, got {win} and {loss}")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha lies in [0, 1], got {alpha}")
    decided = min(win + loss, 1.0) if win + loss > 1e-300 else 0.0  # subnormal numbers overflow in scipy
    share = win / decided if decided > 0 else 0.0
    terms = (float(binom.pmf(m, n, decided)) * float(binom.sf(_critical_wins(m, alpha) - 1, m, share)) for m in range(n + 1))
    return min(1.0, math.fsum(terms))


def _critical_wins(n: int, alpha: float) -> int:
    """The fewest wins among `n` decided units at which the sign test has p <= alpha; n + 1 if not even n wins are enough."""
    tail, wins = 0, n + 1
    while wins > 0:
        tail += math.comb(n, wins - 1)
        if tail / 2**n > alpha:
            break
        wins -= 1
    return wins


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")


def _check_finite(values: Sequence[float]) -> None:
    for value in values:
        if not math.isfinite(value):
            raise ValueError(f"values must be finite numbers, got {value}")


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if count < 0:
            raise ValueError(f"{name} cannot be negative, got {count}")
