"""Processes that may be killed: forked from a server that has everything heavy imported, so that dozens of them take seconds."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    [
        "langgraph.graph",
        "langgraph.checkpoint.sqlite.aio",
        "scipy.optimize",
        "scipy.stats",
        "tests.loop.boundaries",
        "tests.loop.small",
    ]
)


def in_a_process(body: Callable[..., None], *args: object) -> int | None:
    """Run it in a fresh process and return its exit code: minus the signal where one killed it."""
    process = PROCESSES.Process(target=body, args=args)
    process.start()
    process.join(timeout=60)
    return process.exitcode
