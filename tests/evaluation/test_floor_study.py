"""The floor study: what its rules are fitted on, and the whole of it on two tiny runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from evals import floor_study
from evals.floor_plots import Point, plot_reliability, plot_uplift
from evals.floor_study import WORLDS, calibration_error, fit_curve, print_reliability, print_rules, run_figures
from evals.lab_worlds import Job
from strategist.settings import GateSettings, Settings, TeachSettings


def test_the_fit_never_falls() -> None:
    curve = fit_curve([(0.1, False), (0.2, True), (0.3, False), (0.4, True)])
    assert [curve.at(x) for x in (0.05, 0.1, 0.25, 0.9)] == [0.0, 0.0, 0.5, 1.0]


def test_how_good_a_fit_is() -> None:
    points = [Point(score=s, predicted=p, right=r, uplift=None) for s, p, r in ((0.2, 0.0, False), (0.8, 0.8, True), (0.9, 0.8, False))]
    assert calibration_error(points) == pytest.approx((0 + 0.6) / 3)


def test_the_study_on_tiny_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A run is measured once; every rule is played, and the learned one is what the library says."""
    whole = Job.settings

    def tiny(self: Job, home: Path) -> Settings:
        teach = TeachSettings(rounds=1, conversations=24, scenarios=12, candidates=6, dev_personas=4, max_turns=3)
        return whole(self, home).model_copy(update={"teach": teach, "gate": GateSettings(look=2, most=8, least=4, fdr=0.9)})

    monkeypatch.setattr(Job, "settings", tiny)
    runs = [run_figures(Job("specific", seed), tmp_path, 6) for seed in range(2)]
    print_reliability(WORLDS[0], runs)
    print_rules(WORLDS[0], runs)
    printed = capsys.readouterr().out
    rows = [line.split(" | ")[0].removeprefix("| ") for line in printed.splitlines() if line.startswith("| ")]
    best = "best fixed one of the other runs"
    assert rows == ["specific", *runs[0].rules, best, f"{best}, and gaps"]
    assert len(runs[0].rules) == 17
    assert runs[0].rules["bare"].guided == 0
    assert runs[0].rules["no floor"].guided >= runs[0].rules["gaps alone"].guided >= runs[0].rules[floor_study.LEARNED].guided > 0
    plot_reliability({"specific": runs}, tmp_path / "a.png")
    plot_uplift({"specific": runs}, floor_study.LEARNED, tmp_path / "b.png")
    assert min((tmp_path / name).stat().st_size for name in ("a.png", "b.png")) > 10_000
    monkeypatch.setattr(floor_study, "measured", None)
    assert run_figures(Job("specific", 0), tmp_path, 6) == runs[0]
