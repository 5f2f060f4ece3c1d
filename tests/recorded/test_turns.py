"""Recorded messages as turns: the n-th customer's message belongs to the n-th turn, and nothing that was said in one is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from strategist.conversation import scenarios_of
from strategist.recorded.reading import Conversation
from strategist.recorded.turns import cut, trace_of
from strategist.records.chat import Message, ToolCall
from strategist.records.trace import customer_hash

CALL = ToolCall(id="1", name="find", arguments="{}")


def said(role: str, text: str = "", *calls: ToolCall) -> Message:
    return Message.model_validate({"role": role, "content": text, "tool_calls": calls})


def test_a_turn_has_its_tools_and_its_reply() -> None:
    messages = [
        said("assistant", "Welcome."), said("user", "Where is it?"), said("user", "Hello?"),
        said("assistant", "Let me look.", CALL), said("tool", "in Leeds"), said("assistant", "It is in Leeds."),
        said("user", "Thanks."), said("assistant", "", CALL), said("tool", "transferred"),
    ]  # fmt: skip
    joined, turns = cut(messages)
    (turn,) = turns
    assert turn.customer == "Where is it?\nHello?"
    assert turn.reply == "Let me look.\n\nIt is in Leeds."
    assert [step.role for step in turn.steps] == ["assistant", "tool"]
    assert [m.role for m in joined] == ["assistant", "user", "assistant", "tool", "assistant", "user"]


def test_the_customer_goes_on_where_nobody_answered() -> None:
    joined, turns = cut([said("user", "a"), said("assistant", "", CALL), said("tool", "x"), said("user", "b"), said("assistant", "c")])
    assert [(turn.customer, turn.reply, turn.steps) for turn in turns] == [("a\nb", "c", ())]
    assert [m.content for m in joined] == ["a\nb", "c"]


MESSAGES = st.lists(
    st.one_of(
        st.builds(lambda t: said("user", t), st.text("abc", min_size=1, max_size=3)),
        st.builds(lambda t: said("assistant", t), st.text("xyz", max_size=3)),
        st.builds(lambda t: said("assistant", t, CALL), st.text("xyz", max_size=3)),
        st.builds(lambda t: said("tool", t), st.text("123", max_size=3)),
    ),
    max_size=14,
)


@given(MESSAGES)
def test_customers_and_turns_go_together(messages: list[Message]) -> None:
    joined, turns = cut(messages)
    customers = [m.content for m in joined if m.role == "user"]
    assert customers[: len(turns)] == [turn.customer for turn in turns]
    assert len(customers) - len(turns) in (0, 1)  # the last may be without an answer
    whole = "\n".join(m.content for m in messages if m.role == "user")
    assert "\n".join(customers) == whole
    assert all(turn.reply.strip() for turn in turns)
    assert cut(joined) == (joined, turns)


def test_a_trace_says_whose_it_is_and_how_it_ended() -> None:
    one = Conversation("7", (said("user", "hi"), said("assistant", "hello")), 1.0, "g", "train", "late", "c-9", "2026-01-02", 1)
    trace = trace_of(one, one.messages, domain="d", source="log", split="train", index=3, actor="teacher")
    assert (trace.issue, trace.source, trace.time, trace.actor, trace.purpose) == ("late", "log", "2026-01-02", "teacher", "import")
    assert trace.customer == customer_hash("c-9")
    assert "c-9" not in trace.model_dump_json()
    assert trace.outcome is not None
    assert (trace.outcome.goal, trace.outcome.score) == (True, 1.0)
    assert (
        trace_of(
            one._replace(reward=None, customer=""), one.messages, domain="d", source="log", split="train", index=3, actor="teacher"
        ).outcome
        is None
    )
    (state,) = scenarios_of(trace, lambda messages: "key")
    assert state.issue == "late"
