"""The scripted customer: plays a persona card without a model.

Owns the script: what is told, asked, repeated, sprung and when it is over. It remembers nothing; where it stands is recomputed by replaying
the agent's turns, so that a conversation can be taken up anywhere. It knows no checks and no state of the domain.

Invariants: a hidden fact is told only after a reply that asks for it, and once; a trap is sprung at most once; needs are asked in order;
the conversation ends whatever the agent does, because every reply brings the customer on or costs patience, but for one after the trap.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from strategist.domains.persona import CustomerTurn, HiddenFact, Need, Persona
from strategist.languages import language_of
from strategist.languages.language import Customer
from strategist.records.base import stable_int
from strategist.records.chat import Message, Purpose, ToolCall


class ScriptedCustomer:
    """A Customer that follows its card; the same conversation always gets the same answer. `language` is that of its own phrases."""

    def __init__(self, language: str = "en") -> None:
        self.language = language

    async def next(self, persona: Persona, messages: Sequence[Message], *, purpose: Purpose, sample: int = 0) -> CustomerTurn:
        """The customer's next message. Purpose and sample number make no difference: all variation comes from the persona."""
        return customer_turn(persona, messages, self.language)


class _AgentTurn(NamedTuple):
    """What the customer gets to see of one agent turn, and which tools ran in it."""

    text: str
    tools: frozenset[str]


@dataclass(frozen=True)
class _Stand:
    """Where the customer stands before its message `number`.

    `need` is the current need, `opened` how many needs were asked so far; `asked`: whether the last message left the current need with the
    agent, so that a reply without help costs patience; `tools` ran in turns whose reply was empty."""

    patience: int
    number: int = 1
    need: int = 0
    opened: int = 1
    repeats: int = 0
    asked: bool = True
    sprung: bool = False
    told: frozenset[str] = frozenset()
    tools: frozenset[str] = frozenset()


def customer_turn(persona: Persona, messages: Sequence[Message], language: str = "en") -> CustomerTurn:
    """The customer's next message: the opening where no customer has spoken yet, else the answer to the last agent turn.

    An agent turn may hold several assistant messages and tool results; one without any text counts as unhelpful."""
    phrases = language_of(language).customer
    said = CustomerTurn(text=_opening(persona, phrases), acts=(f"need:{persona.needs[0].id}",))
    stand = _Stand(patience=persona.patience)
    for turn in _agent_turns(messages):
        stand, said = _answer(persona, phrases, stand, turn)
        if said.ended is not None:
            break
    return said


def _answer(persona: Persona, phrases: Customer, stand: _Stand, turn: _AgentTurn) -> tuple[_Stand, CustomerTurn]:
    """One step of the script: where the customer stands afterwards, and what it says."""
    readable = bool(turn.text.strip())
    tools = stand.tools | turn.tools
    told = _asked_for(persona, stand, turn.text) if readable else ()
    met = readable and stand.need < stand.opened and _is_met(persona.needs[stand.need], turn.text, tools)
    now = replace(
        stand,
        need=stand.need + met,
        repeats=0 if met else stand.repeats,
        told=stand.told | {fact.id for fact in told},
        tools=frozenset() if readable else tools,
    )
    all_met = now.need == len(persona.needs)
    helped = met or all_met or bool(told) or now.need == now.opened
    if not helped and (stand.asked or not readable):
        now = replace(now, patience=now.patience - 1)
    if now.patience == 0:
        return now, CustomerTurn(text=_choose(persona, now, phrases.leaving[persona.mood]), acts=("leave",), ended="out_of_patience")
    return _speak(persona, phrases, now, told, all_met=all_met, readable=readable)


def _speak(
    persona: Persona, phrases: Customer, stand: _Stand, told: tuple[HiddenFact, ...], *, all_met: bool, readable: bool
) -> tuple[_Stand, CustomerTurn]:
    """Facts that were asked for, then one of: the trap, thanks, the next need, the current need again."""
    texts = [_choose(persona, stand, fact.wordings) for fact in told]
    acts = [f"reveal:{fact.id}" for fact in told]
    after = replace(stand, number=stand.number + 1, asked=True)
    trap = persona.trap
    if trap is not None and not stand.sprung and readable and (all_met or stand.number >= trap.turn):
        texts.append(_choose(persona, stand, trap.wordings))
        acts.append(f"trap:{trap.id}")
        after = replace(after, sprung=True, asked=False)
    elif all_met and not told:
        return after, CustomerTurn(text=_choose(persona, stand, phrases.thanks[persona.mood]), acts=("thanks",), ended="done")
    elif not all_met and stand.need == stand.opened:
        texts.append(_choose(persona, stand, persona.needs[stand.need].wordings))
        acts.append(f"need:{persona.needs[stand.need].id}")
        after = replace(after, opened=stand.opened + 1)
    elif not all_met and (not told or _draw(persona, stand.number, "join") % 2):
        texts.append(_insist(persona, phrases, stand, after_fact=bool(told)))
        acts.append(f"again:{persona.needs[stand.need].id}")
        after = replace(after, repeats=stand.repeats + 1)
    return after, CustomerTurn(text=" ".join(texts), acts=tuple(acts))


def _opening(persona: Persona, phrases: Customer) -> str:
    wordings = persona.needs[0].wordings
    text = wordings[_draw(persona, 0, "wording") % len(wordings)]
    return _coloured(persona, phrases, 0, text) if _draw(persona, 0, "colour") % 2 else text


def _insist(persona: Persona, phrases: Customer, stand: _Stand, *, after_fact: bool) -> str:
    """The current need again; wordings are used in turn, so that none follows itself where there are several."""
    need = persona.needs[stand.need]
    wordings = need.again or need.wordings
    text = wordings[(_draw(persona, 0, need.id) + stand.repeats) % len(wordings)]
    return text if after_fact else _coloured(persona, phrases, stand.number, text)


def _coloured(persona: Persona, phrases: Customer, number: int, text: str) -> str:
    prefixes = phrases.moods[persona.mood]
    return f"{prefixes[_draw(persona, number, 'mood') % len(prefixes)]} {text}" if prefixes else text


def _choose(persona: Persona, stand: _Stand, wordings: tuple[str, ...]) -> str:
    return wordings[_draw(persona, stand.number, "wording") % len(wordings)]


def _draw(persona: Persona, number: int, what: str) -> int:
    return stable_int(persona.id, number, what)


def _asked_for(persona: Persona, stand: _Stand, reply: str) -> tuple[HiddenFact, ...]:
    untold = (fact for fact in persona.hidden if fact.id not in stand.told)
    return tuple(fact for fact in untold if re.search(fact.asked_by, reply, re.IGNORECASE))


def _is_met(need: Need, reply: str, tools: frozenset[str]) -> bool:
    by_words = need.met_by is not None and re.search(need.met_by, reply, re.IGNORECASE) is not None
    return by_words or not tools.isdisjoint(need.met_by_tools)


def _agent_turns(messages: Sequence[Message]) -> list[_AgentTurn]:
    """What followed each customer message. A tool counts where its result is no error."""
    turns: list[tuple[list[str], list[ToolCall]]] = []
    for message in messages:
        if message.role == "user":
            turns.append(([], []))
        elif turns and message.role == "assistant":
            turns[-1][0].append(message.content)
            turns[-1][1].extend(message.tool_calls)
        elif turns and message.role == "tool" and message.content.startswith("error:"):
            _take_back(turns[-1][1], message.tool_call_id)
    return [_AgentTurn("\n".join(texts), frozenset(call.name for call in calls)) for texts, calls in turns]


def _take_back(calls: list[ToolCall], id: str | None) -> None:  # noqa: A002
    """Remove the latest call of this id: models use the same id again in later steps."""
    place = next((place for place in reversed(range(len(calls))) if calls[place].id == id), None)
    if place is not None:
        del calls[place]
