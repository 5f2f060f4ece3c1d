"""A world as a domain: even and reproducible personas, held-out wordings, checks that apply where the need is voiced."""

import asyncio
import re
from collections import Counter

import pytest

from strategist.domains.checks import TurnView
from strategist.domains.grading import grade_turn
from strategist.domains.persona import Persona
from strategist.lab.domain import MOODS, lab_domain, need_acts
from strategist.lab.student import PROMISE
from strategist.lab.worlds import World
from strategist.records.chat import Message
from strategist.roles.scripted_customer import ScriptedCustomer, customer_turn

NAMES = ["specific", "one_line", "uncoachable", "misleading"]


@pytest.mark.parametrize("name", NAMES)
def test_the_domain_has_what_a_pack_has(worlds: dict[str, World], name: str) -> None:
    world = worlds[name]
    domain = lab_domain(world)
    assert domain.split_sizes == {"train": 120, "dev": 40, "test": 60}
    assert domain.issues == tuple(situation.id for situation in world.situations)
    assert domain.handbook == tuple(need.line for need in world.needs)
    assert [check.id for check in domain.checks if check.hard] == ["no_promise"]
    rules = re.findall(r"^R(\d+)\. ", domain.brief, re.MULTILINE)
    assert [int(rule) for rule in rules] == list(range(1, 4 + len(world.needs)))
    assert {rule for check in domain.checks for rule in check.rules} == {f"R{rule}" for rule in rules}


def test_pack_hashes_cover_every_parameter(worlds: dict[str, World]) -> None:
    world = worlds["specific"]
    changed = world.model_copy(update={"advice_right": world.advice_right + 0.01})
    assert len({world.hash, changed.hash, *(other.hash for other in worlds.values())}) == 5
    assert lab_domain(world).pack_hash == world.hash


@pytest.mark.parametrize("name", NAMES)
def test_personas_are_reproducible_even_and_varied(worlds: dict[str, World], name: str) -> None:
    domain = lab_domain(worlds[name])
    train = domain.personas("train")
    assert train == lab_domain(worlds[name]).personas("train")
    assert all(domain.persona(persona.id) == persona for persona in train)
    assert set(Counter(persona.issue for persona in train).values()) == {10}
    assert {persona.mood for persona in train} == set(MOODS)
    assert {len(persona.needs) for persona in train} == {1, 2, 3}
    assert {persona.patience for persona in train} == {2, 3}
    assert len({persona.needs[0].wordings for persona in train}) > 100
    assert train[0].needs != domain.draw("train", 0, 1).needs
    assert "{" not in "".join(text for persona in train for need in persona.needs for text in (*need.wordings, *need.again))


def test_dev_and_test_open_with_wordings_that_train_never_uses(worlds: dict[str, World]) -> None:
    for world in worlds.values():
        domain = lab_domain(world)

        def frames(personas: tuple[Persona, ...]) -> set[str]:
            """Openings with their slots put back."""
            return {re.sub(slots_of(persona), "?", text) for persona in personas for text in persona.needs[0].wordings}

        def slots_of(persona: Persona) -> str:
            return "|".join(persona.facts[slot] for slot in ("order", "item", "day"))

        train, dev, test = (frames(domain.personas(split)) for split in ("train", "dev", "test"))
        assert not train & dev
        assert not train & test
        assert not dev & test


def test_the_scripted_customer_can_play_every_persona(worlds: dict[str, World]) -> None:
    world = worlds["misleading"]
    for index in range(24):
        persona = lab_domain(world).draw("train", index, 0)
        need = world.situation(persona.issue).need
        talk = [Message(role="user", content=customer_turn(persona, ()).text)]
        turns = 0
        while True:
            turns += 1
            talk.append(Message(role="assistant", content=f"{need.says[turns % 3]}."))
            said = asyncio.run(ScriptedCustomer().next(persona, talk, purpose="generate"))
            if said.ended:
                break
            assert world.recognise(said.text) == world.situation(persona.issue)
            talk.append(Message(role="user", content=said.text))
        assert (said.ended, turns) == ("done", len(persona.needs))


def test_checks_apply_where_their_need_is_voiced(worlds: dict[str, World]) -> None:
    world = worlds["specific"]
    domain, situation = lab_domain(world), world.situations[0]
    persona = domain.draw("train", 0, 0)

    def verdicts(reply: str, *acts: str) -> dict[str, bool | None]:
        view = TurnView(reply, "", frozenset(acts), frozenset(acts), (), persona, (), {}, {})
        return {verdict.check: verdict.passed for verdict in grade_turn(domain, view) if verdict.check != "recitation"}

    voiced = min(need_acts(situation))
    good, bad = f"Thank you. {situation.need.says[0]}.", f"{PROMISE} it." + " word" * 70
    assert verdicts(good, voiced) == {f"meets_{situation.id}": True, "polite": True, "short": True, "no_promise": True}
    assert verdicts(bad, voiced) == {f"meets_{situation.id}": False, "polite": False, "short": False, "no_promise": False}
    assert f"meets_{situation.id}" not in verdicts(good, "thanks")


def test_a_shared_need_is_one_check_for_every_issue(worlds: dict[str, World]) -> None:
    domain = lab_domain(worlds["one_line"])
    (check,) = [check for check in domain.checks if check.advice]
    assert check.issues == domain.issues
