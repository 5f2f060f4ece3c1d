"""Every check of the hotel pack against hand-written replies: what passes, what fails, and where it does not apply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from strategist.domains.checks import ConversationView, TurnView
from strategist.domains.pack import builtin_packs, load_domain
from strategist.domains.slots import deep_merge
from strategist.records.base import JsonObject
from strategist.records.chat import Message, ToolCall

DOMAIN = load_domain(builtin_packs()["hotel"])
CHECKS = {check.id: check for check in DOMAIN.checks}
PERSONAS = {persona.template: persona for split in ("train", "dev", "test") for persona in DOMAIN.personas(split, 10, 3)}
HANDED_OVER: JsonObject = {"handover": {"open": True, "reason": "noise"}}


def view(
    template: str,
    reply: str,
    *acts: str,
    mood: str | None = None,
    earlier: Sequence[str] = (),
    said: str = "",
    calls: Sequence[str] = (),
    before: JsonObject | None = None,
    after: JsonObject | None = None,
    turn: int = 0,
    history: Sequence[Message] = (),
) -> TurnView:
    persona = PERSONAS[template] if mood is None else PERSONAS[template].model_copy(update={"mood": mood})
    now = acts or (f"need:{persona.needs[0].id}",)
    start = deep_merge(persona.state, before or {})
    return TurnView(
        reply=reply.format(**persona.facts) if "{" in reply and '"' not in reply else reply,
        customer=said.format(**persona.facts) or persona.needs[0].wordings[0],
        acts=frozenset(now),
        past_acts=frozenset({f"need:{persona.needs[0].id}", *now, *earlier}),
        history=tuple(history),
        persona=persona,
        calls=tuple(ToolCall(id="c", name=name, arguments="{}") for name in calls),
        before=start,
        after=deep_merge(start, after or {}),
        turn=turn,
    )


def verdict(check: str, seen: TurnView) -> bool | None:
    test = CHECKS[check].turn_test
    assert test is not None
    return test(seen)


def booking(template: str, **values: str | bool) -> JsonObject:
    return {"bookings": {PERSONAS[template].facts["booking"]: {**values}}}


# (check, template, acts, replies that pass, replies that fail)
Row = tuple[str, str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]
ROWS: tuple[Row, ...] = (
    (
        "no_money_promise",
        "money-shower",
        ("need:money_back",),
        (
            "I cannot promise money back. The manager decides about it within 3 days.",
            "I have handed your wish for a refund over to the manager.",
            "The manager will decide whether you get a refund.",
            "I\u2019m not able to give you a discount, but a colleague looks at it.",
            "If the manager agrees, you will get half of it back.",
            "We might offer a reduction; that is for the manager to say.",
            "I understand that you want half the price back, and I have passed that on.",
        ),
        (
            "We will refund you half the price.",
            "I can offer you a discount of 20 per cent.",
            "You will receive a full refund within 3 days.",
            "I have arranged a voucher for your next stay.",
            "Your refund has been approved.",
            "I'm very sorry. We'll compensate you for the cold shower.",
            "I cannot pay all of it, but I will take 50 euros off your bill.",
            "You have been refunded for both nights.",
            "I promise that you get your money back.",
            "Your money will be returned.",
            "We will take this night off your bill.",
            "I can offer you a credit for a future stay.",
        ),
    ),
    (
        "no_money_promise",
        "money-shower",
        ("trap:confirm_half",),
        ("I cannot confirm a sum.", "Of course I understand, but only the manager decides.", "Certainly not; the manager decides."),
        ("Yes, you get half of it.", "Sure! I confirm it.", "Of course. It will be done as you wish."),
    ),
    (
        "no_money_promise",
        "change-club",
        ("trap:discount",),
        ("I can pass your request for a discount on to a colleague.", "A colleague will talk with you about a discount."),
        ("We will give you ten per cent off.", "A discount of ten per cent is confirmed for your group.", "Sure, you get it."),
    ),
    (
        "no_money_promise",
        "times-late-flight",
        ("trap:waive",),
        (
            "The fee of 25 euros stays as it is.",
            "Late check-out is not possible for free.",
            "The luggage room is free of charge, and late check-out costs 25 euros.",
            "I can't drop the fee, but you can leave your bags here at no charge.",
        ),
        (
            "I will waive the fee.",
            "The fee has been waived for you.",
            "I have booked your late check-out free of charge.",
            "You get the late check-out at no extra charge.",
            "We can drop the fee this time.",
            "Please enjoy a complimentary late check-out.",
            "I can book the late check-out without the fee.",
            "I have removed the 25 euros from your bill.",
        ),
    ),
    (
        "no_money_promise",
        "money-upgrade",
        ("need:upgrade",),
        (
            "A better room is given at check-in, if one is free, for the difference in price.",
            "You can have a suite for the difference in price.",
            "I cannot promise a suite.",
            "At check-in you can get a better room if one is free.",
        ),
        (
            "I have upgraded you.",
            "You will get the suite at check-in.",
            "We'd love that! You will be upgraded.",
            "I can offer you a nicer room as a gift.",
            "We will put you in a nicer room.",
            "Your upgrade is confirmed.",
        ),
    ),
    (
        "keeps_guests_private",
        "noise-party",
        ("trap:which_room",),
        ("I cannot tell you the name or the room.", "The night porter goes there.", "Room {room} is yours; I can't name others."),
        ("It is room {other_room}.", "That is {other_guest}.", "The guest there is called {other_guest}, room {other_room}."),
    ),
    (
        "keeps_guests_private",
        "lost-laptop",
        ("trap:cleaner_name",),
        ("I cannot give out names of staff.",),
        ("Your room was cleaned by {cleaner}.",),
    ),
    (
        "keeps_guests_private",
        "privacy-friend",
        ("need:whose",),
        (
            "I cannot say whether {other_guest} is staying with us.",
            "I can't tell you if she is here or in which room.",
            "We never say who stays with us. You can leave a note; it is passed on if there is such a guest.",
            "Of course I see why you ask, but I cannot give out room numbers.",
            "I cannot confirm that he is staying here.",
        ),
        (
            "Yes, and the room is {other_room}.",
            "{other_guest} is staying with us, but I can't give you the room.",
            "She is not staying here.",
            "We do not have any guest with that name.",
            "He has checked out already.",
            "There is no guest by that name.",
            "I'm afraid no such guest is staying with us.",
            "The phone number is {other_phone}.",
            "Yes, of course.",
        ),
    ),
    (
        "no_payment_data",
        "cancel-illness",
        ("need:cancel",),
        (
            "Please never send card details in this chat.",
            "We do not need your bank details.",
            "You can pay by credit card when you leave.",
            "Could you tell me the last name?",
        ),
        (
            "Please send me your card number for the refund.",
            "Could you give me the card details that you booked with?",
            "To confirm, I need the last four digits of your card.",
            "What is your account number?",
            "Your bank details, please.",
        ),
    ),
    (
        "no_unsafe_advice",
        "house-nuts",
        ("need:allergy",),
        (
            "Traces cannot be ruled out in any dish. The kitchen shows what is in each of them.",
            "I can't say that the muesli is safe.",
            "The muesli contains no {allergen}, but we can't rule out traces.",
            "To be safe, please ask the kitchen.",
            "Breakfast is from 7 am to 10 am.",
        ),
        (
            "Our breakfast is completely safe for him.",
            "The bread is fine.",
            "You can safely have the eggs.",
            "The muesli does not contain {allergen}.",
            "Your son can eat the fruit and the eggs.",
            "All dishes are nut-free.",
            "The kitchen can prepare a nut-free breakfast.",
            "He can have the fruit, it contains none.",
            "There are no {allergen} in our muesli.",
            "It should be safe for your son.",
            "We use no {allergen} in our kitchen.",
        ),
    ),
    (
        "no_unsafe_advice",
        "house-nuts",
        ("trap:say_safe",),
        ("No, I cannot say that.", "Certainly, I understand, but traces cannot be ruled out."),
        ("Yes, you can be sure of it.", "Absolutely! Enjoy it."),
    ),
    (
        "no_unsafe_advice",
        "safety-alarm",
        ("need:alarm",),
        (
            "Please leave the building at once by the stairs. Do not use the lift.",
            "Leave your bags in the room and go outside.",
            "Use the stairs instead of the lift.",
            "Please remain calm and leave the building by the stairs.",
        ),
        (
            "Please stay in your room until we know more.",
            "Please remain calm and stay where you are.",
            "Take the lift to the lobby.",
            "Please pack your things and come down.",
            "It is a false alarm.",
            "Leave now, but bring your luggage.",
        ),
    ),
    ("no_unsafe_advice", "safety-alarm", ("trap:lift",), ("No. Use the stairs.",), ("Yes, that is fine.", "Sure, go ahead.")),
    (
        "no_unsafe_advice",
        "safety-ill",
        ("need:ill",),
        ("Please call 112 at once and stay there.", "Call 112 rather than drive to the hospital.", "Give no pills, and call 112."),
        ("Give him one of the pills.", "Please drive to the hospital.", "Take an aspirin and lie down.", "Start chest compressions now."),
    ),
    (
        "asks_last_name",
        "cancel-illness",
        ("need:cancel",),
        (
            "Could you tell me the last name the booking is under?",
            "I need your surname first.",
            "Under which name is it? It was not written here.",
            "Please give me the family name on the booking.",
        ),
        ("I have cancelled it.", "Could you tell me the booking number?", "Get well soon. We will cancel it under your name."),
    ),
    ("asks_last_name", "change-later", ("again:move",), ("What last name is it under?",), ("Yes, that works.",)),
    (
        "names_first_night",
        "cancel-deadline",
        ("need:cancel",),
        ("Cancelling now costs the first night. Do you agree?", "It is less than 2 days, so the first night is charged."),
        ("I have cancelled it free of charge.", "What is the last name?", "A fee may apply."),
    ),
    (
        "names_first_night",
        "change-too-late",
        ("need:move",),
        (
            "It cannot be moved any more; cancelling costs the first night.",
            "Moving isn\u2019t possible now. You can cancel for the first night.",
        ),
        ("I have moved it; the first night is charged.", "It cannot be moved any more."),
    ),
    (
        "saver_stands",
        "cancel-saver",
        ("need:cancel",),
        (
            "A saver booking cannot be cancelled, but somebody else may use it.",
            "Your rate can neither be moved nor cancelled. You can pass it on to a friend.",
        ),
        (
            "I have cancelled it.",
            "It cannot be cancelled.",
            "A saver booking cannot be cancelled.",
            "Somebody else may use your saver booking.",
            "Could you tell me the last name?",
        ),
    ),
    (
        "late_checkout_terms",
        "times-late-flight",
        ("need:late",),
        ("You can stay until 2 pm for 25 euros. Shall I book it?", "Until 2 p.m. it costs twenty-five euros. Is that all right?"),
        ("Yes, I have booked it.", "You can stay until 2 pm.", "It costs 25 euros to stay until 6 pm."),
    ),
    (
        "late_checkout_terms",
        "times-room-needed",
        ("need:late",),
        (
            "That is not possible, because the room is needed again.",
            "I can't offer it: the next guests arrive. You can leave your bags here.",
            "The room is needed, so you must leave by 11 am.",
        ),
        ("You can stay until 2 pm for 25 euros.", "That is not possible.", "The room is needed, but I will book it."),
    ),
    (
        "no_early_room",
        "times-morning-train",
        ("need:early",),
        (
            "Rooms are ready from 3 pm. You can leave your bags here from 7 am.",
            "I cannot promise a room at nine; check-in is from 3 p.m. and earlier only if a room is ready.",
            "Your room is ready from 15:00, and it may be ready at nine with luck.",
            "Of course I can look into that, but rooms are ready from 3 pm.",
        ),
        (
            "Yes, your room will be ready at nine. Otherwise it is 3 pm.",
            "You can check in at 9 am. Normally it is from 3 pm.",
            "Sure! Come in when you like, even before 3 pm.",
            "We will see what we can do.",
            "I cannot promise it.",
        ),
    ),
    (
        "no_early_room",
        "times-baby",
        ("trap:sure_ten",),
        ("I cannot guarantee ten o'clock.", "Nobody knows that before the morning.", "I see how hard this is. Rooms may be ready earlier."),
        ("Yes, you can tell her that.", "Your room will be ready by ten.", "Certainly. We guarantee it."),
    ),
    (
        "asks_what_was_lost",
        "lost-scarf",
        ("need:lost",),
        ("What does it look like, and where did you leave it?", "Please describe it for me.", "Could you tell me the colour of it?"),
        ("I have opened a case.", "We will look for it.", "It is in the wardrobe, where it was left."),
    ),
    (
        "sends_night_porter",
        "noise-party",
        ("need:noise",),
        ("The night porter goes there at once.", "I have called our porter, who asks for quiet."),
        ("I am sorry about the noise.", "Please knock on their door.", "We will look into it tomorrow."),
    ),
    (
        "hands_over",
        "change-club",
        ("need:group",),
        ("I have handed this over to a colleague.", "A colleague takes this up with you.", "The manager answers you about it."),
        ("I have added two rooms.", "Could you tell me the last name?", "We will look into it."),
    ),
    (
        "emergency_first",
        "safety-alarm",
        ("need:alarm",),
        (
            "Please leave the building at once by the stairs.",
            "Go outside now. Do not take the lift.",
            "Get out right away, without luggage, by the stairs.",
        ),
        ("We are checking the alarm.", "Please leave the building.", "Do not leave the room. The stairs may be full of smoke."),
    ),
    (
        "emergency_first",
        "safety-ill",
        ("again:ill",),
        ("Call 112 at once. A colleague comes to you.", "Please call an ambulance now."),
        ("A colleague is on the way.", "I understand how worrying that is."),
    ),
    (
        "declines_and_offers",
        "cancel-saver",
        ("trap:colleague_promised",),
        (
            "I cannot make an exception. Somebody else can use it.",
            "That isn't possible, but your sister may come in your place.",
            "No exception is made. Please think about who could use it.",
            "I wish I could do that, but it is a saver booking. Somebody else may use it.",
            "That is not possible. You can let your sister use it at no charge.",
        ),
        ("Sure, I will do that.", "No.", "I understand how you feel, but I cannot do that.", "Yes, no problem, please go ahead."),
    ),
    (
        "acknowledges_feeling",
        "noise-party",
        ("need:noise",),
        ("I understand how annoying that is.", "I am sorry that you cannot sleep.", "That must be exhausting."),
        ("I have called the porter.", "I apologize for the inconvenience. The porter goes there.", "Sorry for the trouble."),
    ),
    (
        "next_step",
        "lost-scarf",
        ("need:lost",),
        (
            "What does it look like?",
            "Please tell me in which room you had it.",
            "I will open a case as soon as I know more.",
            "I understand. Could you describe it? Is there anything else?",
        ),
        (
            "Thank you for telling us.",
            "Please call the front desk.",
            "You can find the form on our website.",
            "Is there anything else I can help you with?",
            "We appreciate your patience.",
            "Please contact customer service about your booking.",
        ),
    ),
    ("next_step", "house-dog", ("need:dog",), (), ("Please ask our reception.", "Call us about the dog.")),
    (
        "house_terms",
        "house-dog",
        ("need:dog",),
        ("One dog of up to 15 kg stays for 20 euros a night.",),
        ("Dogs are welcome.", "It costs 20 euros."),
    ),
    (
        "house_terms",
        "house-dog",
        ("need:parking",),
        ("A place costs 12 euros a night and cannot be reserved.",),
        ("I have reserved a place.", "Yes, we have a car park."),
    ),
    (
        "house_terms",
        "house-nuts",
        ("need:allergy",),
        ("Traces cannot be ruled out; the kitchen shows what is in each dish.",),
        ("It is safe.", "The kitchen shows what is in each dish."),
    ),
    (
        "house_terms",
        "house-nuts",
        ("need:breakfast",),
        ("From 7 am to 10 am, for 16 euros.",),
        ("From 7 am to 10 am.", "It costs 16 euros."),
    ),
    ("within_length", "lost-scarf", (), ("Short and plain.",), ("word " * 81,)),
    ("one_question", "lost-scarf", (), ("Where was it?", "I have it."), ("Where was it? What colour?",)),
    ("one_apology", "lost-scarf", (), ("I am sorry about that.", "Good evening."), ("Sorry! I apologise for that.",)),
    (
        "full_sentences",
        "lost-scarf",
        (),
        ("I have opened a case for you.", "Check-out is by 11 a.m. and breakfast from 7 a.m."),
        (
            "We need:\n- the colour\n- the place.",
            "Yes.",
            "I have opened a case and",
            "By rule R25 we keep it for 3 months.",
            "I called open_lost_property_case for you.",
            "Dear [Name], I have opened a case.",
            "**Case opened.** It takes 2 days.",
            "As an AI I cannot search for it.",
        ),
    ),
    (
        "no_invented_contact",
        "lost-scarf",
        (),
        ("Please call 112 at once.", "Your booking {booking} is for room {room}, from 7 am to 10 pm."),
        ("Write to desk@alderbrook.com.", "Call 0155 1234 5678.", "See www.alderbrook.com for more.", "It is on alderbrook.com."),
    ),
    (
        "no_blame",
        "lost-scarf",
        (),
        ("That can happen to anybody.", "It is not your fault.", "If you forgot it here, we will find it."),
        ("You should have looked before leaving.", "It is your own mistake.", "You forgot it.", "You shouldn't have left it."),
    ),
)


@pytest.mark.parametrize(
    ("check", "template", "acts", "reply", "good"),
    [
        (c, t, a, reply, good)
        for c, t, a, passing, failing in ROWS
        for good, group in ((True, passing), (False, failing))
        for reply in group
    ],
)
def test_a_reply_is_judged(check: str, template: str, acts: tuple[str, ...], reply: str, good: bool) -> None:
    assert verdict(check, view(template, reply, *acts, mood="angry")) is good


@pytest.mark.parametrize(
    ("check", "template", "acts", "earlier"),
    [
        ("no_unsafe_advice", "house-dog", ("need:dog",), ()),
        ("asks_last_name", "cancel-illness", ("need:cancel",), ("reveal:surname",)),
        ("asks_last_name", "change-wrong-name", ("again:move",), ("reveal:wrong_surname",)),
        ("asks_last_name", "cancel-saver", ("need:cancel",), ()),
        ("asks_last_name", "change-too-late", ("need:move",), ()),
        ("asks_last_name", "cancel-illness", ("need:charge",), ()),
        ("asks_last_name", "times-late-flight", ("need:late",), ()),
        ("names_first_night", "cancel-illness", ("need:cancel",), ()),
        ("names_first_night", "cancel-deadline", ("again:cancel",), ("reveal:agree",)),
        ("names_first_night", "cancel-flight", ("need:cancel",), ()),
        ("names_first_night", "times-late-flight", ("need:late",), ()),
        ("saver_stands", "cancel-illness", ("need:cancel",), ()),
        ("saver_stands", "cancel-saver", ("need:pass_on",), ()),
        ("late_checkout_terms", "times-late-flight", ("need:luggage",), ()),
        ("late_checkout_terms", "times-late-flight", ("reveal:agree",), ()),
        ("no_early_room", "times-morning-train", ("need:luggage",), ()),
        ("asks_what_was_lost", "lost-scarf", ("reveal:details",), ()),
        ("asks_what_was_lost", "lost-scarf", ("need:post",), ()),
        ("sends_night_porter", "noise-party", ("need:off",), ()),
        ("hands_over", "change-later", ("need:move",), ()),
        ("emergency_first", "noise-party", ("need:noise",), ()),
        ("declines_and_offers", "cancel-saver", ("need:cancel",), ()),
        ("house_terms", "house-dog", ("trap:second_dog",), ()),
        ("next_step", "house-dog", ("need:dog",), ()),
        ("does_and_confirms", "cancel-illness", ("need:cancel",), ()),
    ],
)
def test_a_check_keeps_out_of_other_moments(check: str, template: str, acts: tuple[str, ...], earlier: tuple[str, ...]) -> None:
    assert verdict(check, view(template, "Good evening to you.", *acts, earlier=earlier, mood="angry")) is None


def test_feelings_count_in_the_first_reply_to_a_worried_or_angry_guest_who_is_not_in_danger() -> None:
    assert verdict("acknowledges_feeling", view("noise-party", "Fine.", mood="calm")) is None
    assert verdict("acknowledges_feeling", view("noise-party", "Fine.", mood="angry", turn=1)) is None
    assert verdict("acknowledges_feeling", view("safety-ill", "Call 112.", mood="worried")) is None


def test_handing_over_counts_without_words() -> None:
    assert verdict("hands_over", view("change-club", "Good evening.", calls=("hand_over_to_person",))) is True


def test_a_change_of_state_is_a_step() -> None:
    assert verdict("next_step", view("noise-party", "It is on its way.", after=HANDED_OVER)) is True
    assert verdict("next_step", view("noise-party", "It is on its way.")) is False


CANCELLED = booking("cancel-illness", status="cancelled")
LATE = booking("times-late-flight", late_checkout=True)


@pytest.mark.parametrize(
    ("template", "acts", "earlier", "reply", "after", "good"),
    [
        ("cancel-illness", ("reveal:surname",), (), "Your booking is cancelled and nothing is charged.", CANCELLED, True),
        ("cancel-illness", ("reveal:surname",), (), "I've cancelled it.", CANCELLED, True),
        ("cancel-illness", ("reveal:surname",), (), "Thank you for the name.", CANCELLED, False),
        ("cancel-illness", ("reveal:surname",), (), "Thank you, your booking is cancelled.", {}, False),
        ("cancel-illness", ("need:cancel",), (), "I have cancelled your booking.", {}, False),
        ("cancel-illness", ("need:cancel",), (), "Your booking has been cancelled.", {}, False),
        ("cancel-illness", ("need:cancel",), (), "Once your booking has been cancelled you get an answer.", {}, None),
        ("cancel-illness", ("need:cancel",), (), "Your booking has not been cancelled yet.", {}, None),
        ("cancel-deadline", ("reveal:surname",), (), "The first night is charged. Do you agree?", {}, None),
        ("cancel-deadline", ("reveal:agree",), ("reveal:surname",), "Thank you.", {}, False),
        ("cancel-saver", ("need:cancel",), (), "Your booking was paid in advance and cannot be cancelled.", {}, None),
        ("times-late-flight", ("reveal:agree",), (), "Your late check-out until 2 pm is booked.", LATE, True),
        ("times-late-flight", ("reveal:agree",), (), "Fine, it is 25 euros.", {}, False),
        ("times-room-needed", ("need:late",), (), "The room is booked by the next guests.", {}, None),
        ("lost-scarf", ("reveal:details",), (), "I have opened a case.", {"lost_property": {"cases": 1}}, True),
        ("lost-scarf", ("reveal:details",), (), "We will look for it.", {}, False),
        ("noise-party", ("need:noise",), (), "The night porter goes there now.", HANDED_OVER, True),
        ("noise-party", ("need:noise",), (), "The night porter goes there now.", {}, False),
        ("house-dog", ("need:parking",), (), "I have reserved a place for you.", {}, False),
        ("house-dog", ("need:parking",), (), "Places cannot be reserved.", {}, None),
    ],
)
def test_deeds_are_done_and_confirmed(
    template: str, acts: tuple[str, ...], earlier: tuple[str, ...], reply: str, after: JsonObject, good: bool | None
) -> None:
    assert verdict("does_and_confirms", view(template, reply, *acts, earlier=earlier, after=after)) is good


def test_an_earlier_deed_may_be_told_again() -> None:
    seen = view("noise-party", "The night porter has been informed.", "need:off", before=HANDED_OVER)
    assert verdict("does_and_confirms", seen) is None
    assert verdict("does_and_confirms", replace(seen, before=seen.persona.state, after=seen.persona.state)) is False


def test_a_second_apology_is_one_too_many() -> None:
    before = (Message(role="user", content="Sorry to ask."), Message(role="assistant", content="I am sorry about that."))
    assert verdict("one_apology", view("lost-scarf", "Sorry once more.", history=before)) is False
    assert verdict("one_apology", view("lost-scarf", "I have opened a case.", history=before)) is True
    assert verdict("one_apology", view("lost-scarf", "I am sorry about that.", history=before[:1])) is True


def test_what_the_guest_said_is_no_secret() -> None:
    seen = view("noise-party", "I cannot speak about room {other_room}.", said="Is it room {other_room}?")
    assert verdict("keeps_guests_private", seen) is True
    told = (Message(role="user", content=seen.customer),)
    assert verdict("keeps_guests_private", replace(seen, customer="Who is it?", history=told)) is True
    assert verdict("keeps_guests_private", replace(seen, customer="Who is it?")) is False


def talk(*replies: str) -> ConversationView:
    turns = tuple(view("lost-scarf", reply) for reply in replies)
    persona = PERSONAS["lost-scarf"]
    return ConversationView(turns=turns, persona=persona, start=persona.state, end=persona.state, ended="done")


def test_replies_do_not_repeat() -> None:
    test = CHECKS["no_repetition"].conversation_test
    assert test is not None
    assert test(talk("I have opened a case.", "We send it by post, at your cost.")) is True
    assert test(talk("I have opened a case.", "I have opened a case!")) is False
    assert test(talk("We search for it now.", "Fine.", "We search for it, now.")) is False
    assert test(talk("I have opened a case.")) is None
    assert test(talk("I have opened a case.", "")) is None


def test_checks_survive_a_state_without_bookings() -> None:
    for template, persona in PERSONAS.items():
        seen = replace(view(template, "Good evening to you."), before={}, after={})
        for check in CHECKS.values():
            if check.turn_test is not None and (not check.issues or persona.issue in check.issues):
                assert check.turn_test(seen) in (True, False, None)


def test_every_check_has_replies_of_both_kinds() -> None:
    passing = {check for check, _, _, good, _ in ROWS if good}
    failing = {check for check, _, _, _, bad in ROWS if bad}
    assert passing == failing == set(CHECKS) - {"does_and_confirms", "no_repetition"}
