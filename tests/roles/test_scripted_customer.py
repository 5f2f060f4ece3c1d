import asyncio
import re
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from strategist.domains.persona import CustomerTurn, HiddenFact, Mood, Need, Persona, Trap
from strategist.records.base import JsonObject
from strategist.records.chat import Message, ToolCall
from strategist.roles.protocols import Customer
from strategist.roles.scripted_customer import ScriptedCustomer, customer_turn

WHERE = Need(id="where", wordings=("Where is it?", "I miss my parcel."), again=("But where?", "So where?"), met_by="on its way")
MONEY = Need(id="money", wordings=("And my money?",), again=("The money?",), met_by="refund", met_by_tools=("refund",))
GIFT = HiddenFact(id="gift", asked_by=r"present|what is in it", wordings=("It is a present.",))
ADDRESS = HiddenFact(id="address", asked_by=r"where do you live", wordings=("In Bonn.",))
TRAP = Trap(id="now", turn=1, wordings=("Pay me now!",))


def persona(**changes: object) -> Persona:
    card: dict[str, object] = {
        "id": "train-0-0",
        "template": "t",
        "issue": "late",
        "split": "train",
        "seed": 0,
        "name": "Ana",
        "mood": "calm",
        "patience": 2,
        "facts": {},
        "needs": (WHERE, MONEY),
        "state": JsonObject(),
        **changes,
    }
    return Persona.model_validate(card)


def agent(text: str, *tools: str, id: str = "c") -> Message:  # noqa: A002
    return Message(role="assistant", content=text, tool_calls=tuple(ToolCall(id=id, name=name, arguments="{}") for name in tools))


def result(text: str) -> Message:
    return Message(role="tool", content=text, tool_call_id="c")


def play(card: Persona, *turns: str | Sequence[Message]) -> list[CustomerTurn]:
    """What the customer says to these agent turns, from the opening to the end or until the turns are used up."""
    messages: list[Message] = [Message(role="system", content="You are the agent.")]
    said = [customer_turn(card, messages)]
    for turn in turns:
        messages.append(Message(role="user", content=said[-1].text))
        messages.extend([agent(turn)] if isinstance(turn, str) else turn)
        said.append(customer_turn(card, messages))
        if said[-1].ended:
            break
    return said


def acts(said: Sequence[CustomerTurn]) -> list[str]:
    return ["+".join(turn.acts) for turn in said]


def test_needs_are_asked_in_order_and_thanked_for() -> None:
    said = play(persona(), "It is on its way.", "You get a refund.")
    assert acts(said) == ["need:where", "need:money", "thanks"]
    assert said[0].text in WHERE.wordings
    assert [turn.ended for turn in said] == [None, None, "done"]


def test_unhelpful_replies_cost_patience_until_the_customer_leaves() -> None:
    said = play(persona(patience=3), "Hm.", "  ", "Hm.")
    assert acts(said) == ["need:where", "again:where", "again:where", "leave"]
    assert {said[1].text, said[2].text} == set(WHERE.again)
    assert said[-1].ended == "out_of_patience"


def test_patience_is_for_the_whole_conversation() -> None:
    assert acts(play(persona(), "Hm.", "On its way.", "Hm.")) == ["need:where", "again:where", "need:money", "leave"]


def test_a_tool_that_ran_meets_a_need_and_one_that_failed_does_not() -> None:
    ran = [agent("", "refund"), result("Refunded."), agent("All done.")]
    failed = [agent("", "refund"), result("error: argument 'ref' is missing"), agent("All done.")]
    retried = [*failed[:2], *ran]
    needs = (MONEY,)
    assert acts(play(persona(needs=needs), ran)) == ["need:money", "thanks"]
    assert acts(play(persona(needs=needs), failed)) == ["need:money", "again:money"]
    assert acts(play(persona(needs=needs), retried)) == ["need:money", "thanks"]
    stray = [result("error: whose?"), agent("All done.", "refund")]
    assert acts(play(persona(needs=needs), stray)) == ["need:money", "thanks"]


def test_a_tool_in_a_silent_turn_counts_once_the_agent_speaks() -> None:
    silent = [agent("", "refund"), result("Refunded."), agent(" ")]
    assert acts(play(persona(needs=(MONEY,), patience=3), silent, "Done.")) == ["need:money", "again:money", "thanks"]
    assert acts(play(persona(needs=(WHERE, MONEY), patience=3), [agent("Hm.", "refund")], "On its way.", "Hm."))[-1] == "again:money"


def test_hidden_facts_are_told_once_when_asked_and_cost_nothing() -> None:
    card = persona(hidden=(GIFT, ADDRESS), patience=2)
    said = play(card, "What is in it, and where do you live?", "Is it a present?", "On its way.")
    assert said[1].acts[:2] == ("reveal:gift", "reveal:address")
    assert said[1].text.startswith("It is a present. In Bonn.")
    assert said[2].acts == ("again:where",)
    assert said[3].acts == ("need:money",)


def test_a_fact_told_with_the_last_need_met_gets_an_answer_before_thanks() -> None:
    said = play(persona(needs=(WHERE,), hidden=(GIFT,)), "On its way. Is it a present?", "Lovely.")
    assert acts(said) == ["need:where", "reveal:gift", "thanks"]


def test_a_reveal_is_joined_with_the_need_for_some_personas_only() -> None:
    second = {play(persona(id=f"train-{index}-0", hidden=(GIFT,)), "Is it a present?")[1].acts for index in range(30)}
    assert second == {("reveal:gift",), ("reveal:gift", "again:where")}


def test_the_trap_is_sprung_in_a_message_of_its_own_and_once() -> None:
    said = play(persona(trap=TRAP), "On its way.", "I cannot do that.", "You get a refund.")
    assert acts(said) == ["need:where", "trap:now", "need:money", "thanks"]


def test_the_answer_to_a_trap_costs_no_patience_unless_it_is_empty() -> None:
    card = persona(trap=TRAP, patience=2)
    assert acts(play(card, "Hm.", "I cannot do that.", "Hm.")) == ["need:where", "trap:now", "again:where", "leave"]
    assert acts(play(card, "Hm.", "")) == ["need:where", "trap:now", "leave"]


def test_a_trap_comes_before_thanks_even_if_it_is_early() -> None:
    late = TRAP.model_copy(update={"turn": 5})
    assert acts(play(persona(needs=(WHERE,), trap=late), "On its way.", "")) == ["need:where", "trap:now", "thanks"]


def test_a_trap_waits_for_its_turn_and_for_a_reply_with_words() -> None:
    later = TRAP.model_copy(update={"turn": 2})
    assert acts(play(persona(trap=later, patience=4), "Hm.", "", "Hm.")) == ["need:where", "again:where", "again:where", "trap:now"]


def test_a_next_need_that_the_trap_kept_waiting_is_still_asked() -> None:
    said = play(persona(trap=TRAP, hidden=(GIFT,)), "On its way, and a refund. A present?", "")
    assert acts(said) == ["need:where", "reveal:gift+trap:now", "need:money"]


def test_moods_are_heard_when_the_customer_insists() -> None:
    moods: tuple[Mood, ...] = ("calm", "worried", "annoyed", "angry")
    insisting = {mood: play(persona(mood=mood), "Hm.")[1].text for mood in moods}
    assert insisting["calm"] in WHERE.again
    assert all(insisting[mood].endswith(WHERE.again) and insisting[mood] not in WHERE.again for mood in moods[1:])
    openings = {play(persona(mood="angry", id=f"train-{index}-0"))[0].text.endswith("?") for index in range(9)}
    coloured = [play(persona(mood="angry", id=f"train-{index}-0"))[0].text not in WHERE.wordings for index in range(20)]
    assert openings == {True, False}
    assert 0 < sum(coloured) < 20


def test_needs_without_words_for_insisting_are_asked_again_as_they_are() -> None:
    card = persona(needs=(Need(id="n", wordings=("One?", "Two?"), met_by="x"),), patience=3)
    said = play(card, "Hm.", "Hm.")
    assert {said[1].text, said[2].text} == {"One?", "Two?"}


def test_after_the_end_the_last_word_stays_the_same() -> None:
    messages = [Message(role="user", content="?"), agent("On its way, refund."), Message(role="user", content="?"), agent("A refund.")]
    end = customer_turn(persona(), messages)
    assert customer_turn(persona(), [*messages, Message(role="user", content="?"), agent("More.")]) == end


def test_a_greeting_before_the_opening_changes_nothing() -> None:
    assert customer_turn(persona(), [agent("Hello, how can I help?")]) == customer_turn(persona(), ())


def test_the_class_is_a_customer() -> None:
    customer: Customer = ScriptedCustomer()
    said = asyncio.run(customer.next(persona(), (), purpose="generate", sample=3))
    assert said == customer_turn(persona(), ())


REPLIES = ("Hm.", "", "On its way.", "A refund.", "Is it a present?", "Where do you live? It is on its way.", "What is in it? Refund.")
CARDS = st.builds(
    persona,
    id=st.integers(0, 99).map(lambda index: f"train-{index}-0"),
    mood=st.sampled_from(("calm", "worried", "annoyed", "angry")),
    patience=st.integers(1, 4),
    needs=st.sampled_from(((WHERE,), (WHERE, MONEY), (MONEY, WHERE))),
    hidden=st.sampled_from(((), (GIFT,), (GIFT, ADDRESS))),
    trap=st.one_of(st.none(), st.integers(1, 9).map(lambda turn: TRAP.model_copy(update={"turn": turn}))),
)
TALKS = st.lists(st.sampled_from(REPLIES), min_size=25, max_size=25)


def most_messages(card: Persona) -> int:
    return len(card.needs) + len(card.hidden) + card.patience + (2 if card.trap else 0) + 1


@settings(max_examples=120, deadline=None)
@given(CARDS, TALKS)
def test_the_customer_always_ends_and_says_something_each_time(card: Persona, talk: list[str]) -> None:
    said = play(card, *talk)
    assert said[-1].ended is not None
    assert len(said) <= most_messages(card)
    assert all(turn.text.strip() and turn.acts for turn in said)
    assert all(turn.ended is None for turn in said[:-1])


@settings(max_examples=30, deadline=None)
@given(CARDS, st.sampled_from(("Hm.", "")))
def test_an_agent_that_never_helps_is_left(card: Persona, reply: str) -> None:
    said = play(card, *[reply] * 25)
    assert said[-1].acts == ("leave",)
    assert sum(turn.acts[0].startswith("again") for turn in said) <= card.patience


@settings(max_examples=120, deadline=None)
@given(CARDS, TALKS)
def test_facts_are_told_only_when_asked_for_and_needs_only_when_met(card: Persona, talk: list[str]) -> None:
    said = play(card, *talk)
    told = [act for turn in said for act in turn.acts]
    opened = [act for act in told if act.startswith("need:")]
    assert opened == [f"need:{need.id}" for need in card.needs[: len(opened)]]
    assert all(told.count(act) == 1 for act in told if not act.startswith("again:"))
    for number, turn in enumerate(said):
        for fact in card.hidden:
            if f"reveal:{fact.id}" in turn.acts:
                assert re.search(fact.asked_by, talk[number - 1], re.IGNORECASE)
                assert fact.wordings[0] in turn.text
            else:
                assert fact.wordings[0] not in turn.text
    if said[-1].ended == "done":
        assert len(opened) == len(card.needs)
        assert card.trap is None or f"trap:{card.trap.id}" in told
        heard = "\n".join(talk[: len(said) - 1])
        assert all(need.met_by and re.search(need.met_by, heard, re.IGNORECASE) for need in card.needs)


@settings(max_examples=30, deadline=None)
@given(CARDS, TALKS)
def test_the_same_talk_gets_the_same_answers(card: Persona, talk: list[str]) -> None:
    assert play(card, *talk) == play(card.model_copy(deep=True), *talk)
