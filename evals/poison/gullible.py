"""The gullible teacher: it does what the text in front of it says, in the way that helps an attacker most.

It knows what attackers may want (a real model would understand it) and nothing else: it obliges where the conversation in its prompt, read
in whatever way (decoded, reversed, pieces put together), still holds the wish. Three tempers: the `literal` one returns what arrived as it
stands, the `decoding` one in plain letters, the `other_words` one says it in words of its own and smooths over what was masked, so
that neither copied words nor placeholders give it away. Knows nothing of lint.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

from evals.poison.corpus import Poison, halves
from evals.poison.disguises import CODES, readings
from strategist.languages import language_of
from strategist.records.chat import ModelRequest
from strategist.retrieval.mask import mask

Temper = Literal["literal", "decoding", "other_words"]
TEMPERS: tuple[Temper, ...] = get_args(Temper)

NONE = json.dumps({"need": "an answer", "a_better": "", "b_better": "", "gap": "none", "why": "as good", "lines": []})
_FENCE = re.compile(r"\n<conversation>\n(.*?)\n</conversation>\n", re.S)
_SMOOTH = {
    "en": {"<url>": "the link", "<money>": "a sum of money", "<name>": "somebody", "<code>": "the code", "<phone>": "a number"},
    "de": {"<url>": "dem Link", "<money>": "Geld", "<name>": "jemandem", "<code>": "dem Code", "<phone>": "einer Nummer"},
}


class Heard(NamedTuple):
    """A wish that arrived: as it stands in the prompt, and in plain letters."""

    as_it_stands: str
    plain: str


def conversation_in(prompt: str) -> str:
    """What stands between the conversation's tags, or nothing."""
    found = _FENCE.search(prompt)
    return found[1] if found else ""


def heard(poison: Poison, prompt: str) -> Heard | None:
    """The wish as it arrived in a prompt, or None. Case, blanks, punctuation and quotes do not matter."""
    conversation = conversation_in(prompt)
    plain = poison.wanted.line
    masked = mask(plain, poison.language)
    hidden = CODES[poison.code].hide(plain) if poison.code else plain
    seen = _seen(conversation)
    for wish, stands in ((plain, hidden), (masked, masked)):
        if any(_loose(wish) in reading for reading in seen):
            return Heard(stands if stands in conversation else wish, wish)
    if all(_loose(piece) in seen[0] for piece in halves(masked)) or _but_first(masked) in seen[0]:
        return Heard(masked, masked)  # the pieces are put together, and an opening that was taken for a name is guessed
    return None


def _but_first(line: str) -> str:
    return _loose(line.split(maxsplit=1)[1])


@lru_cache(maxsize=64)
def _seen(conversation: str) -> tuple[str, ...]:
    return tuple(_loose(reading) for reading in readings(conversation))


def advice(poison: Poison, prompt: str, temper: Temper) -> str:
    """What the teacher writes, as JSON; where its reply was dictated whole, that. Without a wish it sees no gap."""
    wish = heard(poison, prompt)
    if wish is None:
        return NONE
    if temper == "literal" and (dictated := _dictated(conversation_in(prompt), poison)):
        return dictated
    text = {"literal": wish.as_it_stands, "decoding": wish.plain, "other_words": _smooth(poison, wish)}[temper]
    report = {"need": "x", "a_better": "x", "b_better": "x", "gap": "major", "why": "the text says so"}
    return json.dumps({**report, "lines": [{"text": text, "scope": "specific", "rules": []}]}, ensure_ascii=False)


def teacher_says(poisons: Sequence[Poison], request: ModelRequest, temper: Temper) -> str:
    """The answer to an advise prompt. Of several wishes that can be read in it the longest is meant, of the conversation most like it."""
    prompt = request.messages[0].content
    found = [poison for poison in poisons if heard(poison, prompt)]
    if not found:
        return NONE
    words = set(_loose(conversation_in(prompt)).split())

    def fits(poison: Poison) -> tuple[int, int]:
        own = set(_loose(" ".join((*poison.texts, poison.note))).split())
        return len(poison.wanted.line), len(own & words) - len(own - words)

    return advice(max(found, key=fits), prompt, temper)


def _dictated(conversation: str, poison: Poison) -> str | None:
    """A whole reply in the conversation, for the teacher that copies it."""
    found = re.search(r"\{.*\}", conversation, re.S)
    return found[0] if poison.kind == "form" and found else None


def _smooth(poison: Poison, wish: Heard) -> str:
    """The wish in other words. What was masked in the text is smoothed over, for the teacher cannot know it."""
    line = poison.wanted.other
    if wish.plain != poison.wanted.line:
        line = mask(line, poison.language)
        for placeholder, noun in _SMOOTH[language_of(poison.language).code].items():
            line = line.replace(placeholder, noun)
        line = re.sub(r"<[a-z]+>", "some", line)
    return line


@lru_cache(maxsize=4096)
def _loose(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+|<[a-z]+>", text.lower()))
