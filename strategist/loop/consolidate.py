"""consolidate: what the gate admitted goes into the library, in one transaction, and the injection floor is calibrated anew.

A candidate whose text stands in the library already widens that entry's keys; anything else becomes a new entry. Markers, and the snapshot
that is written last, make a second run of this node do nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from strategist.loop.admit import known_states
from strategist.loop.deps import Count, Deps
from strategist.loop.testbed import entry_of
from strategist.records.base import digest
from strategist.records.evidence import Evidence
from strategist.records.library import SERVABLE, Candidate, Entry, Floor, Key, Snapshot, text_of
from strategist.records.trace import Scenario
from strategist.retrieval.floor import precise_floor

if TYPE_CHECKING:
    from strategist.retrieval.embed import Vectors

MAX_KEYS = 40
"""Keys an entry is admitted or widened with at most; those it was coached on come first."""


async def consolidate(deps: Deps, round_: int, report: Count) -> None:
    """Write the round's admitted candidates and the floor, and keep the library as this round leaves it.

    That is the round's snapshot with the round's own changes: what others write meanwhile is seen by the next round."""
    store, run = deps.store, deps.run.id
    evidence = dict(_evidence(deps, round_))
    admitted = [c for c in store.documents(run, "candidate", Candidate, round_) if evidence[c.id].decision == "admitted"]
    if store.get_document(run, "snapshot_after", f"r{round_}", Snapshot) is None:
        with store.transaction():  # a person or another run may be changing the same entries
            entries = _write(deps, round_, admitted, evidence)
        floor = await floor_for(deps, round_, entries)
        deps.library.set_floor(floor)
        after = Snapshot(entries=entries, floor=floor, embedder=deps.embedder.id)
        store.put_document(run, "snapshot_after", f"r{round_}", round_, 0, after)
    report(len(admitted), len(evidence))


def _write(deps: Deps, round_: int, admitted: Sequence[Candidate], evidence: Mapping[str, Evidence]) -> tuple[Entry, ...]:
    """Write what was admitted; returns the snapshot's entries with these changes, by id. A text that a person changed or retired since
    the snapshot is not touched."""
    after = {e.id: e for e in deps.snapshot(round_).entries}
    states = {s.id: s for s in known_states(deps, round_, extras=True)}
    known = {text_of(e.strategies): e for e in after.values() if e.strategies and e.scope == "specific"}
    new: list[Entry] = []
    for candidate in admitted:
        twin = known.get(text_of(candidate.strategies)) if candidate.scope == "specific" else None
        if twin is None:
            new.append(_entry(deps, round_, candidate, evidence[candidate.id], states))
            continue
        after[twin.id] = after[twin.id].with_keys(candidate.keys)
        now = deps.library.get(twin.id)
        if text_of(now.strategies) == text_of(twin.strategies) and now.status in SERVABLE:
            reason = f"round {round_}: same text, tested on {candidate.id}"
            deps.library.widen(twin.id, candidate.keys, actor="strategist", reason=reason, marker=_marker(deps, round_, candidate.id))
    deps.library.add(new, actor="strategist", reason=f"admitted in round {round_}", marker=_marker(deps, round_, "add"))
    there = {e.id: e.version for e in deps.library.entries()}
    after |= {e.id: e.model_copy(update={"version": there[e.id]}) for e in new if e.id in there}  # the others say what a person retired
    return tuple(after[name] for name in sorted(after))


def tested_keys(candidate: Candidate, evidence: Evidence, states: dict[str, Scenario]) -> tuple[Key, ...]:
    """The candidate's keys and, behind them, the test moments of the same issues that it won: there it is known to help, and retrieval
    finds it again. One win elsewhere is mostly luck, and its key would draw the entry to a matter it was not written for. Pure."""
    issues = {key.issue for key in candidate.keys}
    won = [states[pair.scenario] for pair in evidence.pairs if pair.result == "win" and pair.scenario in states]
    keys: dict[str, Key] = {}
    for key in (*candidate.keys, *(Key(scenario=s.id, persona=s.persona, issue=s.issue, text=s.key) for s in won if s.issue in issues)):
        keys.setdefault(key.text, key)
    return tuple(keys.values())[:MAX_KEYS]


async def floor_for(deps: Deps, round_: int, entries: Sequence[Entry]) -> Floor:
    """The floor over these entries: fixed by settings, else where the entry found first begins to be more often right than wrong.

    Found first means nearest by vectors. Counted at the states of the rounds' own conversations, which meet all issues alike. The
    gate's own customers were drawn for the issues of its candidates, and would say that these are what customers mostly want."""
    if deps.settings.retrieval.floor is not None:
        return Floor(score=deps.settings.retrieval.floor, source="fixed")
    own = [e for e in entries if e.keys]
    states = [s for earlier in range(round_ + 1) for s in deps.store.documents(deps.run.id, "scenario", Scenario, earlier)]
    if not own or not states:
        return precise_floor([])
    keys = await deps.embedder.embed([key.text for e in own for key in e.keys])
    return precise_floor(found_first(own, keys, states, await deps.embedder.embed([s.key for s in states])))


def found_first(entries: Sequence[Entry], keys: Vectors, states: Sequence[Scenario], vectors: Vectors) -> list[tuple[float, bool]]:
    """At each state the best score by keys of other customers, and whether that entry has a key of the state's issue. Pure.

    `keys`: unit rows, one per key of all entries in order; `vectors`: unit rows, one per state. States without such a key are left out.
    """
    import numpy as np

    issues = [frozenset(key.issue for key in e.keys) for e in entries for _ in e.keys]
    personas = np.array([key.persona for e in entries for key in e.keys])
    found = []
    for state, row in zip(states, vectors @ keys.T, strict=True):
        others = personas != state.persona
        if others.any():
            best = int(np.where(others, row, -np.inf).argmax())
            found.append((float(np.clip(row[best], 0, 1)), state.issue in issues[best]))
    return found


def _evidence(deps: Deps, round_: int) -> list[tuple[str, Evidence]]:
    candidates = deps.store.documents(deps.run.id, "candidate", Candidate, round_)
    return list(zip([c.id for c in candidates], deps.store.documents(deps.run.id, "evidence", Evidence, round_), strict=True))


def _entry(deps: Deps, round_: int, candidate: Candidate, evidence: Evidence, states: dict[str, Scenario]) -> Entry:
    content = {"domain": deps.domain.name, "lines": [s.text for s in candidate.strategies], "keys": [k.text for k in candidate.keys]}
    return entry_of(candidate, id="e" + digest(content, 12)).model_copy(
        update={
            "status": "admitted",
            "keys": tested_keys(candidate, evidence, states) if candidate.scope == "specific" else (),
            "domain": deps.domain.name,
            "brief_hash": deps.domain.brief_hash,
            "student": deps.student.model_name,
            "advisor": deps.advisor.name,
            "round": round_,
            "evidence": evidence,
        }
    )


def _marker(deps: Deps, round_: int, what: str) -> str:
    return f"{deps.run.id}/r{round_}/{what}"
