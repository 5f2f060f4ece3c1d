"""The gate's pool of moments: where a candidate would be used, what it changes there, and that this is known before any reply."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from strategist.conversation import opening_scenario
from strategist.gate.moments import choose_moments
from strategist.lab.domain import lab_domain
from strategist.lab.worlds import load_world
from strategist.loop.testbed import TestBed, entry_of
from strategist.records.library import Candidate, Entry, Floor, Guidance, Key, Scope, Snapshot, Strategy
from strategist.records.trace import Scenario
from strategist.retrieval.embed import HashedEmbedder
from strategist.retrieval.retriever import Retriever
from strategist.roles.scripted_customer import ScriptedCustomer
from strategist.settings import RetrievalSettings
from tests.loop.made import candidate

DOMAIN = lab_domain(load_world("specific"))
ISSUE = DOMAIN.issues[0]
LINE, OTHER = "When a parcel is overdue, say that you start a trace.", "When a price is asked, name the price list."


def openings(count: int) -> list[Scenario]:
    """The first states of this many train customers, of all issues in turn."""

    async def all_() -> list[Scenario]:
        customer = ScriptedCustomer()
        return [await opening_scenario(customer, DOMAIN, DOMAIN.draw("train", i, 0), index=i) for i in range(count)]

    return asyncio.run(all_())


STATES = openings(3 * len(DOMAIN.issues))
MINE = [s for s in STATES if s.issue == ISSUE]


def key_of(state: Scenario) -> Key:
    return Key(scenario=state.id, persona=state.persona, issue=state.issue, text=state.key)


def proposal(*lines: str, at: Sequence[Scenario] = MINE[:1], scope: Scope = "specific", name: str = "c0") -> Candidate:
    return candidate(name, *lines, keys=[key_of(s) for s in at], scope=scope)


def library_entry(*lines: str, at: Sequence[Scenario] = (), scope: Scope = "specific", name: str = "e0") -> Entry:
    own = entry_of(proposal(*lines, at=at or MINE[:1], scope=scope), id=name)
    return own.model_copy(update={"status": "admitted"})


def bed_over(
    *entries: Entry,
    states: Sequence[Scenario] = STATES,
    relevance: float | None = 0.25,
    k: int = 3,
    own_phase: bool = False,
    candidates: Sequence[Candidate] = (),
    again: Mapping[str, Entry] | None = None,
    floor: Floor | None = None,
) -> TestBed:
    settings = RetrievalSettings(embedder="hashed", floor=relevance, k=k)

    async def build() -> TestBed:
        embedder = HashedEmbedder()
        retriever = await Retriever.build(Snapshot(entries=entries, floor=floor), embedder, settings)
        bed = TestBed(retriever, embedder, settings, candidates=candidates, own_phase=own_phase, again=again)
        bed.add(states)
        return bed

    return asyncio.run(build())


def usable(bed: TestBed, one: Candidate) -> list[Scenario]:
    return [ranked.scenario for ranked in asyncio.run(bed.usable(one))]


def from_library(bed: TestBed, state: Scenario) -> Guidance:
    return asyncio.run(bed.retriever.guidance(state.messages))


def test_moments_are_like_the_keys_and_mostly_of_their_issue() -> None:
    found = asyncio.run(bed_over().usable(proposal(LINE)))
    assert MINE[0] in [r.scenario for r in found]
    assert len(found) < len(STATES) / 2
    assert all(r.score >= 0.25 and r.rank == 1 for r in found)
    assert all(r.scenario not in usable(bed_over(relevance=0.99), proposal(LINE)) for r in found if r.scenario != MINE[0])


@pytest.mark.parametrize("scope", ["specific", "general"])
@pytest.mark.parametrize("later_key", [False, True])
def test_with_own_phase_openings_test_openings_and_later_turns_later_turns(later_key: bool, scope: Scope) -> None:
    later = [s.model_copy(update={"id": f"{s.id}-later", "key": f"{s.key}\nWe will see.\n{s.key}", "turn": 1}) for s in STATES]
    key = (later if later_key else STATES)[STATES.index(MINE[0])]
    one = proposal(LINE, at=[key], scope=scope)
    anywhere = {s.turn for s in usable(bed_over(states=[*STATES, *later]), one)}
    found = usable(bed_over(states=[*STATES, *later], own_phase=True), one)
    assert anywhere == {0, 1}
    assert {s.turn for s in found} == {int(later_key)}


def test_a_moment_that_is_nearer_to_another_matter_is_not_this_candidates() -> None:
    other = next(s for s in STATES if s.issue != ISSUE)
    theirs = [s for s in STATES if s.issue == other.issue]
    one, rival = proposal(LINE, at=MINE[:1]), proposal(OTHER, at=theirs[:1], name="c1")
    alone = usable(bed_over(relevance=0.0), one)
    beside = usable(bed_over(relevance=0.0, candidates=[one, rival]), one)
    known = usable(bed_over(library_entry(OTHER, at=theirs[:1], name="e1"), relevance=0.0), one)
    assert theirs[0] in alone
    assert theirs[0] not in beside
    assert theirs[0] not in known
    assert MINE[0] in beside
    assert {s.id for s in beside} < {s.id for s in alone}
    same_matter = proposal(OTHER, at=MINE[1:2], name="c1")
    assert MINE[1] in usable(bed_over(relevance=0.0, candidates=[one, same_matter]), one), "lines of one matter are no rivals"


def test_how_alike_a_moment_must_be_is_where_the_nearest_are_mostly_of_its_issue() -> None:
    def state(number: int, issue: str, words: str) -> Scenario:
        return MINE[0].model_copy(update={"id": f"s{number}", "persona": f"train-{number}-0", "issue": issue, "key": words})

    near = [state(n, ISSUE, "parcel late tracking courier depot") for n in range(8)]
    far = [state(10 + n, "other", "parcel late invoice refund voucher") for n in range(8)]
    bed = bed_over(states=[*near, *far], relevance=None)
    one = proposal(LINE, at=[state(30, ISSUE, "parcel late tracking courier street")])
    assert {s.id for s in asyncio.run(bed._alike(one, bed.pool))} == {s.id for s in near}


def test_never_the_customers_it_was_coached_on() -> None:
    one = proposal(LINE, at=MINE[:2])
    bed = bed_over(relevance=0.0)
    chosen = choose_moments(one, asyncio.run(bed.usable(one)), k=3, most=len(STATES))
    assert chosen
    assert not one.personas & {m.scenario.persona for m in chosen}


def test_a_moment_counts_only_where_the_lines_change() -> None:
    bed = bed_over(library_entry(LINE))
    one = proposal(LINE, at=[STATES[1]])
    places = usable(bed, one)
    assert STATES[1] in places, "L is silent there"
    assert MINE[0] not in places, "L says the same there"
    for state in places:
        assert bed.guided(one, state).lines != bed.base(state).lines
    assert bed.shortage(one, asyncio.run(bed.usable(one)), 1 + len(places)) > 0


def test_beside_a_candidate_stand_the_entries_that_the_library_would_use() -> None:
    bed = bed_over(library_entry(OTHER, name="e1"))
    assert MINE[0] in usable(bed, proposal(LINE))
    given = bed.guided(proposal(LINE), MINE[0])
    assert (set(given.lines), given.reason) == ({LINE, OTHER}, "matched")
    assert set(given.entries) == {"e0@1", "e1@1"}


def test_what_is_tested_is_what_service_would_give() -> None:
    """The library with the candidate, built from scratch with a floor that the candidate reaches, gives the same lines in that order."""
    known = [library_entry(OTHER, at=MINE[1:3], name="e1"), library_entry("Say sorry.", at=STATES[:2], name="e2")]
    one = proposal(LINE, at=MINE[:2])
    for k in (1, 2):
        bed, joint = bed_over(*known, relevance=0.3, k=k), bed_over(*known, entry_of(one), relevance=0.3, k=k)
        places = usable(bed, one)
        assert places
        for state in places:
            assert bed.guided(one, state) == from_library(joint, state)
        for state in (s for s in STATES if s not in places):
            given = from_library(joint, state)
            assert "e0@1" not in given.entries or given.lines == from_library(bed, state).lines


def test_where_others_take_all_places_a_candidate_is_not_tested() -> None:
    own = library_entry(OTHER, at=[MINE[1]], name="a1")
    bed = bed_over(own, k=1)
    one = proposal(LINE, at=[MINE[0]])
    places = usable(bed, one)
    assert MINE[1] not in places, "the library's own key is nearer there"
    assert MINE[0] in places
    assert bed.guided(one, MINE[0]).lines == (LINE,)


def test_a_control_leaves_nothing_and_counts_where_the_library_speaks() -> None:
    control = proposal()
    silent = bed_over()
    assert usable(silent, control) == []
    bed = bed_over(library_entry(LINE, at=MINE[1:2], name="e1"))
    places = usable(bed, control)
    assert MINE[0] in places
    assert MINE[1] not in places, "the entry is on top there, the control would not silence it"
    for state in places:
        assert bed.base(state).lines == (LINE,)
        assert bed.guided(control, state).lines == ()
        assert (bed.guided(control, state).entries, bed.guided(control, state).reason) == (("e0@1",), "control")


def test_an_entry_that_is_tested_again_stands_against_the_library_without_it() -> None:
    mine, other = library_entry(LINE, name="e1"), library_entry(OTHER, at=[STATES[1]], name="e2")
    one, two = proposal(LINE, name="ce1"), proposal(OTHER, at=[STATES[1]], name="ce2")
    bed = bed_over(mine, other, candidates=[one, two], again={"ce1": mine, "ce2": other})
    places = {c.id: usable(bed, c) for c in (one, two)}
    assert MINE[0] in places["ce1"], "the library says it there already, and does not without it"
    assert STATES[1] in places["ce2"]
    for c in (one, two):
        for state in places[c.id]:
            assert c.strategies[0].text not in bed.base(state, c).lines
            assert bed.guided(c, state).lines == from_library(bed, state).lines, "with it the library is what it is"
    assert bed.guided(one, MINE[0]).entries[0] == "e1@1"


def test_an_entry_that_is_tested_again_but_does_not_serve_stands_against_the_whole_library() -> None:
    mine, other = library_entry(LINE, name="e1"), library_entry(OTHER, at=[STATES[1]], name="e2")
    one = proposal(LINE, name="ce1")
    bed = bed_over(other, candidates=[one], again={"ce1": mine})
    assert [s for s in usable(bed, one) if from_library(bed, s).lines != bed.base(s, one).lines] == []


def test_what_is_alike_enough_for_an_entry_is_what_reaches_the_floor_of_its_library() -> None:
    mine = library_entry(LINE, name="e1")
    one = proposal(LINE, name="ce1")
    found = [usable(bed_over(mine, relevance=None, again={"ce1": mine}, floor=Floor(score=s, source="fixed")), one) for s in (0.2, 0.95)]
    assert len(found[0]) > len(found[1]) > 0
    assert usable(bed_over(mine, relevance=None, again={"ce1": mine}), one), "without a floor, as for any candidate"


def test_an_entry_for_everywhere_has_no_phase() -> None:
    wide = proposal(LINE, scope="general", name="ce1").model_copy(update={"keys": ()})
    mine = library_entry(LINE, scope="general", name="e1")
    bed = bed_over(mine, own_phase=True, again={"ce1": mine})
    assert len(usable(bed, wide)) == len(STATES)


def test_a_company_wide_line_counts_where_nothing_specific_matches() -> None:
    wide = proposal(LINE, scope="general")
    bed = bed_over(library_entry(OTHER, name="e1"), library_entry("Be kind.", scope="general", name="e2"))
    places = usable(bed, wide)
    assert places
    assert MINE[0] not in places
    assert all(bed.base(s).reason == "global" for s in places)
    given = bed.guided(wide, places[0])
    assert (given.reason, set(given.lines)) == ("global", {LINE, "Be kind."})


def test_it_grows_and_knows_what_it_has_seen() -> None:
    bed, one = bed_over(states=STATES[:10]), proposal(LINE)
    before = usable(bed, one)
    bed.add(STATES)
    assert len(bed.pool) == len(STATES)
    after = usable(bed, one)
    assert after[: len(before)] == before
    assert sorted(s.id for s in after) == sorted(s.id for s in usable(bed_over(), one))
    assert usable(bed, one) == after


@pytest.mark.parametrize("scope", ["specific", "general"])
def test_a_candidate_as_the_entry_it_would_become(scope: Scope) -> None:
    one = proposal(LINE, scope=scope, name="cabc")
    entry = entry_of(one)
    assert (entry.id, entry.status, entry.strategies, entry.scope) == ("eabc", "proposed", (Strategy(text=LINE, scope=scope),), scope)
    assert entry.keys == (one.keys if scope == "specific" else ())
    assert entry_of(one, id="x").id == "x"
