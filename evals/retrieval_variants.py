"""What would the library of a finished run do on dev if it were retrieved in another way?

    python -m evals.retrieval_variants SETTINGS [SEEDS [NAME...]]    default 3 seeds, all variants; calls are cached, so it can be stopped

Variants, over the entries as the last round left them:

    as learned    as it serves
    one text      the agent's and the customer's last message as one text, as keys were before they had fields
    careful       keys with fields; the floor where what is found first is right in seven of ten cases
    bold          keys with fields; in three of ten
    no floor      what ranks first is placed, whatever its score

The floor of `one text` is calibrated as usual, on such keys. Printed: share of guided turns, score, lift over the bare student and over the
first variant, conversations with a hard failure in 100; intervals are Student's t over dev customers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from evals.last_run import cell, on_last_run
from evals.retrieval_keys import last_exchange
from strategist.errors import SettingsError
from strategist.evaluation.arms import make_arm
from strategist.evaluation.study import compare, run_study, study_seeds, summarise
from strategist.loop.consolidate import found_first
from strategist.loop.deps import Deps
from strategist.records.chat import Message
from strategist.records.library import Floor, Guidance, Snapshot
from strategist.records.run import ArmName, ArmOutcome
from strategist.records.trace import Scenario
from strategist.retrieval.floor import PRECISION, precise_floor
from strategist.retrieval.mask import key_text
from strategist.retrieval.retriever import Retriever

SEEDS = 3


class Variant(NamedTuple):
    """How a key reads; from which probability to be right on the floor lets pass, None for the learned floor and 0 for none."""

    key: Callable[[str], str] = str
    precision: float | None = None


VARIANTS = {
    "as learned": Variant(),
    "one text": Variant(last_exchange, PRECISION),
    "careful": Variant(str, 0.7),
    "bold": Variant(str, 0.3),
    "no floor": Variant(str, 0.0),
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
    """The library that the run's last round left, under a variant. Raises SettingsError if there is none to speak of."""
    learned = deps.store.documents(deps.run.id, "snapshot_after", Snapshot)
    if deps.settings.retrieval.floor is not None or not learned or not any(e.keys for e in learned[-1].entries):
        raise SettingsError("no entries with keys, or a fixed floor: nothing to vary", hint="teach with a floor that is measured")
    entries = tuple(
        e.model_copy(update={"keys": tuple(key.model_copy(update={"text": variant.key(key.text)}) for key in e.keys)})
        for e in learned[-1].entries
    )
    floor = learned[-1].floor
    if variant.precision == 0:
        floor = Floor(score=-1, source="fixed")
    elif variant.precision:
        own = [e for e in entries if e.keys]
        states = deps.store.documents(deps.run.id, "scenario", Scenario)
        keys = await deps.embedder.embed([key.text for e in own for key in e.keys])
        found = found_first(own, keys, states, await deps.embedder.embed([variant.key(s.key) for s in states]))
        floor = precise_floor(found, variant.precision)
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
    sources = [await source_of(deps, VARIANTS[name]) for name in names]
    bare = await play(deps, None, seeds)
    (alone,) = summarise(bare)
    print(f"bare: score {cell(alone.score)}, hard {cell(alone.hard, 1)}, n={alone.personas} seeds={alone.seeds}", flush=True)
    first: tuple[ArmOutcome, ...] = ()
    for name, source in zip(names, sources, strict=True):
        outcomes = await play(deps, source, seeds)
        (summary,) = summarise(outcomes)
        line = f"{name}: floor {source.inner.floor}, guided turns {summary.guided_share:.0%}, score {cell(summary.score)}"
        line += f", hard {cell(summary.hard, 1)}, lift {_difference(outcomes, bare)}"
        print(line + (f", over {names[0]} {_difference(outcomes, first)}" if first else ""), flush=True)
        first = first or outcomes


def _difference(outcomes: Sequence[ArmOutcome], others: Sequence[ArmOutcome]) -> str:
    return cell(compare([*outcomes, *(o.model_copy(update={"arm": "bare"}) for o in others)], "library", "bare").lift, signed="+")


def main(arguments: Sequence[str]) -> str | None:
    """Run the study on the last run of a settings file; returns what is wrong, if anything."""
    if not arguments or any(name not in VARIANTS for name in arguments[2:]) or not all(word.isdigit() for word in arguments[1:2]):
        return __doc__
    seeds = int(arguments[1]) if len(arguments) > 1 else SEEDS
    return on_last_run(Path(arguments[0]), lambda deps: report(deps, seeds, arguments[2:] or list(VARIANTS)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
