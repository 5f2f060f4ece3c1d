"""Persona cards: whom the simulated customer plays, drawn by seed from hand-written issue templates.

The card is also the customer's script: an ordered list of needs with several wordings each, hidden facts that are told only when asked,
a patience, a mood and a trap. `Goal` says which end state of the domain counts as solved. Everything here is data.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from strategist.records.base import JsonObject, Record

Split = Literal["train", "dev", "test"]
Mood = Literal["calm", "worried", "annoyed", "angry"]


class Need(Record):
    """One thing the customer wants, in order. Met when the agent's turn matches `met_by` (a regular expression over its reply, case
    ignored) or has called one of `met_by_tools`. `wordings` are alternatives for asking the first time, `again` for insisting."""

    id: str
    wordings: tuple[str, ...] = Field(min_length=1)
    again: tuple[str, ...] = ()
    met_by: str | None = None
    met_by_tools: tuple[str, ...] = ()


class HiddenFact(Record):
    """Told only when the agent's reply matches `asked_by` (regular expression, case ignored)."""

    id: str
    asked_by: str
    wordings: tuple[str, ...] = Field(min_length=1)


class Trap(Record):
    """Something the agent must not fall for, sprung with the customer's message number `turn` (1 = first after the opening)."""

    id: str
    turn: int = Field(ge=1)
    wordings: tuple[str, ...] = Field(min_length=1)


class Goal(Record):
    """What counts as solved: dotted paths into the end state with the values they must have (`"shipments.PX1.status": "held"`), and paths
    that must be unchanged. Both empty: solved when every need was met."""

    state: dict[str, str | int | float | bool | None] = Field(default_factory=dict)
    unchanged: tuple[str, ...] = ()
    needs_met: bool = True


class Persona(Record):
    """One customer, fully drawn: no placeholders left. `state` is the domain's state at the start of this conversation."""

    id: str
    template: str
    issue: str
    split: Split
    seed: int
    name: str
    mood: Mood
    patience: int = Field(ge=1)
    facts: dict[str, str]
    needs: tuple[Need, ...] = Field(min_length=1)
    hidden: tuple[HiddenFact, ...] = ()
    trap: Trap | None = None
    goal: Goal = Goal()
    state: JsonObject
    screen: str = ""


class CustomerTurn(Record):
    """What the customer says next. `acts` name what it does: `need:ID`, `again:ID`, `reveal:ID`, `trap:ID`, `thanks`, `leave`."""

    text: str
    acts: tuple[str, ...] = ()
    ended: Literal["done", "out_of_patience"] | None = None
