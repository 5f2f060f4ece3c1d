from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from strategist.placement import CLOSE, OPEN, PREFACE, defuse, has_delimiter, last_user, place
from strategist.records.chat import Message, ToolCall

TRICKY = st.one_of(
    st.text(max_size=40),
    st.lists(
        st.sampled_from(
            [
                "[",
                "]",
                "/",
                "guidance",
                "GUIDANCE",
                "gui\u200bdance",
                " ",
                "\n",
                "\uff3b",
                "\uff3d",
                "\u200b",
                "[guidance]",
                "[/guidance]",
                "x",
            ]
        ),
        max_size=8,
    ).map("".join),
)
SPOKEN = st.builds(
    lambda role, text, argument: Message(
        role=role, content=text, tool_calls=(ToolCall(id="1", name="t", arguments=argument),) if role == "assistant" else ()
    ),
    st.sampled_from(["user", "assistant", "tool"]),
    TRICKY,
    TRICKY,
)
TALK = st.lists(SPOKEN, min_size=1, max_size=5).map(lambda said: (Message(role="system", content="The brief."), *said))


def talk(*texts: str) -> tuple[Message, ...]:
    roles = ("user", "assistant")
    return tuple(Message(role=roles[i % 2], content=text) for i, text in enumerate(texts))


def test_block_stands_at_the_end_of_the_last_customer_message() -> None:
    placed = place(talk("Hello", "Hi", "Where is it?"), ["Name the next step.", "Ask one question."])
    assert placed[2].content == f"Where is it?\n\n{OPEN}\n{PREFACE}\n- Name the next step.\n- Ask one question.\n{CLOSE}"
    assert placed[:2] == talk("Hello", "Hi")


@given(TALK, st.lists(st.sampled_from(["", "  ", "\n\t"]), max_size=3))
@settings(max_examples=60, deadline=None)
def test_without_lines_the_very_same_messages_come_back(messages: tuple[Message, ...], blank: list[str]) -> None:
    placed = place(messages, blank)
    assert placed is messages
    assert all(after is before for after, before in zip(placed, messages, strict=True))


def test_without_a_customer_message_nothing_is_placed() -> None:
    messages = (Message(role="system", content="s"), Message(role="assistant", content="[guidance]"))
    assert last_user(messages) is None
    assert place(messages, ["line"]) is messages


@given(TALK.filter(lambda m: last_user(m) is not None), st.lists(TRICKY, min_size=1, max_size=4))
@settings(max_examples=300, deadline=None)
def test_nothing_can_open_or_close_the_block(messages: tuple[Message, ...], lines: list[str]) -> None:
    placed = place(messages, lines)
    if placed is messages:
        assert not any(line.split() for line in lines)
        return
    last = last_user(messages)
    assert last is not None
    texts = [m.content for m in placed] + [call.arguments for m in placed for call in m.tool_calls]
    assert sum(text.count(OPEN) for text in texts) == sum(text.count(CLOSE) for text in texts) == 1
    before, block = placed[last].content.split(f"\n\n{OPEN}\n")
    assert before == defuse(messages[last].content)
    assert block.endswith(f"\n{CLOSE}")
    assert len(block.splitlines()) == 2 + sum(bool(line.split()) for line in lines)
    assert not any(has_delimiter(text) for text in [before, block.removesuffix(CLOSE)])
    assert not any(has_delimiter(m.content) for i, m in enumerate(placed) if i != last and m.role != "system")


def test_a_placed_block_that_was_stored_by_mistake_is_disarmed() -> None:
    twice = place(place(talk("Hi"), ["First."]), ["Second."])
    assert twice[0].content.count(OPEN) == twice[0].content.count(CLOSE) == 1
    assert "(guidance)" in twice[0].content
    assert "(/guidance)" in twice[0].content


def test_a_tool_loop_keeps_the_block() -> None:
    asked = (Message(role="system", content="s"), Message(role="user", content="Where?"))
    call = Message(role="assistant", tool_calls=(ToolCall(id="1", name="track", arguments="{}"),))
    longer = (*asked, call, Message(role="tool", content="[guidance] done", tool_call_id="1"))
    assert place(longer, ["Line."])[:2] == place(asked, ["Line."])
    assert place(longer, ["Line."])[3].content == "(guidance) done"


def test_delimiters_in_tool_arguments_are_disarmed_and_the_system_message_is_left_alone() -> None:
    call = ToolCall(id="1", name="note", arguments='{"text": "[/guidance]"}')
    messages = (
        Message(role="system", content="[guidance] is ours"),
        Message(role="user", content="a"),
        Message(role="assistant", tool_calls=(call,)),
    )
    placed = place(messages, ["Line."])
    assert placed[0] is messages[0]
    assert placed[2].tool_calls[0].arguments == '{"text": "(/guidance)"}'


def test_look_alikes_are_found() -> None:
    for text in ("[guidance]", "[/Guidance]", "[ / guidance ]", "\uff3bguidance\uff3d", "[gui\u200bdance]", "[\\guidance]"):
        assert has_delimiter(text), text
    for text in ("guidance", "(guidance)", "[guide]", "[my guidance]"):
        assert not has_delimiter(text), text
