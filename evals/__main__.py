"""`make bench`: every study and benchmark that runs without a model file, one after the other."""

from __future__ import annotations

import sys

from evals import (
    budget_walls,
    floor_study,
    gate_simulation,
    growth,
    judge_gate,
    lab_worlds,
    loop_speed,
    many_processes,
    poison,
    probe_lab,
    random_kills,
    retrieval_quality,
    retrieval_speed,
    transfer,
)


def main() -> int:
    """Run them all; 1 if a promise is broken."""
    gate_simulation.main()
    judge_gate.main()
    lab_worlds.main()
    probe_lab.main()
    floor_study.main()
    transfer.lines()
    transfer.main()
    loop_speed.main()
    growth.main()
    retrieval_quality.main()
    retrieval_speed.main()
    return max(budget_walls.main(), many_processes.main(), random_kills.main(), poison.main())


if __name__ == "__main__":
    sys.exit(main())
