"""The probe says of students whose answer is known what is known, and its lines are those it says they are."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from evals.lab_worlds import Job
from strategist.errors import DomainError, ModelError
from strategist.evaluation.probe import (
    USEFUL,
    ArmFigures,
    Probe,
    Replies,
    figures,
    find_moments,
    fit,
    harm_share,
    probe,
    verdict_of,
    with_others,
)
from strategist.models import open as models_open
from strategist.models.adapters.scripted import ScriptedModel
from strategist.models.open import register_adapter
from strategist.models.protocol import Model
from strategist.project import Project, open_project
from strategist.records.chat import ModelRequest, Reply
from strategist.settings import ModelSettings
from strategist.stats import Estimate
from tests.loop.made import scenario

ROOT = Path(__file__).parents[2]


def probed(project: Project, moments: int = 24, samples: int = 2) -> Probe:
    async def main() -> Probe:
        async with project.deps(project.probe_run()) as deps:
            return await probe(deps, moments=moments, samples=samples, report=lambda done, total: None)

    return asyncio.run(main())


@pytest.mark.parametrize(("world", "verdict"), [("specific", "coachable"), ("uncoachable", "not coachable"), ("misleading", "coachable")])
def test_students_whose_answer_is_known(tmp_path: Path, world: str, verdict: str) -> None:
    with open_project(Job(world, 0).settings(tmp_path)) as project:
        result = probed(project, moments=30, samples=3)
        assert probed(project, moments=30, samples=3) == result, "the second time nothing is asked anew"
        assert project.last_run() is None
        assert project.calls.spent("probe").calls == result.spent
    found = {one.arm: one for one in figures(result)}
    assert verdict_of(found["right"].over_bare, fit(result)) == verdict
    assert result.spent >= 30 * (1 + 4 * 3)
    assert {len(r.values) for r in result.replies} == {3}
    share = harm_share(list(found.values()))
    if world == "misleading":
        assert share is not None
        assert share > 0.5, "its near misses do more harm than right lines help"
        assert found["near miss"].hard > found["right"].hard


def test_moments_are_spread_over_issues_and_customers(tmp_path: Path) -> None:
    with open_project(Job("specific", 1).settings(tmp_path)) as project:

        async def main() -> None:
            async with project.deps(project.probe_run()) as deps:
                found = await find_moments(deps, 24, lambda done, total: None)
                assert len({m.scenario.persona for m in found}) == len(found) == 24
                assert len({m.scenario.issue for m in found}) >= 10
                for m in found:
                    texts = [m.lines[arm] for arm in ("right", "near miss", "far")]
                    assert texts[0] not in texts[1:]

        asyncio.run(main())


def test_the_near_miss_is_the_most_similar_moment_of_another_issue_with_another_text() -> None:
    issues = ["late", "late", "lost", "lost", "paid"]
    scenarios = [scenario(f"s{i}", persona=f"p{i}", issue=issue) for i, issue in enumerate(issues)]
    lines = [("a",), ("b",), ("a",), ("c",), ("d",)]
    angles = np.array([0.0, 0.05, 0.1, 0.3, 1.2])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    first = with_others(scenarios, lines, vectors)[0]
    assert first.lines == {"right": ("a",), "near miss": ("c",), "far": ("d",)}, "not b (its own issue), not a (its own text)"
    alone = with_others(scenarios[:2], lines[:2], vectors[:2])
    assert [m.lines for m in alone] == [{"right": ("a",)}, {"right": ("b",)}]


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.01, 0.3, "coachable"), (-0.2, USEFUL / 2, "not coachable"), (-0.01, 0.2, "not proven"), (0.0, 0.2, "not proven")],
)
def test_the_verdict_is_read_off_the_interval(low: float, high: float, verdict: str) -> None:
    assert verdict_of(Estimate((low + high) / 2, low, high, 24), None) == verdict
    assert verdict_of(Estimate((low + high) / 2, low, high, 24), Estimate(0.2, 0.1, 0.3, 24)) == verdict


def test_a_student_that_any_line_helps_is_not_called_coachable() -> None:
    """As a real one does: what stands under the message makes it more careful, whatever it says."""
    lift = Estimate(0.13, 0.01, 0.25, 24)
    assert verdict_of(lift, Estimate(0.01, -0.05, 0.07, 24)) == "any line helps"

    def of(arm: str, persona: str, *values: float) -> Replies:
        return Replies(arm=arm, persona=persona, values=values, passed=0, hard=0)

    replies = [of("bare", f"p{i}", 0.5) for i in range(4)] + [of("right", f"p{i}", 0.75, 0.85) for i in range(4)]
    assert fit(Probe(student="s", advisor="a", replies=tuple(replies), spent=1)) is None
    replies += [of("near miss", f"p{i}", 0.6) for i in range(3)] + [of("far", f"p{i}", 0.8) for i in range(2)]
    fits = fit(Probe(student="s", advisor="a", replies=tuple(replies), spent=1))
    assert fits is not None
    assert fits.n == 3
    assert fits.mean == pytest.approx((0.1 + 0.1 + 0.2) / 3)


def test_without_customers_enough_nothing_is_proven() -> None:
    assert verdict_of(None, None) == "not proven"
    one = Replies(arm="bare", persona="p", values=(0.5,), passed=0, hard=0)
    result = Probe(student="s", advisor="a", replies=(one, one.model_copy(update={"arm": "right"})), spent=2)
    assert [f.over_bare for f in figures(result)] == [None, None]


def test_harm_is_that_of_the_worse_of_the_wrong_arms() -> None:
    def of(right: float, near: float, far: float) -> list[ArmFigures]:
        parts = (("right", right), ("near miss", near), ("far", far))
        return [ArmFigures(arm, 0.5, 0.5, 0.0, Estimate(x, x, x, 9)) for arm, x in parts]  # type: ignore[arg-type]

    assert harm_share(of(0.3, -0.1, -0.2)) == pytest.approx(0.4)
    assert harm_share(of(0.3, 0.1, 0.2)) == 0
    assert harm_share(of(-0.1, -0.1, -0.2)) is None


def test_replies_that_fail_are_left_out_and_an_advisor_without_lines_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models_open, "_adapters", dict(models_open._adapters))
    calls = 0

    def broken(request: ModelRequest, draw: int) -> Reply | str:
        nonlocal calls
        calls += 1
        raise ModelError("cut", kind="cut_reply")

    def open_own(settings: ModelSettings) -> Model:
        return ScriptedModel("test:broken", broken)

    register_adapter("openai", open_own)
    settings = Job("specific", 0).settings(tmp_path)
    own = settings.model_copy(update={"student": ModelSettings(model="m", base_url="http://x.test", max_in_flight=8)})
    with open_project(own) as project, pytest.raises(DomainError, match="has lines for 0 of 18 first messages") as caught:
        probed(project, moments=3, samples=1)
    assert "checks with advice" in caught.value.hint
    assert calls == 18


def test_the_study_prints_a_line_for_each_world() -> None:
    done = subprocess.run([sys.executable, "-m", "evals.probe_lab", "2"], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("| *")]
    assert [line.split("*")[1] for line in lines] == ["specific", "one_line", "uncoachable", "misleading"]
