"""Grades turns and conversations: runs a domain's checks, looks at the goal in the end state, counts.

Pure over views. A check that raises, or answers anything but True, False or None, is broken: its verdict has `passed=None` and counts
nowhere. The goal is not a verdict; it is one more thing to pass in the score.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar, cast

from pydantic import JsonValue

from strategist.domains.checks import Check, ConversationView, TurnView
from strategist.domains.domain import Domain
from strategist.domains.pack_code import describe, error_line, function_file
from strategist.domains.persona import Persona
from strategist.domains.recitation import recitation_in
from strategist.records.base import JsonObject
from strategist.records.run import CheckCount
from strategist.records.trace import Ended, Grade, Outcome, Verdict

AnyView = TypeVar("AnyView", TurnView, ConversationView)


class _Missing:
    """What a path leads to that does not exist."""


MISSING = _Missing()


def grade_turn(domain: Domain, view: TurnView) -> tuple[Verdict, ...]:
    """The verdicts of all turn checks that apply to this turn, the built-in recitation check last."""
    checks = [check for check in (*domain.checks, recitation_in(domain.language)) if fits(check, view.persona)]
    verdicts = (_verdict(check, check.turn_test, view, view.turn) for check in checks if check.turn_test is not None)
    return tuple(verdict for verdict in verdicts if verdict is not None)


def grade_conversation(domain: Domain, view: ConversationView) -> tuple[Verdict, ...]:
    """The verdicts of all conversation checks that apply to this conversation."""
    checks = [check for check in domain.checks if fits(check, view.persona)]
    verdicts = (_verdict(check, check.conversation_test, view, None) for check in checks if check.conversation_test is not None)
    return tuple(verdict for verdict in verdicts if verdict is not None)


def outcome(domain: Domain, view: ConversationView, turn_verdicts: Sequence[Verdict]) -> Outcome:
    """What a conversation achieved. Score in [0, 1]: 0 with a hard failure, else (soft passed + goal) / (soft applied + 1)."""
    verdicts = (*turn_verdicts, *grade_conversation(domain, view))
    grade, goal = Grade.of(verdicts), reached(view)
    return Outcome(
        goal=goal,
        ended=cast(Ended, view.ended),
        verdicts=verdicts,
        score=0.0 if grade.hard_failures else (grade.soft_passed + goal) / (grade.soft_total + 1),
        hard_failures=grade.hard_failures,
        agent_turns=len(view.turns),
    )


def reached(view: ConversationView) -> bool:
    """Whether the persona's goal holds: wanted values in the end state, paths unchanged since the start, all needs met where asked for.

    A goal that names neither values nor paths is reached when every need was met."""
    goal = view.persona.goal
    needs_count = goal.needs_met or not (goal.state or goal.unchanged)
    return (
        (not needs_count or view.ended == "done")
        and all(_same(lookup(view.end, path), value) for path, value in goal.state.items())
        and all(_same(lookup(view.start, path), lookup(view.end, path)) for path in goal.unchanged)
    )


def check_counts(result: Outcome) -> tuple[CheckCount, ...]:
    """How often each check passed among the times it applied, in the order the checks first appear; broken verdicts are left out."""
    sound = [verdict for verdict in result.verdicts if verdict.passed is not None]
    groups = {verdict.check: [other for other in sound if other.check == verdict.check] for verdict in sound}
    return tuple(
        CheckCount(check=check, hard=group[0].hard, passed=sum(verdict.passed is True for verdict in group), total=len(group))
        for check, group in groups.items()
    )


def lookup(state: JsonObject, path: str) -> JsonValue | _Missing:
    """What a dotted path leads to, or MISSING. Keys may hold dots themselves: the shortest key that leads on is taken."""
    return _follow(state, path.split("."))


def fits(check: Check, persona: Persona) -> bool:
    """Whether a check is meant for the persona's issue."""
    return not check.issues or persona.issue in check.issues


def _follow(node: JsonValue, parts: list[str]) -> JsonValue | _Missing:
    if not parts:
        return node
    if isinstance(node, list):
        index = int(parts[0]) if parts[0].isdecimal() else len(node)
        return _follow(node[index], parts[1:]) if index < len(node) else MISSING
    if isinstance(node, dict):
        for length in range(1, len(parts) + 1):
            key = ".".join(parts[:length])
            found = _follow(node[key], parts[length:]) if key in node else MISSING
            if found is not MISSING:
                return found
    return MISSING


def _same(found: JsonValue | _Missing, wanted: JsonValue | _Missing) -> bool:
    return isinstance(found, bool) == isinstance(wanted, bool) and found == wanted


def _verdict(check: Check, test: Callable[[AnyView], bool | None], view: AnyView, turn: int | None) -> Verdict | None:
    try:
        answer: object = test(view)
    except Exception as error:  # noqa: BLE001 - a broken check is data: it is recorded and counts nowhere
        file = function_file(test)
        detail = f"{describe(error)} ({Path(file).name}, line {error_line(error, file)})"
        return Verdict(check=check.id, hard=check.hard, passed=None, turn=turn, detail=detail)
    if answer is None:
        return None
    if not isinstance(answer, bool):
        detail = f"answered {type(answer).__name__}, not True, False or None"
        return Verdict(check=check.id, hard=check.hard, passed=None, turn=turn, detail=detail)
    return Verdict(check=check.id, hard=check.hard, passed=answer, turn=turn)
