"""Checks: deterministic tests of one agent turn or one conversation against the brief.

A pack writes them as decorated functions that answer True (passed), False (failed) or None (does not apply here). A check that raises is
broken: its verdict has `passed=None` and counts nowhere. `advice` is the domain expert's line for it, in the words a strategy would
have; checks without one are measured only and show side effects.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from strategist.domains.persona import Persona
from strategist.records.base import JsonObject
from strategist.records.chat import Message, ToolCall


@dataclass(frozen=True)
class TurnView:
    """One agent turn as a check sees it. `acts` are those of the customer's last message, `past_acts` of all messages so far including it;
    `before` and `after` are the domain's state around the turn; `history` holds the messages before the reply."""

    reply: str
    customer: str
    acts: frozenset[str]
    past_acts: frozenset[str]
    history: tuple[Message, ...]
    persona: Persona
    calls: tuple[ToolCall, ...]
    before: JsonObject
    after: JsonObject
    guidance: tuple[str, ...] = ()
    turn: int = 0

    def says(self, pattern: str) -> bool:
        """Whether the reply matches the regular expression (case ignored)."""
        return re.search(pattern, self.reply, re.IGNORECASE) is not None

    def customer_says(self, pattern: str) -> bool:
        """Whether the customer's last message matches the regular expression (case ignored)."""
        return re.search(pattern, self.customer, re.IGNORECASE) is not None

    def called(self, tool: str) -> bool:
        """Whether the tool was called in this turn."""
        return any(call.name == tool for call in self.calls)

    def doing(self, act: str) -> bool:
        """Whether the customer's last message does this act; `need:refund` also matches `again:refund`."""
        kind, _, name = act.partition(":")
        return act in self.acts or (kind == "need" and f"again:{name}" in self.acts)


@dataclass(frozen=True)
class ConversationView:
    """A finished conversation as a check sees it."""

    turns: tuple[TurnView, ...]
    persona: Persona
    start: JsonObject
    end: JsonObject
    ended: str


TurnTest = Callable[[TurnView], bool | None]
ConversationTest = Callable[[ConversationView], bool | None]


@dataclass(frozen=True)
class Check:
    """A named test. Exactly one of `turn_test` and `conversation_test` is set; `issues` empty means every issue."""

    id: str
    about: str
    hard: bool
    rules: tuple[str, ...]
    advice: str | None
    issues: tuple[str, ...] = ()
    turn_test: TurnTest | None = field(default=None, repr=False)
    conversation_test: ConversationTest | None = field(default=None, repr=False)

    @property
    def scope(self) -> Literal["turn", "conversation"]:
        """What it tests."""
        return "turn" if self.turn_test is not None else "conversation"


def turn_check(
    id: str,  # noqa: A002
    *,
    about: str,
    rules: tuple[str, ...] = (),
    hard: bool = False,
    advice: str | None = None,
    issues: tuple[str, ...] = (),
) -> Callable[[TurnTest], Check]:
    """Declare a check of one agent turn."""
    return lambda test: Check(id=id, about=about, hard=hard, rules=rules, advice=advice, issues=issues, turn_test=test)


def conversation_check(
    id: str,  # noqa: A002
    *,
    about: str,
    rules: tuple[str, ...] = (),
    hard: bool = False,
    advice: str | None = None,
    issues: tuple[str, ...] = (),
) -> Callable[[ConversationTest], Check]:
    """Declare a check of one finished conversation."""
    return lambda test: Check(id=id, about=about, hard=hard, rules=rules, advice=advice, issues=issues, conversation_test=test)
