"""merge: candidates that say the same become one; nothing is lost and nothing is made up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from strategist.loop.merge import GENERAL_ISSUES, candidate_id, general_candidates, merge
from strategist.records.library import Candidate, Strategy
from tests.loop.made import PURE, candidate, entry, key

LINES = ("Ask for the order number.", "ask for the ORDER number", "Open a trace.", "Name the deadline.", "Offer a refund.")


def merged(candidates: Sequence[Candidate], tested: Sequence[tuple[Strategy, ...]] = (), alike: float = 0.0) -> list[Candidate]:
    """Merge with vectors in which every two different lines have the cosine `alike`."""
    lines = list(dict.fromkeys(s.text for c in candidates for s in c.strategies))
    gram = np.full((len(lines), len(lines)), alike) + np.eye(len(lines)) * (1 - alike)
    vectors = np.linalg.cholesky(gram) if lines else None
    return merge(candidates, lines, vectors, tested)


proposals = st.lists(st.lists(st.sampled_from(LINES), unique=True, max_size=3), min_size=1, max_size=10)


@PURE
@given(proposals, st.lists(st.lists(st.sampled_from(LINES), unique=True, min_size=1, max_size=3), max_size=3))
def test_keys_are_never_lost_and_texts_never_made_up(texts: list[list[str]], known: list[list[str]]) -> None:
    candidates = [candidate(f"c{i}", *lines, keys=[key(f"k{i}", persona=f"train-{i}-0")]) for i, lines in enumerate(texts)]
    tested = [tuple(Strategy(text=line, rules=("R1",)) for line in lines) for lines in known]
    out = merged(candidates, tested)
    assert sorted(k.scenario for c in out for k in c.keys) == sorted(k.scenario for c in candidates for k in c.keys)
    given_texts = [tuple(sorted(s.text for s in c.strategies)) for c in candidates]
    assert all(tuple(sorted(s.text for s in c.strategies)) in given_texts for c in out)
    controls = [c for c in candidates if c.is_control]
    assert [c for c in out if c.is_control] == controls
    for group in out:
        if len(group.keys) > 1:
            assert group.id == candidate_id(group.round, group.strategies, group.keys)
            assert group.personas == {k.persona for k in group.keys}


def test_lines_that_differ_in_form_only_are_the_same() -> None:
    (one,) = merged([candidate("a", LINES[0]), candidate("b", LINES[1])])
    assert [k.text for k in one.keys] == ["a", "b"]


def test_lines_with_near_vectors_are_the_same_and_others_are_not() -> None:
    pair = [candidate("a", LINES[2]), candidate("b", LINES[3])]
    assert len(merged(pair, alike=0.95)) == 1
    assert merged(pair, alike=0.85) == pair


def test_half_the_lines_must_agree() -> None:
    both = candidate("a", LINES[2], LINES[3])
    assert len(merged([both, candidate("b", LINES[2])])) == 1
    assert len(merged([both, candidate("b", LINES[2], LINES[4])])) == 2


def test_the_text_of_the_library_is_kept_before_the_most_frequent() -> None:
    found = [candidate(f"c{i}", line) for i, line in enumerate((LINES[0], LINES[0], LINES[1]))]
    (frequent,) = merged(found)
    assert [s.text for s in frequent.strategies] == [LINES[0]]
    tested = (Strategy(text=LINES[1], rules=("R7",)),)
    (kept,) = merged(found, [tested])
    assert kept.strategies == tested
    assert len(kept.keys) == 3


def test_without_lines_there_is_nothing_to_merge() -> None:
    controls = [candidate("a"), candidate("b")]
    assert merge(controls, [], None, ()) == controls


def test_a_line_for_many_issues_is_proposed_for_all() -> None:
    many = [key(f"k{i}", issue=f"issue-{i}") for i in range(GENERAL_ISSUES)]
    wide, narrow = candidate("a", LINES[0], LINES[2], keys=many), candidate("b", LINES[3], keys=many[:-1])
    found = general_candidates(2, [wide, narrow], known=[])
    assert [(c.scope, [s.text for s in c.strategies]) for c in found] == [("general", [LINES[0]]), ("general", [LINES[2]])]
    assert all(s.scope == "general" for c in found for s in c.strategies)
    assert found[0].personas == wide.personas
    assert len({wide.id, *(c.id for c in found)}) == 3
    assert f"{GENERAL_ISSUES} issues" in found[0].why
    assert general_candidates(2, [wide], known=[entry("e", LINES[0], scope="general")]) == found[1:]


def test_issues_add_up_over_candidates() -> None:
    each = [candidate(f"c{i}", LINES[0], keys=[key(f"k{i}", issue=f"issue-{i}")]) for i in range(GENERAL_ISSUES)]
    assert len(general_candidates(0, each, known=[])) == 1
    assert general_candidates(0, each[1:], known=[]) == []


def test_ids_depend_on_round_scope_lines_and_keys_only() -> None:
    line, where = [Strategy(text="Ask.")], [key("a")]
    same = candidate_id(0, [Strategy(text="Ask.", rules=("R1",))], [key("b", text="a", persona="train-7-0")])
    assert candidate_id(0, line, where) == same
    others = {
        candidate_id(1, line, where),
        candidate_id(0, [], where),
        candidate_id(0, line, [key("b")]),
        candidate_id(0, line, where, "general"),
    }
    assert len(others | {same}) == 5


def test_a_company_wide_line_carries_the_customers_of_everyone_it_was_coached_on() -> None:
    """Regression: only the first candidate's customers were kept from its test moments."""
    coached = [
        candidate(f"c{i}", "Ask.", keys=[key(f"s{i}").model_copy(update={"issue": f"issue-{i}", "persona": f"train-{i}-0"})])
        for i in range(GENERAL_ISSUES)
    ]
    (found,) = general_candidates(0, coached, known=[])
    assert found.personas == {f"train-{i}-0" for i in range(GENERAL_ISSUES)}
    assert found.scope == "general"


def test_controls_under_one_key_are_one_and_carry_all_customers() -> None:
    """Regression: two customers who said the same gave two controls with one id, and only one of them was kept from testing it."""
    twins = [candidate(f"c{i}", keys=[key(f"k{i}", persona=f"train-{i}-0", text="thanks")]) for i in range(2)]
    other = candidate("c2", keys=[key("k2", persona="train-2-0", text="bye")])
    one, two = merge([*twins, other], [], None, ())
    assert one.is_control
    assert one.personas == {"train-0-0", "train-1-0"}
    assert two == other
