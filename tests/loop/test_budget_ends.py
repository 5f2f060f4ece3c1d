"""A budget of N calls with 32 in flight: never more attempts, a valid prefix of the library, and nothing lost for the run that goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from strategist.library.export import read_export
from strategist.loop.runner import Finished
from strategist.project import open_project
from strategist.records.run import RoundSummary
from strategist.settings import Settings
from tests.loop.conftest import Undisturbed
from tests.loop.small import IN_FLIGHT, export_of, paid, small, teach_small, use_models


def ended_by_budget(settings: Settings) -> Finished:
    use_models(latency_s=0.002)
    finished = teach_small(settings)
    assert finished.stop == "budget"
    assert f"of {settings.budget.calls} calls are spent" in finished.error
    return finished


def rounds_done(settings: Settings) -> int:
    with open_project(settings) as project:
        return len(project.store.documents("run-001", "round", RoundSummary))


@pytest.mark.usefixtures("own_models")
@pytest.mark.parametrize("calls", [1, 7, 50])
def test_it_is_never_exceeded_and_nothing_paid_is_thrown_away(calls: int, tmp_path: Path) -> None:
    settings = small(tmp_path, calls=calls)
    ended_by_budget(settings)
    assert paid(settings) == calls
    with open_project(settings) as project:
        assert project.calls.replies("run-001", "student") == calls, "the calls in flight were waited for"
        assert project.library.entries() == ()


@pytest.mark.usefixtures("own_models")
def test_the_library_is_a_valid_prefix_and_more_budget_leads_to_the_undisturbed_end(undisturbed: Undisturbed, tmp_path: Path) -> None:
    settings = small(tmp_path, calls=undisturbed.paid - 20)
    ended_by_budget(settings)
    assert rounds_done(settings) == 1
    kept = {e.id: e for e in read_export(export_of(settings)).entries}
    full = {e.id: e for e in read_export(undisturbed.export).entries if e.round == 0}
    assert kept
    assert {name: e.strategies for name, e in kept.items()} == {name: e.strategies for name, e in full.items()}
    assert all(e.evidence == full[name].evidence for name, e in kept.items())

    use_models()
    finished = teach_small(small(tmp_path, calls=undisturbed.paid + IN_FLIGHT), resume=True)
    assert finished.stop == "rounds"
    assert export_of(settings) == undisturbed.export
    assert paid(settings) == undisturbed.paid, "nothing was paid twice"


@pytest.mark.usefixtures("own_models")
def test_resuming_with_the_same_budget_ends_at_once(tmp_path: Path) -> None:
    settings = small(tmp_path, calls=5)
    ended_by_budget(settings)
    assert teach_small(settings, resume=True).stop == "budget"
    assert paid(settings) == 5
