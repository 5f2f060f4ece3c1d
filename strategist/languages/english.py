"""English."""

from __future__ import annotations

from strategist.languages.language import Advice, Customer, Language, Masking, Wording

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?"
    r"|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_DAY = r"(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_CURRENCY = r"(?:usd|eur|gbp|chf|dollars?|euros?|pounds?|cents?|bucks)"
_NAME = r"[\w'\u2019-]*(?:\s+[A-Z][\w'\u2019-]*)*"

_MASKING = Masking(
    sites=r"com|org|net|io|eu|de|fr|co\.uk",
    amount_end=rf"\s?(?:[$€£]|{_CURRENCY}\b)",
    forms=(
        (
            "<date>",
            rf"\b\d{{4}}-\d{{1,2}}-\d{{1,2}}\b|\b\d{{1,2}}[./]\d{{1,2}}(?:[./]\d{{2,4}})?\b"
            rf"|\b{_MONTH}\.?\s+\d{{1,2}}(?:st|nd|rd|th)?\b(?:,?\s+\d{{4}}\b)?"
            rf"|\b\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH}\b(?:,?\s+\d{{4}}\b)?|\b{_DAY}\b",
        ),
        ("<time>", r"\b\d{1,2}:\d{2}(?::\d{2})?(?:\s?[ap]\.?m\b)?|\b\d{1,2}\s?[ap]\.?m\b"),
        ("<number>", r"\b\d+(?:st|nd|rd|th)\b"),
    ),
    introductions=(
        rf"(?P<intro>\b(?:Mr|Mrs|Ms|Dr)\b\.?)\s+(?P<name>[A-Z]{_NAME})",
        rf"(?P<intro>(?i:\bnames?\s+(?:is|are)|\bname's|\bname:))\s+(?P<name>[^\W\d_]{_NAME})",
        rf"(?P<intro>\b(?:[Ii](?:['\u2019]m| am)|[Tt]his is|[Dd]ear|[Hh]i|[Hh]ello))\s+(?P<name>[A-Z]{_NAME})",
    ),
    no_names=frozenset({"I", "Ok", "Okay", "Sorry", "Hi", "Hello", "Dear", "Thanks", "Mr", "Mrs", "Ms", "Dr"}),
    capitals=True,
)

_STOP_WORDS = """
a an and are as at be but by for if in into is it no not of on or such that the their then there these they this to was will with
"""
_COMMON_WORDS = """
an and are as at be been but by can could do does for from had has have he her his if in into is it its just me my no not of on or our
please she so that the their them then there these they this to us was we were what when which will with would you your
"""

_SERVICE_WORDS = """
able about above accept acknowledge address advise after again against agree all allow along already also alternative among angry annoyed
another answer any anybody anyone anything apologise apologize apology appear around ask assure aware back bad because before begin behind
below better between beyond blame both brief bring business call calm cannot case change check choose claim clear close colleague come
comment company complain complete concern confirm consent contact correct customer data date day decide decline describe desk despite
detail different done doubt down during each early either else email end enough even every everybody everyone everything exact except
exclude exist expect explain extra fact feel few final find first follow forward free friendly full further get give go goes gone good
greet hand happen hard hear help hold honest how idea impossible inform information instead itself keep kind know last late later least
leave left less let letter like line listen little long look lose main make many matter may mean mention message might mind miss missing
mistake moment more most move much must name near need neither never new next nobody none nor nothing notice now number off offer often
old once one only open option other otherwise ourselves out outcome over own pass past patience patient people per perhaps person phone
place plain please point polite possible press problem promise proof put question quick rather reach read ready real reason refuse regard
regarding remain remind repeat reply report request resolve result right rule same say screen see send sentence serious service set settle
several share short should show side simple since solve some somebody someone something soon sorry speak start state step still stock stop
story such sure take talk tell thank therefore thing think though through throughout thus time together tool topic toward towards true try
turn two under understand unless until up upon upset us use via wait want warn way website what whatever when where whether while who
whoever whole why wish within without wonder word work worry write wrong yes yet
"""

_CANNOT_OPEN = """
i we you he she it they this that these those there the a an my our your his her their its some many most all every each
customer customers agent agents student model assistant bot reply replies response policy brief what why how who whom which whose
is are was were am be being been can could would will shall may might must should does did has had sorry thanks thank hello hi dear yes no
"""
_CONDITIONS = """
if when whenever unless after before once until while where wherever for in as since because with without on at during
"""
_ORDERS = r"(?:instructions?|rules?|prompts?|polic(?:y|ies)|brief|guidelines?|above|previous)"
_SECRETS = r"(?:prompts?|instructions|guidance|hidden rules|advice)"
_SMALL_NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve"
_OTHER_NUMBERS = {"fourteen": "14", "fifteen": "15", "twenty": "20", "thirty": "30", "sixty": "60", "ninety": "90", "hundred": "100"}

_ADVICE = Advice(
    wording=Wording(
        conditions=frozenset(_CONDITIONS.split()),
        never=frozenset(_CANNOT_OPEN.split()),
        then="then",
        noun_endings=("ing",),
        verbs_despite=frozenset({"bring", "ring", "cling", "swing", "string"}),
    ),
    example=(
        r"\be\.\s?g\.|\bfor (?:example|instance)\b|\bexample:"
        r"|\b(?:say|reply|write|answer|respond|tell them|phrase)\b[^.:]{0,24}:"
        r"|\bI(?:['\u2019](?:m|ll|ve|d))?(?=\s)"
    ),
    injection=(
        rf"\b(?:ignore|disregard|forget|override|bypass)\b[^.]{{0,30}}\b{_ORDERS}\b|\b(?:reveal|show|print|repeat|output|leak)\b[^.]{{0,20}}\b{_SECRETS}\b"
        r"|\bsystem (?:prompt|message)\b|\byou are now\b|\bnew (?:instructions|persona|role)\b"
        r"|\b(?:developer|debug|admin|god) mode\b|\bjailbreak|\bdo anything now\b"
    ),
    number_words={word: str(number) for number, word in enumerate(_SMALL_NUMBERS.split())} | _OTHER_NUMBERS,
    sum_units=r"\s?(?:[$\u20ac\u00a3%]|(?:percent|per cent|usd|eur|gbp|chf|dollars?|euros?|pounds?|cents?)\b)",
    span=r"[\s-]*(?:business |working |calendar |full )?(?P<unit>minute|hour|day|week|month|year)s?\b",
    moments=(
        r"\b\d{1,2}\s?[ap]\.?m\b"
        r"|\b(?:january|february|march|april|june|july|august|september|october|november|december)\b(?=\s+\d)"
        r"|\b(?:mon|tues|wednes|thurs|fri|satur|sun)day\b"
        r"|\btomorrow\b|\btonight\b|\bovernight\b|\bnext (?:day|week|month|morning)\b|\bend of (?:the )?(?:day|week|month)\b"
    ),
    titles=r"\b(?:Mr|Mrs|Ms|Dr)\b\.?\s+[A-Z]\w+",
    fields="name|number|date|code|order|amount",
)

_CUSTOMER = Customer(
    moods={
        "calm": (),
        "worried": ("I'm really worried about this.", "This makes me nervous.", "Please, this matters a lot to me."),
        "annoyed": ("Honestly, this is getting tiresome.", "I have to say I'm not impressed.", "I don't have all day."),
        "angry": ("This is ridiculous.", "I'm furious, to be honest.", "Unbelievable."),
    },
    thanks={
        "calm": ("Thank you, that's all I needed.", "Great, thanks for your help."),
        "worried": ("Thank you, that's a relief.", "Thanks, I feel better now."),
        "annoyed": ("All right, thanks.", "Fine, that settles it. Thanks."),
        "angry": ("Well, at least that is settled now. Thanks.", "Fine. Thank you."),
    },
    leaving={
        "calm": ("I don't think this is going anywhere. Goodbye.", "I'll try somewhere else. Goodbye."),
        "worried": ("This isn't helping me. I'll have to find another way.", "I can't wait any longer. Goodbye."),
        "annoyed": ("Forget it. You're wasting my time.", "I've had enough of this. Goodbye."),
        "angry": ("That's it, I'm done with you.", "I'm not going on with this. Goodbye."),
    },
    tags="customer|me|user",
    speakers="agent|assistant|support|customer",
    agents="agent|assistant|support|representative",
    agent_voice=(
        r"\bhow (can|may) (i|we) (help|assist) you\b"
        r"|\bthank(s| you) for (contacting|reaching out|your patience)\b"
        r"|\b(we|i) apologi[sz]e for (the|any) inconvenience\b"
        r"|\bis there anything else (i|we) can\b"
        r"|\bas an ai\b"
    ),
)

_TELLING = "tell|offer|ask|inform|remind|give|assure|thank|show|send|advise|reassure|apologi[sz]e to|explain to|say to|reply to"

ENGLISH = Language(
    service_words=frozenset(_SERVICE_WORDS.split()),
    endings=("ies", "ied", "ing", "ed", "es", "ly", "s", "e", "y"),
    code="en",
    name="English",
    masking=_MASKING,
    stop_words=frozenset(_STOP_WORDS.split()),
    common_words=frozenset(_COMMON_WORDS.split()),
    advice=_ADVICE,
    customer=_CUSTOMER,
    addresses_agent=(
        rf"\b(?:(?:{_TELLING}) the customer\b|say (?:this|that|it|so) (?:clearly|plainly|first)\b|the customer (?:should|must|needs to)\b)"
    ),
)
