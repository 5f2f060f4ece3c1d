"""Numbers as people read them: one way to print shares, differences, intervals, p-values, counts and money. Pure.

A minus is U+2212, thousands are split by a thin space, so figures align in tabular numerals. None prints as a dash.
"""

from __future__ import annotations

from strategist.stats import Estimate

MINUS = "\u2212"
DASH = "\u2013"
THIN = "\u2009"


def plain(value: float | None, digits: int = 2) -> str:
    """`0.62`, `-0.10`; a value that rounds to zero has no sign."""
    if value is None:
        return DASH
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", MINUS)


def signed(value: float | None, digits: int = 2) -> str:
    """`+0.18`, `-0.05`, `0.00`."""
    if value is None:
        return DASH
    text = plain(value, digits)
    return text if text.startswith(MINUS) or float(text) == 0 else f"+{text}"


def interval(estimate: Estimate | None, digits: int = 2, *, sign: bool = False) -> str:
    """`[0.55, 0.69]`, or with signs `[+0.05, +0.19]`."""
    if estimate is None:
        return DASH
    show = signed if sign else plain
    return f"[{show(estimate.low, digits)}, {show(estimate.high, digits)}]"


def count(value: int) -> str:
    """`12 345` with thin spaces."""
    return f"{value:,}".replace(",", THIN)


def p_value(value: float) -> str:
    """`0.03`, `0.004`, `< 0.001`, `1`."""
    if value < 0.001:
        return f"<{THIN}0.001"
    if value >= 0.9995:
        return "1"
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def equals(name: str, value: float) -> str:
    """`p = 0.03`, `p < 0.001`."""
    text = p_value(value)
    return f"{name} {text}" if text.startswith("<") else f"{name} = {text}"


def money(dollars: float) -> str:
    """`$0`, `$0.0042`, `$12.30`."""
    if dollars == 0:
        return "$0"
    return f"${dollars:.4f}" if dollars < 0.1 else f"${dollars:,.2f}".replace(",", THIN)


def counted(n: int, one: str, many: str | None = None) -> str:
    """`1 customer`, `12 customers`."""
    return f"{count(n)} {one if n == 1 else many or one + 's'}"
