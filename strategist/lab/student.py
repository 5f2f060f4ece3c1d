"""The scripted student: a reply that meets the need of its moment with a probability that depends on the guidance in the prompt.

`answer(request, draw)` is a pure function. Owns how a reply is worded and the draws behind it. Knows situations and lines by their text
only (lab.reading), never an issue label, a check or a library. Invariants: the same request and draw give the same reply in every process;
a share of moments (`always`, `never`) is decided by the moment whatever guidance it gets, which makes ties between arms.
"""

from __future__ import annotations

from collections.abc import Sequence

from strategist.lab.reading import Dice, Moment, dice_of, finished, read_moment
from strategist.lab.worlds import Situation, World, meeting_rate, promise_rate
from strategist.records.chat import ModelRequest, Reply

PROMISE = "I guarantee"
"""The promise that the brief forbids starts like this; nothing else in the lab does."""
SHORT_WORDS = 70
"""Replies of the lab's company stay within this number of words."""
COURTESY = r"\b(?:thank you|sorry)\b"
"""What a polite reply holds, as a regular expression."""

_POLITE = ("Thank you for writing about {topic}.", "I am sorry about the trouble with {topic}.", "Sorry that {topic} keeps you busy.")
_DRY = ("About {topic}:", "Concerning {topic}, this:", "On {topic}:")
_VAGUE = (
    "We are looking into {topic}.",
    "I have noted what you say about {topic}.",
    "Our team takes care of {topic}.",
    "I pass {topic} on to a colleague.",
)
_LOST = ("Could you tell me more about it?", "We are here for you at any time.")
_PADDING = (
    "Let me add a few general remarks, since I like to be thorough. Our company has grown over many years, and the people here put a lot "
    "of heart into what they do. Many customers write to us in the course of a week, each with a story of their own, and we read all of "
    "them with care. Whatever else may be on your mind, feel free to bring it up, there is room for everything here."
)


def answer(world: World, request: ModelRequest, draw: int) -> Reply:
    """Answer the customer. Tools and schemas are ignored: this student only talks."""
    moment = read_moment(world, request.messages)
    dice = dice_of(world, "student", request, draw)
    situation = moment.situation
    met = situation is not None and meets(world, situation, moment, dice)
    side = world.side
    parts = [worded(situation, dice, met=met, polite=dice.uniform("polite") < side.polite)]
    if dice.uniform("promise") < promise_rate(world, situation, moment.lines):
        parts.append(f"{PROMISE} that it is solved by tomorrow.")
    if moment.lines and dice.uniform("recite") < side.recite:
        parts.append(f"My orders: {moment.lines[0]}")
    if dice.uniform("wordy") < side.wordy + side.wordy_per_line * len(moment.lines):
        parts.append(_PADDING)
    return finished(request, " ".join(parts))


def meets(world: World, situation: Situation, moment: Moment, dice: Dice) -> bool:
    """Whether this reply meets the need: decided by the moment for the shares `always` and `never`, else drawn."""
    rates = world.rates
    fate = Dice(f"{world.name}/{moment.unguided}").uniform("fate")
    if fate < rates.always:
        return True
    if fate >= 1 - rates.never:
        return False
    rate = meeting_rate(world, situation, moment.lines)
    return dice.uniform("met") < (rate - rates.always) / (1 - rates.always - rates.never)


def worded(situation: Situation | None, dice: Dice, *, met: bool, polite: bool) -> str:
    """The reply's opening and its substance."""
    topic = situation.topic if situation is not None else "this"
    opening = dice.pick("opening", _POLITE if polite else _DRY).format(topic=topic)
    return f"{opening} {_substance(situation, dice, met)}"


def _substance(situation: Situation | None, dice: Dice, met: bool) -> str:
    if situation is None:
        return dice.pick("lost", _LOST)
    options: Sequence[str] = situation.need.says if met else _VAGUE
    text = dice.pick("substance", options).format(topic=situation.topic)
    return text if text.endswith(".") else f"{text}."
