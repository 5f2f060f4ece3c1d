from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest

from strategist.evaluation import plots
from strategist.evaluation.report_data import ReportData
from strategist.evaluation.sheet import Scale, Sheet
from strategist.evaluation.study import ArmComparison, IssueComparison
from strategist.records.library import Strategy
from strategist.stats import Estimate

SVG = "{http://www.w3.org/2000/svg}"

Chart = Callable[[ReportData, float], str]
CHARTS: dict[str, Chart] = {
    "rounds": lambda data, width: plots.lift_per_round([line.lift for line in data.rounds], width),
    "arms": lambda data, width: plots.arms(data.arms, width),
    "checks": lambda data, width: plots.checks(data.checks, width),
    "issues": lambda data, width: plots.issues(data.issues, width),
    "evidence": lambda data, width: plots.evidence([line.entry for line in data.entries], width),
}


def texts(svg: str) -> list[str]:
    return ["".join(node.itertext()) for node in ET.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("width", [plots.WIDE, plots.NARROW])
@pytest.mark.parametrize("name", CHARTS)
def test_charts_are_plain_accessible_and_the_same_every_time(made_up: ReportData, name: str, width: float) -> None:
    svg = CHARTS[name](made_up, width)
    assert svg == CHARTS[name](made_up, width)
    root = ET.fromstring(svg)
    assert (root.tag, root.get("role")) == (f"{SVG}svg", "img")
    assert len(root.get("aria-label", "")) > 40
    assert root.get("viewBox", "").startswith(f"0 0 {width} ")
    assert not re.search(r"\bid=|href|url\(|<style|<metadata|DejaVu", svg)
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize("name", CHARTS)
def test_no_text_leaves_the_sheet(made_up: ReportData, name: str) -> None:
    """Text starts inside; measured at 0.62 em a letter, wider than the fonts it will be shown in."""
    for width in (plots.WIDE, plots.NARROW):
        for node in ET.fromstring(CHARTS[name](made_up, width)).iter(f"{SVG}text"):
            style = node.get("style", "")
            size = re.search(r"font-size: ([\d.]+)px", style)
            assert size is not None
            length = 0.62 * float(size[1]) * len("".join(node.itertext()))
            x = float(node.get("x", "nan"))
            left = x - length if "anchor: end" in style else x - length / 2 if "anchor: middle" in style else x
            assert left >= -4
            assert left + length <= width + 4


def test_values_are_labelled(made_up: ReportData) -> None:
    rounds = CHARTS["rounds"](made_up, plots.WIDE)
    for line in made_up.rounds:
        assert line.lift.lift is not None
        assert f"{line.lift.lift.mean:+.2f}" in texts(rounds)
    assert "Library" in texts(CHARTS["arms"](made_up, plots.WIDE))
    assert {"better with it", "worse"} <= set(texts(CHARTS["evidence"](made_up, plots.NARROW)))
    assert "hard" in texts(CHARTS["checks"](made_up, plots.WIDE))


def test_text_of_others_is_neither_markup_nor_mathematics(made_up: ReportData) -> None:
    line = made_up.entries[0]
    entry = line.entry.model_copy(update={"strategies": (Strategy(text='<script>alert("$x_1$")</script> \u4f60'),)})
    svg = plots.evidence([entry])
    assert "<script" not in svg
    assert '<script>alert("$x_1$")</script> \u4f60' in texts(svg)


def test_colour_tells_side_and_a_single_customer_has_a_hollow_dot_without_line() -> None:
    def issue(lift: Estimate | None) -> str:
        found = IssueComparison(issue="fee", base_mean=0.1, arm_mean=0.3, lift=lift, personas=1 if lift is None else 5, seeds=1)
        return plots.issues([found])

    assert plots.TEAL in issue(Estimate(0.2, 0.1, 0.3, 5))
    assert plots.RUST in issue(Estimate(-0.2, -0.3, -0.1, 5))
    assert plots.TEAL not in issue(Estimate(0.2, -0.1, 0.5, 5))
    assert f"stroke: {plots.GREY}" in issue(None)
    assert "stroke-width: 2;" in issue(Estimate(0.2, -0.1, 0.5, 5))
    assert "stroke-width: 2;" not in issue(None)


def test_rounds_without_a_measured_lift_and_many_rounds_on_a_telephone() -> None:
    empty = ArmComparison(arm="library", base="bare", lift=None, goal=None, hard=None, personas=1, seeds=1, left_out=0)
    some = empty.model_copy(update={"lift": Estimate(0.1, 0.0, 0.2, 9)})
    assert "+0.10" not in texts(plots.lift_per_round([empty]))
    labels = texts(plots.lift_per_round([empty, some, some, some, some], plots.NARROW))
    assert "5" in labels
    assert "round 5" not in labels
    assert labels.count("+0.10") >= 4


def test_scales_cut_at_their_ends_and_tick_at_round_numbers() -> None:
    scale = Scale(0.0, 1.0, 100.0, 200.0)
    assert (scale(0.25), scale(-3), scale(7)) == (125.0, 100.0, 200.0)
    assert Scale(2.0, 2.0, 0.0, 10.0)(2.0) == 5.0
    assert Scale(-0.13, 0.31, 0, 1).ticks(5) == [-0.1, 0.0, 0.1, 0.2, 0.3]


def test_a_bar_without_width_is_not_drawn() -> None:
    sheet = Sheet(100, 20)
    empty = sheet.svg("nothing")
    sheet.bar(0, 0, 0, 10, plots.TEAL)
    assert sheet.svg("nothing") == empty
    sheet.bar(0, 0, 5, 10, plots.TEAL)
    assert plots.TEAL in sheet.svg("a bar")
