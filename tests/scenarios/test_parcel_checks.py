"""Every check of the parcel pack against hand-written replies: what passes, what fails, and where it does not apply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from strategist.domains.checks import Check, ConversationView, TurnView
from strategist.domains.pack import builtin_packs, load_domain
from strategist.domains.persona import Persona
from strategist.records.base import JsonObject
from strategist.records.chat import Message, ToolCall

DOMAIN = load_domain(builtin_packs()["parcel"])
CHECKS = {check.id: check for check in DOMAIN.checks}
PERSONAS = {persona.template: persona for split in ("train", "dev", "test") for persona in DOMAIN.personas(split, 20, 3)}


def merged(base: JsonObject, over: JsonObject) -> JsonObject:
    out = dict(base)
    for key, value in over.items():
        below = out.get(key)
        out[key] = merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return out


def view(
    template: str,
    reply: str,
    *acts: str,
    mood: str | None = None,
    earlier: Sequence[str] = (),
    said: str = "",
    calls: Sequence[ToolCall] = (),
    after: JsonObject | None = None,
    turn: int = 0,
    history: Sequence[Message] = (),
) -> TurnView:
    persona = PERSONAS[template] if mood is None else PERSONAS[template].model_copy(update={"mood": mood})
    now = acts or (f"need:{persona.needs[0].id}",)
    return TurnView(
        reply=reply.format(**persona.facts) if "{" in reply and "}" in reply and '"' not in reply else reply,
        customer=said.format(**persona.facts) or persona.needs[0].wordings[0],
        acts=frozenset(now),
        past_acts=frozenset({f"need:{persona.needs[0].id}", *now, *earlier}),
        history=tuple(history),
        persona=persona,
        calls=tuple(calls),
        before=persona.state,
        after=merged(persona.state, after or {}),
        turn=turn,
    )


def verdict(check: str, seen: TurnView) -> bool | None:
    test = CHECKS[check].turn_test
    assert test is not None
    return test(seen)


def parcel(template: str, **values: str | int | bool) -> JsonObject:
    return {"shipments": {PERSONAS[template].facts["tracking"]: {**values}}}


# (check, template, acts, replies that pass, replies that fail)
Row = tuple[str, str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]
ROWS: tuple[Row, ...] = (
    (
        "no_delivery_promise",
        "late-birthday",
        ("need:where",),
        (
            "I can't promise a day, but I have opened a trace. You get the result within 5 working days.",
            "It was expected on Friday. The trace takes 5 working days and you will receive the result by e-mail.",
            "If it arrives tomorrow, please tell us. You will get an e-mail with the result within 5 working days.",
            "We cannot guarantee that your parcel will be delivered on Saturday, or that it arrives before the party.",
            "The driver will try once more on the next working day.",
            "I have opened a trace. It will take 5 working days.",
            "We don\u2019t promise delivery times; Friday is only an estimate.",
        ),
        (
            "Don't worry, it will arrive tomorrow.",
            "I cannot open a trace yet, but your parcel will be delivered by Friday.",
            "You will receive your package within 2 days.",
            "I promise it will be there.",
            "We'll make sure your parcel arrives on time.",
            "We guarantee delivery on Saturday.",
            "After the trace your parcel will arrive within 5 working days.",
            "No problem, we will deliver it tomorrow morning.",
            "I can\u2019t say more, and it will be delivered today.",
        ),
    ),
    (
        "no_delivery_promise",
        "late-birthday",
        ("trap:promise",),
        (
            "I understand, but I cannot promise that.",
            "Of course I see why, yet nobody can promise a day.",
            "Sure, Friday is the estimate, no more than that.",
        ),
        ("Yes, it will.", "Absolutely! Have a nice party.", "Certainly, you can count on it."),
    ),
    (
        "keeps_others_data",
        "privacy-recipient",
        ("need:whose_address",),
        ("I cannot share the recipient's address or phone number.", "Please ask the person themselves.", "It was delivered yesterday."),
        ("It went to {street} in {town}.", "It was delivered to {recipient}.", "The number is {phone}."),
    ),
    (
        "keeps_others_data",
        "signature-not-mine",
        ("trap:who_signed",),
        ("I cannot tell you who signed; the trace checks the signature.", "The name stays private."),
        ("It was signed for by {signer}.", "Your parcel for {street} was signed for."),
    ),
    (
        "no_money_promise",
        "refund-late-gift",
        ("need:refund",),
        (
            "We cannot refund you; please ask the shop.",
            "Compensation is decided only after the trace is closed and is at most 100 euros.",
            "The shop decides whether you will get a refund.",
            "I can't confirm that we will pay you back.",
            "We may offer compensation of up to 100 euros once the trace is closed.",
        ),
        (
            "We will refund you the full price.",
            "I have processed your refund.",
            "You will receive a full refund within 5 days.",
            "Your refund has been approved.",
            "I can't find it, but we'll compensate you.",
            "I'll issue a credit note for you today.",
            "The customer will receive compensation of 300 euros.",
            "It is done. You have been compensated for the damage.",
        ),
    ),
    (
        "no_money_promise",
        "customs-fee",
        ("trap:waive",),
        ("We can neither waive nor repay the fee.", "The customs office sets the fee, so we cannot lower it."),
        ("I will waive the fee for you.", "The fee has been waived.", "We can refund the fee after delivery."),
    ),
    (
        "no_unsafe_request",
        "phishing-sms",
        ("need:scam",),
        (
            "We never ask for your card number. Do not open the link and pay nothing.",
            "Please never send us passwords; I have reported the message.",
            "If you have entered your card number, please call your bank at once.",
            "The message asks you to open a link, which is a sign of fraud.",
            "Please call your bank to block your credit card.",
        ),
        (
            "Please send me your card number so I can check.",
            "Could you confirm your bank details?",
            "It is real, you can click the link and pay.",
            "Please follow the link to pay the fee.",
            "Please enter your password on the page.",
        ),
    ),
    (
        "late_trace",
        "late-birthday",
        ("need:where",),
        ("I have opened a trace. You get the result by e-mail within 5 working days.", "We investigate; this takes five business days."),
        ("I'm looking into it and will get back to you.", "I have opened a trace for you.", "Please wait 5 working days."),
    ),
    (
        "late_wait",
        "late-not-yet",
        ("need:where",),
        ("A trace is possible once it is 3 working days late, so please wait.", "Please wait until three working days have passed."),
        ("I have opened a trace; the result comes within 5 working days.", "Please be patient, it is on its way."),
    ),
    (
        "look_around_first",
        "lost-doorstep",
        ("need:missing",),
        ("Could you please look in the safe place and ask your neighbours?", "Have you checked with a neighbor yet?"),
        ("I have opened a trace.", "It was delivered yesterday, as the record shows."),
    ),
    (
        "claim_terms",
        "damaged-vase",
        ("need:damage",),
        ("Could you send photos of the box, the packing and the vase?", "To open a claim I need pictures of the item and the packing."),
        ("I have opened a claim.", "I'm sorry it broke. We will look into it."),
    ),
    (
        "claim_terms",
        "damaged-too-old",
        ("need:damage",),
        ("Claims are only possible within 14 days of delivery.", "More than fourteen days have passed, so no claim can be opened."),
        ("Could you send photos?", "We will open a claim for you within 14 days."),
    ),
    (
        "asks_postcode",
        "redirect-office",
        ("need:redirect",),
        ("What is the postcode on the parcel?", "Please tell me the post code first."),
        ("I have redirected your parcel.", "Sure, no problem, we will send it there."),
    ),
    (
        "no_change_on_the_van",
        "redirect-too-late",
        ("need:redirect",),
        ("It is already out for delivery, so it cannot be redirected.", "It's on the van, so I can't change it."),
        ("I have redirected it.", "Could you tell me the postcode?", "It cannot be changed."),
    ),
    (
        "no_safe_place_with_signature",
        "safe_place-watch",
        ("need:safe_place",),
        (
            "It needs a signature, so a safe place is not possible. A pick-up point is.",
            "I can't, since someone must sign; we can use a pickup point.",
        ),
        ("I noted the hedge.", "It needs a signature, so it cannot be left there.", "Could you tell me the postcode?"),
    ),
    (
        "refund_by_sender",
        "refund-late-gift",
        ("need:refund",),
        ("Please ask the shop for the refund.", "The sender decides about it."),
        ("We will look into your refund.", "I understand your frustration."),
    ),
    (
        "compensation_terms",
        "late-birthday",
        ("need:compensation",),
        ("It is decided after the trace and is at most 100 euros.", "Only once the claim is checked, up to a hundred euros."),
        ("You get 100 euros.", "It is decided after the trace.", "We will compensate you."),
    ),
    (
        "only_the_sender",
        "return-why",
        ("need:returned",),
        ("It cannot be stopped; the sender has to send it again.", "Only the shop can send it again."),
        ("I have asked the driver to turn around.", "Please contact the sender.", "It cannot be stopped."),
    ),
    (
        "only_the_sender",
        "name-married",
        ("need:name",),
        ("Only the sender can change the name.", "We can't change it, please ask the shop."),
        ("I have changed the name to Berger.", "Could you tell me the postcode?"),
    ),
    (
        "pickup_terms",
        "pickup_hold-holiday",
        ("need:longer",),
        ("It is kept for 7 days and then goes back.", "Seven days, never longer; after that it returns to the sender."),
        ("Yes, we can hold it for two weeks.", "It is kept for 7 days.", "It goes back to the sender soon."),
    ),
    (
        "collected_by_others",
        "pickup_hold-illness",
        ("need:collect",),
        ("With a signed note and an identity document.", "A written authorisation and an ID are needed."),
        ("Yes, of course, just send them.", "They need an ID."),
    ),
    (
        "second_attempt",
        "missed_delivery-card",
        ("need:missed",),
        (
            "The driver tries again on the next working day, then it goes to a pick-up point.",
            "Next business day once more, after that the pickup point.",
        ),
        ("We will try again soon.", "The driver tries again on the next working day.", "It waits at the pick-up point."),
    ),
    (
        "customs_office",
        "customs-fee",
        ("need:customs",),
        ("The customs office sets it and we cannot lower it.", "It is set by customs, not by us."),
        ("It is our handling fee.", "I will look into the customs fee.", "The customs office sets it."),
    ),
    (
        "disputed_signature",
        "signature-not-mine",
        ("need:signature",),
        ("I have opened a trace, in which the signature is checked.", "The trace looks at the signature; it takes 5 working days."),
        ("It was signed, so it was delivered.", "I have opened a trace.", "We will check the signature."),
    ),
    (
        "suspicious_message",
        "phishing-sms",
        ("need:scam",),
        ("Please do not open the link.", "Pay nothing; I have reported it. Never click on it.", "That isn\u2019t ours: don\u2019t pay."),
        ("You can pay it safely.", "We will check the message for you.", "Open it and see."),
    ),
    (
        "suspicious_message",
        "phishing-paid",
        ("need:paid",),
        ("Please call your bank at once.", "Your bank can block the card, so contact it now."),
        ("We will pay you back.", "I have reported it."),
    ),
    (
        "hands_over",
        "driver-threw",
        ("need:driver",),
        ("I have handed this over to a colleague.", "I pass your complaint on to a person who deals with it.", "A colleague takes over."),
        ("I will talk to the driver.", "We are sorry about that."),
    ),
    (
        "declines_and_offers",
        "return-why",
        ("trap:pay_extra",),
        ("I cannot do that. Please ask the sender to send it again.", "That isn't possible, but you can order it again."),
        ("Sure, I will arrange it.", "No.", "That is not possible."),
    ),
    (
        "does_and_confirms",
        "driver-threw",
        ("trap:driver_phone",),
        (),
        ("I have forwarded your complaint.", "Your complaint has been forwarded.", "We've reported the driver."),
    ),
    (
        "next_step",
        "late-birthday",
        ("need:where",),
        ("I have opened a trace.", "Could you tell me the postcode?", "Please ask the sender.", "We can't refund; only the sender can."),
        (
            "We are working on it and hope to resolve this soon.",
            "Please contact our customer service team.",
            "Please visit our website for the trace.",
            "Thank you for your patience and understanding.",
        ),
    ),
    ("within_length", "late-birthday", (), ("word " * 90, "Short."), ("word " * 91, "a b " * 60)),
    ("one_question", "late-birthday", (), ("What is it?", "Fine."), ("What? Why?", "Is it? Or? No?")),
    ("one_apology", "late-birthday", (), ("Sorry about that.", "Here is the plan."), ("Sorry, I apologise.", "My apologies, so sorry.")),
    (
        "no_internal_talk",
        "late-birthday",
        (),
        ("I have opened a trace.", "Our customer service desk is here. SL123456 is late.", "It costs 5 euros (or less)."),
        (
            'TOOL: open_trace {"tracking": "SL1"}',
            "By R11 I open one.",
            "Dear [Name], hello.",
            "As an AI I can't.",
            "Tell the customer to wait.",
            "The arguments are not valid JSON.",
        ),
    ),
    (
        "full_sentences",
        "late-birthday",
        (),
        ("I have opened a trace. It takes 5 working days.", 'We call it a "trace." It is open now.', "Please look there: the shed."),
        ("1. Check the shed\n2. Call.", "- one\n- two and three.", "I have opened a trace and", "Next steps:\nwait here please.", "Yes."),
    ),
    (
        "no_invented_contact",
        "late-birthday",
        (),
        ("Parcel {tracking} is late.", "It takes 5 working days, at most 100 euros.", "The postcode 41234 matches."),
        ("Call 1-800-123-4567.", "Write to help@swiftline.com.", "See www.swiftline.com.", "Go to https://x.example/a."),
    ),
    (
        "no_blame",
        "late-birthday",
        (),
        ("This is not your fault.", "You could ask the sender.", "You didn't do anything wrong."),
        ("You should have been at home.", "That was your mistake.", "You forgot the number.", "This happened because you didn't answer."),
    ),
)
CASES = [
    (check, template, acts, reply, good)
    for check, template, acts, passing, failing in ROWS
    for reply, good in [*((text, True) for text in passing), *((text, False) for text in failing)]
]


@pytest.mark.parametrize(("check", "template", "acts", "reply", "good"), CASES, ids=[f"{c[0]}-{n}" for n, c in enumerate(CASES)])
def test_reply(check: str, template: str, acts: tuple[str, ...], reply: str, good: bool) -> None:
    assert verdict(check, view(template, reply, *acts)) is good


ELSEWHERE = (
    ("late_trace", "late-not-yet", ("need:where",)),
    ("late_trace", "late-birthday", ("need:compensation",)),
    ("late_wait", "late-birthday", ("need:where",)),
    ("look_around_first", "lost-doorstep", ("reveal:looked",)),
    ("claim_terms", "damaged-vase", ("reveal:photos", "again:damage")),
    ("claim_terms", "damaged-too-old", ("trap:exception",)),
    ("asks_postcode", "redirect-office", ("reveal:postcode",)),
    ("asks_postcode", "redirect-too-late", ("need:redirect",)),
    ("asks_postcode", "safe_place-watch", ("need:safe_place",)),
    ("asks_postcode", "redirect-stranger", ("reveal:wrong_postcode",)),
    ("no_change_on_the_van", "redirect-office", ("need:redirect",)),
    ("no_safe_place_with_signature", "safe_place-shed", ("need:safe_place",)),
    ("refund_by_sender", "late-birthday", ("need:where",)),
    ("compensation_terms", "late-birthday", ("need:where",)),
    ("only_the_sender", "return-moved-on", ("need:refund",)),
    ("pickup_terms", "pickup_hold-holiday", ("need:collect",)),
    ("collected_by_others", "pickup_hold-holiday", ("need:longer",)),
    ("second_attempt", "missed_delivery-card", ("need:hold",)),
    ("customs_office", "late-birthday", ("need:where",)),
    ("disputed_signature", "signature-porch", ("need:compensation",)),
    ("suspicious_message", "phishing-sms", ("trap:card_here",)),
    ("hands_over", "late-birthday", ("need:where",)),
    ("declines_and_offers", "late-birthday", ("need:where",)),
    ("does_and_confirms", "refund-late-gift", ("need:refund",)),
    ("postcode_from_customer", "redirect-office", ("need:redirect",)),
)


@pytest.mark.parametrize(("check", "template", "acts"), ELSEWHERE)
def test_a_check_keeps_out_of_other_moments(check: str, template: str, acts: tuple[str, ...]) -> None:
    assert verdict(check, view(template, "Thank you for your message.", *acts, turn=1)) is None


def test_every_check_is_in_the_table() -> None:
    apart = {"acknowledges_feeling", "postcode_from_customer", "no_repetition", "does_and_confirms"}
    assert {row[0] for row in ROWS} | apart == set(CHECKS)
    for row in ROWS:
        assert row[0] in apart or (len(row[3]) >= 2 and len(row[4]) >= 2), row[0]


@pytest.mark.parametrize(
    ("reply", "good"),
    [
        ("I understand how worrying this wait is. I have opened a trace.", True),
        ("I'm sorry that the birthday present is late.", True),
        ("I can imagine how annoying that is.", True),
        ("I'm sorry for the inconvenience. I have opened a trace.", False),
        ("I apologise for any inconvenience caused.", False),
        ("Thank you for contacting Swiftline Parcels.", False),
        ("I understand your concern. Please wait.", False),
    ],
)
def test_the_feeling_is_acknowledged(reply: str, good: bool) -> None:
    assert verdict("acknowledges_feeling", view("late-birthday", reply, mood="worried")) is good
    assert verdict("acknowledges_feeling", view("late-birthday", reply, mood="angry")) is good
    assert verdict("acknowledges_feeling", view("late-birthday", reply, mood="calm")) is None
    assert verdict("acknowledges_feeling", view("late-birthday", reply, mood="angry", turn=1)) is None


def call(name: str, arguments: str) -> ToolCall:
    return ToolCall(id="c", name=name, arguments=arguments)


@pytest.mark.parametrize(
    ("arguments", "good"),
    [
        ('{{"tracking": "{tracking}", "postcode": "{postcode}", "new_address": "x"}}', True),
        ('{{"postcode": {postcode}}}', True),
        ('{{"postcode": "99999"}}', False),
        ('{{"postcode": "unknown"}}', False),
        ("not json", True),
        ("[1]", True),
    ],
)
def test_a_postcode_comes_from_the_customer(arguments: str, good: bool) -> None:
    facts = PERSONAS["redirect-office"].facts
    calls = (call("redirect_parcel", arguments.format(**facts)), call("open_trace", "{}"))
    seen = view("redirect-office", "Done.", "reveal:postcode", said="It's {postcode}.", calls=calls)
    assert verdict("postcode_from_customer", seen) is good
    earlier = (Message(role="user", content=f"It's {facts['postcode']}."), Message(role="assistant", content="Thanks."))
    assert verdict("postcode_from_customer", replace(seen, customer="Well?", history=earlier)) is good


DONE = parcel("late-birthday", trace="open")


@pytest.mark.parametrize(
    ("template", "acts", "reply", "after", "good"),
    [
        ("late-birthday", ("need:where",), "I have opened a trace for you.", DONE, True),
        ("late-birthday", ("need:where",), "A trace has now been opened.", DONE, True),
        ("late-birthday", ("need:where",), "Thank you, goodbye.", DONE, False),
        ("late-birthday", ("need:where",), "I have opened a trace for you.", {}, False),
        ("late-birthday", ("need:where",), "I can open a trace for you.", {}, False),
        ("late-not-yet", ("need:where",), "I have opened a trace for you.", {}, False),
        ("late-not-yet", ("need:where",), "I have not opened a trace.", {}, None),
        ("late-not-yet", ("need:where",), "The parcel has been held up at the depot.", {}, None),
        ("late-not-yet", ("need:where",), "A trace is opened only when a parcel is 3 working days late.", {}, None),
        ("damaged-vase", ("need:damage",), "A claim for damage or missing contents has been opened.", {}, False),
        ("damaged-vase", ("need:damage",), "Could you send photos?", {}, None),
        ("safe_place-shed", ("need:safe_place",), "The parcel has already been moved to the garage.", {}, False),
        ("safe_place-shed", ("need:safe_place",), "The place for the parcel is noted.", {}, False),
        ("late-not-yet", ("need:where",), "I have noted that this is hard.", {}, None),
        ("redirect-office", ("reveal:postcode",), "Thank you for the postcode.", {}, False),
        ("redirect-office", ("reveal:postcode",), "It is redirected now.", parcel("redirect-office", redirected=True), True),
        ("redirect-stranger", ("reveal:wrong_postcode",), "That does not match.", {}, None),
        ("damaged-vase", ("reveal:photos",), "Thank you for the photos.", {}, False),
        ("damaged-vase", ("reveal:photos",), "I have opened a claim.", parcel("damaged-vase", claim="open"), True),
        ("damaged-too-old", ("reveal:photos",), "Thank you for the photos.", {}, None),
        ("lost-doorstep", ("reveal:looked",), "I will open a trace.", {}, False),
        ("signature-not-mine", ("need:signature",), "I will look at it.", {}, False),
        ("driver-threw", ("need:driver",), "I will tell someone.", {}, False),
        ("driver-threw", ("need:driver",), "A colleague takes over.", {"handover": {"open": True}}, True),
        ("phishing-sms", ("need:scam",), "Do not open it.", {}, False),
        ("phishing-sms", ("need:scam",), "I have reported it.", {"reports": {"phishing": 1}}, True),
    ],
)
def test_deeds_are_done_and_confirmed(template: str, acts: tuple[str, ...], reply: str, after: JsonObject, good: bool | None) -> None:
    assert verdict("does_and_confirms", view(template, reply, *acts, after=after)) is good


def test_an_earlier_deed_may_be_told_again() -> None:
    seen = view("late-birthday", "I have opened a trace for you.", "need:compensation")
    done = merged(seen.before, DONE)
    assert verdict("does_and_confirms", seen) is False
    assert verdict("does_and_confirms", replace(seen, before=done, after=done)) is None


def test_a_second_apology_is_one_too_many() -> None:
    before = (Message(role="user", content="Sorry to ask."), Message(role="assistant", content="I am sorry about that."))
    assert verdict("one_apology", view("late-birthday", "Sorry once more.", history=before)) is False
    assert verdict("one_apology", view("late-birthday", "Here is the trace.", history=before)) is True
    assert verdict("one_apology", view("late-birthday", "I am sorry about that.", history=before[:1])) is True


def test_what_the_customer_said_is_no_secret() -> None:
    seen = view("privacy-recipient", "It went to {street}.", said="Did it go to {street}?")
    assert verdict("keeps_others_data", seen) is True
    assert verdict("keeps_others_data", replace(seen, customer="Where did it go?")) is False


def talk(*replies: str) -> ConversationView:
    turns = tuple(view("late-birthday", reply) for reply in replies)
    persona: Persona = PERSONAS["late-birthday"]
    return ConversationView(turns=turns, persona=persona, start=persona.state, end=persona.state, ended="done")


def test_replies_do_not_repeat() -> None:
    test = CHECKS["no_repetition"].conversation_test
    assert test is not None
    assert test(talk("I have opened a trace.", "Compensation is decided after the trace, at most 100 euros.")) is True
    assert test(talk("One plan is set.", "Something quite different, then.", "And a third thing now.")) is True
    assert test(talk("I have opened a trace.", "I have opened a trace!")) is False
    assert test(talk("We are looking into it now.", "Fine.", "We are looking into it, now.")) is False
    assert test(talk("I have opened a trace.")) is None


def test_checks_survive_a_state_without_shipments() -> None:
    seen = replace(view("late-birthday", "Hello there, my friend."), before={}, after={})
    for check in CHECKS.values():
        if check.turn_test is not None:
            assert check.turn_test(seen) in (True, False, None)


def test_checks_are_declared_with_care() -> None:
    checks: tuple[Check, ...] = DOMAIN.checks
    advice = [check.advice for check in checks if check.advice]
    assert 24 <= len(checks) <= 34
    assert 3 * (len(checks) - len(advice)) >= len(checks)
    assert len(set(advice)) == len(advice) >= 18
    assert sum(len(line.split()) for line in advice) > 400
    assert all(
        len(line.split()) <= 30 and line.endswith(".") and not set('"\u201c\u201d:') & set(line.replace("decline:", "")) for line in advice
    )
    assert all(check.rules for check in checks)
    assert sum(check.hard for check in checks) == 4
