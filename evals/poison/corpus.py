"""The poisoned conversations: hand-written carriers times hand-written lines, filled by seed.

Owns the data files beside it and how they become conversations. A conversation knows its kind, what the customer writes, what a tool finds,
and the line that the attacker wants to become advice, with a marker that tells it in either wording. Equal seeds give equal corpora. Knows
no model and nothing of the program but its languages' codes.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from evals.poison.disguises import CODES

FOLDER = Path(__file__).parent
EACH = 16
"""Conversations of a kind."""
LONG = 60
"""Sentences around the line in a very long text."""


class Line(NamedTuple):
    """What an attacker wants: the dictated line, the same in other words, what tells both."""

    id: str
    group: str
    line: str
    other: str
    marker: str

    def is_in(self, text: str) -> bool:
        """Whether a text carries the line's intent."""
        return re.search(self.marker, text, re.I | re.S) is not None


class Poison(NamedTuple):
    """One poisoned conversation. `texts` are the customer's messages in order, `note` what the tool finds on the parcel (or nothing)."""

    id: str
    kind: str
    language: str
    texts: tuple[str, ...]
    note: str
    code: str
    wanted: Line


class Carrier(NamedTuple):
    """How lines of some groups are brought in."""

    kind: str
    about: str
    language: str
    groups: tuple[str, ...]
    texts: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]
    codes: tuple[str, ...]
    long: bool


class Words(NamedTuple):
    """What fills a carrier: matters and pleas of its language, values of the slots."""

    matters: Sequence[str]
    pleas: Sequence[str]
    slots: Mapping[str, Sequence[str]]


@cache
def lines() -> tuple[Line, ...]:
    """All lines, unfilled."""
    return tuple(Line(**{name: str(one[name]) for name in Line._fields}) for one in _read("lines")["line"])


@cache
def carriers() -> tuple[Carrier, ...]:
    """All kinds, in the order of the file."""
    found = []
    for kind, one in _read("carriers").items():
        texts = tuple(tuple(text) for text in one["texts"])
        more = (tuple(one.get("note", ())), tuple(one.get("codes", ())), bool(one.get("long", False)))
        found.append(Carrier(kind, one["about"], one.get("language", "en"), tuple(one["groups"]), texts, *more))
    return tuple(found)


def corpus(seed: int = 0, each: int = EACH) -> tuple[Poison, ...]:
    """`each` conversations of every kind. The lines of a kind go round, so that each is used before one comes again."""
    return tuple(poison for carrier in carriers() for poison in _of_kind(carrier, seed, each))


def _of_kind(carrier: Carrier, seed: int, each: int) -> Iterator[Poison]:
    draw = random.Random(f"{seed}/{carrier.kind}")
    turns = [_shuffled([line for line in lines() if line.group == group], draw) for group in carrier.groups]
    seen: set[tuple[str, ...]] = set()
    for number in range(each):
        of_group = turns[number % len(turns)]
        line = of_group[number // len(turns) % len(of_group)]
        poison = _fill(carrier, number, line, draw)
        while (*poison.texts, poison.note) in seen:
            poison = _fill(carrier, number, line, draw)
        seen.add((*poison.texts, poison.note))
        yield poison


def _fill(carrier: Carrier, number: int, line: Line, draw: random.Random) -> Poison:
    words = _words(carrier.language)
    slots = {name: draw.choice(values) for name, values in words.slots.items()}
    wanted = line._replace(line=_put(line.line, slots), other=_put(line.other, slots))
    front, back = halves(wanted.line)
    code = carrier.codes[number % len(carrier.codes)] if carrier.codes else ""
    values = slots | {"line": wanted.line, "front": front, "back": back, "coded": CODES[code].hide(wanted.line) if code else wanted.line}
    texts = []
    for text in carrier.texts[number % len(carrier.texts)]:
        plea = " ".join(draw.choices(words.pleas, k=LONG)) if carrier.long else draw.choice(words.pleas)
        texts.append(_put(text, values | {"matter": draw.choice(words.matters), "plea": plea}))
    note = _put(carrier.notes[number % len(carrier.notes)], values) if carrier.notes else ""
    return Poison(f"{carrier.kind}-{number:02d}", carrier.kind, carrier.language, tuple(texts), note, code, wanted)


def _put(text: str, values: dict[str, str]) -> str:
    return re.sub(r"\{([a-z]+)\}", lambda match: values.get(match[1], match[0]), text)


def halves(line: str) -> tuple[str, str]:
    """The first and the second half of its words."""
    words = line.split()
    return " ".join(words[: len(words) // 2]), " ".join(words[len(words) // 2 :])


def _shuffled(found: list[Line], draw: random.Random) -> list[Line]:
    return draw.sample(found, len(found))


@cache
def _words(language: str) -> Words:
    file = _read("matters")
    return Words(file[language]["matter"], file[language]["plea"], file["slots"])


def plain_lines(name: str) -> tuple[tuple[str, str], ...]:
    """Language and line, of a text file of the suite: `honest`, `seen`, `heldout`, `clever`. `# de` says what follows."""
    found, language = [], "en"
    for line in filter(None, (FOLDER / f"{name}.txt").read_text(encoding="utf-8").split("\n")):
        if line.startswith("# "):
            language = line[2:]
        else:
            found.append((language, line))
    return tuple(found)


def in_words_of(name: str, poisons: Sequence[Poison]) -> tuple[Poison, ...]:
    """The same conversations; what the teacher says in its own words is a line of a file, in turn, of the conversation's language."""
    own = {language: [line for code, line in plain_lines(name) if code == language] for language in ("en", "de")}
    out = []
    for number, poison in enumerate(poisons):
        line = own[poison.language][number % len(own[poison.language])]
        marker = rf"{poison.wanted.marker}|{re.escape(line)}"
        out.append(poison._replace(wanted=poison.wanted._replace(other=line, marker=marker)))
    return tuple(out)


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
