"""Overreach: what no line of advice may want, whatever its words are otherwise. Pure.

A line may not give away money or certainty, ask for secrets or hand out what belongs to others, switch off checks or rules, hide anything
from the company, send customers to another channel, or speak to those who teach, test and audit. Per language these are data (`Bar`): an
act and a thing in one clause, or a phrase that is enough alone. All languages are tried: who attacks chooses the words.

What turns an act around ("never", "without", "decline") clears it. A condition is no order: there only things are named, which a
pronoun may refer to later. What the brief itself orders is allowed, and so is a phrase that stands in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from strategist.languages import SUPPORTED, Language
from strategist.languages.language import Bar, BarName
from strategist.library.disguise import readings


class Overreach(NamedTuple):
    """What a line wants and may not: which bar it meets, and the words that say so."""

    bar: BarName
    words: str


class _Patterns(NamedTuple):
    act: re.Pattern[str]
    thing: re.Pattern[str]
    phrase: re.Pattern[str]


def overreach(text: str, brief: str) -> Overreach | None:
    """The first bar that a line meets in any language and any reading of it; None if it meets none."""
    return next(filter(None, (as_written(reading, brief) for reading in readings(text))), None)


def as_written(text: str, brief: str) -> Overreach | None:
    """The same for the text as it stands, disguises left alone."""
    return next((found for found in _found(text) if not _allowed(found, brief)), None)


def _found(text: str) -> Iterator[Overreach]:
    for language in SUPPORTED.values():
        condition, orders = _parts(text, language)
        for bar in language.advice.bars:
            for clause in (*([condition] if bar.anywhere else []), *orders):
                if (words := _meets(clause, condition, bar, language)) is not None:
                    yield Overreach(bar.name, words.lower())


def _meets(clause: str, condition: str, bar: Bar, language: Language) -> str | None:
    patterns = _patterns(bar)
    for phrase in patterns.phrase.finditer(clause):
        if bar.anywhere or not _turned(clause, phrase.start(), phrase.end(), language):
            return phrase[0]
    for act in patterns.act.finditer(clause):
        rest = f"{clause[: act.start()]} {clause[act.end() :]}"
        thing = patterns.thing.search(rest)
        if thing is None and _refers(clause, act.start(), act.end(), language):
            thing = patterns.thing.search(condition)
        if thing is not None and not _turned(clause, act.start(), act.end(), language):
            return f"{act[0]} ... {thing[0]}"
    return None


def _refers(clause: str, start: int, end: int, language: Language) -> bool:
    """Whether a pronoun goes with an act: at most one word behind it, or before it where the verb comes last."""
    pronoun = rf"\b(?:{language.advice.pronouns})\b"
    behind = re.match(rf"\W+(?:\w+\W+)?{pronoun}", clause[end:], re.I)
    last = bool(language.advice.wording.verb_last) and re.search(rf"{pronoun}\W+(?:\w+\W+){{0,2}}$", clause[:start], re.I)
    return bool(behind or last)


def _turned(clause: str, start: int, end: int, language: Language) -> bool:
    """Whether something turns an act around: before it, and where the verb comes last also behind it, with no `and` between them."""
    own = language.advice
    before = re.split(rf"\b(?:{own.parts})\b", clause[:start], flags=re.I)[-1]
    turns = rf"\b(?:{own.turns})\b(?!\W+(?:{own.turns_back})\b)"
    behind = bool(own.wording.verb_last) and re.match(rf"\W*\b(?:{own.turns})\b", clause[end:], re.I)
    return bool(re.search(turns, before, re.I) or behind)


def _parts(text: str, language: Language) -> tuple[str, list[str]]:
    """The condition that opens a line (or nothing), and its other clauses. Without a clause behind it a condition is taken for an order."""
    listed = re.sub(rf",(?=\s*\w+ (?:{language.advice.alternatives})\b)", " ", text)  # "never promise, offer or hint at" is one clause
    clauses = [clause for clause in re.split(r"[,;:.!?\u2013\u2014]", listed) if clause.strip()]
    opening = re.match(r"\W*([^\W\d_]+)", text)
    if len(clauses) > 1 and opening is not None and opening[1].lower() in language.advice.wording.conditions:
        return clauses[0], clauses[1:]
    return "", clauses


def _allowed(found: Overreach, brief: str) -> bool:
    """Whether the brief says the same: in words that nothing turns around, in a sentence of it."""
    return found in _orders_of(brief)


@cache
def _orders_of(brief: str) -> frozenset[Overreach]:
    return frozenset(found for sentence in re.split(r"(?<=[.!?])\s|\n", brief) for found in _found(sentence))


@cache
def _patterns(bar: Bar) -> _Patterns:
    return _Patterns(*(re.compile(rf"\b(?:{part})(?!\w)" if part else r"(?!)", re.I) for part in (bar.acts, bar.things, bar.phrases)))
