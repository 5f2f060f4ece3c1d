"""The arms of a study: who answers, and with which guidance.

Owns the answer to "compared with what". Every arm but the teacher is the same student behind the same `Agent`, so that arms differ in
guidance and in nothing else: *bare* gets nothing, *handbook* all advice lines of the domain at once, *random* as many lines as the
library would have given but from other moments, *library* what retrieval finds. Knows neither personas nor statistics.

Invariants: an arm's guidance depends on the conversation, the library and the seed only; the bare arm changes no byte of a request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar, get_args

from strategist.agent import Agent, GuidanceSource
from strategist.errors import LibraryError
from strategist.records.base import digest, stable_int
from strategist.records.chat import Message, RoleName
from strategist.records.library import Entry, Guidance
from strategist.records.run import ArmName, StudyArm
from strategist.roles.protocols import Actor

T = TypeVar("T")


@dataclass(frozen=True)
class Arm:
    """One arm: a name, who answers, and the role that the calls are booked under."""

    name: ArmName
    actor: Actor
    role: RoleName = "student"


@dataclass(frozen=True)
class FixedGuidance:
    """The same lines at every turn, whatever the conversation says and however many there are."""

    lines: tuple[str, ...]

    async def guidance(self, messages: Sequence[Message]) -> Guidance:
        """All lines, reason `fixed`."""
        return Guidance(lines=self.lines, reason="fixed")


@dataclass(frozen=True)
class RandomGuidance:
    """As many lines as the library gives at this moment, taken from entries that it does not give: is relevance what helps, or any advice?

    Entries come in an order drawn from `seed` and the conversation up to the customer's last message, so a tool loop keeps its lines.
    Fewer lines than the library's are given only when the other entries have no more.
    """

    library: GuidanceSource
    entries: tuple[Entry, ...]
    seed: int = 0

    async def guidance(self, messages: Sequence[Message]) -> Guidance:
        """Lines of other moments, reason `fixed`; nothing where the library gives nothing."""
        real = await self.library.guidance(messages)
        if not real.lines:
            return real
        used, lines = draw_other_lines(self.entries, real, seed=self.seed, text=moment(messages))
        return Guidance(lines=lines, entries=used, reason="fixed")


def moment(messages: Sequence[Message]) -> str:
    """Hash of the conversation up to and including the customer's last message: the same at every step of one tool loop."""
    last = max((i for i, message in enumerate(messages) if message.role == "user"), default=-1)
    return digest([[message.role, message.content] for message in messages[: last + 1] if message.role in ("user", "assistant")])


def draw_other_lines(entries: Iterable[Entry], real: Guidance, *, seed: int, text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Refs and lines, as many as `real` has, from entries not in `real` and with texts not in `real`; order drawn by seed and text."""
    others = [entry for entry in entries if entry.ref not in real.entries and entry.id not in real.entries]
    others.sort(key=lambda entry: (stable_int("random-arm", seed, text, entry.ref), entry.ref))
    lines: dict[str, str] = {}
    for entry in others:
        for strategy in entry.strategies:
            if len(lines) < len(real.lines) and strategy.text not in real.lines:
                lines.setdefault(strategy.text, entry.ref)
    return tuple(dict.fromkeys(lines.values())), tuple(lines)


def make_arm(
    name: ArmName,
    student: Callable[[GuidanceSource | None], Agent],
    *,
    handbook: tuple[str, ...] = (),
    retriever: GuidanceSource | None = None,
    entries: tuple[Entry, ...] = (),
    teacher: Actor | None = None,
    seed: int = 0,
) -> Arm:
    """One arm by name. `student` gives the student with a source of guidance (`Deps.agent`). `library` and `random` need `retriever`
    (`random` also its entries), `teacher` needs an actor.

    Raises LibraryError naming what is missing.
    """
    if name not in get_args(StudyArm):
        raise LibraryError(f"arm {name} is one of a transfer", hint="`strategist transfer` plays it")
    if name == "teacher":
        actor = _needed(teacher, "arm teacher needs a teacher that can act", "a handbook cannot: set [advisor] kind = 'model'")
        return Arm(name, actor, "teacher")
    if name == "bare":
        return Arm(name, student(None))
    if name == "handbook":
        return Arm(name, student(FixedGuidance(handbook)))
    source = _needed(retriever, f"arm {name} needs a library to retrieve from", "run `strategist teach` first")
    if name == "library":
        return Arm(name, student(source))
    return Arm(name, student(RandomGuidance(source, entries, seed)))


def _needed(value: T | None, message: str, hint: str) -> T:
    if value is None:
        raise LibraryError(message, hint=hint)
    return value
