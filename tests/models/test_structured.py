"""JSON replies with bounded repair."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import Field

from strategist.errors import ModelError
from strategist.models.adapters.wire import is_strict
from strategist.models.structured import ask_json, find_object, reply_schema
from strategist.records.base import Record
from strategist.records.chat import Message, ModelRequest, Purpose, Reply


class Part(Record):
    n: int = 1


class Verdict(Record):
    good: bool
    why: str = ""
    parts: tuple[Part, ...] = Field(default=(), max_length=2)


class Replies:
    """A Chat that answers from a list."""

    model_name = "sim"

    def __init__(self, *replies: Reply | str) -> None:
        self.replies = list(replies)
        self.asked: list[ModelRequest] = []

    async def ask(self, request: ModelRequest, *, purpose: Purpose, sample: int = 0) -> Reply:
        self.asked.append(request)
        reply = self.replies.pop(0)
        return reply if isinstance(reply, Reply) else Reply(text=reply)


ASK = ModelRequest(messages=(Message(role="user", content="is it good?"),))


def ask(chat: Replies, repairs: int = 1) -> Verdict:
    return asyncio.run(ask_json(chat, ASK, Verdict, purpose="coach", repairs=repairs))


@pytest.mark.parametrize(
    "text", ['{"good": true}', 'Sure!\n```json\n{"good": true, "parts": [{"n": 2}]}\n```\nAnything else?', ' {"good":true,"why":"a } b"} ']
)
def test_json_is_found_in_what_models_write_around_it(text: str) -> None:
    chat = Replies(text)
    assert ask(chat).good
    assert chat.asked[0].json_schema == reply_schema(Verdict)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("I think so", "no JSON object"),
        ('{"good": maybe}', "Expecting value"),
        ('{"good": 7, "extra": 1}', "good: Input should be a valid boolean"),
        (Reply(text='{"good": true}', finish="length"), "cut off"),
    ],
)
def test_a_bad_reply_is_sent_back_once_with_its_error(bad: Reply | str, words: str) -> None:
    chat = Replies(bad, '{"good": false}')
    assert not ask(chat).good
    *_, answer, question = chat.asked[1].messages
    assert answer.role == "assistant"
    assert words in question.content
    assert chat.asked[1].json_schema == chat.asked[0].json_schema


@pytest.mark.parametrize("repairs", [0, 1, 3])
def test_after_the_last_repair_it_is_not_json(repairs: int) -> None:
    chat = Replies(*["nonsense"] * 10)
    with pytest.raises(ModelError, match="no valid Verdict") as caught:
        ask(chat, repairs)
    assert caught.value.kind == "not_json"
    assert len(chat.asked) == repairs + 1


def test_a_schema_of_the_callers_own_is_kept() -> None:
    chat = Replies('{"good": true}')
    own = ASK.model_copy(update={"json_schema": {"type": "object"}})
    asyncio.run(ask_json(chat, own, Verdict, purpose="coach"))
    assert chat.asked[0].json_schema == {"type": "object"}


def test_schemas_demand_every_field_also_in_nested_records() -> None:
    schema = reply_schema(Verdict)
    assert schema["required"] == ["good", "why", "parts"]
    assert is_strict(schema)
    assert not is_strict(Verdict.model_json_schema())
    assert "default" not in str(schema)


def test_there_may_be_no_object() -> None:
    with pytest.raises(ValueError, match="no JSON object"):
        find_object("} no {")
