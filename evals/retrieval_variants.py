"""What would the library of a finished run do on dev if it were retrieved in another way?

    python -m evals.retrieval_variants SETTINGS [SEEDS [NAME...]]    default 3 seeds, all variants; resumable, calls are cached

Variants, each over the same entries with a floor calibrated anew on the run's own conversations:

    as learned    keys with fields, one moment in twenty of other issues passes the floor
    one text      the agent's and the customer's last message as one text, as keys were before they had fields
    careful       one moment in a hundred passes
    no floor      what ranks first is placed, whatever its score

Printed: share of guided turns, score, lift over the bare student and over `as learned`, conversations with a hard failure in 100; intervals
are Student's t over dev customers. Replies of the bare student and of turns that the variants share are paid for once.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from evals.retrieval_keys import last_exchange
from strategist.evaluation.arms import make_arm
from strategist.evaluation.study import compare, run_study, study_seeds, summarise
from strategist.loop.consolidate import stranger_scores
from strategist.loop.deps import Deps
from strategist.project import open_project
from strategist.records.chat import Message
from strategist.records.library import Floor, Guidance, Snapshot
from strategist.records.run import ArmName, ArmOutcome
from strategist.records.trace import Scenario
from strategist.retrieval.floor import calibrate_floor
from strategist.retrieval.mask import key_text
from strategist.retrieval.retriever import Retriever
from strategist.settings import load_settings

SEEDS = 3


class Variant(NamedTuple):
    """How a key reads, and the quantile of strangers' scores at which the floor lies; None: no floor."""

    key: Callable[[str], str]
    quantile: float | None


VARIANTS = {
    "as learned": Variant(str, 0.95),
    "one text": Variant(last_exchange, 0.95),
    "careful": Variant(str, 0.99),
    "no floor": Variant(str, None),
}


@dataclass(frozen=True)
class Rewritten:
    """Guidance for keys that read another way."""

    inner: Retriever
    key: Callable[[str], str]
    language: str

    async def guidance(self, messages: Sequence[Message]) -> Guidance:
        """See `Retriever.guidance`."""
        return await self.inner.guidance(self.key(key_text(messages, self.language)))


async def source_of(deps: Deps, variant: Variant) -> Rewritten:
    """The library of the last round under a variant."""
    entries = tuple(
        e.model_copy(update={"keys": tuple(key.model_copy(update={"text": variant.key(key.text)}) for key in e.keys)})
        for e in deps.library_now().entries
    )
    own = [e for e in entries if e.keys]
    states = deps.store.documents(deps.run.id, "scenario", Scenario)
    keys = await deps.embedder.embed([key.text for e in own for key in e.keys])
    strangers = stranger_scores(own, keys, states, await deps.embedder.embed([variant.key(s.key) for s in states]))
    floor = Floor(score=-1, source="fixed") if variant.quantile is None else calibrate_floor(strangers, variant.quantile)
    snapshot = Snapshot(entries=entries, floor=floor, embedder=deps.embedder.id)
    return Rewritten(await deps.retriever(snapshot), variant.key, deps.domain.language)


async def play(deps: Deps, source: Rewritten | None, seeds: int) -> tuple[ArmOutcome, ...]:
    """The arm `library` with guidance from `source`, or the bare arm, on all dev customers."""
    name: ArmName = "bare" if source is None else "library"
    return await run_study(
        [make_arm(name, deps.agent, retriever=source)],
        deps.domain.personas("dev", None),
        study_seeds(seeds),
        domain=deps.domain,
        customer=deps.customer,
        max_turns=deps.settings.teach.max_turns,
        tool_style=deps.settings.student.tool_style,
        lanes=deps.lanes,
        round=deps.run.rounds,
    )


async def report(deps: Deps, seeds: int, names: Sequence[str]) -> None:
    """Play and print, one line a variant."""
    bare = await play(deps, None, seeds)
    learned: tuple[ArmOutcome, ...] | None = None
    (alone,) = summarise(bare)
    print(f"bare: score {_cell(alone.score)}, hard {_cell(alone.hard, 1)}, n={alone.personas} seeds={alone.seeds}", flush=True)
    for name in names:
        source = await source_of(deps, VARIANTS[name])
        outcomes = await play(deps, source, seeds)
        learned = learned or outcomes
        (summary,) = summarise(outcomes)
        over_bare = compare([*outcomes, *bare], "library", "bare")
        over_learned = compare([*outcomes, *(o.model_copy(update={"arm": "bare"}) for o in learned)], "library", "bare")
        print(
            f"{name}: floor {source.inner.floor}, guided turns {summary.guided_share:.0%}, score {_cell(summary.score)},"
            f" lift {_cell(over_bare.lift)}, over {names[0]} {_cell(over_learned.lift)}, hard {_cell(summary.hard, 1)}",
            flush=True,
        )


def _cell(estimate: object, digits: int = 3) -> str:
    return "-" if not isinstance(estimate, tuple) else f"{estimate[0]:+.{digits}f} [{estimate[1]:+.{digits}f}, {estimate[2]:+.{digits}f}]"


async def main(settings: Path, seeds: int, names: Sequence[str]) -> None:
    """Open the project and report on its last run."""
    with open_project(load_settings(settings)) as project, project.alone():
        last = project.last_run()
        assert last is not None, "no run to look at: run `strategist teach` first"
        async with project.deps(last) as deps:
            await report(deps, seeds, names)


if __name__ == "__main__":
    count = int(sys.argv[2]) if len(sys.argv) > 2 else SEEDS
    asyncio.run(main(Path(sys.argv[1]), count, sys.argv[3:] or list(VARIANTS)))
