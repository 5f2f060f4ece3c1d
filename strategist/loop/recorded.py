"""Recorded conversations as the loop's source: what generate, admit and examine take where nobody can be played.

Imported traces are read from the run `recorded`, given the domain's system message and the verdicts of its checks, and kept with the run
that uses them. Order is by hash, conversations that failed first where their agent is the one to be coached: that is where there is
something to learn. Of a teacher only conversations that did not fail are learned from.
"""

from __future__ import annotations

from collections.abc import Sequence

from strategist.agent import desk_message
from strategist.conversation import graded, scenarios_of
from strategist.domains.persona import Split
from strategist.errors import SettingsError
from strategist.loop.deps import Deps
from strategist.recorded.turns import RECORDED
from strategist.records.base import stable_int
from strategist.records.trace import Scenario, Trace
from strategist.retrieval.mask import key_text


def recorded_traces(deps: Deps, split: Split) -> list[Trace]:
    """The imported conversations of a split that can be learned from, in the order in which rounds take them. Raises SettingsError."""
    found = [trace for trace in deps.store.traces(RECORDED) if trace.turns and trace.domain == deps.domain.name and not trace.erased]
    if not found:
        raise SettingsError(
            f"{deps.domain.name} meets its customers in recorded conversations, and none are imported",
            hint="bring them in with `strategist import FILE`",
        )
    wanted = [trace for trace in found if trace.persona.startswith(f"{split}-") and not (trace.actor == "teacher" and failed(trace))]
    return sorted(wanted, key=lambda trace: (not failed(trace), stable_int("recorded", deps.run.seed, trace.id), trace.id))


def failed(trace: Trace) -> bool:
    """Whether the file says that a conversation did not end as it should."""
    return trace.outcome is not None and not trace.outcome.goal


def round_traces(deps: Deps, round_: int) -> list[Trace]:
    """The conversations that a round learns from: each is used once. Empty where all are used up."""
    count = deps.settings.teach.conversations
    mine = recorded_traces(deps, "train")[round_ * count : (round_ + 1) * count]
    return [_prepared(deps, trace, round_, index) for index, trace in enumerate(mine)]


def states(deps: Deps, traces: Sequence[Trace]) -> list[Scenario]:
    """The states of recorded conversations."""
    return [state for trace in traces for state in scenarios_of(trace, lambda m: key_text(m, deps.domain.language))]


def split_states(deps: Deps, split: Split) -> list[Scenario]:
    """All states of a split, with the verdicts on what the recorded agent said there. Those of train are test moments for the gate."""
    return states(deps, [_prepared(deps, trace, 0, index) for index, trace in enumerate(recorded_traces(deps, split))])


def moments(deps: Deps, split: Split, seed: int = 0) -> list[Scenario]:
    """One state per recorded customer of a split, drawn by `seed`: what arms are compared at."""
    by_persona: dict[str, list[Scenario]] = {}
    for state in split_states(deps, split):
        by_persona.setdefault(state.persona, []).append(state)
    return [min(own, key=lambda s: (stable_int("moment", seed, s.id), s.id)) for _, own in sorted(by_persona.items())]


def recorded_reply(deps: Deps, scenario: Scenario) -> str | None:
    """What a teacher said there in a recorded conversation; None where it was not a teacher, or nobody recorded it."""
    if not deps.domain.recorded:
        return None
    trace = deps.store.get_trace(RECORDED, scenario.trace)
    return trace.turns[scenario.turn].reply if trace.actor == "teacher" else None


def _prepared(deps: Deps, trace: Trace, round_: int, index: int) -> Trace:
    system = desk_message(deps.domain, tool_style=deps.settings.student.tool_style)
    update = {"messages": (system, *trace.messages), "purpose": "generate", "round": round_, "index": index}
    return graded(deps.domain, trace.model_copy(update=update))
