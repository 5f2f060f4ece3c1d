"""The loop as a LangGraph graph: generate, select, coach, admit, consolidate, examine, and round again.

The state holds the round, the last node that is done and the reason to stop; everything else is in the store, so a checkpoint is a few
hundred bytes and a node that runs twice after a kill changes nothing: its calls come from the call log. A node books itself in the store
before its checkpoint is written, so that checkpoints which are ahead of the store can be told. Nodes stream `Progress` events.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from strategist.loop.admit import admit
from strategist.loop.coach import coach
from strategist.loop.consolidate import consolidate
from strategist.loop.deps import NODES, Booked, Deps, LoopState, NodeName, Progress, Report
from strategist.loop.examine import examine
from strategist.loop.generate import generate
from strategist.loop.select import select
from strategist.records.run import StopReason

if TYPE_CHECKING:
    from langgraph.graph import StateGraph

Node = Callable[[Deps, int, Report], Awaitable[StopReason | None]]

BOOKED = "booked"
"""Kind of the documents that say which nodes are done."""

WORK: dict[NodeName, Node] = {
    "generate": generate,
    "select": select,
    "coach": coach,
    "admit": admit,
    "consolidate": consolidate,
    "examine": examine,
}


def build_graph(deps: Deps) -> StateGraph[LoopState]:
    """The uncompiled graph over one run's parts; compile it with a checkpointer to be able to resume."""
    from langgraph.graph import END, START, StateGraph

    graph: StateGraph[LoopState] = StateGraph(LoopState)
    for name in NODES:
        graph.add_node(name, _node(deps, name))
    graph.add_edge(START, "generate")
    for before, after in itertools.pairwise(NODES):
        graph.add_edge(before, after)
    graph.add_conditional_edges("examine", _go_on, {"generate": "generate", "end": END})
    return graph


def _go_on(state: LoopState) -> str:
    return "end" if state.get("stop") else "generate"


class GraphNode(Protocol):
    """What LangGraph calls."""

    async def __call__(self, state: LoopState) -> LoopState:
        """Run one node; returns the changed keys."""
        ...


def _node(deps: Deps, name: NodeName) -> GraphNode:
    async def run(state: LoopState) -> LoopState:
        from langgraph.config import get_stream_writer

        write = get_stream_writer()
        round_ = state.get("round", 0)

        def report(done: int, total: int, what: str = "", /) -> None:
            calls, cost = deps.spent()
            event = Progress(node=name, round=round_, done=done, total=total, calls=calls, cost_usd=cost)
            write(Progress(**event, what=what) if what else event)

        stop = await WORK[name](deps, round_, report)
        done = f"r{round_}-{name}"
        deps.store.put_document(deps.run.id, BOOKED, done, round_, NODES.index(name), Booked(node=name, round=round_))
        if name != "examine":
            return {"round": round_, "done": done}
        return {"round": round_ if stop else round_ + 1, "stop": stop, "done": done}

    return run
