"""Entries tested again under a new brief: which ones, on what run, and what becomes of them.

The gate is the one of teaching (strategist.loop.admit). Each entry is the candidate, L is the other servable entries; all moments are of
customers who were never drawn before, and every reply is fresh. A batch is a round of a run of its own, so that the call log makes it
resumable, and its number is beyond those of teaching, so that its customers are nobody else's.

Invariants: the same batch under the same settings against the same library is the same run and pays nothing twice; what the tests say is
written for all entries in one transaction, or not at all; a text that the brief forbids costs no reply.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from strategist.errors import LibraryError
from strategist.library.briefs import keep_brief, kept_texts
from strategist.library.library import Library, status_after
from strategist.library.stale import TOUCHED, Staleness, change_since, refused_by, renumbered
from strategist.loop.admit import put_to_test
from strategist.loop.deps import Deps, Report
from strategist.loop.testbed import TestBed
from strategist.records.base import Record, digest
from strategist.records.evidence import Evidence
from strategist.records.library import SERVABLE, Candidate, Entry, Snapshot
from strategist.records.run import RunInfo
from strategist.store import Store

BATCHES = "revalidate"
"""Under this name stand the batches; the first is run on as `revalidate-001`."""
FIRST_ROUND = 1_000
"""Teaching has fewer rounds, and its customers lie below those of this one."""
ACTOR = "strategist"


class Batch(Record):
    """What is tested together (`id@version`, sorted) and under what: a digest of all that decides a run, the brief included."""

    entries: tuple[str, ...]
    under: str


class Retested(NamedTuple):
    """What became of an entry. `after` is None where it stays as it was; without `evidence` it was not tested."""

    before: Entry
    after: Entry | None
    evidence: Evidence | None
    why: str


def choose(library: Library, stale: Staleness, names: Sequence[str], *, every: bool) -> tuple[Entry, ...]:
    """The entries to test: those named (ids, stale or not), else the stale ones in service, without `every` only those that the new brief
    touches. Raises LibraryError for a name that is unknown, or of an entry that cannot be tested."""
    if names:
        return tuple(_testable(library.get(name)) for name in dict.fromkeys(names))
    chosen = (one.entry for one in stale.entries if one.entry.status in SERVABLE and (every or one.touch in TOUCHED))
    return tuple(entry for entry in chosen if not entry.is_lost)


def _testable(entry: Entry) -> Entry:
    if entry.is_control:
        hint = "`strategist teach` finds what customers need under a new brief; `strategist library retire` takes a control away"
        raise LibraryError(f"{entry.ref} is a control: it says that nothing is needed and holds no line to test", hint=hint)
    if entry.status == "retired":
        hint = "a person approves it again (`strategist library approve`), or it stays out of use"
        raise LibraryError(f"{entry.ref} is retired: its lines are not tested again", hint=hint)
    if entry.is_lost:
        hint = "`strategist teach` gives it new ones where it comes to the same lines again"
        raise LibraryError(f"{entry.ref} has no key left: nothing tells what moments it is for", hint=hint)
    return entry


def batch_of(entries: Sequence[Entry], run: RunInfo) -> Batch:
    """The batch of these entries under what a run is bound to."""
    under = digest([run.pack_hash, run.brief_hash, run.learning_hash, run.student, run.code, run.prompts, run.seed])
    return Batch(entries=tuple(sorted(entry.ref for entry in entries)), under=under)


def number_of(store: Store, batch: Batch, now: Snapshot) -> int:
    """The number of a batch: a new one, or the one it has. A batch that has ended has it only as long as the library is as it was then
    (`now`): what lacked moments or replies is worth another try beside other entries."""
    with store.transaction():
        known = store.documents(BATCHES, "batch", Batch)
        for number in (number for number, one in enumerate(known, start=1) if one == batch):
            run, round_ = f"{BATCHES}-{number:03d}", FIRST_ROUND + number
            before = store.get_document(run, "snapshot", f"r{round_}", Snapshot)
            if before in (None, now) or not store.count(run, "evidence"):
                return number
        number = len(known) + 1
        store.put_document(BATCHES, "batch", f"{number:03d}", number, 0, batch)
        return number


async def revalidate(deps: Deps, number: int, entries: Sequence[Entry], report: Report) -> tuple[Retested, ...]:
    """Test these entries, or go on with it, and write what follows for each; in their order.

    Raises BudgetExceededError and ServerUnavailableError; then nothing is written but the replies so far."""
    brief, language = deps.domain.brief, deps.domain.language
    refused = {entry.id: why for entry in entries if (why := refused_by(entry.strategies, brief, language))}
    tested = [entry for entry in entries if entry.id not in refused]
    found = await _test(deps, FIRST_ROUND + number, tested, report)
    evidence = dict(zip([entry.id for entry in tested], found, strict=True))
    with deps.store.transaction():
        keep_brief(deps.store, deps.domain)
        items = [(entry.id, FIRST_ROUND + number, index, evidence[entry.id]) for index, entry in enumerate(tested)]
        deps.store.put_documents(deps.run.id, "evidence", items)
        known = kept_texts(deps.store, [entry.brief_hash for entry in entries])
        return tuple(
            _refuse(deps, entry, refused[entry.id]) if entry.id in refused else _write(deps, entry, evidence[entry.id], known)
            for entry in entries
        )


async def _test(deps: Deps, round_: int, entries: Sequence[Entry], report: Report) -> tuple[Evidence, ...]:
    candidates = [as_candidate(entry, round_, index) for index, entry in enumerate(entries)]
    bed = TestBed(
        await deps.retriever(deps.snapshot(round_)),
        deps.embedder,
        deps.settings.retrieval,
        candidates=candidates,
        own_phase=deps.settings.gate.own_phase,
        again={candidate.id: entry for candidate, entry in zip(candidates, entries, strict=True)},
    )
    return await put_to_test(replace(deps, teacher=None), round_, bed, candidates, report)  # moments are the student's own


def as_candidate(entry: Entry, round_: int, index: int) -> Candidate:
    """The entry as the gate tests it: one try more than its evidence says."""
    return Candidate(
        id=f"c{entry.id}",
        round=round_,
        index=index,
        keys=entry.keys,
        strategies=entry.strategies,
        scope=entry.scope,
        tries=1 + (entry.evidence.tries if entry.evidence is not None else 0),
    )


def _refuse(deps: Deps, entry: Entry, faults: Sequence[str]) -> Retested:
    why = f"the brief does not allow the text: {'; '.join(faults)}"
    if entry.status not in SERVABLE:
        return Retested(entry, None, None, why)
    return Retested(entry, deps.library.suspend(entry, actor=ACTOR, reason=why), None, why)


def _write(deps: Deps, entry: Entry, evidence: Evidence, known: dict[str, str]) -> Retested:
    domain = deps.domain
    change = change_since(entry.brief_hash, {**known, domain.brief_hash: domain.brief}, domain.brief, domain.language)
    why = reason_of(entry, evidence)
    after = deps.library.revalidate(
        entry,
        evidence,
        brief_hash=domain.brief_hash,
        strategies=renumbered(entry.strategies, change),
        actor=ACTOR,
        reason=f"{why} (brief {domain.brief_hash})",
    )
    if after is None and status_after(entry.status, evidence.decision) is not None:
        why = "somebody changed it meanwhile, and it was left so"
    return Retested(entry, after, evidence, why)


def reason_of(entry: Entry, evidence: Evidence) -> str:
    """What the test says, in words. Pure."""
    counts = f"{evidence.wins} wins, {evidence.losses} losses, {evidence.ties} ties, q = {evidence.q:.3f}"
    if evidence.decision == "admitted":
        vouched = "; the approval is of the same text under the brief before" if entry.status == "approved" else ""
        return f"still helps: {counts}{vouched}"
    if evidence.decision == "too_few_moments":
        return "too few moments to test it at: it stays as it is"
    if evidence.decision == "incomplete":
        return "too many replies failed: it stays as it is"
    if evidence.decision == "more_hard_failures":
        return f"more hard failures with it (p = {evidence.hard_p:.3f}): {counts}"
    return f"not shown to help any more: {counts}"
