"""The loop without checks, over HTTP: a teacher that advises, a judge that decides, through both adapters and with faults injected."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from strategist.errors import SettingsError
from strategist.loop.coached import Coached
from strategist.loop.verdicts import JUDGED
from strategist.project import open_project
from strategist.records.evidence import Judged
from strategist.records.run import RoundSummary
from strategist.settings import AdvisorSettings, JudgeSettings, ModelSettings
from tests.fake_openai import Answer, FakeOpenAI, Script
from tests.loop import unchecked
from tests.loop.small import export_of, teach_small
from tests.loop.unchecked import faulty, settings_for, speak


@pytest.fixture(autouse=True)
def own_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNUSED_KEY", "k")
    monkeypatch.setattr(unchecked, "FAULTS", unchecked.Seen())


class Billing:
    """A server's own books: requests, and what it would charge for the answers it gave in full."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.prices = {"student": 1.0, "teacher": 10.0, "judge": 5.0}
        self.usd = 0.0
        self.asked: Counter[str] = Counter()

    def __call__(self, body: dict[str, Any], number: int) -> Answer:
        answer = self.script(body, number)
        role = str(body["model"]).rpartition("/")[2]
        self.asked[role] += 1
        if answer.status == 200 and not answer.cut and answer.body is None and answer.usage is not None:
            price = self.prices[role]
            self.usd += (answer.usage["prompt_tokens"] * price + answer.usage["completion_tokens"] * 2 * price) / 1e6
        return answer


@pytest.mark.parametrize("adapter", ["openai", "litellm"])
def test_faults_of_every_kind_end_well_and_the_bill_is_right_to_the_call(tmp_path: Path, adapter: str) -> None:
    books = Billing(faulty)
    with FakeOpenAI(books) as server:
        settings = settings_for(tmp_path, server.url, adapter)
        finished = teach_small(settings)
        assert finished.stop in ("rounds", "parity", "nothing_to_teach"), finished
        with open_project(settings) as project:
            totals = project.calls.totals(finished.id)
            spent = project.calls.spent(finished.id)
            coached = project.store.documents(finished.id, "coached", Coached)
            (summary,) = project.store.documents(finished.id, "round", RoundSummary)
        assert (
            Counter({cost.role: 0 for cost in totals})
            | Counter({role: sum(cost.calls for cost in totals if cost.role == role) for role in books.asked})
            == books.asked
        )
        assert spent.calls == len(server.requests)
        known = sum(cost.usage.cost_usd for cost in totals)
        assert known == pytest.approx(books.usd, rel=1e-9)
        assert spent.usd >= known  # what was lost on the way counts with its bound
    assert sum(cost.retries for cost in totals) > 10
    kinds = {one.message.partition(":")[0] for one in coached if one.kind == "failed"}
    failures = {cost.role: cost.failed for cost in totals}
    assert sum(failures.values()) > 0, "refusals are recorded as failures"
    assert kinds <= {"refusal", "cut_reply", "not_json", "empty_reply", "model"}
    assert summary.conversations == settings.teach.conversations


@pytest.mark.parametrize("adapter", ["openai", "litellm"])
def test_what_a_judge_admits_says_so(tmp_path: Path, adapter: str) -> None:
    with FakeOpenAI(speak) as server:
        settings = settings_for(tmp_path, server.url, adapter, conversations=12, scenarios=12)
        finished = teach_small(settings)
        with open_project(settings) as project:
            entries = project.library.entries()
            judged = project.store.documents(finished.id, JUDGED, Judged)
            (summary,) = project.store.documents(finished.id, "round", RoundSummary)
    assert entries
    for entry in entries:
        assert entry.evidence is not None
        assert entry.evidence.judged is not None
        assert entry.evidence.judged.judge.endswith("judge")
        assert entry.evidence.judged.labels == 0
        assert entry.strategies[0].text.startswith("When the customer asks about")
    assert {one.kind for one in judged} == {"gate", "teacher"}
    scores = {arm: [o.score for o in summary.outcomes if o.arm == arm] for arm in ("bare", "library", "teacher")}
    assert set(scores["bare"]) == {0.5}
    assert set(scores["teacher"]) == {1.0}
    assert scores["library"]


def test_a_resumed_run_asks_nothing_twice_and_keeps_its_view_of_the_judge(tmp_path: Path) -> None:
    whole, cut_short = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut_short.mkdir()
    with FakeOpenAI(speak) as server:
        undisturbed = settings_for(whole, server.url, "openai")
        teach_small(undisturbed)
        asked = len(server.requests)
        limited = settings_for(cut_short, server.url, "openai")
        limited = limited.model_copy(update={"budget": limited.budget.model_copy(update={"calls": asked // 2})})
        assert teach_small(limited).stop == "budget"
        more = limited.model_copy(update={"budget": limited.budget.model_copy(update={"calls": None})})
        teach_small(more, resume=True)
        assert len(server.requests) == 2 * asked
    assert export_of(more) == export_of(undisturbed)


def test_who_cannot_decide_or_write_is_told_before_anything_is_paid(tmp_path: Path) -> None:
    with FakeOpenAI(speak) as server:
        settings = settings_for(tmp_path, server.url, "openai")
        for changed, says in (
            ({"judge": JudgeSettings()}, "has no checks: nothing tells a good reply from a poor one"),
            ({"advisor": AdvisorSettings()}, "its handbook is empty"),
            ({"judge": JudgeSettings(kind="model")}, r'\[judge\] kind = "model" needs a model'),
        ):
            with pytest.raises(SettingsError, match=says):
                teach_small(settings.model_copy(update=changed))
        assert server.requests == []


def test_a_judge_of_the_teachers_family_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with FakeOpenAI(speak) as server:
        settings = settings_for(tmp_path, server.url, "openai", conversations=1, scenarios=1)
        same = ModelSettings(model="gpt-4o-teacher", base_url=server.url)
        judge = JudgeSettings(kind="model", model=same.model_copy(update={"model": "gpt-4.1-judge"}))
        teach_small(settings.model_copy(update={"advisor": AdvisorSettings(kind="model", model=same), "judge": judge}))
    assert any("is of the teacher's family (gpt)" in record.message for record in caplog.records)
