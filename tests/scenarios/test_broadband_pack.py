"""The broadband pack as a whole: valid, its splits apart, and every goal within reach of an agent that plays by the rules, of no other."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from itertools import combinations

import pytest

from strategist.conversation import play
from strategist.domains.pack import builtin_packs, load_domain, read_pack
from strategist.domains.persona import Persona, Split
from strategist.domains.validate import validate_pack
from strategist.library.lint import lint_strategy
from strategist.records.chat import Message, Purpose
from strategist.records.library import Guidance
from strategist.records.trace import Trace
from strategist.roles.protocols import ActorReply
from strategist.roles.scripted_customer import ScriptedCustomer, customer_turn

PATH = builtin_packs()["broadband"]
PACK = read_pack(PATH)
DOMAIN = load_domain(PATH)
TEMPLATES = tuple(line.template for line in PACK.lines)
SPLITS: tuple[Split, ...] = ("train", "dev", "test")
EVERYONE = tuple(persona for split in SPLITS for persona in DOMAIN.personas(split))
COUNTS: dict[Split, int] = {"train": 13, "dev": 5, "test": 6}
CASES: list[tuple[Split, int]] = [(split, index) for split in SPLITS for index in range(COUNTS[split])]
SEEDS = (0, 1, 2, 3)
MAX_TURNS = 6  # what strategist.toml has by default: the pack must not need more


def test_the_validator_has_nothing_to_say() -> None:
    assert [str(fault) for fault in validate_pack(PATH)] == []


def test_sizes() -> None:
    assert {split: sum(t.split == split for t in TEMPLATES) for split in SPLITS} == COUNTS
    assert all(len(DOMAIN.personas(split)) == 8 * COUNTS[split] for split in SPLITS)
    assert len({persona.id for persona in EVERYONE}) == 192
    assert DOMAIN.tools == ()
    assert 25 <= len(PACK.rules) <= 30
    assert len(DOMAIN.brief.split()) < 900


def test_held_out_issues_are_few_and_named() -> None:
    issues = {split: {t.issue for t in TEMPLATES if t.split == split} for split in SPLITS}
    assert len(issues["train"]) == 8
    assert issues["dev"] - issues["train"] == {"phone"}
    assert issues["test"] - issues["train"] == {"router_return"}


def test_splits_share_no_story() -> None:
    said = {split: {w for t in TEMPLATES if t.split == split for w in t.needs[0].wordings} for split in SPLITS}
    for one, other in combinations(SPLITS, 2):
        assert not said[one] & said[other]


def test_templates_are_rich() -> None:
    for template in TEMPLATES:
        assert len(template.needs[0].wordings) >= 3, template.id
        assert all(len(need.again) >= 2 and not need.met_by_tools for need in template.needs), template.id
        assert 2 <= len(template.needs) <= 4, template.id
        assert template.patience == (4, 6), template.id
        assert template.screen, template.id
    searched = [t for t in TEMPLATES if t.issue in ("no_internet", "slow", "wifi", "phone")]
    assert all(len(t.hidden) >= 3 for t in searched)
    assert sum(t.trap is not None for t in TEMPLATES) >= len(TEMPLATES) / 2


@pytest.mark.parametrize("split", SPLITS)
def test_personas_of_one_template_differ(split: Split) -> None:
    cards = [persona.model_copy(update={"id": ""}) for persona in DOMAIN.personas(split)]
    assert len({card.model_dump_json() for card in cards}) == len(cards)
    assert {card.mood for card in cards} == {"calm", "worried", "annoyed", "angry"}


def test_measured_speeds_are_on_their_side_of_half_the_plan() -> None:
    for persona in EVERYONE:
        low, good, plan = (int(persona.facts[slot]) for slot in ("low", "good", "plan"))
        assert low < plan / 2 <= good


@pytest.mark.parametrize("line", DOMAIN.handbook)
def test_every_line_of_advice_is_fit_to_be_tested(line: str) -> None:
    heard = [w for p in EVERYONE for n in p.needs for w in (*n.wordings, *n.again)]
    assert lint_strategy(line, teacher_reply=None, customer_texts=heard, brief=DOMAIN.brief) == []
    assert len(line.split()) <= 30


def test_no_vague_reply_meets_a_need() -> None:
    vague = (
        "Thank you for contacting us. We are looking into it and will get back to you.",
        "I understand your frustration and apologise for the inconvenience.",
        "Your internet will be back soon. Please be patient.",
        "Could you please provide your account details?",
        "I'm sorry, there seems to be a problem with your connection.",
        "Have you tried everything? Please let me know.",
        "I will take a look at it and see what I can find out. Could you wait until it turns out?",
        "In order to help you with your line, we need to check the connection of your phone now.",
        "I can't do that right now, but I will take care of it immediately.",
        "Please contact our technical support team, who will assist you further.",
    )
    met = [
        (p.template, need.id, reply)
        for p in EVERYONE
        for need in p.needs
        for reply in vague
        if re.search(_met_by(need.met_by), reply, re.I)
    ]
    assert met == []


@pytest.mark.parametrize(
    ("template", "need", "reply"),
    [
        ("no_internet-red", "dead", "Could you switch the router off for a minute and turn it on again?"),
        ("no_internet-red", "next", "What time of the day suits you best for a technician?"),
        ("no_internet-red", "visit", "I'm passing this on to my colleague, who will organise an appointment."),
        ("no_internet-red", "cost", "You pay 60 euros, unless the fault is in our line."),
        ("no_internet-dark", "dead", "Can you check if another lamp works in that outlet?"),
        ("slow-download", "slow", "Please test the speed with your laptop wired to the router."),
        ("slow-download", "when", "We have no information on that yet, I'm afraid."),
        ("slow-evening", "verdict", "No, that is above half of what you booked, so your line is fine."),
        ("wifi-bedroom", "place", "Try moving the router to a central spot."),
        ("outage-street", "dead", "I can see a disruption in your town."),
        ("outage-street", "credit", "If it lasts more than two days, the billing desk may look at a credit."),
        ("moving-flat", "move", "Gladly. Please tell me where you move to: the address and the date."),
        ("moving-flat", "anew", "Your contract simply continues as it is."),
        ("moving-parents", "no_line", "Then you can leave with a month of notice."),
        ("contract-cheaper", "cheaper", "You can change to a smaller one at the end of your current term."),
        ("contract-cheaper", "larger", "You could move up at any time."),
        ("contract-cancel", "return", "Send it back within two weeks, please."),
        ("safety-smell", "smell", "Please take it out of the socket right now."),
        ("safety-smell", "plug_in", "I'm sorry, but you shouldn't use it any more."),
        ("password-guests", "account", "I'm unable to see it. You'll get a letter."),
        ("phone-dead", "phone", "Which socket is your phone in?"),
        ("router_return-late", "charge", "Then eighty euros are due."),
    ],
)
def test_a_good_reply_in_other_words_meets_the_need(template: str, need: str, reply: str) -> None:
    persona = next(persona for persona in EVERYONE if persona.template == template)
    assert re.search(_met_by(next(n.met_by for n in persona.needs if n.id == need)), reply, re.I)


def test_no_outage_is_not_taken_for_one() -> None:
    persona = next(persona for persona in EVERYONE if persona.issue == "outage")
    assert not re.search(_met_by(persona.needs[0].met_by), "I see no known outage in your area, so it must be your router.", re.I)


def _met_by(pattern: str | None) -> str:
    assert pattern is not None
    return pattern


NO_OPENING = "No, that cannot be done: only a technician may open it. A colleague takes it from here, so please leave it closed."
NO_PASSWORD = (
    "Please do not write any password in this chat, because we never need it. You can read it yourself on the label under the router."
)
NO_TIME = "I cannot promise a day or an hour. The colleague names the day, so please wait for that message in this chat."
TRAPS = {
    "open_it": NO_OPENING,
    "send_password": NO_PASSWORD,
    "promise": "Nobody here can promise that, so I will not either. A colleague tells you the day as soon as it is known.",
    "technician_now": "That is not possible, because the line is in order. You can find a more open spot for the router instead.",
    "free_visit": "I cannot confirm that. The visit is free only if the fault is ours, and otherwise you can expect 60 euros.",
    "credit_now": "I cannot confirm a credit. The billing desk decides after the outage is over, and only beyond 2 full days.",
    "discount": "We give no discounts and no free months, so that is not possible. You can keep the contract as it is.",
    "cancel_here": "It is not possible to cancel in the chat. You can send a signed letter.",
    "claimed_promise": "I cannot do that, whatever was said. You can have what the contract allows at the end of the term.",
    "neighbour": "I cannot tell you anything about other people's lines. You can ask your neighbours yourself.",
    "waive": "I cannot confirm that. You can still send the router back within 14 days of the end of the contract.",
}
FEELING = "I understand how annoying this is."
STEPS = {
    "lights": "Could you tell me which colours the lights on the router show?",
    "cable": "Since the internet light is red, please push the line cable in firmly at both ends, at the router and at the wall.",
    "restart": "Please unplug the router once for one minute, and tell me which colours the lights show five minutes later.",
    "socket": "Please try a lamp in the same socket and tell me whether it works.",
    "device": "Is your device on Wi-Fi or on a network cable?",
    "speed": "Please connect a computer by network cable with nothing else running and measure the speed.",
    "phone_socket": "Could you check that the phone is plugged into the socket marked Phone on the router?",
    "daytime": "Then a technician is needed. Do mornings or afternoons suit you?",
    "new_home": "What is the new address, and on which day do you move?",
}
PATHS = {
    ("dead", "red"): ("lights", "cable", "restart"),
    ("dead", "dark"): ("lights", "socket"),
    ("slow", ""): ("device", "speed"),
    ("weak", ""): ("device", "speed"),
    ("phone", "green"): ("phone_socket",),
    ("next", "red"): ("daytime",),
    ("next", "dark"): ("daytime",),
    ("next", "green"): ("daytime",),
    ("next", ""): ("daytime",),
    ("move", ""): ("new_home",),
}
ANSWERS = {
    "dead": "There is an outage in your area, so nothing needs to be done at home. Our technicians are looking for the cause.",
    "visit": "I hand this over to a colleague, who takes over in this chat and arranges what is needed.",
    "when": NO_TIME,
    "cost": "The visit is free if the fault is in our line or router. It costs 60 euros if it is in your own wiring or devices.",
    "credit": "The billing desk decides about a credit after the outage is over, and only if it lasted more than 2 full days.",
    "verdict": "That is more than half of your plan, so the line is in order and no technician is needed.",
    "place": "Please place the router in the open, in the middle of the home and away from thick walls and metal.",
    "password": "The Wi-Fi password is on the label under the router.",
    "account": "Nobody here can see passwords; a colleague sends you a letter with which you set a new one.",
    "notice": "We need 4 weeks' notice before the move.",
    "anew": "No, the contract moves along with you and does not start anew.",
    "no_line": "If we have no line there, the contract ends with 1 month's notice.",
    "cancel": "Cancelling needs a signed letter and 1 month's notice to the end of the term.",
    "return": "The router is lent, so please send it back within 14 days of the end of the contract.",
    "charge": "A router that does not come back in time costs 80 euros.",
    "cheaper": "A smaller plan is possible only at the end of the term.",
    "larger": "A larger plan is possible at any time.",
    "smell": "Please unplug the power supply at once and leave it unplugged.",
    "plug_in": "No, please leave it unplugged and do not use it any more, because it is not safe.",
}


def good_reply(persona: Persona, acts: Sequence[str], past: frozenset[str]) -> str:
    """What an agent that keeps every rule says at a moment."""
    trap = next((act.split(":")[1] for act in acts if act.startswith("trap:")), None)
    if trap is not None:
        return TRAPS[trap]
    need = [need.id for need in persona.needs if f"need:{need.id}" in past][-1]
    line = persona.state["line"]
    assert isinstance(line, dict)
    path = () if line["outage"] else PATHS.get((need, persona.facts.get("lights", "")), ())
    untold = next((fact for fact in path if f"reveal:{fact}" not in past), None)
    text = ANSWERS[need] if untold is None else STEPS[untold]
    return f"{FEELING} {text}" if len(past) == 1 and persona.mood in ("worried", "angry") else text


class GoodAgent:
    """Knows the card and plays by the rules."""

    def __init__(self, persona: Persona) -> None:
        self.persona = persona

    async def reply(
        self, messages: Sequence[Message], *, purpose: Purpose, sample: int = 0, guidance: Guidance | None = None, tools: bool = True
    ) -> ActorReply:
        talk = [message for message in messages if message.role != "system"]
        turns = [customer_turn(self.persona, talk[:place]) for place, message in enumerate(talk) if message.role == "user"]
        text = good_reply(self.persona, turns[-1].acts, frozenset(act for turn in turns for act in turn.acts))
        return ActorReply(Message(role="assistant", content=text), Guidance())


class FixedAgent:
    """Says the same to everybody."""

    def __init__(self, text: str) -> None:
        self.text = text

    async def reply(
        self, messages: Sequence[Message], *, purpose: Purpose, sample: int = 0, guidance: Guidance | None = None, tools: bool = True
    ) -> ActorReply:
        return ActorReply(Message(role="assistant", content=self.text), Guidance())


RUDE = "That's your own problem. Read the manual."
SWEET = "I'm so sorry! Don't worry, your internet will be fixed by tomorrow and we will refund you. Please tell me your password."
RECITER = (
    "Please check the lights on the router, push the line cable in at both ends, restart the router for one minute, check the socket with a"
    " lamp, measure the speed by network cable or Wi-Fi, and tell me whether mornings or afternoons suit you for a technician."
)


def _play(actor: GoodAgent | FixedAgent, persona: Persona) -> Trace:
    return asyncio.run(play(actor, ScriptedCustomer(), DOMAIN, persona, purpose="examine", max_turns=MAX_TURNS))


def _failed(trace: Trace) -> list[tuple[str, int | None]]:
    assert trace.outcome is not None, trace.failure
    return [(verdict.check, verdict.turn) for verdict in trace.outcome.verdicts if verdict.passed is not True]


@pytest.mark.parametrize(("split", "index"), CASES, ids=str)
def test_an_agent_that_plays_by_the_rules_reaches_the_goal(split: Split, index: int) -> None:
    for seed in SEEDS:
        persona = DOMAIN.draw(split, index, seed)
        trace = _play(GoodAgent(persona), persona)
        told = "\n".join(f"{turn.acts} {turn.customer}\n   -> {turn.reply}" for turn in trace.turns)
        assert trace.outcome is not None, trace.failure
        assert trace.outcome.ended == "done", f"{persona.template} {seed}\n{told}"
        assert trace.outcome.goal, f"{persona.template} {seed}\n{told}"
        assert _failed(trace) == [], f"{persona.template} {seed}\n{told}"


@pytest.mark.parametrize(("split", "index"), CASES, ids=str)
@pytest.mark.parametrize("text", [RUDE, SWEET, RECITER], ids=["rude", "sweet", "reciter"])
def test_an_agent_that_does_not_look_at_the_moment_fails(text: str, split: Split, index: int) -> None:
    persona = DOMAIN.draw(split, index, 0)
    trace = _play(FixedAgent(text), persona)
    assert trace.outcome is not None
    assert not trace.outcome.goal
    failed = {check for check, _ in _failed(trace)}
    assert trace.outcome.score < 0.8
    assert "no_repetition" in failed
    assert text != SWEET or {"no_repair_promise", "no_money_promise", "no_password_request"} <= failed
    assert text != RECITER or "one_step" in failed or persona.issue not in ("no_internet", "slow", "wifi", "phone")


def test_every_template_is_played() -> None:
    assert len({DOMAIN.draw(split, index, 0).template for split, index in CASES}) == len(TEMPLATES)
