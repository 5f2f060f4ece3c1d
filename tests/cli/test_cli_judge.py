"""`strategist judge`: sides are hidden, every label is kept at once, and the figures say how far the judge can be trusted."""

from __future__ import annotations

from pathlib import Path

import pytest

from strategist.cli.judge import open_pairs
from strategist.gate.judged import JudgeLabel
from strategist.loop.verdicts import JUDGED
from strategist.project import LABELS, open_project
from strategist.records.evidence import Comparison, Judged
from strategist.records.trace import Scenario
from strategist.settings import load_settings
from tests.cli.commands import EXACT, Cli, write_settings

PAIRS = 12


@pytest.fixture
def judged(project: Path) -> Path:
    """A taught project with pairs that a judge compared: it takes the guided reply in two of three."""
    with open_project(load_settings(project)) as opened:
        (run,) = opened.store.runs()
        scenario = opened.store.named_documents(run.id, "scenario", Scenario)
        for number in range(PAIRS):
            said = Comparison(forward="2", backward="1") if number % 3 else Comparison(forward="1", backward="1")
            pair = Judged(
                kind="gate" if number < PAIRS - 2 else "teacher", judge="openai:j", scenario=scenario[0][0] if number else "gone",
                persona="train-0-0", round=0, reply_before=f"the plain reply {number}", reply_after=f"the guided reply {number} is longer",
                comparison=said,
            )  # fmt: skip
            opened.store.put_document(run.id, JUDGED, f"pair{number:02d}", 0, 0, pair)
    return project


def labels(settings: Path) -> list[JudgeLabel]:
    with open_project(load_settings(settings)) as opened:
        return opened.store.documents(LABELS, "label", JudgeLabel)


def test_labels_follow_the_sides_wherever_they_are_shown(cli: Cli, judged: Path) -> None:
    with open_project(load_settings(judged)) as opened:
        waiting = open_pairs(opened, "gate")
    assert {pair.swapped for pair in waiting} == {True, False}
    answers = "".join("a\n" if pair.swapped else "b\n" for pair in waiting)  # always the guided one
    ran = cli("judge", "label", "-s", judged, stdin=answers)
    assert ran.code == 0
    kept = labels(judged)
    assert {one.human for one in kept} == {"after"}
    assert len(kept) == PAIRS - 2
    assert "verdict" not in ran.out
    assert "guided" not in ran.out.replace("the guided reply", "")  # nothing says which is which
    assert f"{PAIRS - 2} pairs are labelled" in cli("judge", "label", "-s", judged, stdin="").out


def test_stopping_skipping_and_going_on(cli: Cli, judged: Path) -> None:
    first = cli("judge", "label", "-s", judged, "--count", "4", stdin="t\nwhat\ns\nq\n")
    assert "1 label kept" in first.out
    assert "conversation" in first.out
    assert len(labels(judged)) == 1
    assert "2 labels kept" in cli("judge", "label", "-s", judged, "--count", "3", stdin="a\nb\n").out
    assert len(labels(judged)) == 3
    ended = cli("judge", "label", "-s", judged, stdin="a\n")  # the end of the input is an end
    assert "1 label kept" in ended.out
    teacher = cli("judge", "label", "-s", judged, "--kind", "teacher", stdin="=\ntie\n")
    assert "2 labels kept" in teacher.out


def test_the_figures(cli: Cli, judged: Path) -> None:
    assert "nothing is labelled yet" in cli("judge", "score", "-s", judged).err
    cli("judge", "label", "-s", judged, stdin="t\n" * PAIRS)
    cli("judge", "label", "-s", judged, "--kind", "teacher", stdin="t\nt\n")
    shown = cli("judge", "score", "-s", judged).out
    for text in ("openai:j: 10 labelled pairs", "agreement", "kappa", "error rate", "lean", "order effect", "about 50 will do"):
        assert text in shown
    assert "in the gate's test a useless line is taken to win" in shown
    assert "lean to the teacher's replies" in shown


def test_nothing_to_label(cli: Cli, tmp_path: Path, judged: Path) -> None:
    assert "no judge has compared anything yet" in cli("judge", "label", "-s", write_settings(tmp_path / "e", EXACT)).err
    assert "--kind is 'x'" in cli("judge", "label", "-s", judged, "--kind", "x").err
