"""The call log as ledger and cache."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from strategist.errors import ModelError, StoreError
from strategist.records.chat import Message, ModelRequest, Reply, ToolCall, Usage
from strategist.records.run import RoleCost
from strategist.store import CallLog, Spent, open_store
from strategist.store.store import Store

USAGE = Usage(prompt_tokens=10, completion_tokens=5, cached_tokens=4, cost_usd=0.5)
REPLY = Reply(text="hello", tool_calls=(ToolCall(id="1", name="f", arguments="{}"),), usage=USAGE)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "a.db") as opened:
        yield opened


def request(text: str = "hi") -> ModelRequest:
    return ModelRequest(messages=(Message(role="system", content="the brief"), Message(role="user", content=text)))


def begin(log: CallLog, key: str = "k", *, run: str = "r", attempt: int = 1, held: int = 100, text: str = "hi") -> int:
    return log.begin(
        key=key, run=run, attempt=attempt, role="student", model="m", purpose="admit", sample=2, seed=1, request=request(text),
        held_tokens=held, held_usd=1.0,
    )  # fmt: skip


def test_the_reply_is_the_answer_and_an_open_attempt_is_none(store: Store) -> None:
    log = CallLog(store)
    id_ = begin(log)
    assert log.find("k") is None
    assert log.succeed(id_, REPLY, 3.0) == REPLY
    assert log.find("k") == REPLY


def test_a_failure_is_an_answer_too_with_kind_and_hint(store: Store) -> None:
    log = CallLog(store)
    log.fail(begin(log), "refusal", "no", 1.0, hint="ask otherwise", usage=USAGE)
    found = log.find("k")
    assert isinstance(found, ModelError)
    assert (found.kind, found.message, found.hint) == ("refusal", "no", "ask otherwise")


def test_unknown_usage_counts_with_its_upper_bound_until_it_is_known(store: Store) -> None:
    log = CallLog(store)
    assert log.spent("r") == Spent(0, 0, 0.0)
    ok, refused, lost, dead = (begin(log, key) for key in ("a", "b", "c", "d"))
    assert log.spent("r") == Spent(4, 400, 4.0)
    log.succeed(ok, REPLY, 1.0)
    log.retry(refused, "429", 1.0)
    log.retry(lost, "timed out", 1.0, lost=True)
    assert log.spent("r") == Spent(4, 15 + 0 + 100 + 100, 2.5)
    log.fail(dead, "model", "timed out", 1.0, lost=True)
    assert log.spent("r") == Spent(4, 215, 2.5)
    assert log.spent("other") == Spent()


def test_what_a_dead_process_left_is_abandoned_and_stays_spent(store: Store) -> None:
    log = CallLog(store)
    begin(log, "a")
    begin(log, "b", run="other")
    log.succeed(begin(log, "c"), REPLY, 1.0)
    assert log.mark_abandoned("r") == 1
    assert log.mark_abandoned("r") == 0
    assert log.spent("r") == Spent(2, 115, 1.5)
    assert log.find("a") is None


def test_a_key_keeps_the_first_of_two_answers(store: Store) -> None:
    log = CallLog(store)
    first, second, third = begin(log), begin(log), begin(log)
    log.succeed(first, REPLY, 1.0)
    assert log.succeed(second, Reply(text="other"), 1.0) == REPLY
    assert log.fail(third, "model", "late", 1.0) == REPLY
    assert log.find("k") == REPLY
    assert log.replies("r", "student") == 1
    assert log.spent("r").calls == 3


def test_only_attempts_that_were_used_up_mark_a_key_as_exhausted(store: Store) -> None:
    log = CallLog(store)
    for key, exhausted in (("a", False), ("b", False), ("b", True)):
        log.retry(begin(log, key), "503", 1.0, exhausted=exhausted)
    log.fail(begin(log, "c"), "model", "bad", 1.0)
    begin(log, "d")
    assert [key for key in "abcde" if log.was_exhausted(key)] == ["b"]
    assert log.find("b") is None
    assert log.totals("r")[0].retries == 3


def test_totals_and_replies(store: Store) -> None:
    log = CallLog(store)
    log.succeed(begin(log, "a"), REPLY, 1.0)
    log.retry(begin(log, "b"), "again", 1.0)
    log.succeed(begin(log, "b", attempt=2), REPLY, 1.0)
    log.fail(begin(log, "c"), "model", "bad", 1.0)
    begin(log, "d")
    assert log.totals("r") == (RoleCost(role="student", purpose="admit", calls=5, failed=1, retries=1, usage=USAGE + USAGE),)
    assert log.totals("nobody") == ()
    assert log.replies("r", "student") == 2
    assert log.replies("r", "teacher") == 0


def test_requests_are_kept_without_words_and_a_brief_stands_once(store: Store) -> None:
    log = CallLog(store)
    for i in range(5):
        begin(log, f"k{i}", text=f"question {i % 2}")
    with store.transaction() as conn:
        texts = [text for _, text in conn.execute(store.tables.texts.select())]
    assert texts.count("the brief") == 1
    bodies = [text for text in texts if text.startswith("{")]
    assert len(bodies) == 2
    assert not any("question" in body for body in bodies)


def test_a_finished_log_can_be_copied_for_replay(store: Store, tmp_path: Path) -> None:
    log = CallLog(store)
    for i in range(3):
        log.succeed(begin(log, f"k{i}", text=f"q{i}"), Reply(text=f"a{i}"), 1.0)
    log.fail(begin(log, "bad"), "refusal", "no", 1.0)
    log.retry(begin(log, "again"), "429", 1.0)
    begin(log, "open")
    with open_store(tmp_path / "fresh.db") as fresh:
        replay = CallLog(fresh)
        replay.succeed(begin(replay, "k0"), Reply(text="mine"), 1.0)
        assert replay.copy_from(store.path) == 3
        assert replay.copy_from(store.path) == 0
        assert [getattr(replay.find(key), "text", None) for key in ("k0", "k1", "k2")] == ["mine", "a1", "a2"]
        assert isinstance(replay.find("bad"), ModelError)
        assert replay.find("open") is None
        assert replay.spent("r").calls == 1
        assert replay.totals("replayed")[0].calls == 3
    with pytest.raises(StoreError, match="no database at"):
        log.copy_from(tmp_path / "nowhere.db")
    assert not (tmp_path / "nowhere.db").exists()


def test_a_call_costs_little(store: Store) -> None:
    """Below 2 ms of CPU on the reference machine; the bound here leaves room for slow and busy ones."""
    log = CallLog(store)
    messages = (Message(role="system", content="brief " * 500), *(Message(role="user", content=f"turn {i}") for i in range(10)))
    asked = ModelRequest(messages=messages)
    start = time.process_time()
    for i in range(100):
        log.find(f"k{i}")
        id_ = log.begin(key=f"k{i}", run="r", attempt=1, role="student", model="m", purpose="try", sample=i, seed=0, request=asked)
        log.succeed(id_, REPLY, 1.0)
    assert (time.process_time() - start) / 100 < 0.01
