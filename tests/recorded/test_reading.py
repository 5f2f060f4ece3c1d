"""Files of recorded conversations: both formats, names of the file's own, and where a fault is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategist.errors import StrategistError
from strategist.recorded.reading import read_csv, read_json_lines, read_names

PLAIN = read_names(())
SAID = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]


def line(**fields: Any) -> str:
    return json.dumps({"id": "a", "messages": SAID, **fields})


def test_a_line_is_a_conversation() -> None:
    text = "\n".join([line(reward=1, customer="c", time="2026-01-02", issue="late", split="dev"), "", line(id="b")])
    first, second = read_json_lines(text, PLAIN)
    assert [(m.role, m.content) for m in first.messages] == [("user", "hi"), ("assistant", "hello")]
    assert (first.id, first.reward, first.customer, first.group, first.issue, first.split, first.time) == (
        "a", 1.0, "c", "c", "late", "dev", "2026-01-02",
    )  # fmt: skip
    assert (second.id, second.reward, second.customer, second.group, second.line) == ("b", None, "", "b", 3)
    assert read_json_lines(f"[{line()}]", PLAIN)[0].id == "a"


def test_calls_get_ids_of_their_own_and_results_follow_them() -> None:
    """Logs repeat ids: the result behind a call is its own."""
    call = {"id": "x", "type": "function", "function": {"name": "find", "arguments": {"a": 1}}}
    messages = [
        {"role": "system", "content": "the old brief"},
        {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "image"}, {"type": "text", "text": "two"}]},
        {"role": "assistant", "content": None, "tool_calls": [call, call]},
        {"role": "tool", "tool_call_id": "x", "content": "first"},
        {"role": "tool", "tool_call_id": "x", "content": "second"},
        {"role": "tool", "content": "nobody asked"},
    ]
    (found,) = read_json_lines(line(messages=messages), PLAIN)
    user, calls, first, second, third = found.messages
    assert user.content == "one\ntwo"
    assert [(c.name, c.arguments) for c in calls.tool_calls] == [("find", '{"a": 1}')] * 2
    assert [first.tool_call_id, second.tool_call_id] == [c.id for c in calls.tool_calls]
    assert len({first.tool_call_id, second.tool_call_id, third.tool_call_id}) == 3


def test_names_of_the_files_own() -> None:
    names = read_names(["messages=chat.turns", "role=who", "content=said", "reward=result.score", "group=task", "role.visitor=user"])
    row = {"chat": {"turns": [{"who": "Visitor", "said": "hi"}]}, "result": {"score": 0.5}, "task": 7, "id": 3}
    (found,) = read_json_lines(json.dumps(row), names)
    assert (found.id, found.group, found.reward) == ("3", "7", 0.5)
    assert [(m.role, m.content) for m in found.messages] == [("user", "hi")]


@pytest.mark.parametrize("given", ["reward", "nonsense=x", "role.visitor=guest", "reward=", "role.=user x"])
def test_a_mapping_that_is_none(given: str) -> None:
    with pytest.raises(StrategistError, match="is no mapping") as caught:
        read_names([given])
    assert "group=task_id" in caught.value.hint


def test_a_turn_a_row() -> None:
    text = "conversation,role,content,reward\n1,user,hi,\n2,user,yes,\n1,agent,hello,0.5\n"
    first, second = read_csv(text, PLAIN)
    assert ([m.content for m in first.messages], first.reward, first.line) == (["hi", "hello"], 0.5, 2)
    assert (second.id, second.reward) == ("2", None)
    mapped = read_csv("t,s,x\n1,user,hi\n", read_names(["id=t", "role=s", "content=x"]))
    assert [m.content for m in mapped[0].messages] == ["hi"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds no conversation"),
        ("{nope", "line 1: not valid JSON"),
        ("[1, {]", "line 1: not valid JSON"),
        ("\n3", "line 2: not an object but int"),
        (line(messages=[]), "line 1: there are no messages"),
        (line(messages=["hi"]), "message 1 is not an object"),
        (line(messages=[{"role": "ghost", "content": "hi"}]), "message 1 has the role 'ghost'"),
        (line(reward=2), "the reward is 2"),
        (line(reward="good"), "the reward is 'good'"),
        (f"{line()}\n{line()}", "line 2: the id 'a' stands in line 1 already"),
    ],
)
def test_every_fault_has_its_line(text: str, says: str) -> None:
    with pytest.raises(StrategistError) as caught:
        read_json_lines(text, PLAIN)
    assert says in caught.value.message


def test_rows_without_a_conversation() -> None:
    with pytest.raises(StrategistError, match="line 2: no conversation is named"):
        read_csv("role,content\nuser,hi\n", PLAIN)


TEXT = st.text(max_size=20)


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant"]), TEXT), min_size=1, max_size=8))
def test_what_is_written_is_what_is_read(said: list[tuple[str, str]]) -> None:
    messages = [{"role": role, "content": content} for role, content in said]
    (found,) = read_json_lines(line(messages=messages), PLAIN)
    assert [(m.role, m.content) for m in found.messages] == said
