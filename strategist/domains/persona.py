"""Persona cards: whom the simulated customer plays, drawn by seed from hand-written issue templates.

The card is also the customer's script: an ordered list of needs with several wordings each, hidden facts that are told only when asked,
a patience, a mood and a trap. `Goal` says which end state of the domain counts as solved. Everything here is data.
"""

from __future__ import annotations

import re
from typing import Literal, cast

from pydantic import Field

from strategist.records.base import JsonObject, Record, digest

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


RECORDED_MARK = "~"


def recorded_id(split: str, group: str, source: str) -> str:
    """The id that stands for a group of recorded conversations (a customer, a task), as personas' ids do for simulated customers."""
    return f"{split}-{_plain(group)}-{RECORDED_MARK}{_plain(source)}"


def recorded_persona(id: str) -> Persona:  # noqa: A002
    """Whom recorded conversations are with: an id and a split, and nothing to play from. Raises ValueError for another kind of id."""
    split, group, source = id.split("-")
    if split not in ("train", "dev", "test") or not source.startswith(RECORDED_MARK):
        raise ValueError(f"not the id of a recorded customer: {id}")
    return Persona(
        id=id,
        template=group,
        issue="recorded",
        split=cast(Split, split),
        seed=0,
        name="customer",
        mood="calm",
        patience=1,
        facts={},
        needs=(Need(id="recorded", wordings=("(recorded)",)),),
        state={},
    )


def _plain(text: str) -> str:
    """Letters, digits and underscores of a name; one that loses something by that gets a hash of the whole."""
    plain = re.sub(r"[^A-Za-z0-9_]+", "_", text)[:40]
    return plain if plain == text else f"{plain}_{digest(text, 8)}"


class CustomerTurn(Record):
    """What the customer says next. `acts` name what it does: `need:ID`, `again:ID`, `reveal:ID`, `trap:ID`, `thanks`, `leave`."""

    text: str
    acts: tuple[str, ...] = ()
    ended: Literal["done", "out_of_patience"] | None = None
