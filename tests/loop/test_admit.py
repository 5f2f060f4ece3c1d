"""admit: which customers are drawn where the gate is short of moments, and what is known before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategist.domains.persona import CustomerTurn, Persona
from strategist.errors import ModelError
from strategist.gate.moments import RankedScenario
from strategist.lab.domain import lab_domain
from strategist.lab.worlds import load_world
from strategist.loop.admit import (
    SEARCH,
    _add_conversations,
    _add_openings,
    _short,
    _wanted,
    admit,
    extra_personas,
    known_states,
)
from strategist.loop.consolidate import _states
from strategist.loop.deps import Deps
from strategist.loop.testbed import TestBed
from strategist.records.base import stable_int
from strategist.records.chat import Message, Purpose
from strategist.records.evidence import Evidence
from strategist.records.library import Candidate, Refusal
from strategist.records.trace import Scenario, Trace
from strategist.roles.scripted_customer import ScriptedCustomer
from strategist.settings import GateSettings
from tests.loop.made import PURE, candidate, key, scenario
from tests.loop.small import small, with_deps

DOMAIN = lab_domain(load_world("specific"))


@pytest.fixture(scope="module")
def deps(tmp_path_factory: pytest.TempPathFactory) -> Deps:
    """The parts of a run whose project is closed again: for what reads no database."""

    async def same(deps: Deps) -> Deps:
        return deps

    settings = small(tmp_path_factory.mktemp("drawing"))
    return with_deps(
        settings.model_copy(update={"student": settings.student.model_copy(update={"adapter": "lab", "model": "specific/student"})}), same
    )


@PURE
@given(
    wanted=st.dictionaries(st.sampled_from(DOMAIN.issues), st.integers(0, 5), max_size=4),
    start=st.integers(0, 300_000),
    used=st.sets(st.integers(0, 60)),
)
def test_new_customers_with_the_wanted_issues(deps: Deps, wanted: dict[str, int], start: int, used: set[int]) -> None:
    found = extra_personas(deps, start, wanted, used={start + i for i in used})
    assert not {index - start for index, _ in found} & used
    assert Counter(p.issue for _, p in found) == Counter({issue: count for issue, count in wanted.items() if count})
    assert all(p.split == "train" and p.seed == deps.run.seed for _, p in found)
    indices = [index for index, _ in found]
    assert indices == sorted(set(indices))
    assert all(start <= index < start + SEARCH for index in indices)


def test_an_issue_that_nobody_has_ends_the_search(deps: Deps) -> None:
    assert extra_personas(deps, 0, {"no such issue": 1}) == []


@pytest.mark.usefixtures("own_models")
def test_openings_and_conversations_of_all_rounds_are_of_different_customers(tmp_path: Path) -> None:
    """Regression: the conversations were those of the customers who had just opened."""

    async def work(deps: Deps) -> tuple[list[str], list[str]]:
        odd = candidate("c0", "Ask.", keys=[key("zebra quagga okapi", issue="late")])
        for round_ in range(2):
            deps.store.put_document(deps.run.id, "candidate", f"c{round_}", round_, 0, odd.model_copy(update={"id": f"c{round_}"}))
            await admit(deps, round_, lambda done, total, what="": None)
        played = [t.persona for t in deps.store.traces(deps.run.id)]
        drawn = deps.store.documents(deps.run.id, "extra_scenario", Scenario)
        return played, [s.persona for s in drawn if s.persona not in played]

    played, opened = with_deps(small(tmp_path), work)
    assert len(played) == len(set(played)) > 4
    assert len(opened) == len(set(opened)) > 50


@pytest.mark.usefixtures("own_models")
def test_the_pool_is_this_and_earlier_rounds_and_what_earlier_rounds_drew_beyond(tmp_path: Path) -> None:
    async def work(deps: Deps) -> tuple[list[str], list[str]]:
        for kind in ("scenario", "extra_scenario"):
            for round_ in range(3):
                name = f"{kind}-{round_}"
                deps.store.put_document(deps.run.id, kind, name, round_, 0, scenario(name))
        everything = _states(deps, 1, "scenario", "extra_scenario")
        return [s.id for s in known_states(deps, 1)], [s.id for s in everything]

    plain, with_extras = with_deps(small(tmp_path), work)
    assert plain == ["scenario-0", "extra_scenario-0", "scenario-1"]
    assert with_extras == [*plain, "extra_scenario-1"]


def is_mute(persona: str) -> bool:
    return stable_int("mute", persona) % 2 == 0


class Mute(ScriptedCustomer):
    """A customer by a model that fails with half of the people."""

    failed = 0

    async def next(self, persona: Persona, messages: Sequence[Message], *, purpose: Purpose, sample: int = 0) -> CustomerTurn:
        if is_mute(persona.id):
            self.failed += 1
            raise ModelError("the customer said nothing", kind="customer")
        return await super().next(persona, messages, purpose=purpose, sample=sample)


@pytest.mark.usefixtures("own_models")
def test_a_customer_that_cannot_open_is_no_moment_and_ends_nothing(tmp_path: Path) -> None:
    """Regression: the failure of one opening ended the run."""

    customer = Mute()

    async def work(deps: Deps) -> tuple[list[Scenario], list[Evidence], list[Refusal]]:
        only = candidate(
            "c0", "When a parcel is overdue, say that you start a trace.", keys=[key("my parcel has not arrived", issue="late")]
        )
        deps.store.put_document(deps.run.id, "candidate", only.id, 0, 0, only)
        await admit(replace(deps, customer=customer), 0, lambda done, total, what="": None)
        read, run = deps.store.documents, deps.run.id
        return read(run, "extra_scenario", Scenario), read(run, "evidence", Evidence), read(run, "refusal", Refusal)

    extra, evidence, refusals = with_deps(small(tmp_path), work)
    assert extra
    assert customer.failed > 0
    assert not any(is_mute(s.persona) for s in extra)
    assert len(evidence) == 1
    assert [r.reason for r in refusals] == [e.decision.replace("_", " ") for e in evidence if e.decision != "admitted"]


@pytest.mark.usefixtures("own_models")
def test_without_candidates_nothing_is_asked(tmp_path: Path) -> None:
    async def work(deps: Deps) -> tuple[list[Evidence], int]:
        await admit(deps, 0, lambda done, total, what="": None)
        return deps.store.documents(deps.run.id, "evidence", Evidence), deps.spent()[0]

    assert with_deps(small(tmp_path), work) == ([], 0)


@pytest.mark.usefixtures("own_models")
def test_where_customers_run_out_a_candidate_stays_short_of_moments(tmp_path: Path) -> None:
    async def work(deps: Deps) -> list[tuple[str, int]]:
        odd = candidate("c0", "Ask.", keys=[key("zebra quagga okapi", issue="late")])
        deps.store.put_document(deps.run.id, "candidate", odd.id, 0, 0, odd)
        await admit(deps, 0, lambda done, total, what="": None)
        return [(e.decision, e.replies) for e in deps.store.documents(deps.run.id, "evidence", Evidence)]

    assert with_deps(small(tmp_path), work) == [("too_few_moments", 0)]


class Pool:
    """Stands in for the gate's pool: a candidate has as many moments as a full test needs, less what it is short of at first, and the
    states of its issue that came since."""

    def __init__(self, short: dict[str, int], *, useless: Collection[str] = (), full: int = 7) -> None:
        self.held, self.useless, self.came, self.first = {c: full - n for c, n in short.items()}, useless, Counter[str](), ""
        self.pool = [scenario("s-late", issue="late"), scenario("s-deep", issue="broken").model_copy(update={"turn": 2})]

    async def usable(self, candidate: Candidate) -> list[RankedScenario]:
        return []

    def shortage(self, candidate: Candidate, usable: Sequence[RankedScenario], needed: int) -> int:
        issue = candidate.keys[0].issue
        return max(0, needed - self.held[candidate.id] - (0 if issue in self.useless else self.came[issue]))

    def add(self, states: Sequence[Scenario]) -> None:
        self.first = self.first or states[0].issue
        self.came.update(s.issue for s in states if s.turn == (2 if s.issue == "broken" else 0))


def played_for(
    folder: Path, pool: Pool, candidates: Sequence[Candidate], *, conversations: int, gate: GateSettings | None = None
) -> list[Trace]:
    """The conversations that are played for these candidates."""

    async def work(deps: Deps) -> list[Trace]:
        await _add_conversations(deps, 0, cast(TestBed, pool), candidates, lambda done, total, what="": told.append((done, total)))
        return list(deps.store.traces(deps.run.id))

    told: list[tuple[int, int]] = []
    settings = small(folder, conversations=conversations, max_turns=6)
    traces = with_deps(settings.model_copy(update={"gate": gate or settings.gate}), work)
    assert not told or told[-1] == (len(traces), len(traces)), "told how many there are in all"
    return traces


LATE = candidate("c-late", "Ask.", keys=[key("late", issue="late")])
DEEP = candidate("c-deep", "Say.", keys=[key("deep", issue="broken")])


@pytest.mark.usefixtures("own_models")
def test_conversations_go_to_the_cheapest_candidate_first_and_no_further_than_it_needs(tmp_path: Path) -> None:
    pool = Pool({"c-late": 3, "c-deep": 2})
    traces = played_for(tmp_path, pool, [DEEP, LATE], conversations=20)
    assert pool.first == "late", "2 x 3 conversations of one turn cost less than 2 x 2 of three"
    assert {t.issue for t in traces} == {"broken", "late"}
    assert {issue: max(len(t.turns) for t in traces if t.issue == issue) for issue in ("broken", "late")} == {"broken": 3, "late": 1}


@pytest.mark.usefixtures("own_models")
@pytest.mark.parametrize("conversations", [1, 2, 5])
def test_no_more_turns_are_planned_than_a_round_may_spend(tmp_path: Path, conversations: int) -> None:
    traces = played_for(tmp_path, Pool({"c-late": 90, "c-deep": 80}), [LATE, DEEP], conversations=conversations)
    planned = sum(3 if t.issue == "broken" else 1 for t in traces)
    assert 0 < planned <= GateSettings().extra_turns * conversations
    assert len({t.persona for t in traces}) == len(traces)


@pytest.mark.usefixtures("own_models")
def test_what_can_be_completed_comes_before_what_cannot(tmp_path: Path) -> None:
    pool = Pool({"c-late": 9, "c-deep": 2})
    played_for(tmp_path, pool, [LATE, DEEP], conversations=4)
    assert pool.first == "broken", "16 turns are enough for 2 x 2 of three turns, not for 2 x 9"
    assert pool.came["late"], "the rest is not wasted"


@pytest.mark.usefixtures("own_models")
def test_what_counts_as_alike_for_a_control_is_not_set_by_customers_drawn_for_others(tmp_path: Path) -> None:
    """Regression: controls were first looked at after thousands of openings, and were short of moments for it."""

    async def work(deps: Deps) -> list[float]:
        seen = []
        for others in ((), (candidate("c-late", "Ask.", keys=[key("zebra quagga", issue="late")]),)):
            bed = TestBed(await deps.retriever(deps.library_now()), deps.embedder, deps.settings.retrieval)
            own = [scenario(f"s{i}", persona=f"train-{i}-0", text=f"parcel {i}", issue="login") for i in range(3)]
            bed.add([s.model_copy(update={"messages": (Message(role="user", content=s.key),)}) for s in own])
            control = candidate("c-none", keys=[key("parcel late again", issue="moved")])
            if wanted := _wanted(await _short(bed, [control, *others], deps.settings.gate.most)):
                await _add_openings(deps, 0, bed, wanted, lambda done, total, what="": None)
            await bed.usable(control)
            seen.append(bed._alike_from[control.id])
        return seen

    settings = small(tmp_path)
    alone, beside = with_deps(settings.model_copy(update={"retrieval": settings.retrieval.model_copy(update={"floor": None})}), work)
    assert alone == beside


TWO_SIZES = GateSettings(look=1, most=10, least=4)


@pytest.mark.usefixtures("own_models")
def test_a_candidate_that_cannot_be_tested_at_all_comes_before_one_whose_test_could_be_larger(tmp_path: Path) -> None:
    pool = Pool({"c-late": 4, "c-deep": 8}, full=TWO_SIZES.most)
    traces = played_for(tmp_path, pool, [LATE, DEEP], conversations=20, gate=TWO_SIZES)
    assert pool.first == "broken", "late is cheaper, but has six moments, and four are enough"
    assert pool.came["late"] >= 4, "then it grows"
    assert len({t.persona for t in traces}) == len(traces)


@pytest.mark.usefixtures("own_models")
def test_who_gained_nothing_is_not_tried_again_for_a_larger_test(tmp_path: Path) -> None:
    pool = Pool({"c-late": 4, "c-deep": 8}, useless=["broken"], full=TWO_SIZES.most)
    traces = played_for(tmp_path, pool, [LATE, DEEP], conversations=20, gate=TWO_SIZES)
    assert Counter(t.issue for t in traces)["broken"] == 2 * 2, "two for each of the two that it lacks, once"


@pytest.mark.usefixtures("own_models")
def test_what_cannot_be_completed_leaves_the_budget_to_what_can(tmp_path: Path) -> None:
    pool = Pool({"c-late": 4, "c-deep": 90}, full=TWO_SIZES.most)
    played_for(tmp_path, pool, [LATE, DEEP], conversations=3, gate=TWO_SIZES)
    assert pool.first == "late", "12 turns are enough for 2 x 4 of one turn, and not for what deep lacks to four moments"


@pytest.mark.usefixtures("own_models")
@pytest.mark.parametrize("turns", [0, 1, 3])
def test_a_setting_says_how_many_turns_a_round_may_spend(tmp_path: Path, turns: int) -> None:
    gate = TWO_SIZES.model_copy(update={"extra_turns": turns})
    traces = played_for(tmp_path, Pool({"c-late": 90}, full=TWO_SIZES.most), [LATE], conversations=5, gate=gate)
    assert len(traces) == 5 * turns


@pytest.mark.usefixtures("own_models")
def test_a_candidate_that_gains_nothing_is_given_up_for_the_round(tmp_path: Path) -> None:
    traces = played_for(tmp_path, Pool({"c-late": 3, "c-deep": 4}, useless=["late"]), [LATE, DEEP], conversations=30)
    counts = Counter(t.issue for t in traces)
    assert counts["late"] == 2 * 3, "tried once"
    assert counts["broken"] >= 4, "the next one gets what is left"
