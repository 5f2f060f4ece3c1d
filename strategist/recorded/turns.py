"""Recorded messages -> a trace with its turns. Pure: no model, no checks, no database.

A turn is what the customer says and what the agent answers it with: tool calls, their results, and in the end a text. Customers' messages
in a row are one; an agent's text between tool calls is part of its turn; a turn that ends without a text (a hand-over, a log that was cut)
is no turn, but stays in the history. Invariant: the n-th customer's message of the trace belongs to its n-th turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from strategist.domains.persona import recorded_id
from strategist.recorded.reading import Conversation
from strategist.records.base import digest
from strategist.records.chat import Message, RoleName
from strategist.records.library import Guidance
from strategist.records.trace import Outcome, Trace, Turn, customer_hash

RECORDED = "recorded"
"""The run that imported conversations are kept under."""
OFF = Guidance(reason="off")
SHORT = 12
"""Letters of a customer's hash that stand for them where conversations are grouped by customer."""


def cut(messages: Sequence[Message]) -> tuple[tuple[Message, ...], tuple[Turn, ...]]:
    """Messages with customers' runs joined, and their turns; messages before the first customer's are kept in front."""
    talk = _Talk()
    for message in messages:
        if message.role == "user":
            talk.customer(message)
        elif message.content.strip() or message.tool_calls or message.role == "tool":
            talk.agent(message)
    talk.close()
    return tuple(talk.messages), tuple(talk.turns)


def trace_of(
    conversation: Conversation,
    messages: Sequence[Message],
    *,
    domain: str,
    source: str,
    split: str,
    index: int,
    actor: RoleName,
) -> Trace:
    """The conversation as it is kept: its masked `messages`, whose it is, and how it ended where the file says so."""
    joined, turns = cut(messages)
    by_customer = conversation.group == conversation.customer  # whose id is kept nowhere
    group = customer_hash(conversation.customer)[:SHORT] if by_customer else conversation.group
    reward = conversation.reward
    outcome = None
    if reward is not None:
        outcome = Outcome(goal=reward >= 1, ended="done", verdicts=(), score=reward, hard_failures=0, agent_turns=len(turns))
    return Trace(
        id=digest([RECORDED, source, conversation.id], 16),
        domain=domain,
        persona=recorded_id(split, group, source),
        issue=conversation.issue,
        purpose="import",
        round=0,
        index=index,
        actor=actor,
        messages=joined,
        turns=turns,
        outcome=outcome,
        source=source,
        customer=customer_hash(conversation.customer) if conversation.customer else "",
        time=conversation.time,
    )


@dataclass
class _Talk:
    """One conversation so far: `steps` are what the agent did since the customer's last message."""

    messages: list[Message] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    steps: list[Message] = field(default_factory=list)

    def customer(self, message: Message) -> None:
        self.close()
        last = self.messages[-1] if self.messages else None
        if last is not None and last.role == "user":
            self.messages[-1] = last.model_copy(update={"content": f"{last.content}\n{message.content}".strip()})
        else:
            self.messages.append(message)

    def agent(self, message: Message) -> None:
        if self.messages and self._asked() is not None:
            self.steps.append(message)
        else:
            self.messages.append(message)

    def close(self) -> None:
        """End the agent's turn: its last text is the reply. Without one its steps are left out, and the customer goes on."""
        steps, self.steps = self.steps, []
        texts = [place for place, step in enumerate(steps) if step.role == "assistant" and step.content.strip() and not step.tool_calls]
        asked = self._asked()
        if asked is None or not texts:
            return
        before, reply = tuple(steps[: texts[-1]]), steps[texts[-1]]
        said = [step.content.strip() for step in (*before, reply) if step.role == "assistant" and step.content.strip()]
        self.turns.append(
            Turn(
                index=len(self.turns),
                customer=asked,
                steps=before,
                reply="\n\n".join(said),
                guidance=OFF,
                state_before={},
                state_after={},
            )
        )
        self.messages += [*before, reply]

    def _asked(self) -> str | None:
        """The customer's message that waits for an answer."""
        return self.messages[-1].content if self.messages and self.messages[-1].role == "user" else None
