"""`make bench`: every study and benchmark that runs without a model file, one after the other."""

from __future__ import annotations

from evals import gate_simulation, lab_worlds


def main() -> None:
    """Run them all."""
    gate_simulation.main()
    lab_worlds.main()


if __name__ == "__main__":
    main()
