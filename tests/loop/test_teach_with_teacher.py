"""The loop with a model as the advisor: it plays conversations, writes the lines, and can be reached."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from strategist.loop.coached import Coached
from strategist.loop.select import Selection
from strategist.project import open_project
from strategist.records.run import RoundSummary
from strategist.records.trace import Trace
from strategist.settings import AdvisorSettings, ModelSettings
from tests.loop.small import small, teach_small, teacher_answer, use_models


def test_the_lab_teacher_acts_first_and_teaches_what_the_student_would_not_have_said(tmp_path: Path) -> None:
    """Regression: where the teacher played every conversation nothing failed, so next to nothing was coached, and the run could end with
    `nothing to teach`."""
    lab = ModelSettings(adapter="lab", model="specific/student", max_in_flight=8)
    settings = small(tmp_path, rounds=1, conversations=6, scenarios=6, dev_personas=3, max_turns=4).model_copy(
        update={"student": lab, "advisor": AdvisorSettings(kind="model", model=lab.model_copy(update={"model": "specific/teacher"}))}
    )
    finished = teach_small(settings)
    assert (finished.stop, finished.advisor) == ("rounds", "lab:specific/teacher")
    with open_project(settings) as project:
        store = project.store
        traces = list(store.traces(finished.id, purpose="generate", round=0))
        selection = store.get_document(finished.id, "selection", "r0", Selection)
        coached = store.documents(finished.id, "coached", Coached)
        (summary,) = store.documents(finished.id, "round", RoundSummary)
        roles = {cost.role for cost in project.calls.totals(finished.id)}
    assert {t.actor for t in traces} == {"teacher"}
    assert all(t.outcome is not None and t.outcome.goal for t in traces)
    assert selection is not None
    assert len(selection.failing) >= 4
    assert summary.gaps >= 2
    advised = [c for c in coached if c.candidate is not None and not c.candidate.is_control]
    assert all(c.candidate is not None and c.candidate.reply_teacher for c in advised)
    assert roles == {"student", "teacher"}
    scores = Counter(o.arm for o in summary.outcomes if o.score is not None)
    assert scores == {"bare": 3, "library": 3, "teacher": 3}


@pytest.mark.usefixtures("own_models")
def test_the_share_of_the_teacher_falls_and_parity_ends_the_run(tmp_path: Path) -> None:
    use_models(student=lambda _: teacher_answer)
    settings = small(tmp_path, advisor=True, teacher_share=(0.5,), rounds=3, conversations=6)
    finished = teach_small(settings)
    assert finished.stop == "parity"
    with open_project(settings) as project:
        traces: list[Trace] = list(project.store.traces(finished.id, purpose="generate", round=0))
    assert {t.actor for t in traces} == {"teacher", "student"}
