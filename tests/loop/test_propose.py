"""propose: what goes to the gate, how often it was there before, and what comes again."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategist.loop.coached import Coached
from strategist.loop.deps import Deps
from strategist.loop.propose import CONTROL_SHARE, choose, is_open, propose
from strategist.records.evidence import Decision, Evidence, Pair
from strategist.records.library import Candidate, Scope, Snapshot
from strategist.roles.protocols import Attempt
from tests.loop.made import PURE, candidate, entry, evidence, key, scenario
from tests.loop.small import small, with_deps

kinds = st.tuples(st.booleans(), st.sampled_from(["specific", "general"]), st.integers(1, 3))


def made(index: int, kind: tuple[bool, Scope, int]) -> Candidate:
    control, scope, keys = kind
    return candidate(f"c{index}", *([] if control else ["Ask."]), keys=[key(f"k{index}-{i}") for i in range(keys)], scope=scope)


@PURE
@given(st.lists(kinds, max_size=24), st.integers(1, 16), st.booleans(), st.randoms(use_true_random=False))
def test_limits_and_order(found: list[tuple[bool, Scope, int]], limit: int, controls: bool, order: object) -> None:
    everyone = [made(i, kind) for i, kind in enumerate(found)]
    chosen = choose(everyone, limit=limit, controls=controls)
    assert len(chosen) <= limit
    assert len({c.id for c in chosen}) == len(chosen)
    nothing = [c for c in chosen if c.is_control]
    assert chosen == [c for c in chosen if not c.is_control] + nothing, "controls come last"
    assert len(nothing) <= (limit // CONTROL_SHARE if controls else 0)
    advice = chosen[: len(chosen) - len(nothing)]
    assert [(c.scope != "general", -len(c.keys), c.id) for c in advice] == sorted(
        (c.scope != "general", -len(c.keys), c.id) for c in advice
    )
    left = [c for c in everyone if not c.is_control and c not in chosen]
    assert not left or len(advice) == limit - len(nothing), "no place stays empty while there is advice"
    assert choose(list(reversed(everyone)), limit=limit, controls=controls) == chosen


def put(deps: Deps, round_: int, found: list[tuple[Candidate, Decision]]) -> None:
    """A round that was decided."""
    own = [(c.model_copy(update={"round": round_, "index": i}), decision) for i, (c, decision) in enumerate(found)]
    deps.store.put_documents(deps.run.id, "candidate", [(c.id, round_, c.index, c) for c, _ in own])
    deps.store.put_documents(deps.run.id, "evidence", [(c.id, round_, c.index, evidence(decision)) for c, decision in own])


@pytest.mark.usefixtures("own_models")
def test_what_was_short_of_moments_comes_again_and_tries_are_counted(tmp_path: Path) -> None:
    short, tested, control = candidate("short", "Open a trace."), candidate("tested", "Name the deadline."), candidate("nothing")
    failed, behind = candidate("failed", "Say sorry."), candidate("behind", "Be brief.")
    put_first = [
        (short, "too_few_moments"), (tested, "not_significant"), (failed, "incomplete"), (behind, "dropped_first_stage"),
        (control, "too_few_moments"),
    ]  # fmt: skip

    async def work(deps: Deps) -> list[Candidate]:
        put(deps, 0, put_first)  # type: ignore[arg-type]
        again = candidate("again", "Name the deadline.", keys=[key("new")], round_=1)
        await propose(deps, 1, [again, candidate("control", round_=1)], Snapshot())
        return deps.store.documents(deps.run.id, "candidate", Candidate, 1)

    found = with_deps(small(tmp_path), work)
    assert {c.strategies[0].text: c.tries for c in found} == {"Open a trace.": 1, "Name the deadline.": 2, "Say sorry.": 2}
    assert [c.index for c in found] == [0, 1, 2]
    assert {c.round for c in found} == {1}
    assert {c.id for c in found}.isdisjoint({"short", "tested", "failed"}), "a new hypothesis has a new id"


def test_a_small_test_that_was_not_significant_leaves_a_candidate_open() -> None:
    pairs = tuple(
        Pair(scenario="s", persona="p", stage=1, score=1, result="tie", uplift=0, baseline_hard=0, guided_hard=0) for _ in range(9)
    )
    decisions = ("not_significant", "dropped_first_stage", "admitted", "more_hard_failures")
    assert [is_open(Evidence(decision=d, pairs=pairs), full=10) for d in decisions] == [True, False, False, False]
    assert not is_open(Evidence(decision="not_significant", pairs=pairs), full=9)


@pytest.mark.usefixtures("own_models")
def test_nobody_on_whom_a_line_was_tried_may_test_it(tmp_path: Path) -> None:
    """Regression: a text that came again in a later round could be tested on the customers of the earlier one."""

    async def work(deps: Deps) -> list[Candidate]:
        people = [scenario(f"s{i}", persona=f"train-{i}-0") for i in range(4)]
        tried = ["Open a trace.", "Say sorry.", "Open a trace.", "Be brief."]
        for i, (state, line) in enumerate(zip(people, tried, strict=True)):
            one = Coached(scenario=state.id, kind="refusal", attempts=(Attempt(text="No."), Attempt(text="Yes.", lines=(line,))))
            deps.store.put_document(deps.run.id, "scenario", state.id, i % 2, i, state)
            deps.store.put_document(deps.run.id, "coached", state.id, i % 2, i, one)
        known = entry("e", "Open a trace.", keys=[key("k", persona="train-8-0")])
        mine = [
            candidate("c1", "Open a trace.", keys=[key("k1", persona="train-0-0")], round_=1),
            candidate("c2", "Open a trace.", keys=[key("k2", persona="train-9-0", text="k1")], round_=1),
            candidate("c3", "Say sorry.", keys=[key("k3", persona="train-7-0")], round_=1),
            candidate("c4", keys=[key("k4", persona="train-5-0")], round_=1),
        ]
        await propose(deps, 1, mine, Snapshot(entries=(known,)))
        return deps.store.documents(deps.run.id, "candidate", Candidate, 1)

    found = {c.strategies[0].text if c.strategies else "": c.personas for c in with_deps(small(tmp_path), work)}
    assert found == {
        "Open a trace.": {"train-0-0", "train-2-0", "train-8-0", "train-9-0"},
        "Say sorry.": {"train-1-0", "train-7-0"},
        "": {"train-5-0"},
    }


@pytest.mark.usefixtures("own_models")
def test_tries_of_controls_are_counted_by_their_keys(tmp_path: Path) -> None:
    async def work(deps: Deps) -> dict[str, int]:
        put(deps, 0, [(candidate("one", keys=[key("a")]), "not_significant")])
        again = [candidate("c1", keys=[key("a")], round_=1), candidate("c2", keys=[key("b")], round_=1)]
        await propose(deps, 1, again, Snapshot(entries=(entry("e", "Ask."),)))
        return {c.keys[0].text: c.tries for c in deps.store.documents(deps.run.id, "candidate", Candidate, 1)}

    assert with_deps(small(tmp_path, candidates=8), work) == {"a": 2, "b": 1}


@pytest.mark.usefixtures("own_models")
def test_controls_are_proposed_once_there_is_something_to_silence(tmp_path: Path) -> None:
    async def work(deps: Deps) -> list[bool]:
        await propose(deps, 0, [candidate("control")], Snapshot(entries=(entry("e", "Ask."),)))
        return [c.is_control for c in deps.store.documents(deps.run.id, "candidate", Candidate, 0)]

    assert with_deps(small(tmp_path), work) == [True]
