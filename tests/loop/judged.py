"""The parts of a run without checks, with a judge and actors that do as they are told: no model is asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from strategist.domains.checks import TurnView, turn_check
from strategist.errors import ModelError
from strategist.loop.deps import Deps
from strategist.records.chat import Message, Purpose
from strategist.records.evidence import Choice, Comparison
from strategist.records.library import Guidance
from strategist.records.trace import Scenario
from strategist.roles.protocols import ActorReply
from tests.loop.small import with_deps
from tests.loop.unchecked import settings_for

T = TypeVar("T")
SAID: dict[str, tuple[Choice | None, Choice | None]] = {
    "first": ("1", "2"), "second": ("2", "1"), "tie": ("tie", "tie"), "abstain": (None, "1"),
}  # fmt: skip


@dataclass
class ToldJudge:
    """Prefers the reply with more `!`, abstains where either says `?`, fails where either says `gone`; keeps what it was asked."""

    name: str = "test:judge"
    asked: list[tuple[str, str, str, Purpose, int]] = field(default_factory=list)

    async def compare(self, scenario: Scenario, first: str, second: str, *, purpose: Purpose, sample: int = 0) -> Comparison:
        self.asked.append((scenario.id, first, second, purpose, sample))
        if "gone" in first + second:
            raise ModelError("nobody answers", kind="model")
        one, other = first.count("!"), second.count("!")
        preference = "abstain" if "?" in first + second else "first" if one > other else "second" if other > one else "tie"
        forward, backward = SAID[preference]
        return Comparison(forward=forward, backward=backward)


@dataclass
class ToldActor:
    """Replies by customer, in turn; `fail` is no reply but a failure."""

    replies: Sequence[str]
    asked: list[tuple[Purpose, int]] = field(default_factory=list)

    async def reply(
        self, messages: Sequence[Message], *, purpose: Purpose, sample: int = 0, guidance: Guidance | None = None, tools: bool = True
    ) -> ActorReply:
        self.asked.append((purpose, sample))
        text = self.replies[int(messages[-1].content.rsplit(" ", 1)[-1]) % len(self.replies)]
        if text == "fail":
            raise ModelError("cut", kind="cut_reply")
        return ActorReply(message=Message(role="assistant", content=text), guidance=guidance or Guidance.given(()))


@turn_check("no_promise", about="Nothing is promised.", hard=True)
def no_promise(view: TurnView) -> bool | None:
    return "promise" not in view.reply


def with_judge(folder: Path, judge: ToldJudge | None, work: Callable[[Deps], Awaitable[T]]) -> T:
    """The result of `work` with a run's parts: one check for what is forbidden, and this judge."""

    async def inside(deps: Deps) -> T:
        return await work(replace(deps, judge=judge, domain=replace(deps.domain, checks=(no_promise,))))

    return with_deps(settings_for(folder, "http://127.0.0.1:9/v1", "openai"), inside)


def moments(deps: Deps, count: int) -> list[Scenario]:
    """One state of each of the first dev customers."""
    personas = deps.domain.personas("dev", count)
    return [
        Scenario(
            id=f"m-{number}", trace="t", persona=persona.id, issue=persona.issue, turn=0, key="k", state={},
            messages=(Message(role="system", content="S"), Message(role="user", content=f"Hello {number}")),
        )
        for number, persona in enumerate(personas)
    ]  # fmt: skip
