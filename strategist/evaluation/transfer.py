"""Transfer: a library that was learned elsewhere, on this company's customers and this student. What does it still give, and which entries?

Owns the arms of that question and how they are counted. *bare* gets nothing, *transferred* the lines that may cross (library.crossing),
*whole* all of them, *own* the library that was taught here, if there is one. Knows no database; figures and verdicts are pure.

Invariants: all arms meet the same customers with the same sample numbers as any study, so what was paid for there is not paid again; the
unit is the persona; a share of the gain is given only where there surely is a gain to keep.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Literal, NamedTuple

from strategist.domains.domain import Domain
from strategist.domains.persona import Split
from strategist.errors import LibraryError
from strategist.evaluation.arms import Arm
from strategist.evaluation.probe import USEFUL
from strategist.evaluation.study import ArmComparison, compare, pair_up, run_study
from strategist.library.crossing import Company, Held, company_of, cross
from strategist.loop.deps import Deps
from strategist.records.base import Record
from strategist.records.library import Entry, Snapshot
from strategist.records.run import ArmName, ArmOutcome
from strategist.records.trace import Trace
from strategist.stats import Estimate, mean_interval, paired_difference, ratio_of_means

CONTRASTS: tuple[tuple[ArmName, ArmName], ...] = (
    ("transferred", "bare"),
    ("whole", "bare"),
    ("own", "bare"),
    ("transferred", "own"),
    ("transferred", "whole"),
)
ENOUGH = 5
"""Customers from which on an entry's difference has an interval."""

Verdict = Literal["helps", "not proven", "no use", "harms", "never retrieved", "held back"]
CARRIED: tuple[Verdict, ...] = ("helps", "not proven")
"""What does not say that an entry stayed behind."""


class Plan(NamedTuple):
    """The libraries of the arms, each None where the arm is not played, and the lines that are held back."""

    library: Snapshot
    transferred: Snapshot
    whole: Snapshot | None
    own: Snapshot | None
    held: tuple[Held, ...]


class EntryUse(Record):
    """One entry of the library, with the lines that cross (all of them if none does), in the conversations of the arm *transferred*: turns
    that had lines of it, conversations and customers with such turns, and by how much those conversations were better than the same ones of
    the bare arm, over customers (`difference`; with its `interval` from ENOUGH customers on)."""

    entry: str
    lines: tuple[str, ...]
    turns: int = 0
    conversations: int = 0
    personas: int = 0
    difference: float | None = None
    interval: Estimate | None = None
    verdict: Verdict


class Transfer(Record):
    """A finished transfer. `library` is the hash of the snapshot, `learned` the domains it was learned in and the students."""

    library: str
    learned: tuple[str, ...]
    domain: str
    student: str
    split: str
    outcomes: tuple[ArmOutcome, ...]
    uses: tuple[EntryUse, ...]
    held: tuple[Held, ...]


class Kept(NamedTuple):
    """The share of the own library's gain that the transferred one brings, over the customers that all three arms have; None where it is
    not defined, and then `why`."""

    share: Estimate | None
    why: str


def make_plan(
    library: Snapshot,
    *,
    sources: Mapping[str, Company],
    target: Domain,
    embedder: str,
    own: Snapshot | None = None,
    whole: bool = False,
) -> Plan:
    """What each arm gets. Raises LibraryError where nothing can be measured: no lines, vectors of another embedder, another language."""
    if not any(entry.strategies for entry in library.entries):
        raise LibraryError("the library has no lines", hint="export one that has learned something")
    crossing = cross(library, sources, company_of(target), brief_hash=target.brief_hash)
    if library.embedder and library.embedder != embedder:
        raise LibraryError(
            f"the library was built with the embedder {library.embedder}, this project has {embedder}: its floor is a score of the other",
            hint="choose in [retrieval] what the library was built with, or rebuild it where it was learned and export it again",
        )
    return Plan(
        library=library,
        transferred=crossing.snapshot,
        whole=library if whole and crossing.held else None,
        own=own if own is not None and own.entries else None,
        held=crossing.held,
    )


def require_lines(plan: Plan, target: Domain) -> None:
    """Raise LibraryError where no line crosses and the whole library is not played either."""
    if plan.whole is None and not any(entry.strategies for entry in plan.transferred.entries):
        reasons = "; ".join(f"{count} x {kind}" for kind, count in Counter(held.kind for held in plan.held).most_common())
        hint = "it belongs to the company where it was learned; --whole plays it all the same, as a control"
        raise LibraryError(f"no line crosses to {target.title} ({reasons})", hint=hint)


def own_library(snapshot: Snapshot, domain: str, student: str) -> Snapshot:
    """The part of a project's library that was taught in this domain to this student: what a transferred one is measured against."""
    own = tuple(entry for entry in snapshot.entries if entry.domain == domain and entry.student == student)
    return snapshot.model_copy(update={"entries": own})


def learned_in(library: Snapshot) -> tuple[str, ...]:
    """Where a library was learned: each domain with its student, in order."""
    return tuple(sorted({f"{entry.domain} with {entry.student}" for entry in library.entries}))


async def play_transfer(
    deps: Deps,
    plan: Plan,
    personas: int | None,
    seeds: Sequence[int],
    *,
    split: Split = "dev",
    draw_seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    keep: Callable[[Trace], None] | None = None,
) -> Transfer:
    """Play the arms and count. `draw_seed` draws the customers, `keep` gets every trace. Raises like `run_study`."""
    traces: list[Trace] = []

    def keep_both(trace: Trace) -> None:
        traces.append(trace)
        if keep is not None:
            keep(trace)

    guided: tuple[tuple[ArmName, Snapshot | None], ...] = (("transferred", plan.transferred), ("whole", plan.whole), ("own", plan.own))
    arms = [Arm("bare", deps.agent(None))]
    arms += [Arm(name, deps.agent(await deps.retriever(snapshot))) for name, snapshot in guided if snapshot is not None]
    outcomes = await run_study(
        arms,
        deps.domain.personas(split, personas, seed=draw_seed),
        seeds,
        domain=deps.domain,
        customer=deps.customer,
        max_turns=deps.settings.teach.max_turns,
        tool_style=deps.settings.student.tool_style,
        lanes=deps.lanes,
        progress=progress,
        keep=keep_both,
    )
    return Transfer(
        library=plan.library.hash,
        learned=learned_in(plan.library),
        domain=deps.domain.name,
        student=deps.run.student,
        split=split,
        outcomes=outcomes,
        uses=uses_of(plan, outcomes, traces),
        held=plan.held,
    )


def gains(outcomes: Iterable[ArmOutcome]) -> tuple[ArmComparison, ...]:
    """The comparisons of CONTRASTS for which both arms were played. Pure."""
    known = tuple(outcomes)
    played = {outcome.arm for outcome in known}
    return tuple(compare(known, arm, base) for arm, base in CONTRASTS if arm in played and base in played)


def share_kept(outcomes: Iterable[ArmOutcome]) -> Kept:
    """(transferred - bare) / (own - bare), each a mean over customers that have all three. Pure."""
    known = tuple(outcomes)
    if not any(outcome.arm == "own" for outcome in known):
        return Kept(None, "this project has no library of its own for this domain and student")
    scores = {arm: _scores(known, arm) for arm in ("bare", "transferred", "own")}
    units = sorted(scores["bare"].keys() & scores["transferred"].keys() & scores["own"].keys())
    means = {arm: _by_persona({unit: scores[arm][unit] for unit in units}) for arm in scores}
    if len(means["bare"]) < 2:
        return Kept(None, "too few customers have finished conversations in all three arms")
    own = paired_difference(means["own"], means["bare"])
    if own.low <= 0:
        return Kept(None, f"the own library's gain is not surely above 0: [{own.low:+.2f}, {own.high:+.2f}]")
    return Kept(ratio_of_means(_minus(means["transferred"], means["bare"]), _minus(means["own"], means["bare"])), "")


def uses_of(plan: Plan, outcomes: Sequence[ArmOutcome], traces: Iterable[Trace]) -> tuple[EntryUse, ...]:
    """Every entry of the library with its use, in the order of the library. Pure.

    A conversation with lines of several entries counts for each of them, and which entries it gets depends on how it went: a long, bad one
    gets more. So a difference is a hint about an entry, and only the arms say what the library does."""
    turns: dict[str, Counter[str]] = {}
    for trace in traces:
        if trace.arm == "transferred":
            for turn in trace.turns:
                for ref in turn.guidance.entries if turn.guidance.lines else ():
                    turns.setdefault(ref, Counter())[trace.id] += 1
    pairs = {pair[0].trace: pair for pair in pair_up(outcomes, "transferred", "bare")[0]}
    crossed = {entry.ref: entry for entry in plan.transferred.entries}
    return tuple(_use(entry, crossed, turns.get(entry.ref, Counter()), pairs) for entry in plan.library.entries if entry.strategies)


def verdict_of(interval: Estimate | None) -> Verdict:
    """What a used entry's difference says: *no use* where even the upper bound is less than worth having. Pure."""
    if interval is None:
        return "not proven"
    if interval.low > 0:
        return "helps"
    return "harms" if interval.high < 0 else "no use" if interval.high < USEFUL else "not proven"


def _use(entry: Entry, crossed: Mapping[str, Entry], turns: Counter[str], pairs: Mapping[str, tuple[ArmOutcome, ArmOutcome]]) -> EntryUse:
    lines = tuple(strategy.text for strategy in crossed.get(entry.ref, entry).strategies)
    if entry.ref not in crossed:
        return EntryUse(entry=entry.ref, lines=lines, verdict="held back")
    if not turns:
        return EntryUse(entry=entry.ref, lines=lines, verdict="never retrieved")
    values: dict[str, list[float]] = {}
    for trace in turns:
        if trace in pairs:
            with_it, bare = pairs[trace]
            values.setdefault(bare.persona, []).append((with_it.score or 0.0) - (bare.score or 0.0))
    means = [fmean(values[persona]) for persona in sorted(values)]
    interval = mean_interval(means) if len(means) >= ENOUGH else None
    return EntryUse(
        entry=entry.ref,
        lines=lines,
        turns=sum(turns.values()),
        conversations=len(turns),
        personas=len(means),
        difference=fmean(means) if means else None,
        interval=interval,
        verdict=verdict_of(interval),
    )


def _scores(outcomes: Iterable[ArmOutcome], arm: str) -> dict[tuple[str, int], float]:
    return {(o.persona, o.seed): o.score for o in outcomes if o.arm == arm and o.score is not None}


def _by_persona(scores: Mapping[tuple[str, int], float]) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for (persona, _), score in scores.items():
        values.setdefault(persona, []).append(score)
    return {persona: fmean(found) for persona, found in values.items()}


def _minus(a: Mapping[str, float], b: Mapping[str, float]) -> dict[str, float]:
    return {unit: a[unit] - b[unit] for unit in a}
