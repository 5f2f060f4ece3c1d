"""The LLM teacher: compares replies and writes strategies (Advisor), and answers customers itself (Actor).

Owns the comparison: what is shown, what comes back, which lines are fit to be kept. It acts through the Actor it is given, so acting is the
same code as the student's, without a library. Conversation and replies reach the model masked and fenced: they are material, not orders.
A conversation in which somebody speaks to the advisor does not reach it at all.
Wording beyond length is the lint's business, and whether lines help is the gate's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from strategist.domains.domain import Domain
from strategist.errors import ModelError
from strategist.languages import language_of
from strategist.models.protocol import Chat
from strategist.models.structured import ask_json
from strategist.records.base import Record
from strategist.records.chat import Message, ModelRequest, Purpose
from strategist.records.library import Guidance, Scope, Strategy
from strategist.records.trace import Scenario
from strategist.retrieval.mask import mask
from strategist.roles.prompts import fenced, load_prompt, transcript
from strategist.roles.protocols import Actor, ActorReply, Advice, Attempt, Gap
from strategist.roles.suspect import suspicion

MAX_WORDS = 30
"""Longer lines are dropped: they are explanations, and small models lose their end."""

_RULE = re.compile(r"\bR\d+\b")


class AdvisedLine(Record):
    """One line as the teacher writes it."""

    text: str
    scope: Scope = "specific"
    rules: tuple[str, ...] = ()


class GapReport(Record):
    """What the teacher writes; the order of the fields is the order of thinking."""

    need: str
    a_better: str
    b_better: str
    gap: Literal["none", "minor", "major"]
    why: str
    lines: tuple[AdvisedLine, ...] = ()


class LLMTeacher:
    """Advisor and Actor in one. `actor` answers customers with the teacher's model and no library."""

    def __init__(
        self, chat: Chat, domain: Domain, max_lines: int, actor: Actor, *, temperature: float = 0.3, max_tokens: int = 700
    ) -> None:
        self.chat = chat
        self.domain = domain
        self.max_lines = max_lines
        self.actor = actor
        self.temperature = temperature
        self.max_tokens = max_tokens

    @property
    def name(self) -> str:
        """The model's identity."""
        return self.chat.model_name

    async def reply(
        self, messages: Sequence[Message], *, purpose: Purpose, sample: int = 0, guidance: Guidance | None = None, tools: bool = True
    ) -> ActorReply:
        """Answer the customer as the teacher would. Raises ModelError like any actor, and `cut_reply` for an answer without its end: the
        student is not measured by half a reply."""
        answer = await self.actor.reply(messages, purpose=purpose, sample=sample, guidance=guidance, tools=tools)
        if answer.cut:
            raise ModelError(f"{self.name} met the limit of max_tokens in the middle of its reply", kind="cut_reply")
        return answer

    async def advise(self, scenario: Scenario, attempts: Sequence[Attempt], teacher_reply: str | None, *, sample: int = 0) -> Advice:
        """Compare and write lines. Raises ModelError (refusal, cut_reply, not_json, ...) when no usable advice came back, a gap without a
        usable line included; kind `suspect` for a conversation that speaks to the advisor, which is not asked then."""
        if why := suspicion(scenario.messages):
            raise ModelError(f"{self.name} is not shown a conversation that speaks to it: {why}", kind="suspect")
        request = self.request(scenario, attempts, teacher_reply)
        report = await ask_json(self.chat, request, GapReport, purpose="coach", sample=sample)
        gap: Gap = report.gap
        strategies = () if gap == "none" else self._usable(report.lines)
        if gap != "none" and not strategies:
            raise ModelError(f"{self.name} names a {gap} gap but gives no line of at most {MAX_WORDS} words", kind="not_json")
        return Advice(gap=gap, why=report.why, keep=report.b_better, strategies=strategies)

    def request(self, scenario: Scenario, attempts: Sequence[Attempt], teacher_reply: str | None) -> ModelRequest:
        """The comparison as one user message."""
        own = self._masked(teacher_reply) if teacher_reply else "(There is none: compare B with the rules.)"
        text = load_prompt("advise").render(
            title=self.domain.title,
            brief=self.domain.brief,
            conversation=fenced("conversation", self._masked(transcript(scenario.messages))),
            reply_a=fenced("reply_a", own),
            attempts="\n\n".join(self._attempt(number, attempt) for number, attempt in enumerate(attempts, 1)),
            max_lines=str(self.max_lines),
        )
        if tells := language_of(self.domain.language).tells_advisor:
            text = f"{text}\n\n{tells}"
        return ModelRequest(messages=(Message(role="user", content=text),), temperature=self.temperature, max_tokens=self.max_tokens)

    def _attempt(self, number: int, attempt: Attempt) -> str:
        about = {check.id: check.about for check in self.domain.checks}
        failed = [about.get(verdict.check, verdict.check) for verdict in attempt.verdicts if verdict.passed is False]
        return "\n".join(
            [
                f"Attempt {number}.",
                "Advice it had: " + (" | ".join(attempt.lines) or "none"),
                fenced("reply_b", self._masked(attempt.text)),
                "Checks failed: " + ("; ".join(failed) or "none"),
            ]
        )

    def _masked(self, text: str) -> str:
        return mask(text, self.domain.language)

    def _usable(self, lines: Sequence[AdvisedLine]) -> tuple[Strategy, ...]:
        """Lines of 1 to MAX_WORDS words, each once, at most `max_lines`; rules that the brief does not have are left out."""
        known = set(_RULE.findall(self.domain.brief))
        kept: dict[str, Strategy] = {}
        for line in lines:
            text = " ".join(line.text.split()).removeprefix("- ")
            if text and len(text.split()) <= MAX_WORDS:
                kept.setdefault(text.casefold(), Strategy(text=text, scope=line.scope, rules=tuple(r for r in line.rules if r in known)))
        return tuple(kept.values())[: self.max_lines]
