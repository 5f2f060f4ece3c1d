"""The report's charts as SVG texts: records in, picture out, the same bytes every time.

Each chart comes in two widths (`WIDE`, `NARROW`), because text that shrinks with the picture cannot be read on a telephone. Colours mean
the same everywhere: teal is the library or a win, grey the bare student or a tie, rust a loss. Labels stand at what they name; there are no
legends. An interval is a line through its dot; a dot without a line had too few customers for an interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from strategist.evaluation.numbers import DASH, equals, interval, plain, signed
from strategist.evaluation.sheet import GRID, INK, SOFT, ZERO, Scale, Sheet
from strategist.evaluation.study import ArmComparison, ArmSummary, CheckComparison, IssueComparison
from strategist.records.library import Entry
from strategist.records.run import ArmName
from strategist.stats import Estimate

WIDE = 912
NARROW = 350
TEAL = "#0b7a75"
GREY = "#8a94a0"
RUST = "#b5482a"
TIE = "#d3d8de"
ARM_COLOR: dict[ArmName, str] = {"bare": GREY, "handbook": "#b9822b", "random": "#8c7ab8", "library": TEAL, "teacher": "#34558b"}
ARM_LABEL: dict[ArmName, str] = {
    "bare": "Bare student",
    "handbook": "Whole handbook",
    "random": "Random entries",
    "library": "Library",
    "teacher": "Teacher",
}


AxisKind = Literal["score", "percent", "lift"]


class Mark(NamedTuple):
    """A dot on a row, with its interval where there is one."""

    value: float
    span: Estimate | None
    color: str


@dataclass(frozen=True)
class Row:
    """One labelled row of a dot chart; `figure` is printed at its end."""

    label: str
    marks: tuple[Mark, ...]
    figure: str = ""
    note: str = ""
    bold: bool = False


@dataclass(frozen=True)
class Frame:
    """How rows are laid out: beside their labels where there is room, below them where there is not."""

    width: float

    @property
    def narrow(self) -> bool:
        """Whether labels stand above their rows."""
        return self.width < 500

    @property
    def step(self) -> float:
        """Height of a row in pixels."""
        return 46.0 if self.narrow else 32.0

    def middle(self, index: int) -> float:
        """Where a row's marks stand."""
        return index * self.step + (32.0 if self.narrow else self.step / 2)

    def bands(self, rows: int, bottom: float) -> list[tuple[float, float]]:
        """Where the grid is drawn: throughout, or only beside the marks where labels stand above them."""
        return [(self.middle(i) - 9, self.middle(i) + 9) for i in range(rows)] if self.narrow else [(2.0, bottom)]

    @property
    def left(self) -> float:
        """Where the scale begins."""
        return 12.0 if self.narrow else 300.0

    @property
    def right(self) -> float:
        """Where the scale ends."""
        return self.width - (14.0 if self.narrow else 160.0)


def lift_per_round(rounds: Sequence[ArmComparison], width: float = WIDE) -> str:
    """Lift over the bare student after each round, with intervals; before the first round the library is empty and the lift 0."""
    frame = Frame(width)
    height = 250.0 if frame.narrow else 310.0
    sheet = Sheet(width, height)
    known = [c.lift for c in rounds if c.lift is not None]
    low, high = _span([value for e in known for value in (e.low, e.high)] + [0.0], pad=0.12)
    y = Scale(low, high, height - 40, 18)
    left, right = 44.0, width - 14
    for tick in y.ticks(5):
        sheet.line((left, y(tick)), (right, y(tick)), ZERO if tick == 0 else GRID, 1.0)
        sheet.text(left - 8, y(tick), signed(tick), color=SOFT, size=11.5, align="right")
    x = Scale(0, len(rounds), left + (30 if frame.narrow else 48), right - (46 if frame.narrow else 60))
    sheet.dot(x(0), y(0), GREY, 4.5, hollow=True)
    sheet.text(x(0), height - 20, "start" if frame.narrow else "empty library", color=SOFT, size=11.5, align="center")
    for number, comparison in enumerate(rounds, start=1):
        last = number == len(rounds)
        short = frame.narrow and len(rounds) > 4
        sheet.text(
            x(number), height - 20, f"{number}" if short else f"round {number}", color=INK if last else SOFT, size=11.5, align="center"
        )
        if comparison.lift is not None:
            _upright(sheet, x(number), y, comparison.lift, bold=last)
    told = (f"round {i}: {signed(c.lift.mean)} {interval(c.lift, sign=True)}" for i, c in enumerate(rounds, start=1) if c.lift)
    return sheet.svg(f"Lift over the bare student after each round. {'; '.join(told)}")


def arms(summaries: Sequence[ArmSummary], width: float = WIDE) -> str:
    """Mean score of each arm with its interval."""
    rows = [
        Row(
            label=ARM_LABEL[s.arm],
            marks=(Mark(s.score.mean, s.score, ARM_COLOR[s.arm]),) if s.score else (),
            figure=f"{plain(s.score.mean)}  {interval(s.score)}" if s.score else "not measured",
            bold=s.arm == "library",
        )
        for s in summaries
    ]
    return _dot_chart(rows, width, "Mean score per arm, 0 to 1", "score")


def checks(found: Sequence[CheckComparison], width: float = WIDE) -> str:
    """Pass rate of each check, bare and with the library, with both intervals."""
    rows = [
        Row(
            label=c.check.replace("_", " "),
            marks=tuple(Mark(e.mean, e, color) for e, color in ((c.base, GREY), (c.arm, TEAL)) if e is not None),
            figure=f"{_hundred(c.base)} \u2192 {_hundred(c.arm)}\u2009%",
            note="hard" if c.hard else "",
        )
        for c in found
    ]
    return _dot_chart(rows, width, "Pass rate per check, bare student (grey) and with the library (teal)", "percent")


def issues(found: Sequence[IssueComparison], width: float = WIDE) -> str:
    """Lift per kind of issue: a forest plot. One customer only: a hollow dot without interval."""
    rows = [
        Row(
            label=f"{i.issue.replace('_', ' ')}  (n = {i.personas})",
            marks=(Mark(i.lift.mean if i.lift else i.arm_mean - i.base_mean, i.lift, _side(i.lift)),),
            figure=f"{signed(i.lift.mean)}  {interval(i.lift, sign=True)}" if i.lift else signed(i.arm_mean - i.base_mean),
        )
        for i in found
    ]
    return _dot_chart(rows, width, "Lift per kind of issue", "lift")


def evidence(entries: Sequence[Entry], width: float = WIDE) -> str:
    """Wins, ties and losses of each entry in the gate's test, as shares of one bar."""
    frame = Frame(width)
    tested = [entry for entry in entries if entry.evidence and entry.evidence.wins + entry.evidence.ties + entry.evidence.losses]
    top = 26.0
    sheet = Sheet(width, top + len(tested) * frame.step + 6)
    sheet.text(frame.left, 10, "better with it", color=TEAL, size=11.5)
    sheet.text((frame.left + frame.right) / 2, 10, "same", color=SOFT, size=11.5, align="center")
    sheet.text(frame.right, 10, "worse", color=RUST, size=11.5, align="right")
    for index, entry in enumerate(tested):
        _evidence_row(sheet, frame, top + index * frame.step, top + frame.middle(index), entry)
    told = "; ".join(f"{e.id}: {_record(e)}" for e in tested)
    return sheet.svg(f"Wins, ties and losses per entry. {told}")


def _evidence_row(sheet: Sheet, frame: Frame, top: float, middle: float, entry: Entry) -> None:
    found = entry.evidence
    assert found is not None
    line = entry.strategies[0].text if entry.strategies else "nothing needed here"
    _label(sheet, frame, top, Row(label=line, marks=(), figure=equals("q", found.q)))
    total = found.wins + found.ties + found.losses
    x = frame.left
    for number, color, ink in ((found.wins, TEAL, "#ffffff"), (found.ties, TIE, INK), (found.losses, RUST, "#ffffff")):
        width = (frame.right - frame.left) * number / total
        sheet.bar(x, middle - 7, width - (1.5 if x + width < frame.right - 0.5 else 0), 14, color)
        if width > 16:
            sheet.text(x + width / 2, middle + 0.5, str(number), color=ink, size=10.5, align="center", bold=True)
        x += width


def _record(entry: Entry) -> str:
    found = entry.evidence
    return "" if found is None else f"{found.wins} better, {found.ties} same, {found.losses} worse"


def _dot_chart(rows: Sequence[Row], width: float, label: str, axis: AxisKind) -> str:
    """Rows of dots with intervals over one scale."""
    frame = Frame(width)
    bottom = len(rows) * frame.step + 6
    sheet = Sheet(width, bottom + 26)
    ends = [value for row in rows for mark in row.marks for value in (mark.span or (mark.value, mark.value))[:3]]
    low, high = _span([*ends, 0.0], pad=0.06) if axis == "lift" else (0.0, 1.0)
    x = Scale(low, high, frame.left, frame.right)
    ticks = x.ticks(4 if frame.narrow else 8) if axis == "lift" else [0.0, 0.5, 1.0] if frame.narrow else [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    for tick in ticks:
        color = ZERO if axis == "lift" and tick == 0 else GRID
        for top, end in frame.bands(len(rows), bottom):
            sheet.line((x(tick), top), (x(tick), end), color)
        sheet.text(x(tick), bottom + 14, _tick(tick, axis), color=SOFT, size=11.5, align="center")
    for index, row in enumerate(rows):
        _label(sheet, frame, index * frame.step, row)
        _marks(sheet, x, frame.middle(index), row)
    told = "; ".join(f"{row.label}: {row.figure}" for row in rows)
    return sheet.svg(f"{label}. {told}")


def _tick(value: float, axis: AxisKind) -> str:
    if axis == "percent":
        return f"{100 * value:.0f}"
    return signed(value) if axis == "lift" else plain(value, 1)


def _label(sheet: Sheet, frame: Frame, top: float, row: Row) -> None:
    y = top + (13 if frame.narrow else frame.step / 2)
    room = 32 if frame.narrow else 40
    sheet.text(0, y, _cut(row.label, room), size=12.5, bold=row.bold)
    if row.note and not frame.narrow:
        sheet.text(frame.left - 14, y, row.note, color=RUST, size=10.5, align="right")
    sheet.text(frame.width, y, row.figure, color=INK, size=12, align="right", bold=row.bold)


def _marks(sheet: Sheet, x: Scale, y: float, row: Row) -> None:
    spread = 4.0 if len(row.marks) > 1 else 0.0
    places = [y + spread * (2 * i - 1) if spread else y for i in range(len(row.marks))]
    for mark, place in zip(row.marks, places, strict=True):
        if mark.span is not None:
            sheet.line((x(mark.span.low), place), (x(mark.span.high), place), mark.color, 2.0)
    for mark, place in zip(row.marks, places, strict=True):
        sheet.dot(x(mark.value), place, mark.color, 4.5 if spread else 5.5, hollow=mark.span is None)


def _upright(sheet: Sheet, x: float, y: Scale, lift: Estimate, *, bold: bool) -> None:
    color = _side(lift)
    sheet.line((x, y(lift.low)), (x, y(lift.high)), color, 2.5)
    sheet.dot(x, y(lift.mean), color, 6.0)
    crossed = abs(y(lift.mean) - y(0)) < 9
    sheet.text(x + 12, y(0) - 10 if crossed else y(lift.mean), signed(lift.mean), size=13, bold=bold)


def _side(lift: Estimate | None) -> str:
    """Teal if the interval lies above 0, rust if below, grey if it covers 0 or there is none."""
    if lift is None or lift.low <= 0 <= lift.high:
        return GREY
    return TEAL if lift.low > 0 else RUST


def _span(values: Sequence[float], *, pad: float) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = pad * (high - low) or 0.05
    return low - room, high + room


def _hundred(estimate: Estimate | None) -> str:
    return DASH if estimate is None else f"{100 * estimate.mean:.0f}"


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 1].rstrip() + "\u2026"
