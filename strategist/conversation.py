"""One conversation, or one turn of it: an agent, a customer, tools over the domain's state -> trace, scenarios, turn results.

Owns the tool loop and the turn loop. `answer_turn` is the one code path of conversations, coaching and the gate. Knows no library, no
database and no strategy. Invariants: guidance is part of a turn's record and never of the messages; the given state is never changed; a
conversation that fails is a trace with a typed failure and no outcome. A spent budget, a dead server and a cancelled task are raised.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import cast, get_args

from strategist.agent import ToolStyle, system_message
from strategist.domains.checks import ConversationView, TurnView
from strategist.domains.domain import Domain
from strategist.domains.grading import grade_turn, outcome
from strategist.domains.persona import CustomerTurn, Persona
from strategist.domains.toolset import run_tool
from strategist.errors import ModelError
from strategist.records.base import JsonObject, digest, stable_int
from strategist.records.chat import Message, Purpose, RoleName, Usage
from strategist.records.library import Guidance
from strategist.records.trace import Ended, Failure, FailureKind, Outcome, Scenario, Trace, Turn, Verdict
from strategist.retrieval.mask import key_text
from strategist.roles.protocols import Actor, Customer

MAX_TOOL_STEPS = 2
"""Tool calls in one turn; after them the agent is asked for its reply without tools."""


Guide = Callable[[Scenario], Awaitable[Guidance]]
"""Whoever says what a turn gets after looking at its whole state, as a study may and a retriever cannot. Raises ModelError."""


@dataclass(frozen=True)
class TurnResult:
    """One answered turn. `steps` are the tool loop's messages, `last` the agent's closing message; `reply` is all that the customer read,
    text beside tool calls included; `state` is the domain's state after it."""

    reply: str
    steps: tuple[Message, ...]
    last: Message
    state: JsonObject
    verdicts: tuple[Verdict, ...]
    guidance: Guidance
    usage: Usage
    view: TurnView


async def answer_turn(
    actor: Actor,
    domain: Domain,
    persona: Persona,
    messages: Sequence[Message],
    state: JsonObject,
    *,
    purpose: Purpose,
    sample: int = 0,
    guidance: Guidance | None = None,
    acts: Sequence[str] = (),
    past_acts: Sequence[str] = (),
    turn: int = 0,
    steps: Sequence[Message] = (),
    max_tool_steps: int = MAX_TOOL_STEPS,
) -> TurnResult:
    """Answer the last customer message, running tools, and grade it. `past_acts` may leave out `acts`. Where `steps` of the turn are given,
    the answer rests on them and no further tool is run.

    Raises ModelError (`empty_reply` where nothing is left to read), BudgetExceededError, ServerUnavailableError."""
    loop = _ToolLoop(state, list(steps))
    while True:
        more = len(loop.results) < max_tool_steps and not steps
        answer = await actor.reply((*messages, *loop.steps), purpose=purpose, sample=sample, guidance=guidance, tools=more)
        guidance = answer.guidance
        loop.usage += answer.usage
        calls = answer.message.tool_calls[: max_tool_steps - len(loop.results)] if more else ()
        if not calls:
            break
        loop.run(domain, answer.message.model_copy(update={"tool_calls": calls}))
    last = Message(role="assistant", content=answer.message.content)
    if not last.content.strip():
        raise ModelError("the agent answered without a text", kind="empty_reply")
    view = TurnView(
        reply="\n\n".join(filter(None, [*(step.content for step in loop.steps if step.role == "assistant"), last.content])),
        customer=messages[-1].content,
        acts=frozenset(acts),
        past_acts=frozenset(past_acts) | frozenset(acts),
        history=tuple(messages),
        persona=persona,
        calls=tuple(call for step in loop.steps for call in step.tool_calls),
        before=state,
        after=loop.state,
        guidance=guidance.lines,
        turn=turn,
    )
    return TurnResult(view.reply, tuple(loop.steps), last, loop.state, grade_turn(domain, view), guidance, loop.usage, view)


async def replay(
    actor: Actor,
    domain: Domain,
    scenario: Scenario,
    *,
    guidance: Guidance | None,
    purpose: Purpose,
    sample: int = 0,
    max_tool_steps: int = MAX_TOOL_STEPS,
) -> TurnResult:
    """Answer a scenario once more; None lets the actor look up its own guidance. Raises like `answer_turn`."""
    return await answer_turn(
        actor,
        domain,
        _persona(domain, scenario),
        scenario.messages,
        scenario.state,
        purpose=purpose,
        sample=sample,
        guidance=guidance,
        acts=scenario.acts,
        past_acts=scenario.past_acts,
        turn=scenario.turn,
        steps=scenario.steps,
        max_tool_steps=max_tool_steps,
    )


def _persona(domain: Domain, scenario: Scenario) -> Persona:
    """Whom the scenario is with; what recorded conversations are about is known from them only."""
    persona = domain.persona(scenario.persona)
    return persona.model_copy(update={"issue": scenario.issue}) if domain.recorded else persona


def graded(domain: Domain, trace: Trace) -> Trace:
    """A recorded conversation with the verdicts of the domain's checks on each of its replies. Its outcome stays what the file said."""
    turns = []
    for turn, scenario in zip(trace.turns, scenarios_of(trace, lambda messages: ""), strict=True):
        view = TurnView(
            reply=turn.reply,
            customer=scenario.customer,
            acts=frozenset(),
            past_acts=frozenset(),
            history=scenario.messages,
            persona=_persona(domain, scenario),
            calls=tuple(call for step in turn.steps for call in step.tool_calls),
            before={},
            after={},
            turn=turn.index,
        )
        turns.append(turn.model_copy(update={"verdicts": grade_turn(domain, view)}))
    return trace.model_copy(update={"turns": tuple(turns)})


async def play(
    actor: Actor,
    customer: Customer,
    domain: Domain,
    persona: Persona,
    *,
    purpose: Purpose,
    max_turns: int,
    round: int = 0,  # noqa: A002 - the record's word
    index: int = 0,
    arm: str = "",
    sample: int = 0,
    actor_role: RoleName = "student",
    tool_style: ToolStyle = "native",
    max_tool_steps: int = MAX_TOOL_STEPS,
    guide: Guide | None = None,
) -> Trace:
    """Play one conversation of at most `max_turns` agent turns. Failures of models are data: the trace has them, with the turns so far.
    Without a `guide` the actor looks its guidance up.

    Raises BudgetExceededError and ServerUnavailableError only."""
    trace = digest([domain.name, purpose, arm, round, index, persona.id, sample], 16)
    talk = _Talk(trace, domain, persona, [system_message(domain, persona, tool_style)], persona.state)
    result: Outcome | None = None
    failure: Failure | None = None
    try:
        ended = await talk.run(
            actor, customer, purpose=purpose, sample=sample, max_turns=max_turns, max_tool_steps=max_tool_steps, guide=guide
        )
        result = talk.outcome(ended)
    except ModelError as error:
        failure = failure_of(error)
    return Trace(
        id=trace,
        domain=domain.name,
        persona=persona.id,
        issue=persona.issue,
        purpose=purpose,
        round=round,
        index=index,
        actor=actor_role,
        arm=arm,
        messages=tuple(talk.messages),
        turns=tuple(talk.turns),
        outcome=result,
        failure=failure,
        usage=talk.usage,
    )


async def opening_scenario(
    customer: Customer, domain: Domain, persona: Persona, *, index: int = 0, tool_style: ToolStyle = "native", purpose: Purpose = "generate"
) -> Scenario:
    """The state in which a persona's first message waits for an answer: a test moment that costs no agent reply.

    Raises ModelError where the customer is a model and fails."""
    opening = await customer.next(persona, (), purpose=purpose, sample=stable_int("opening", persona.id, index))
    trace = digest([domain.name, "opening", index, persona.id], 16)
    messages = (system_message(domain, persona, tool_style), Message(role="user", content=opening.text))
    return Scenario(
        id=f"{trace}.0",
        trace=trace,
        persona=persona.id,
        issue=persona.issue,
        turn=0,
        messages=messages,
        acts=opening.acts,
        past_acts=opening.acts,
        key=key_text(messages, domain.language),
        state=persona.state,
    )


def scenarios_of(trace: Trace, key_text: Callable[[Sequence[Message]], str]) -> tuple[Scenario, ...]:
    """One scenario per agent turn that was answered: the messages up to the customer's, with the state before the reply."""
    ends = [position + 1 for position, message in enumerate(trace.messages) if message.role == "user"]
    out = []
    past: dict[str, None] = {}
    for turn, end in zip(trace.turns, ends, strict=False):
        past.update(dict.fromkeys(turn.acts))
        messages = trace.messages[:end]
        out.append(
            Scenario(
                id=f"{trace.id}.{turn.index}",
                trace=trace.id,
                persona=trace.persona,
                issue=turn.issue or trace.issue,
                turn=turn.index,
                messages=messages,
                acts=turn.acts,
                past_acts=tuple(past),
                steps=turn.steps if trace.source else (),
                key=key_text(messages),
                state=turn.state_before,
                verdicts=turn.verdicts,
            )
        )
    return tuple(out)


def turn_in(scenario: str) -> int:
    """The turn that a scenario's id names, 0 being the first; 0 where it names none."""
    _, _, turn = scenario.rpartition(".")
    return int(turn) if turn.isdecimal() else 0


def failure_of(error: ModelError) -> Failure:
    """The record of a model's failure; kinds that records do not know become `model`."""
    kind = error.kind if error.kind in get_args(FailureKind) else "model"
    return Failure(kind=cast(FailureKind, kind), message=error.message)


@dataclass
class _ToolLoop:
    """The tool calls of one turn so far, and the state they led to."""

    state: JsonObject
    steps: list[Message] = field(default_factory=list)
    results: list[Message] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)

    def run(self, domain: Domain, message: Message) -> None:
        """Run the calls of one message, in order."""
        self.steps.append(message)
        for call in message.tool_calls:
            text, self.state = run_tool(domain, self.state, call)
            self.results.append(Message(role="tool", content=text, tool_call_id=call.id))
            self.steps.append(self.results[-1])


@dataclass
class _Talk:
    """One conversation so far."""

    id: str
    domain: Domain
    persona: Persona
    messages: list[Message]
    state: JsonObject
    turns: list[Turn] = field(default_factory=list)
    views: list[TurnView] = field(default_factory=list)
    acts: dict[str, None] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)

    async def run(
        self,
        actor: Actor,
        customer: Customer,
        *,
        purpose: Purpose,
        sample: int,
        max_turns: int,
        max_tool_steps: int,
        guide: Guide | None,
    ) -> Ended:
        """Customer and agent in turn, until the customer ends it or would go on after the last turn."""
        while True:
            said = await customer.next(self.persona, tuple(self.messages[1:]), purpose=purpose, sample=sample)
            if said.ended is None and len(self.turns) == max_turns:
                return "turn_limit"
            if said.text.strip():
                self.messages.append(Message(role="user", content=said.text))
            if said.ended is not None:
                return said.ended
            if not said.text.strip():
                raise ModelError("the customer said nothing", kind="customer")
            self.acts.update(dict.fromkeys(said.acts))
            result = await answer_turn(
                actor,
                self.domain,
                self.persona,
                tuple(self.messages),
                self.state,
                purpose=purpose,
                sample=sample,
                guidance=None if guide is None else await guide(self.scenario(said)),
                acts=said.acts,
                past_acts=tuple(self.acts),
                turn=len(self.turns),
                max_tool_steps=max_tool_steps,
            )
            self.add(said, result)

    def scenario(self, said: CustomerTurn) -> Scenario:
        """The state in which the customer's message waits for an answer."""
        return Scenario(
            id=f"{self.id}.{len(self.turns)}",
            trace=self.id,
            persona=self.persona.id,
            issue=self.persona.issue,
            turn=len(self.turns),
            messages=tuple(self.messages),
            acts=said.acts,
            past_acts=tuple(self.acts),
            key=key_text(self.messages, self.domain.language),
            state=self.state,
        )

    def add(self, said: CustomerTurn, result: TurnResult) -> None:
        """Keep an answered turn."""
        self.turns.append(
            Turn(
                index=len(self.turns),
                customer=said.text,
                acts=said.acts,
                steps=result.steps,
                reply=result.reply,
                guidance=result.guidance,
                verdicts=result.verdicts,
                state_before=self.state,
                state_after=result.state,
            )
        )
        self.views.append(result.view)
        self.messages += [*result.steps, result.last]
        self.usage += result.usage
        self.state = result.state

    def outcome(self, ended: Ended) -> Outcome:
        """What it achieved."""
        view = ConversationView(tuple(self.views), self.persona, self.persona.state, self.state, ended)
        return outcome(self.domain, view, [verdict for turn in self.turns for verdict in turn.verdicts])
