from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategist.evaluation.numbers import count, counted, equals, interval, money, p_value, plain, signed
from strategist.stats import Estimate

MINUS = "\u2212"


@pytest.mark.parametrize(
    ("value", "unsigned", "with_sign"),
    [
        (0.184, "0.18", "+0.18"),
        (-0.05, f"{MINUS}0.05", f"{MINUS}0.05"),
        (-0.001, "0.00", "0.00"),
        (0.0, "0.00", "0.00"),
        (None, "\u2013", "\u2013"),
    ],
)
def test_a_value_that_rounds_to_zero_has_no_sign(value: float | None, unsigned: str, with_sign: str) -> None:
    assert plain(value) == unsigned
    assert signed(value) == with_sign


@given(st.floats(-100, 100))
def test_signs_say_what_is_printed(value: float) -> None:
    text = signed(value)
    number = float(text.replace(MINUS, "-"))
    assert abs(number - value) <= 0.00500001
    assert text[0] == ("+" if number > 0 else MINUS if number < 0 else "0")


def test_intervals() -> None:
    found = Estimate(0.1, -0.024, 0.2, 9)
    assert interval(found) == f"[{MINUS}0.02, 0.20]"
    assert interval(found, 1, sign=True) == "[0.0, +0.2]"
    assert interval(None) == "\u2013"


@pytest.mark.parametrize(
    ("p", "text", "said"),
    [(0.0002, "<\u20090.001", "p <\u20090.001"), (0.0421, "0.042", "p = 0.042"), (0.656, "0.66", "p = 0.66"), (0.9999, "1", "p = 1")],
)
def test_p_values(p: float, text: str, said: str) -> None:
    assert p_value(p) == text
    assert equals("p", p) == said


@pytest.mark.parametrize(("dollars", "text"), [(0.0, "$0"), (0.0042, "$0.0042"), (12.3, "$12.30"), (1234.5, "$1\u2009234.50")])
def test_money(dollars: float, text: str) -> None:
    assert money(dollars) == text


def test_counts() -> None:
    assert count(1234567) == "1\u2009234\u2009567"
    assert (counted(1, "seed"), counted(3, "seed"), counted(2, "entry", "entries")) == ("1 seed", "3 seeds", "2 entries")
