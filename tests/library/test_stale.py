"""Which entries a new brief may have made wrong: the likeliest first, each with its reason."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategist.domains.domain import Domain
from strategist.errors import LibraryError
from strategist.lab.domain import lab_domain
from strategist.lab.worlds import load_world
from strategist.library.briefs import keep_brief, kept_brief, kept_texts
from strategist.library.library import Library, status_after
from strategist.library.stale import is_stale, refused_by, renumbered, staleness
from strategist.records.evidence import Decision, Evidence
from strategist.records.library import SERVABLE, Entry, Status, Strategy
from strategist.store import Store
from tests.library.conftest import NewEntry
from tests.library.test_changes import PURE, RULES, brief

RULES_THEN = [
    "Be polite.",
    "A refund takes 14 days.",
    "Ask for photos of damaged parcels.",
    "Opening hours are on the website.",
    "Never name other customers.",
]
THEN = brief(RULES_THEN)


def entry(name: str, line: str = "Ask first.", *rules: str, status: Status = "admitted", brief_hash: str = "then") -> Entry:
    return Entry(
        id=name, status=status, keys=(), strategies=(Strategy(text=line, rules=rules),) if line else (), domain="d", brief_hash=brief_hash,
        student="s", advisor="a", round=0,
    )  # fmt: skip


def found(*entries: Entry, now: str, known: bool = True) -> list[tuple[str, str, tuple[str, ...]]]:
    stale = staleness(entries, {"then": THEN} if known else {}, now, "now", "en")
    assert set(stale.changes) == {one.entry.brief_hash for one in stale.entries}
    return [(one.entry.id, one.touch, one.why) for one in stale.entries]


def test_what_is_tested_under_this_brief_retired_or_a_control_is_not_stale() -> None:
    assert is_stale(entry("e1"), "now")
    assert not is_stale(entry("e1"), "then")
    assert not is_stale(entry("e1", status="retired"), "now")
    assert not is_stale(entry("e1", ""), "now")
    assert found(entry("e1", brief_hash="now"), now=THEN) == []


def test_the_likeliest_come_first_each_with_its_reason() -> None:
    now = brief(["Be polite.", "A refund takes 30 days.", "Ask for the receipt of damaged parcels.", *RULES_THEN[3:]])
    entries = (
        entry("e1", "Thank the customer."),
        entry("e2", "When a parcel is damaged, ask for photos."),
        entry("e3", "Say that the money is back after 14 days."),
        entry("e4", "Say how long it takes.", "R2"),
    )
    assert found(*entries, now=now) == [
        ("e4", "rule", ("rests on R2, which changed",)),
        ("e3", "lint", ("line 1: date or deadline that the brief does not name: 14 day",)),
        ("e2", "words", ("has words of R3, which changed: ask, damaged, photos",)),
        ("e1", "other", ("the brief changed, not what this rests on",)),
    ]


@PURE
@given(RULES, st.data())
def test_entries_that_name_a_rule_that_is_gone_come_first_and_new_numbers_touch_nobody(rules: list[str], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(rules) - 1))
    entries = [entry(f"e{number}", "Zzz.", f"R{number}") for number in range(1, len(rules) + 1)]
    now = brief(rules[:place] + rules[place + 1 :])
    ranked = staleness(entries, {"then": brief(rules)}, now, "now", "en").entries
    assert (ranked[0].entry.id, ranked[0].touch) == (f"e{place + 1}", "rule")
    assert ranked[0].why == (f"rests on R{place + 1}, which is gone",)
    assert {one.touch for one in ranked[1:]} <= {"other"}


def test_a_line_that_names_the_number_of_a_rule_is_touched_by_a_new_number() -> None:
    now = brief(["Say who you are.", *RULES_THEN[:3], *RULES_THEN[4:]])
    assert found(entry("e1", "Follow R3.", "R3"), entry("e2", "Zzz.", "R3"), entry("e3", "Zzz R1.", "R1", "R4"), now=now) == [
        ("e1", "rule", ("names R3, which is R4 now",)),
        ("e3", "rule", ("names R1, which is R2 now", "rests on R4, which is gone")),
        ("e2", "other", ("the brief changed, not what this rests on",)),
    ]


def test_a_rule_that_changed_and_moved_is_named_with_its_new_number() -> None:
    now = brief(["Be polite.", "Ask for the receipt of damaged parcels.", *RULES_THEN[3:]])
    assert found(entry("e1", "Zzz.", "R3"), now=now) == [("e1", "rule", ("rests on R3, which changed and is R2 now",))]


def test_words_of_new_and_gone_rules_need_two_and_those_that_are_everywhere_none() -> None:
    now = brief([*RULES_THEN[:3], *RULES_THEN[4:], "Give vouchers to late parcels only.", "Weigh parcels.", "Count parcels."])
    one, two = entry("e1", "Mention vouchers."), entry("e2", "When somebody is late, mention vouchers.")
    gone, common = entry("e3", "Give the opening hours."), entry("e4", "Find the parcels.")
    assert [(id_, touch) for id_, touch, _ in found(one, two, gone, common, now=now)] == [
        ("e2", "words"), ("e3", "words"), ("e1", "other"), ("e4", "other")
    ]  # fmt: skip
    reasons = {id_: why for id_, _, why in found(two, gone, now=now)}
    assert reasons == {
        "e2": ("has words of R5, which is new: late, vouchers",),
        "e3": ("has words of R4, which is gone: hours, opening",),
    }


def test_a_changed_rule_does_not_hide_that_the_text_is_forbidden() -> None:
    now = brief(["Be polite.", "A refund takes 30 days.", *RULES_THEN[2:]])
    (one,) = found(entry("e1", "Say that it takes 14 days.", "R2"), now=now)
    assert one == ("e1", "rule", ("rests on R2, which changed", "line 1: date or deadline that the brief does not name: 14 day"))


def test_under_an_unknown_brief_all_rules_may_have_changed_but_a_forbidden_text_says_more() -> None:
    ranked = found(entry("e1", "Zzz.", "R1"), entry("e2", "Say that it takes 21 days."), now=THEN, known=False)
    assert [(id_, touch) for id_, touch, _ in ranked] == [("e2", "lint"), ("e1", "unknown")]
    assert "not known here" in ranked[1][2][0]


def test_lint_asks_only_what_the_brief_says() -> None:
    assert refused_by([Strategy(text="The customer pays 5 euros.")], "", "en") == ("line 1: amount that the brief does not name: 5",)
    assert refused_by([Strategy(text="The customer is right.")], "", "en") == ()


def test_lines_rest_on_the_rules_of_the_new_brief() -> None:
    now = brief(["Say who you are.", *RULES_THEN[:3], *RULES_THEN[4:]])
    lines = entry("e1", "Zzz.", "R1", "R4", "R5", "R99").strategies
    change = staleness([entry("e1")], {"then": THEN}, now, "now", "en").changes["then"]
    assert [s.rules for s in renumbered(lines, change)] == [("R2", "R5", "R99")]
    assert renumbered(lines, None) == lines


@pytest.mark.parametrize("decision", get_args(Decision))
@pytest.mark.parametrize("status", [*SERVABLE, "proposed"])
def test_only_who_passes_stays_in_service_and_who_was_not_tested_is_left_alone(decision: Decision, status: Status) -> None:
    after = status_after(status, decision)
    if decision in ("too_few_moments", "incomplete"):
        assert after is None
    elif decision == "admitted":
        assert after == (status if status in SERVABLE else "admitted")
    else:
        assert after == ("retired" if decision == "more_hard_failures" else "proposed")


# The library


def evidence(decision: Decision) -> Evidence:
    return Evidence(decision=decision, wins=3, losses=1, p=0.3, q=0.3)


def test_what_a_test_said_is_a_new_version_and_an_event(library: Library, new_entry: NewEntry) -> None:
    one = new_entry("e1", status="approved")
    library.add([one], actor="test", reason="r", marker="m")
    lines = tuple(s.model_copy(update={"rules": ("R9",)}) for s in one.strategies)
    after = library.revalidate(one, evidence("admitted"), brief_hash="now", strategies=lines, actor="strategist", reason="still helps")
    assert after == library.get("e1")
    assert after is not None
    assert (after.ref, after.status, after.brief_hash, after.strategies) == ("e1@2", "approved", "now", lines)
    last = library.events("e1")[-1]
    assert (last.action, last.actor, last.reason) == ("revalidate", "strategist", "still helps")
    assert library.revalidate(one, evidence("admitted"), brief_hash="now", strategies=lines, actor="a", reason="r") is None, "once"


def test_who_did_not_pass_is_proposed_and_cannot_be_approved(library: Library, new_entry: NewEntry) -> None:
    one = new_entry("e1", status="approved")
    library.add([one], actor="test", reason="r", marker="m")
    after = library.revalidate(one, evidence("not_significant"), brief_hash="now", strategies=one.strategies, actor="a", reason="r")
    assert after is not None
    assert after.status == "proposed"
    with pytest.raises(LibraryError, match="no evidence"):
        library.approve("e1", actor="ana", reason="I like it")


def test_nothing_is_written_over_what_a_person_did_meanwhile(library: Library, new_entry: NewEntry) -> None:
    edited, retired, same = new_entry("e1"), new_entry("e2"), new_entry("e3")
    library.add([edited, retired, same], actor="test", reason="r", marker="m")
    library.edit("e1", (Strategy(text="Ask again."),), actor="ana", reason="better")
    library.retire("e2", actor="ana", reason="wrong")
    before = library.entries()
    for one, decision in ((edited, "admitted"), (retired, "admitted"), (same, "too_few_moments")):
        found_out = evidence(Evidence.model_validate({"decision": decision}).decision)
        assert library.revalidate(one, found_out, brief_hash="now", strategies=one.strategies, actor="a", reason="r") is None
    assert library.suspend(edited, actor="a", reason="r") is None
    assert library.suspend(retired, actor="a", reason="r") is None
    assert library.entries() == before


def test_a_forbidden_text_leaves_service_with_its_evidence(library: Library, new_entry: NewEntry) -> None:
    one = new_entry("e1")
    library.add([one], actor="test", reason="r", marker="m")
    after = library.suspend(one, actor="strategist", reason="14 days")
    assert after == one.model_copy(update={"status": "proposed"})
    assert library.events("e1")[-1].action == "revalidate"


# The briefs


def test_a_brief_is_kept_once_under_its_hash(store: Store) -> None:
    domain: Domain = lab_domain(load_world("specific"))
    assert kept_brief(store, domain.brief_hash) is None
    for _ in range(2):
        keep_brief(store, domain)
    kept = kept_brief(store, domain.brief_hash)
    assert kept is not None
    assert (kept.domain, kept.title, kept.text) == (domain.name, domain.title, domain.brief)
    assert kept_texts(store, [domain.brief_hash, "other"]) == {domain.brief_hash: domain.brief}
    assert store.count("briefs", "brief") == 1
