"""The study of keys, on a handful of made moments: it must see what a moment needs, and never let a customer answer for himself."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from evals.retrieval_keys import dialogues, moments, report
from strategist.domains.pack import find_domain
from strategist.records.chat import Message
from strategist.records.trace import Scenario, Verdict
from strategist.retrieval.embed import HashedEmbedder
from strategist.retrieval.fields import FieldEmbedder


def state(customer: str, said: str, failed: str, decided: str = "") -> tuple[str, Scenario]:
    verdicts = [Verdict(check=failed, hard=False, passed=False)] + ([Verdict(check=decided, hard=False, passed=True)] if decided else [])
    scenario = Scenario(
        id=f"{customer}.0",
        trace=customer,
        persona=customer,
        issue="x",
        turn=0,
        messages=(Message(role="user", content=said),),
        key="",
        state={},
        verdicts=tuple(verdicts),
    )
    return customer, scenario


def test_a_line_has_its_moment_where_its_check_is_decided() -> None:
    domain = find_domain("parcel", Path())
    fee, late = [check.id for check in domain.checks if check.advice and not check.hard][:2]
    others = [state(f"o{i}", f"something else {i}", "within_length") for i in range(4)]
    question = moments([state("a", "a fee", fee), state("b", "my fee", fee), state("c", "it is late", late, fee), *others], domain)
    assert question.own.diagonal().all()
    assert not question.own[0, 1]
    assert question.own[:, 3:].all(), "what no advice explains brings no line"
    assert question.hits["fails"][:3, :3].tolist() == [[True, True, False], [True, True, False], [False, False, True]]
    assert question.hits["applies"][2, 0]


def test_dialogues_are_compared_over_trials_of_odd_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    def row(task: int, trial: int, wish: str) -> dict[str, object]:
        call = {"role": "assistant", "content": "", "tool_calls": [{}]}
        said = [("user", wish), ("assistant", "Which one?"), ("user", f"the {wish} one"), ("assistant", "Done")]
        return {"task_id": task, "trial": trial, "messages": [call, *({"role": r, "content": c} for r, c in said)]}

    question = dialogues([row(t, trial, wish) for t, wish in ((1, "refund"), (2, "meal"), (3, "upgrade")) for trial in (0, 1)])
    assert len(question.keys) == 8
    assert question.keys[1] == "refund\nWhich one?\nthe refund one"
    assert question.own.sum() == 16
    asyncio.run(report(question, FieldEmbedder(HashedEmbedder())))
    assert capsys.readouterr().out.count("task 1.000 [1.000, 1.000]") == 6
    assert np.array_equal(question.hits["phase"], question.hits["task"])
