"""`make bench`: every study and benchmark that runs without a model file, one after the other."""

from __future__ import annotations

from evals import gate_simulation, lab_worlds, retrieval_quality, retrieval_speed


def main() -> None:
    """Run them all."""
    gate_simulation.main()
    lab_worlds.main()
    retrieval_quality.main()
    retrieval_speed.main()


if __name__ == "__main__":
    main()
