from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategist.records.library import Entry, Strategy
from strategist.retrieval.rank import (
    BESIDE,
    POOL,
    Hit,
    Scores,
    above_floor,
    decide,
    diverse,
    estimate_tokens,
    fuse,
    merge,
    pool,
    ranks,
    says_the_same,
)
from strategist.settings import RetrievalSettings

if TYPE_CHECKING:
    from tests.retrieval.conftest import MakeEntry

SETTINGS = RetrievalSettings()


def test_equal_values_share_the_best_rank() -> None:
    assert ranks([0.5, 0.9, 0.5, 0.1]) == [2, 1, 2, 4]
    assert ranks([]) == []


def test_fusion_adds_both_halves_and_gives_no_rank_to_a_bm25_score_of_zero(make_entry: MakeEntry) -> None:
    a, b, c = (make_entry(f"e{i}", ["k"]) for i in range(3))
    hits = fuse([Scores(a, 0.9, 0.0), Scores(b, 0.8, 3.0), Scores(c, -0.2, 1.0)])
    assert [(hit.entry.id, hit.rank) for hit in hits] == [("e1", 1), ("e2", 2), ("e0", 3)]
    assert hits[0].fused == pytest.approx(1 / 62 + 1 / 61)
    assert hits[2].fused == pytest.approx(1 / 61)
    assert hits[1].score == 0.0


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.3, 0.6, 1.0]), st.sampled_from([0.0, 1.0, 2.0])), max_size=8), st.randoms())
@settings(max_examples=80, deadline=None)
def test_the_order_of_entries_does_not_matter(make_entry: MakeEntry, values: list[tuple[float, float]], random: Random) -> None:
    scores = [Scores(make_entry(f"e{i}", ["k"]), *value) for i, value in enumerate(values)]
    shuffled = list(scores)
    random.shuffle(shuffled)
    assert fuse(shuffled) == fuse(scores)


def test_diversity_passes_over_a_twin_but_always_takes_the_first() -> None:
    similarity = np.array([[1, 0.99, 0.1], [0.99, 1, 0.1], [0.1, 0.1, 1]], dtype=np.float32)
    assert diverse([0.9, 0.9, 0.6], similarity, 2, 0.7) == (0, 2)
    assert diverse([0.9, 0.9, 0.6], similarity, 2, 1.0) == (0, 1)
    assert diverse([0.1, 0.9, 0.6], similarity, 5, 1.0) == (0, 1, 2)
    assert diverse([], np.zeros((0, 0), dtype=np.float32), 3, 0.7) == ()
    assert diverse([0.5], np.ones((1, 1), dtype=np.float32), 0, 0.7) == ()


def hit(entry: Entry, rank: int, score: float) -> Hit:
    return Hit(entry, rank, score, 0.0, 1 / (60 + rank))


def test_the_pool_is_cut_and_holds_no_controls(make_entry: MakeEntry) -> None:
    hits = [hit(make_entry(f"e{i:02}", ["k"], [] if i == 1 else ["Ask."]), i + 1, 0.5) for i in range(20)]
    found = pool(hits, 2)
    assert [h.rank for h in found] == [1, 3, 4, 5, 6, 7]
    assert len(found) == POOL * 2
    assert pool(hits[1:], 2) == ()
    assert pool([], 2) == ()
    assert above_floor(hits, 0.5) == tuple(hits)
    assert above_floor(hits, 0.51) == ()
    assert above_floor(hits, 0.51, tried="e03") == (hits[3],)


def test_beside_the_first_only_what_comes_near_it_is_placed(make_entry: MakeEntry) -> None:
    first, near, far = (hit(make_entry(f"e{i}", ["k"], [f"Line {i}."]), i + 1, score) for i, score in enumerate((0.6, 0.6 * BESIDE, 0.47)))
    assert above_floor([first, near, far], 0.4) == (first, near)
    assert above_floor([far, first], 0.4) == (far, first), "what is ranked later may score higher"
    assert above_floor([first, far], 0.5, tried="e2") == (first,), "a candidate is tested where it would be placed"
    assert above_floor([far, first], 0.5, tried="e2") == (far, first)


def test_beside_the_first_entry_only_entries_of_its_matter_are_placed(make_entry: MakeEntry) -> None:
    def of(name: str, *issues: str) -> Hit:
        entry = make_entry(name, [f"{name} {issue}" for issue in issues], [f"Line {name}."])
        keys = tuple(key.model_copy(update={"issue": issue}) for key, issue in zip(entry.keys, issues, strict=True))
        return hit(entry.model_copy(update={"keys": keys}), 1, 0.6)

    late, both, moved, unknown = of("a", "late"), of("b", "late", "moved"), of("c", "moved"), of("d", "")
    assert above_floor([late, both, moved, unknown], 0.4) == (late, both, unknown)
    assert above_floor([both, late, moved], 0.4) == (both, late, moved)
    assert above_floor([unknown, late, moved], 0.4) == (unknown, late, moved), "what says nothing of its matter excludes nothing"
    assert above_floor([moved, late], 0.7, tried="a") == (late,), "a candidate is tried as if the floor let it through"
    assert above_floor([moved, late], 0.4, tried="a") == (moved,), "and not where another guess is first"


def decision(hits: list[Hit], general: list[Entry], floor: float | None) -> tuple[str, tuple[str, ...], float | None]:
    eligible = above_floor(hits, floor)
    pooled = pool(eligible, SETTINGS.k)
    similarity = np.eye(len(pooled), dtype=np.float32)
    best = max((h.score for h in hits), default=None)
    guidance = decide(eligible, pooled, similarity, general, best=best, settings=SETTINGS).guidance
    return guidance.reason, guidance.entries, guidance.score


def test_what_a_turn_gets(make_entry: MakeEntry) -> None:
    good, control = make_entry("e1", ["k"], ["Ask for it."]), make_entry("e2", ["k"], [])
    company = make_entry("e3", [], ["Be brief."], scope="general")
    assert decision([hit(good, 1, 0.8), hit(control, 2, 0.7)], [company], 0.5) == ("matched", ("e1@1",), 0.8)
    assert decision([hit(control, 1, 0.8), hit(good, 2, 0.7)], [company], 0.5) == ("control", ("e2@1",), 0.8)
    assert decision([hit(control, 1, 0.4), hit(good, 2, 0.7)], [company], 0.5) == ("matched", ("e1@1",), 0.7)
    assert decision([hit(good, 1, 0.4)], [company], 0.5) == ("global", ("e3@1",), 0.4)
    assert decision([hit(good, 1, 0.4)], [], 0.5) == ("weak", (), 0.4)
    assert decision([hit(good, 1, 0.4)], [company], None) == ("matched", ("e1@1",), 0.4)
    assert decision([], [], None) == ("weak", (), None)


def test_lines_that_fit_no_cap_leave_the_turn_without_guidance(make_entry: MakeEntry) -> None:
    entry = make_entry("e1", ["k"], ["x" * 100])
    assert (
        decide(
            [hit(entry, 1, 0.9)],
            [hit(entry, 1, 0.9)],
            np.eye(1, dtype=np.float32),
            [],
            best=0.9,
            settings=RetrievalSettings(max_tokens=20),
        ).guidance.reason
        == "weak"
    )


def test_specific_lines_come_first_and_each_line_once(make_entry: MakeEntry) -> None:
    first = make_entry("e1", ["k"]).model_copy(
        update={"strategies": (Strategy(text="Stay brief.", scope="general"), Strategy(text="If late, open a trace."))}
    )
    second = make_entry("e2", ["k"], ["if late, OPEN a trace", "Ask for the postcode."])
    third = make_entry("e3", ["k"], ["If late, open a trace!"])
    lines, used = merge([first, second, third], 8, 350)
    assert lines == ("If late, open a trace.", "Ask for the postcode.", "Stay brief.")
    assert used == ("e1@1", "e2@1", "e3@1")


def test_a_long_line_is_skipped_and_a_shorter_one_behind_it_comes(make_entry: MakeEntry) -> None:
    lines, used = merge([make_entry("e1", ["k"], ["Long " * 30]), make_entry("e2", ["k"], ["Ask."])], 8, 20)
    assert lines == ("Ask.",)
    assert used == ("e2@1",)


WORDS = st.lists(st.sampled_from(["ask", "for", "the", "code", "never", "promise", "dates", "when", "late"]), min_size=1, max_size=12).map(
    " ".join
)


@given(st.lists(st.lists(WORDS, max_size=4), max_size=5), st.integers(1, 8), st.integers(20, 60))
@settings(max_examples=100, deadline=None)
def test_caps_always_hold_and_no_line_is_made_up(make_entry: MakeEntry, texts: list[list[str]], max_lines: int, max_tokens: int) -> None:
    entries = [make_entry(f"e{i}", ["k"], lines) for i, lines in enumerate(texts)]
    lines, used = merge(entries, max_lines, max_tokens)
    assert len(lines) <= max_lines
    assert sum(estimate_tokens(line) for line in lines) <= max_tokens
    assert not any(says_the_same(a, b) for i, a in enumerate(lines) for b in lines[:i])
    assert set(lines) <= {line for group in texts for line in group}
    assert all(any(says_the_same(s.text, line) for s in entry.strategies for line in lines) for entry in entries if entry.ref in used)


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("Ask for the code.", "ask for the CODE", True),
        ("Ask politely for the code on the label", "Ask for the code on the label", True),
        ("Promise the date when the parcel is late", "Never promise the date when the parcel is late", False),
        ("Ask before you open a trace", "Ask after you open a trace", False),
        ("Ask for the code", "Offer the pick-up point", False),
        ("!", "?", True),
    ],
)
def test_when_two_lines_say_the_same(first: str, second: str, same: bool) -> None:
    assert says_the_same(first, second) is says_the_same(second, first) is same
