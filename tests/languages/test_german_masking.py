from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategist.records.chat import Message
from strategist.retrieval.bm25 import BM25
from strategist.retrieval.embed import HashedEmbedder, open_embedder
from strategist.retrieval.mask import key_text, mask
from strategist.settings import RetrievalSettings


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Kommt es am 3. März oder Montag?", "Kommt es am <date> oder <date>?"),
        ("Spätestens 12.05.2026, besser 24.12. oder 3. 5. 26.", "Spätestens <date>, besser <date> oder <date>."),
        ("Im Mai 2026, donnerstags oder am Freitagabend.", "Im <date>, <date> oder am <date>."),
        ("Am 2026-05-12, 12.5 oder 12/5", "Am <date>, <date> oder <date>"),
        ("Um 14 Uhr, 14:30 Uhr, 9.30 Uhr oder 16:45.", "Um <time>, <time>, <time> oder <time>."),
        ("Zwischen 8-12 Uhr, 8 bis 12 Uhr", "Zwischen <time>, <time>"),
        ("Das macht 12,50 € oder 30 Euro.", "Das macht <money> oder <money>."),
        ("Nur 5,- €, 1.000,00 EUR, 12 Fr. oder €3", "Nur <money>, <money>, <money> oder <money>"),
        ("Sendung KF-123456 und Auftrag 12345678", "Sendung <code> und Auftrag <code>"),
        ("Ruf 0170 1234567 oder +49 (221) 123-45 an", "Ruf <phone> oder <phone> an"),
        ("Schreib an anna@firma.at, siehe www.kurier.ch", "Schreib an <email>, siehe <url>"),
        ("Mein Name ist Anna Müller-Weiß und ich warte.", "Mein Name ist <name> und ich warte."),
        ("ich heiße ömer und ich heisse Zoë", "ich heiße <name> und ich heisse <name>"),
        ("Mein Name ist nicht wichtig.", "Mein Name ist nicht wichtig."),
        ("Der Name ist falsch. Es läuft auf den Namen Schmidt.", "Der Name ist falsch. Es läuft auf den Namen <name>."),
        ("Guten Tag Herr Dr. Öztürk, Frau von der Heide wartet.", "Guten Tag Herr Dr. <name>, Frau <name> wartet."),
        ("Hier ist Peter Maier. Hier ist das Paket.", "Hier ist <name>. Hier ist das Paket."),
        ("Ich bin Anna Weber, ich bin Kunde.", "Ich bin <name>, ich bin Kunde."),
        ("Hallo Anna, hallo Team, Hallo Wo ist es", "Hallo <name>, hallo Team, Hallo Wo ist es"),
        ("Viele Grüße\nAnna Schmidt", "Viele Grüße <name>"),
        ("Liebe Grüße, Anna", "Liebe Grüße, <name>"),
        ("Ich bin Kunde Nummer 5", "Ich bin Kunde Nummer <number>"),
        ("Mit freundlichen Grüßen, Ihr Team", "Mit freundlichen Grüßen, Ihr Team"),
        ("Wo ist das Paket mit der Jacke?", "Wo ist das Paket mit der Jacke?"),
        ("Ich habe 2 Pakete, das 3. fehlt.", "Ich habe <number> Pakete, das <number>. fehlt."),
    ],
)
def test_particulars_of_german_become_placeholders(text: str, masked: str) -> None:
    assert mask(text, "de") == masked
    assert mask(masked, "de") == masked


PIECES = [
    *("Anna", "Mein Name ist", "ich heiße", "Herr", "Frau", "Dr.", "Hallo", "Grüße", "ich bin", "von der", "Schmidt", "Paket"),
    *("3. März", "12.05.", "2026", "14 Uhr", "14:30", "bis", "Montag", "12,50 €", "30 Euro", ",-", "KF-1", "0170 1234567", "+49", "a@b.de"),
    *("www.x.ch", ".", ",", "\n", "7", "é5", "ß٣", "my name is", "I'm", "12 March", "$5", "3pm", "<name>", "(", "-"),
]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join) | st.text(max_size=60), st.sampled_from(["de", "en", "de-CH", "en-GB"]))
@settings(max_examples=300, deadline=None)
def test_masking_leaves_no_digit_and_is_idempotent_in_every_language(text: str, language: str) -> None:
    once = mask(text, language)
    assert not any(c.isdecimal() for c in once)
    assert mask(once, language) == once


def test_a_region_changes_nothing() -> None:
    assert mask("Where is the Paket?", "en-GB") == mask("Where is the Paket?", "en") == "Where is the <name>?"
    assert mask("Wo ist das Paket?", "de-AT") == "Wo ist das Paket?"


def test_keys_are_german() -> None:
    said = [Message(role="user", content="Mein Name ist Anna Weiß, Paket KF-1 fehlt"), Message(role="assistant", content="Seit Montag?")]
    key = key_text([*said, Message(role="user", content="Seit 3. März")], "de")
    assert key == "Mein Name ist <name>, Paket <code> fehlt\nSeit <date>?\nSeit <date>"


def test_stop_words_are_those_of_the_language_and_compounds_stay_whole() -> None:
    texts = ["die Lieferung ist da", "the delivery was late", "Lieferungsverzögerung"]
    german = BM25(texts, language="de")
    assert german.scores("die ist da").tolist() == [0, 0, 0]
    assert german.scores("the delivery was")[1] > 0
    assert german.scores("Lieferung")[0] > 0 == german.scores("Lieferung")[2]
    assert BM25(texts).scores("die ist")[0] > 0 == BM25(texts).scores("the was")[0]


def test_hashed_vectors_of_another_language_have_another_identity() -> None:
    english, german = HashedEmbedder(), HashedEmbedder("de-CH")
    assert (english.id, HashedEmbedder("en-GB").id, german.id) == ("hashed-1024-v1", "hashed-1024-v1", "hashed-1024-de-v1")
    short, long = asyncio.run(german.embed(["Paket kaputt", "mein Paket ist kaputt"]))
    assert short @ long == pytest.approx(1)
    assert open_embedder(RetrievalSettings(embedder="hashed"), "de").embedder.id == "hashed-1024-de-v1-fields-v1"
