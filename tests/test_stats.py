"""Exact tests and intervals: against scipy's own, by brute force, and by properties."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special as scipy_special
from scipy import stats as scipy_stats

from strategist.stats import (
    FAIR,
    Estimate,
    Null,
    benjamini_hochberg,
    cluster_bootstrap,
    mcnemar_one_sided,
    mean_interval,
    paired_difference,
    power_of_sign_test,
    sequential_sign_test,
    sign_flip_test,
    sign_test,
    wilson,
)

counts = st.integers(0, 60)
numbers = st.floats(-10, 10).map(lambda x: round(x, 3))
few = settings(max_examples=40, deadline=None)


@few
@given(wins=counts, losses=counts)
def test_sign_test_agrees_with_scipy(wins: int, losses: int) -> None:
    expected = scipy_stats.binomtest(wins, wins + losses, alternative="greater").pvalue if wins + losses else 1.0
    assert sign_test(wins, losses) == pytest.approx(expected, rel=1e-9)
    assert mcnemar_one_sided(wins, losses) == sign_test(wins, losses)


def by_all_paths(wins: list[bool], first: int, most: int, share: float = 0.5) -> float:
    """The probability of all paths of `most` steps that do as well as this one at some reading, each step being a win with `share`. The bet
    is integrated by scipy."""

    def best(path: tuple[bool, ...]) -> float:
        readings = [(sum(path[:n]), n) for n in range(first, len(path) + 1)]
        values = [2 ** (n + 1) * scipy_special.beta(w + 1, n - w + 1) * scipy_special.betaincc(w + 1, n - w + 1, 0.5) for w, n in readings]
        return max(values, default=0.0)

    reached = best(tuple(wins)) * (1 - 1e-9)
    paths = list(itertools.product((True, False), repeat=most))
    return math.fsum(share ** sum(path) * (1 - share) ** (most - sum(path)) for path in paths if best(path) >= reached)


@few
@given(st.lists(st.booleans(), max_size=8), st.integers(0, 8), st.integers(0, 2))
def test_the_sequential_sign_test_agrees_with_all_paths(wins: list[bool], first: int, more: int) -> None:
    most = max(first, len(wins) + more)
    p = sequential_sign_test(wins, first=first, most=most)
    assert p == pytest.approx(by_all_paths(wins, first, most))
    assert 0 < p <= 1


shares = st.integers(10, 19).map(lambda n: n / 20)


@few
@given(st.lists(st.booleans(), max_size=8), st.integers(0, 8), st.integers(0, 2), shares)
def test_the_sequential_sign_test_agrees_with_all_paths_of_a_coin_that_leans(wins: list[bool], first: int, more: int, share: float) -> None:
    most = max(first, len(wins) + more)
    p = sequential_sign_test(wins, first=first, most=most, null=((share, 1.0),))
    assert p == pytest.approx(by_all_paths(wins, first, most, share))


@few
@given(st.lists(st.booleans(), max_size=24), st.integers(0, 12), shares, shares, st.floats(0, 1))
def test_a_leaning_null_asks_for_more_and_a_mixture_for_its_mean(wins: list[bool], first: int, low: float, high: float, w: float) -> None:
    most = max(first, 26)

    def p(null: Null) -> float:
        return sequential_sign_test(wins, first=first, most=most, null=null)

    low, high = sorted((low, high))
    assert p(FAIR) == p(((0.5, 1.0),)) == sequential_sign_test(wins, first=first, most=most)
    assert p(FAIR) <= p(((low, 1.0),)) <= p(((high, 1.0),)) * (1 + 1e-12)
    assert p(((low, w), (high, 1 - w))) == pytest.approx(w * p(((low, 1.0),)) + (1 - w) * p(((high, 1.0),)))


@pytest.mark.parametrize("null", [((0.6, 1.0),), ((0.75, 1.0),), ((0.5, 0.25), (0.6, 0.5), (0.8, 0.25))])
def test_the_sequential_sign_test_is_valid_where_wins_have_the_share_of_the_null(null: Null) -> None:
    """At the best time to stop, over draws of the share by its weights and of wins by the share."""
    import numpy as np

    generator = np.random.default_rng(4)
    values, weights = zip(*null, strict=True)
    lowest = []
    for _ in range(600):
        wins = (generator.random(20) < generator.choice(values, p=weights)).tolist()
        lowest.append(sequential_sign_test(wins, first=8, most=20, null=null))
    for level in (0.05, 0.1, 0.3):
        assert sum(p <= level for p in lowest) / 600 <= level + 2.5 * math.sqrt(level / 600)
    assert sum(p <= 0.3 for p in lowest) / 600 > 0.15, "and is not valid by never saying anything"


@few
@given(st.lists(st.booleans(), max_size=30), st.integers(0, 12), st.booleans())
def test_the_sequential_sign_test_only_falls_and_wins_help(wins: list[bool], first: int, more: bool) -> None:
    most = max(first, 31)
    ps = [sequential_sign_test(wins[:n], first=first, most=most) for n in range(len(wins) + 1)]
    assert ps == sorted(ps, reverse=True)
    assert all(p == 1.0 for p in ps[:first])
    if wins:
        place = len(wins) // 2
        better = [*wins[:place], True, *wins[place + 1 :]]
        assert sequential_sign_test(better, first=first, most=most) <= ps[-1]
    assert sequential_sign_test([*wins, True], first=len(wins) + 1, most=len(wins) + 1) == sign_test(sum(wins) + 1, len(wins) - sum(wins))
    assert sequential_sign_test([True] * 5 + [more], first=0, most=100) < 0.2


@few
@given(wins=counts, losses=counts)
def test_sign_test_is_monotone_and_its_two_sides_cover(wins: int, losses: int) -> None:
    p = sign_test(wins, losses)
    assert 0 < p <= 1
    assert sign_test(wins + 1, losses) < p or p == 1
    assert sign_test(wins, losses + 1) >= p
    point = math.comb(wins + losses, wins) / 2 ** (wins + losses)
    assert p + sign_test(losses, wins) == pytest.approx(1 + point)


@pytest.mark.parametrize("n", [1, 5, 12, 40])
@pytest.mark.parametrize("level", [0.01, 0.05, 0.1, 0.5])
def test_sign_test_is_valid_under_its_null(n: int, level: float) -> None:
    mass = sum(math.comb(n, wins) for wins in range(n + 1) if sign_test(wins, n - wins) <= level) / 2**n
    assert mass <= level


def test_sign_test_stays_exact_for_large_counts() -> None:
    assert sign_test(2000, 0) == 0.0  # below the smallest float, not an overflow
    assert sign_test(1500, 1500) == pytest.approx(float(scipy_stats.binom.sf(1499, 3000, 0.5)), rel=1e-6)


@few
@given(values=st.lists(numbers, min_size=2, max_size=30), level=st.sampled_from([0.8, 0.95, 0.99]))
def test_mean_interval_agrees_with_scipy(values: list[float], level: float) -> None:
    got = mean_interval(values, level)
    assert got.n == len(values)
    assert got.low <= got.mean <= got.high
    if len(set(values)) > 1:
        expected = scipy_stats.ttest_1samp(values, 0.0).confidence_interval(level)
        assert (got.low, got.high) == pytest.approx((float(expected.low), float(expected.high)), abs=1e-9)


def test_mean_interval_of_equal_values_has_no_width() -> None:
    assert mean_interval([0.5, 0.5, 0.5]) == Estimate(0.5, 0.5, 0.5, 3)


def test_paired_difference_matches_units_and_ignores_order() -> None:
    a = {"p1": 1.0, "p2": 0.5, "p3": 0.75, "only-a": 9.0}
    b = {"only-b": -9.0, "p3": 0.5, "p2": 0.5, "p1": 0.0}
    got = paired_difference(a, b)
    assert got == mean_interval([1.0, 0.0, 0.25])
    assert paired_difference(b, a) == pytest.approx((-got.mean, -got.high, -got.low, 3))
    assert paired_difference([1.0, 0.5, 0.75], [0.0, 0.5, 0.5]) == got


def test_pairing_removes_what_units_share() -> None:
    base = [float(index) for index in range(10)]
    better = [value + 1 + 0.01 * (index % 2) for index, value in enumerate(base)]
    assert paired_difference(better, base).low > 0.9
    assert mean_interval(better).low - mean_interval(base).high < 0


def test_cluster_bootstrap_ignores_order_and_repeats_itself() -> None:
    values = [0.0, 1.0, 1.0, 0.5, 0.25, 0.75, 0.1]
    clusters = ["a", "a", "b", "b", "c", "c", "d"]
    got = cluster_bootstrap(values, clusters, seed=3)
    assert got == cluster_bootstrap(values[::-1], clusters[::-1], seed=3)
    assert cluster_bootstrap(values, clusters, seed=3, draws=60) != cluster_bootstrap(values, clusters, seed=4, draws=60)
    assert got.n == 4
    assert got.mean == pytest.approx(sum(values) / 7)
    assert min(values) <= got.low < got.mean < got.high <= max(values)


def test_cluster_bootstrap_knows_that_copies_add_nothing() -> None:
    values = [float(index % 5) for index in range(40)]
    once = cluster_bootstrap(values, [str(index) for index in range(40)])
    copied = cluster_bootstrap(values * 8, [str(index) for index in range(40)] * 8)
    naive = cluster_bootstrap(values * 8, [str(index) for index in range(320)])
    assert copied == pytest.approx(once)
    assert naive.high - naive.low < 0.5 * (copied.high - copied.low)


def test_intervals_cover_at_their_level() -> None:
    import numpy as np

    generator = np.random.default_rng(1)
    hits = {"t": 0, "bootstrap": 0}
    for _ in range(300):
        drawn = [float(x) for x in generator.normal(0.3, 1.0, size=30)]
        t, boot = mean_interval(drawn, 0.9), cluster_bootstrap(drawn, [str(i) for i in range(30)], 0.9, draws=400)
        hits["t"] += t.low <= 0.3 <= t.high
        hits["bootstrap"] += boot.low <= 0.3 <= boot.high
    assert 255 <= hits["t"] <= 285  # 300 * 0.9 = 270, standard deviation 5.2
    assert 245 <= hits["bootstrap"] <= 285  # percentile intervals are a little narrow


@few
@given(n=st.integers(1, 200), share=st.floats(0, 1), level=st.sampled_from([0.8, 0.95]))
def test_wilson_agrees_with_scipy(n: int, share: float, level: float) -> None:
    successes = round(share * n)
    got = wilson(successes, n, level)
    expected = scipy_stats.binomtest(successes, n).proportion_ci(level, method="wilson")
    assert (got.low, got.high) == pytest.approx((float(expected.low), float(expected.high)), abs=1e-9)
    assert 0 <= got.low <= got.mean <= got.high <= 1
    mirrored = wilson(n - successes, n, level)
    assert (1 - mirrored.high, 1 - mirrored.low) == pytest.approx((got.low, got.high))


@few
@given(differences=st.lists(numbers, min_size=1, max_size=8))
def test_sign_flips_agree_with_brute_force(differences: list[float]) -> None:
    sums = [sum(s * d for s, d in zip(signs, differences, strict=True)) for signs in itertools.product((1, -1), repeat=len(differences))]
    expected = sum(total >= sum(differences) - 1e-6 for total in sums) / len(sums)
    assert sign_flip_test(differences) == pytest.approx(expected)


def test_sign_flips_of_equal_sizes_are_the_sign_test() -> None:
    assert sign_flip_test([1.0] * 9 + [-1.0] * 2 + [0.0] * 3) == pytest.approx(sign_test(9, 2))


def test_many_sign_flips_are_drawn_and_come_close() -> None:
    differences = [1.0] * 15 + [-1.0] * 5
    p = sign_flip_test(differences, seed=1)
    assert p == sign_flip_test(differences, seed=1)
    assert p == pytest.approx(sign_test(15, 5), abs=0.004)
    assert sign_flip_test([1.0] * 40, draws=1500) == pytest.approx(1 / 1501)  # never 0


def test_no_differences_are_no_evidence() -> None:
    assert sign_flip_test([]) == 1.0
    assert sign_flip_test([0.0, 0.0]) == 1.0
    assert sign_test(0, 0) == 1.0


@few
@given(ps=st.lists(st.floats(0, 1), max_size=20))
def test_benjamini_hochberg_agrees_with_scipy(ps: list[float]) -> None:
    qs = benjamini_hochberg(ps)
    expected = [float(q) for q in scipy_stats.false_discovery_control(ps)] if ps else []
    assert qs == pytest.approx(tuple(expected))
    assert all(p <= q * (1 + 1e-12) and q <= 1 for p, q in zip(ps, qs, strict=True))
    assert benjamini_hochberg(ps[::-1]) == qs[::-1]


@few
@given(ps=st.lists(st.floats(0, 1), min_size=1, max_size=12), extra=st.integers(1, 5))
def test_more_in_the_family_never_helps(ps: list[float], extra: int) -> None:
    alone = benjamini_hochberg(ps)
    assert all(q <= r + 1e-12 for q, r in zip(alone, benjamini_hochberg([*ps, *[1.0] * extra]), strict=False))


def brute_power(n: int, win: float, loss: float, alpha: float) -> float:
    tie = max(0.0, 1 - win - loss)
    ways = ((w, k, n - w - k) for w in range(n + 1) for k in range(n + 1 - w))
    return sum(math.comb(n, w) * math.comb(n - w, k) * win**w * loss**k * tie**t for w, k, t in ways if sign_test(w, k) <= alpha)


@few
@given(n=st.integers(0, 14), win=st.floats(0, 1), rest=st.floats(0, 1), alpha=st.sampled_from([0.0, 0.01, 0.05, 0.5, 1.0]))
def test_power_agrees_with_brute_force(n: int, win: float, rest: float, alpha: float) -> None:
    loss = (1 - win) * rest
    assert power_of_sign_test(n, win, loss, alpha) == pytest.approx(brute_power(n, win, loss, alpha), abs=1e-9)


def test_power_is_the_level_at_most_under_the_null_and_grows() -> None:
    assert power_of_sign_test(16, 0.3, 0.3, 0.05) <= 0.05
    powers = [power_of_sign_test(16, win, 0.10, 0.05) for win in (0.2, 0.4, 0.6, 0.8)]
    assert powers == sorted(powers)
    assert power_of_sign_test(16, 0.0, 0.0, 0.05) == 0.0


BAD: list[tuple[Callable[[], object], str]] = [
    (lambda: mean_interval([1.0]), "at least 2 units, got 1"),
    (lambda: mean_interval([1.0, math.nan]), "finite"),
    (lambda: mean_interval([1.0, 2.0], 1.0), "level"),
    (lambda: paired_difference({"a": 1.0}, {"b": 1.0}), "at least 2 units, got 0"),
    (lambda: paired_difference([1.0, 2.0], [1.0]), "same length, got 2 and 1"),
    (lambda: paired_difference({"a": 1.0}, [1.0]), "same form"),
    (lambda: cluster_bootstrap([1.0, 2.0], ["a", "a"]), "at least 2 clusters, got 1"),
    (lambda: cluster_bootstrap([1.0], ["a", "b"]), "1 values and 2 clusters"),
    (lambda: cluster_bootstrap([1.0, 2.0], ["a", "b"], draws=0), "draws"),
    (lambda: wilson(3, 2), "3 of 2"),
    (lambda: wilson(0, 0), "0 of 0"),
    (lambda: sign_test(-1, 2), "wins cannot be negative"),
    (lambda: sequential_sign_test([True] * 3, first=1, most=2), "at most 2, got 3"),
    (lambda: sequential_sign_test([], first=3, most=2), "from 3 units on and made for at most 2"),
    (lambda: mcnemar_one_sided(1, -2), "c cannot be negative"),
    (lambda: sign_flip_test([math.inf]), "finite"),
    (lambda: sign_flip_test([1.0], draws=0), "draws"),
    (lambda: benjamini_hochberg([0.5, 1.5]), "got 1.5"),
    (lambda: benjamini_hochberg([math.nan]), "p-value"),
    (lambda: power_of_sign_test(-1, 0.5, 0.1, 0.05), "negative"),
    (lambda: power_of_sign_test(4, 0.9, 0.2, 0.05), "0.9 and 0.2"),
    (lambda: power_of_sign_test(4, -0.1, 0.2, 0.05), "probabilities"),
    (lambda: power_of_sign_test(4, 0.5, 0.2, 1.5), "alpha"),
]


@pytest.mark.parametrize(("call", "text"), BAD)
def test_bad_input_says_what_is_wrong(call: Callable[[], object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        call()


def test_importing_costs_no_numpy_and_no_scipy() -> None:
    code = "import sys, strategist.stats; print([m for m in ('numpy', 'scipy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
