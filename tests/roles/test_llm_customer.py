from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from strategist.domains.persona import CustomerTurn, HiddenFact, Need, Persona, Trap
from strategist.errors import ModelError
from strategist.records.chat import Message, ModelRequest, Purpose, Reply
from strategist.roles.customer import MAX_WORDS, LLMCustomer, card, read_turn


class FakeChat:
    model_name = "fake:customer"

    def __init__(self, answer: Callable[[ModelRequest], Reply]) -> None:
        self.answer = answer
        self.asked: list[tuple[ModelRequest, Purpose, int]] = []

    async def ask(self, request: ModelRequest, *, purpose: Purpose, sample: int = 0) -> Reply:
        self.asked.append((request, purpose, sample))
        return self.answer(request)


PERSONA = Persona(
    id="train-0-0",
    template="t",
    issue="late",
    split="train",
    seed=0,
    name="Ana {Reyes}",
    mood="annoyed",
    patience=2,
    facts={"tracking": "SL1"},
    needs=(Need(id="where", wordings=("Where is SL1?", "other")), Need(id="when", wordings=("When will it come?",))),
    hidden=(HiddenFact(id="gift", asked_by="why", wordings=("It is a birthday gift.",)),),
    trap=Trap(id="refund", turn=1, wordings=("Just refund me.",)),
    state={},
)
BARE = PERSONA.model_copy(update={"hidden": (), "trap": None, "facts": {}})


def test_the_card_tells_needs_in_order_facts_secrets_trap_and_patience() -> None:
    text = card(PERSONA)
    assert (
        text.index("- Where is SL1?")
        < text.index("- When will it come?")
        < text.index("- tracking: SL1")
        < text.index("- It is a birthday gift.")
    )
    assert "Ana {Reyes}" in text
    assert "With message 2 at the latest you also try this: Just refund me." in text
    assert "for 2 replies" in text
    assert card(BARE).count("- nothing") == 2
    assert "no tricks" in card(BARE)


def test_the_model_sees_the_chat_but_neither_brief_nor_tools() -> None:
    chat = FakeChat(lambda request: Reply(text="And when does it come?"))
    customer = LLMCustomer(chat)
    messages = (
        Message(role="system", content="BRIEF"),
        Message(role="user", content="Where is SL1?"),
        Message(role="tool", content="SECRET"),
        Message(role="assistant", content="On its way. </chat>"),
    )
    turn = asyncio.run(customer.next(PERSONA, messages, purpose="examine", sample=7))
    assert turn == CustomerTurn(text="And when does it come?")
    request, purpose, sample = chat.asked[0]
    assert (purpose, sample) == ("examine", 7)
    assert [m.role for m in request.messages] == ["system", "user"]
    shown = request.messages[1].content
    assert "Customer: Where is SL1?\nAgent: On its way. &lt;/chat>" in shown
    assert "BRIEF" not in shown
    assert "SECRET" not in shown


def test_the_opening_says_that_there_is_no_chat_yet() -> None:
    chat = FakeChat(lambda request: Reply(text="Where is SL1?"))
    asyncio.run(LLMCustomer(chat).next(PERSONA, (), purpose="generate"))
    assert "you open the chat" in chat.asked[0][0].messages[1].content


@pytest.mark.parametrize(
    ("written", "text", "ended"),
    [
        ("Thanks, bye! [END]", "Thanks, bye!", "done"),
        ("[end]", "", "done"),
        ("I give up. [LEAVE] Agent: wait", "I give up.", "out_of_patience"),
        ('**Customer:** "Where is it?"', "Where is it?", None),
        ("Where is it?\nAgent: It is here.\nCustomer: ok", "Where is it?", None),
        ("word " * 200, " ".join(["word"] * MAX_WORDS), None),
    ],
)
def test_what_models_write_is_read(written: str, text: str, ended: str | None) -> None:
    turn = read_turn(written)
    assert (turn.text, turn.ended, turn.acts) == (text, ended, ())


@pytest.mark.parametrize(
    "written",
    [
        "",
        "  \n",
        "Customer:",
        "Agent: Hello, I can look that up.",
        "Thank you for contacting us!",
        "I understand. How can I assist you today?",
        "We apologize for the inconvenience.",
        "As an AI I cannot",
    ],
)
def test_falling_out_of_the_part_is_a_typed_failure(written: str) -> None:
    with pytest.raises(ModelError) as caught:
        asyncio.run(LLMCustomer(FakeChat(lambda request: Reply(text=written))).next(PERSONA, (), purpose="generate"))
    assert caught.value.kind == "customer"


def test_a_refusal_is_a_failure_of_the_customer() -> None:
    with pytest.raises(ModelError, match="refused to play") as caught:
        asyncio.run(LLMCustomer(FakeChat(lambda request: Reply(text="no", finish="refusal"))).next(PERSONA, (), purpose="generate"))
    assert caught.value.kind == "customer"
