"""generate: who plays, and which customers are drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from strategist.loop.deps import Deps
from strategist.loop.generate import EXTRA_FIRST_INDEX, generate, teacher_plays
from tests.loop.small import SEED, small, with_deps


def plays(folder: Path, shares: tuple[float, ...], round_: int, *, advisor: bool = True) -> float:
    """The share of 400 conversations that the teacher plays."""

    async def work(deps: Deps) -> float:
        return sum(teacher_plays(deps, round_, index) for index in range(400)) / 400

    return with_deps(small(folder, advisor=advisor, teacher_share=shares), work)


@pytest.mark.usefixtures("own_models")
@pytest.mark.parametrize(
    ("shares", "round_", "low", "high"),
    [
        ((1.0, 0.5, 0.0), 0, 1.0, 1.0),
        ((1.0, 0.5, 0.0), 1, 0.4, 0.6),
        ((1.0, 0.5, 0.0), 7, 0.0, 0.0),
        ((), 0, 0.0, 0.0),
        ((0.25,), 3, 0.17, 0.33),
    ],
)
def test_the_teacher_plays_its_share_of_the_round(tmp_path: Path, shares: tuple[float, ...], round_: int, low: float, high: float) -> None:
    assert low <= plays(tmp_path, shares, round_) <= high


@pytest.mark.usefixtures("own_models")
def test_an_advisor_that_cannot_act_never_plays(tmp_path: Path) -> None:
    assert plays(tmp_path, (1.0,), 0, advisor=False) == 0


@pytest.mark.usefixtures("own_models")
def test_the_draw_is_the_same_in_every_process_and_other_in_other_runs(tmp_path: Path) -> None:
    async def work(deps: Deps) -> tuple[list[bool], list[bool]]:
        runs = [replace(deps, run=deps.run.model_copy(update={"seed": seed})) for seed in (1, 99)]
        mine, theirs = [[teacher_plays(run, 1, index) for index in range(12)] for run in runs]
        return mine, theirs

    mine, theirs = with_deps(small(tmp_path, advisor=True), work)
    assert mine != theirs
    assert [i for i, played in enumerate(mine) if played] == [0, 1, 2, 3, 7, 8, 10]


@pytest.mark.usefixtures("own_models")
def test_every_round_has_customers_of_its_own(tmp_path: Path) -> None:
    async def work(deps: Deps) -> list[list[str]]:
        for round_ in range(2):
            await generate(deps, round_, lambda done, total: None)
        return [[t.persona for t in deps.store.traces(deps.run.id, round=round_)] for round_ in range(2)]

    first, second = with_deps(small(tmp_path, conversations=3, max_turns=1), work)
    assert len({*first, *second}) == 6
    assert first == [f"train-{i}-{SEED}" for i in range(3)]
    assert int(second[-1].split("-")[1]) < EXTRA_FIRST_INDEX
