"""The study of how far guidance can go: what is placed is what the handbook says to a failing reply at that very moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from evals import always_on
from evals.ceiling import WAYS, guide_for, main, report
from strategist.conversation import opening_scenario, replay
from strategist.loop.deps import Deps
from strategist.records.base import stable_int
from strategist.records.library import Guidance
from tests.loop.small import small, with_deps


@pytest.mark.usefixtures("own_models")
def test_the_line_for_the_failing_check_is_placed(tmp_path: Path) -> None:
    """The keen student fails its customer's need and little else until it is told; where lines are tried, those that help stay."""

    async def work(deps: Deps) -> dict[str, int]:
        found = dict.fromkeys(WAYS, 0)
        advice = {check.id: check.advice for check in deps.domain.checks}
        for persona in deps.domain.personas("dev", 8):
            state = await opening_scenario(deps.customer, deps.domain, persona)
            bare = await replay(
                deps.agent(None), deps.domain, state, guidance=Guidance(reason="off"), purpose="coach", sample=stable_int(1, 0, 0)
            )
            failing = {advice[verdict.check] for verdict in bare.verdicts if verdict.passed is False}
            for name, way in WAYS.items():
                lines = (await guide_for(deps, way, 1)(state)).lines
                assert len(lines) <= way.lines
                if not way.coached:
                    assert set(lines) == failing - {None}
                found[name] += bool(lines)
        return found

    found = with_deps(small(tmp_path), work)
    assert found["one look, 1 line"] >= found["coached, 1 line"] > 4


@pytest.mark.usefixtures("own_models")
def test_the_report_has_a_line_a_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with_deps(small(tmp_path), lambda deps: report(deps, 1))
    lines = capsys.readouterr().out.splitlines()
    assert [line[:18].strip() for line in lines] == ["bare", *WAYS]
    lift = float(lines[1].split("lift ")[1].split(" ")[0])
    assert lift > 0.1


def test_bad_calls_are_told(tmp_path: Path) -> None:
    assert "python -m evals.ceiling" in str(main([]))
    (tmp_path / "s.toml").write_text('domain = "parcel"\n', encoding="utf-8")
    assert "no run to look at" in str(main([str(tmp_path / "s.toml")]))


@pytest.mark.usefixtures("own_models")
def test_a_line_that_always_stands_guides_every_turn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The right line for one matter in many helps little; a line of no use does no more than any line does."""
    with_deps(small(tmp_path), lambda deps: always_on.report(deps, 1, ["Smile.", "Smile."]))
    bare, smile = capsys.readouterr().out.splitlines()
    assert bare.startswith("bare")
    assert "guided   0%" in bare
    assert smile.startswith("Smile.")
    assert "guided 100%" in smile
    assert "n=40" in smile


@pytest.mark.usefixtures("own_models")
def test_without_a_file_the_domains_advice_is_tried(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def work(deps: Deps) -> list[str]:
        await always_on.report(deps, 1, [])
        return list(dict.fromkeys(check.advice for check in deps.domain.checks if check.advice))

    advice = with_deps(small(tmp_path), work)
    rows = capsys.readouterr().out.splitlines()[1:]
    assert [row.split(" guided")[0].strip() for row in rows] == advice


def test_bad_calls_of_the_line_study_are_told(tmp_path: Path) -> None:
    assert "python -m evals.always_on" in str(always_on.main(["s.toml", "many"]))
    assert "cannot read" in str(always_on.main(["s.toml", "1", str(tmp_path / "none.txt")]))
    (tmp_path / "s.toml").write_text('domain = "parcel"\n', encoding="utf-8")
    (tmp_path / "lines.txt").write_text("Smile.\n", encoding="utf-8")
    assert "no run to look at" in str(always_on.main([str(tmp_path / "s.toml"), "1", str(tmp_path / "lines.txt")]))
