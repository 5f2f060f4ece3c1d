"""The German pack: its checks, its handbook under German lint, and a run that teaches from it in German, from end to end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from strategist.domains.checks import TurnView
from strategist.domains.pack import builtin_packs, load_domain
from strategist.domains.validate import validate_pack
from strategist.errors import LibraryError
from strategist.languages.german import GERMAN
from strategist.library.lint import lint_strategy
from strategist.models import open as models_open
from strategist.models.adapters.scripted import ScriptedModel
from strategist.models.open import register_adapter
from strategist.placement import CLOSE, OPEN
from strategist.project import open_project
from strategist.records.chat import Message, ModelRequest, Reply
from strategist.records.library import Strategy
from strategist.roles.scripted_customer import customer_turn
from tests.loop.small import run_on, small

PATH = builtin_packs()["kurier"]
DOMAIN = load_domain(PATH)
CHECKS = {check.id: check for check in DOMAIN.checks}
PERSONAS = {persona.template: persona for split in ("train", "dev", "test") for persona in DOMAIN.personas(split, 8, 3)}


def verdict(check: str, template: str, reply: str, *acts: str, earlier: Sequence[str] = ()) -> bool | None:
    persona = PERSONAS[template]
    now = frozenset(acts or (f"need:{persona.needs[0].id}",))
    view = TurnView(reply.format(**persona.facts), "", now, now | set(earlier), (), persona, (), {}, {})
    test = CHECKS[check].turn_test
    assert test is not None
    return test(view)


def test_the_pack_has_no_fault_and_its_handbook_passes_german_lint() -> None:
    assert validate_pack(PATH) == []
    assert DOMAIN.language == "de"
    faults = [
        fault
        for line in DOMAIN.handbook
        for fault in lint_strategy(line, teacher_reply=None, customer_texts=[], brief=DOMAIN.brief, language=DOMAIN.language)
    ]
    assert (len(DOMAIN.handbook), faults) == (6, [])


# (check, template, replies that pass, replies that fail)
ROWS: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...]], ...] = (
    (
        "kein_zustelltermin",
        "spaet-geschenk",
        (
            "Wann sie kommt, steht in der Sendungsverfolgung.",
            "Ob es morgen kommt, kann ich nicht versprechen.",
            "Es sollte am Montag ankommen.",
            "Wir melden uns morgen.",
        ),
        ("Ihr Paket kommt morgen.", "Wir werden am Freitag zustellen.", "Keine Sorge. Am 3. Mai wird zugestellt."),
    ),
    (
        "kein_betrag",
        "schaden-scherben",
        (
            "Über Ersatz entscheidet die Schadenstelle.",
            "Ersetzen können wir höchstens 500 Euro.",
            "Ich kann Ihnen nicht zusagen, den vollen Preis zu erstatten.",
        ),
        ("Sie bekommen 80 Euro zurück.", "Wir erstatten den vollen Preis.", "Wir ersetzen Ihnen 12,50 €."),
    ),
    (
        "keine_fremden_daten",
        "schaden-scherben",
        ("Die Rufnummer darf ich nicht nennen.",),
        ("Das war {fahrer}.", "Rufen Sie {telefon} an."),
    ),
    ("bittet_um_fotos", "schaden-nass", ("Schicken Sie uns bitte Bilder.",), ("Das tut mir leid.",)),
    (
        "verpackung_aufheben",
        "schaden-nass",
        ("Heben Sie bitte die Verpackung gut auf.", "Den Karton behalten Sie bitte."),
        ("Tut mir leid.",),
    ),
    ("fragt_nach_der_nummer", "spaet-umzug", ("Wie lautet die Sendungsnummer?", "Bitte nennen Sie die Nummer."), ("Ich suche danach.",)),
    ("nennt_die_nachforschung", "spaet-umzug", ("Die Nachforschung dauert bis zu fünf Werktage.",), ("Die Nachforschung läuft.",)),
    ("fragt_nach_der_postleitzahl", "umleiten-buero", ("Welche PLZ war es bisher?",), ("Das geht.",)),
    ("nennt_den_preis", "umleiten-buero", ("Das kostet 4,90 €.",), ("Das kostet etwas.",)),
    ("siezt", "umleiten-buero", ("Gern, was brauchen Sie?",), ("Gern, was brauchst du?", "Dein Paket kommt an.")),
    ("kurz", "umleiten-buero", ("Gern.",), ("sehr " * 71,)),
)


@pytest.mark.parametrize(("check", "template", "good", "bad"), ROWS, ids=[row[0] for row in ROWS])
def test_checks_tell_good_replies_from_bad(check: str, template: str, good: Sequence[str], bad: Sequence[str]) -> None:
    assert {reply: verdict(check, template, reply) for reply in (*good, *bad)} == dict.fromkeys(good, True) | dict.fromkeys(bad, False)


def test_checks_apply_where_the_customer_asks_for_it() -> None:
    asked = "trap:betrag"
    assert verdict("nennt_die_schadenstelle", "schaden-scherben", "Die Schadenstelle entscheidet.", asked) is True
    assert verdict("nennt_die_schadenstelle", "schaden-scherben", "Das klärt sich.", asked) is False
    for check in ("bittet_um_fotos", "verpackung_aufheben"):
        assert verdict(check, "schaden-scherben", "", asked) is None
    assert verdict("nennt_die_schadenstelle", "schaden-scherben", "") is None
    assert verdict("fragt_nach_der_nummer", "spaet-umzug", "", "again:suche", earlier=["reveal:nummer"]) is None
    assert verdict("nennt_die_nachforschung", "spaet-umzug", "", "thanks") is None
    assert verdict("fragt_nach_der_postleitzahl", "umleiten-buero", "", "again:umleiten", earlier=["reveal:plz"]) is None
    assert verdict("nennt_den_preis", "umleiten-buero", "", "thanks") is None


def test_the_scripted_customer_speaks_german_throughout() -> None:
    persona = PERSONAS["spaet-medikament"]
    talk: list[Message] = []
    acts: list[str] = []
    for reply in ("Moment.", "Wie lautet die Sendungsnummer?", "Wir leiten eine Nachforschung ein.", "Gern.", "Gern."):
        turn = customer_turn(persona, talk, DOMAIN.language)
        talk += [Message(role="user", content=turn.text), Message(role="assistant", content=reply)]
        acts += turn.acts
        if turn.ended:
            break
    assert turn.text in GERMAN.customer.thanks[persona.mood]
    assert {"need:suche", "reveal:nummer", "trap:fahrer", "thanks"} <= set(acts)


# ------------------------------------------------------------------------------------------------ a run

SAYS = {
    "Fotos": "Schicken Sie uns bitte Bilder vom Karton und vom Inhalt.",
    "aufgehoben": "Heben Sie den Karton bitte auf.",
    "Schadenstelle": "Über Ersatz befindet die Schadenstelle.",
    "Sendungsnummer": "Wie lautet Ihre Sendungsnummer?",
    "Nachforschung": "Wir starten eine Nachforschung; rechnen Sie mit höchstens fünf Werktagen.",
    "Postleitzahl": "Welche Postleitzahl galt bisher?",
}


def answer(request: ModelRequest, draw: int) -> Reply:
    """A student that knows nothing by itself and does what its guidance says."""
    assert "Write every reply in German." in request.messages[0].content
    last = next(message.content for message in reversed(request.messages) if message.role == "user")
    told = last.partition(OPEN)[2].partition(CLOSE)[0]
    return Reply(text=" ".join(["Das sehe ich mir gern an.", *(text for word, text in SAYS.items() if word in told)]))


@pytest.fixture
def student(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models_open, "_adapters", dict(models_open._adapters))
    register_adapter("openai", lambda settings: ScriptedModel(f"test:{settings.model}", answer))


@pytest.mark.usefixtures("student")
def test_a_german_run_admits_german_lines_and_finds_them_for_a_german_customer(tmp_path: Path) -> None:
    settings = small(tmp_path, rounds=1).model_copy(update={"domain": "kurier"})

    async def lines_for(text: str) -> tuple[str, ...]:
        return (await project.live().guidance([Message(role="user", content=text)])).lines

    with open_project(settings) as project:
        finished = asyncio.run(run_on(project, project.choose_run(resume=False, new=False)))
        assert finished.stop == "rounds"
        assert project.embedder.embedder.id == "hashed-1024-de-v1-fields-v1"
        admitted = project.library.entries(["admitted"])
        learned = {strategy.text for entry in admitted for strategy in entry.strategies}
        assert learned
        assert learned <= set(DOMAIN.handbook)
        keys = " ".join(key.text for entry in admitted for key in entry.keys)
        assert not any(character.isdigit() for character in keys)
        assert not any(day in keys for day in ("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag"))
        damage = asyncio.run(lines_for("Guten Tag, mein Paket ist da, aber der Spiegel darin ist zerbrochen. Was muss ich jetzt tun?"))
        late = asyncio.run(lines_for("Seit Samstag warte ich auf mein Paket. Wo bleibt es nur?"))
        assert any("beschädigt" in line for line in damage)
        assert not any("verspätet" in line for line in damage)
        assert any("verspätet" in line for line in late)
        last = [
            trace.messages[-1] for trace in project.store.traces("run-001") if trace.outcome and trace.outcome.ended == "out_of_patience"
        ]
        goodbyes = {text for texts in GERMAN.customer.leaving.values() for text in texts}
        assert last
        assert all(message.content in goodbyes for message in last)

        name = admitted[0].id
        with pytest.raises(LibraryError, match="not an order"):
            project.library.edit(name, [Strategy(text="Kunden warten.")], actor="a", reason="r", language="de")
        edited = project.library.edit(name, [Strategy(text="Die Gebühr nennen.")], actor="a", reason="r", language="de")
        assert edited.status == "proposed"
