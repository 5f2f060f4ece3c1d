import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from strategist.domains.slots import Slot, deep_merge, draw_slots, fill, fill_object, fill_pattern, picker, placeholders, slot_faults
from strategist.records.base import JsonObject

LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=3))
FLAT = st.dictionaries(st.sampled_from("abc"), LEAVES, max_size=2)
OBJECTS = st.dictionaries(st.sampled_from("abc"), LEAVES | FLAT, max_size=3)


def test_a_slot_is_a_list_or_a_pattern_and_nothing_else() -> None:
    assert Slot.model_validate(["a", "b"]).values == ("a", "b")
    assert Slot.model_validate({"pattern": "A#"}).pattern == "A#"
    for wrong in ([], {"pattern": ""}, {"pattern": "A#", "values": ["a"]}, [1], "text", {"other": 1}):
        with pytest.raises(ValidationError):
            Slot.model_validate(wrong)


def test_counts_in_regular_expressions_are_no_placeholders() -> None:
    assert list(placeholders(r"\d{6} {name} {2,4} {x_1}")) == ["name", "x_1"]
    assert list(placeholders({"{a}": ["{b}", 3, None, {"c": "{d}"}]})) == ["a", "b", "d"]


def test_values_are_literal_in_regular_expressions() -> None:
    assert fill_pattern(r"to {who}\d{2}", {"who": "St. (A)"}) == r"to St\.\ \(A\)\d{2}"


def test_filling_keys_that_become_equal_merges_them() -> None:
    value: JsonObject = {"{a}": {"x": "{a}"}, "{b}": {"y": 1}, "list": ["{b}", {"{a}": None}]}
    assert fill_object(value, {"a": "K", "b": "K"}) == {"K": {"x": "K", "y": 1}, "list": ["K", {"K": None}]}
    with pytest.raises(KeyError):
        fill("{unknown}", {})


@settings(max_examples=40, deadline=None)
@given(OBJECTS, OBJECTS)
def test_deep_merge_keeps_every_key_and_what_is_above_wins(base: JsonObject, over: JsonObject) -> None:
    merged = deep_merge(base, over)
    assert set(merged) == {*base, *over}
    assert deep_merge(merged, over) == merged
    for key, value in over.items():
        if not isinstance(value, dict):
            assert merged[key] == value


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_patterns_differ_and_later_slots_use_earlier_ones(seed: int) -> None:
    slots = {
        "who": Slot(values=("ana", "tom")),
        "mail": Slot(values=("{who}@x.org",)),
        "one": Slot(pattern="{who}#"),
        "two": Slot(pattern="{who}#"),
    }
    drawn = draw_slots(slots, picker("pack", seed))
    assert drawn["mail"] == f"{drawn['who']}@x.org"
    assert drawn["one"] != drawn["two"]
    assert drawn["one"].removeprefix(drawn["who"]).isdecimal()
    assert drawn == draw_slots(slots, picker("pack", seed))


def test_patterns_without_room_still_draw() -> None:
    assert draw_slots({"a": Slot(pattern="A"), "b": Slot(pattern="A")}, picker(1)) == {"a": "A", "b": "A"}


def test_draws_do_not_move_when_a_slot_is_added() -> None:
    values = tuple("abcdefghij")
    alone = draw_slots({"a": Slot(values=values)}, picker("p", 7))
    assert draw_slots({"new": Slot(values=values), "a": Slot(values=values)}, picker("p", 7))["a"] == alone["a"]


def test_slot_faults_name_the_slot() -> None:
    slots = {"a-b": Slot(values=("x",)), "c": Slot(values=("{d}", "{d}")), "d": Slot(pattern="#")}
    assert [name for name, _ in slot_faults(slots)] == ["a-b", "c"]
