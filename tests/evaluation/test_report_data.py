from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from strategist.domains.checks import turn_check
from strategist.domains.domain import Domain
from strategist.errors import StoreError
from strategist.evaluation.report_data import (
    ReportData,
    gather,
    is_simulated,
    keep_outcomes,
    record_opening,
    result_outcomes,
    warnings_of,
)
from strategist.evaluation.study import compare
from strategist.library.library import Library
from strategist.records.chat import Message
from strategist.records.evidence import Evidence
from strategist.records.library import Entry, Key, Refusal, Strategy
from strategist.records.run import ArmName, ArmOutcome, Overrun, RoundSummary, RunInfo
from strategist.records.trace import Failure, FailureKind, Scenario, Trace
from strategist.stats import Estimate
from strategist.store import Store, open_store
from strategist.store.calls import OVERRUN

RUN = RunInfo(
    id="r1",
    domain="small",
    pack_hash="p",
    brief_hash="b",
    learning_hash="l",
    code="c",
    seed=0,
    student="openai:small",
    advisor="handbook",
    embedder="hashed",
    rounds=2,
    stop="rounds",
)


def no_persona(split: object, index: int, seed: int) -> object:
    raise AssertionError("a report draws no persona")


DOMAIN = Domain(
    name="small",
    title="Small Parcels",
    language="en",
    brief="# Brief",
    pack_hash="p",
    checks=(turn_check("kind", about="says sorry", rules=("R1",))(lambda view: True),),
    tools=(),
    draw=no_persona,  # type: ignore[arg-type]
    split_sizes={"train": 1, "dev": 3, "test": 1},
    issues=("lost",),
)


def outcome(arm: ArmName, persona: str, score: float | None, seed: int = 0) -> ArmOutcome:
    return ArmOutcome(arm=arm, persona=persona, issue="lost", seed=seed, score=score, goal=False, hard_failures=0, agent_turns=2)


def pair(persona: str, bare: float, library: float | None, seed: int = 0) -> tuple[ArmOutcome, ...]:
    return outcome("bare", persona, bare, seed), outcome("library", persona, library, seed)


def summary(number: int, *outcomes: ArmOutcome) -> RoundSummary:
    return RoundSummary(
        round=number,
        conversations=4,
        failed_conversations=0,
        scenarios=8,
        gaps=3,
        candidates=2,
        refused=1,
        admitted=1,
        entries=1,
        snapshot_before="0",
        snapshot_after="1",
        outcomes=outcomes,
    )


def entry(name: str, *, domain: str = "small", scenario: str = "t1.0", q: float = 0.05, brief: str = DOMAIN.brief_hash) -> Entry:
    return Entry(
        id=name,
        status="admitted",
        keys=(Key(scenario=scenario, persona="train-0-0", issue="lost", text="masked key"),),
        strategies=(Strategy(text=f"Line of {name}."),),
        domain=domain,
        brief_hash=brief,
        student="s",
        advisor="a",
        round=0,
        evidence=Evidence(decision="admitted", wins=8, q=q),
    )


def failed(name: str, kind: FailureKind, message: str) -> Trace:
    return Trace(
        id=name,
        domain="small",
        persona="train-0-0",
        issue="lost",
        purpose="generate",
        round=0,
        index=0,
        actor="student",
        messages=(),
        turns=(),
        failure=Failure(kind=kind, message=message),
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "s.db") as opened:
        opened.put_run(RUN)
        yield opened


def fill(store: Store) -> None:
    messages = (Message(role="user", content="Where is my parcel, Ana asks?"),)
    scenario = Scenario(id="t1.0", trace="t1", persona="train-0-0", issue="lost", turn=0, messages=messages, key="k", state={})
    store.put_document("r1", "scenario", "t1.0", 0, 0, scenario)
    first = (*pair("dev-0-0", 0.4, 0.5), *pair("dev-1-0", 0.4, 0.7))
    second = (*pair("dev-0-0", 0.4, 0.6), *pair("dev-1-0", 0.4, 0.8), *pair("dev-2-0", 0.4, None))
    store.put_document("r1", "round", "r0", 0, 0, summary(0, *first))
    store.put_document("r1", "round", "r1", 1, 0, summary(1, *second))
    refusal = Refusal(candidate="c1", round=0, index=0, stage="lint", reason="promises a date", strategies=())
    store.put_document("r1", "refusal", "c1", 0, 0, refusal)
    for name in ("x", "y"):
        store.put_trace("r1", failed(name, "cut_reply", f"cut {name}"))
    store.put_trace("r1", failed("z", "customer", "the customer said nothing"))
    entries = (entry("weak", q=0.09, scenario="elsewhere"), entry("strong", q=0.01), entry("other", domain="another"))
    Library(store).add(entries, actor="test", reason="made up", marker="m")
    store.put_document("r1", OVERRUN, "7", 0, 7, Overrun(tokens=40, usd=0.25))
    store.put_document("r1", OVERRUN, "9", 0, 9, Overrun(tokens=2))


def test_an_unknown_run_is_one_clear_error(store: Store) -> None:
    with pytest.raises(StoreError, match="there is no run nope"):
        gather(store, "nope", DOMAIN)


def test_a_run_that_has_only_begun_has_no_result(store: Store) -> None:
    data = gather(store, "r1", DOMAIN)
    assert (data.headline, data.source, data.rounds, data.arms, data.entries, data.costs) == (None, "nothing", (), (), (), ())
    assert (data.title, data.simulated, data.openings) == ("Small Parcels", False, 0)


def test_everything_of_a_run_is_gathered_and_nothing_of_other_domains(store: Store) -> None:
    fill(store)
    before = store.events()
    data = gather(store, "r1", DOMAIN, command="strategist report")
    assert store.events() == before
    assert [line.lift.lift.mean if line.lift.lift else None for line in data.rounds] == pytest.approx([0.2, 0.3])
    assert data.source == "round"
    assert data.headline == data.rounds[1].lift
    assert data.headline is not None
    assert data.headline.left_out == 1
    assert [line.entry.id for line in data.entries] == ["strong", "weak"]
    assert [line.customer for line in data.entries] == ["Where is my parcel, Ana asks?", "masked key"]
    assert [(f.kind, f.conversations, f.example) for f in data.failures] == [
        ("cut_reply", 2, "cut x"),
        ("customer", 1, "the customer said nothing"),
    ]
    assert (data.about[0].check, data.about[0].rules) == ("kind", ("R1",))
    assert [refusal.candidate for refusal in data.refusals] == ["c1"]
    assert data.command == "strategist report"
    assert data.overrun == Overrun(tokens=42, usd=0.25)


def test_a_study_on_dev_is_the_result_and_test_stands_apart(store: Store) -> None:
    fill(store)
    study = tuple(o for i in range(3) for seed in (0, 1) for o in pair(f"dev-{i}-0", 0.4, 0.5, seed))
    keep_outcomes(store, "r1", study, 2)
    keep_outcomes(store, "r1", study, 2)
    keep_outcomes(store, "r1", [o for i in range(2) for o in pair(f"test-{i}-7", 0.2, 0.1)], 2)
    record_opening(store, "r1", "first look")
    data = gather(store, "r1", DOMAIN)
    assert data.source == "study"
    assert data.headline is not None
    assert (data.headline.personas, data.headline.seeds) == (3, 2)
    assert data.headline.lift is not None
    assert data.headline.lift.mean == pytest.approx(0.1)
    assert data.test_contrasts[0].lift is not None
    assert data.test_contrasts[0].lift.mean == pytest.approx(-0.1)
    assert [arm.personas for arm in data.test_arms] == [2, 2]
    assert data.openings == 1
    record_opening(store, "r1", "second look")
    assert gather(store, "r1", DOMAIN).openings == 2


def test_the_last_round_with_outcomes_is_the_result() -> None:
    measured = pair("dev-0-0", 0.1, 0.2)
    assert result_outcomes([summary(0, *measured), summary(1)], ()) == ("round", measured)
    assert result_outcomes([summary(0)], [outcome("bare", "test-0-1", 0.1)]) == ("nothing", ())


@pytest.mark.parametrize(
    ("student", "domain", "expected"),
    [
        ("lab:specific", "small", True),
        ("openai:student", "lab_specific", True),
        ("scripted", "small", True),
        ("openai:labrador", "small", False),
    ],
)
def test_simulated_models_are_known_by_name(student: str, domain: str, expected: bool) -> None:
    assert is_simulated(RUN.model_copy(update={"student": student, "domain": domain})) is expected


def warned(**changes: object) -> str:
    base = {"run": RUN, "title": "t", "simulated": False, "headline": compare(pair("dev-0-0", 0.1, 0.2), "library", "bare")}
    return "\n".join(warnings_of(ReportData.model_validate(base | changes), "b"))


def test_warnings_name_what_weakens_the_result() -> None:
    many = compare([o for i in range(30) for seed in (0, 1) for o in pair(f"dev-{i}-0", 0.1, 0.2, seed)], "library", "bare")
    assert warned(headline=many) == ""
    assert "n = 1" in warned()
    assert "One evaluation seed" in warned()
    assert "has not ended yet" in warned(run=RUN.model_copy(update={"stop": None}))
    assert "budget was used up" in warned(run=RUN.model_copy(update={"stop": "budget"}))
    assert "another version of the brief" in warned(entries=({"entry": entry("e", brief="old"), "customer": ""},))
    assert "Hard failures" in warned(headline=many.model_copy(update={"hard": Estimate(5.0, 1.0, 9.0, 30)}))
    assert "Hard failures" not in warned(headline=many.model_copy(update={"hard": Estimate(5.0, -1.0, 9.0, 30)}))
    assert "2 pairs of conversations failed" in warned(headline=many.model_copy(update={"left_out": 2}))
