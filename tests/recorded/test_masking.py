"""Masking on the way in: what identifies a person goes, what a conversation is about stays."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategist.recorded.masking import Masker
from strategist.records.chat import Message, ToolCall


def user(text: str) -> Message:
    return Message(role="user", content=text)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("write to ana.b+x@mail.example.org please", "write to <email> please"),
        ("call +49 170 5550123 or 650-253-0000", "call <phone> or <phone>"),
        ("IBAN DE89 3704 0044 0532 0130 00 it is", "IBAN <account> it is"),
        ("my card 4111 1111 1111 1111 was charged", "my card <card> was charged"),
        ("my name is Ana Reyes, hi", "my name is <name>, hi"),
        ("Dear Tom, thanks", "Dear <name>, thanks"),
    ],
)
def test_what_is_masked(text: str, masked: str) -> None:
    assert Masker("en").text(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "parcel SL440838 of order 1234567",
        "on 2024-05-20 at 14:30 for $121",
        "flight HAT069 from JFK",
        "card 4111 1111 1111 1112 is not one",
        "DE00 3704 0044 0532 0130 00 is not one",
        "Hi, Thanks a lot",
    ],
)
def test_what_stays(text: str) -> None:
    masker = Masker("en")
    assert masker.text(text) == text
    assert masker.found == {}


def test_german() -> None:
    said = Masker("de").text("Ich heiße Jonas Weber, Telefon 030 1234567, Frau Kaya weiß davon.")
    assert said == "Ich heiße <name>, Telefon <phone>, Frau <name> weiß davon."


def test_a_region_of_its_own() -> None:
    assert Masker("en", "GB").text("ring 020 7946 0018") == "ring <phone>"


def profile() -> str:
    return json.dumps(
        {
            "name": {"first_name": "Mia", "last_name": "Li"},
            "address": {"address1": "975 Sunset Drive", "zip": "78750", "country": "USA"},
            "email": "mia@example.com", "dob": "1990-04-05", "user_id": "mia_li_3668", "orders": [{"id": "W1", "price": 12}],
        }
    )  # fmt: skip


def test_what_a_profile_says_is_masked_in_the_whole_conversation() -> None:
    masker = Masker("en")
    messages = (
        user("I am mia_li_3668 and live at 975 sunset drive, Mia by the way"),
        Message(role="assistant", tool_calls=(ToolCall(id="1", name="get", arguments='{"user_id": "mia_li_3668"}'),)),
        Message(role="tool", content=profile(), tool_call_id="1"),
        Message(role="assistant", content="Hello Mia Li, born 1990-04-05; order W1 costs 12."),
    )
    said, call, result, reply = masker.conversation(messages)
    assert said.content == "I am <person> and live at <address>, <name> by the way"
    assert json.loads(call.tool_calls[0].arguments) == {"user_id": "<person>"}
    kept = json.loads(result.content)
    assert kept["orders"] == [{"id": "W1", "price": 12}]
    assert kept["address"] == {"address1": "<address>", "zip": "<address>", "country": "USA"}
    assert kept["name"] == {"first_name": "<name>", "last_name": "<name>"}
    assert reply.content.startswith("Hello <name> ")
    assert "1990" not in reply.content
    assert "Li" in reply.content  # two letters are a word, too: masked in place only
    assert masker.found["<person>"] >= 3


def test_a_tools_answer_that_is_no_object_is_text() -> None:
    odd = Message(role="tool", content='{"broken": ', tool_call_id="1")
    listed = Message(role="tool", content='["mia@example.com", 3]', tool_call_id="1")
    first, second = Masker("en").conversation((odd, listed))
    assert first.content == odd.content
    assert json.loads(second.content) == ["<email>", 3]


PARTS = ["my", "name", "is", "Ana", "a@b.org", "+49 170 5550123", "4111111111111111", "DE89370400440532013000", "12"]
WORDS = st.lists(st.sampled_from(PARTS))


@given(WORDS)
def test_masking_a_masked_text_changes_nothing(words: list[str]) -> None:
    masker = Masker("en")
    once = masker.text(" ".join(words))
    assert masker.text(once) == once
    assert "a@b.org" not in once
