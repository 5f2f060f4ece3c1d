"""Slots: the drawn values behind {placeholders}, and how they are put into text and state.

A placeholder is a name in braces; regular expressions keep their counts (`\\d{6}`) because those are digits. Values put into a regular
expression are escaped. Every draw is `stable_int` of the parts it depends on, so it is the same on every machine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from pydantic import JsonValue, model_validator

from strategist.records.base import JsonObject, Record, stable_int

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SLOT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TRIES = 50

Pick = Callable[[str, int], int]
"""(name of the draw, number of choices) -> a number below it; always the same for the same name."""


class Slot(Record):
    """Where a value comes from: a list to draw from, or a pattern in which every `#` becomes a digit."""

    values: tuple[str, ...] = ()
    pattern: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, value: object) -> object:
        return {"values": value} if isinstance(value, list | tuple) else value

    @model_validator(mode="after")
    def _one_source(self) -> Slot:
        if bool(self.values) == bool(self.pattern):
            raise ValueError('a slot is a list with at least one text, or { pattern = "AB###" }')
        return self

    @property
    def texts(self) -> tuple[str, ...]:
        """Everything in this slot that may hold placeholders."""
        return self.values if self.pattern is None else (self.pattern,)


def picker(*parts: str | int) -> Pick:
    """Draws that depend on the parts and on their own name only."""
    return lambda name, count: stable_int(*parts, name) % count


def placeholders(value: JsonValue) -> Iterator[str]:
    """All placeholder names in a text, or in the keys and values of a JSON value, in order of appearance."""
    if isinstance(value, str):
        yield from _PLACEHOLDER.findall(value)
    elif isinstance(value, list):
        for item in value:
            yield from placeholders(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from placeholders(key)
            yield from placeholders(item)


def slot_faults(slots: Mapping[str, Slot]) -> Iterator[tuple[str, str]]:
    """(slot, what is wrong with it): names that no placeholder can have, and values that use a slot which is not before them."""
    known: set[str] = set()
    for name, slot in slots.items():
        if not _SLOT_NAME.fullmatch(name):
            yield name, f"the slot {name!r} cannot be named in a placeholder: letters, digits and `_` only"
        for word in dict.fromkeys(word for text in slot.texts for word in placeholders(text) if word not in known):
            yield name, f"the slot `{name}` uses {{{word}}}, which is not a slot before it"
        known.add(name)


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with its placeholders replaced. Raises KeyError for one that is not a slot."""
    return _PLACEHOLDER.sub(lambda found: values[found[1]], text)


def fill_pattern(pattern: str, values: Mapping[str, str]) -> str:
    """A regular expression with its placeholders replaced by escaped values."""
    return _PLACEHOLDER.sub(lambda found: re.escape(values[found[1]]), pattern)


def fill_object(value: JsonObject, values: Mapping[str, str]) -> JsonObject:
    """A JSON object with the placeholders in all its keys and texts replaced; keys that become equal are merged."""
    out: JsonObject = {}
    for key, item in value.items():
        out = deep_merge(out, {fill(key, values): _fill_value(item, values)})
    return out


def deep_merge(base: JsonObject, over: JsonObject) -> JsonObject:
    """`over` laid over `base`: objects are merged key by key, everything else is replaced. Neither is changed."""
    out = dict(base)
    for key, item in over.items():
        below = out.get(key)
        out[key] = deep_merge(below, item) if isinstance(below, dict) and isinstance(item, dict) else item
    return out


def draw_slots(slots: Mapping[str, Slot], pick: Pick) -> dict[str, str]:
    """One value per slot, in order; a slot may use those before it. Values of patterns differ from each other where they can."""
    drawn: dict[str, str] = {}
    numbers: set[str] = set()
    for name, slot in slots.items():
        if slot.pattern is None:
            drawn[name] = fill(slot.values[pick(name, len(slot.values))], drawn)
            continue
        pattern = fill(slot.pattern, drawn)
        attempts = (_digits(pattern, f"{name}/{attempt}" if attempt else name, pick) for attempt in range(_TRIES))
        drawn[name] = next((text for text in attempts if text not in numbers), pattern.replace("#", "0"))
        numbers.add(drawn[name])
    return drawn


def _digits(pattern: str, name: str, pick: Pick) -> str:
    return "".join(str(pick(f"{name}#{place}", 10)) if letter == "#" else letter for place, letter in enumerate(pattern))


def _fill_value(value: JsonValue, values: Mapping[str, str]) -> JsonValue:
    if isinstance(value, str):
        return fill(value, values)
    if isinstance(value, list):
        return [_fill_value(item, values) for item in value]
    return fill_object(value, values) if isinstance(value, dict) else value
