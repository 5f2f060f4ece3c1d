"""Checks of Kurierdienst Falkenberg: German replies against the brief. The advice lines are the handbook, in German as well."""

import re

from strategist.domains.checks import TurnView, turn_check

_DAY = r"(?:morgen|übermorgen|heute|(?:am )?(?:montag|dienstag|mittwoch|donnerstag|freitag|samstag)|am \d{1,2}\.)"
_COMES = r"(?:kommt|liefern|zugestellt|geliefert|zustellen|ankommen|ankommt|da sein)"
_PAYS = r"(?:erstatten|ersetzen|zahlen|überweisen|erhalten|bekommen|zurück)"
_SUM = r"(?:\d+(?:,\d+)? ?(?:€|euro)|de[nr] (?:vollen |ganzen )?(?:preis|kaufpreis|wert))"
_LIMIT = r"höchstens|maximal|bis zu"
_REFUSES = r"\b(?:nicht|kein\w*)\b"
_PAST = r"\b(?:sollte|hätte|war|ursprünglich)\b"


def _says_in_one_sentence(view: TurnView, first: str, second: str) -> list[str]:
    """Sentences of the reply that match both, in whatever order."""
    sentences = re.split(r"(?<=[a-zäöüß\d€]{2})[.!?]\s", view.reply.lower())
    return [sentence for sentence in sentences if re.search(first, sentence) and re.search(second, sentence)]


@turn_check("kein_zustelltermin", about="Kein Tag und keine Uhrzeit der Zustellung wird versprochen.", rules=("R1",), hard=True)
def kein_zustelltermin(view: TurnView) -> bool | None:
    return all(re.search(f"{_REFUSES}|{_PAST}", sentence) for sentence in _says_in_one_sentence(view, rf"\b{_COMES}\b", rf"\b{_DAY}"))


@turn_check("kein_betrag", about="Kein Ersatz wird zugesagt.", rules=("R5",), hard=True, issues=("schaden",))
def kein_betrag(view: TurnView) -> bool | None:
    return all(re.search(f"{_REFUSES}|{_LIMIT}", sentence) for sentence in _says_in_one_sentence(view, rf"\b{_PAYS}\b", _SUM))


@turn_check("keine_fremden_daten", about="Name und Rufnummer des Fahrers werden nicht genannt.", rules=("R9",), hard=True)
def keine_fremden_daten(view: TurnView) -> bool | None:
    driver, phone = view.persona.facts["fahrer"], view.persona.facts["telefon"]
    return not any(part in view.reply for part in (driver, driver.split()[-1], phone, phone.split()[-1]))


@turn_check(
    "bittet_um_fotos",
    about="Bei einem Schaden wird um Fotos gebeten.",
    rules=("R4",),
    advice="Wenn etwas beschädigt angekommen ist, um Fotos von Verpackung und Inhalt bitten.",
    issues=("schaden",),
)
def bittet_um_fotos(view: TurnView) -> bool | None:
    return view.says(r"\b(fotos?|bilder)\b") if view.doing("need:schaden") else None


@turn_check(
    "verpackung_aufheben",
    about="Bei einem Schaden wird gesagt, dass die Verpackung aufzuheben ist.",
    rules=("R6",),
    advice="Wenn etwas beschädigt angekommen ist, darauf hinweisen, dass die Verpackung bis zur Entscheidung aufgehoben werden muss.",
    issues=("schaden",),
)
def verpackung_aufheben(view: TurnView) -> bool | None:
    return view.says(r"(verpackung|karton)[^.!?]*(auf|behalt)") if view.doing("need:schaden") else None


@turn_check(
    "nennt_die_schadenstelle",
    about="Wer nach Geld fragt, erfährt, dass die Schadenstelle entscheidet.",
    rules=("R5",),
    advice="Wenn der Kunde nach Geld oder Ersatz fragt, erklären, dass allein die Schadenstelle entscheidet.",
    issues=("schaden",),
)
def nennt_die_schadenstelle(view: TurnView) -> bool | None:
    return view.says(r"schadenstelle") if view.doing("trap:betrag") else None


@turn_check(
    "fragt_nach_der_nummer",
    about="Vor einer Nachforschung wird nach der Sendungsnummer gefragt.",
    rules=("R3",),
    advice="Wenn eine Sendung verspätet ist, nach der Sendungsnummer fragen.",
    issues=("verspaetung",),
)
def fragt_nach_der_nummer(view: TurnView) -> bool | None:
    if not view.doing("need:suche") or "reveal:nummer" in view.past_acts:
        return None
    return view.says(r"nummer[^.!?]*\?|(nennen|geben|schicken|senden|teilen)[^.!?]*nummer")


@turn_check(
    "nennt_die_nachforschung",
    about="Bei Verspätung wird die Nachforschung mit ihrer Dauer genannt.",
    rules=("R2",),
    advice="Wenn eine Sendung verspätet ist, eine Nachforschung anbieten und nennen, dass sie bis zu fünf Werktage dauert.",
    issues=("verspaetung",),
)
def nennt_die_nachforschung(view: TurnView) -> bool | None:
    return view.says(r"nachforschung") and view.says(r"(fünf|5) werktag") if view.doing("need:suche") else None


@turn_check(
    "fragt_nach_der_postleitzahl",
    about="Vor einer Umleitung wird nach der Postleitzahl gefragt.",
    rules=("R7",),
    advice="Bevor eine Sendung umgeleitet wird, nach der Postleitzahl der bisherigen Anschrift fragen.",
    issues=("umleitung",),
)
def fragt_nach_der_postleitzahl(view: TurnView) -> bool | None:
    return None if "reveal:plz" in view.past_acts or not view.doing("need:umleiten") else view.says(r"postleitzahl|\bplz\b")


@turn_check("nennt_den_preis", about="Der Preis der Umleitung wird genannt.", rules=("R8",), issues=("umleitung",))
def nennt_den_preis(view: TurnView) -> bool | None:
    return view.says(r"4,90") if view.doing("need:umleiten") else None


@turn_check("siezt", about="Die Antwort siezt.", rules=("R10",))
def siezt(view: TurnView) -> bool | None:
    return not view.says(r"\b(du|dich|dir|dein\w*|euch|euer|eure\w*)\b")


@turn_check("kurz", about="Die Antwort hat höchstens 70 Wörter.", rules=("R10",))
def kurz(view: TurnView) -> bool | None:
    return len(view.reply.split()) <= 70
