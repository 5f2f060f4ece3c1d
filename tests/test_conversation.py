from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategist.agent import Agent, ToolStyle
from strategist.conversation import TurnResult, answer_turn, opening_scenario, play, replay, scenarios_of, turn_in
from strategist.domains.checks import Check, TurnView, conversation_check, turn_check
from strategist.domains.domain import Domain, Tool, ToolRefusal, persona_id
from strategist.domains.persona import CustomerTurn, Goal, HiddenFact, Need, Persona, Split, Trap
from strategist.errors import BudgetExceededError, ModelError, ServerUnavailableError, TransientModelError
from strategist.models.adapters.scripted import ScriptedModel
from strategist.placement import CLOSE, OPEN, has_delimiter
from strategist.records.base import JsonObject, canonical, stable_int
from strategist.records.chat import Message, ModelRequest, Purpose, Reply, ToolCall, ToolSpec, Usage
from strategist.records.library import Guidance
from strategist.records.trace import Scenario, Trace
from strategist.retrieval.mask import key_text
from strategist.roles.protocols import ActorReply
from strategist.roles.scripted_customer import ScriptedCustomer
from strategist.roles.tooltext import USED_UP

LINE = "Name the next step."


def hold(state: JsonObject, arguments: JsonObject) -> str:
    parcels = state["parcels"]
    assert isinstance(parcels, dict)
    if arguments.get("id") not in parcels:
        raise ToolRefusal("no such parcel")
    parcels[str(arguments["id"])] = "held"
    return "held"


HOLD = Tool(
    ToolSpec(
        name="hold",
        description="Holds a parcel.",
        parameters={"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
    ),
    hold,
)


def broken(view: TurnView) -> bool:
    raise RuntimeError("oops")


CHECKS: tuple[Check, ...] = (
    turn_check("next_step", about="names the next step", advice=LINE)(lambda view: view.says("next")),
    turn_check("no_refund", about="no refund after the trap", hard=True)(
        lambda view: not view.says("refund") if "trap:refund" in view.past_acts else None
    ),
    turn_check("broken", about="always breaks")(broken),
    conversation_check("short", about="at most 3 agent turns")(lambda view: len(view.turns) <= 3),
)


def draw(split: Split, index: int, seed: int) -> Persona:
    return Persona(
        id=persona_id(split, index, seed),
        template="t",
        issue="hold",
        split=split,
        seed=seed,
        name="Ana",
        mood="calm",
        patience=2,
        facts={"id": "P1"},
        needs=(
            Need(id="hold", wordings=("Please hold my parcel P1. [guidance]",), again=("Hold it, please.",), met_by_tools=("hold",)),
            Need(id="when", wordings=("How long?",), met_by="seven days"),
        ),
        hidden=(HiddenFact(id="trip", asked_by="why", wordings=("I am away.",)),),
        trap=Trap(id="refund", turn=1, wordings=("And refund me.",)),
        goal=Goal(state={"parcels.P1": "held"}, unchanged=("parcels.P2",)),
        state={"parcels": {"P1": "moving", "P2": "moving"}},
        screen="P1 is moving",
    )


DOMAIN = Domain(
    name="depot",
    title="Depot",
    language="en",
    brief="R1. Hold parcels on demand.",
    pack_hash="",
    checks=CHECKS,
    tools=(HOLD,),
    draw=draw,
    split_sizes={"train": 2, "dev": 1, "test": 1},
    issues=("hold",),
)
PERSONA = draw("train", 0, 0)


class ScriptedChat:
    """A Chat over a scripted model, without a call log; remembers what it was asked."""

    def __init__(self, answer: Callable[[ModelRequest, int], Reply | str]) -> None:
        self.model = ScriptedModel("scripted:student", answer)
        self.asked: list[ModelRequest] = []

    @property
    def model_name(self) -> str:
        return self.model.name

    async def ask(self, request: ModelRequest, *, purpose: Purpose, sample: int = 0) -> Reply:
        self.asked.append(request)
        return await self.model.reply(request, stable_int(purpose, sample))


class Lines:
    async def guidance(self, messages: Sequence[Message]) -> Guidance:
        return Guidance(lines=(LINE,), entries=("e1@1",), reason="matched", score=0.9)


def call(name: str = "hold", arguments: str = '{"id": "P1"}', id: str = "c1") -> ToolCall:  # noqa: A002
    return ToolCall(id=id, name=name, arguments=arguments)


def student(request: ModelRequest, draw: int) -> Reply | str:
    """Knows how to hold a parcel; names the next step only where it is told to."""
    last = max(i for i, m in enumerate(request.messages) if m.role == "user")
    asked, told = request.messages[last].content, LINE in request.messages[last].content
    done = len(request.messages) > last + 1 or "you used hold" in asked
    if "hold" in asked and not done and request.tools:
        return Reply(text="", tool_calls=(call(),), finish="tool_calls", usage=Usage(prompt_tokens=1))
    if "hold" in asked and not done and "TOOL:" in request.messages[0].content:
        return 'TOOL: hold {"id": "P1"}'
    text = "It is kept for seven days." if "long" in asked else f"Done, variant {draw % 10}."
    return text + (" Next, bring your passport." if told else "")


def agent(answer: Callable[[ModelRequest, int], Reply | str] = student, *, guided: bool = False, style: ToolStyle = "native") -> Agent:
    return Agent(ScriptedChat(answer), retriever=Lines() if guided else None, tools=(HOLD.spec,), tool_style=style)


def played(actor: Agent | None = None, *, max_turns: int = 6, sample: int = 1, arm: str = "", style: ToolStyle = "native") -> Trace:
    work = play(
        actor or agent(style=style),
        ScriptedCustomer(),
        DOMAIN,
        PERSONA,
        purpose="examine",
        round=1,
        index=2,
        arm=arm,
        sample=sample,
        max_turns=max_turns,
        tool_style=style,
    )
    return asyncio.run(work)


def keys(messages: Sequence[Message]) -> str:
    return key_text(messages)


def test_a_conversation_from_start_to_end() -> None:
    trace = played(agent(guided=True))
    assert trace.failure is None
    assert trace.outcome is not None
    assert (trace.outcome.ended, trace.outcome.goal, trace.outcome.agent_turns) == ("done", True, len(trace.turns))
    assert (trace.domain, trace.persona, trace.issue, trace.purpose, trace.round, trace.index, trace.actor) == (
        "depot",
        "train-0-0",
        "hold",
        "examine",
        1,
        2,
        "student",
    )
    assert [m.role for m in trace.messages[:5]] == ["system", "user", "assistant", "tool", "assistant"]
    assert trace.messages[-1].role == "user"
    first = trace.turns[0]
    assert [step.role for step in first.steps] == ["assistant", "tool"]
    assert first.steps[1].content == "held"
    assert (first.state_before["parcels"], first.state_after["parcels"]) == (
        {"P1": "moving", "P2": "moving"},
        {"P1": "held", "P2": "moving"},
    )
    assert all(turn.state_before == before.state_after for before, turn in zip(trace.turns, trace.turns[1:], strict=False))
    assert trace.usage.prompt_tokens > 1
    assert PERSONA.state == {"parcels": {"P1": "moving", "P2": "moving"}}


def test_checks_see_guidance_acts_and_breakage() -> None:
    guided, bare = played(agent(guided=True)), played()

    def passed(trace: Trace, check: str) -> list[bool | None]:
        return [v.passed for turn in trace.turns for v in turn.verdicts if v.check == check]

    assert set(passed(guided, "next_step")) == {True}
    assert set(passed(bare, "next_step")) == {False}
    assert set(passed(bare, "broken")) == {None}
    sprung = next(i for i, turn in enumerate(bare.turns) if "trap:refund" in turn.acts)
    assert len(passed(bare, "no_refund")) == len(bare.turns) - sprung
    assert bare.outcome is not None
    assert [v.check for v in bare.outcome.verdicts if v.turn is None] == ["short"]
    assert [v.turn for v in bare.turns[1].verdicts] == [1] * len(bare.turns[1].verdicts)


def test_guidance_is_in_the_requests_and_never_in_the_trace() -> None:
    actor = agent(guided=True)
    trace = played(actor)
    assert isinstance(actor.chat, ScriptedChat)
    assert all(sum(m.content.count(OPEN) for m in request.messages) == 1 for request in actor.chat.asked)
    assert all(turn.guidance.lines == (LINE,) for turn in trace.turns)
    texts = [m.content for m in trace.messages] + [turn.reply for turn in trace.turns]
    assert not any(CLOSE in text or LINE in text for text in texts)
    assert "Please hold my parcel P1. [guidance]" in trace.turns[0].customer
    assert has_delimiter(trace.messages[1].content)


def test_the_same_inputs_give_the_same_trace() -> None:
    assert canonical(played()) == canonical(played())
    assert played().id != played(sample=2).id
    assert played().id != played(arm="bare").id
    assert len(played().id) == 16


def test_tools_as_text_lead_to_the_same_state() -> None:
    actor = agent(style="text")
    trace = played(actor, style="text")
    assert trace.outcome is not None
    assert trace.outcome.goal
    assert trace.turns[0].steps[0].tool_calls[0].name == "hold"
    assert isinstance(actor.chat, ScriptedChat)
    assert not any(m.content == USED_UP for request in actor.chat.asked for m in request.messages), "the call is seen as done"
    assert "TOOL:" in trace.messages[0].content


def test_a_customer_that_loses_patience_leaves_and_the_conversation_counts() -> None:
    trace = played(agent(lambda request, draw: "Hm."))
    assert trace.outcome is not None
    assert (trace.outcome.ended, trace.outcome.goal) == ("out_of_patience", False)
    assert trace.messages[-1].role == "user"


class Chatty:
    """A customer that never ends, or ends with a bare mark after some messages."""

    def __init__(self, ends_after: int | None = None) -> None:
        self.ends_after = ends_after

    async def next(self, persona: Persona, messages: Sequence[Message], *, purpose: Purpose, sample: int = 0) -> CustomerTurn:
        said = sum(m.role == "user" for m in messages)
        assert not any(m.role == "system" for m in messages)
        assert not messages or messages[-1].role == "assistant"
        return CustomerTurn(text="", ended="done") if said == self.ends_after else CustomerTurn(text=f"Message {said}")


def talk_with(customer: Chatty, max_turns: int) -> Trace:
    return asyncio.run(play(agent(), customer, DOMAIN, PERSONA, purpose="generate", max_turns=max_turns))


def test_a_customer_that_never_ends_meets_the_turn_limit() -> None:
    trace = talk_with(Chatty(), 3)
    assert trace.outcome is not None
    assert (trace.outcome.ended, len(trace.turns)) == ("turn_limit", 3)
    assert trace.messages[-1].role == "assistant"


def test_the_customer_has_a_last_word_after_the_last_turn() -> None:
    trace = talk_with(Chatty(ends_after=3), 3)
    assert trace.outcome is not None
    assert (trace.outcome.ended, len(trace.turns)) == ("done", 3)
    assert trace.messages[-1].role == "assistant"


class Silent:
    async def next(self, persona: Persona, messages: Sequence[Message], *, purpose: Purpose, sample: int = 0) -> CustomerTurn:
        return CustomerTurn(text=" ")


def test_a_silent_customer_is_a_failure_of_the_customer() -> None:
    trace = asyncio.run(play(agent(), Silent(), DOMAIN, PERSONA, purpose="generate", max_turns=2))
    assert trace.failure is not None
    assert (trace.failure.kind, trace.outcome, trace.turns, len(trace.messages)) == ("customer", None, (), 1)


def failing_at_turn_two(error: BaseException) -> Callable[[ModelRequest, int], Reply | str]:
    def answer(request: ModelRequest, draw: int) -> Reply | str:
        if sum(m.role == "user" for m in request.messages) > 1:
            raise error
        return student(request, draw)

    return answer


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ModelError("gone"), "model"),
        (ModelError("no", kind="refusal"), "refusal"),
        (ModelError("?", kind="something_new"), "model"),
        (TransientModelError("still busy"), "model"),
    ],
)
def test_a_failing_model_is_data_with_the_turns_so_far(error: ModelError, kind: str) -> None:
    trace = played(agent(failing_at_turn_two(error)))
    assert trace.failure is not None
    assert (trace.failure.kind, trace.failure.message) == (kind, error.message)
    assert trace.outcome is None
    assert len(trace.turns) == 1
    assert [m.role for m in trace.messages][-1] == "user"
    assert len(scenarios_of(trace, keys)) == 1


@pytest.mark.parametrize("error", [BudgetExceededError("spent"), ServerUnavailableError("dead"), asyncio.CancelledError()])
def test_what_ends_the_run_is_raised(error: BaseException) -> None:
    with pytest.raises(type(error)):
        played(agent(failing_at_turn_two(error)))


class Actor:
    """Gives messages in turn and remembers how it was asked."""

    def __init__(self, *messages: Message) -> None:
        self.messages = list(messages)
        self.tools: list[bool] = []
        self.guidance: list[Guidance | None] = []
        self.seen: list[tuple[Message, ...]] = []

    async def reply(
        self, messages: Sequence[Message], *, purpose: Purpose, sample: int = 0, guidance: Guidance | None = None, tools: bool = True
    ) -> ActorReply:
        self.tools.append(tools)
        self.guidance.append(guidance)
        self.seen.append(tuple(messages))
        return ActorReply(self.messages.pop(0), guidance or Guidance(lines=(LINE,), reason="matched"), Usage(completion_tokens=1))


def said(text: str, *calls: ToolCall) -> Message:
    return Message(role="assistant", content=text, tool_calls=calls)


ASKED = (Message(role="system", content="s"), Message(role="user", content="Hold P1"))


def answered(actor: Actor, *, max_tool_steps: int = 3, guidance: Guidance | None = None) -> TurnResult:
    work = answer_turn(
        actor,
        DOMAIN,
        PERSONA,
        ASKED,
        PERSONA.state,
        purpose="coach",
        acts=("need:hold",),
        guidance=guidance,
        turn=4,
        max_tool_steps=max_tool_steps,
    )
    return asyncio.run(work)


def test_text_beside_a_tool_call_is_kept_and_the_tool_is_run() -> None:
    result = answered(Actor(said("One moment.", call()), said("It is held.")))
    assert result.reply == "One moment.\n\nIt is held."
    assert result.last == said("It is held.")
    assert [m.role for m in result.steps] == ["assistant", "tool"]
    assert result.usage.completion_tokens == 2
    view = result.view
    assert (view.turn, view.called("hold"), view.doing("need:hold"), view.customer) == (4, True, True, "Hold P1")
    assert (view.history, view.guidance) == (ASKED, (LINE,))


def test_the_first_guidance_serves_the_whole_tool_loop() -> None:
    actor = Actor(said("", call()), said("Held."))
    answered(actor)
    assert actor.guidance == [None, Guidance(lines=(LINE,), reason="matched")]
    fixed = Guidance(lines=("Other.",), reason="fixed")
    actor = Actor(said("", call()), said("Held."))
    assert answered(actor, guidance=fixed).guidance == fixed
    assert actor.guidance == [fixed, fixed]


def test_after_the_last_tool_step_the_reply_is_asked_for_without_tools() -> None:
    actor = Actor(said("", call(id="1"), call("nothing", id="2")), said("", call(id="3"), call(id="4")), said("Done.", call(id="5")))
    result = answered(actor)
    assert actor.tools == [True, True, False]
    assert [c.id for step in result.steps for c in step.tool_calls] == ["1", "2", "3"]
    assert result.steps[2].content.startswith("error: there is no tool 'nothing'")
    assert (result.reply, result.last) == ("Done.", said("Done."))


def test_no_tool_steps_at_all() -> None:
    actor = Actor(said("Fine.", call()))
    assert answered(actor, max_tool_steps=0).steps == ()
    assert actor.tools == [False]


@pytest.mark.parametrize(
    "messages", [[said(" ")], [said("One moment.", call()), said("")], [said("", call()), said("", call("x")), said("")]]
)
def test_a_turn_without_a_closing_text_is_a_typed_failure(messages: list[Message]) -> None:
    with pytest.raises(ModelError) as caught:
        answered(Actor(*messages))
    assert caught.value.kind == "empty_reply"


def test_wrong_calls_are_answered_and_change_nothing() -> None:
    result = answered(Actor(said("", call(arguments='{"id": "P9"}'), call(arguments="broken", id="2")), said("Sorry.")))
    assert result.steps[1].content == "no such parcel"
    assert result.steps[2].content.startswith("error: ")
    assert result.state == PERSONA.state


def test_scenarios_hold_the_state_before_each_reply() -> None:
    trace = played()
    scenarios = scenarios_of(trace, keys)
    assert [s.id for s in scenarios] == [f"{trace.id}.{i}" for i in range(len(trace.turns))]
    acts: set[str] = set()
    for scenario, turn in zip(scenarios, trace.turns, strict=True):
        acts |= set(turn.acts)
        assert scenario.customer == turn.customer
        assert scenario.messages == trace.messages[: len(scenario.messages)]
        assert (scenario.acts, set(scenario.past_acts), scenario.state, scenario.verdicts) == (
            turn.acts,
            acts,
            turn.state_before,
            turn.verdicts,
        )
        assert scenario.key == key_text(scenario.messages)
        assert (scenario.trace, scenario.persona, scenario.issue, scenario.turn) == (trace.id, PERSONA.id, "hold", turn.index)
    assert len(scenarios) > 2


def test_a_guide_sees_each_state_and_decides_its_turn() -> None:
    seen: list[Scenario] = []

    async def guide(scenario: Scenario) -> Guidance:
        seen.append(scenario)
        return Guidance(lines=(f"Line {scenario.turn}.",), reason="fixed") if scenario.turn % 2 else Guidance(reason="off")

    trace = asyncio.run(
        play(
            agent(guided=True),
            ScriptedCustomer(),
            DOMAIN,
            PERSONA,
            purpose="examine",
            index=2,
            sample=1,
            max_turns=6,
            tool_style="native",
            guide=guide,
        )
    )
    assert len(trace.turns) > 2
    assert [turn.guidance.lines for turn in trace.turns] == [(f"Line {i}.",) if i % 2 else () for i in range(len(trace.turns))]
    assert seen == [s.model_copy(update={"verdicts": ()}) for s in scenarios_of(trace, keys)]


def test_replaying_a_scenario_repeats_its_turn() -> None:
    trace = played()
    for scenario, turn in zip(scenarios_of(trace, keys), trace.turns, strict=True):
        result = asyncio.run(replay(agent(), DOMAIN, scenario, guidance=turn.guidance, purpose="examine", sample=1))
        assert (result.reply, result.steps, result.state) == (turn.reply, turn.steps, turn.state_after)
        assert result.verdicts == turn.verdicts


def test_replaying_with_other_guidance_changes_what_the_checks_say() -> None:
    scenario = scenarios_of(played(), keys)[1]
    guidance = Guidance(lines=(LINE,), reason="fixed")
    result = asyncio.run(replay(agent(), DOMAIN, scenario, guidance=guidance, purpose="admit"))
    assert [v.passed for v in result.verdicts if v.check == "next_step"] == [True]
    assert result.guidance == guidance


def test_an_opening_is_the_first_scenario_of_a_conversation() -> None:
    opening = asyncio.run(opening_scenario(ScriptedCustomer(), DOMAIN, PERSONA, index=3))
    first = scenarios_of(played(), keys)[0]
    same = {"messages", "acts", "past_acts", "key", "state", "persona", "issue", "turn"}
    assert opening.model_dump(include=same) == first.model_dump(include=same)
    assert opening.id == f"{opening.trace}.0" != first.id
    assert opening.verdicts == ()
    assert asyncio.run(opening_scenario(ScriptedCustomer(), DOMAIN, PERSONA, index=4)).id != opening.id


@given(st.integers(0, 5), st.integers(0, 3), st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_every_conversation_is_well_formed(index: int, seed: int, max_turns: int) -> None:
    def moody(request: ModelRequest, draw: int) -> Reply | str:
        return student(request, draw) if stable_int(seed, canonical(request)) % 3 else "Why do you ask?"

    persona = DOMAIN.persona(persona_id("train", index, seed))
    trace = asyncio.run(play(agent(moody), ScriptedCustomer(), DOMAIN, persona, purpose="generate", sample=seed, max_turns=max_turns))
    assert trace.failure is None
    assert trace.outcome is not None
    assert 1 <= len(trace.turns) <= max_turns
    assert [turn.index for turn in trace.turns] == list(range(len(trace.turns)))
    customers = [m.content for m in trace.messages if m.role == "user"]
    assert customers[: len(trace.turns)] == [turn.customer for turn in trace.turns]
    assert len(customers) - len(trace.turns) == (trace.outcome.ended != "turn_limit")
    assert Trace.model_validate_json(trace.model_dump_json()) == trace


@pytest.mark.parametrize(("id_", "turn"), [("abc.0", 0), ("abc.2", 2), ("a.b.11", 11), ("abc", 0), ("", 0), ("abc.x", 0)])
def test_a_scenarios_id_names_its_turn(id_: str, turn: int) -> None:
    assert turn_in(id_) == turn
