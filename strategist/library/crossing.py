"""What of a library may cross to another company: lines that belong to one company are recognised and held back. Pure.

A line belongs to the company it was learned at when it names that company, a rule of it by number, a tool or a name that the other brief
does not have, an amount or a time that the other brief does not grant (lint), or when much of what it talks about stands in its own
company's brief and not in the other's. Words that any company's service uses count nothing there (languages: `service_words`).

Owns that rule. Knows no model and no database. Invariants: a line of the other brief's own words crosses, if it is fit to be tested at all
and names no rule by number; a line with the name of its company never does; lines never cross between languages. What is held back carries
its reason. The rule goes by words: it catches what was seen, it proves nothing, and who moves a library should read what crossed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from strategist.domains.domain import Domain
from strategist.errors import LibraryError
from strategist.languages import Language, language_of
from strategist.library.lint import lint_strategy
from strategist.records.base import Record
from strategist.records.library import Entry, Floor, Key, Snapshot, Strategy

SPECIFIC_SHARE = 0.25
"""A line is held back when at least this share of its words, those of any service left out, are its own company's alone."""
SHORTEST_STEM = 3

Kind = Literal["company", "rule", "tool", "name", "words", "lint"]


class Company(NamedTuple):
    """What there is to tell a company's lines by: its title, the policy, the names of its tools, the language's code."""

    name: str
    title: str
    brief: str
    tools: tuple[str, ...]
    language: str


class Held(Record):
    """A line that does not cross, and why; `kind` is the first of its reasons."""

    entry: str
    line: str
    kind: Kind
    message: str


class Crossing(NamedTuple):
    """What crosses, and what is held back. Entries that lose a line have no evidence for what is left; of those that lose all only the keys
    are left, as gaps: a moment like theirs gets nothing, not the lines of whatever entry is next."""

    snapshot: Snapshot
    held: tuple[Held, ...]


class Finding(NamedTuple):
    """One reason to hold a line back."""

    kind: Kind
    message: str


def company_of(domain: Domain) -> Company:
    """The company whose service a domain is."""
    return Company(domain.name, domain.title, domain.brief, tuple(tool.spec.name for tool in domain.tools), domain.language)


def cross(library: Snapshot, sources: Mapping[str, Company], target: Company, *, brief_hash: str = "") -> Crossing:
    """The part of a library that may be used at another company.

    `sources`: the companies where it was learned, by the name of their domain, as far as they are known; without its source a line is held
    against the target alone. Entries with the target's own `brief_hash` are at home: all of their lines cross. Controls have no lines and
    cross. Raises LibraryError where a source speaks another language than the target.
    """
    own = language_of(target.language)
    for source in sources.values():
        theirs = language_of(source.language)
        if theirs.code != own.code:
            raise LibraryError(
                f"nothing crosses: the lines of {source.title} are {theirs.name}, {target.title} speaks {own.name}",
                hint="lines, keys and vectors are of one language; teach the other company by itself",
            )
    kept: list[Entry] = []
    held: list[Held] = []
    gaps: list[Key] = []
    for entry in library.entries:
        lost = [] if entry.brief_hash == brief_hash else _held(entry, sources.get(entry.domain), target)
        held += lost
        left = _without(entry, {one.line for one in lost})
        if left is not None:
            kept.append(left)
        elif entry.scope == "specific":
            gaps += entry.keys
    return Crossing(library.model_copy(update={"entries": tuple(kept), "floor": _with_gaps(library.floor, gaps)}), tuple(held))


def findings(line: str, source: Company | None, target: Company) -> tuple[Finding, ...]:
    """Why a line does not cross, in a fixed order; empty if it does. The lines of a language only: both must speak one."""
    own = language_of(target.language)
    found: tuple[tuple[Kind, str | None], ...] = (
        ("company", _names_company(line, source, target, own)),
        ("rule", _first(r"\bR\d+\b", line, "names a rule by its number")),
        ("tool", _foreign_tool(line, target)),
        ("name", _foreign_name(line, target, own)),
        ("words", _own_words(line, source, target, own)),
    )
    faults = lint_strategy(line, teacher_reply=None, customer_texts=(), brief=target.brief, language=target.language)
    reasons = [Finding(kind, message) for kind, message in found if message is not None]
    return (*reasons, *(Finding("lint", fault.message) for fault in faults))


def specific_words(line: str, source: Company, target: Company) -> tuple[list[str], int]:
    """The words of a line that its own company's brief has and the other's has not, and how many words there are that no stop word and no
    word of any service is. Forms of one word are the same word."""
    own = language_of(target.language)
    common = _stems([*own.stop_words, *own.common_words, *own.service_words, *own.advice.number_words], own)
    there, here = _stems(_words(source.brief), own), _stems(_words(f"{target.brief} {target.title}"), own)
    content = [word for word in dict.fromkeys(_words(line)) if _stem(word, own) not in common and not word.isdigit()]
    return [word for word in content if _stem(word, own) in there - here], len(content)


def _held(entry: Entry, source: Company | None, target: Company) -> list[Held]:
    found = [(strategy.text, findings(strategy.text, source, target)) for strategy in entry.strategies]
    return [Held(entry=entry.ref, line=line, kind=reasons[0].kind, message=reasons[0].message) for line, reasons in found if reasons]


def _without(entry: Entry, lines: set[str]) -> Entry | None:
    """The entry without some of its lines, itself where it loses none, None where none are left."""
    if not lines:
        return entry
    left: Sequence[Strategy] = tuple(strategy for strategy in entry.strategies if strategy.text not in lines)
    return entry.model_copy(update={"strategies": left, "evidence": None}) if left else None


def _with_gaps(floor: Floor | None, keys: Sequence[Key]) -> Floor | None:
    """The floor with more gaps; without one, a floor of 0, which asks for nothing but to be nearer than they are."""
    if not keys:
        return floor
    before = floor or Floor(score=0.0, source="start")
    return before.model_copy(update={"gaps": tuple(dict.fromkeys([*before.gaps, *keys]))})


def _names_company(line: str, source: Company | None, target: Company, own: Language) -> str | None:
    """The company's title, or a word of it that the other company does not know."""
    if source is None or _flat(source.title) == _flat(target.title):
        return None
    if _flat(source.title) and f" {_flat(source.title)} " in f" {_flat(line)} ":
        return f"names the company: {source.title}"
    here = _stems(_words(f"{target.brief} {target.title}"), own)
    general = _stems([*own.stop_words, *own.common_words, *own.service_words], own)
    title = {stem for stem in _stems(_words(source.title), own) - here - general if len(stem) >= SHORTEST_STEM}
    found = next((word for word in _words(line) if _stem(word, own) in title), None)
    return None if found is None else f"a word of the company's name: {found}"


def _foreign_tool(line: str, target: Company) -> str | None:
    known = {*target.tools, *re.findall(r"\w+", target.brief)}
    found = next((name for name in re.findall(r"\b[^\W_]+(?:_[^\W_]+)+\b", line) if name not in known), None)
    return None if found is None else f"names a tool that is not here: {found}"


def _foreign_name(line: str, target: Company, own: Language) -> str | None:
    """A capital in mid-sentence, where that makes a name, of a word that the other brief does not have."""
    if not own.masking.capitals:
        return None
    here = set(_words(f"{target.brief} {target.title}"))
    names = re.findall(r"(?<=[\w,;] )[A-Z][^\W_]+", line)
    found = next((name for name in names if name.lower() not in here and not re.fullmatch(r"R\d+", name)), None)
    return None if found is None else f"a name that the other brief does not have: {found}"


def _own_words(line: str, source: Company | None, target: Company, own: Language) -> str | None:
    if source is None:
        return None
    specific, count = specific_words(line, source, target)
    if not specific or len(specific) < SPECIFIC_SHARE * count:
        return None
    return f"{len(specific)} of {count} words are of {source.title} alone: {', '.join(specific)}"


def _first(pattern: str, text: str, what: str) -> str | None:
    match = re.search(pattern, text)
    return None if match is None else f"{what}: {match[0]}"


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


def _flat(text: str) -> str:
    return " ".join(_words(text))


def _stems(words: Iterable[str], own: Language) -> frozenset[str]:
    return frozenset(_stem(word, own) for word in words)


def _stem(word: str, own: Language) -> str:
    """A word without its ending: one ending at most, and never shorter than three letters."""
    fits = (ending for ending in own.endings if word.endswith(ending) and len(word) - len(ending) >= SHORTEST_STEM)
    return word.removesuffix(next(fits, ""))
