"""The study of the loop in the lab: a run is made once, a part that is taken out is out, shares are of what the best library reaches."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from evals import lab_worlds
from evals.lab_worlds import Job, Result, plot, result_of, row, share_of
from strategist.lab.worlds import load_worlds
from strategist.project import open_project
from strategist.records.evidence import Evidence
from strategist.records.library import Candidate
from strategist.settings import TeachSettings

ROOT = Path(__file__).parents[2]
TINY = TeachSettings(rounds=1, conversations=6, scenarios=6, candidates=6, dev_personas=2, max_turns=2)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab_worlds, "SIZES", {"tiny": TINY})
    monkeypatch.setattr(lab_worlds, "EVALUATION_SEEDS", 1)


def made(job: Job, home: Path) -> tuple[list[Candidate], list[Evidence]]:
    with open_project(job.settings(home)) as project:
        run = project.last_run()
        assert run is not None
        return project.store.documents(run.id, "candidate", Candidate), project.store.documents(run.id, "evidence", Evidence)


@pytest.mark.usefixtures("tiny")
def test_a_run_is_made_once_and_kept(tmp_path: Path) -> None:
    job = Job("one_line", 0, "tiny")
    result = result_of(job, tmp_path)
    assert 0 < result.bare < result.best <= 1
    assert result.replies > 20
    kept = job.settings(tmp_path).folder / "result.json"
    kept.write_text(json.dumps({**result._asdict(), "replies": 7}), encoding="utf-8")
    assert result_of(job, tmp_path).replies == 7, "the second time it is read"


@pytest.mark.usefixtures("tiny")
def test_without_the_gate_everything_proposed_is_an_entry(tmp_path: Path) -> None:
    job = Job("specific", 0, "tiny", "no gate")
    result = result_of(job, tmp_path)
    candidates, evidence = made(job, tmp_path)
    assert {one.decision for one in evidence} == {"admitted"}
    assert len(evidence) == len(candidates) > 0
    assert all(one.replies == 0 for one in evidence)
    assert result.entries > 0


@pytest.mark.usefixtures("tiny")
def test_without_merging_equal_lines_stay_apart(tmp_path: Path) -> None:
    texts = {}
    for part in ("all parts", "no merging"):
        job = Job("one_line", 1, "tiny", part)
        result_of(job, tmp_path)
        texts[part] = [c.strategies[0].text for c in made(job, tmp_path)[0] if c.strategies and c.scope == "specific"]
    assert len(set(texts["all parts"])) == len(texts["all parts"])
    assert len(set(texts["no merging"])) < len(texts["no merging"])


def test_parts_are_taken_out_by_settings(tmp_path: Path) -> None:
    whole = Job("specific", 3).settings(tmp_path)
    changed = {part: Job("specific", 3, part=part).settings(tmp_path) for part in lab_worlds.PARTS}
    assert len({one.folder for one in changed.values()}) == len(lab_worlds.PARTS)
    assert changed["all parts"] == whole
    assert changed["one coaching step"].teach.coaching_steps == 1
    assert changed["no controls"].teach.control_share == 0
    assert changed["no floor"].retrieval.floor == 0
    assert changed["teacher, scheduled"].advisor.kind == "model"
    assert [changed[f"teacher, {how}"].teach.teacher_share for how in ("scheduled", "always", "never")] == [(1.0, 0.5, 0.0), (1.0,), (0.0,)]


def test_shares_are_of_the_best_librarys_lift_over_all_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [Result(0.7, 0.8, 0.9, 3, 100), Result(0.6, 0.9, 0.9, 5, 200)]
    share = share_of(runs)
    assert share is not None
    assert share.mean == pytest.approx(0.4 / 0.5)
    assert share.low == pytest.approx(0.5)
    assert share.high == pytest.approx(1.0)
    assert share_of([Result(0.7, 0.7, 0.7, 0, 90)] * 2) is None
    assert "80% [50%, 100%] | 4.0 (3 to 5) | 150 | 2 |" in row("w", runs)
    monkeypatch.setattr(lab_worlds, "HOME", tmp_path)
    plot({f"*{world}*, {size}": runs for world in load_worlds() for size in lab_worlds.SIZES})
    assert (tmp_path / "sizes.png").stat().st_size > 5_000


def test_a_wrong_word_says_how_it_is_called() -> None:
    done = subprocess.run([sys.executable, "-m", "evals.lab_worlds", "all"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "python -m evals.lab_worlds sizes [SEEDS [FIRST]]" in done.stderr
