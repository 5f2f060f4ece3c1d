"""The parcel pack as a whole: it is valid, its splits are apart, its personas vary, and its brief and handbook have the right size."""

from __future__ import annotations

import re
from itertools import combinations

import pytest

from strategist.domains.pack import builtin_packs, load_domain, read_pack
from strategist.domains.persona import Persona, Split
from strategist.domains.validate import validate_pack

PATH = builtin_packs()["parcel"]
PACK = read_pack(PATH)
DOMAIN = load_domain(PATH)
TEMPLATES = tuple(line.template for line in PACK.lines)
SPLITS: tuple[Split, ...] = ("train", "dev", "test")
EVERYONE = tuple(persona for split in SPLITS for persona in DOMAIN.personas(split))


def test_the_validator_has_nothing_to_say() -> None:
    assert [str(fault) for fault in validate_pack(PATH)] == []


def test_sizes() -> None:
    assert {split: len(DOMAIN.personas(split)) for split in SPLITS} == {"train": 120, "dev": 40, "test": 60}
    assert {split: sum(t.split == split for t in TEMPLATES) for split in SPLITS} == {"train": 20, "dev": 8, "test": 10}
    assert len({persona.id for persona in EVERYONE}) == 220
    assert 6 <= len(DOMAIN.tools) <= 8


def test_the_brief_fits_into_every_system_message() -> None:
    rules = [rule.text for rule in PACK.rules]
    assert 26 <= len(rules) <= 32
    assert len(DOMAIN.brief.split()) < 900
    assert all(rule.endswith(".") for rule in rules)


def test_the_handbook_does_not_fit_into_one_turn() -> None:
    assert len(DOMAIN.handbook) > 8
    assert sum(len(line.split()) for line in DOMAIN.handbook) > 400


def test_held_out_issues_are_few_and_named() -> None:
    issues = {split: {t.issue for t in TEMPLATES if t.split == split} for split in SPLITS}
    assert issues["dev"] - issues["train"] == {"dangerous_goods"}
    assert issues["test"] - issues["train"] == {"neighbour"}


def test_templates_are_rich() -> None:
    for template in TEMPLATES:
        assert len(template.needs[0].wordings) >= 3, template.id
        assert all(len(need.again) >= 2 for need in template.needs), template.id
        assert 1 <= len(template.needs) <= 3, template.id
        assert template.patience == (2, 4), template.id
        assert template.screen, template.id
    assert sum(t.trap is not None for t in TEMPLATES) >= len(TEMPLATES) / 2
    assert sum(bool(t.goal.state) for t in TEMPLATES) >= len(TEMPLATES) / 2
    assert sum(bool(t.goal.unchanged) for t in TEMPLATES) >= 10


def test_splits_share_no_wording() -> None:
    said = {split: {w for t in TEMPLATES if t.split == split for n in t.needs for w in n.wordings} for split in SPLITS}
    for one, other in combinations(SPLITS, 2):
        assert not said[one] & said[other]


@pytest.mark.parametrize("split", SPLITS)
def test_personas_of_one_template_differ(split: Split) -> None:
    cards = [persona.model_copy(update={"id": ""}) for persona in DOMAIN.personas(split)]
    assert len({card.model_dump_json() for card in cards}) == len(cards)
    assert {card.mood for card in cards} == {"calm", "worried", "annoyed", "angry"}


def test_the_screen_never_shows_the_postcode() -> None:
    assert all(persona.facts["postcode"] not in persona.screen for persona in EVERYONE)


def test_no_placeholder_is_left() -> None:
    for persona in EVERYONE:
        told = [
            persona.screen,
            *(w for n in persona.needs for w in (*n.wordings, *n.again)),
            *(w for h in persona.hidden for w in h.wordings),
        ]
        assert not [text for text in told if re.search(r"\{\w+\}", text)]


def test_no_vague_reply_meets_a_need() -> None:
    vague = (
        "Thank you for contacting us. We are looking into it and will get back to you.",
        "I understand your frustration and apologise for the inconvenience.",
        "Your parcel is on its way. Please be patient, it will arrive soon.",
        "Could you please provide your tracking number?",
        "I'm sorry, but the parcel is already past its expected delivery date.",
        "Could you tell me the postcode so that I can change the delivery?",
        "Could you send photos of the parcel so that I can open a claim, which is checked within 10 working days?",
    )
    met = [(p.template, need.id, reply) for p in EVERYONE[:220] for need in p.needs for reply in vague if _met(p, need.met_by, reply)]
    assert met == []


def _met(persona: Persona, pattern: str | None, reply: str) -> bool:
    assert pattern is not None, persona.template
    return re.search(pattern, reply, re.IGNORECASE) is not None
