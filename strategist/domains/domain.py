"""The domain as the rest of the program sees it, whether it was read from a pack's folder or made in memory by the lab."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import cast

from strategist.domains.checks import Check
from strategist.domains.persona import RECORDED_MARK, Persona, Split, recorded_persona
from strategist.records.base import JsonObject, digest
from strategist.records.chat import ToolSpec

ToolFunction = Callable[[JsonObject, JsonObject], str]
"""(state, arguments) -> text for the model. May change `state` in place (it is given a copy); raises ToolRefusal to say no."""

DrawPersona = Callable[[Split, int, int], Persona]
"""(split, index >= 0, seed) -> persona. Any index works: templates are reused with new draws. Its id is `persona_id(...)`."""

REMEMBERED = 4096
"""How many drawn personas a domain keeps: the gate looks for customers in the same range again and again, and asks for them by id."""


def persona_id(split: Split, index: int, seed: int) -> str:
    """The one form of persona ids: `train-17-0`."""
    return f"{split}-{index}-{seed}"


class ToolRefusal(Exception):  # noqa: N818 - it is an answer, not an error
    """A tool says no; the text goes back to the model as the tool's result."""


@dataclass(frozen=True)
class Tool:
    """A tool over the domain's state."""

    spec: ToolSpec
    run: ToolFunction


@dataclass(frozen=True)
class Domain:
    """One company's service."""

    name: str
    title: str
    language: str
    brief: str
    pack_hash: str
    checks: tuple[Check, ...]
    tools: tuple[Tool, ...]
    draw: DrawPersona
    split_sizes: dict[Split, int]
    issues: tuple[str, ...]
    reply_words: int = 90
    recorded: bool = False
    """Customers are met in recorded conversations only: there are no personas to draw."""

    @cached_property
    def brief_hash(self) -> str:
        """Hash of the brief: entries carry it, a changed brief marks them stale."""
        return digest(self.brief, 16)

    @property
    def unchecked(self) -> bool:
        """Whether no check tells a good reply from a poor one (at most which one is forbidden): then only a judge can."""
        return all(check.hard or check.turn_test is None for check in self.checks)

    @property
    def handbook(self) -> tuple[str, ...]:
        """All advice lines, in the order of the checks, each once."""
        return tuple(dict.fromkeys(check.advice for check in self.checks if check.advice))

    def personas(self, split: Split, count: int | None = None, seed: int = 0) -> tuple[Persona, ...]:
        """The first `count` personas of a split (default: its declared size) for a seed."""
        return tuple(self.draw(split, index, seed) for index in range(self.split_sizes[split] if count is None else count))

    def persona(self, id: str) -> Persona:  # noqa: A002
        """The persona of an id, also of one that stands for recorded conversations. Raises ValueError for anything that is not an id."""
        split, index, seed = id.split("-")
        if seed.startswith(RECORDED_MARK):
            return recorded_persona(id)
        if split not in ("train", "dev", "test"):
            raise ValueError(f"not a persona id: {id}")
        return self.draw(cast(Split, split), int(index), int(seed))
