"""The setting itself, and what goes to models and customers by it. Prompts are written in English, so English adds nothing to them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from strategist.agent import desk_message
from strategist.domains.domain import Tool
from strategist.domains.pack import builtin_packs, load_domain
from strategist.domains.persona import Mood
from strategist.domains.recitation import recites
from strategist.domains.validate import validate_pack
from strategist.errors import DomainError, ModelError
from strategist.languages import SUPPORTED, Language, language_of
from strategist.records.chat import Message, ModelRequest, Purpose, Reply, ToolSpec
from strategist.records.library import Guidance
from strategist.records.trace import Scenario
from strategist.retrieval.mask import mask
from strategist.roles.customer import LLMCustomer, card, read_turn
from strategist.roles.prompts import fenced, load_prompt
from strategist.roles.protocols import ActorReply, Attempt
from strategist.roles.teacher import LLMTeacher

GERMAN = load_domain(builtin_packs()["kurier"])
ENGLISH = replace(GERMAN, language="en-GB")
PERSONA = GERMAN.personas("train")[0]
LANGUAGES = pytest.mark.parametrize("language", SUPPORTED.values(), ids=SUPPORTED)


class Silent:
    """A chat that is never asked, and an actor that never acts."""

    model_name = "test:silent"

    async def ask(self, request: ModelRequest, *, purpose: Purpose, sample: int = 0) -> Reply:
        raise NotImplementedError

    async def reply(
        self, messages: Sequence[Message], *, purpose: Purpose, sample: int = 0, guidance: Guidance | None = None, tools: bool = True
    ) -> ActorReply:
        raise NotImplementedError


# ------------------------------------------------------------------------------------------------ the setting


@pytest.mark.parametrize(
    ("code", "name"), [("en", "English"), ("en-GB", "English"), ("de", "German"), ("de-CH", "German"), ("DE", "German")]
)
def test_a_code_names_its_language_whatever_the_region(code: str, name: str) -> None:
    assert language_of(code).name == name


def test_a_language_that_is_not_supported_is_named_with_those_that_are() -> None:
    with pytest.raises(DomainError) as caught:
        language_of("fr-CA")
    assert caught.value.message == "the language 'fr-CA' is not supported; there are `en` (English), `de` (German)"
    assert "`language` in domain.toml" in caught.value.hint
    with pytest.raises(DomainError, match="'fr'"):
        mask("Bonjour", "fr")


def test_a_pack_in_an_unsupported_language_is_a_fault_with_its_line_and_is_not_loaded(tmp_path: Path) -> None:
    for file in builtin_packs()["kurier"].glob("*.*"):
        (tmp_path / file.name).write_text(file.read_text(encoding="utf-8").replace('language = "de"', 'language = "fr"'), encoding="utf-8")
    (fault,) = validate_pack(tmp_path)
    assert (fault.where, fault.severity) == (f"{tmp_path / 'domain.toml'}:3", "error")
    assert fault.message.startswith("the language 'fr' is not supported")
    with pytest.raises(DomainError, match=r"domain\.toml:3: the language 'fr' is not supported") as caught:
        load_domain(tmp_path)
    assert "docs/domains.md" in caught.value.hint


@LANGUAGES
def test_every_language_has_all_that_is_asked_of_it(language: Language) -> None:
    for phrases in (language.customer.moods, language.customer.thanks, language.customer.leaving):
        assert set(phrases) == set(get_args(Mood))
    assert all(len(set(texts)) >= 2 for texts in (*language.customer.thanks.values(), *language.customer.leaving.values()))
    for pattern in (language.advice.example, language.advice.injection, language.advice.moments, language.addresses_agent):
        re.compile(pattern)
    words = (language.stop_words, language.common_words, language.advice.wording.never, language.advice.wording.conditions)
    assert all(word == word.lower() for each in words for word in each)
    assert bool(language.tells_agent) == bool(language.tells_advisor) == bool(language.tells_customer) == (language.code != "en")


# ------------------------------------------------------------------------------------------------ the agent's and the advisor's prompts


def agent_prompt(tools: str) -> str:
    return load_prompt("agent").render(title=GERMAN.title, brief=GERMAN.brief.strip(), words="70", tools=tools, screen="S")


def test_the_agent_is_told_to_write_german_and_english_prompts_stay_as_they_are() -> None:
    assert desk_message(ENGLISH, "S").content == agent_prompt("")
    assert desk_message(GERMAN, "S").content == agent_prompt("Customers of this company write German. Write every reply in German.\n\n")
    spec = ToolSpec(name="look", description="Look.", parameters={"type": "object", "properties": {}})
    with_tool = replace(GERMAN, tools=(Tool(spec, lambda state, arguments: ""),))
    text = desk_message(with_tool, "S", "text").content
    assert text.index("in German.\n\nWrite your reply") < text.index("- look {}: Look.\n\nYour desk screen")


def test_the_advisor_is_told_to_write_german_lines_and_english_prompts_stay_as_they_are() -> None:
    scenario = Scenario(
        id="s", trace="t", persona="p", issue="i", turn=0, messages=(Message(role="user", content="Hallo"),), key="", state={}
    )

    def prompt(domain: str) -> str:
        teacher = LLMTeacher(Silent(), replace(GERMAN, language=domain), 3, Silent())
        return teacher.request(scenario, [Attempt(text="Gern.")], "Moin.").messages[0].content

    english = load_prompt("advise").render(
        title=GERMAN.title,
        brief=GERMAN.brief,
        conversation=fenced("conversation", "Customer: Hallo"),
        reply_a=fenced("reply_a", "Moin."),
        attempts="Attempt 1.\nAdvice it had: none\n" + fenced("reply_b", "Gern.") + "\nChecks failed: none",
        max_lines="3",
    )
    assert prompt("en") == english
    assert prompt("de") == f"{english}\n\n{language_of('de').tells_advisor}"


# ------------------------------------------------------------------------------------------------ recitation


@pytest.mark.parametrize(
    "reply",
    [
        "Dem Kunden die Dauer der Nachforschung nennen.",
        "Gern: Sagen Sie dem Kunden, dass es dauert.",
        "Der Kunde soll warten.",
        "Gut, dann um Fotos von Verpackung und Inhalt bitten.",
    ],
)
def test_what_recites_german_guidance(reply: str) -> None:
    assert recites(reply, GERMAN.handbook, "de")


@pytest.mark.parametrize("reply", ["Schicken Sie uns Fotos von Verpackung und Karton.", "Unser Kundendienst ist da.", "Tell the customer."])
def test_what_does_not(reply: str) -> None:
    assert not recites(reply, GERMAN.handbook, "de")


# ------------------------------------------------------------------------------------------------ a model as the customer


def test_a_model_that_plays_is_told_to_write_german() -> None:
    asked = [LLMCustomer(Silent(), language=language).request(PERSONA, []).messages for language in ("en", "de")]
    assert [messages[0].content for messages in asked] == [card(PERSONA)] * 2
    assert asked[1][1].content == f"{asked[0][1].content} Write every message in German."
    assert asked[0][1].content.endswith("Write the customer's next message.")


def test_german_tags_and_other_speakers_are_cut_off() -> None:
    assert read_turn("Kundin: Wo ist es?\nMitarbeiter: Moment.", "de").text == "Wo ist es?"
    assert read_turn("Kundin: Wo ist es?").text == "Kundin: Wo ist es?"
    assert read_turn("Danke! [END]", "de").ended == "done"


@pytest.mark.parametrize(
    "text",
    [
        "Mitarbeiterin: Guten Tag.",
        "Wie kann ich Ihnen heute weiterhelfen?",
        "Vielen Dank für Ihre Geduld.",
        "Kann ich sonst noch etwas tun?",
    ],
)
def test_the_agents_voice_is_heard_in_german(text: str) -> None:
    with pytest.raises(ModelError, match="spoke as the agent"):
        read_turn(text, "de")
    assert read_turn(text).text == text


def test_a_german_customer_of_a_model_says_what_it_says() -> None:
    class Chat(Silent):
        async def ask(self, request: ModelRequest, *, purpose: Purpose, sample: int = 0) -> Reply:
            return Reply(text="Ich: Mein Paket fehlt.")

    turn = asyncio.run(LLMCustomer(Chat(), language="de").next(PERSONA, [], purpose="generate"))
    assert turn.text == "Mein Paket fehlt."
