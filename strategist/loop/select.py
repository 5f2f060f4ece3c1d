"""select: which of a round's states are coached. Pure: novel, covering, mostly where the student fell short (or was not
asked, because the teacher played), with some controls."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import TYPE_CHECKING

from strategist.conversation import scenarios_of
from strategist.loop.deps import Count, Deps
from strategist.loop.generate import EXTRA_FIRST_INDEX
from strategist.loop.recorded import failed
from strategist.records.base import Record, digest
from strategist.records.trace import Scenario, ScenarioKey
from strategist.retrieval.mask import key_text

if TYPE_CHECKING:
    import numpy as np

NEAR_DUPLICATE = 0.97
"""Cosine of two masked keys from which they count as the same moment."""


class Selection(Record):
    """The states a round coaches: where something failed or the student was not asked yet, and controls where nothing failed."""

    failing: tuple[str, ...]
    controls: tuple[str, ...]


async def select(deps: Deps, round_: int, report: Count) -> None:
    """Cut the round's traces into scenarios, store all of them, choose those to coach."""
    scenarios: list[Scenario] = []
    unasked: set[str] = set()
    for trace in deps.store.traces(deps.run.id, purpose="generate", round=round_):
        if (
            trace.failure is None and trace.index < EXTRA_FIRST_INDEX
        ):  # a run that begins again after its checkpoints were lost has the others
            states = scenarios_of(trace, lambda messages: key_text(messages, deps.domain.language))
            scenarios.extend(states)
            if trace.actor == "teacher" or deps.judge is not None or (trace.source and failed(trace)):
                unasked.update(s.id for s in states)
    deps.store.put_documents(deps.run.id, "scenario", [(s.id, round_, i, s) for i, s in enumerate(scenarios)])
    teach = deps.settings.teach
    vectors = await deps.embedder.embed([s.key for s in scenarios]) if scenarios else None
    chosen = choose(scenarios, vectors, count=teach.scenarios, control_share=teach.control_share, unasked=unasked)
    deps.store.put_document(deps.run.id, "selection", f"r{round_}", round_, 0, chosen)
    report(len(chosen.failing) + len(chosen.controls), len(scenarios))


def choose(
    scenarios: Sequence[Scenario], vectors: np.ndarray | None, *, count: int, control_share: float, unasked: Set[str] = frozenset()
) -> Selection:
    """Choose up to `count` scenarios; `vectors` are their L2-normalised keys, shape (n, d).

    Failing states (any turn check failed) and those of which it is not known how the student does there (`unasked`, scenario ids: the
    teacher answered, only a judge could tell, or a recorded conversation failed) are spread by farthest point over the keys, at most one
    near-duplicate each; the control share is filled from states where nothing of the student failed. Starting points and ties go by hash
    of the scenario id.
    """
    if vectors is None or not scenarios:
        return Selection(failing=(), controls=())
    failing = [i for i, s in enumerate(scenarios) if s.id in unasked or any(v.passed is False for v in s.verdicts)]
    clean = [i for i in range(len(scenarios)) if i not in set(failing)]
    controls = min(round(count * control_share), len(clean))
    picked = farthest_points(failing, vectors, scenarios, count - controls)
    kept = farthest_points(clean, vectors, scenarios, controls)
    return Selection(failing=tuple(scenarios[i].id for i in picked), controls=tuple(scenarios[i].id for i in kept))


def farthest_points(pool: Sequence[int], vectors: np.ndarray, scenarios: Sequence[ScenarioKey], count: int) -> list[int]:
    """Greedy k-centre (Gonzalez 1985) over cosine distance: each next state is the one least similar to all chosen so far.

    Stops at `count` or when only near-duplicates are left. Work grows with the pool times `count`.
    """
    import numpy as np

    left = sorted(pool, key=lambda i: digest(scenarios[i].id))
    if not left or count <= 0:
        return []
    rows = vectors[left]
    chosen = [0]
    nearest = rows @ rows[0]
    while len(chosen) < min(count, len(left)):
        nearest[chosen[-1]] = np.inf  # once chosen, never again
        best = int(nearest.argmin())
        if nearest[best] >= NEAR_DUPLICATE:
            break
        chosen.append(best)
        nearest = np.maximum(nearest, rows @ rows[best])
    return [left[i] for i in chosen]
