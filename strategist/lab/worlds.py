"""The lab's worlds as records, read from worlds.toml: situations, what each of them really needs, and how often a reply gives it.

Owns the file's format, its checks, and the one rule that says how guidance changes a student (`meeting_rate`). Knows no model, no
conversation and no library. Invariants: every customer wording holds a cue of its own situation and of no other; every need is named by
its own line and by no other line; no line holds a marker. So a scripted model can tell situations and lines apart by their text alone.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from functools import cache, lru_cache
from math import gcd
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from strategist.domains.persona import Split
from strategist.errors import DomainError
from strategist.records.base import Record, digest

FILE = Path(__file__).with_name("worlds.toml")

RUN = 5
"""A line and what is said to customers share no run of this many words: else following a line would count as reciting it."""
Share = Annotated[float, Field(ge=0, le=1)]
LineKind = Literal["right", "twin", "other", "noise"]


class Need(Record):
    """What the customer of a situation really needs. A reply meets it when it holds `marker`; a line names it when each of its keyword
    groups (regular expressions, at the start of a word, case ignored) occurs in the line."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    rule: str
    line: str
    keywords: tuple[str, ...] = Field(min_length=1)
    marker: str
    says: tuple[str, ...] = Field(min_length=1)

    def named_by(self, line: str) -> bool:
        """Whether the line advises this need, in whatever words."""
        return _names(self.keywords, line)

    def met_by(self, reply: str) -> bool:
        """Whether the reply meets this need."""
        return self.marker in reply.lower()


class Situation(Record):
    """A kind of moment: how customers word it, the cues by which it is known, what it needs, and a plausible line that is of no use.
    `twin` is the situation that shares its words (empty: none)."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    cues: tuple[str, ...] = Field(min_length=1)
    topic: str
    openings: tuple[str, ...] = Field(min_length=1)
    details: tuple[str, ...] = Field(min_length=1)
    follow_ups: tuple[str, ...] = Field(min_length=1)
    again: tuple[str, ...] = Field(min_length=1)
    decoy: str
    need: Need
    twin: str = ""

    def known_by(self, text: str) -> bool:
        """Whether the text holds one of the cues."""
        return any(cue in text.lower() for cue in self.cues)


class Rates(Record):
    """Probabilities that one reply meets the need of its moment, by the lines in the prompt (worlds.toml explains each)."""

    bare: Share
    right: Share
    other: Share
    noise: Share
    twin: Share | None = None
    conflict: Share | None = None
    crowding: Share
    variation: Share
    always: Share
    never: Share

    @model_validator(mode="after")
    def _inside(self) -> Self:
        low, high = self.always, 1 - self.never
        spread = {"bare": self.variation, "right": self.variation, "other": 0.0, "noise": 0.0, "twin": 0.0, "conflict": 0.0}
        for name, around in spread.items():
            rate = getattr(self, name)
            if rate is not None and not low <= rate - around <= rate + around <= high:
                raise ValueError(f"{name} = {rate} (with its variation) must lie between always ({low:g}) and 1 - never ({high:g})")
        if low >= high:
            raise ValueError("always + never must be below 1")
        return self


class Side(Record):
    """Probabilities of what a reply does besides its need (worlds.toml explains each)."""

    polite: Share
    recite: Share
    wordy: Share
    wordy_per_line: Share
    promise: Share
    promise_other: Share
    promise_twin: Share


class PersonaPlan(Record):
    """What personas are drawn from; `openings` are the wordings that may open a conversation, per split: disjoint, so dev and test are
    held out."""

    splits: dict[Split, int]
    openings: dict[Split, tuple[int, ...]]
    needs: tuple[int, ...] = Field(min_length=1)
    patience: tuple[int, int]
    names: tuple[str, ...] = Field(min_length=1)
    items: tuple[str, ...] = Field(min_length=1)
    days: tuple[str, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _held_out(self) -> Self:
        chosen = [index for split in ("train", "dev", "test") for index in self.openings[split]]
        if len(set(chosen)) != len(chosen) or not all(self.openings.values()):
            raise ValueError("openings: every split needs wordings of its own")
        if not 1 <= min(self.needs) <= max(self.needs) <= 3 or not 1 <= self.patience[0] <= self.patience[1]:
            raise ValueError("needs are 1 to 3; patience is [low, high] with low >= 1")
        return self


class World(Record):
    """One simulated world, completely."""

    name: str
    title: str
    rates: Rates
    side: Side
    advice_right: Share
    situations: tuple[Situation, ...] = Field(min_length=2)
    personas: PersonaPlan

    @property
    def hash(self) -> str:
        """Hash of all parameters: the lab's pack hash."""
        return digest(self)

    @property
    def needs(self) -> tuple[Need, ...]:
        """The needs of all situations in order, each once."""
        return tuple({situation.need.id: situation.need for situation in self.situations}.values())

    def situation(self, id: str) -> Situation:  # noqa: A002
        """The situation of an id. Raises KeyError for an unknown one."""
        for situation in self.situations:
            if situation.id == id:
                return situation
        raise KeyError(id)

    def recognise(self, text: str) -> Situation | None:
        """The situation whose cue the text holds; None where there is none."""
        return next((situation for situation in self.situations if situation.known_by(text)), None)

    def line_kind(self, situation: Situation, line: str) -> LineKind:
        """What a line is worth in a situation: its own need, its twin's, another's, or nobody's."""
        if situation.need.named_by(line):
            return "right"
        if situation.twin and self.situation(situation.twin).need.named_by(line):
            return "twin"
        return "other" if any(need.named_by(line) for need in self.needs) else "noise"

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        for situation in self.situations:
            self._check_wordings(situation)
        for need in self.needs:
            self._check_need(need)
        if gcd(_STRIDE, len(self.situations)) != 1:
            raise ValueError(f"the number of situations must not be a multiple of {_STRIDE}")
        return self

    def _check_wordings(self, situation: Situation) -> None:
        where = f"situation {situation.id}"
        for text in (*situation.openings, *situation.follow_ups, *situation.again):
            known = [other.id for other in self.situations if other.known_by(text)]
            if known != [situation.id]:
                raise ValueError(f"{where}: cues of {known or 'no situation'} in {text!r}")
        for text in (*situation.details, situation.topic, *situation.need.says):
            if self.recognise(text) is not None:
                raise ValueError(f"{where}: a cue in {text!r}")
        if any(need.named_by(situation.decoy) or need.met_by(situation.decoy) for need in self.needs):
            raise ValueError(f"{where}: the decoy names or meets a need")
        if situation.twin and self.situation(situation.twin).twin != situation.id:
            raise ValueError(f"{where}: its twin does not name it")
        if situation.twin and (self.rates.twin is None or self.rates.conflict is None):
            raise ValueError(f"{where}: a world with twins needs the rates twin and conflict")
        if max(index for chosen in self.personas.openings.values() for index in chosen) >= len(situation.openings):
            raise ValueError(f"{where}: too few openings for the splits")

    def _check_need(self, need: Need) -> None:
        named = [other.id for other in self.needs if other.named_by(need.line)]
        if named != [need.id]:
            raise ValueError(f"need {need.id}: its line names {named}")
        for text in need.says:
            met = [other.id for other in self.needs if other.met_by(text)]
            if met != [need.id]:
                raise ValueError(f"need {need.id}: {text!r} meets {met}")
            if _runs(text) & _runs(need.line):
                raise ValueError(f"need {need.id}: its line gives away {text!r}")
        if any(other.met_by(need.line) for other in self.needs):
            raise ValueError(f"need {need.id}: its line holds a marker")


_STRIDE = 5


def offset(world: World, situation: Situation) -> float:
    """How much easier (or harder) this situation is than the mean: evenly spread over +- variation, mean 0, mixed over the file's order."""
    count = len(world.situations)
    place = _STRIDE * [other.id for other in world.situations].index(situation.id) % count
    return world.rates.variation * (2 * place / (count - 1) - 1)


def meeting_rate(world: World, situation: Situation, lines: Sequence[str]) -> float:
    """Probability that a student's reply meets the need of this situation with these lines in its prompt; mean over moments."""
    rates = world.rates
    kinds = {world.line_kind(situation, line) for line in lines}
    if not kinds:
        return rates.bare + offset(world, situation)
    if "right" in kinds:
        base = rates.conflict if "twin" in kinds and rates.conflict is not None else rates.right + offset(world, situation)
        return max(base - rates.crowding * (len(lines) - 1), min(base, rates.other))
    if "twin" in kinds and rates.twin is not None:
        return rates.twin
    return rates.other if "other" in kinds else rates.noise


def promise_rate(world: World, situation: Situation | None, lines: Sequence[str]) -> float:
    """Probability that a student's reply holds the promise that the brief forbids."""
    kinds = {world.line_kind(situation, line) for line in lines} if situation is not None else set()
    if "twin" in kinds:
        return world.side.promise_twin
    return world.side.promise_other if "other" in kinds else world.side.promise


@cache
def load_worlds(path: Path = FILE) -> dict[str, World]:
    """All worlds of the file by name. Raises DomainError naming file and world for anything wrong."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DomainError(f"cannot read the lab's worlds from {path}: {error}") from None
    worlds = {}
    for name in raw.get("world", {}):
        try:
            worlds[name] = World.model_validate(_assembled(raw, name))
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(str(part) for part in problem["loc"])
            raise DomainError(f"{path}: world {name}: {where + ': ' if where else ''}{problem['msg']}") from None
        except (KeyError, TypeError, AttributeError) as error:
            raise DomainError(f"{path}: world {name}: missing or misplaced: {error}") from None
    return worlds


def load_world(name: str) -> World:
    """One world. Raises DomainError with the known names for an unknown one."""
    worlds = load_worlds()
    if name not in worlds:
        raise DomainError(f"no lab world named {name!r}", hint=f"there are: {', '.join(worlds)}")
    return worlds[name]


_NEED_FIELDS = ("rule", "line", "keywords", "marker", "says")
_BORROWED = ("openings", "details", "follow_ups", "again")


def _assembled(tables: dict[str, Any], name: str) -> dict[str, object]:
    """The plain form of a World from the file's tables: catalogue entries with their needs, borrowed wordings and twists filled in."""
    world = dict(tables["world"][name])
    catalogue = {entry["id"]: entry for entry in tables["catalogue"][world.pop("catalogue")]}
    shared = world.pop("shared_need", None)
    advice = world.pop("advice")
    situations = []
    for entry in catalogue.values():
        item = {key: value for key, value in entry.items() if key not in (*_NEED_FIELDS, "like", "twist")}
        source = catalogue[entry["like"]] if "like" in entry else entry
        for key in _BORROWED:
            item[key] = [text.replace("{twist}", entry.get("twist", "")) for text in source[key]]
        item["need"] = shared or {"id": entry["id"], **{key: entry[key] for key in _NEED_FIELDS}}
        situations.append(item)
    return {**world, "name": name, "advice_right": advice["right"], "situations": situations, "personas": tables["personas"]}


@lru_cache(maxsize=8192)
def _names(keywords: tuple[str, ...], line: str) -> bool:
    return all(re.search(rf"\b(?:{group})", line, re.IGNORECASE) for group in keywords)


def _runs(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"[a-z']+", text.lower())
    return {tuple(words[start : start + RUN]) for start in range(len(words) - RUN + 1)}
