"""A sheet of pixels to draw a chart on: the only place that knows matplotlib.

Coordinates are pixels from the top left. The result is one `<svg>` element: background transparent, text as text in the reader's own font,
no ids, styles, dates or outside references, so that any number of charts can stand in one page and equal drawings give equal bytes.
"""

from __future__ import annotations

import html
import io
import re
import warnings
from typing import TYPE_CHECKING, Literal, TypeVar

if TYPE_CHECKING:
    from matplotlib.artist import Artist

INK = "#1c2430"
SOFT = "#5b6573"
GRID = "#e4e7eb"
ZERO = "#8b95a1"

Align = Literal["left", "center", "right"]
Drawn = TypeVar("Drawn", bound="Artist")


class Scale:
    """Maps values in [low, high] to pixels between `start` and `end`; a span of 0 maps to the middle."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high, self.start, self.end = low, high, start, end

    def __call__(self, value: float) -> float:
        """Pixel of a value; values outside are cut to the ends."""
        span = self.high - self.low
        share = (min(max(value, self.low), self.high) - self.low) / span if span else 0.5
        return self.start + share * (self.end - self.start)

    def ticks(self, most: int) -> list[float]:
        """Round values inside the scale, at most about `most`."""
        from matplotlib.ticker import MaxNLocator

        found = MaxNLocator(nbins=most, steps=[1, 2, 5, 10]).tick_values(self.low, self.high)
        slack = 1e-9 * (self.high - self.low)
        return [round(float(tick), 10) + 0.0 for tick in found if self.low - slack <= tick <= self.high + slack]


class Sheet:
    """A drawing of `width` x `height` pixels."""

    def __init__(self, width: float, height: float) -> None:
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure

        self.width, self.height = width, height
        self._figure = Figure(figsize=(width / 72, height / 72), dpi=72)
        FigureCanvasSVG(self._figure)
        self._axes = self._figure.add_axes((0, 0, 1, 1))
        self._axes.set_xlim(0, width)
        self._axes.set_ylim(height, 0)
        self._axes.set_axis_off()
        self._drawn = 0

    def line(self, start: tuple[float, float], end: tuple[float, float], color: str, width: float = 1.0) -> None:
        """A straight line with round ends."""
        from matplotlib.lines import Line2D

        drawn = Line2D([start[0], end[0]], [start[1], end[1]], color=color, linewidth=width, solid_capstyle="round")
        self._axes.add_line(self._on_top(drawn))

    def dot(self, x: float, y: float, color: str, radius: float = 5.0, *, hollow: bool = False) -> None:
        """A dot with a thin white rim; hollow: white with a rim of the colour."""
        from matplotlib.patches import Circle

        face, edge, rim = ("#ffffff", color, 1.75) if hollow else (color, "#ffffff", 1.25)
        self._axes.add_patch(self._on_top(Circle((x, y), radius, facecolor=face, edgecolor=edge, linewidth=rim)))

    def bar(self, x: float, y: float, width: float, height: float, color: str) -> None:
        """A filled rectangle; nothing if it has no width."""
        from matplotlib.patches import Rectangle

        if width > 0:
            self._axes.add_patch(self._on_top(Rectangle((x, y), width, height, facecolor=color, edgecolor="none", linewidth=0)))

    def text(
        self, x: float, y: float, text: str, *, color: str = INK, size: float = 12.0, align: Align = "left", bold: bool = False
    ) -> None:
        """One line of text, vertically centred on y. `$` is a dollar, never mathematics."""
        weight = "bold" if bold else "normal"
        drawn = self._axes.text(x, y, text, color=color, fontsize=size, ha=align, va="center", fontweight=weight, parse_math=False)
        self._on_top(drawn)

    def svg(self, label: str) -> str:
        """The finished drawing with `label` as its text for readers who cannot see it."""
        import matplotlib

        out = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "strategist"}), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph")
            self._figure.savefig(out, format="svg", transparent=True, metadata=nothing)
        return _bare(out.getvalue(), self.width, self.height, label)

    def _on_top(self, drawn: Drawn) -> Drawn:
        """What is drawn later covers what was drawn before, lines and patches alike."""
        self._drawn += 1
        drawn.set_zorder(self._drawn)
        drawn.set_clip_on(False)
        return drawn


def _bare(svg: str, width: float, height: float, label: str) -> str:
    """What matplotlib wrote without head, metadata, style sheet, ids and fonts."""
    body = svg[svg.index("<svg") :]
    body = body[body.index(">") + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", body, flags=re.DOTALL)
    body = re.sub(r"<(?:g|text|path)\b[^>]*>", _plain_tag, body)
    body = re.sub(r"\s*\n\s*", "\n", body).strip()
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{html.escape(label)}" viewBox="0 0 {width:g} {height:g}" '
        f'style="width:100%;max-width:{width:g}px;height:auto" font-family="system-ui, sans-serif" stroke-linejoin="round">'
    )
    return f"{head}\n{body}\n"


def _plain_tag(match: re.Match[str]) -> str:
    tag = re.sub(r' (?:id|clip-path)="[^"]*"', "", match.group())
    tag = re.sub(r"font-family: [^;\"]*", "font-family: inherit", tag)
    return re.sub(r' transform="rotate\(-0 [^"]*\)"', "", tag)
