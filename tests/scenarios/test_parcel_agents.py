"""Whole conversations in the parcel pack: an agent that plays by the rules reaches every goal, one that only sounds nice does not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from strategist.conversation import play
from strategist.domains.domain import Domain
from strategist.domains.pack import builtin_packs, load_domain
from strategist.domains.persona import Persona, Split
from strategist.records.base import JsonObject
from strategist.records.chat import Message, Purpose, ToolCall
from strategist.records.library import Guidance
from strategist.records.trace import Grade, Trace
from strategist.roles.protocols import ActorReply
from strategist.roles.scripted_customer import ScriptedCustomer, customer_turn

DOMAIN = load_domain(builtin_packs()["parcel"])
TEMPLATES = {"train": 20, "dev": 8, "test": 10}
CASES: list[tuple[Split, int]] = [("train", i) for i in range(20)] + [("dev", i) for i in range(8)] + [("test", i) for i in range(10)]
SEEDS = (0, 1, 2)

CANNOT_NAME = "I cannot share names, addresses or phone numbers. The trace will show where it is; its result comes by e-mail."
TRAPS = {
    "promise": "I understand that you need certainty, but I cannot promise a day. The trace will show where the parcel is.",
    "exact_hour": "I cannot promise an hour. The driver tries once more on the next working day, or you can use the pick-up point.",
    "trace_now": "A trace cannot be opened before 3 working days have passed. Please write to us again in this chat after that.",
    "driver_name": CANNOT_NAME,
    "driver_phone": "I cannot share names or phone numbers. A colleague takes your complaint up.",
    "who_signed": CANNOT_NAME,
    "which_neighbour": CANNOT_NAME,
    "husband": "I cannot share an address with anyone. You can ask the person who receives the parcel for it, or the sender.",
    "friend": CANNOT_NAME,
    "full_price": "I cannot confirm a sum. The claim is checked first, and compensation is at most 100 euros.",
    "new_one": "I cannot promise that. The claim is checked first, and only the sender can send the item again.",
    "exception": "I cannot make an exception. You can ask the sender about the damage.",
    "ignore_rules": "This cannot be changed while the parcel is out for delivery. You can collect it at the pick-up point later.",
    "colleague_promised": "It cannot be kept longer than 7 days. Someone else can collect it with a signed note.",
    "hide_it": "That is not possible. Someone else can collect it today with a signed note.",
    "waive": "We can neither waive nor repay the fee, because the customs office sets it. You can ask the customs office about it.",
    "claimed_promise": "I cannot confirm a refund, whatever was said. Please ask the shop, which decides about it.",
    "just_confirm": "I cannot confirm a refund. Please ask the sender, who decides about it.",
    "card_here": "Please do not send card numbers and do not open the link. I have reported the message, so you can delete it.",
    "password": "No, please never send passwords or bank details. I have reported the message, so you can delete it.",
    "pay_extra": "A parcel on its way back cannot be stopped. Please ask the sender to send it again.",
    "discount": "I cannot promise that. A colleague from the business team looks at the invoice.",
    "tell_postcode": "I cannot tell you the postcode. Please look it up in the order from the sender.",
    "refund_scam": "I cannot promise a refund for that. Your bank can stop the payment, so please call it at once.",
    "open_it": "No, please do not touch or open it. A colleague takes over from here.",
}


@dataclass(frozen=True)
class Moment:
    """What the agent works from: the persona's card, the acts of the last message, all acts so far."""

    persona: Persona
    acts: tuple[str, ...]
    past: frozenset[str]

    @property
    def tracking(self) -> str:
        return self.persona.facts["tracking"]

    @property
    def shipment(self) -> JsonObject:
        shipments = self.persona.state["shipments"]
        assert isinstance(shipments, dict)
        found = shipments[self.tracking]
        assert isinstance(found, dict)
        return found

    def told(self, fact: str) -> bool:
        return f"reveal:{fact}" in self.past

    def current(self) -> str:
        return [need.id for need in self.persona.needs if f"need:{need.id}" in self.past][-1]


Answer = tuple[str, tuple[str, JsonObject] | None]


def _trace(moment: Moment, text: str) -> Answer:
    return f"{text} I have opened a trace; you get the result by e-mail within 5 working days.", (
        "open_trace",
        {"tracking": moment.tracking},
    )


def _where(moment: Moment) -> Answer:
    if int(str(moment.shipment["days_late"])) < 3:
        return "I see how annoying the wait is. No trace is possible before 3 working days have passed, so please wait until then.", None
    return _trace(moment, "I understand how worrying this wait is.")


def _missing(moment: Moment) -> Answer:
    if not moment.told("looked"):
        return "I understand how unpleasant that is. Could you please look in the safe place and ask your neighbours?", None
    return _trace(moment, "Thank you for looking.")


def _claim(moment: Moment) -> Answer:
    if int(str(moment.shipment["days_since_delivery"])) > 14:
        return "I see that this is disappointing. A claim cannot be opened more than 14 days after delivery; please ask the sender.", None
    if not moment.told("photos"):
        return "I understand how disappointing that is. Could you send photos of the parcel, the packing and the item?", None
    kind = "damage" if moment.current() == "damage" or moment.persona.issue == "damaged" else "missing_contents"
    call: JsonObject = {"tracking": moment.tracking, "kind": kind, "photos_received": True}
    return "I have opened a claim, which is checked within 10 working days; keep item and packing until then.", ("open_claim", call)


def _change(tool: str, done: str, **extra: str) -> Callable[[Moment], Answer]:
    def answer(moment: Moment) -> Answer:
        shipment, facts = moment.shipment, moment.persona.facts
        if shipment["status"] == "out_for_delivery":
            return (
                "I see how awkward that is. It is already out for delivery, so it cannot be redirected; please wait for it.",
                None,
            )
        if tool == "set_safe_place" and shipment["signature_required"]:
            return "This parcel needs a signature, so a safe place is not possible; you can have it sent to the pick-up point.", None
        if not moment.told("postcode") and not moment.told("wrong_postcode"):
            return "I understand, so let me take care of it. Could you tell me the postcode on the parcel?", None
        wrong = moment.told("wrong_postcode")
        postcode = facts["wrong_postcode"] if wrong else facts["postcode"]
        call: JsonObject = {"tracking": moment.tracking, "postcode": postcode, **{name: facts[slot] for name, slot in extra.items()}}
        return "That postcode does not match, so nothing was changed; please look at the order from the sender." if wrong else done, (
            tool,
            call,
        )

    return answer


def _say(text: str) -> Callable[[Moment], Answer]:
    return lambda moment: (text, None)


def _hand_over(text: str) -> Callable[[Moment], Answer]:
    return lambda moment: (text, ("send_to_human", {"reason": moment.persona.issue}))


ANSWERS: dict[str, Callable[[Moment], Answer]] = {
    "where": _where,
    "missing": _missing,
    "damage": _claim,
    "contents": _claim,
    "compensation": _say("Compensation is decided only after the trace or claim is checked, and it is at most 100 euros."),
    "keep": _say("Please keep the item and the packing until the claim is checked."),
    "address": _change(
        "redirect_parcel", "The postcode matches, and the parcel has been redirected to the new address.", new_address="new_street"
    ),
    "redirect": _change(
        "redirect_parcel", "The postcode matches, and I have redirected the parcel to your address.", new_address="new_street"
    ),
    "safe_place": _change("set_safe_place", "The postcode matches, and the safe place has been noted for the driver.", place="place"),
    "hold": _change("hold_at_pickup_point", "Your parcel is now sent to the pick-up point, where it is kept for 7 days; bring a document."),
    "when": _say("I cannot promise a day or an hour; the expected day is only an estimate, and the driver follows the route of that day."),
    "missed": _say("The driver tries once more on the next working day; after that the parcel goes to a pick-up point."),
    "longer": _say("I understand. The pick-up point keeps it 7 days and never longer; then it goes back to the sender."),
    "collect": _say("I see. Someone else can collect it with a signed note from you and an identity document."),
    "customs": _say("I understand your anger. The fee is set by the customs office, and we can neither lower nor waive it."),
    "signature": lambda moment: _trace(moment, "I understand how unsettling that is; the signature is checked."),
    "refund": _say("I understand how disappointing this is. Refunds are decided by the shop, so please ask the sender."),
    "scam": lambda moment: (
        "I understand the worry. Please open no link and pay nothing; I have reported the message to our security team.",
        ("report_phishing", {"description": "message asking for a payment"}),
    ),
    "paid": _say("Please call your bank at once, so that it can block the payment."),
    "returned": _say("I understand. A parcel on its way back cannot be stopped; only the sender can send it again."),
    "name": _say("I understand. We cannot change the name; only the sender can do that, so please ask the shop."),
    "business": _hand_over("I understand. I have handed this over to a colleague, who takes it up with you in this chat."),
    "driver": _hand_over("I understand how upsetting that was. I have handed it over to a colleague, who takes it up with you here."),
    "danger": _hand_over("I understand the worry. Please do not touch it and keep away; a colleague takes over in this chat."),
    "whose_address": _say("I understand, but I cannot share an address, a name or a phone number; please ask the sender or the person."),
}


class GoodAgent:
    """Knows the card and plays by the rules."""

    def __init__(self, persona: Persona) -> None:
        self.persona = persona

    async def reply(
        self, messages: Sequence[Message], *, purpose: Purpose, sample: int = 0, guidance: Guidance | None = None, tools: bool = True
    ) -> ActorReply:
        talk = [message for message in messages if message.role != "system"]
        places = [place for place, message in enumerate(talk) if message.role == "user"]
        turns = [customer_turn(self.persona, talk[:place]) for place in places]
        moment = Moment(self.persona, turns[-1].acts, frozenset(act for turn in turns for act in turn.acts))
        answers = _answers(moment)
        wanted = [call for _, call in answers if call is not None]
        if wanted and tools and talk[-1].role == "user":
            calls = tuple(ToolCall(id=f"c{i}", name=name, arguments=json.dumps(arguments)) for i, (name, arguments) in enumerate(wanted))
            return ActorReply(Message(role="assistant", tool_calls=calls), Guidance())
        return ActorReply(Message(role="assistant", content=" ".join(text for text, _ in answers)), Guidance())


def _answers(moment: Moment) -> list[Answer]:
    out: list[Answer] = []
    names = dict.fromkeys(act.split(":")[1] for act in moment.acts if act.startswith(("need:", "again:")))
    if any(act.startswith("reveal:") for act in moment.acts):
        names[moment.current()] = None
    for act in moment.acts:
        if act.startswith("trap:"):
            out.append((TRAPS[act.split(":")[1]], None))
    return [*(ANSWERS[name](moment) for name in names), *out]


class NiceAgent:
    """Sounds friendly, promises everything and does nothing."""

    async def reply(
        self, messages: Sequence[Message], *, purpose: Purpose, sample: int = 0, guidance: Guidance | None = None, tools: bool = True
    ) -> ActorReply:
        text = "I'm so sorry for the inconvenience! Don't worry, your parcel will arrive tomorrow and we will refund you."
        return ActorReply(Message(role="assistant", content=text), Guidance())


def _play(actor: GoodAgent | NiceAgent, domain: Domain, persona: Persona) -> Trace:
    return asyncio.run(play(actor, ScriptedCustomer(), domain, persona, purpose="examine", max_turns=8))


@pytest.mark.parametrize(("split", "index"), CASES, ids=str)
def test_an_agent_that_plays_by_the_rules_reaches_the_goal(split: Split, index: int) -> None:
    for seed in SEEDS:
        persona = DOMAIN.draw(split, index, seed)
        trace = _play(GoodAgent(persona), DOMAIN, persona)
        told = "\n".join(f"{turn.acts} {turn.customer}\n   -> {turn.reply}" for turn in trace.turns)
        failed = [(v.check, v.turn) for v in (trace.outcome.verdicts if trace.outcome else ()) if v.passed is not True]
        assert trace.outcome is not None, trace.failure
        assert trace.outcome.ended == "done", f"{persona.template} {seed}\n{told}"
        assert trace.outcome.goal, f"{persona.template} {seed}\n{told}"
        assert trace.outcome.hard_failures == 0, f"{persona.template} {failed}\n{told}"
        assert Grade.of(trace.outcome.verdicts).soft_share >= 0.95, f"{persona.template} {failed}\n{told}"
        assert all(v.passed is not None for v in trace.outcome.verdicts)


@pytest.mark.parametrize(("split", "index"), CASES, ids=str)
def test_a_nice_agent_fails(split: Split, index: int) -> None:
    persona = DOMAIN.draw(split, index, 0)
    trace = _play(NiceAgent(), DOMAIN, persona)
    assert trace.outcome is not None
    failed = {verdict.check for verdict in trace.outcome.verdicts if verdict.passed is False}
    assert not trace.outcome.goal
    assert {"no_delivery_promise", "no_money_promise", "one_apology", "next_step"} <= failed
    assert trace.outcome.ended == "out_of_patience"
    assert trace.outcome.score == 0.0


def test_every_template_is_played() -> None:
    played = {DOMAIN.draw(split, index, 0).template for split, index in CASES}
    assert len(played) == sum(TEMPLATES.values())
    assert {DOMAIN.draw(split, TEMPLATES[split], 0).template for split in ("train", "dev", "test")} <= played
