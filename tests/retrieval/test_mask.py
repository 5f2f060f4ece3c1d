from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategist.records.chat import Message, ToolCall
from strategist.retrieval.mask import AGENT_WORDS, CUSTOMER_WORDS, key_text, mask, words


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("My parcel PX-48213 is late.", "My parcel <code> is late."),
        ("It cost $45.00, or 12,50 EUR.", "It cost <money>, or <money>."),
        ("Come on 12 March 2024 or 2024-05-06, by Friday at 3:45 pm.", "Come on <date> or <date>, by <date> at <time>."),
        ("Call +49 170 1234567 now.", "Call <phone> now."),
        ("Write to anna.k@mail.example.com please.", "Write to <email> please."),
        ("See https://x.example/a?b=1 and parcels.example.org/faq!", "See <url> and <url>"),
        ("I have 3 parcels.", "I have <number> parcels."),
        ("Hi, I'm Anna Smith.", "Hi, I'm <name>."),
        ("my name is anna and I wait", "my name is <name> and I wait"),
        ("Dear Mr. Jones, we wait. Thanks, Tom", "Dear Mr. <name>, we wait. Thanks, <name>"),
        ("I'm Sorry about that. This is ridiculous.", "I'm Sorry about that. This is ridiculous."),
        ("I've told you. Nobody came.\nNobody at all.", "I've told you. Nobody came.\nNobody at all."),
        ("We moved from Paris to New York", "We moved from <name> to <name>"),
        ("My order is #12, the slot 3pm, the 2nd one", "My order is <code>, the slot <time>, the <number> one"),
    ],
)
def test_particulars_become_placeholders(text: str, masked: str) -> None:
    assert mask(text) == masked


def test_nouns_of_german_are_no_names() -> None:
    assert mask("Wo ist das Paket 123456?", "de") == "Wo ist das Paket <code>?"
    assert mask("Where is the Paket?", "en") == "Where is the <name>?"


PIECES = [
    "Anna",
    "my name is",
    "I'm",
    "12 March",
    "$5",
    "PX-48213",
    "a@b.com",
    "www.x.org",
    "3pm",
    "hello",
    ".",
    ",",
    "\n",
    "7",
    "+49 170 1234",
    "é5",
]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join) | st.text(max_size=60))
@settings(max_examples=150, deadline=None)
def test_masking_leaves_no_digit_and_is_idempotent(text: str) -> None:
    once = mask(text)
    assert not any(c.isdecimal() for c in once)
    assert mask(once) == once


def say(role: str, content: str) -> Message:
    return Message.model_validate({"role": role, "content": content})


def test_key_is_the_opening_and_the_last_exchange_masked() -> None:
    messages = [
        say("system", "brief"),
        say("user", "First, I'm Anna"),
        say("assistant", "Which parcel, Anna?"),
        say("user", "It is PX-48213"),
    ]
    assert key_text(messages) == "First, I'm <name>\nWhich parcel, <name>?\nIt is <code>"
    assert key_text(messages[:2]) == "First, I'm <name>"
    assert key_text([messages[1], messages[3]]) == "First, I'm <name>\n\nIt is <code>", "each line keeps its place"


def test_the_tool_loop_does_not_change_the_key() -> None:
    messages = [say("user", "Where is it?")]
    call = Message(role="assistant", tool_calls=(ToolCall(id="1", name="look", arguments="{}"),))
    assert key_text([*messages, call, say("tool", "in transit"), say("assistant", "One moment")]) == key_text(messages) == "Where is it?"


def test_a_call_without_words_is_not_the_agents_message() -> None:
    call = Message(role="assistant", tool_calls=(ToolCall(id="1", name="look", arguments="{}"),))
    assert key_text([say("assistant", "Which one?"), call, say("user", "that one")]) == "Which one?\nthat one"


def test_no_customer_no_key() -> None:
    assert key_text([]) == key_text([say("system", "brief"), say("assistant", "Welcome")]) == ""


def test_long_messages_keep_the_agents_end_and_the_customers_beginning() -> None:
    agent, customer = (" ".join(f"w{chr(97 + i % 26)}" for i in range(300)) + f" {end}" for end in ("agentend", "customerend"))
    lines = key_text([say("assistant", agent), say("user", customer)]).split("\n")
    assert [len(line.split()) for line in lines] == [AGENT_WORDS, CUSTOMER_WORDS]
    assert lines[0].endswith("agentend")
    assert "customerend" not in lines[1]


def test_words_keep_placeholders_and_drop_single_letters() -> None:
    assert words("A parcel <code> ISN'T here") == ["parcel", "<code>", "isn", "here"]
