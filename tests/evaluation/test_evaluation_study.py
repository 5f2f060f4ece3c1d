from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategist.domains.checks import TurnView, turn_check
from strategist.domains.domain import Domain, persona_id
from strategist.domains.persona import CustomerTurn, Need, Persona, Split
from strategist.errors import BudgetExceededError, ModelError
from strategist.evaluation.arms import Arm
from strategist.evaluation.study import (
    ArmComparison,
    by_check,
    by_issue,
    compare,
    contrasts,
    rate,
    run_study,
    study_seeds,
    summarise,
)
from strategist.records.base import stable_int
from strategist.records.chat import Message, Purpose
from strategist.records.library import Guidance
from strategist.records.run import ArmName, ArmOutcome, CheckCount
from strategist.records.trace import Trace
from strategist.roles.protocols import ActorReply
from strategist.stats import Estimate, wilson


def outcome(
    arm: ArmName,
    persona: str,
    score: float | None,
    seed: int = 0,
    *,
    issue: str = "lost",
    hard: int = 0,
    checks: tuple[CheckCount, ...] = (),
) -> ArmOutcome:
    return ArmOutcome(
        arm=arm,
        persona=persona,
        issue=issue,
        seed=seed,
        score=score,
        goal=(score or 0) >= 0.8,
        hard_failures=hard,
        agent_turns=4,
        guided_turns=3 if arm == "library" else 0,
        checks=checks,
        failure="model: gone" if score is None else None,
    )


BY_HAND = (
    outcome("library", "dev-a", 0.8, 0),
    outcome("library", "dev-a", 0.6, 1),
    outcome("library", "dev-b", 0.5, 0),
    outcome("library", "dev-b", None, 1),
    outcome("library", "dev-c", 1.0, 0, issue="fee"),
    outcome("library", "dev-c", 0.8, 1, issue="fee"),
    outcome("bare", "dev-a", 0.4, 0, hard=1),
    outcome("bare", "dev-a", 0.4, 1),
    outcome("bare", "dev-b", 0.5, 0),
    outcome("bare", "dev-b", 0.5, 1),
    outcome("bare", "dev-c", 0.6, 0, issue="fee"),
    outcome("bare", "dev-c", 0.6, 1, issue="fee"),
)


def near(found: Estimate | None, mean: float, low: float, high: float, n: int) -> bool:
    assert found is not None
    return found.n == n and all(math.isclose(a, b, abs_tol=5e-5) for a, b in zip(found[:3], (mean, low, high), strict=True))


def test_compare_agrees_with_numbers_worked_out_by_hand() -> None:
    """Per persona +0.3, 0.0 (its failed seed is left out on both sides), +0.3: mean 0.2, s = 0.173205, t(2) = 4.302653."""
    found = compare(BY_HAND, "library", "bare")
    assert near(found.lift, 0.2, 0.2 - 0.430265, 0.2 + 0.430265, 3)
    assert (found.personas, found.seeds, found.left_out) == (3, 2, 1)
    assert found.line == "lift +0.20 [-0.23, +0.63] n=3 seeds=2"
    # hard failures: a has one in two bare conversations, so -50, 0, 0 per 100
    assert found.hard is not None
    assert math.isclose(found.hard.mean, -50 / 3)
    # goal (score >= 0.8): a +0.5, b 0, c +1
    assert found.goal is not None
    assert math.isclose(found.goal.mean, 0.5)


def test_a_failed_conversation_is_never_counted_as_zero() -> None:
    finished = [o for o in BY_HAND if o.score is not None]
    assert compare(BY_HAND, "library", "bare").lift == compare(finished, "library", "bare").lift
    as_zero = [o.model_copy(update={"score": 0.0}) if o.score is None else o for o in BY_HAND]
    assert compare(as_zero, "library", "bare").lift != compare(BY_HAND, "library", "bare").lift


def test_one_persona_or_none_gives_no_interval() -> None:
    alone = [o for o in BY_HAND if o.persona == "dev-a"]
    found = compare(alone, "library", "bare")
    assert found.lift is None
    assert found.line == "lift not measured n=1 seeds=2"
    nothing = compare((), "library", "bare")
    assert nothing == ArmComparison(arm="library", base="bare", lift=None, goal=None, hard=None, personas=0, seeds=0, left_out=0)


def test_units_of_one_arm_only_are_counted_as_left_out() -> None:
    more = (*BY_HAND, outcome("library", "dev-d", 1.0, 0))
    assert compare(more, "library", "bare").left_out == 2
    assert compare(more, "library", "bare").lift == compare(BY_HAND, "library", "bare").lift


def test_summaries_come_in_the_order_of_arms_and_count_failures() -> None:
    bare, library = summarise(BY_HAND)
    assert (bare.arm, library.arm) == ("bare", "library")
    assert (bare.conversations, bare.failed, library.conversations, library.failed) == (6, 0, 5, 1)
    assert library.guided_share == 0.75
    assert bare.score is not None
    assert math.isclose(bare.score.mean, 0.5)
    assert bare.turns == Estimate(4.0, 4.0, 4.0, 3)
    assert bare.hard is not None
    assert math.isclose(bare.hard.mean, 100 * 0.5 / 3)
    assert bare.hard.low == 0.0
    only = summarise([outcome("bare", "dev-a", None)])[0]
    assert (only.score, only.turns, only.guided_share, only.conversations, only.failed) == (None, None, 0.0, 0, 1)


def test_contrasts_are_those_whose_arms_were_played() -> None:
    assert [(c.arm, c.base) for c in contrasts(BY_HAND)] == [("library", "bare")]
    with_random = (*BY_HAND, outcome("random", "dev-a", 0.1), outcome("random", "dev-b", 0.1))
    assert [(c.arm, c.base) for c in contrasts(with_random)] == [("library", "bare"), ("random", "bare"), ("library", "random")]


def test_rates_use_wilson_for_all_or_nothing_and_t_otherwise() -> None:
    assert rate([1.0, 1.0, 1.0, 1.0]) == wilson(4, 4)
    assert rate([0.0, 1.0, 1.0]) == wilson(2, 3)
    assert near(rate([0.5, 1.0]), 0.75, 0.0, 1.0, 2)
    assert near(rate([0.4, 0.5, 0.6]), 0.5, 0.5 - 0.248414, 0.5 + 0.248414, 3)
    assert rate([0.5]) is None
    assert rate([]) is None


def test_by_check_pairs_the_personas_where_a_check_applied_in_both_arms() -> None:
    def count(name: str, passed: int, total: int, *, hard: bool = False) -> CheckCount:
        return CheckCount(check=name, hard=hard, passed=passed, total=total)

    outcomes = (
        outcome("library", "dev-a", 1.0, 0, checks=(count("asks", 1, 1), count("no_promise", 2, 2, hard=True))),
        outcome("library", "dev-a", 1.0, 1, checks=(count("asks", 1, 3),)),
        outcome("library", "dev-b", 1.0, 0, checks=(count("asks", 1, 1),)),
        outcome("bare", "dev-a", 0.0, 0, checks=(count("asks", 0, 1), count("rare", 0, 0))),
        outcome("bare", "dev-a", 0.0, 1, checks=(count("asks", 1, 1),)),
        outcome("bare", "dev-b", 0.0, 0, checks=(count("asks", 0, 1),)),
    )
    promise, asks, rare = by_check(outcomes)
    assert (promise.check, promise.hard, promise.arm, promise.lift) == ("no_promise", True, None, None)
    assert (asks.check, asks.hard, asks.seeds) == ("asks", False, 2)
    # dev-a: (1 + 1) / (1 + 3) = 0.5 against 1 / 2; dev-b: 1 against 0
    assert asks.base == Estimate(0.25, 0.0, 1.0, 2)
    assert asks.arm == Estimate(0.75, 0.0, 1.0, 2)
    assert asks.lift is not None
    assert asks.lift.mean == 0.5
    assert (rare.base, rare.arm, rare.lift) == (None, None, None)


def test_by_issue_states_no_interval_for_a_single_customer() -> None:
    fee, lost = by_issue(BY_HAND)
    assert (fee.issue, fee.personas, fee.lift) == ("fee", 1, None)
    assert math.isclose(fee.arm_mean - fee.base_mean, 0.3)
    assert (lost.issue, lost.personas) == ("lost", 2)
    assert lost.lift is not None
    assert math.isclose(lost.lift.mean, 0.15)


scores = st.one_of(st.none(), st.integers(0, 10).map(lambda k: k / 10))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2), scores, scores), max_size=16), st.randoms())
def test_comparison_is_antisymmetric_and_ignores_order(units: list[tuple[int, int, float | None, float | None]], random: object) -> None:
    outcomes: list[ArmOutcome] = []
    for persona, seed, one, other in {(p, s): (p, s, a, b) for p, s, a, b in units}.values():
        outcomes += [outcome("library", f"dev-{persona}", one, seed), outcome("bare", f"dev-{persona}", other, seed)]
    there, back = compare(outcomes, "library", "bare"), compare(outcomes[::-1], "bare", "library")
    assert (there.personas, there.seeds, there.left_out) == (back.personas, back.seeds, back.left_out)
    assert (there.lift is None) == (back.lift is None) == (there.personas < 2)
    if there.lift is not None and back.lift is not None:
        assert near(back.lift, -there.lift.mean, -there.lift.high, -there.lift.low, there.lift.n)
        assert there.lift.low <= there.lift.mean <= there.lift.high


NEED = Need(id="know", wordings=("Where is it?",))


def draw(split: Split, index: int, seed: int) -> Persona:
    return Persona(
        id=persona_id(split, index, seed),
        template="t",
        issue="lost",
        split=split,
        seed=seed,
        name="Ana",
        mood="calm",
        patience=2,
        facts={},
        needs=(NEED,),
        state={},
    )


def is_kind(view: TurnView) -> bool | None:
    return view.says("sorry")


DOMAIN = Domain(
    name="small",
    title="Small",
    language="en",
    brief="# Brief",
    pack_hash="0",
    checks=(turn_check("kind", about="says sorry")(is_kind),),
    tools=(),
    draw=draw,
    split_sizes={"train": 1, "dev": 3, "test": 1},
    issues=("lost",),
)


class OneQuestion:
    """A customer with one question who leaves content."""

    async def next(self, persona: Persona, messages: Sequence[Message], *, purpose: Purpose, sample: int = 0) -> CustomerTurn:
        if not messages:
            return CustomerTurn(text="Where is it?", acts=("need:know",))
        return CustomerTurn(text="Thanks.", acts=("thanks",), ended="done")


class Answers:
    """An actor that answers one text (or fails for one sample), and remembers samples and purposes."""

    def __init__(self, text: str, *, fails: int | None = None, late: bool = False, error: Exception | None = None) -> None:
        self.text, self.fails, self.late = text, fails, late
        self.error = error or ModelError("gone", kind="empty_reply")
        self.asked: list[tuple[Purpose, int]] = []

    async def reply(
        self,
        messages: Sequence[Message],
        *,
        purpose: Purpose,
        sample: int = 0,
        guidance: Guidance | None = None,
        tools: bool = True,
    ) -> ActorReply:
        self.asked.append((purpose, sample))
        for _ in range(5 if self.late else 0):
            await asyncio.sleep(0)
        if sample == self.fails:
            raise self.error
        return ActorReply(message=Message(role="assistant", content=self.text), guidance=Guidance(lines=("Say sorry.",), reason="fixed"))


def test_evaluations_never_use_the_seed_that_the_loop_looked_at() -> None:
    """The examination after each round plays with the samples of seed 0 (tests/loop/test_examine.py), and decides when teaching stops."""
    assert list(study_seeds(3)) == [1, 2, 3]
    assert len(study_seeds(50)) == 50
    assert 0 not in study_seeds(50)


def test_run_study_plays_all_arms_in_index_order_and_shares_samples_between_arms() -> None:
    personas = DOMAIN.personas("dev")
    broken = stable_int("study", 1, "dev-1-0")
    bare, library = Answers("No.", late=True), Answers("I am sorry.", fails=broken)
    seen: list[tuple[int, int]] = []
    kept: list[Trace] = []
    outcomes = asyncio.run(
        run_study(
            [Arm("bare", bare), Arm("library", library)],
            personas,
            (0, 1),
            domain=DOMAIN,
            customer=OneQuestion(),
            max_turns=2,
            progress=lambda done, total: seen.append((done, total)),
            keep=kept.append,
        )
    )
    expected = [(arm, f"dev-{i}-0", seed) for arm in ("bare", "library") for i in range(3) for seed in (0, 1)]
    assert [(o.arm, o.persona, o.seed) for o in outcomes] == expected
    assert kept[0].arm == "library"  # as they end: the other arm is late
    in_order = sorted(kept, key=lambda trace: trace.index)
    assert [(t.arm, t.persona, t.index) for t in in_order] == [(arm, persona, i) for i, (arm, persona, _) in enumerate(expected)]
    assert sorted(bare.asked) == sorted(library.asked)
    assert {purpose for purpose, _ in bare.asked} == {"examine"}
    assert seen[0] == (0, 12)
    assert seen[-1] == (12, 12)
    failed = [o for o in outcomes if o.score is None]
    assert [(o.arm, o.persona, o.seed, o.failure) for o in failed] == [("library", "dev-1-0", 1, "empty_reply: gone")]
    # `kind`, the built-in recitation check and the goal: 2 of 3 without "sorry", 3 of 3 with it
    assert {(o.arm, o.score, o.guided_turns) for o in outcomes if o.score is not None} == {("bare", 2 / 3, 1), ("library", 1.0, 1)}
    found = compare(outcomes, "library", "bare")
    assert near(found.lift, 1 / 3, 1 / 3, 1 / 3, 3)
    assert found.left_out == 1


def test_run_study_without_hooks_and_with_a_spent_budget() -> None:
    quiet = asyncio.run(run_study([Arm("bare", Answers("No."))], DOMAIN.personas("dev"), (0,), domain=DOMAIN, customer=OneQuestion()))
    assert len(quiet) == 3
    spent = Answers("No.", fails=stable_int("study", 0, "dev-0-0"), error=BudgetExceededError("spent"))
    with pytest.raises(BudgetExceededError):
        asyncio.run(run_study([Arm("bare", spent)], DOMAIN.personas("dev"), (0,), domain=DOMAIN, customer=OneQuestion()))
