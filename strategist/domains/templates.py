"""Issue templates: what one line of personas.jsonl holds, what can be wrong with it, and how a persona is drawn from it.

Owns the drawing: same pack name, template, split, index and seed give the same persona, everywhere. Templates belong to one split each, so
no persona of one split shares its story with another split. Knows no file names and no checks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pydantic import Field, model_validator

from strategist.domains.domain import persona_id
from strategist.domains.faults import Fault
from strategist.domains.persona import Goal, HiddenFact, Mood, Need, Persona, Split, Trap
from strategist.domains.reading import parse_json, parse_record
from strategist.domains.slots import Pick, Slot, deep_merge, draw_slots, fill, fill_object, fill_pattern, picker, placeholders, slot_faults
from strategist.records.base import JsonObject, Record

_ID = re.compile(r"[a-z0-9][a-z0-9_-]*")


class Template(Record):
    """One hand-written issue. Every text may hold {slot} placeholders; `patience` is a range, `mood` a choice."""

    id: str
    issue: str
    split: Split
    slots: dict[str, Slot] = Field(default_factory=dict)
    mood: tuple[Mood, ...] = Field(default=("calm",), min_length=1)
    patience: tuple[int, int] = (3, 3)
    facts: dict[str, str] = Field(default_factory=dict)
    needs: tuple[Need, ...] = Field(min_length=1)
    hidden: tuple[HiddenFact, ...] = ()
    trap: Trap | None = None
    goal: Goal = Goal()
    state: JsonObject = Field(default_factory=dict)
    screen: str = ""

    @model_validator(mode="after")
    def _patience_is_a_range(self) -> Template:
        low, high = self.patience
        if not 1 <= low <= high:
            raise ValueError("`patience` is [least, most] with 1 <= least <= most")
        return self


class TemplateLine(NamedTuple):
    """A template and the line of its file it stands in."""

    line: int
    template: Template


@dataclass(frozen=True)
class Deck:
    """All templates of a pack with what they share: enough to draw any persona."""

    pack: str
    shared: Mapping[str, Slot]
    base: JsonObject
    templates: tuple[Template, ...]

    def of(self, split: Split) -> tuple[Template, ...]:
        """The templates of a split, in file order."""
        return tuple(template for template in self.templates if template.split == split)

    def draw(self, split: Split, index: int, seed: int) -> Persona:
        """The persona of (split, index, seed). Raises IndexError where the split has no template."""
        templates = self.of(split)
        if not templates or index < 0:
            raise IndexError(f"no persona {split} {index}: the split has {len(templates)} templates")
        return draw_persona(self, templates[index % len(templates)], index, seed)


def draw_persona(deck: Deck, template: Template, index: int, seed: int) -> Persona:
    """Draw slots, mood, patience and the order of wordings. Raises KeyError for placeholders that `template_faults` reports."""
    pick = picker(deck.pack, template.id, template.split, index, seed)
    slots = draw_slots({**deck.shared, **template.slots}, pick)
    low, high = template.patience
    return Persona(
        id=persona_id(template.split, index, seed),
        template=template.id,
        issue=template.issue,
        split=template.split,
        seed=seed,
        name=slots["name"],
        mood=template.mood[pick("/mood", len(template.mood))],
        patience=low + pick("/patience", high - low + 1),
        facts={**slots, **{key: fill(text, slots) for key, text in template.facts.items()}},
        needs=tuple(_need(need, slots, pick) for need in template.needs),
        hidden=tuple(_hidden(fact, slots, pick) for fact in template.hidden),
        trap=None if template.trap is None else _trap(template.trap, slots, pick),
        goal=_goal(template.goal, slots),
        state=deep_merge(deck.base, fill_object(template.state, slots)),
        screen=fill(template.screen, slots),
    )


def read_templates(path: Path, text: str, shared: Mapping[str, Slot], faults: list[Fault]) -> tuple[TemplateLine, ...]:
    """All usable templates of a JSON-lines text; the faults of the others, and ids that stand twice, are added to `faults`."""
    found: list[TemplateLine] = []
    for number, line in enumerate(text.splitlines(), start=1):
        value = parse_json(path, line, faults, line=number) if line.strip() else None
        template = None if value is None else parse_record(Template, value, path, faults, lines=number)
        if template is None:
            continue
        problems = [*_twice(template, found), *template_faults(template, shared)]
        faults.extend(Fault(file=str(path), line=number, message=f"template {template.id!r}: {problem}") for problem in problems)
        if not problems:
            found.append(TemplateLine(number, template))
    return tuple(found)


def template_faults(template: Template, shared: Mapping[str, Slot]) -> Iterator[str]:
    """What is wrong with a template by itself: ids, placeholders, regular expressions, empty wordings."""
    yield from _id_faults(template)
    slots = {**shared, **template.slots}
    yield from (message for name, message in slot_faults(slots) if name in template.slots)
    unknown = dict.fromkeys(name for name in placeholders(_texts(template)) if name not in slots)
    yield from (f"{{{name}}} is not a slot of the pack or of this template" for name in unknown)
    if "name" not in slots:
        yield "there is no slot `name` for the customer's name"
    yield from _pattern_faults(template)
    for owner, wordings in _wordings(template):
        if not all(wording.strip() for wording in wordings):
            yield f"{owner} has an empty wording"


def _twice(template: Template, earlier: Sequence[TemplateLine]) -> Iterator[str]:
    for line, other in earlier:
        if other.id == template.id:
            leak = "" if other.split == template.split else f", there in the split {other.split}: a story may not be in two splits"
            yield f"this id is already used in line {line}{leak}"


def _id_faults(template: Template) -> Iterator[str]:
    ids = [need.id for need in template.needs], [fact.id for fact in template.hidden], [template.trap.id] if template.trap else []
    for name in (template.id, template.issue, *(name for group in ids for name in group)):
        if not _ID.fullmatch(name):
            yield f"{name!r} is no id: small letters, digits, `-` and `_` only"
    for group in ids:
        yield from (f"the id {name!r} stands twice" for name in dict.fromkeys(group) if group.count(name) > 1)


def _texts(template: Template) -> JsonObject:
    return template.model_dump(mode="json", exclude={"id", "issue", "split", "slots", "mood", "patience"})


def _pattern_faults(template: Template) -> Iterator[str]:
    patterns = [(f"met_by of need {need.id!r}", need.met_by) for need in template.needs if need.met_by is not None]
    patterns += [(f"asked_by of hidden fact {fact.id!r}", fact.asked_by) for fact in template.hidden]
    for owner, pattern in patterns:
        try:
            matches_nothing = re.compile(_with_dummies(pattern), re.IGNORECASE).search("") is not None
        except re.error as error:
            yield f"{owner} is not a regular expression: {error}"
            continue
        if matches_nothing:
            yield f"{owner} matches every reply, even an empty one"


def _with_dummies(pattern: str) -> str:
    return fill_pattern(pattern, dict.fromkeys(placeholders(pattern), "x"))


def _wordings(template: Template) -> Iterator[tuple[str, tuple[str, ...]]]:
    for need in template.needs:
        yield f"need {need.id!r}", (*need.wordings, *need.again)
    for fact in template.hidden:
        yield f"hidden fact {fact.id!r}", fact.wordings
    if template.trap:
        yield f"trap {template.trap.id!r}", template.trap.wordings


def _order(wordings: tuple[str, ...], name: str, slots: Mapping[str, str], pick: Pick) -> tuple[str, ...]:
    places = sorted(range(len(wordings)), key=lambda place: pick(f"/{name}/{place}", 1 << 30))
    return tuple(fill(wordings[place], slots) for place in places)


def _need(need: Need, slots: Mapping[str, str], pick: Pick) -> Need:
    return Need(
        id=need.id,
        wordings=_order(need.wordings, f"need/{need.id}", slots, pick),
        again=_order(need.again, f"again/{need.id}", slots, pick),
        met_by=None if need.met_by is None else fill_pattern(need.met_by, slots),
        met_by_tools=need.met_by_tools,
    )


def _hidden(fact: HiddenFact, slots: Mapping[str, str], pick: Pick) -> HiddenFact:
    wordings = _order(fact.wordings, f"hidden/{fact.id}", slots, pick)
    return HiddenFact(id=fact.id, asked_by=fill_pattern(fact.asked_by, slots), wordings=wordings)


def _trap(trap: Trap, slots: Mapping[str, str], pick: Pick) -> Trap:
    return Trap(id=trap.id, turn=trap.turn, wordings=_order(trap.wordings, f"trap/{trap.id}", slots, pick))


def _goal(goal: Goal, slots: Mapping[str, str]) -> Goal:
    state = {fill(path, slots): fill(value, slots) if isinstance(value, str) else value for path, value in goal.state.items()}
    return Goal(state=state, unchanged=tuple(fill(path, slots) for path in goal.unchanged), needs_met=goal.needs_met)
