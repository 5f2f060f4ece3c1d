"""The LLM judge: which of two replies serves the customer better within the rules.

Asked in both orders, reason before verdict; two orders that disagree are a tie, a verdict that cannot be read is an abstention. It sees
neither who wrote a reply nor what guidance it had. Other failures of the model are raised for the caller to record.
"""

from __future__ import annotations

import asyncio
import re

from strategist.domains.domain import Domain
from strategist.errors import ModelError
from strategist.models.protocol import Chat
from strategist.models.structured import ask_json
from strategist.records.base import Record
from strategist.records.chat import Message, ModelRequest, Purpose
from strategist.records.evidence import Choice, Comparison
from strategist.records.trace import Scenario
from strategist.roles.prompts import fenced, load_prompt, transcript

UNREADABLE = frozenset({"not_json", "cut_reply", "empty_reply", "refusal"})
"""Kinds of ModelError that mean: no verdict could be read."""


class JudgeVerdict(Record):
    """What the judge writes. The order of the fields is the order of writing: the reason comes first."""

    reason: str
    choice: Choice


_FAMILIES = (
    ("gpt", r"gpt|openai/o\d|\bo[1-9]\b|davinci"),
    ("claude", r"claude|anthropic"),
    ("gemini", r"gemini|gemma|palm"),
    ("llama", r"(?<!o)llama(?!file)|vicuna"),
    ("qwen", r"qwen|qwq"),
    ("mistral", r"mistral|mixtral|ministral|codestral|magistral"),
    ("deepseek", r"deepseek"),
    ("phi", r"\bphi"),
    ("command", r"command|cohere|\baya"),
    ("grok", r"grok|xai"),
)


def family_of(model: str) -> str:
    """The maker's line that a model belongs to, as far as its name tells (`openai:qwen2.5-1.5b` is qwen's); else the name itself."""
    name = model.partition(":")[2] or model
    return next((family for family, pattern in _FAMILIES if re.search(pattern, name, re.IGNORECASE)), name)


class LLMJudge:
    """A Judge by a model, at temperature 0. Use one of another family than teacher and student."""

    def __init__(self, chat: Chat, domain: Domain, *, max_tokens: int = 300) -> None:
        self.chat = chat
        self.domain = domain
        self.max_tokens = max_tokens

    @property
    def name(self) -> str:
        """The model's identity."""
        return self.chat.model_name

    async def compare(self, scenario: Scenario, first: str, second: str, *, purpose: Purpose, sample: int = 0) -> Comparison:
        """Compare in both orders. The same text twice is a tie without a call.

        Raises ModelError where a call failed for another reason than an answer that cannot be read."""
        if first.strip() == second.strip():
            return Comparison(forward="tie", backward="tie")
        forward, backward = await asyncio.gather(
            self._choice(scenario, first, second, purpose, sample), self._choice(scenario, second, first, purpose, sample)
        )
        return Comparison(forward=forward, backward=backward)

    def request(self, scenario: Scenario, first: str, second: str) -> ModelRequest:
        """The request for one order."""
        text = load_prompt("judge").render(
            title=self.domain.title,
            brief=self.domain.brief,
            conversation=fenced("conversation", transcript(scenario.messages)),
            first=fenced("reply_1", first),
            second=fenced("reply_2", second),
        )
        return ModelRequest(messages=(Message(role="user", content=text),), temperature=0.0, max_tokens=self.max_tokens)

    async def _choice(self, scenario: Scenario, first: str, second: str, purpose: Purpose, sample: int) -> Choice | None:
        try:
            verdict = await ask_json(self.chat, self.request(scenario, first, second), JudgeVerdict, purpose=purpose, sample=sample)
        except ModelError as error:
            if error.kind in UNREADABLE:
                return None
            raise
        return verdict.choice
