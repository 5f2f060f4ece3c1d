"""The handbook advisor: failed checks become the domain expert's own advice lines. No model.

Pure and deterministic. Knows the domain's checks and the verdicts of the attempts; looks neither at the conversation nor at any reply,
so it cannot act as a teacher. It is useful by itself, and the baseline that a model as advisor has to beat.
"""

from __future__ import annotations

from collections.abc import Sequence

from strategist.domains.checks import Check
from strategist.domains.domain import Domain
from strategist.records.library import Strategy
from strategist.records.trace import Scenario
from strategist.roles.protocols import Advice, Attempt


class HandbookAdvisor:
    """An Advisor that gives the advice of the checks that fail, at most `max_lines` lines."""

    name = "handbook"

    def __init__(self, domain: Domain, max_lines: int = 3) -> None:
        self.max_lines = max_lines
        self._checks = {check.id: (order, check) for order, check in enumerate(domain.checks) if check.advice}

    async def advise(self, scenario: Scenario, attempts: Sequence[Attempt], teacher_reply: str | None, *, sample: int = 0) -> Advice:
        """The gap is that of the last attempt: none, minor, or major if a hard check fails. Lines answer every failure seen so far."""
        now = self._failing(attempts[-1])
        if not now:
            return Advice(gap="none")
        wanted = self._ordered(attempts)
        lines = self._capped(wanted, attempts)
        return Advice(
            gap="major" if any(check.hard for check in now) else "minor",
            why="fails: " + "; ".join(check.about for check in now),
            strategies=tuple(
                Strategy(text=line, rules=tuple(dict.fromkeys(rule for check in wanted if check.advice == line for rule in check.rules)))
                for line in lines
            ),
        )

    def _failing(self, attempt: Attempt) -> list[Check]:
        """Failed checks with advice: hard ones first, then in the order of the domain."""
        failed = [self._checks[verdict.check] for verdict in attempt.verdicts if verdict.passed is False and verdict.check in self._checks]
        return [check for _, check in sorted(failed, key=lambda item: (not item[1].hard, item[0]))]

    def _ordered(self, attempts: Sequence[Attempt]) -> list[Check]:
        """Every check that failed in any attempt, once: hard ones first; among equals those of earlier attempts first."""
        seen = {check.id: check for attempt in attempts for check in self._failing(attempt)}
        return sorted(seen.values(), key=lambda check: not check.hard)

    def _capped(self, wanted: Sequence[Check], attempts: Sequence[Attempt]) -> list[str]:
        """Their lines, each once. Over the cap, lines that were given and did not help make room first, the least important ones before."""
        lines = list(dict.fromkeys(check.advice for check in wanted if check.advice))
        for line in reversed(lines.copy()):
            if len(lines) > self.max_lines and self._useless(line, attempts):
                lines.remove(line)
        return lines[: self.max_lines]

    def _useless(self, line: str, attempts: Sequence[Attempt]) -> bool:
        """Whether the last attempt that had this line still failed a check it is for."""
        given = [attempt for attempt in attempts if line in attempt.lines]
        return bool(given) and any(check.advice == line for check in self._failing(given[-1]))
