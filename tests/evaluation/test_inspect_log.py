"""Logs for inspect_ai: what its reader asks for, and nothing that is not so. The real reader is asked in tests/slow."""

from __future__ import annotations

import json
from typing import Any

import pytest

from strategist.evaluation.inspect_log import as_text, file_name, grouped, inspect_log
from strategist.records.chat import Message, ToolCall, Usage
from strategist.records.library import Guidance
from strategist.records.run import RunInfo
from strategist.records.trace import Failure, Outcome, Trace, Turn, Verdict

CREATED = "2026-11-27T12:00:00+00:00"
RUN = RunInfo(
    id="run-001", domain="parcel", pack_hash="p", brief_hash="b", learning_hash="l", code="0", seed=7, student="openai:s",
    advisor="handbook", embedder="hashed", rounds=1,
)  # fmt: skip
NEEDED = {
    "eval": {"created", "task", "task_id", "dataset", "model", "config"},
    "plan": {"name", "steps", "config"},
    "results": {"total_samples", "completed_samples", "scores"},
    "stats": {"started_at", "completed_at", "model_usage"},
}


def trace(persona: str = "dev-0-7", score: float | None = 0.75, *, name: str = "t", arm: str = "library", **changes: object) -> Trace:
    verdicts = (Verdict(check="asks_postcode", hard=False, passed=False, turn=0), Verdict(check="ends_well", hard=False, passed=False))
    call = ToolCall(id="c1", name="find", arguments='{"a": 1}')
    odd = ToolCall(id="c2", name="find", arguments="not json")
    messages = (
        Message(role="system", content="brief"),
        Message(role="user", content="where is it?"),
        Message(role="assistant", tool_calls=(call, odd)),
        Message(role="tool", content="in Leeds", tool_call_id="c1"),
        Message(role="assistant", content="In Leeds."),
    )
    turn = Turn(
        index=0, customer="where is it?", steps=messages[2:4], reply="In Leeds.", verdicts=verdicts[:1], state_before={}, state_after={},
        guidance=Guidance(lines=("Ask first.",), entries=("e1@1",), reason="matched", score=0.5),
    )  # fmt: skip
    outcome = None if score is None else Outcome(goal=True, ended="done", verdicts=verdicts, score=score, hard_failures=0, agent_turns=1)
    failure = Failure(kind="refusal", message="no") if score is None else None
    made = Trace(
        id=name, domain="parcel", persona=persona, issue="late", purpose="examine", round=0, index=0, actor="student", arm=arm,
        messages=messages, turns=(turn,), outcome=outcome, failure=failure, usage=Usage(prompt_tokens=10, completion_tokens=3),
    )  # fmt: skip
    return made.model_copy(update=changes)


def log(*traces: Trace) -> Any:
    ((group, mine),) = grouped(traces).items()
    return json.loads(as_text(inspect_log(RUN, group, mine, created=CREATED)))


def test_a_log_has_what_the_reader_needs() -> None:
    found = log(trace())
    assert (found["version"], found["status"]) == (2, "success")
    for part, names in NEEDED.items():
        assert names <= found[part].keys()
    assert found["eval"]["task"] == "parcel-examine-1-library"
    assert found["eval"]["dataset"] == {"name": "parcel", "samples": 1, "sample_ids": ["dev-0-7"], "shuffled": False}
    (sample,) = found["samples"]
    assert (sample["id"], sample["epoch"], sample["target"]) == ("dev-0-7", 1, "")
    assert [message["role"] for message in sample["input"]] == ["system", "user"]
    assert [message["role"] for message in sample["messages"]] == ["system", "user", "assistant", "tool", "assistant"]
    assert sample["messages"][2]["tool_calls"] == [
        {"id": "c1", "function": "find", "arguments": {"a": 1}, "type": "function"},
        {"id": "c2", "function": "find", "arguments": {"text": "not json"}, "type": "function"},
    ]
    assert sample["messages"][3]["tool_call_id"] == "c1"
    assert sample["output"]["choices"][0]["message"]["content"] == "In Leeds."
    assert sample["model_usage"] == {"openai:s": {"input_tokens": 10, "output_tokens": 3, "total_tokens": 13}}


def test_scores_and_guidance_are_those_of_the_trace() -> None:
    (sample,) = log(trace())["samples"]
    score = sample["scores"]["outcome"]
    assert (score["value"], score["answer"]) == (0.75, "In Leeds.")
    assert score["explanation"] == "failed: turn 1: asks_postcode; ends_well"
    (turn,) = sample["metadata"]["turns"]
    assert turn["guidance"] == {"lines": ["Ask first."], "entries": ["e1@1"], "reason": "matched", "score": 0.5}
    assert turn["verdicts"] == {"asks_postcode": False}


def test_a_failed_conversation_is_an_error_and_has_no_score() -> None:
    found = log(trace(name="a", score=0.5), trace("dev-1-7", None, name="b"))
    assert found["samples"][1]["scores"] == {}
    assert found["samples"][1]["error"]["message"] == "refusal: no"
    assert (found["results"]["total_samples"], found["results"]["completed_samples"]) == (2, 1)
    assert found["results"]["scores"][0]["metrics"] == {"mean": {"name": "mean", "value": 0.5}}
    nothing = log(trace("dev-1-7", None, turns=(), messages=(Message(role="system", content="b"),)))
    assert nothing["results"]["scores"][0]["metrics"] == {}
    assert nothing["samples"][0]["output"]["choices"] == []


def test_figures_count_customers_and_seeds_are_epochs() -> None:
    scores = {"dev-0-7": (0.2, 0.4), "dev-1-7": (0.9, 0.9)}
    found = log(*(trace(persona, score, name=f"{persona}-{i}") for persona, both in scores.items() for i, score in enumerate(both)))
    metrics = found["results"]["scores"][0]["metrics"]
    assert metrics["mean"]["value"] == pytest.approx(0.6)
    assert metrics["stderr"]["value"] == pytest.approx(0.3)  # of the means 0.3 and 0.9
    assert [(sample["id"], sample["epoch"]) for sample in found["samples"]] == [
        ("dev-0-7", 1),
        ("dev-0-7", 2),
        ("dev-1-7", 1),
        ("dev-1-7", 2),
    ]
    assert found["eval"]["config"]["epochs"] == 2
    assert len({sample["uuid"] for sample in found["samples"]}) == 4


def test_each_arm_is_a_log_and_the_clock_is_in_its_times_only() -> None:
    groups = grouped([trace(), trace(arm="bare"), trace(arm="", purpose="generate")])
    assert list(groups) == [("examine", 0, "bare"), ("examine", 0, "library"), ("generate", 0, "student")]
    one, other = (as_text(inspect_log(RUN, ("examine", 0, "bare"), [trace()], created=at)) for at in (CREATED, "2027-01-01T00:00:00+00:00"))
    assert one.replace(CREATED, "2027-01-01T00:00:00+00:00") == other
    assert file_name(RUN, ("examine", 0, "bare"), CREATED).startswith("2026-11-27T12-00-00+00-00_parcel-examine-1-bare_")
