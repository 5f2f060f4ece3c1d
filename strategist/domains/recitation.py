"""The built-in check against recitation: guidance is for the agent, and its words should not turn up in what the customer reads.

A reply recites where it shares five words in a row with a guidance line, or speaks of "the customer" the way guidance does. It is a soft
check without an advice line: it measures a side effect and is never taught. It applies to every reply, guided or not: as one check more for
guided replies only, it would let useless lines win their pairs by passing it.
"""

from __future__ import annotations

import re

from strategist.domains.checks import Check
from strategist.languages import language_of

GRAM = 5
_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")


def recites(reply: str, guidance: tuple[str, ...], language: str = "en") -> bool:
    """Whether a reply shares five words in a row with a line, case and punctuation ignored, or is worded as an instruction."""
    if re.search(language_of(language).addresses_agent, reply, re.IGNORECASE):
        return True
    said = _grams(reply)
    return any(not said.isdisjoint(_grams(line)) for line in guidance)


def _grams(text: str) -> frozenset[tuple[str, ...]]:
    words = [word.lower().replace("\u2019", "'") for word in _WORD.findall(text)]
    return frozenset(tuple(words[start : start + GRAM]) for start in range(len(words) - GRAM + 1))


def recitation_in(language: str) -> Check:
    """The check for replies in a language."""
    return Check(
        id="recitation",
        about="The reply does not repeat the guidance it was given.",
        hard=False,
        rules=(),
        advice=None,
        turn_test=lambda view: not recites(view.reply, view.guidance, language),
    )


RECITATION = recitation_in("en")
