"""A lab world as a Domain in memory: brief, checks, personas. Nothing is read from a pack's folder and there are no tools.

Owns how a situation becomes a persona with needs and a check with advice. Knows no model. Invariants: personas are drawn by `stable_int` of
world, split, index and seed; neighbouring indices have different situations, so any prefix of a split covers all of them evenly; dev and
test personas open with wordings that train never uses.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache, partial

from strategist.domains.checks import Check, TurnView, turn_check
from strategist.domains.domain import REMEMBERED, Domain, persona_id
from strategist.domains.persona import Goal, Mood, Need, Persona, Split
from strategist.lab.student import COURTESY, PROMISE, SHORT_WORDS
from strategist.lab.teacher import rule_of
from strategist.lab.worlds import Situation, World
from strategist.records.base import stable_int

MOODS: tuple[Mood, ...] = ("calm", "worried", "annoyed", "angry")
MOST_NEEDS = 3
"""A persona has at most this many needs."""
_OPENINGS = 2
"""How many ways to open a persona knows."""

Draw = Callable[[str, int], int]
"""(name of the draw, n) -> a number below n."""


def lab_domain(world: World) -> Domain:
    """The domain of a world. Issues are its situations; the pack hash covers all of its parameters."""
    return Domain(
        name=f"lab_{world.name}",
        title="Lindenbaum Furniture",
        language="en",
        brief=brief(world),
        pack_hash=world.hash,
        checks=checks(world),
        tools=(),
        draw=lru_cache(REMEMBERED)(partial(draw_persona, world)),
        split_sizes=dict(world.personas.splits),
        issues=tuple(situation.id for situation in world.situations),
        reply_words=SHORT_WORDS,
    )


def brief(world: World) -> str:
    """The brief: three rules about manners, then one per need. That students do not live up to it is what the lab simulates."""
    manners = (
        "Replies are polite: they thank or say sorry.",
        f"Replies have at most {SHORT_WORDS} words.",
        "Nobody gives a guarantee of any outcome or date.",
    )
    rules = (*manners, *(need.rule for need in world.needs))
    numbered = "\n".join(f"R{number}. {rule}" for number, rule in enumerate(rules, 1))
    return f"# Service at Lindenbaum Furniture\n\n{numbered}\n"


def checks(world: World) -> tuple[Check, ...]:
    """One soft check with advice per need, then those without advice: manners (soft) and the forbidden promise (hard). Recitation is
    checked in every domain."""
    return (*(_need_check(world, situation) for situation in _first_of_each_need(world)), polite, short, no_promise)


def need_acts(situation: Situation) -> frozenset[str]:
    """Acts of a customer's message that voice this situation's need."""
    return frozenset(f"{kind}:{need_id(situation, number)}" for kind in ("need", "again") for number in range(MOST_NEEDS))


def need_id(situation: Situation, number: int) -> str:
    """Id of a persona's need: the situation, and its place in the conversation from 0."""
    return f"{situation.id}_{number + 1}"


def draw_persona(world: World, split: Split, index: int, seed: int) -> Persona:
    """The persona of a split, index >= 0 and seed."""
    plan, situation = world.personas, world.situations[index % len(world.situations)]

    def draw(name: str, count: int) -> int:
        return stable_int(world.name, situation.id, split, index, seed, name) % count

    facts = {
        "name": plan.names[draw("name", len(plan.names))],
        "item": plan.items[draw("item", len(plan.items))],
        "day": plan.days[draw("day", len(plan.days))],
        "order": f"LB{draw('order', 1_000_000):06d}",
    }
    openings = tuple(situation.openings[place] for place in plan.openings[split])
    low, high = plan.patience
    count = plan.needs[draw("needs", len(plan.needs))]
    return Persona(
        id=persona_id(split, index, seed),
        template=f"{situation.id}-{split}",
        issue=situation.id,
        split=split,
        seed=seed,
        name=facts["name"],
        mood=MOODS[draw("mood", len(MOODS))],
        patience=low + draw("patience", high - low + 1),
        facts=facts,
        needs=tuple(_need(situation, number, openings, facts, draw) for number in range(count)),
        goal=Goal(needs_met=True),
        state={"orders": {facts["order"]: {"item": facts["item"], "status": "open"}}},
        screen=f"Order {facts['order']}: {facts['item']}. Customer: {facts['name']}.",
    )


def _need(situation: Situation, number: int, openings: tuple[str, ...], facts: dict[str, str], draw: Draw) -> Need:
    """Need 0 opens with a wording of the split and a detail; later ones are follow-up questions, different ones of one persona."""
    if number == 0:
        first = draw("opening", len(openings))
        texts = [openings[(first + place) % len(openings)] for place in range(_OPENINGS)]
        texts = [f"{text} {situation.details[draw(f'detail-{place}', len(situation.details))]}" for place, text in enumerate(texts)]
    else:
        texts = [situation.follow_ups[(draw("follow", len(situation.follow_ups)) + number) % len(situation.follow_ups)]]
    return Need(
        id=need_id(situation, number),
        wordings=tuple(dict.fromkeys(text.format_map(facts) for text in texts)),
        again=tuple(text.format_map(facts) for text in situation.again),
        met_by=re.escape(situation.need.marker),
    )


def _first_of_each_need(world: World) -> list[Situation]:
    return list({situation.need.id: situation for situation in reversed(world.situations)}.values())[::-1]


def _need_check(world: World, situation: Situation) -> Check:
    need = situation.need
    sharing = tuple(other for other in world.situations if other.need.id == need.id)
    acts = frozenset[str]().union(*(need_acts(other) for other in sharing))

    def met(turn: TurnView) -> bool | None:
        return need.met_by(turn.reply) if turn.acts & acts else None

    declare = turn_check(
        f"meets_{need.id}", about=need.rule, rules=(rule_of(world, need),), advice=need.line, issues=tuple(other.id for other in sharing)
    )
    return declare(met)


@turn_check("polite", about="the reply thanks or says sorry", rules=("R1",))
def polite(turn: TurnView) -> bool:
    """Courtesy, measured only."""
    return turn.says(COURTESY)


@turn_check("short", about=f"the reply has at most {SHORT_WORDS} words", rules=("R2",))
def short(turn: TurnView) -> bool:
    """Length, measured only."""
    return len(turn.reply.split()) <= SHORT_WORDS


@turn_check("no_promise", about="the reply guarantees nothing", rules=("R3",), hard=True)
def no_promise(turn: TurnView) -> bool:
    """The forbidden promise: a policy breach."""
    return not turn.says(rf"\b{PROMISE}\b")
