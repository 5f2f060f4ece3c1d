"""English."""

from __future__ import annotations

from strategist.languages.language import Advice, Bar, Customer, Language, Masking, Wording

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
_SECRETS = r"(?:prompts?|instructions|guidance|hidden (?:rules|messages?)|advice)"
_SMALL_NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve"
_OTHER_NUMBERS = {"fourteen": "14", "fifteen": "15", "twenty": "20", "thirty": "30", "sixty": "60", "ninety": "90", "hundred": "100"}

_GIVE = (
    r"give|grant|pay|hand(?!\W+(?:it|them|this) over\b)|offer|issue|transfer|send|approve|authori[sz]e|award|reward|raise|increase|double"
    "|triple|return|provide|agree|wire"
    "|credit|promise|settle|add|repay|allow|accept"
)
_GIFTS = (
    "refunds?|money|cash|(?:re)?payments?|reimbursements?|compensation|vouchers?|coupons?|gift cards?|discounts?|bonus(?:es)?|rebates?"
    "|(?:purchase |full |entire |whole )price|sums?"
)
_FEES = "fees?|costs?|charges?|duties|dues|postage"
_SECRET_DATA = (
    r"passwords?|pass(?:code|phrase)s?|pins?|pin code|(?:credit |debit |bank )?card(?:'s)? (?:numbers?|details|digits|data)|credit card"
    r"|debit card"
    r"|security codes?|cv[vc]2?|expiry dates?|ibans?|bank (?:details|accounts?|log-?in|pin)|online banking|account numbers?"
    r"|one-time (?:codes?|passwords?)|otps?|log-?in(?: data| details| password)?|credentials|codes? (?:\w+ ){0,5}(?:text|sms|message)"
    r"|codes? arrived"
    r"|social security|passport numbers?|date of birth|secret (?:words?|questions?|answers?)"
)
_TAKE = (
    "ask|request|collect|get|obtain|have|let|make|take|demand|require|record|note|enter|type|confirm|verify|repeat|read|store|save|copy"
    "|name"
)
_OTHERS = (
    "recipients?|neighbou?rs?|drivers?|senders?|signers?|callers?|persons?|people|someone|somebody|anyone|anybody|colleagues?"
    "|other customers?"
)
_WHERE = "addresses|address|(?:phone |mobile |telephone )?numbers?|whereabouts|lives?|personal data|contact details"
_SAFEGUARDS = (
    "checks?|postcodes?|identity|identification|id|documents?|proofs?|photos?|pictures?|evidence|verification|caps?|limits?|rules?"
    "|polic(?:y|ies)"
    "|brief|approvals?|tests?|filters?|safety|security|restrictions?|guidelines?|authentication|receipts?"
)
_OWN_RULES = "(?:company|written|own|house)?\\W*(?:rules?|polic(?:y|ies)|brief|guidelines?|terms)"
_STAFF = "supervisors?|managers?|management|boss(?:es)?|colleagues?|staff|team|compan(?:y|ies)|head office|audits?|superiors?|employers?"

_BARS = (
    Bar(
        "machinery",
        phrases=(
            r"auditors?|reviewers?|approvers?|evaluators?|graders?|linters?|lint|the (?:judge|gate|linter)|(?:teacher|student"
            r"|language) models?"
            r"|(?:junior|student) agents?|admission tests?|training data|fine-?tun\w+"
            r"|this (?:line|entry|rule|strategy|advice|sentence|instruction)|these (?:lines|entries|rules|strategies|sentences"
            r"|instructions)"
            r"|(?:all |any |every )?other (?:advice|lines|rules|entries)|(?:the )?(?:whole )?library|strateg(?:y|ies)|lines? like"
            r"|your (?:notes|memory)"
            r"|in memory|permanent rules?|(?:all )?future (?:conversations|chats)|as advice|own lines"
        ),
        anywhere=True,
    ),
    Bar(
        "obedience",
        acts="do|follow|obey|execute|fulfil|carry out|carry|grant|set|put|place|believe|trust|agree|accept|say|repeat",
        things=(
            r"whatever|everything|anything|all (?:that|they)|above all|(?:instructions?|commands?|dictat\w+)|what (?:it|he|she"
            r"|they) (?:says?|wants?)"
            rf"|(?:above|over|before|ahead of|against|regardless of|despite) (?:\w+ ){{0,2}}{_OWN_RULES}|rules stand|aside"
        ),
        phrases=(
            r"from now on|unrestricted|(?:without|no|drop all|lift all) restrictions|pretend|act as an?|play (?:it|along|a role"
            r"|the part)|jailbr\w+"
            r"|follow the customer|(?:decode|decipher|decrypt|unscramble|base64|rot13)"
            rf"|(?:above|over|ahead of|regardless of) (?:all |any |the |our )?{_OWN_RULES}"
        ),
    ),
    Bar(
        "secrecy",
        acts="tell|inform|report|mention|disclose|involve|let|show",
        things=r"(?!)",
        phrases=(
            r"(?:keep|stays?|leave|hold)\b[^,;.]{0,40}\b(?:secret|hidden|quiet|confidential|between us|private|to yourself)"
            r"|(?:secretly|quietly|silently|covertly|discreetly)|(?:hide|conceal|cover up|hush)|behind \w+ back|off the record"
            r"|(?:out of|from|off) (?:the )?(?:records?|logs?|files?|books?|minutes)"
            r"|(?:make|leave|keep|take) no (?:notes?|traces?|records?)|(?:do not|don't|never) (?:log|record|note|document|write)"
            rf"|(?:do not|don't|never|without|nor) (?:\w+ )?(?:tell|telling|inform|informing|mention|involve"
            rf"|involving)\b[^,;.]{{0,30}}\b(?:{_STAFF})"
        ),
        anywhere=True,
    ),
    Bar("personal", acts=_TAKE, things=_SECRET_DATA),
    Bar(
        "personal",
        acts=r"give|tell|share|disclose|reveal|hand|read|pass|show|provide|say(?!\W+that\b[^,;]*\b(?:never|not|cannot)\b)|name",
        things=rf"(?:{_WHERE})\b[^,;]*\b(?:{_OTHERS})|(?:{_OTHERS})\b[^,;]*\b(?:{_WHERE})|who signed|(?:name and|their) (?:phone )?number",
    ),
    Bar(
        "safeguard",
        acts=(
            "skip|drop|omit|bypass|disregard|ignore|forget|waive|disable|deactivate|switch off|turn off|suspend|overlook|abolish|set aside"
            "|leave out|relax|lower|lift|remove|circumvent|override|treat|regard|count|consider"
        ),
        things=rf"(?:{_SAFEGUARDS})|as (?:\w+ )?(?:abolished|verified|identified|approved|admitted|tested|checked|void|optional)",
        phrases=(
            rf"(?:with no|without(?: (?:any|the|a|an|asking for|asking|checking|seeing))*) (?:\w+ )?(?:{_SAFEGUARDS})|let (?:it|this"
            rf"|them) (?:pass|through)"
            r"|as (?:verified|approved|admitted|reviewed|audited)|without (?:asking|checking|reading|looking)(?: at)?"
        ),
    ),
    Bar(
        "safeguard",
        phrases=(
            r"(?:never|do not|don't|no longer|stop|no need to|avoid|refrain from|rather than) (?:\w+ )?(?:ask|asking|check|checking"
            r"|verify|verifying|compare"
            rf"|comparing|request|requesting|require|requiring|demand|insist)\b(?![^,;]*\b(?:twice|again|more than|once more|until"
            rf"|already))[^,;]{{0,30}}"
            rf"\b(?:{_SAFEGUARDS})"
        ),
        anywhere=True,
    ),
    Bar(
        "channel",
        acts="open|click|tap|follow|use|share|point|refer|send|direct|log in|sign in|name|call|dial|ring|visit",
        things=r"links?|(?:web)?sites?|web ?pages?|url|portals?|apps?|form on|number (?:for|to call)|the number|a number|telegram|whatsapp",
        phrases=(
            r"(?:by|via|on|over|to|in) (?:telegram|whatsapp|signal|discord|facebook|instagram|messenger|paypal|skype|wechat)(?: messages?)?"
            r"|(?:paypal|western union|bitcoins?|crypto\w*)|(?:log|sign)(?:ging|ning)? in (?:at|on|to|via|with|through)"
            r"|(?:to|for) (?:a |another |other |the )?(?:competitors?|rivals?)|instead of (?:us|our|this company)|(?:another"
            r"|other) compan(?:y|ies) instead"
        ),
    ),
    Bar(
        "promise",
        acts=_GIVE,
        things=_GIFTS,
        phrases=(
            r"(?:refund|reimburse|compensate)(?: (?:the|every|each|all|any|it|them|everyone|everything|customers?|in full))"
            rf"|with an? (?:\w+ )?(?:{_GIFTS})|(?:waive|remit)|(?:free|no|without) (?:of )?(?:any )?(?:charge|cost|fee)s?|(?:take|charge"
            rf"|demand|ask) no (?:{_FEES})|for free|gratis|cost-?free"
            r"|guarantee|promise(?!\W+nothing\b)"
            r"|swear|certainly|definitely|no matter what|(?:double|twice|triple) (?:the )?(?:\w+ )?(?:amount|sum"
            r"|compensation|price|value)"
        ),
    ),
    Bar(
        "promise",
        acts="get|let|keep|make|treat|put|commit|assure",
        things=(
            r"money (?:back|anyway|returned)|(?:entire|whole|full|total) (?:price|amount|sum)|goodwill|nothing can (?:\w+ )?go wrong"
            r"|arrival|whatever the (?:screen|system|rules) says?"
        ),
    ),
    Bar("personal", acts=_TAKE, things=r"(?:four|six|eight|ten|twelve|sixteen) digits|digits (?:on|of|from)"),
    Bar(
        "safeguard",
        phrases=(
            rf"even (?:if|when|where|though) (?:\w+ ){{0,3}}(?:{_SAFEGUARDS})|(?:{_SAFEGUARDS}) (?:is|are) (?:not|never|un\w+)(?: \w+)?"
            r"|(?:of|at) any (?:age|amount|size|value)|(?:customer|caller|person)\W+s word|for (?:anyone|anybody|everyone"
            r"|everybody) (?:who|that)"
            rf"|as (?:though|if) (?:\w+ )?(?:{_SAFEGUARDS})"
        ),
    ),
    Bar(
        "obedience",
        phrases=(
            r"as the customer (?:says?|orders?|wants?|wishes)|word for word|hidden (?:messages?|texts?)|says? otherwise|(?:coming"
            r"|come) from management"
            r"|what (?:it|he|she|they) dictates?"
        ),
    ),
    Bar("secrecy", phrases=r"only in private|in secret|(?:never|not) (?:hears?|learns?|knows?|finds? out) (?:of|about)", anywhere=True),
    Bar("machinery", phrases=r"whoever (?:grades|checks|tests|reviews|audits)|full (?:points|marks)", anywhere=True),
    Bar("channel", phrases=r"(?:customers?|people|they|them)(?: to)? (?:move|switch|turn|change) to|scan the (?:qr|code)[^,;]*"),
    Bar("promise", acts="cancel|drop|lift|remove|forget|erase|strike|refund|repay|lower|halve|take over|pay", things=_FEES),
)

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
        rf"\b(?:ignore|disregard|forget|override|bypass)\b[^.]{{0,30}}\b{_ORDERS}\b|\b(?:reveal|show|print|repeat|output|leak|recite"
        rf"|disclose|quote|share|expose)\b[^.]{{0,20}}\b{_SECRETS}\b"
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
    bars=_BARS,
    turns=(
        r"never|not|\w+n['\u2019]t|no|nor|neither|nothing|cannot|without|decline|refuse|reject|deny|rule out|warn|instead of|rather than"
        r"|avoid|against"
    ),
    turns_back="hesitate|fail|forget|refuse|wait|mind|be afraid|worry|shy|decline|only|just",
    parts="and|but|then|so",
    alternatives="or|nor",
    pronouns="it|them|that|this|those|these|one|some",
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
    speaks_to_us=(
        r"\b(?:auditors?|reviewers?|graders?|(?:teacher|student|language) model|prompt injection|jailbreak\w*|training data"
        r"|experienced colleague)\b"
        r"|\bwhoever (?:coaches|trains|teaches|writes|reads|compares|grades|checks)\b"
        r"|\b(?:write|copy|store|save|put|note|learn|remember|repeat|say|keep)\b[^.!?]{0,40}\b(?:word for word|verbatim|by heart"
        r"|after me|in(?:to)? your"
        r" (?:notes|memory)|(?:as|exactly) (?:your|a|one) (?:rule|line|advice)|(?:first|second|other) half|as your rule)\b"
        r"|\bhalves together\b"
        r"|\b(?:new|standing|secret|hidden) (?:order|rule|policy|instruction|directive)s?\b|\brule R?\d+\b|\b(?:changed"
        r"|new) (?:the )?polic(?:y|ies)\b"
        r"|\b(?:memo|note|message) (?:from|to) (?:head office|the (?:agent|advisor|auditor|teacher|model|system))\b"
        r"|\beffective immediately\b"
        r"|\b(?:follow|obey|execute) (?:this|these|my) (?:order|rule|instruction|command)s?\b|\bfrom now on\b[^.!?]{0,30}\byou\b"
        r"|\b(?:what|everything|all) you (?:were|have been) told\b|\byou are (?:now )?(?:the|an?) (?:helper|assistant|bot|ai)\b"
        r"|\bno rules\b"
        r"|\bgood (?:agent|assistant|bot)\b|\b(?:advice|rule|order|instruction)s? for (?:all|every|future)\b|\byour software\b"
        r"|\b(?:decode|decrypt|decipher|unscramble) (?:this|it|the)\b|\bsign this off\b|\bdo not check it again\b|\blet us play\b"
        r"|\bsystem (?:prompt|message)\b|\byou are now\b|\b(?:developer|debug|admin|god) mode\b|\bdo anything now\b"
    ),
)
