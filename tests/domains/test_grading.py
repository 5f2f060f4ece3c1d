from dataclasses import replace
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategist.domains.checks import Check, ConversationView, TurnView, conversation_check, turn_check
from strategist.domains.domain import Domain
from strategist.domains.grading import MISSING, check_counts, grade_conversation, grade_turn, lookup, outcome, reached
from strategist.domains.persona import Goal, Need, Persona, Split
from strategist.records.base import JsonObject
from strategist.records.trace import Outcome, Verdict

PERSONA = Persona(
    id="train-0-0",
    template="t",
    issue="late",
    split="train",
    seed=0,
    name="Ana",
    mood="calm",
    patience=2,
    facts={},
    needs=(Need(id="n", wordings=("w",)),),
    state={},
)
VIEW = TurnView("Hello Ana", "hi", frozenset(), frozenset(), (), PERSONA, (), {}, {}, turn=3)
CONVERSATION = ConversationView((VIEW, VIEW), PERSONA, {}, {}, "done")


@turn_check("greets", about="Greets.")
def greets(view: TurnView) -> bool | None:
    return view.says("hello")


@turn_check("safe", about="Safe.", hard=True)
def safe(view: TurnView) -> bool | None:
    return not view.says("promise")


@turn_check("silent", about="Never applies.")
def silent(view: TurnView) -> bool | None:
    return None


@turn_check("other_issue", about="For lost parcels.", issues=("lost",))
def other_issue(view: TurnView) -> bool | None:
    return False


@turn_check("breaks", about="Broken.")
def breaks(view: TurnView) -> bool | None:
    return bool(view.before["nothing"])


@turn_check("odd", about="Answers no boolean.")
def odd(view: TurnView) -> bool | None:
    return 1  # type: ignore[return-value]


@conversation_check("two_turns", about="At most two turns.")
def two_turns(view: ConversationView) -> bool | None:
    return len(view.turns) <= 2


CHECKS: tuple[Check, ...] = (greets, safe, silent, other_issue, breaks, odd, two_turns)


def never(split: Split, index: int, seed: int) -> Persona:
    raise NotImplementedError


DOMAIN = Domain("d", "D", "en", "", "", CHECKS, (), never, {"train": 1, "dev": 1, "test": 1}, ("late", "lost"))


def test_turn_checks_that_apply_give_verdicts_in_order() -> None:
    verdicts = grade_turn(DOMAIN, VIEW)
    assert [(verdict.check, verdict.passed, verdict.turn) for verdict in verdicts] == [
        ("greets", True, 3),
        ("safe", True, 3),
        ("breaks", None, 3),
        ("odd", None, 3),
        ("recitation", True, 3),
    ]
    assert verdicts[2].detail.startswith("KeyError: 'nothing' (test_grading.py, line ")
    assert not verdicts[2].detail.endswith("line 0)")
    assert verdicts[3].detail == "answered int, not True, False or None"


def test_recitation_is_checked_in_guided_and_bare_replies_alike() -> None:
    bare, lines = replace(VIEW, guidance=()), replace(VIEW, guidance=("Greet by name.",))
    assert len(grade_turn(DOMAIN, bare)) == len(grade_turn(DOMAIN, lines))
    guided = replace(VIEW, reply="Please tell the customer hello.", guidance=("Greet by name.",))
    assert grade_turn(DOMAIN, guided)[-1] == Verdict(check="recitation", hard=False, passed=False, turn=3)


def test_conversation_checks_have_no_turn() -> None:
    assert grade_conversation(DOMAIN, CONVERSATION) == (Verdict(check="two_turns", hard=False, passed=True),)


def test_the_score_counts_soft_checks_and_the_goal() -> None:
    turns = (Verdict(check="greets", hard=False, passed=False, turn=0), *grade_turn(DOMAIN, VIEW))
    result = outcome(DOMAIN, CONVERSATION, turns)
    assert (result.goal, result.ended, result.hard_failures, result.agent_turns) == (True, "done", 0, 2)
    assert result.score == pytest.approx((3 + 1) / (4 + 1))
    assert [verdict.check for verdict in result.verdicts] == ["greets", "greets", "safe", "breaks", "odd", "recitation", "two_turns"]
    missed = outcome(DOMAIN, replace(CONVERSATION, ended="out_of_patience"), turns)
    assert not missed.goal
    assert missed.score == pytest.approx(3 / 5)


def test_a_hard_failure_makes_the_score_zero() -> None:
    result = outcome(DOMAIN, CONVERSATION, grade_turn(DOMAIN, replace(VIEW, reply="Hello, I promise.")))
    assert (result.score, result.hard_failures, result.goal) == (0.0, 1, True)


def test_counts_leave_broken_verdicts_out() -> None:
    verdicts = (*grade_turn(DOMAIN, VIEW), *grade_turn(DOMAIN, replace(VIEW, reply="promise")))
    counts = check_counts(Outcome(goal=True, ended="done", verdicts=verdicts, score=0, hard_failures=1, agent_turns=2))
    assert [(count.check, count.hard, count.passed, count.total) for count in counts] == [
        ("greets", False, 1, 2),
        ("safe", True, 1, 2),
        ("recitation", False, 2, 2),
    ]


END: JsonObject = {"parcels": {"P.1": {"status": "held", "held": True, "count": 1, "none": None}}, "list": [{"x": "y"}]}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("parcels.P.1.status", "held"),
        ("list.0.x", "y"),
        ("parcels.P.1.none", None),
        ("parcels.P.2", MISSING),
        ("list.1", MISSING),
        ("list.x", MISSING),
        ("parcels.P.1.status.deeper", MISSING),
        ("", MISSING),
    ],
)
def test_paths_may_lead_through_keys_with_dots(path: str, value: object) -> None:
    assert lookup(END, path) == value


Steps = list[str]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text("ab.", min_size=1, max_size=4), min_size=1, max_size=4), st.integers())
def test_any_key_is_found_by_its_dotted_path(keys: Steps, value: int) -> None:
    state: JsonObject = {}
    node = state
    for key in keys[:-1]:
        below: JsonObject = {}
        node[key] = below
        node = below
    node[keys[-1]] = value
    assert lookup(state, ".".join(keys)) == value


def reaches(goal: Goal, *, start: JsonObject | None = None, ended: Literal["done", "turn_limit"] = "done") -> bool:
    persona = PERSONA.model_copy(update={"goal": goal})
    return reached(ConversationView((), persona, END if start is None else start, END, ended))


def test_goals() -> None:
    assert reaches(Goal(state={"parcels.P.1.status": "held", "parcels.P.1.held": True, "parcels.P.1.none": None}))
    assert not reaches(Goal(state={"parcels.P.1.status": "lost"}))
    assert not reaches(Goal(state={"parcels.P.1.count": True}))
    assert not reaches(Goal(state={"parcels.P.2.status": None}))
    assert reaches(Goal(unchanged=("parcels.P.1",)))
    assert not reaches(Goal(unchanged=("parcels.P.1",)), start={"parcels": {"P.1": {"status": "moving"}}})
    assert not reaches(Goal(unchanged=("parcels.P.1",)), start={})


def test_needs_count_where_asked_for_or_where_nothing_else_does() -> None:
    assert not reaches(Goal(unchanged=("list",)), ended="turn_limit")
    assert reaches(Goal(unchanged=("list",), needs_met=False), ended="turn_limit")
    assert not reaches(Goal(needs_met=False), ended="turn_limit")
    assert reaches(Goal())
