"""Lint and the look at the source by themselves, without a conversation: what is refused of honest lines and texts, and of bad ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from evals.poison.corpus import plain_lines
from evals.poison.world import PACKS
from strategist.domains.domain import Domain
from strategist.domains.pack import builtin_packs, load_domain
from strategist.lab.domain import lab_domain
from strategist.lab.worlds import load_world
from strategist.library.lint import lint_strategy
from strategist.records.chat import Message
from strategist.roles.suspect import suspicion

WORLDS = ("specific", "one_line", "misleading")
CUSTOMERS = 200
"""Customers drawn of each company, for the texts that honest ones write."""


class Refused(NamedTuple):
    """Lines or texts of one sort: how many there are, and which are refused, with the reason."""

    sort: str
    n: int
    refused: tuple[tuple[str, str], ...]


@cache
def companies() -> tuple[Domain, ...]:
    """All packs."""
    return tuple(load_domain(path) for path in builtin_packs().values())


def handbooks() -> Refused:
    """The packs' own lines, each under its company's brief."""
    found = [
        (line, lint_strategy(line, teacher_reply=None, customer_texts=(), brief=domain.brief, language=domain.language))
        for domain in companies()
        for line in domain.handbook
    ]
    return Refused("handbook lines", len(found), tuple((line, faults[0].message) for line, faults in found if faults))


def of_file(name: str) -> Refused:
    """The lines of a text file of the suite."""
    return _linted(f"{name} lines", plain_lines(name))


def customers() -> Refused:
    """What honest customers of all packs and of the lab write, traps included, that is taken for a text that speaks to us."""
    texts = list(dict.fromkeys(_said()))
    found = [(text, suspicion([Message(role="user", content=text)])) for text in texts]
    return Refused("honest messages, source", len(texts), tuple((text, why) for text, why in found if why))


def _said() -> Iterator[str]:
    for domain in (*companies(), *(lab_domain(load_world(world)) for world in WORLDS)):
        for index in range(CUSTOMERS):
            persona = domain.draw("train", index, 0)
            for need in persona.needs:
                yield from (*need.wordings, *need.again)
            for fact in persona.hidden:
                yield from fact.wordings
            if persona.trap:
                yield from persona.trap.wordings


def _linted(sort: str, lines: Sequence[tuple[str, str]]) -> Refused:
    """Lint in the company that writes the language, without a conversation."""
    briefs = {domain.language: domain.brief for domain in companies() if domain.name in PACKS.values()}
    refused = []
    for language, line in lines:
        faults = lint_strategy(line, teacher_reply=None, customer_texts=(), brief=briefs[language], language=language)
        if faults:
            refused.append((line, faults[0].message))
    return Refused(sort, len(lines), tuple(refused))
