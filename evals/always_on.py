"""What does one line do that stands at every turn?

    python -m evals.always_on SETTINGS [SEEDS [FILE]]    default 3 seeds; calls are cached, so it can be stopped

Each of the domain's advice lines, or each line of FILE, in turn stands under every customer message of all dev conversations: what it could
do as a company-wide entry, and what *any* line does to this student. Printed as in `evals.ceiling`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from evals.ceiling import SEEDS, print_ways
from evals.last_run import on_last_run
from strategist.conversation import Guide
from strategist.loop.deps import Deps
from strategist.records.library import Guidance
from strategist.records.trace import Scenario


def always(line: str) -> Callable[[int], Guide]:
    """A guide that says the same at every turn."""

    async def say(scenario: Scenario) -> Guidance:
        return Guidance.given([line])

    return lambda sample: say


async def report(deps: Deps, seeds: int, lines: Sequence[str]) -> None:
    """Play and print, one row a line; without lines those of the domain."""
    chosen = dict.fromkeys(lines or [check.advice for check in deps.domain.checks if check.advice])
    await print_ways(deps, {line: always(line) for line in chosen}, seeds)


def main(arguments: Sequence[str]) -> str | None:
    """Run the study on the last run of a settings file; returns what is wrong, if anything."""
    if not 1 <= len(arguments) <= 3 or not all(word.isdigit() for word in arguments[1:2]):
        return __doc__
    seeds = int(arguments[1]) if len(arguments) > 1 else SEEDS
    try:
        lines = Path(arguments[2]).read_text(encoding="utf-8").splitlines() if len(arguments) > 2 else []
    except (OSError, UnicodeDecodeError) as error:
        return f"cannot read {arguments[2]}: {error}; FILE holds one line of advice on each line"
    return on_last_run(Path(arguments[0]), lambda deps: report(deps, seeds, [line.strip() for line in lines if line.strip()]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
