"""Running a teach run to its end: start or resume, stream progress, and end cleanly whatever happens.

A budget that is used up, a model server that is gone and Ctrl-C are ends, not crashes: what was consolidated stays, and the same run can be
resumed. Knows the graph and its checkpoints; does not know how settings become models (strategist.project) or how progress is drawn (cli).

Checkpoints are derived: they only spare a resumed run the nodes that are done. Where they are gone, or say more than the store knows (the
machine lost power, a backup was put back, the database was deleted), the run begins at its first node, and all replies that the call log
holds come from there. Nothing rests on which checkpoint is the newest: LangGraph orders them by the clock of the machine.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from strategist.errors import BudgetExceededError, ServerUnavailableError
from strategist.loop.deps import Booked, Deps, LoopState, Progress
from strategist.loop.graph import BOOKED, build_graph
from strategist.records.run import RunInfo, StopReason
from strategist.store.database import fault

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from langgraph.graph.state import CompiledStateGraph
    from langgraph.types import StateSnapshot

RECURSION_LIMIT = 1_000
"""Nodes per invocation: far beyond 50 rounds of six nodes."""


class Finished(RunInfo):
    """A run with the error that ended it, if one did."""

    error: str = ""


async def teach(deps: Deps, checkpoints: Path, on_progress: Callable[[Progress], None]) -> Finished:
    """Run or go on with `deps.run` until it stops; returns its info with the reason. Only faults of the program or store raise."""
    stop: StopReason | None = None
    message = ""
    try:
        stop = await _invoke(deps, checkpoints, on_progress)
    except BudgetExceededError as error:
        stop, message = "budget", str(error)
    except ServerUnavailableError as error:
        stop, message = "server", str(error)
    except asyncio.CancelledError:
        deps.store.put_run(deps.run.model_copy(update={"stop": "interrupted"}))
        raise
    except sqlite3.Error as error:  # of the checkpoints' file; the store translates its own
        raise fault(checkpoints, str(error), derived=True) from error
    info = deps.run.model_copy(update={"stop": stop})
    deps.store.put_run(info)
    return Finished(**info.model_dump(), error=message)


async def _invoke(deps: Deps, checkpoints: Path, on_progress: Callable[[Progress], None]) -> StopReason | None:
    os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    async with AsyncSqliteSaver.from_conn_string(str(checkpoints)) as saver:
        graph = build_graph(deps).compile(checkpointer=saver)
        config: RunnableConfig = {"configurable": {"thread_id": deps.run.id}, "recursion_limit": RECURSION_LIMIT}
        before = await _state(graph, config, checkpoints)
        begun = bool(before.values)
        if begun and not _kept(deps, before):
            await saver.adelete_thread(deps.run.id)
            begun = False
        stop = cast("StopReason | None", before.values.get("stop")) if begun else None
        if stop:  # `before.next` is empty also where a node was done when the process ended, but not yet booked
            return stop
        start: LoopState | None = None if begun else {"run_id": deps.run.id, "round": 0, "stop": None}
        async for mode, event in graph.astream(start, config, stream_mode=["custom", "values"], durability="sync"):
            if mode == "custom":
                on_progress(cast(Progress, event))
            else:
                stop = cast(LoopState, event).get("stop")
        return stop


async def _state(graph: CompiledStateGraph[LoopState], config: RunnableConfig, checkpoints: Path) -> StateSnapshot:
    """Where the checkpoints say the run is. Raises StoreError for what cannot be read."""
    try:
        return await graph.aget_state(config)
    except sqlite3.Error:
        raise
    except Exception as error:
        raise fault(checkpoints, f"malformed: {type(error).__name__}", derived=True) from error


def _kept(deps: Deps, state: StateSnapshot) -> bool:
    """Whether the store has everything that the checkpoints say is done."""
    results = [task.result for task in state.tasks if isinstance(task.result, dict)]
    booked = {str(values["done"]) for values in (state.values, *results) if "done" in values}
    return all(deps.store.get_document(deps.run.id, BOOKED, done, Booked) for done in booked)


def ended_well(stop: StopReason | None) -> bool:
    """Whether there is nothing to resume: a run ended by its own rules, or texts that it worked on were erased."""
    return stop in ("rounds", "parity", "no_progress", "nothing_to_teach", "erased")
