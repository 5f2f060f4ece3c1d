"""Which entries a new brief may have made wrong, how likely, and why. Pure.

Owns what *stale* means and the order of the reasons. Knows no database and no model: the old briefs' texts are given. Whether an entry
still helps only the gate can tell; this says where to look first.

Invariants: an entry is stale if it may be used or proposed, holds a line, and was last tested under another brief; every stale entry is
touched in exactly one way, the likeliest that holds; a rule that only got a new number touches nobody but a line that names its number.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, get_args

from strategist.library.changes import BriefChange, Change, compare, content_words, new_words, texts
from strategist.library.lint import lint_candidate
from strategist.records.library import Entry, Strategy

Touch = Literal["rule", "lint", "unknown", "words", "other"]
"""Why a brief may have made an entry wrong, the likeliest first: a rule that it names changed; its text is not allowed under the new
brief; the old brief is not known here; it has words of a rule that changed; nothing of the kind."""
TOUCHED: tuple[Touch, ...] = get_args(Touch)[:-1]
OF_THE_BRIEF = ("money", "time", "particular")
"""Rules of lint that ask what the brief says. The others were asked before the entry was admitted and have not changed since."""
COMMON_SHARE = 4
"""A word that stands in more than one of this many rules and lines of the brief says nothing about which of them a line is about."""
SHARED_WORDS = 2
"""So many words of a changed rule make a line its neighbour; one is enough if it is among those that changed."""


class StaleEntry(NamedTuple):
    """A stale entry, how the new brief touches it, and why, in words."""

    entry: Entry
    touch: Touch
    why: tuple[str, ...]


class Staleness(NamedTuple):
    """All stale entries, those first that are most likely wrong; and by hash what changed since each of their briefs, None where its text
    is not known."""

    entries: tuple[StaleEntry, ...]
    changes: Mapping[str, BriefChange | None]


def is_stale(entry: Entry, brief_hash: str) -> bool:
    """Whether the entry was last tested under another brief than this. A control holds no line that a brief could make wrong, and what is
    retired is never used."""
    return not entry.is_control and entry.status != "retired" and entry.brief_hash != brief_hash


def staleness(entries: Sequence[Entry], known: Mapping[str, str], brief: str, brief_hash: str, language: str) -> Staleness:
    """The stale ones of these entries under this brief. `known`: hash -> text of the briefs that are known, `language` the code of the
    domain's."""
    stale = [entry for entry in entries if is_stale(entry, brief_hash)]
    changes = {old: change_since(old, known, brief, language) for old in sorted({entry.brief_hash for entry in stale})}
    common = _common_words([*known.values(), brief], language)
    found = [_touched(entry, changes[entry.brief_hash], brief, language, common) for entry in stale]
    order = get_args(Touch)
    return Staleness(tuple(sorted(found, key=lambda one: (order.index(one.touch), one.entry.id))), changes)


def change_since(old: str, known: Mapping[str, str], brief: str, language: str) -> BriefChange | None:
    """What changed since the brief of the hash `old`; None where that is not among the `known`."""
    return compare(known[old], brief, language) if old in known else None


def _touched(entry: Entry, change: BriefChange | None, brief: str, language: str, common: frozenset[str]) -> StaleEntry:
    forbidden = refused_by(entry.strategies, brief, language)
    if change is None:
        touch: Touch = "lint" if forbidden else "unknown"
        return StaleEntry(entry, touch, forbidden or ("the brief it was learned under is not known here: any rule may have changed",))
    rules = _by_rule(entry, change)
    if rules or forbidden:
        return StaleEntry(entry, "rule" if rules else "lint", (*rules, *forbidden))
    if shared := _by_words(entry, change, language, common):
        return StaleEntry(entry, "words", shared)
    return StaleEntry(entry, "other", ("the brief changed, not what this rests on",))


def refused_by(strategies: Sequence[Strategy], brief: str, language: str) -> tuple[str, ...]:
    """What the lines may not say under this brief: amounts, times and particulars that it does not name."""
    faults = lint_candidate(strategies, teacher_reply=None, customer_texts=(), brief=brief, language=language)
    return tuple(fault.message for fault in faults if fault.rule in OF_THE_BRIEF)


def _by_rule(entry: Entry, change: BriefChange) -> tuple[str, ...]:
    """The rules that the entry rests on or names, and what became of them."""
    rests_on = {rule for strategy in entry.strategies for rule in strategy.rules}
    written = {rule for strategy in entry.strategies for rule in re.findall(r"\bR\d+\b", strategy.text)}
    found = []
    for rule in sorted(rests_on | written, key=lambda rule: (len(rule), rule)):
        what = change.of(rule)
        if what is not None and (what.kind != "moved" or rule in written):
            found.append(_say(what, rule))
    return tuple(found)


def _say(change: Change, rule: str) -> str:
    verb = "rests on" if change.kind != "moved" else "names"
    if change.after is None:
        return f"{verb} {rule}, which is gone"
    moved = f" and is {change.after.id} now" if change.kind == "changed" and change.after.id != rule else ""
    return f"{verb} {rule}, which changed{moved}" if change.kind == "changed" else f"{verb} {rule}, which is {change.after.id} now"


def _by_words(entry: Entry, change: BriefChange, language: str, common: frozenset[str]) -> tuple[str, ...]:
    own = frozenset[str]().union(*(content_words(strategy.text, language) for strategy in entry.strategies)) - common
    found = []
    for what in change.real:
        sides = [content_words(rule.text, language) for rule in (what.before, what.after) if rule is not None]
        shared = own & frozenset[str]().union(*sides)
        if len(shared) >= SHARED_WORDS or (what.kind == "changed" and shared & new_words(what, language)):
            found.append(f"has words of {what.name}, which {_VERBS[what.kind]}: {', '.join(sorted(shared))}")
    return tuple(found)


_VERBS = {"added": "is new", "removed": "is gone", "changed": "changed"}


def _common_words(briefs: Sequence[str], language: str) -> frozenset[str]:
    """Words that are all over one of the briefs, mostly what the company deals in."""
    found: set[str] = set()
    for brief in briefs:
        lines = [content_words(text, language) for text in texts(brief)]
        counts = Counter(word for words in lines for word in words)
        found.update(word for word, count in counts.items() if count > max(1, len(lines) // COMMON_SHARE))
    return frozenset(found)


def renumbered(strategies: Sequence[Strategy], change: BriefChange | None) -> tuple[Strategy, ...]:
    """The same lines, resting on the rules by their numbers in the new brief; a rule that is gone is left out. Where it is not known what
    changed, as they are."""
    if change is None:
        return tuple(strategies)
    return tuple(s.model_copy(update={"rules": tuple(new for rule in s.rules if (new := _now(rule, change)))}) for s in strategies)


def _now(rule: str, change: BriefChange) -> str:
    what = change.of(rule)
    if what is None:
        return rule
    return "" if what.after is None else what.after.id
