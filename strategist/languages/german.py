"""German. Written for what people type to a shop: also without capitals, with `ss` for ß, and in the spellings of Austria and Switzerland.

Every noun has a capital, so a capital makes no name. An order may be an imperative ("Frage nach ...", "Fragen Sie ...") or, as in most
instructions, an infinitive with the verb last ("Den Namen erfragen"), so an article or a preposition may open one: what makes the line an
order then stands at the end of its clause.
"""

from __future__ import annotations

from strategist.languages.language import Advice, Bar, Customer, Language, Masking, Wording

_MONTH = (
    r"(?:jan(?:uar)?|jänner|feb(?:ruar|er)?|mär(?:z)?|maerz|apr(?:il)?|mai|juni?|juli?"
    r"|aug(?:ust)?|sept?(?:ember)?|okt(?:ober)?|nov(?:ember)?|dez(?:ember)?)"
)
_FULL_MONTH = r"(?:januar|jänner|februar|feber|märz|maerz|april|mai|juni|juli|august|september|oktober|november|dezember)"
_PART_OF_DAY = r"(?:früh|morgen|vormittag|mittag|nachmittag|abend|nacht)"
_DAY = rf"(?:(?:mon|diens|donners|frei|sams|sonn)tag|mittwoch|sonnabend){_PART_OF_DAY}?s?"
_CURRENCY = r"(?:usd|eur|gbp|chf|dollars?|euros?|cents?|franken|rappen|fr\.)"
_CLOCK = r"\d{1,2}(?:[:.]\d{2}(?::\d{2})?)?"
_BIG = r"[A-Z\u00c0-\u00d6\u00d8-\u00de\u0100-\u024f]"
_NO_NAMES_LIST = """
Sie Ihr Ihre Ihren Ich Wir Herr Herrn Frau Dr Prof Hr Fr Team Leute Zusammen Damen Service Kundenservice Kundendienst Support Kunde Kundin
Empfänger Empfängerin Absender Absenderin Nachbar Nachbarin Gruß Grüße Gruss Grüsse Grüßen
"""
_NO_NAMES = frozenset(_NO_NAMES_LIST.split())
_GAP = r"[^\S\n]+"
_PARTICLES = rf"(?:(?:von|van|de|der|den|zu|zum|vom){_GAP}){{0,2}}"
_OPENS = rf"(?!(?:{'|'.join(sorted(_NO_NAMES))})\b){_BIG}"
_REST = rf"[\w'\u2019-]*(?:{_GAP}{_PARTICLES}{_BIG}[\w'\u2019-]*){{0,2}}"
_NAME = rf"(?P<name>{_OPENS}{_REST})"
_TITLE = r"(?:Herrn?|Frau|Familie|Hr|Fr|Dr|Prof)"

_MASKING = Masking(
    sites=r"com|org|net|io|eu|de|fr|co\.uk|at|ch",
    amount_end=rf"(?:,[-\u2013\u2014]{{1,2}})?\s?(?:[$€£]|{_CURRENCY}(?!\w))",
    forms=(
        ("<phone>", r"(?<![\w.,])(?:\+49|0049|\+4[13]|0)[\s/()-]*[1-9]\d{1,4}[\s/()-]{1,3}\d{3,}(?:[\s/-]\d+)*(?!\w)"),
        (
            "<time>",
            rf"(?:\b{_CLOCK}\s?(?:-|\u2013|bis)\s?)?\b{_CLOCK}\s?uhr\b|\b\d{{1,2}}:\d{{2}}(?::\d{{2}})?\b",
        ),
        (
            "<date>",
            rf"\b\d{{4}}-\d{{1,2}}-\d{{1,2}}\b|\b\d{{1,2}}\.\s?\d{{1,2}}\.(?:\s?(?:\d{{4}}|\d{{2}})\b)?"
            rf"|\b\d{{1,2}}[./]\d{{1,2}}(?:[./]\d{{2,4}})?\b"
            rf"|\b\d{{1,2}}\.?\s?{_MONTH}\b(?:\.?\s+\d{{4}}\b)?|\b{_MONTH}\s+\d{{4}}\b|\b{_DAY}\b",
        ),
    ),
    introductions=(
        rf"(?P<intro>\b{_TITLE}\b\.?(?:{_GAP}(?:Dr|Prof)\b\.?)*)\s+(?P<name>{_PARTICLES}{_OPENS}{_REST})",
        rf"(?P<intro>(?i:\bmein\s+name\s+(?:ist|lautet)|\bname:|\bich\s+hei(?:ß|ss)e))\s+(?!(?:nicht|auch|ja|der|die|das)\b)"
        rf"(?P<name>[^\W\d_]{_REST})",
        rf"(?P<intro>(?i:\bder\s+name\s+(?:ist|lautet)|\b(?:de[nm]|auf|unter)\s+namen))\s+{_NAME}",
        rf"(?P<intro>(?i:\bich\s+bin(?:\s+(?:der|die))?|\bhier\s+(?:ist|spricht|schreibt)))\s+(?=\S+{_GAP}{_BIG}){_NAME}",
        rf"(?P<intro>(?i:\b(?:hallo|hi|hey|moin|servus|grüezi|liebe[r]?|guten\s+(?:tag|morgen|abend))))\s+{_NAME}(?=\s*[,!.])",
        rf"(?P<intro>(?i:\bgr(?:u|ü|ue)(?:ß|ss)e?n?|\b[lv]g|\bmfg)[,!.]?)\s+{_NAME}",
    ),
    no_names=_NO_NAMES,
    capitals=False,
)

_ARTICLES = """
der die das den dem des ein eine einen einem einer eines kein keine keinen keinem keiner
"""
_STOP_WORDS = f"""{_ARTICLES}
aber als am an auf aus bei bis da damit dann dass daß denn dort durch es für fuer im in ins ist mit nach nicht ob oder sich sie sind so
über ueber um und vom von vor war weil wenn wie wird zu zum zur
"""
_COMMON_WORDS = f"""{_STOP_WORDS}
auch bin bitte dein deine du er habe haben hat ich ihm ihn ihr ihre ihren ihrer ihnen ja kann können koennen mein meine meinem meinen meiner
mich mir nur schon sein seine sollen uns unser unsere was werden wir wo wurde
"""

_CONDITIONS = """
wenn falls sobald sofern solange soweit bevor ehe nachdem seit seitdem bis während waehrend wo weil da obwohl damit
"""
_FINITE = """
ist sind war waren bin bist wird werden wurde wurden würde würden kann können konnte konnten könnte könnten muss muß müssen musste
mussten müsste müssten soll sollen sollte sollten darf dürfen durfte durften will wollen wollte wollten mag möchte möchten hat hatte
hatten hätte hätten
"""
_SUBJECTS = "ich du er es wir man jemand niemand wer"
_CANNOT_OPEN = f"""{_FINITE} {_SUBJECTS}
und oder aber sowie sie ihr dies dass daß ob welche welcher welches was wie warum wieso weshalb wann wohin woher wem wen wessen denn sondern
haben habe leider entschuldigung verzeihung danke dankeschön hallo hi moin guten willkommen ja nein gerne
"""
_OBJECTS = """
der die das den dem des ein eine einen einem einer eines kein keine keinen keinem keiner
mein meine meinen meinem meiner dein deine deinen deinem deiner sein seine seinen seinem seiner ihre ihren ihrem ihrer unser unsere unseren
unserem unserer diese dieser dieses diesen diesem jede jeder jedes jeden jedem alle allen alles viele manche einige mehrere
"""
_PREPOSITIONS = """
in im ins an am ans auf aus bei beim mit nach von vom vor zu zum zur über ueber um unter für fuer gegen ohne trotz wegen durch zwischen
hinter neben innerhalb außerhalb bis seit während waehrend anstelle statt
"""
_NO_INFINITIVES = (
    r"(?:gestern|gern|morgen|oben|unten|hinten|vorn|draußen|drinnen|außen|innen|neben|wegen|gegen|eben|selten|zusammen|\w+enen)"
)

_MATTERS = (
    r"(?:anweisung(?:en)?|instruktion(?:en)?|(?<!in der )regeln?|vorgaben?|vorschrift(?:en)?|richtlinien?|weisung(?:en)?"
    r"|(?:system)?prompts?|obige[nsr]?|vorherige[nsr]?|bisherige[nsr]?)"
)
_SECRETS = r"(?:(?:system)?prompts?|(?:system)?anweisung(?:en)?|instruktion(?:en)?|(?:versteckte[nr]?|geheime[nr]?|interne[nr]?) regeln?)"
_IGNORE = r"(?:ignorier\w*|missacht\w*|mißacht\w*|vergiss|vergesst|vergessen|umgeh(?!end)\w*|(?:ü|ue)berschreib\w*|(?:ü|ue)bergeh\w*)"
_REVEAL = r"(?:verrat\w*|verrät\w*|enth(?:ü|ue)ll\w*|zeig\w*|(?:aus)?druck\w*|wiederhol\w*|ausgeben|preisgeben|offenleg\w*)"

_SMALL_NUMBERS = "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf"
_OTHER_NUMBERS = {
    **{"fuenf": "5", "zwoelf": "12", "zwo": "2", "vierzehn": "14", "fünfzehn": "15", "fuenfzehn": "15", "zwanzig": "20"},
    **{"dreißig": "30", "dreissig": "30", "vierzig": "40", "fünfzig": "50", "fuenfzig": "50", "sechzig": "60", "neunzig": "90"},
    **{"hundert": "100", "einhundert": "100"},
}

_GIVE = (
    r"(?:aus|zurück|ein)?zahl(?:en?|t)|(?:zurück)?erstatten?|gewähren?|geben|gib|schenken?|schicken?|überweisen?|gutschreiben"
    r"|versprechen|versprich"
    r"|zusagen|zusichern|anbieten|biete|auszahlen|erhöhen?|verdoppeln?|ersetzen?|bewilligen?|genehmigen?|entschädigen?|spendieren?"
)
_GIFTS = (
    r"geld|beträge?|geldbetrag|summen?|kaufpreis(?:es)?|preis(?:es)?|rückzahlung|(?:rück)?erstattung|entschädigung|gutscheine?|rabatte?"
    r"|bonus|bargeld"
    r"|ersatz|bestellung(?:en)?|zahlung(?:en)?"
)
_SECRET_DATA = (
    r"passwort|passwörter|passworts|kennwort|kennwörter|kennworts|pins?|tans?|geheimzahl|iban|kontonummer|kontodaten|bankdaten|zugangsdaten"
    r"|karten(?:nummer|daten)|kreditkarte(?:n\w*)?|prüfziffer|sicherheitscode|einmalcode|geburtsdatum|losungswort|anmeldedaten"
)
_SAFEGUARDS = (
    r"prüfung(?:en)?|postleitzahl|plz|ausweis(?:es)?|identität|nachweise?|fotos?|belege?|regeln?|richtlinien?|vorgaben?|grenzen?"
    r"|obergrenze|höchstbetrag"
    r"|unterschrift|freigabe|kontrollen?|filter|tests?"
)
_STAFF = r"vorgesetzten?|leitung|chefs?|chefin|firma|kolleg\w+|zentrale|geschäftsführung|revision"

_BARS = (
    Bar(
        "machinery",
        phrases=(
            r"prüfer(?:n|in|innen)?|gutachter|auditor(?:en)?|bewerter|diese[nrms]? (?:zeilen?|eintrag|einträge|ratschlag|ratschläge"
            r"|anweisung(?:en)?)"
            r"|(?:die |der )?(?:ganze[nr]? )?bibliothek|strategien?|(?:alle |andere[nr]? )ratschläge|(?:als|zur) dauerregel"
            r"|lehrer-?modell|trainingsdaten"
            r"|(?:in (?:die|deine|ihre) )notizen|sprachmodell"
        ),
        anywhere=True,
    ),
    Bar(
        "obedience",
        acts=r"stellen?|setzen?|befolgen?|folgen?|gehorchen?|ausführen|tun|tue|machen?|glauben?|erfüllen?",
        things=(
            r"über (?:die |alle )?(?:firmen|haus)?regeln|über (?:die )?(?:vorgaben|richtlinien)|was (?:auch immer|der kunde|die kundin)"
            r"|alles|befehle?|befiehlt"
            r"|anweisung(?:en)? des kunden|anordnung(?:en)?"
        ),
        phrases=r"ab (?:jetzt|sofort)|von nun an|entschlüsseln?|dekodieren?|ohne einschränkung(?:en)?|so tun|vorgeben",
    ),
    Bar(
        "secrecy",
        phrases=(
            r"geheim|heimlich|verheimlichen?|verschweigen?|vertuschen?|verbergen?|unter uns|stillschweigend|nicht (?:vermerken"
            r"|protokollieren|aufschreiben)"
            rf"|(?:{_STAFF}) (?:\w+ )?(?:nichts|nicht|kein\w*)|(?:nichts|nicht) (?:\w+ )?(?:{_STAFF})|aus den (?:akten|unterlagen)"
        ),
        anywhere=True,
    ),
    Bar(
        "personal",
        acts=r"(?:er|ab|nach)?fragen?|verlangen?|erbitten|bitten?|anfordern|einholen|notieren?|nennen|eingeben|bestätigen|vorlesen|geben",
        things=_SECRET_DATA,
    ),
    Bar(
        "personal",
        acts=r"nennen?|herausgeben|weitergeben|mitteilen|verraten|preisgeben|sagen?|geben|zeigen|vorlesen",
        things=(
            r"(?:anschrift|adresse|rufnummer|telefonnummer|handynummer|name|namen)\b[^,;]*\b(?:empfänger\w*|nachbar\w*|fahrer\w*"
            r"|absender\w*|andere\w*)"
            r"|(?:dessen|deren) (?:anschrift|adresse|nummer|telefonnummer)|wer unterschrieben hat"
        ),
    ),
    Bar(
        "safeguard",
        acts=(
            r"verzichten?|weglassen|überspringen?|auslassen|ignorieren?|missachten?|umgehen|abschalten|ausschalten|aufheben|aussetzen"
            r"|vergessen"
            r"|übergehen|freigeben|markieren?|erlassen|unterlassen"
        ),
        things=rf"(?:{_SAFEGUARDS})|als (?:geprüft|freigegeben|bestätigt)",
        phrases=rf"(?:ohne|keine?n?) (?:\w+ )?(?:{_SAFEGUARDS})",
    ),
    Bar(
        "safeguard",
        phrases=(
            rf"(?:nie|niemals|nicht|keinesfalls)(?: mehr)? (?:\w+ ){{0,3}}(?:{_SAFEGUARDS}) (?:\w+ )?(?:fragen|prüfen|verlangen|erfragen"
            rf"|kontrollieren|bitten)"
            r"|(?:durchwinken|durchlassen)"
        ),
        anywhere=True,
    ),
    Bar(
        "channel",
        acts=r"(?:ver)?weisen?|hinweisen|schicken?|leiten?|senden?|nennen?|öffnen|klicken?|nutzen|anmelden|anrufen",
        things=r"links?|webseiten?|website|seite|portal|formular bei|formular auf|app|eine[rn]? nummer",
        phrases=r"(?:per|über|auf|via|mit) (?:telegram|whatsapp|signal|facebook|instagram|paypal)|(?:zur|an die) konkurrenz",
    ),
    Bar(
        "promise",
        acts=_GIVE,
        things=_GIFTS,
        phrases=(
            r"kostenlos\w*|kostenfrei\w*|gratis|umsonst|garantieren?|garantiert|keine gebühr(?:en)? (?:verlangen|berechnen|nehmen)"
            r"|auf jeden fall"
        ),
    ),
    Bar(
        "promise",
        acts=r"erlassen?|streichen?|verzichten?|übernehmen?|senken?|erstatten?",
        things=r"gebühr(?:en)?|kosten|zoll|zölle|porto|preis",
    ),
)

_ADVICE = Advice(
    wording=Wording(
        conditions=frozenset(f"{_CONDITIONS} {_FINITE}".split()),  # "Ist das Paket beschädigt, ..." is a condition as well
        never=frozenset(_CANNOT_OPEN.split()),
        then="dann",
        subjects=(
            r"(?:(?:der|die|das|ein|eine|jeder|jede|alle|viele|manche|einige|mehrere|unsere?)\s+)?"
            r"(?:kunden?|kundinnen|kundschaft|agent(?:en)?|assistent(?:en)?|modelle?|bots?|student(?:en)?|mitarbeiter)"
        ),
        noun_endings=("ung", "heit", "keit", "schaft", "tät", "ion"),
        objects=frozenset(_OBJECTS.split()),
        phrases=frozenset(_PREPOSITIONS.split()),
        finite=frozenset(f"{_FINITE} {_SUBJECTS}".split()),
        verb_last=rf"(?!{_NO_INFINITIVES}$)[a-zäöüß]+(?:en|ern|eln)|tun|sein",
        asks=r"\b[a-zäöüß]{2,}(?:en|ern|eln) Sie\b",
    ),
    example=(
        r"\bz\.\s?b\.|\bzum beispiel\b|\bbeispielsweise\b|\bbeispiel:|\betwa:"
        r"|[\u201a\u2039\u203a]"
        r"|\b(?:sag(?:e|t|en)?|schreib(?:e|t|en)?|antworte[nt]?|formulier(?:e|t|en)|erwider(?:e|t|n)|mit den worten)\b[^.:]{0,24}:"
        r"|\bich\b"
    ),
    injection=(
        rf"\b{_IGNORE}\b[^.]{{0,30}}\b{_MATTERS}\b|\b{_MATTERS}\b[^.]{{0,20}}\b{_IGNORE}\b"
        rf"|\b{_REVEAL}\b[^.]{{0,20}}\b{_SECRETS}\b|\b{_SECRETS}\b[^.]{{0,20}}\b{_REVEAL}\b"
        rf"|\b(?:gib|geben sie)\b[^.]{{0,20}}\b{_SECRETS}\b[^.]{{0,20}}\b(?:aus|preis)\b"
        r"|\bsystem-?(?:prompt|nachricht|anweisung)\w*|\b(?:du bist|sie sind) (?:jetzt|nun|ab jetzt|ab sofort|von nun an)\b"
        r"|\bneue[nr]? (?:anweisung(?:en)?|persona|identität|rolle)\b|\b(?:entwickler|debug|admin|gott)-?modus\b"
    ),
    number_words={word: str(number) for number, word in enumerate(_SMALL_NUMBERS.split())} | _OTHER_NUMBERS,
    sum_units=rf"(?:,[-\u2013\u2014]{{1,2}})?\s?(?:[$\u20ac\u00a3%]|(?:prozent|{_CURRENCY})(?!\w))",
    span=(
        r"[\s-]*(?:volle[nr]?|ganze[nr]?|weitere[nr]?)?[\s-]*(?:werk|arbeits|kalender)?"
        r"(?P<unit>minute|stunde|tag|woche|monat|jahr)(?:e|en|n|s|es)?\b"
    ),
    moments=(
        rf"\b{_CLOCK}\s?uhr\b|\b\d{{1,2}}\.\s?\d{{1,2}}\.(?!\d)|\b\d{{1,2}}\.\s?{_FULL_MONTH}\b|\b{_FULL_MONTH}\b(?=\s+\d)|\b{_DAY}\b"
        r"|(?<!guten )(?<!am )\b(?:über)?morgen\b|\bheute (?:noch|abend|nacht)\b|\bnoch heute\b|\büber nacht\b"
        r"|\b(?:in|innerhalb|binnen|nach|vor|von|um|bis zu) eine[mnrs]? (?:minute|stunde|(?:werk|arbeits)?tag|woche|monat|jahr)(?:e?s)?\b"
        r"|\bnächste[nrsm]? (?:tag(?:e?s)?|woche|monat(?:s)?|morgen)\b|\bende (?:des tages|der woche|des monats)\b"
    ),
    titles=rf"\b{_TITLE}\b\.?\s+{_NAME}",
    fields="name|vorname|nachname|number|nummer|date|datum|code|order|auftrag|sendung|amount|betrag",
    bars=_BARS,
    turns=r"nie|niemals|nicht|nichts|kein\w*|ohne|ablehnen|warnen|davor|abraten|statt|weder|noch|vermeiden",
    turns_back="zögern|scheuen|vergessen|warten|nur|zuletzt",
    parts="und|aber|dann|sondern",
    alternatives="oder|noch",
    pronouns="es|sie|ihn|ihm|das|dies|diese|dieses|dessen|deren",
)

_SERVICE_WORDS = """
ablehnen absatz adresse alles als also alternative am an anbieten anderes anfrage angabe anliegen anruf antwort antworten auf auskunft
ausschließen außer bedauern beginnen bei beim bekannt benennen beschwerde besorgt bestätigen bevor bisher bitten brauchen damit danach
danken darauf dass daten datum davon denn deutlich dienst dies durch einfach einmal ende enden entscheiden entschuldigen entschuldigung
erfragen ergebnis erklären erst etwas fall falsch fehlen fehler folgen frage fragen frist geben gegen gehen genau gern geschehen gilt
grund gut halten helfen hilfe hinter hinweis hinweisen höchstens immer information ja jemand keine klar kollege kollegin kommen kontakt
kunde kundin kurz können lange lassen lösung machen man mehr mensch mitteilen mögen möglich möglichkeit müssen nach nachricht name neben
nein nennen nichts nie niemand noch nummer nur nächst ob oder offen ohne passieren person problem prüfen recht regel reihe ruhig sache
sagen satz schicken schreiben schritt sehen seit selbst senden service sobald sofort solange sonst sowie statt stehen stellen tag telefon
trotz tun um unter unternehmen verlangen versprechen verstehen verweisen verärgert vor vorgehen vorschlagen wann warten warum weder weg
weil weiter wenig wenn wer werkzeug wichtig wie wiederholen wissen wollen wort wunsch während wütend zeigen zeit ziel zuerst zum zur
zusagen zuständig zweimal zwischen über
"""

_CUSTOMER = Customer(
    moods={
        "calm": (),
        "worried": ("Ich mache mir wirklich Sorgen.", "Das macht mich nervös.", "Bitte, das ist mir sehr wichtig."),
        "annoyed": ("Ehrlich gesagt wird das langsam lästig.", "Begeistert bin ich nicht gerade.", "Ich habe nicht den ganzen Tag Zeit."),
        "angry": ("Das ist doch lächerlich.", "Ich bin stinksauer, ehrlich gesagt.", "Unglaublich."),
    },
    thanks={
        "calm": ("Danke, das war schon alles.", "Prima, danke für die Hilfe."),
        "worried": ("Danke, da bin ich erleichtert.", "Danke, jetzt geht es mir besser."),
        "annoyed": ("Na gut, danke.", "Gut, dann ist das geklärt. Danke."),
        "angry": ("Na, wenigstens ist das jetzt geklärt. Danke.", "Gut. Danke."),
    },
    leaving={
        "calm": ("Ich glaube, das führt zu nichts. Auf Wiedersehen.", "Dann versuche ich es woanders. Auf Wiedersehen."),
        "worried": ("Das hilft mir nicht. Ich muss einen anderen Weg finden.", "Ich kann nicht länger warten. Auf Wiedersehen."),
        "annoyed": ("Vergessen Sie es. Das ist Zeitverschwendung.", "Mir reicht es jetzt. Auf Wiedersehen."),
        "angry": ("Das war's, mit Ihnen bin ich fertig.", "Darauf lasse ich mich nicht länger ein. Auf Wiedersehen."),
    },
    tags="customer|me|user|kunde|kundin|ich",
    speakers="agent|assistant|support|customer|kunde|kundin|agentin|mitarbeiter|mitarbeiterin|kundenservice|service",
    agents="agent|assistant|support|representative|agentin|assistent|assistentin|mitarbeiter|mitarbeiterin|kundenservice|service",
    agent_voice=(
        r"\bwie (?:kann|darf) ich (?:ihnen|dir) (?:(?:heute|weiter) ?)*helfen\b|\bwomit (?:kann|darf) ich (?:ihnen|dir)\b"
        r"|\b(?:vielen )?dank für (?:ihre|deine) (?:nachricht|anfrage|geduld|kontaktaufnahme)\b"
        r"|\b(?:wir|ich) entschuldigen? (?:uns|mich) für (?:die|etwaige) unannehmlichkeiten\b"
        r"|\bkann ich (?:ihnen|dir|sonst) (?:noch|sonst)\b|\bals (?:eine? )?(?:ki|sprachmodell)\b"
    ),
)

_TELLING = (
    "sagen|anbieten|bieten|fragen|informieren|erinnern|geben|zusichern|versichern|danken|zeigen|schicken|senden|raten|beruhigen"
    "|mitteilen|erklären|nennen|bitten|antworten"
)
_THE_CUSTOMER = r"(?:de[mn] kunden|der kundin|die kundin)"

GERMAN = Language(
    service_words=frozenset(_SERVICE_WORDS.split()),
    endings=("ern", "est", "en", "em", "er", "es", "et", "st", "e", "n", "s", "t"),
    code="de",
    name="German",
    masking=_MASKING,
    stop_words=frozenset(_STOP_WORDS.split()),
    common_words=frozenset(_COMMON_WORDS.split()),
    advice=_ADVICE,
    customer=_CUSTOMER,
    addresses_agent=(
        rf"\b(?:{_THE_CUSTOMER} (?:[\w\u00df-]+,? ){{0,4}}(?:{_TELLING})\b|(?:{_TELLING})(?: sie)? {_THE_CUSTOMER}\b"
        r"|(?:der kunde|die kundin) (?:soll|sollte|muss|müsste)\b)"
    ),
    speaks_to_us=(
        r"\b(?:prüfer(?:in|innen)?|trainer(?:in)? (?:dieses|des) (?:modells|agenten|bots)|lehrermodell|sprachmodell|trainingsdaten)\b"
        r"|\b(?:schreib\w*|kopier\w*|merk\w*|notier\w*|übernimm|übernehmen)\b[^.!?]{0,40}\b(?:genau das|wörtlich|wort für wort|als regel"
        r"|auswendig"
        r"|in (?:deine|ihre) notizen)\b|\bab (?:jetzt|sofort) gilt\b|\bvon nun an\b|\bneue[nrs]? (?:regel|vorschrift|weisung"
        r"|richtlinie)n?\b"
        r"|\bdie zentrale (?:hat|sagt)\b|\bantwort [ab]:|\b(?:befolge|gehorche|führe)\b[^.!?]{0,20}\b(?:befehl|anweisung|anordnung)\b"
    ),
    tells_agent="Customers of this company write German. Write every reply in German.",
    tells_advisor=(
        "Customers and agents of this company write German. Write need, a_better, b_better, why and the text of every line in German. "
        'A line is an order in the infinitive or the imperative, its condition first ("Wenn der Kunde ..., ... erfragen.").'
    ),
    tells_customer="Write every message in German.",
)
