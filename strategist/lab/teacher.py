"""The scripted teacher, advisor and judge of the lab.

`answer(request, draw)` is a pure function. Without a schema it acts: it always meets the need. Under a schema with `gap` it advises: it
finds no gap where the student's last attempt met the need, else it names the right line with probability `advice_right`, or a plausible
line of no use. Under a schema with `choice` it judges by needs, promises and length. Knows the world, and the prompts only as fenced text:
the first fence is the conversation.
"""

from __future__ import annotations

from collections.abc import Callable

from strategist.lab.reading import Dice, dice_of, fences, finished, latest_situation, read_moment, said_by_customer
from strategist.lab.student import PROMISE, SHORT_WORDS, worded
from strategist.lab.worlds import Need, Situation, World
from strategist.records.base import JsonObject, canonical
from strategist.records.chat import ModelRequest, Reply

FIRST_NEED_RULE = 4
"""Rules R1 to R3 of a lab's brief are about manners; from here on each need has one."""


def rule_of(world: World, need: Need) -> str:
    """The name of a need's rule in the brief (R4, R5, ...)."""
    return f"R{FIRST_NEED_RULE + world.needs.index(need)}"


def answer(world: World, request: ModelRequest, draw: int) -> Reply:
    """Act, advise or judge, as the request's schema says. An unknown schema gets an empty object."""
    dice = dice_of(world, "teacher", request, draw)
    if request.json_schema is None:
        situation = read_moment(world, request.messages).situation
        return finished(request, worded(situation, dice, met=True, polite=True))
    properties = request.json_schema.get("properties")
    fields = properties if isinstance(properties, dict) else {}
    kinds: dict[str, Callable[[World, str, Dice], JsonObject]] = {"gap": _advice, "choice": _verdict}
    text = "\n".join(message.content for message in request.messages if message.role == "user")
    content = next((write(world, text, dice) for field, write in kinds.items() if field in fields), {})
    return finished(request, canonical({name: value for name, value in content.items() if name in fields}))


def _advice(world: World, text: str, dice: Dice) -> JsonObject:
    parts = fences(text)
    situation = latest_situation(world, said_by_customer(parts[0][1] if parts else ""))
    reply = parts[-1][1] if len(parts) > 1 else ""
    if situation is None or situation.need.met_by(reply):
        return _report("none", "B serves the customer as well as A", situation, [])
    need = situation.need
    if dice.uniform("advice") < world.advice_right:
        scope = "general" if len(world.needs) == 1 else "specific"
        line: JsonObject = {"text": need.line, "scope": scope, "rules": [rule_of(world, need)]}
        return _report("major", "B leaves out what this customer needs most", situation, [line])
    return _report("minor", "B sounds less caring", situation, [{"text": situation.decoy, "scope": "specific", "rules": []}])


def _report(gap: str, why: str, situation: Situation | None, lines: list[JsonObject]) -> JsonObject:
    topic = situation.topic if situation is not None else "the matter"
    return {
        "need": f"Help with {topic}.",
        "a_better": "A gets to the point." if lines else "Nothing.",
        "b_better": "B is polite.",
        "gap": gap,
        "why": why,
        "lines": list(lines),
    }


def _verdict(world: World, text: str, _: Dice) -> JsonObject:
    parts = [body for _, body in fences(text)]
    if len(parts) < 3:
        return {"reason": "There is nothing to compare.", "choice": "tie"}
    situation = latest_situation(world, said_by_customer(parts[0]))
    first, second = (_merit(situation, reply) for reply in parts[1:3])
    choice = "tie" if first == second else "1" if first > second else "2"
    return {"reason": "Promises first, then what the customer needs, then length.", "choice": choice}


def _merit(situation: Situation | None, reply: str) -> tuple[bool, bool, bool]:
    met = situation is not None and situation.need.met_by(reply)
    return PROMISE.lower() not in reply.lower(), met, len(reply.split()) <= SHORT_WORDS
