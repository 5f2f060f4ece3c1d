"""The study of how far guidance can go: what is placed is what the handbook says to a failing reply at that very moment."""

from __future__ import annotations

from pathlib import Path

import pytest

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
