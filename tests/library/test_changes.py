"""What changed between two briefs: rules are told apart by what they say, not by their numbers."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from strategist.library.changes import Change, compare, new_words

PURE = settings(max_examples=60, deadline=None)
WORDS = st.text("abcdefghijklmnop", min_size=3, max_size=7)
RULES = st.lists(st.lists(WORDS, min_size=4, max_size=9).map(" ".join), min_size=2, max_size=8, unique=True)
REFUND = "A refund takes 14 days and goes to the account that paid."


def brief(rules: Sequence[str], *, head: str = "# Service") -> str:
    return "\n\n".join([head, *(f"R{number}. {text}" for number, text in enumerate(rules, start=1))]) + "\n"


def said(changes: Sequence[Change]) -> list[tuple[str, str, str]]:
    return [(c.kind, c.before.id if c.before else "", c.after.id if c.after else "") for c in changes]


@PURE
@given(RULES, st.data())
def test_a_rule_that_is_put_in_or_taken_out_only_moves_the_others(rules: list[str], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(rules) - 1))
    fewer = rules[:place] + rules[place + 1 :]
    moved = [("moved", f"R{number}", f"R{number - 1}") for number in range(place + 2, len(rules) + 1)]
    out, back = compare(brief(rules), brief(fewer), "en"), compare(brief(fewer), brief(rules), "en")
    assert said(out.changes) == [*moved, ("removed", f"R{place + 1}", "")]
    assert sorted(said(back.changes)) == sorted([("added", "", f"R{place + 1}"), *((kind, new, old) for kind, old, new in moved)])
    assert [c.kind for c in (*out.real, *back.real)] == ["removed", "added"]


@PURE
@given(RULES, RULES)
def test_every_rule_is_the_same_or_in_one_change_and_equal_texts_never_changed(old: list[str], new: list[str]) -> None:
    found = compare(brief(old), brief(new), "en")
    befores = [c.before.id for c in found.changes if c.before]
    afters = [c.after.id for c in found.changes if c.after]
    assert len(befores) == len(set(befores))
    assert len(afters) == len(set(afters))
    assert len(old) - len(befores) == len(new) - len(afters), "what is the same is the same on both sides"
    assert all(c.before.text != c.after.text for c in found.real if c.before and c.after)
    assert all(
        c.before.text == c.after.text and c.before.id != c.after.id for c in found.changes if c.before and c.after and c.kind == "moved"
    )
    assert compare(brief(old), brief(old), "en") == ((), (), ())


def test_a_changed_rule_is_one_change_also_under_a_new_number() -> None:
    old = ["Be polite to everybody who writes.", "Never promise a date.", REFUND]
    new = ["Be polite to everybody who writes.", REFUND.replace("14", "30")]
    found = compare(brief(old), brief(new), "en")
    assert said(found.changes) == [("changed", "R3", "R2"), ("removed", "R2", "")]
    assert (found.figures_gone, found.figures_new) == (("14 day",), ("30 day",))
    assert found.of("R3") == found.changes[0]
    assert found.of("R1") is None


def test_a_rule_that_was_written_anew_under_its_number_is_a_change() -> None:
    found = compare(brief(["Be kind.", "Offer a coupon."]), brief(["Be kind.", "Send nobody away empty-handed, ever."]), "en")
    assert said(found.changes) == [("changed", "R2", "R2")]


def test_lines_that_are_no_rules_are_compared_too_and_layout_is_not() -> None:
    old, new = (
        brief(["Be kind."], head="Open from 9:00 to 17:00 on weekdays."),
        brief(["Be   kind."], head="Open from 9:00 to 18:00 on weekdays."),
    )
    found = compare(old, new, "en")
    assert [(c.kind, c.name) for c in found.changes] == [("changed", "a line")]
    assert found.figures_new == ("18:00",)
    assert compare(old, old.replace("\n\n", "\n\n\n"), "en").changes == ()
    gone = compare(old, brief(["Be kind."], head=""), "en")
    assert [(c.kind, c.name) for c in gone.changes] == [("removed", "a line")]


def test_the_words_that_changed_are_those_of_one_side() -> None:
    change = compare(brief(["Ask for photos of the damage first."]), brief(["Ask for the receipt of the damage first."]), "en").changes[0]
    assert new_words(change, "en") == {"photos", "receipt"}
    added = compare(brief(["Be kind."]), brief(["Be kind.", "Mention vouchers."]), "en").changes[0]
    assert new_words(added, "en") == {"mention", "vouchers"}
