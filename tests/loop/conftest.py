from __future__ import annotations

from dataclasses import dataclass

import pytest

from strategist.loop.runner import Finished
from strategist.models import open as models_open
from strategist.settings import Settings
from tests.loop.small import export_of, paid, small, teach_small, use_models


@dataclass(frozen=True)
class Undisturbed:
    """A run that nothing happened to, and what it led to."""

    settings: Settings
    finished: Finished
    export: str
    paid: int


@pytest.fixture
def own_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """The models of tests.loop.small behind `adapter = "openai"`; the register of adapters is put back at the end."""
    monkeypatch.setattr(models_open, "_adapters", dict(models_open._adapters))
    use_models()


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """One small run of the keen student, for all tests that compare with it. Read only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models_open, "_adapters", dict(models_open._adapters))
        use_models()
        settings = small(tmp_path_factory.mktemp("undisturbed"))
        finished = teach_small(settings)
        assert finished.stop == "rounds", finished
        return Undisturbed(settings, finished, export_of(settings), paid(settings))
