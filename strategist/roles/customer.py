"""The LLM customer: a model plays a persona card.

Owns the card's wording and the reading of what comes back. The model sees what a customer sees: the chat, neither the brief nor tools. The
whole chat goes into one user message, which keeps small models in their part better than swapped roles do. A reply that is empty, or in
the agent's part, is a typed failure and never gets into the conversation. Acts are not told apart here: checks that need them do not apply.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from strategist.domains.persona import CustomerTurn, Persona
from strategist.errors import ModelError
from strategist.models.protocol import Chat
from strategist.records.chat import Message, ModelRequest, Purpose
from strategist.roles.prompts import fenced, load_prompt, transcript

MAX_WORDS = 80
"""Longer messages are cut: real customers in a chat write less."""

_END = re.compile(r"\[\s*(end|leave)\s*\]", re.IGNORECASE)
_NAME_TAG = re.compile(r"^\s*\W{0,2}(customer|me|user)\W{0,2}:\W{0,2}\s*", re.IGNORECASE)
_NEXT_SPEAKER = re.compile(r"\n\s*\W{0,2}(agent|assistant|support|customer)\W{0,2}:", re.IGNORECASE)
_AGENT_VOICE = re.compile(
    r"^\W*(agent|assistant|support|representative)\W{0,2}:"
    r"|\bhow (can|may) (i|we) (help|assist) you\b"
    r"|\bthank(s| you) for (contacting|reaching out|your patience)\b"
    r"|\b(we|i) apologi[sz]e for (the|any) inconvenience\b"
    r"|\bis there anything else (i|we) can\b"
    r"|\bas an ai\b",
    re.IGNORECASE,
)


class LLMCustomer:
    """A Customer by a model."""

    def __init__(self, chat: Chat, *, temperature: float = 0.8, max_tokens: int = 160) -> None:
        self.chat = chat
        self.temperature = temperature
        self.max_tokens = max_tokens

    async def next(self, persona: Persona, messages: Sequence[Message], *, purpose: Purpose, sample: int = 0) -> CustomerTurn:
        """The next message. Raises ModelError of kind `customer` when the model falls out of its part or says nothing."""
        reply = await self.chat.ask(self.request(persona, messages), purpose=purpose, sample=sample)
        if reply.finish == "refusal":
            raise ModelError(f"{self.chat.model_name} refused to play the customer", kind="customer")
        return read_turn(reply.text)

    def request(self, persona: Persona, messages: Sequence[Message]) -> ModelRequest:
        """Card as the system message, chat so far as the user message."""
        chat = transcript(messages, tools=False) or "(Nothing yet: you open the chat.)"
        ask = load_prompt("customer_turn").render(conversation=fenced("chat", chat))
        return ModelRequest(
            messages=(Message(role="system", content=card(persona)), Message(role="user", content=ask)),
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            stop=("\nAgent:",),
        )


def card(persona: Persona) -> str:
    """The persona as the customer's instructions."""
    trap = persona.trap
    return load_prompt("customer").render(
        name=persona.name,
        mood=persona.mood,
        needs=_list(need.wordings[0] for need in persona.needs),
        facts=_list(f"{key}: {value}" for key, value in persona.facts.items()),
        hidden=_list(fact.wordings[0] for fact in persona.hidden),
        trap=f"With message {trap.turn + 1} at the latest you also try this: {trap.wordings[0]}" if trap else "You try no tricks.",
        patience=str(persona.patience),
    )


def read_turn(text: str) -> CustomerTurn:
    """What the model wrote, as a customer's turn: marks read, name in front and other speakers' lines cut off, at most MAX_WORDS words."""
    mark = _END.search(text)
    said = _NAME_TAG.sub("", text[: mark.start()] if mark else text, count=1)
    said = _NEXT_SPEAKER.split(said, maxsplit=1)[0].strip().strip('"').strip()
    if _AGENT_VOICE.search(said):
        raise ModelError(f"the customer spoke as the agent: {said[:80]!r}", kind="customer")
    if not said and not mark:
        raise ModelError("the customer said nothing", kind="customer")
    words = said.split()
    if len(words) > MAX_WORDS:
        said = " ".join(words[:MAX_WORDS])
    ended = None if mark is None else "done" if mark[1].lower() == "end" else "out_of_patience"
    return CustomerTurn(text=said, ended=ended)


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines) or "- nothing"
