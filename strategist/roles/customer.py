"""The LLM customer: a model plays a persona card.

Owns the card's wording and the reading of what comes back. The model sees what a customer sees: the chat, neither the brief nor tools. The
whole chat goes into one user message, which keeps small models in their part better than swapped roles do. A reply that is empty, or in
the agent's part, is a typed failure and never gets into the conversation. Acts are not told apart here: checks that need them do not apply.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

from strategist.domains.persona import CustomerTurn, Persona
from strategist.errors import ModelError
from strategist.languages import Language, language_of
from strategist.models.protocol import Chat
from strategist.records.chat import Message, ModelRequest, Purpose
from strategist.roles.prompts import fenced, load_prompt, transcript

MAX_WORDS = 80
"""Longer messages are cut: real customers in a chat write less."""

_END = re.compile(r"\[\s*(end|leave)\s*\]", re.IGNORECASE)


class _Patterns(NamedTuple):
    """What stands before the customer's own words, where another speaker's begin, and what only an agent says."""

    name_tag: re.Pattern[str]
    next_speaker: re.Pattern[str]
    agent_voice: re.Pattern[str]


@cache
def _patterns(language: Language) -> _Patterns:
    own = language.customer
    return _Patterns(
        re.compile(rf"^\s*\W{{0,2}}({own.tags})\W{{0,2}}:\W{{0,2}}\s*", re.IGNORECASE),
        re.compile(rf"\n\s*\W{{0,2}}(?:{own.speakers})\W{{0,2}}:", re.IGNORECASE),
        re.compile(rf"^\W*({own.agents})\W{{0,2}}:|{own.agent_voice}", re.IGNORECASE),
    )


class LLMCustomer:
    """A Customer by a model, which writes in `language`."""

    def __init__(self, chat: Chat, *, language: str = "en", temperature: float = 0.8, max_tokens: int = 160) -> None:
        self.chat = chat
        self.language = language
        self.temperature = temperature
        self.max_tokens = max_tokens

    async def next(self, persona: Persona, messages: Sequence[Message], *, purpose: Purpose, sample: int = 0) -> CustomerTurn:
        """The next message. Raises ModelError of kind `customer` when the model falls out of its part or says nothing."""
        reply = await self.chat.ask(self.request(persona, messages), purpose=purpose, sample=sample)
        if reply.finish == "refusal":
            raise ModelError(f"{self.chat.model_name} refused to play the customer", kind="customer")
        return read_turn(reply.text, self.language)

    def request(self, persona: Persona, messages: Sequence[Message]) -> ModelRequest:
        """Card as the system message, chat so far as the user message."""
        chat = transcript(messages, tools=False) or "(Nothing yet: you open the chat.)"
        ask = load_prompt("customer_turn").render(conversation=fenced("chat", chat))
        tells = language_of(self.language).tells_customer
        return ModelRequest(
            messages=(Message(role="system", content=card(persona)), Message(role="user", content=f"{ask} {tells}" if tells else ask)),
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


def read_turn(text: str, language: str = "en") -> CustomerTurn:
    """What the model wrote, as a customer's turn: marks read, name in front and other speakers' lines cut off, at most MAX_WORDS words."""
    patterns = _patterns(language_of(language))
    mark = _END.search(text)
    said = patterns.name_tag.sub("", text[: mark.start()] if mark else text, count=1)
    said = patterns.next_speaker.split(said, maxsplit=1)[0].strip().strip('"').strip()
    if patterns.agent_voice.search(said):
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
