"""The poisoned conversations: see evals/poison/__main__.py."""

from __future__ import annotations


def main() -> int:
    """Run the suite at its default size; 1 if a promise is broken."""
    from evals.poison.__main__ import main as run

    return run()
