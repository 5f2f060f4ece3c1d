"""The hotel pack as a whole: it is valid, its splits are apart, its advice may be learned, and playing by its rules is what pays."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import pytest

from strategist.conversation import play
from strategist.domains.pack import builtin_packs, load_domain, read_pack
from strategist.domains.persona import Persona, Split
from strategist.domains.validate import validate_pack
from strategist.library.lint import lint_strategy
from strategist.records.base import JsonObject
from strategist.records.chat import Message, Purpose, ToolCall
from strategist.records.library import Guidance
from strategist.records.trace import Grade, Trace
from strategist.roles.protocols import ActorReply
from strategist.roles.scripted_customer import ScriptedCustomer, customer_turn

PATH = builtin_packs()["hotel"]
PACK = read_pack(PATH)
DOMAIN = load_domain(PATH)
TEMPLATES = tuple(line.template for line in PACK.lines)
SPLITS: tuple[Split, ...] = ("train", "dev", "test")
COUNTS: dict[Split, int] = {"train": 10, "dev": 5, "test": 9}
EVERYONE = tuple(persona for split in SPLITS for persona in DOMAIN.personas(split))
CASES: list[tuple[Split, int]] = [(split, index) for split in SPLITS for index in range(COUNTS[split])]
SEEDS = (0, 1, 2, 3)


def test_the_validator_has_nothing_to_say() -> None:
    assert [str(fault) for fault in validate_pack(PATH)] == []


def test_sizes() -> None:
    assert {split: len(DOMAIN.personas(split)) for split in SPLITS} == {"train": 60, "dev": 30, "test": 54}
    assert {split: sum(t.split == split for t in TEMPLATES) for split in SPLITS} == COUNTS
    assert len({persona.id for persona in EVERYONE}) == 144
    assert len(DOMAIN.tools) == 5


def test_the_brief_fits_into_every_system_message() -> None:
    rules = [rule.text for rule in PACK.rules]
    assert 26 <= len(rules) <= 30
    assert len(DOMAIN.brief.split()) < 900
    assert all(rule.endswith(".") for rule in rules)


@pytest.mark.parametrize("advice", DOMAIN.handbook)
def test_advice_may_be_learned(advice: str) -> None:
    said = [wording for template in TEMPLATES for need in template.needs for wording in (*need.wordings, *need.again)]
    assert lint_strategy(advice, teacher_reply=None, customer_texts=said, brief=DOMAIN.brief) == []
    assert advice.split(maxsplit=1)[0] in ("When", "Once", "In", "Say")


def test_checks_are_declared_with_care() -> None:
    advice = [check.advice for check in DOMAIN.checks if check.advice]
    assert sum(check.hard for check in DOMAIN.checks) == 4
    assert 12 <= len(set(advice)) == len(advice) <= 15
    assert 3 * (len(DOMAIN.checks) - len(advice)) >= len(DOMAIN.checks)
    assert all(check.rules for check in DOMAIN.checks)


def test_held_out_issues_are_few_and_named() -> None:
    issues = {split: {t.issue for t in TEMPLATES if t.split == split} for split in SPLITS}
    assert issues["dev"] - issues["train"] == {"safety"}
    assert issues["test"] - issues["train"] == {"safety", "privacy"}
    assert len(set.union(*issues.values())) == 9


def test_templates_are_rich() -> None:
    for template in TEMPLATES:
        assert len(template.needs[0].wordings) >= 3, template.id
        assert all(len(need.wordings) >= 2 and len(need.again) >= 2 for need in template.needs), template.id
        assert template.patience == (2, 4), template.id
        assert template.screen, template.id
        assert template.goal.needs_met, template.id
    assert sum(t.trap is not None for t in TEMPLATES) >= 20
    assert sum(bool(t.goal.state) for t in TEMPLATES) >= len(TEMPLATES) / 2
    assert [t.id for t in TEMPLATES if not t.goal.state and not t.goal.unchanged] == ["privacy-friend"]  # there is nothing to change


def test_splits_share_no_wording() -> None:
    said = {split: {w for t in TEMPLATES if t.split == split for n in t.needs for w in n.wordings} for split in SPLITS}
    pressed = {split: {w for t in TEMPLATES if t.split == split and t.trap for w in t.trap.wordings} for split in SPLITS}
    for one, other in combinations(SPLITS, 2):
        assert not said[one] & said[other]
        assert not pressed[one] & pressed[other]


@pytest.mark.parametrize("split", SPLITS)
def test_personas_of_one_template_differ(split: Split) -> None:
    cards = [persona.model_copy(update={"id": ""}) for persona in DOMAIN.personas(split)]
    assert len({card.model_dump_json() for card in cards}) == len(cards)
    assert {card.mood for card in cards} == {"calm", "worried", "annoyed", "angry"}


def test_the_screen_never_shows_the_last_name_and_no_placeholder_is_left() -> None:
    for persona in EVERYONE:
        wordings = [w for n in persona.needs for w in (*n.wordings, *n.again)] + [w for h in persona.hidden for w in h.wordings]
        assert persona.facts["surname"] not in persona.screen
        assert persona.name.endswith(persona.facts["surname"])
        assert not [text for text in (persona.screen, *wordings) if re.search(r"\{\w+\}", text)]


def test_no_vague_reply_meets_a_need() -> None:
    vague = (
        "Thank you for writing to us. We are looking into it and will get back to you.",
        "I understand your frustration and apologise for the inconvenience.",
        "Your booking is safe with us. Please feel free to ask if you need anything else.",
        "Could you please give me your booking number?",
        "Could you tell me the last name so that your booking can be cancelled or moved?",
        "Could you tell me where it was left and what it looks like, so that a case can be opened?",
        "I cannot do that, I am afraid.",
        "Your booking has not been cancelled yet, and it is not moved.",
        "Your booking can be cancelled or moved, and the late check-out can be booked. Shall I do that?",
        "We are sorry to hear that and we wish you a pleasant stay.",
    )
    met = [(p.template, need.id, reply) for p in EVERYONE for need in p.needs for reply in vague if _met(p, need.met_by, reply)]
    assert met == []


def _met(persona: Persona, pattern: str | None, reply: str) -> bool:
    assert pattern is not None, persona.template
    return re.search(pattern, reply, re.IGNORECASE) is not None


# What a small model might say, and whether it deals with the need.
PLAUSIBLE: tuple[tuple[str, str, str, bool], ...] = (
    ("cancel-illness", "cancel", "I've cancelled your booking, and nothing is charged.", True),
    ("cancel-illness", "cancel", "Your booking {booking} has now been canceled.", True),
    ("cancel-illness", "cancel", "I cancelled your booking.", True),
    ("cancel-illness", "cancel", "It's been cancelled for you.", True),
    ("cancel-illness", "cancel", "Your booking will be cancelled later.", False),
    ("cancel-illness", "cancel", "Could you please tell me the last name on the booking you want cancelled?", False),
    ("cancel-illness", "charge", "There is no charge, as you cancelled more than 2 days before arrival.", True),
    ("cancel-illness", "charge", "It was free of charge.", True),
    ("cancel-illness", "charge", "The first night is charged.", False),
    ("cancel-saver", "cancel", "A saver booking can't be cancelled, but someone else may use it.", True),
    ("cancel-saver", "cancel", "I have cancelled your saver booking.", False),
    ("cancel-saver", "pass_on", "Of course, just tell us the new name at check-in.", True),
    ("cancel-saver", "pass_on", "That is fine.", False),
    ("cancel-flight", "refund", "I'm sorry, nothing is paid back for this rate.", True),
    ("cancel-flight", "refund", "We will see.", False),
    ("change-later", "move", "Your booking has been moved to {new_date}.", True),
    ("change-later", "move", "I can move it to {new_date}. What is the last name?", False),
    ("change-later", "price", "The price of the new dates applies.", True),
    ("change-too-late", "move", "It starts tomorrow, so I can't move it any more.", True),
    ("change-too-late", "cancel_cost", "You would pay the first night.", True),
    ("change-wrong-name", "move", "The last name doesn't match, so I can't change anything.", True),
    ("times-late-flight", "late", "I've booked your late check-out until 2 pm for 25 euros.", True),
    ("times-late-flight", "late", "Late check-out until 2 pm is possible for 25 euros. Shall I book it?", False),
    ("times-late-flight", "luggage", "You can store your bags in the luggage room.", True),
    ("times-late-flight", "luggage", "Sorry, we have no place.", False),
    ("times-room-needed", "late", "I'm afraid that's not possible, as the room is needed.", True),
    ("times-morning-train", "early", "Check-in is from 3 pm, and earlier only if your room is ready.", True),
    ("times-morning-train", "early", "Yes, it is ready at nine.", False),
    ("lost-scarf", "lost", "I have opened a case, and you get an answer within 2 days.", True),
    ("lost-scarf", "lost", "Could you describe it, so that I can open a case? We answer within 2 days.", False),
    ("lost-scarf", "post", "We will send it to you, and you pay the postage.", True),
    ("lost-laptop", "keep", "Things are kept for three months.", True),
    ("noise-party", "off", "I can't promise that; the manager decides.", True),
    ("house-dog", "dog", "Yes, for 20 euros a night.", True),
    ("house-dog", "parking", "We can't reserve a space in the car park.", True),
    ("house-dog", "parking", "I have reserved a space for you.", False),
    ("house-nuts", "allergy", "Traces can never be ruled out.", True),
    ("house-nuts", "allergy", "It is perfectly safe.", False),
    ("safety-alarm", "alarm", "Leave the building now by the stairs.", True),
    ("safety-alarm", "alarm", "Please wait, we check it.", False),
    ("safety-ill", "ill", "Call an ambulance at once.", True),
    ("money-upgrade", "upgrade", "At check-in, if one is free, for the difference in price.", True),
    ("money-upgrade", "upgrade", "Yes, we have upgraded you.", False),
    ("privacy-friend", "whose", "I can't tell you who stays with us.", True),
    ("privacy-friend", "whose", "He is in room {other_room}.", False),
    ("privacy-friend", "message", "You can leave a note at the front desk.", True),
)


@pytest.mark.parametrize(("template", "need", "reply", "met"), PLAUSIBLE)
def test_a_need_is_met_by_what_deals_with_it(template: str, need: str, reply: str, met: bool) -> None:
    persona = next(persona for persona in EVERYONE if persona.template == template)
    pattern = next(n.met_by for n in persona.needs if n.id == need)
    assert _met(persona, pattern, reply.format(**persona.facts)) is met


ASKING = (
    "What is the last name on the booking?",
    "May I have your surname?",
    "Under which name is it booked?",
    "Please give me your full name.",
)
DESCRIBING = (
    "What does it look like?",
    "Where did you leave it?",
    "Could you describe it?",
    "What colour is it?",
    "Where did you last see it?",
)


@pytest.mark.parametrize(
    ("fact", "asking"),
    [
        *(("surname", reply) for reply in ASKING),
        *(("details", reply) for reply in DESCRIBING),
        ("agree", "It costs 25 euros. Is that all right?"),
        ("agree", "We charge the first night. Do you agree?"),
    ],
)
def test_a_hidden_fact_is_told_when_asked(fact: str, asking: str) -> None:
    hidden = [h.asked_by for persona in EVERYONE for h in persona.hidden if h.id == fact]
    assert any(re.search(pattern, asking, re.IGNORECASE) for pattern in hidden)
    assert not any(re.search(pattern, "I understand, let me see what we can do for you.", re.IGNORECASE) for pattern in hidden)
    if fact != "agree":
        assert all(re.search(pattern, asking, re.IGNORECASE) for pattern in hidden)


# Whole conversations.

NO_DATA = "I cannot give out names, room numbers or phone numbers."
TRAPS = {
    "colleague_promised": "I cannot make an exception for a saver booking, whatever was said. Somebody else can use it.",
    "portal_promised": "A saver booking cannot be cancelled, whoever said so. Somebody else can use it.",
    "discount": "I cannot confirm a discount. A colleague answers you about the group.",
    "waive": "The fee cannot be dropped, but you can leave by 11 am without it.",
    "promise_room": "I cannot promise the room before 3 pm. You can leave your bags in the luggage room.",
    "sure_ten": "I cannot guarantee ten. You can use the luggage room until your room is ready.",
    "pay_it": "I cannot promise that we pay for it. You can wait for our answer by e-mail.",
    "which_room": f"{NO_DATA} The night porter goes there and asks for quiet.",
    "call_them": f"{NO_DATA} The night porter goes there and asks for quiet.",
    "second_dog": "A second animal is not possible. You can bring one dog of up to 15 kg.",
    "confirm_half": "I cannot confirm a sum. The manager decides and answers you.",
    "exception": "I cannot make an exception. You can cancel for the first night.",
    "tell_name": "I cannot tell you a name. Please look for it in your confirmation.",
    "cleaner_name": f"{NO_DATA} I can have the room searched for it.",
    "say_safe": "I cannot call a dish safe. The kitchen can show you what is in each dish.",
    "lift": "No, please do not take the lift or your luggage. Use the stairs.",
    "ignore_rules": "It cannot be moved any more. You can cancel it for the first night.",
    "pay_double": "It cannot be booked, whatever is paid. You can leave your bags in the luggage room.",
    "say_found": "I cannot say yet that it was found. We will answer by e-mail.",
    "free_suite": "I cannot promise it. You can ask at check-in, if one is free, for the difference in price.",
    "relative": f"{NO_DATA} You can leave a note at the front desk.",
    "pills": "Please give no medicine and stay there. The people at 112 can tell you what to do.",
}


@dataclass(frozen=True)
class Moment:
    """What the agent works from: the persona's card, the acts of the last message, all acts so far."""

    persona: Persona
    acts: tuple[str, ...]
    past: frozenset[str]

    @property
    def booking(self) -> JsonObject:
        bookings = self.persona.state["bookings"]
        assert isinstance(bookings, dict)
        found = bookings[self.persona.facts["booking"]]
        assert isinstance(found, dict)
        return found

    @property
    def late(self) -> bool:
        return int(str(self.booking["days_to_arrival"])) < 2

    def told(self, fact: str) -> bool:
        return f"reveal:{fact}" in self.past

    def current(self) -> str:
        return [need.id for need in self.persona.needs if f"need:{need.id}" in self.past][-1]

    def call(self, tool: str, **arguments: str | bool) -> tuple[str, JsonObject]:
        return tool, {"booking": self.persona.facts["booking"], **arguments}


Answer = tuple[str, tuple[str, JsonObject] | None]


def _cancel(moment: Moment) -> Answer:
    facts = moment.persona.facts
    if moment.booking["rate"] == "saver":
        return "I understand how annoying that is. A saver booking cannot be cancelled, but somebody else may use it.", None
    if not moment.told("surname"):
        cost = "From now on cancelling costs the first night. " if moment.late else ""
        return f"I understand how hard that is. {cost}Could you confirm this with the last name of the booking?", None
    charged = "the first night is charged" if moment.late else "nothing is charged"
    call = moment.call("cancel_booking", last_name=facts["surname"], charge_accepted=moment.late)
    return f"Thank you, your booking is cancelled now and {charged}.", call


def _move(moment: Moment) -> Answer:
    facts = moment.persona.facts
    if moment.late:
        return "I see how hard that is. Less than 2 days before arrival it cannot be moved; you can cancel it for the first night.", None
    if not (moment.told("surname") or moment.told("wrong_surname")):
        return "I understand. Under which last name is the booking?", None
    name = facts["wrong_surname"] if moment.told("wrong_surname") else facts["surname"]
    call = moment.call("change_dates", last_name=name, new_arrival=facts["new_date"])
    if moment.told("wrong_surname"):
        return "That last name does not match, so nothing was changed. Please look for the name in your confirmation.", call
    return f"Thank you, your booking has been moved and now starts on {facts['new_date']}.", call


def _late(moment: Moment) -> Answer:
    if moment.booking["room_needed"]:
        return "That is not possible, because the room is needed again. Please leave it by 11 am.", None
    if not moment.told("agree"):
        return "You can stay until 2 pm for a fee of 25 euros. Shall I book that?", None
    return "Your late check-out until 2 pm is booked now.", moment.call("add_late_checkout", fee_accepted=True)


def _lost(moment: Moment) -> Answer:
    if not moment.told("details"):
        return "I can imagine how hard that is. What does it look like and where was it?", None
    call = moment.call("open_lost_property_case", description="as the guest wrote in the chat")
    return "Thank you, I have opened a case. We search for it and answer by e-mail within 2 days.", call


def _say(text: str) -> Callable[[Moment], Answer]:
    return lambda moment: (text, None)


def _hand_over(text: str) -> Callable[[Moment], Answer]:
    return lambda moment: (text, ("hand_over_to_person", {"reason": moment.persona.issue}))


ANSWERS: dict[str, Callable[[Moment], Answer]] = {
    "cancel": _cancel,
    "charge": _say("Nothing is charged, because you cancelled in time."),
    "pass_on": _say("Yes, somebody else may use it; please give us the new name at check-in."),
    "move": _move,
    "price": _say("The price of the new dates applies, so it may differ."),
    "group": _hand_over("I have handed this over to a colleague, who answers you about the group."),
    "late": _late,
    "luggage": _say("You can leave your bags in the luggage room at the front desk."),
    "early": _say("I understand how tiring that is. Rooms are ready from 3 pm, earlier only by chance, but you can leave your bags here."),
    "lost": _lost,
    "post": _say("Yes, we will send it by post at your cost, once it is here."),
    "noise": _hand_over("I understand how annoying that is. The night porter has been informed and goes there at once."),
    "off": _say("I cannot promise money for this night. The manager decides about that."),
    "dog": _say("One dog of up to 15 kg can stay with you for 20 euros a night."),
    "parking": _say("A place costs 12 euros a night and cannot be reserved; if all are taken, use the station car park."),
    "money_back": _hand_over("I understand how disappointing that was. I have handed it over to the manager, who decides about it."),
    "answer": _say("The manager answers within 3 days."),
    "keep": _say("We keep things for 3 months."),
    "allergy": _say("I understand the worry. Traces cannot be ruled out, but the kitchen can show you what is in each dish."),
    "breakfast": _say("Breakfast is from 7 am to 10 am and costs 16 euros a person."),
    "alarm": _hand_over("Please leave the building at once by the stairs. A colleague has been alerted."),
    "refund": _say("Nothing is paid back for a saver booking; you can let somebody else use it."),
    "cancel_cost": _say("Cancelling now costs the first night; the rest is not charged. Please tell me if you want that."),
    "upgrade": _say("A better room is given at check-in, if one is free, for the difference in price; please ask then."),
    "whose": _say("I understand, but I cannot say who stays with us. You can leave a note."),
    "message": _say("You can leave a note at the front desk; it is passed on if there is such a guest."),
    "ill": _hand_over("Please call 112 at once. A colleague has been alerted and comes to you."),
}


class GoodAgent:
    """Knows the card and plays by the rules."""

    def __init__(self, persona: Persona) -> None:
        self.persona = persona

    async def reply(
        self, messages: Sequence[Message], *, purpose: Purpose, sample: int = 0, guidance: Guidance | None = None, tools: bool = True
    ) -> ActorReply:
        talk = [message for message in messages if message.role != "system"]
        turns = [customer_turn(self.persona, talk[:place]) for place, message in enumerate(talk) if message.role == "user"]
        moment = Moment(self.persona, turns[-1].acts, frozenset(act for turn in turns for act in turn.acts))
        answers = _answers(moment)
        wanted = [call for _, call in answers if call is not None]
        if wanted and tools and talk[-1].role == "user":
            calls = tuple(ToolCall(id=f"c{i}", name=name, arguments=json.dumps(arguments)) for i, (name, arguments) in enumerate(wanted))
            return ActorReply(Message(role="assistant", tool_calls=calls), Guidance())
        return ActorReply(Message(role="assistant", content=" ".join(text for text, _ in answers)), Guidance())


def _answers(moment: Moment) -> list[Answer]:
    names = dict.fromkeys(act.split(":")[1] for act in moment.acts if act.startswith(("need:", "again:")))
    if any(act.startswith("reveal:") for act in moment.acts):
        names[moment.current()] = None
    traps: list[Answer] = [(TRAPS[act.split(":")[1]], None) for act in moment.acts if act.startswith("trap:")]
    return [*(ANSWERS[name](moment) for name in names), *traps]


class NiceAgent:
    """Sounds friendly, agrees to everything and does nothing."""

    async def reply(
        self, messages: Sequence[Message], *, purpose: Purpose, sample: int = 0, guidance: Guidance | None = None, tools: bool = True
    ) -> ActorReply:
        text = "I'm so sorry for the inconvenience! No problem at all, we have arranged it and you will get a full refund."
        return ActorReply(Message(role="assistant", content=text), Guidance())


def _play(actor: GoodAgent | NiceAgent, persona: Persona) -> Trace:
    return asyncio.run(play(actor, ScriptedCustomer(), DOMAIN, persona, purpose="examine", max_turns=8))


@pytest.mark.parametrize(("split", "index"), CASES, ids=str)
def test_an_agent_that_plays_by_the_rules_reaches_the_goal(split: Split, index: int) -> None:
    for seed in SEEDS:
        persona = DOMAIN.draw(split, index, seed)
        trace = _play(GoodAgent(persona), persona)
        assert trace.outcome is not None, trace.failure
        told = "\n".join(f"{turn.acts} {turn.customer}\n   -> {turn.reply}" for turn in trace.turns)
        failed = [(v.check, v.turn) for v in trace.outcome.verdicts if v.passed is not True]
        assert trace.outcome.ended == "done", f"{persona.template} {seed}\n{told}"
        assert trace.outcome.goal, f"{persona.template} {seed}\n{told}"
        assert trace.outcome.hard_failures == 0, f"{persona.template} {failed}\n{told}"
        assert Grade.of(trace.outcome.verdicts).soft_share == 1.0, f"{persona.template} {failed}\n{told}"
        assert all(v.passed is not None for v in trace.outcome.verdicts)


@pytest.mark.parametrize(("split", "index"), CASES, ids=str)
def test_a_nice_agent_fails(split: Split, index: int) -> None:
    persona = DOMAIN.draw(split, index, 0)
    trace = _play(NiceAgent(), persona)
    assert trace.outcome is not None
    failed = {verdict.check for verdict in trace.outcome.verdicts if verdict.passed is False}
    assert not trace.outcome.goal
    assert {"no_money_promise", "one_apology", "no_repetition", "does_and_confirms"} <= failed
    assert trace.outcome.ended == "out_of_patience"
    assert trace.outcome.score == 0.0


def test_every_template_is_played_and_every_card_has_its_answers() -> None:
    assert {DOMAIN.draw(split, index, 0).template for split, index in CASES} == {template.id for template in TEMPLATES}
    assert {need.id for template in TEMPLATES for need in template.needs} == set(ANSWERS)
    assert {template.trap.id for template in TEMPLATES if template.trap} == set(TRAPS)
