"""What changed from one brief to another: rules added, removed, changed or only renumbered, other lines too, and amounts and times. Pure.

Rules are told apart by their text first, because a brief in which a rule was put in carries every later rule under a new number. What is
no rule (headings, facts between the rules) is compared line by line in the same way. Knows no entry and no library.

Invariants: each rule of either brief is in exactly one change or is the same in both; equal texts are never called changed; the order is
that of the new brief, with what is gone behind it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Literal, NamedTuple

from strategist.domains.manifest import Rule, read_rules
from strategist.languages import language_of
from strategist.library.lint import figures_in

Kind = Literal["added", "removed", "changed", "moved"]
ALIKE = 0.6
"""Share of words in common from which on two texts are the same rule, changed."""
SAME_ID = 0.3
"""What the same number adds to that share."""


class Change(NamedTuple):
    """One rule, or a line that is none (then its id is empty), before and after. `moved`: the same text under another number."""

    kind: Kind
    before: Rule | None
    after: Rule | None

    @property
    def name(self) -> str:
        """The id before, else after; `a line` for what is no rule."""
        return next((rule.id for rule in (self.before, self.after) if rule is not None and rule.id), "a line")


class BriefChange(NamedTuple):
    """All that changed. `figures_gone` and `figures_new`: amounts and times that only the old or only the new brief names."""

    changes: tuple[Change, ...]
    figures_gone: tuple[str, ...]
    figures_new: tuple[str, ...]

    @property
    def real(self) -> tuple[Change, ...]:
        """What says something else now: all changes but new numbers."""
        return tuple(change for change in self.changes if change.kind != "moved")

    def of(self, rule: str) -> Change | None:
        """What became of the rule that had this id; None where it is as it was, or never was."""
        return next((change for change in self.changes if change.before is not None and change.before.id == rule), None)


def compare(old: str, new: str, language: str) -> BriefChange:
    """What changed from the old brief to the new one; `language` is the code of the domain's."""
    before, after = _passages(old), _passages(new)
    pairs: list[tuple[int, int]] = []
    for match in (_by_text, _by_words, _by_id):
        left = [i for i in range(len(before)) if i not in {i for i, _ in pairs}]
        right = [j for j in range(len(after)) if j not in {j for _, j in pairs}]
        pairs += match(before, after, left, right)
    partner = {j: before[i] for i, j in pairs}
    kept = {i for i, _ in pairs}
    changes = [_change(partner.get(j), rule) for j, rule in enumerate(after)]
    gone = [Change("removed", rule, None) for i, rule in enumerate(before) if i not in kept]
    figures = figures_in(old, language), figures_in(new, language)
    return BriefChange(
        (*(change for change in changes if change is not None), *gone),
        tuple(sorted(figures[0] - figures[1])),
        tuple(sorted(figures[1] - figures[0])),
    )


def content_words(text: str, language: str) -> frozenset[str]:
    """The words of a text that say what it is about: three letters and more, without the language's stop words."""
    own = language_of(language)
    return frozenset(re.findall(r"[^\W\d_]{3,}", text.lower())) - own.stop_words - own.common_words


def new_words(change: Change, language: str) -> frozenset[str]:
    """The content words that stand on one side of a change only."""
    sides = [content_words(rule.text, language) if rule is not None else frozenset[str]() for rule in (change.before, change.after)]
    return sides[0] ^ sides[1]


def texts(brief: str) -> tuple[str, ...]:
    """The texts of a brief's rules and other lines."""
    return tuple(rule.text for rule in _passages(brief))


def _passages(brief: str) -> list[Rule]:
    """The rules, and the lines that are none, without an id; in the order of the lines."""
    rules = {rule.line: rule for rule in read_rules(Path("brief.md"), brief, [])}
    lines = [rules.get(number) or Rule("", line, number) for number, line in enumerate(brief.splitlines(), start=1)]
    return [Rule(rule.id, " ".join(rule.text.split()), rule.line) for rule in lines if rule.id or rule.text.strip()]


def _change(before: Rule | None, after: Rule) -> Change | None:
    if before is None:
        return Change("added", None, after)
    if before.text != after.text:
        return Change("changed", before, after)
    return Change("moved", before, after) if before.id != after.id else None


Match = Callable[[Sequence[Rule], Sequence[Rule], Sequence[int], Sequence[int]], list[tuple[int, int]]]
"""(old, new, places in old and in new that are free) -> pairs of places."""


def _by_text(before: Sequence[Rule], after: Sequence[Rule], left: Sequence[int], right: Sequence[int]) -> list[tuple[int, int]]:
    """Equal texts: under the same id if there is one, else in order."""
    found: list[tuple[int, int]] = []
    free = list(right)
    for same_id in (True, False):
        for i in left:
            if any(i == taken for taken, _ in found):
                continue
            fits = (j for j in free if _same(before[i], after[j]) and (not same_id or before[i].id == after[j].id))
            if (j := next(fits, None)) is not None:
                found.append((i, j))
                free.remove(j)
    return found


def _same(one: Rule, other: Rule) -> bool:
    return one.text == other.text and bool(one.id) == bool(other.id)


def _by_words(before: Sequence[Rule], after: Sequence[Rule], left: Sequence[int], right: Sequence[int]) -> list[tuple[int, int]]:
    """Texts that are much alike, the most alike first."""
    scored = [(_alike(before[i], after[j]), i, j) for i in left for j in right if bool(before[i].id) == bool(after[j].id)]
    found: list[tuple[int, int]] = []
    for score, i, j in sorted(scored, key=lambda one: (-one[0], one[1], one[2])):
        if score >= ALIKE and all(i != taken and j != given for taken, given in found):
            found.append((i, j))
    return found


def _by_id(before: Sequence[Rule], after: Sequence[Rule], left: Sequence[int], right: Sequence[int]) -> list[tuple[int, int]]:
    """What is left under the same number is a rule that was written anew."""
    place = {after[j].id: j for j in right if after[j].id}
    return [(i, place.pop(before[i].id)) for i in left if before[i].id in place]


def _alike(one: Rule, other: Rule) -> float:
    matcher = SequenceMatcher(a=one.text.lower().split(), b=other.text.lower().split(), autojunk=False)
    return matcher.ratio() + SAME_ID * (bool(one.id) and one.id == other.id)
