import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategist.domains.domain import persona_id
from strategist.domains.faults import Fault
from strategist.domains.persona import Split
from strategist.domains.slots import Slot
from strategist.domains.templates import Deck, Template, read_templates
from strategist.records.base import JsonObject, canonical

SHARED = {"name": Slot(values=("Ana", "Tom", "Mia")), "ref": Slot(pattern="R####")}
SPLITS = st.sampled_from(("train", "dev", "test"))


def line(name: str, split: str = "train", **changes: object) -> str:
    template = {
        "id": name,
        "issue": "late",
        "split": split,
        "slots": {"city": ["Bonn", "Oslo (N.)"]},
        "mood": ["calm", "angry"],
        "patience": [2, 5],
        "facts": {"home": "{city}, {ref}"},
        "needs": [{"id": "where", "wordings": ["Where is {ref}?", "{ref}?", "It's {name}. {ref}!"], "met_by": "in {city}"}],
        "hidden": [{"id": "gift", "asked_by": "{city}|why", "wordings": ["A gift for {name}."]}],
        "trap": {"id": "now", "turn": 1, "wordings": ["Now, says {name}."]},
        "goal": {"state": {"parcels.{ref}.city": "{city}", "count": 1}, "unchanged": ["parcels.{ref}"]},
        "state": {"parcels": {"{ref}": {"city": "{city}"}}},
        "screen": "{ref} for {name}",
        **changes,
    }
    return json.dumps(template)


def deck_of(*lines: str) -> Deck:
    faults: list[Fault] = []
    templates = read_templates(Path("p.jsonl"), "\n".join(lines), SHARED, faults)
    assert faults == []
    base: JsonObject = {"parcels": {"OTHER": {}}, "count": 1}
    return Deck("pack", SHARED, base, tuple(template for _, template in templates))


DECK = deck_of(line("a"), line("b", "dev"), "", line("c"), line("d", "test"), line("e", "dev"))


def faults_of(text: str) -> list[str]:
    faults: list[Fault] = []
    read_templates(Path("p.jsonl"), text, SHARED, faults)
    return [f"{fault.line}: {fault.message}" for fault in faults]


def test_a_persona_is_the_template_with_every_placeholder_filled() -> None:
    persona = DECK.draw("train", 0, 0)
    ref, city = persona.facts["ref"], persona.facts["city"]
    assert persona.facts["home"] == f"{city}, {ref}"
    assert persona.state == {"parcels": {"OTHER": {}, ref: {"city": city}}, "count": 1}
    assert persona.goal.state == {f"parcels.{ref}.city": city, "count": 1}
    assert persona.goal.unchanged == (f"parcels.{ref}",)
    assert persona.screen == f"{ref} for {persona.name}"
    assert "{" not in canonical([persona.needs[0].wordings, persona.hidden[0].wordings, persona.trap and persona.trap.wordings])


def test_slot_values_are_literal_in_patterns() -> None:
    oslo = next(persona for index in range(40) if (persona := DECK.draw("train", index, 0)).facts["city"].startswith("Oslo"))
    assert oslo.needs[0].met_by == r"in Oslo\ \(N\.\)"
    assert oslo.hidden[0].asked_by == r"Oslo\ \(N\.\)|why"


@settings(max_examples=40, deadline=None)
@given(SPLITS, st.integers(0, 500), st.integers(0, 10**9))
def test_same_seed_same_persona_and_the_id_says_which(split: Split, index: int, seed: int) -> None:
    persona = DECK.draw(split, index, seed)
    assert persona == DECK.draw(split, index, seed)
    assert persona.id == persona_id(split, index, seed)
    assert 2 <= persona.patience <= 5
    assert persona.mood in ("calm", "angry")
    assert sorted(persona.needs[0].wordings)[0].startswith("It's ")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 99))
def test_splits_never_share_templates(first: int, second: int, seed: int) -> None:
    stories = [{DECK.draw(split, index, seed).template for index in (first, second)} for split in ("train", "dev", "test")]
    assert stories[0].isdisjoint(stories[1])
    assert stories[0].isdisjoint(stories[2])
    assert stories[1].isdisjoint(stories[2])


def test_templates_are_taken_in_turn_and_drawn_anew() -> None:
    drawn = [DECK.draw("train", index, 0) for index in range(40)]
    assert [persona.template for persona in drawn] == ["a", "c"] * 20
    assert len({persona.facts["ref"] for persona in drawn}) > 35
    assert {persona.patience for persona in drawn} == {2, 3, 4, 5}
    assert {persona.mood for persona in drawn} == {"calm", "angry"}
    assert len({persona.needs[0].wordings[0].split()[0][0] for persona in drawn}) == 3
    assert DECK.draw("train", 0, 1).facts != drawn[0].facts


def test_no_template_or_a_negative_index_is_an_index_error() -> None:
    with pytest.raises(IndexError):
        deck_of(line("a")).draw("dev", 0, 0)
    with pytest.raises(IndexError):
        DECK.draw("dev", -1, 0)


def test_defaults_make_the_smallest_template() -> None:
    template = Template.model_validate({"id": "a", "issue": "b", "split": "dev", "needs": [{"id": "n", "wordings": ["w"]}]})
    persona = Deck("pack", SHARED, {}, (template,)).draw("dev", 0, 0)
    assert (persona.mood, persona.patience, persona.trap, persona.state) == ("calm", 3, None, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "1: not valid JSON: Expecting property name"),
        ("[]", "1: expected a JSON object"),
        ("\n" + line("a", colour="red"), "2: `colour` is not a known key"),
        (line("a", patience=[4, 2]), "1: `patience` is [least, most]"),
        (line("a", mood=["sad"]), "1: `mood.0`"),
        (line("a", needs=[]), "1: `needs`"),
        (line("a", split="prod"), "1: `split`"),
        (line("a", screen="{reff}"), "1: template 'a': {reff} is not a slot"),
        (line("a", state={"{nope}": 1}), "1: template 'a': {nope} is not a slot"),
        (line("a", slots={"city": ["{zip}"]}), "1: template 'a': the slot `city` uses {zip}"),
        (
            line("a", needs=[{"id": "n", "wordings": ["w"], "met_by": "(x"}]),
            "1: template 'a': met_by of need 'n' is not a regular expression",
        ),
        (line("a", needs=[{"id": "n", "wordings": ["w"], "met_by": "x*"}]), "1: template 'a': met_by of need 'n' matches every reply"),
        (line("a", hidden=[{"id": "h", "asked_by": "[", "wordings": ["w"]}]), "1: template 'a': asked_by of hidden fact 'h' is not"),
        (line("a", needs=[{"id": "n", "wordings": [" "]}]), "1: template 'a': need 'n' has an empty wording"),
        (line("a", trap={"id": "t", "turn": 1, "wordings": [""]}), "1: template 'a': trap 't' has an empty wording"),
        (line("a", needs=[{"id": "n:1", "wordings": ["w"]}]), "1: template 'a': 'n:1' is no id"),
        (line("a", needs=[{"id": "n", "wordings": ["w"]}] * 2), "1: template 'a': the id 'n' stands twice"),
        (line("a") + "\n" + line("a"), "2: template 'a': this id is already used in line 1"),
        (line("a") + "\n" + line("a", "test"), "2: template 'a': this id is already used in line 1, there in the split train"),
        ('{"id": "a", "id": "b"}', "1: not valid JSON: the key 'id' stands twice"),
        ('{"id": NaN}', "1: not valid JSON: NaN is not a JSON number"),
    ],
)
def test_every_fault_is_told_with_its_line(text: str, message: str) -> None:
    found = faults_of(text)
    assert len(found) == 1
    assert found[0].startswith(message)


def test_a_name_is_needed() -> None:
    faults: list[Fault] = []
    read_templates(Path("p.jsonl"), '{"id": "a", "issue": "b", "split": "dev", "needs": [{"id": "n", "wordings": ["w"]}]}', {}, faults)
    assert [fault.message for fault in faults] == ["template 'a': there is no slot `name` for the customer's name"]
