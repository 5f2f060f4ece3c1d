"""Every check of the broadband pack against hand-written replies: what passes, what fails, and where it does not apply."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

import pytest

from strategist.domains.checks import ConversationView, TurnView
from strategist.domains.pack import builtin_packs, load_domain
from strategist.domains.persona import Mood

PATH = builtin_packs()["broadband"]
DOMAIN = load_domain(PATH)
CHECKS = {check.id: check for check in DOMAIN.checks}
PERSONAS = {persona.template: persona for split in ("train", "dev", "test") for persona in DOMAIN.personas(split)[:13]}
steps = cast(Callable[[str], tuple[str, ...]], runpy.run_path(str(PATH / "checks.py"))["steps"])


def view(template: str, reply: str, *acts: str, earlier: Sequence[str] = (), mood: Mood = "calm", turn: int = 0) -> TurnView:
    persona = PERSONAS[template].model_copy(update={"mood": mood})
    opening = f"need:{persona.needs[0].id}"
    now = acts or (opening,)
    return TurnView(
        reply=reply,
        customer=persona.needs[0].wordings[0],
        acts=frozenset(now),
        past_acts=frozenset({opening, *now, *earlier}),
        history=(),
        persona=persona,
        calls=(),
        before=persona.state,
        after=persona.state,
        turn=turn,
    )


def verdict(check: str, seen: TurnView) -> bool | None:
    test = CHECKS[check].turn_test
    assert test is not None
    return test(seen)


# What a reply asks for: every check of the search for a fault stands on this reading.
@pytest.mark.parametrize(
    ("reply", "asked"),
    [
        ("Could you please check the lights on your router and tell me what color they are?", ("lights",)),
        ("Are the lights on the router on?", ("lights",)),
        ("The lights on your router matter to us.", ()),
        ("Since the internet light is red, please push the line cable in at both ends.", ("cable",)),
        ("Is the line cable firmly in the router and the wall socket? Let me know if the light changes.", ("cable",)),
        ("Please take the router's plug out of the socket, wait a minute and put it back.", ("restart",)),
        ("Let's try this: unplug it for one minute and plug it back in. Then tell me which colour the light shows.", ("restart",)),
        ("Please unplug the line cable and push it in again at both ends.", ("cable",)),
        ("Have you tried restarting the router?", ("restart",)),
        ("Could you switch it off for a minute?", ("restart",)),
        ("Could you please take a look at it?", ()),
        ("If that does not help, restart the router.", ("restart",)),
        ("You do not need to check the lights or restart anything.", ()),
        ("Restarting the router helps some people.", ()),
        ("Please do a factory reset.", ("reset",)),
        ("Could you plug another device into that socket to see whether the socket works?", ("socket",)),
        ("Is the device you are using connected via Wi-Fi or a cable?", ("device",)),
        ("Please run a speed test on a wired computer.", ("speed",)),
        ("Please connect your laptop by network cable, make sure nothing else is running, and measure the speed.", ("speed",)),
        ("Please move the router into the open, away from the microwave.", ("place",)),
        ("Is your phone plugged into the socket marked Phone?", ("phone",)),
        ("When would a visit be convenient: mornings or afternoons?", ("daytime",)),
        ("What is your new address and when are you moving?", ("address",)),
        ("What colour are the lights? Please also push the line cable in at both ends.", ("lights", "cable")),
        ("Please check that all cables are plugged in firmly and restart your router.", ("cable", "restart")),
        ("Please push the cable in at both ends, restart the router, and measure the speed.", ("cable", "restart", "speed")),
    ],
)
def test_steps(reply: str, asked: tuple[str, ...]) -> None:
    assert steps(reply) == asked


# (check, template, acts now, acts earlier, replies that pass, replies that fail)
Row = tuple[str, str, tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[str, ...]]
ROWS: tuple[Row, ...] = (
    (
        "no_repair_promise",
        "outage-street",
        ("need:when",),
        (),
        (
            "I cannot say when the outage will be over.",
            "I understand you need it to work on Friday, but I can't promise that it will work by then.",
            "A colleague will take over in this chat and will name the day of the visit.",
            "Once the outage is over, the billing desk will decide within a week.",
            "It will take up to 5 minutes until the lights are steady.",
            "We don\u2019t know yet. I hope it'll be back soon.",
            "If it is not back tomorrow, please write to us again in this chat.",
        ),
        (
            "Your internet will be back by Friday.",
            "I can't say exactly, but it will be back today.",
            "The outage should be resolved within 24 hours.",
            "Don't worry, we will have it repaired by the end of the week.",
            "A technician will visit you within 2 days.",
            "We expect the service to be restored by tomorrow.",
            "The repair will take about 2 days.",
            "We guarantee that the repair is done.",
            "Your connection will be restored shortly.",
        ),
    ),
    (
        "no_repair_promise",
        "slow-download",
        ("trap:promise",),
        (),
        ("No, I cannot promise a day.", "Sure, but no day is certain."),
        ("Yes, it will.", "Of course."),
    ),
    (
        "no_money_promise",
        "outage-work",
        ("need:credit",),
        (),
        (
            "The billing desk decides about a credit after the outage is over.",
            "We give no discounts and no free months.",
            "If it lasted more than two days, the billing desk may grant a credit.",
            "I can pass your wish for a credit on to the billing desk, which decides.",
            "The visit is free if the fault is in our line.",
            "You won't pay for the visit if the fault is ours.",
        ),
        (
            "We will credit you 20 euros.",
            "You will get a refund for the days.",
            "You get a free month.",
            "I have applied a credit of 20 euros.",
            "Your credit has been approved.",
            "The technician will be free of charge.",
            "You will not pay anything for the technician.",
            "I'll deduct 20 euros from your bill.",
            "You are entitled to a credit.",
            "The charge has been waived.",
        ),
    ),
    (
        "no_money_promise",
        "router_return-late",
        ("trap:waive",),
        (),
        ("I can't confirm that.", "Yes, I see, but it cannot be dropped."),
        ("Yes.", "Okay, fine."),
    ),
    (
        "no_password_request",
        "password-guests",
        ("need:password",),
        (),
        (
            "The Wi-Fi password is on the label under the router.",
            "Please never write a password in the chat.",
            "Please enter the password from the label on your tablet.",
            "Could you tell me whether the password on the label works?",
            "I don't need your password.",
        ),
        (
            "Please tell me your password.",
            "What is your current Wi-Fi password?",
            "I need your password to check.",
            "To verify you, please give your name and your password.",
            "Send me the PIN, please.",
            "We cannot see it, but could you confirm your account password?",
        ),
    ),
    (
        "no_password_request",
        "password-guests",
        ("trap:send_password",),
        (),
        ("No, please do not write it here.", "Never share it with us; you can type it into your tablet."),
        ("Yes, please send it.", "Sure, go ahead.", "Please share it and I will check."),
    ),
    (
        "no_unsafe_advice",
        "safety-smell",
        ("need:smell",),
        (),
        (
            "Please unplug the power supply at once and leave it unplugged.",
            "Pull the plug out and do not plug it in again.",
            "It is dangerous to open it. A colleague takes over.",
            "Please open a window.",
            "A colleague arranges a new one, which you can plug in then.",
        ),
        (
            "You can unscrew the cover to check for damage.",
            "Let it cool down, then plug it back in.",
            "Unplug the router for one minute and plug it back in.",
            "Please restart the router.",
            "Try another socket.",
            "It is harmless, so keep it plugged in.",
            "Use a screwdriver to open the case.",
        ),
    ),
    (
        "no_unsafe_advice",
        "safety-smell",
        ("need:plug_in",),
        (),
        ("No, leave it unplugged.", "Please keep it out."),
        ("Yes, tonight.", "Sure."),
    ),
    (
        "no_unsafe_advice",
        "no_internet-dark",
        ("trap:open_it",),
        (),
        ("Please leave it closed.", "Only a technician may open the router.", "You can open the router's settings."),
        ("Yes, have a look.", "Go ahead and open the power supply carefully."),
    ),
    (
        "no_unsafe_advice",
        "no_internet-red",
        (),
        (),
        ("Unplug it for a minute and plug it back in.", "Is it on?"),
        ("Open the wall socket.", "Open up the router."),
    ),
    (
        "outage_first",
        "outage-work",
        (),
        (),
        (
            "There is an outage in your area; you don't need to do anything at home.",
            "My screen shows a fault in your area whose cause is being looked for.",
            "We have an outage in your town. Restarting the router won't help.",
        ),
        (
            "Please check the lights on your router.",
            "There is an outage. Please restart your router.",
            "I see no outage.",
            "Let me look into it.",
        ),
    ),
    (
        "asks_lights",
        "no_internet-red",
        (),
        (),
        ("Which colours do the lights on the router show?", "That is hard. Please look at the router and tell me which lights are on."),
        (
            "Please restart the router.",
            "Please check the lights and restart the router.",
            "A technician is needed.",
            "The lights may be red.",
        ),
    ),
    (
        "cable_or_socket",
        "no_internet-red",
        ("reveal:lights",),
        (),
        ("Please push the line cable in firmly at both ends.", "Is the cable tight in the router and in the wall socket?"),
        (
            "Please restart the router.",
            "Please check the cables and restart the router.",
            "Please make sure the cable is plugged in.",
            "Red is bad.",
        ),
    ),
    (
        "cable_or_socket",
        "no_internet-dark",
        ("reveal:lights", "again:dead"),
        (),
        ("Please try a lamp in the same socket.", "Could you plug another device into that socket to see whether the socket works?"),
        ("Please push in the line cable at both ends.", "Does the socket work?", "A technician is needed."),
    ),
    (
        "restart_once",
        "no_internet-red",
        ("reveal:cable",),
        ("reveal:lights",),
        ("Please unplug the router once for one minute.", "Please unplug the router, wait a minute, and tell me the colour of the light."),
        (
            "Please restart the router.",
            "Please do a factory reset.",
            "Unplug the router for one minute and press reset.",
            "A technician is needed.",
        ),
    ),
    (
        "restart_once",
        "no_internet-red",
        ("reveal:restart", "need:next"),
        ("reveal:lights", "reveal:cable"),
        ("Do mornings or afternoons suit you?", "A technician is needed."),
        ("Please restart the router again.", "Then please reset it."),
    ),
    (
        "cable_or_wifi",
        "slow-download",
        (),
        (),
        ("Is your device on Wi-Fi or on a network cable?", "I see. Are you on Wi-Fi, or is the computer wired?"),
        (
            "Please run a speed test.",
            "Please restart the router.",
            "Wi-Fi is slower than cable.",
            "Is it on Wi-Fi or cable? Please measure the speed, too.",
        ),
    ),
    (
        "speed_by_cable",
        "slow-download",
        ("reveal:device",),
        (),
        ("Please connect a computer by network cable and measure the speed.", "Could you run a speed test on a wired computer?"),
        ("Please run a speed test.", "A technician is needed.", "Please push the cable in firmly and measure the speed."),
    ),
    (
        "asks_daytime",
        "slow-download",
        ("reveal:speed", "need:next"),
        (),
        ("That is less than half. Do mornings or afternoons suit you?", "A technician is needed: would mornings or afternoons be better?"),
        ("A technician will come.", "Please restart the router.", "I hand over to a colleague, who asks about mornings."),
    ),
    (
        "hands_over",
        "no_internet-red",
        ("need:visit",),
        (),
        ("I hand this over to a colleague, who arranges the visit in this chat.", "A colleague takes over here and names the day."),
        (
            "I have booked a technician.",
            "Please contact our customer support; a colleague helps.",
            "I'll schedule a visit, and a colleague comes.",
            "Soon.",
        ),
    ),
    (
        "credit_terms",
        "outage-work",
        ("need:credit",),
        (),
        (
            "The billing desk decides once the outage is over, and only beyond 2 full days.",
            "After it, the billing desk looks, if it was over two days.",
        ),
        ("You will get a credit.", "The billing desk decides.", "A credit is possible after two days."),
    ),
    (
        "credit_terms",
        "outage-work",
        ("trap:credit_now",),
        (),
        ("No; the billing desk decides after 2 full days.", "Only billing can, after two days."),
        ("No.", "Yes."),
    ),
    (
        "moving_terms",
        "moving-flat",
        (),
        (),
        ("What is the new address, and on which day do you move?", "Please tell me your new address and the date of the move."),
        ("What is your new address?", "When do you move?", "A colleague checks the line at your new address and confirms the day."),
    ),
    (
        "unplug_first",
        "safety-smell",
        (),
        (),
        ("Please unplug it at once and leave it unplugged.", "Pull the plug out of the socket now, and do not use it again."),
        ("Unplug it for a minute.", "Please open a window.", "Do not unplug it.", "A colleague takes over."),
    ),
    (
        "one_step",
        "no_internet-red",
        (),
        (),
        ("Which colours do the lights show?", "Please push the line cable in at both ends, then tell me what the lights show."),
        (
            "Please check the cable at both ends and restart the router.",
            "I will look into it.",
            "What colour are the lights? Is the cable tight?",
        ),
    ),
    (
        "declines_and_offers",
        "contract-cancel",
        ("trap:cancel_here",),
        (),
        ("I can't cancel it in the chat. You can send a signed letter.", "That isn't done in the chat. It is possible by letter."),
        ("Sure, it is cancelled.", "No.", "I understand."),
    ),
    (
        "wifi_place",
        "wifi-bedroom",
        ("reveal:speed", "need:place"),
        (),
        ("Please put the router in the open.", "It should stand in a central place, away from the microwave."),
        ("Please restart the router.", "Never put the router in the open.", "You need a stronger router."),
    ),
    (
        "contract_terms",
        "moving-flat",
        ("need:notice",),
        (),
        ("We need 4 weeks.", "Four weeks' notice."),
        ("A few days.", "As early as you can."),
    ),
    (
        "contract_terms",
        "moving-flat",
        ("need:anew",),
        (),
        ("It does not start anew.", "It moves along."),
        ("Yes, it starts again.", "Yes."),
    ),
    (
        "contract_terms",
        "contract-cancel",
        (),
        (),
        ("A signed letter, 1 month before.", "By letter, one month ahead."),
        ("By letter.", "In one month."),
    ),
    (
        "contract_terms",
        "wifi-calls",
        ("need:cost",),
        (),
        ("60 euros, free if it is ours.", "Only nothing if ours, else sixty."),
        ("60 euros.", "It is free."),
    ),
    ("password_terms", "password-guests", (), (), ("It is on the label.", "See the sticker below."), ("I can't help.", "It is 12345678.")),
    (
        "password_terms",
        "password-guests",
        ("need:account",),
        (),
        ("A colleague sends a letter.", "It comes by post."),
        ("I can't see it.", "On the label."),
    ),
    (
        "asks_nothing_twice",
        "no_internet-red",
        ("reveal:restart", "need:next"),
        ("reveal:lights", "reveal:cable"),
        ("Do mornings or afternoons suit you?", "Which colours do the lights show now?"),
        ("Please check the cable at both ends.", "Please restart the router once more."),
    ),
    (
        "claims_no_deed",
        "no_internet-red",
        ("need:next",),
        (),
        (
            "A colleague will arrange the visit.",
            "I have noted mornings and pass it on.",
            "I cannot book a visit myself.",
            "I see no outage.",
        ),
        (
            "I have reset your line.",
            "I will book a technician for you.",
            "I am sending a technician.",
            "I have checked your line and it's fine.",
            "A technician has been booked.",
            "Let me reset your connection from here.",
        ),
    ),
    (
        "next_step",
        "no_internet-red",
        (),
        (),
        ("Please look at the router.", "A colleague takes over."),
        ("We are working on it.", "Please call our hotline about your line.", "Please visit our website for help with the router."),
    ),
    ("within_length", "no_internet-red", (), (), ("word " * 80, "Short."), ("word " * 81, "a b " * 50)),
    ("one_question", "no_internet-red", (), (), ("Is it red?", "Fine. Is it on?"), ("What? Why?", "Is it on? Or off? Or red?")),
    (
        "plain_sentences",
        "no_internet-red",
        (),
        (),
        ("Please look at the router now.", "It costs 60 euros, or nothing if it is ours."),
        (
            "1. Lights\n2. Cable.",
            "**Note** it is the cable.",
            "See www.fenlark.com for all of it.",
            "By R10 I ask first.",
            "Please push the",
            "Yes.",
        ),
    ),
)
CASES = [
    (check, template, acts, earlier, reply, good)
    for check, template, acts, earlier, passing, failing in ROWS
    for reply, good in [*((text, True) for text in passing), *((text, False) for text in failing)]
]


@pytest.mark.parametrize(("check", "template", "acts", "earlier", "reply", "good"), CASES, ids=[f"{c[0]}-{n}" for n, c in enumerate(CASES)])
def test_reply(check: str, template: str, acts: tuple[str, ...], earlier: tuple[str, ...], reply: str, good: bool) -> None:
    assert verdict(check, view(template, reply, *acts, earlier=earlier)) is good


@pytest.mark.parametrize(
    ("check", "template", "acts"),
    [
        ("outage_first", "no_internet-red", ("need:dead",)),
        ("outage_first", "outage-work", ("need:when",)),
        ("asks_lights", "outage-work", ("need:dead",)),
        ("asks_lights", "no_internet-red", ("reveal:lights",)),
        ("asks_lights", "no_internet-red", ("need:next",)),
        ("cable_or_socket", "no_internet-red", ("need:dead",)),
        ("cable_or_socket", "no_internet-red", ("reveal:lights", "reveal:cable")),
        ("cable_or_socket", "no_internet-dark", ("reveal:lights", "reveal:socket")),
        ("cable_or_socket", "slow-download", ("need:slow",)),
        ("restart_once", "no_internet-red", ("need:dead",)),
        ("restart_once", "no_internet-red", ("reveal:lights",)),
        ("restart_once", "no_internet-dark", ("reveal:lights",)),
        ("cable_or_wifi", "slow-download", ("reveal:device",)),
        ("cable_or_wifi", "slow-download", ("need:next",)),
        ("speed_by_cable", "slow-download", ("need:slow",)),
        ("speed_by_cable", "slow-download", ("reveal:device", "reveal:speed")),
        ("asks_daytime", "slow-download", ("reveal:daytime", "again:next")),
        ("hands_over", "slow-download", ("need:next",)),
        ("credit_terms", "outage-work", ("need:when",)),
        ("moving_terms", "moving-flat", ("reveal:new_home", "again:move")),
        ("unplug_first", "safety-smell", ("need:plug_in",)),
        ("one_step", "outage-work", ("need:dead",)),
        ("one_step", "moving-flat", ("need:move",)),
        ("one_step", "no_internet-red", ("reveal:lights", "trap:promise")),
        ("declines_and_offers", "contract-cancel", ("need:cancel",)),
        ("wifi_place", "wifi-bedroom", ("need:password",)),
        ("contract_terms", "no_internet-red", ("need:dead",)),
        ("password_terms", "wifi-bedroom", ("need:place",)),
        ("asks_nothing_twice", "no_internet-red", ("reveal:lights",)),
        ("claims_no_deed", "outage-work", ("need:credit",)),
        ("one_question", "outage-work", ("need:credit",)),
    ],
)
def test_a_check_keeps_out_of_other_moments(check: str, template: str, acts: tuple[str, ...]) -> None:
    assert verdict(check, view(template, "Thank you for your message.", *acts, turn=1)) is None


def test_every_check_is_in_the_table() -> None:
    assert {row[0] for row in ROWS} | {"acknowledges_feeling", "no_repetition"} == set(CHECKS)
    assert all(len(row[4]) >= 2 and len(row[5]) >= 2 for row in ROWS)


@pytest.mark.parametrize(
    ("reply", "good"),
    [
        ("I understand how unsettling this is. Which colours do the lights show?", True),
        ("I'm sorry that you miss your meetings.", True),
        ("I'm sorry for the inconvenience. Which colours do the lights show?", False),
        ("Thank you for contacting Fenlark.", False),
    ],
)
def test_the_feeling_is_acknowledged(reply: str, good: bool) -> None:
    assert verdict("acknowledges_feeling", view("no_internet-red", reply, mood="worried")) is good
    assert verdict("acknowledges_feeling", view("no_internet-red", reply, mood="angry")) is good
    assert verdict("acknowledges_feeling", view("no_internet-red", reply)) is None
    assert verdict("acknowledges_feeling", view("no_internet-red", reply, mood="angry", turn=1)) is None


def test_replies_do_not_repeat() -> None:
    test = CHECKS["no_repetition"].conversation_test
    assert test is not None

    def talk(*replies: str) -> ConversationView:
        turns = tuple(view("no_internet-red", reply) for reply in replies)
        return ConversationView(turns=turns, persona=turns[0].persona, start={}, end={}, ended="done")

    assert test(talk("Which colours do the lights show?", "Please push the cable in.", "And now a restart, please.")) is True
    assert test(talk("Please restart the router.", "Which lights are on?", "Please restart the router!")) is False
    assert test(talk("Please restart the router.")) is None


def test_following_the_advice_passes_the_check() -> None:
    """The moment, and a reply a service person would give who has read only that line."""
    followed = {
        "no_repair_promise": ("outage-street", ("need:when",), (), "No day or hour can be promised; the colleague names the day."),
        "outage_first": ("outage-street", (), (), "There is an outage in your town and the cause is being looked for."),
        "asks_lights": ("no_internet-red", (), (), "Which colours do the lights on the router show?"),
        "cable_or_socket": ("no_internet-red", ("reveal:lights",), (), "Please push the line cable in firmly at both ends."),
        "restart_once": ("no_internet-red", ("reveal:cable",), ("reveal:lights",), "Please unplug the router for one minute."),
        "cable_or_wifi": ("slow-download", (), (), "Is the device on Wi-Fi or on a network cable?"),
        "speed_by_cable": ("slow-download", ("reveal:device",), (), "Please measure the speed by network cable with nothing else running."),
        "asks_daytime": ("slow-download", ("need:next",), (), "A technician is needed. Do mornings or afternoons suit you?"),
        "hands_over": ("slow-download", ("need:visit",), (), "A colleague takes over in this chat and arranges the visit."),
        "credit_terms": (
            "outage-street",
            ("need:credit",),
            (),
            "The billing desk decides after it is over, and only beyond two full days.",
        ),
        "moving_terms": ("moving-flat", (), (), "What are the new address and the day of the move?"),
        "unplug_first": ("safety-smell", (), (), "Please unplug it at once. It must stay unplugged."),
        "one_step": ("no_internet-red", (), (), "Please look at the lights on the router."),
        "declines_and_offers": (
            "contract-cancel",
            ("trap:cancel_here",),
            (),
            "That cannot be done in the chat. You can send a signed letter.",
        ),
    }
    assert set(followed) == {check.id for check in DOMAIN.checks if check.advice}
    for check, (template, acts, earlier, reply) in followed.items():
        assert verdict(check, view(template, reply, *acts, earlier=earlier)) is True, check


def test_checks_survive_a_state_without_a_line() -> None:
    seen = replace(view("outage-work", "There is an outage."), before={"line": "x"}, after={})
    assert all(check.turn_test(seen) in (True, False, None) for check in CHECKS.values() if check.turn_test is not None)


def test_checks_are_declared_with_care() -> None:
    advice = [check.advice for check in DOMAIN.checks if check.advice]
    assert 20 <= len(DOMAIN.checks) <= 28
    assert 12 <= len(set(advice)) == len(advice) <= 14
    assert sum(check.hard for check in DOMAIN.checks) == 4
    assert all(line.startswith(("When ", "While ")) and line.endswith(".") and len(line.split()) <= 30 for line in advice)
    assert all(check.rules for check in DOMAIN.checks)
