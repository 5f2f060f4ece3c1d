"""What the roles promise each other. A role is a prompt and a model, or code that stands in for both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from strategist.domains.persona import CustomerTurn, Persona
from strategist.records.base import Record
from strategist.records.chat import Message, Purpose, Usage
from strategist.records.evidence import Comparison
from strategist.records.library import Guidance, Strategy
from strategist.records.trace import Grade, Scenario, Verdict

Gap = Literal["none", "minor", "major"]


@dataclass(frozen=True)
class ActorReply:
    """The agent's next message (text, or tool calls) with the guidance that was placed for it. `cut`: it met the limit of its length."""

    message: Message
    guidance: Guidance
    usage: Usage = field(default_factory=Usage)
    cut: bool = False


class Actor(Protocol):
    """Whoever answers customers: the student or the teacher."""

    async def reply(
        self, messages: Sequence[Message], *, purpose: Purpose, sample: int = 0, guidance: Guidance | None = None, tools: bool = True
    ) -> ActorReply:
        """Answer the conversation so far (system message first, no guidance in it). `guidance` overrides retrieval; `tools=False` asks for
        a reply without further tool calls."""
        ...


class Attempt(Record):
    """One reply to a scenario with the lines it was given and what the checks say of it."""

    text: str
    lines: tuple[str, ...] = ()
    verdicts: tuple[Verdict, ...] = ()

    @property
    def grade(self) -> Grade:
        """The verdicts, counted."""
        return Grade.of(self.verdicts)


class Advice(Record):
    """What an advisor says of a gap. `strategies` replace all earlier lines; empty with gap `none`."""

    gap: Gap
    why: str = ""
    keep: str = ""
    strategies: tuple[Strategy, ...] = ()


class Advisor(Protocol):
    """Whoever writes strategies."""

    @property
    def name(self) -> str:
        """Identity for evidence and exports, e.g. `handbook` or `openai:gpt-x`."""
        ...

    async def advise(self, scenario: Scenario, attempts: Sequence[Attempt], teacher_reply: str | None, *, sample: int = 0) -> Advice:
        """Look at the student's attempts so far (the first without new lines) and, where there is one, the teacher's reply."""
        ...


class Customer(Protocol):
    """Whoever plays the customer."""

    async def next(self, persona: Persona, messages: Sequence[Message], *, purpose: Purpose, sample: int = 0) -> CustomerTurn:
        """The customer's next message; `messages` is empty for the opening, else ends with the agent's reply."""
        ...


class Judge(Protocol):
    """Whoever compares two replies where code cannot."""

    @property
    def name(self) -> str:
        """Identity for evidence: whose verdicts these are."""
        ...

    async def compare(self, scenario: Scenario, first: str, second: str, *, purpose: Purpose, sample: int = 0) -> Comparison:
        """Which reply serves the customer better within policy, asked in both orders."""
        ...
