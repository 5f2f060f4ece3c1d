"""Made-up report data: no model was ever asked for these numbers, they only have the shapes of real ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from strategist.evaluation.report_data import EntryLine, FailureLine, ReportData, RoundLine, warnings_of
from strategist.evaluation.study import by_check, by_issue, compare, contrasts, summarise
from strategist.records.base import stable_int
from strategist.records.chat import Usage
from strategist.records.evidence import Decision, Evidence
from strategist.records.library import Entry, Floor, Key, Refusal, Strategy
from strategist.records.run import ArmName, ArmOutcome, CheckCount, RoleCost, RoundSummary, RunInfo

ISSUES = ("lost_parcel", "address_change", "late_delivery", "refund", "customs_fee", "damaged_goods", "wrong_item", "invoice_copy")
CHECKS = (("no_date_promise", True), ("asks_order_number", False), ("offers_next_step", False), ("names_deadline", False))
QUALITY: dict[ArmName, int] = {"bare": 42, "handbook": 50, "random": 40, "library": 63, "teacher": 80}
LINES = (
    "When a parcel has not moved for three working days, open a trace and say what happens next.",
    "Before changing an address, ask for the order number and repeat the new address in full.",
    "When the customer asks for money back, name the deadline and the way it is paid.",
    "When customs fees come up, say who charges them and where the customer can object.",
)

Draw = Callable[..., int]


def made_up_outcome(arm: ArmName, index: int, seed: int, bonus: int = 0, split: str = "dev") -> ArmOutcome:
    """One made-up conversation: better arms pass more."""
    persona, issue = f"{split}-{index}-0", ISSUES[index % len(ISSUES)]

    def chance(name: str, percent: int) -> bool:
        return stable_int("made-up", arm, index, seed, name) % 100 < percent

    quality = QUALITY[arm] + bonus + (index % 5) * 4 - 8
    passed = [chance(check, 95 if hard else quality) for check, hard in CHECKS]
    goal, broken = chance("goal", quality), not passed[0]
    return ArmOutcome(
        arm=arm,
        persona=persona,
        issue=issue,
        seed=seed,
        score=None if chance("failed", 2) else 0.0 if broken else (sum(passed) + goal) / (len(CHECKS) + 1),
        goal=goal,
        hard_failures=int(broken),
        agent_turns=3 + stable_int("turns", arm, index, seed) % 4,
        guided_turns=2 if arm in ("library", "random", "handbook") else 0,
        checks=(
            *(CheckCount(check=c, hard=h, passed=int(p), total=1) for (c, h), p in zip(CHECKS, passed, strict=True)),
            CheckCount(check="polite", hard=False, passed=1, total=1),
        ),
    )


def made_up_entry(number: int, customer: str = "Where is my parcel? It has been eight days.") -> EntryLine:
    """A made-up entry."""
    key = Key(scenario=f"s{number}", persona="train-1-0", issue="refund", text=f"How can I help you today?\n{customer}")
    decided = Evidence(
        decision="admitted",
        wins=9 + number % 4,
        losses=number % 3,
        ties=4,
        p=0.0002 * (number + 1),
        q=0.004 * (number + 1),
        hard_p=0.8,
        replies=32,
    )
    lines = tuple(Strategy(text=LINES[(number + shift) % len(LINES)], rules=(f"R{number + 1}",)) for shift in range(1 + number % 2))
    entry = Entry(
        id=f"e{number:02d}f3a9",
        status="retired" if number == 5 else "admitted",
        keys=(key,) * (1 + number % 3),
        strategies=lines,
        domain="made_up",
        brief_hash="b0",
        student="openai:small",
        advisor="handbook",
        round=number % 3,
        why="The reply neither said what happens next nor asked for the order number.",
        reply_before="I am sorry to hear that. Please wait a few more days.",
        reply_after="I am sorry. I have opened a trace for this parcel; the depot answers within two working days and I write to you then.",
        evidence=decided,
    )
    return EntryLine(entry=entry, customer=customer)


def made_up_refusal(number: int) -> Refusal:
    """A made-up refusal."""
    decisions: tuple[Decision, ...] = ("dropped_first_stage", "not_significant", "dropped_first_stage", "more_hard_failures")
    decision = decisions[number % len(decisions)]
    lint = number % 5 == 4
    return Refusal(
        candidate=f"c{number}",
        round=number % 3,
        index=number,
        stage="lint" if lint else "gate",
        reason="promises a date" if lint else decision,
        strategies=(Strategy(text=LINES[number % len(LINES)]),),
        issue=ISSUES[number % len(ISSUES)],
        evidence=None if lint else Evidence(decision=decision, wins=3, losses=3, ties=2, p=0.656, q=1.0),
    )


def made_up_round(number: int) -> RoundLine:
    """A made-up round whose lift grows with its number."""
    outcomes = tuple(made_up_outcome(arm, i, 0, 0 if arm == "bare" else -14 + 7 * number) for arm in ("bare", "library") for i in range(40))
    summary = RoundSummary(
        round=number,
        conversations=24,
        failed_conversations=number % 2,
        scenarios=88 + number,
        gaps=20 - 4 * number,
        candidates=12 - number,
        refused=7,
        admitted=5 - number,
        entries=5 + 4 * number,
        snapshot_before="0" * 64,
        snapshot_after=f"{number}" * 64,
        floor=Floor(score=0.412, source="calibration", pairs=64),
        outcomes=outcomes,
    )
    return RoundLine(summary=summary, lift=compare(outcomes, "library", "bare"))


MADE_UP_RUN = RunInfo(
    id="run-made-up",
    domain="made_up",
    pack_hash="7c" * 32,
    brief_hash="b0",
    learning_hash="5e" * 32,
    code="0.1.0+made-up",
    seed=0,
    student="openai:small",
    advisor="handbook",
    embedder="hashed-512",
    rounds=3,
    stop="rounds",
)


@pytest.fixture(scope="session")
def made_up_outcomes() -> tuple[ArmOutcome, ...]:
    """A made-up study on dev: four arms, 40 customers, 3 seeds."""
    arms: tuple[ArmName, ...] = ("bare", "handbook", "random", "library")
    return tuple(made_up_outcome(arm, index, seed) for arm in arms for index in range(40) for seed in range(3))


@pytest.fixture(scope="session")
def made_up(made_up_outcomes: tuple[ArmOutcome, ...]) -> ReportData:
    """Made-up report data with everything in it."""
    held_out = tuple(made_up_outcome(arm, index, 0, split="test") for arm in ("bare", "library") for index in range(30))
    data = ReportData(
        run=MADE_UP_RUN,
        title="Made-up Parcels",
        simulated=True,
        source="study",
        headline=compare(made_up_outcomes, "library", "bare"),
        rounds=tuple(made_up_round(number) for number in range(3)),
        arms=summarise(made_up_outcomes),
        contrasts=contrasts(made_up_outcomes),
        checks=by_check(made_up_outcomes),
        issues=by_issue(made_up_outcomes),
        test_arms=summarise(held_out),
        test_contrasts=contrasts(held_out),
        openings=1,
        entries=tuple(made_up_entry(number) for number in range(9)),
        refusals=tuple(made_up_refusal(number) for number in range(14)),
        costs=(
            RoleCost(
                role="advisor",
                purpose="coach",
                calls=48,
                failed=0,
                retries=1,
                usage=Usage(prompt_tokens=61_000, completion_tokens=4_100, cost_usd=0.31),
            ),
            RoleCost(
                role="student",
                purpose="admit",
                calls=912,
                failed=1,
                retries=2,
                usage=Usage(prompt_tokens=1_420_000, completion_tokens=71_000),
            ),
            RoleCost(
                role="student",
                purpose="examine",
                calls=480,
                failed=0,
                retries=0,
                usage=Usage(prompt_tokens=800_000, completion_tokens=40_000),
            ),
        ),
        failures=(FailureLine(kind="cut_reply", purpose="examine", conversations=4, example="the reply was cut at 200 tokens"),),
    )
    return data.model_copy(update={"warnings": warnings_of(data, "b0")})


@pytest.fixture(scope="session")
def nothing_yet() -> ReportData:
    """A made-up run that has only begun."""
    data = ReportData(run=MADE_UP_RUN.model_copy(update={"stop": None}), title="Made-up Parcels", simulated=False)
    return data.model_copy(update={"warnings": warnings_of(data, "b0")})
