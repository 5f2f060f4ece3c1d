from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from strategist.domains.checks import Check, turn_check
from strategist.domains.domain import Domain
from strategist.domains.persona import Persona, Split
from strategist.records.chat import Message
from strategist.records.trace import Scenario, Verdict
from strategist.roles.handbook import HandbookAdvisor
from strategist.roles.protocols import Advice, Attempt


def check(name: str, *, hard: bool = False, advice: str | None = "", rules: tuple[str, ...] = ()) -> Check:
    line = f"Do {name}." if advice == "" else advice
    return turn_check(name, about=f"about {name}", hard=hard, advice=line, rules=rules)(lambda view: True)


CHECKS = (
    check("a", rules=("R1",)),
    check("b"),
    check("c", hard=True),
    check("measured", advice=None),
    check("d"),
    check("twin", advice="Do a.", rules=("R1", "R2")),
)


def no_persona(split: Split, index: int, seed: int) -> Persona:
    raise NotImplementedError


DOMAIN = Domain(
    name="d",
    title="D",
    language="en",
    brief="R1. x",
    pack_hash="",
    checks=CHECKS,
    tools=(),
    draw=no_persona,
    split_sizes={},
    issues=(),
)
SCENARIO = Scenario(id="s.0", trace="s", persona="p", issue="i", turn=0, messages=(Message(role="user", content="Hi"),), key="", state={})


def attempt(*failed: str, lines: tuple[str, ...] = (), broken: tuple[str, ...] = ()) -> Attempt:
    hard = {check.id: check.hard for check in CHECKS}
    states: dict[str, bool | None] = dict.fromkeys(hard, True) | dict.fromkeys(failed, False) | dict.fromkeys(broken)
    return Attempt(
        text="r", lines=lines, verdicts=tuple(Verdict(check=n, hard=hard.get(n, False), passed=s, turn=0) for n, s in states.items())
    )


def advise(*attempts: Attempt, max_lines: int = 3) -> Advice:
    return asyncio.run(HandbookAdvisor(DOMAIN, max_lines).advise(SCENARIO, attempts, None))


def lines(advice: Advice) -> list[str]:
    return [strategy.text for strategy in advice.strategies]


def test_no_gap_where_nothing_with_advice_fails() -> None:
    assert HandbookAdvisor(DOMAIN).name == "handbook"
    for one in (attempt(), attempt("measured"), attempt(broken=("a", "c")), attempt("unknown")):
        assert advise(one) == Advice(gap="none")


def test_hard_checks_come_first_and_make_the_gap_major() -> None:
    advice = advise(attempt("b", "a", "c"))
    assert (advice.gap, lines(advice)) == ("major", ["Do c.", "Do a.", "Do b."])
    assert advice.why == "fails: about c; about a; about b"
    assert advise(attempt("b")).gap == "minor"


def test_checks_with_one_line_give_it_once_with_all_their_rules() -> None:
    advice = advise(attempt("a", "twin"))
    assert [(s.text, s.rules) for s in advice.strategies] == [("Do a.", ("R1", "R2"))]


def test_what_a_later_attempt_breaks_is_added() -> None:
    advice = advise(attempt("a"), attempt("b", lines=("Do a.",)))
    assert (advice.gap, lines(advice)) == ("minor", ["Do a.", "Do b."])
    assert lines(advise(attempt("a"), attempt("c", lines=("Do a.",)))) == ["Do c.", "Do a."]


def test_the_last_attempt_decides_whether_there_is_a_gap() -> None:
    assert advise(attempt("a", "c"), attempt(lines=("Do c.", "Do a."))) == Advice(gap="none")


def test_over_the_cap_lines_that_did_not_help_make_room() -> None:
    tries = (attempt("a", "b", "c", "d"), attempt("a", "d", lines=("Do c.", "Do a.", "Do b.")))
    assert lines(advise(*tries)) == ["Do c.", "Do b.", "Do d."]
    assert lines(advise(*tries, max_lines=4)) == ["Do c.", "Do a.", "Do b.", "Do d."]


def test_the_cap_holds_without_any_evidence() -> None:
    assert lines(advise(attempt("a", "b", "c", "d"), max_lines=2)) == ["Do c.", "Do a."]


@given(st.lists(st.tuples(st.sets(st.sampled_from("abcd")), st.sets(st.sampled_from("abcd"))), min_size=1, max_size=4), st.integers(1, 5))
@settings(max_examples=150, deadline=None)
def test_advice_is_always_from_failed_checks_and_within_the_cap(tries: list[tuple[set[str], set[str]]], cap: int) -> None:
    attempts = [attempt(*sorted(failed), lines=tuple(f"Do {name}." for name in sorted(given))) for failed, given in tries]
    advice = advise(*attempts, max_lines=cap)
    ever = {f"Do {name}." for failed, _ in tries for name in failed}
    assert (advice.gap == "none") == (not tries[-1][0]) == (not advice.strategies)
    assert len(lines(advice)) == len(set(lines(advice))) <= cap
    assert set(lines(advice)) <= ever
    if advice.strategies and "c" in tries[0][0] and len(ever) <= cap:
        assert lines(advice)[0] == "Do c."
