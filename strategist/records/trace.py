"""Traces and what is cut out of them: verdicts, outcomes, scenarios.

A trace is one conversation from start to end. A scenario is the state at one agent turn of a trace: what retrieval keys on, what coaching
starts from, and where the gate replays. Ids are made of content and position, never of a clock or a run, so an export is reproducible.
"""

from __future__ import annotations

from typing import Literal

from strategist.records.base import ERASED, JsonObject, Record, digest
from strategist.records.chat import Message, Purpose, RoleName, Usage
from strategist.records.library import Guidance

Ended = Literal["done", "out_of_patience", "turn_limit", "failed"]
FailureKind = Literal["model", "empty_reply", "cut_reply", "refusal", "not_json", "customer", "tool", "check", "budget"]


class Failure(Record):
    """Why something could not be finished: data, never a score of 0."""

    kind: FailureKind
    message: str


class Verdict(Record):
    """What one check says of one reply (`turn` set) or one conversation (`turn` None). `passed` None: the check itself broke."""

    check: str
    hard: bool
    passed: bool | None
    turn: int | None = None
    detail: str = ""


class Grade(Record):
    """The verdicts of one reply or conversation, counted. Compared lexicographically: hard failures first, then the soft share."""

    hard_failures: int = 0
    soft_passed: int = 0
    soft_total: int = 0

    @classmethod
    def of(cls, verdicts: tuple[Verdict, ...]) -> Grade:
        """Count verdicts; broken checks (passed None) count nowhere."""
        soft = [v for v in verdicts if not v.hard and v.passed is not None]
        return cls(
            hard_failures=sum(v.hard and v.passed is False for v in verdicts),
            soft_passed=sum(v.passed is True for v in soft),
            soft_total=len(soft),
        )

    @property
    def soft_share(self) -> float:
        """Share of soft checks passed, in [0, 1]; 1 where none applies."""
        return self.soft_passed / self.soft_total if self.soft_total else 1.0

    def against(self, other: Grade) -> Literal["win", "loss", "tie"]:
        """Lexicographic comparison: fewer hard failures win, then the higher soft share (differences below 1e-9 tie)."""
        if self.hard_failures != other.hard_failures:
            return "win" if self.hard_failures < other.hard_failures else "loss"
        gap = self.soft_share - other.soft_share
        return "tie" if abs(gap) < 1e-9 else "win" if gap > 0 else "loss"


class Outcome(Record):
    """What a conversation achieved.

    `score` in [0, 1]: 0 with any hard failure, else the share of passed checks, the goal being one of them."""

    goal: bool
    ended: Ended
    verdicts: tuple[Verdict, ...]
    score: float
    hard_failures: int
    agent_turns: int


class Turn(Record):
    """One agent turn: the customer's message with its acts, the tool loop, the reply, the guidance that was placed, the verdicts. `issue`:
    what this moment is about, where that is not the conversation's issue."""

    index: int
    customer: str
    acts: tuple[str, ...] = ()
    steps: tuple[Message, ...] = ()
    reply: str
    guidance: Guidance
    verdicts: tuple[Verdict, ...] = ()
    state_before: JsonObject
    state_after: JsonObject
    issue: str = ""


class Trace(Record):
    """One conversation. `messages` start with the system message and hold tool calls and results; guidance is never stored in them.

    Of recorded conversations: `source` names the import, `customer` is the hash of the customer's id there (records.trace.customer_hash)
    and `time` when it took place, ISO 8601, each empty where nothing is known. They say whose texts these are and how old."""

    id: str
    domain: str
    persona: str
    issue: str
    purpose: Purpose
    round: int
    index: int
    actor: RoleName
    arm: str = ""
    messages: tuple[Message, ...]
    turns: tuple[Turn, ...]
    outcome: Outcome | None = None
    failure: Failure | None = None
    usage: Usage = Usage()
    source: str = ""
    customer: str = ""
    time: str = ""

    @property
    def erased(self) -> bool:
        """Whether the customer's words were erased: nothing can be learned from such a conversation."""
        said = [message.content for message in self.messages if message.role == "user"]
        return bool(said) and all(content == ERASED for content in said)


def customer_hash(customer: str) -> str:
    """How a customer's id is kept: enough to find the person's texts again when asked to erase them, not enough to read the id."""
    return digest(["customer", customer.strip()], 32)


class ScenarioKey(Record):
    """What a scenario is found by and how it was judged, without its messages. `key` is the masked text that retrieval uses."""

    id: str
    persona: str
    issue: str
    turn: int
    key: str
    verdicts: tuple[Verdict, ...] = ()


class Scenario(ScenarioKey):
    """The state at one agent turn. `messages` end with a customer message; `steps` are the tool calls and results of this turn that are
    given, as in a recorded conversation, where nobody can run them again.

    `acts` are those of that message, `past_acts` of all customer messages up to it."""

    trace: str
    messages: tuple[Message, ...]
    acts: tuple[str, ...] = ()
    past_acts: tuple[str, ...] = ()
    steps: tuple[Message, ...] = ()
    state: JsonObject

    @property
    def customer(self) -> str:
        """The customer's message that the agent has to answer."""
        return self.messages[-1].content
