"""consolidate: what the gate admitted goes into the library, in one transaction, and the injection floor is calibrated anew.

A candidate whose text stands in the library already widens that entry's keys; anything else becomes a new entry. Entries are also found
where the rounds' conversations failed what their lines mend. Markers, and the snapshot that is written last, make a second run of this
node do nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from strategist.library.briefs import keep_brief
from strategist.loop.coached import Coached
from strategist.loop.deps import Count, Deps
from strategist.loop.select import farthest_points
from strategist.loop.testbed import entry_of
from strategist.records.base import digest
from strategist.records.evidence import Evidence
from strategist.records.library import SERVABLE, Candidate, Entry, Floor, Key, Snapshot, Strategy, text_of
from strategist.records.trace import ScenarioKey
from strategist.retrieval.floor import precise_floor

if TYPE_CHECKING:
    from strategist.retrieval.embed import Vectors

MAX_KEYS = 40
"""Keys an entry is admitted or widened with at most; those it was coached on come first."""
MAX_GAPS = 200
"""Moments that no entry is for which are kept at most, spread over what customers say."""


async def consolidate(deps: Deps, round_: int, report: Count) -> None:
    """Write the round's admitted candidates and the floor, and keep the library as this round leaves it.

    That is the round's snapshot with the round's own changes: what others write meanwhile is seen by the next round."""
    store, run = deps.store, deps.run.id
    evidence = dict(_evidence(deps, round_))
    admitted = [c for c in store.documents(run, "candidate", Candidate, round_) if evidence[c.id].decision == "admitted"]
    if store.get_document(run, "snapshot_after", f"r{round_}", Snapshot) is None:
        with store.transaction():  # a person or another run may be changing the same entries
            keep_brief(store, deps.domain)
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
    states = {s.id: s for s in _states(deps, round_, "scenario", "extra_scenario")}
    mends = mended_checks([c for r in range(round_ + 1) for c in deps.store.documents(deps.run.id, "coached", Coached, r)])
    wider = {e.id: failing_keys(e.keys, e.strategies, mends, states.values()) for e in after.values() if e.scope == "specific"}
    known = {text_of(e.strategies): e for e in after.values() if e.strategies and e.scope == "specific"}
    new: list[Entry] = []
    for candidate in admitted:
        twin = known.get(text_of(candidate.strategies)) if candidate.scope == "specific" else None
        if twin is None:
            new.append(_entry(deps, round_, candidate, evidence[candidate.id], states, mends))
        else:
            wider[twin.id] = (*candidate.keys, *wider[twin.id])
    for id_, keys in wider.items():
        after[id_] = _widen(deps, round_, after[id_], keys)
    deps.library.add(new, actor="strategist", reason=f"admitted in round {round_}", marker=_marker(deps, round_, "add"))
    there = {e.id: e.version for e in deps.library.entries()}
    after |= {e.id: e.model_copy(update={"version": there[e.id]}) for e in new if e.id in there}  # the others say what a person retired
    return tuple(after[name] for name in sorted(after))


def _widen(deps: Deps, round_: int, entry: Entry, keys: Sequence[Key]) -> Entry:
    """Let an entry be found under more keys, here and in the library if its text still stands there."""
    fresh = _distinct((*entry.keys, *keys))[len(_distinct(entry.keys)) : max(MAX_KEYS, len(entry.keys))]
    if not fresh:
        return entry
    now = deps.library.get(entry.id)
    if text_of(now.strategies) == text_of(entry.strategies) and now.status in SERVABLE:
        reason = f"round {round_}: tested or needed at these moments, too"
        deps.library.widen(entry.id, fresh, actor="strategist", reason=reason, marker=_marker(deps, round_, entry.id))
    return entry.with_keys(fresh)


def mended_checks(coached: Iterable[Coached]) -> dict[str, frozenset[str]]:
    """Line -> checks that the student failed without it and passed with it, in coaching. Pure."""
    found: dict[str, set[str]] = {}
    for one in coached:
        for attempt in one.attempts[1:]:
            failed = {v.check for v in one.attempts[0].verdicts if v.passed is False}
            passed = {v.check for v in attempt.verdicts if v.passed}
            for line in attempt.lines:
                found.setdefault(line, set()).update(failed & passed)
    return {line: frozenset(checks) for line, checks in found.items()}


def failing_keys(
    keys: Sequence[Key], strategies: Sequence[Strategy], mends: Mapping[str, frozenset[str]], states: Iterable[ScenarioKey]
) -> tuple[Key, ...]:
    """The states of the same issues at which the student failed what these lines mend: there they are needed, too. Pure.

    Not where else such a check fails: what is needed there may be something else, and the line was not tested there."""
    issues = {key.issue for key in keys}
    checks = frozenset[str]().union(*(mends.get(s.text, frozenset()) for s in strategies))
    return tuple(_key(s) for s in states if s.issue in issues and any(v.passed is False and v.check in checks for v in s.verdicts))


def _key(state: ScenarioKey) -> Key:
    return Key(scenario=state.id, persona=state.persona, issue=state.issue, text=state.key)


def _distinct(keys: Iterable[Key]) -> tuple[Key, ...]:
    """One key per text, the first."""
    found: dict[str, Key] = {}
    for key in keys:
        found.setdefault(key.text, key)
    return tuple(found.values())


def tested_keys(candidate: Candidate, evidence: Evidence, states: Mapping[str, ScenarioKey]) -> tuple[Key, ...]:
    """The candidate's keys and, behind them, the test moments of the same issues that it won: there it is known to help, and retrieval
    finds it again. One win elsewhere is mostly luck, and its key would draw the entry to a matter it was not written for. Pure."""
    issues = {key.issue for key in candidate.keys}
    won = [states[pair.scenario] for pair in evidence.pairs if pair.result == "win" and pair.scenario in states]
    return _distinct((*candidate.keys, *(_key(s) for s in won if s.issue in issues)))[:MAX_KEYS]


async def floor_for(deps: Deps, round_: int, entries: Sequence[Entry]) -> Floor:
    """The floor over these entries: fixed by settings, else where the entry found first begins to be more often right than wrong; and the
    gaps beside it, moments of issues that no entry is for.

    Found first means nearest by vectors. Counted at the states of the rounds' own conversations, which meet all issues alike. The
    gate's own customers were drawn for the issues of its candidates, and would say that these are what customers mostly want."""
    if deps.settings.retrieval.floor is not None:
        return Floor(score=deps.settings.retrieval.floor, source="fixed")
    own = [e for e in entries if e.keys]
    states = _states(deps, round_, "scenario")
    if not own or not states:
        return precise_floor([])
    vectors = await deps.embedder.embed([s.key for s in states])
    served = {key.issue for e in own for key in e.keys}
    gaps = farthest_points([i for i, s in enumerate(states) if s.issue not in served], vectors, states, MAX_GAPS)
    keys = await deps.embedder.embed([key.text for e in own for key in e.keys])
    floor = precise_floor(found_first(own, keys, states, vectors, gaps))
    return floor.model_copy(update={"gaps": tuple(_key(states[i]) for i in gaps)})


def found_first(
    entries: Sequence[Entry], keys: Vectors, states: Sequence[ScenarioKey], vectors: Vectors, gaps: Sequence[int] = ()
) -> list[tuple[float, bool]]:
    """Score and `right` of `firsts`, without the states at which there is none. Pure."""
    return [(first.score, first.right) for first in firsts(entries, keys, states, vectors, gaps) if first is not None]


class First(NamedTuple):
    """What is found first at a state: its score in [0, 1], its place among the entries, whether it has a key of the state's issue."""

    score: float
    entry: int
    right: bool


def firsts(
    entries: Sequence[Entry], keys: Vectors, states: Sequence[ScenarioKey], vectors: Vectors, gaps: Sequence[int] = ()
) -> list[First | None]:
    """At each state the best entry by keys of other customers. Pure.

    `keys`: unit rows, one per key of all entries in order; `vectors`: unit rows, one per state; `gaps`: positions of states that no entry
    is for. None where there is no key of others, or a gap of another customer is nearer.
    """
    import numpy as np

    owner = [place for place, entry in enumerate(entries) for _ in entry.keys]
    issues = [frozenset(key.issue for key in entry.keys) for entry in entries]
    personas = np.array([key.persona for entry in entries for key in entry.keys])
    strangers = np.array([states[i].persona for i in gaps])
    found: list[First | None] = []
    for state, row, unserved in zip(states, vectors @ keys.T, vectors @ vectors[list(gaps)].T, strict=True):
        others = personas != state.persona
        best = int(np.where(others, row, -np.inf).argmax())
        if others.any() and row[best] >= unserved[strangers != state.persona].max(initial=-1.0):
            found.append(First(float(np.clip(row[best], 0, 1)), owner[best], state.issue in issues[owner[best]]))
        else:
            found.append(None)
    return found


def _states(deps: Deps, round_: int, *kinds: str) -> list[ScenarioKey]:
    """The states of these kinds of this and earlier rounds, by round."""
    return [s for earlier in range(round_ + 1) for kind in kinds for s in deps.store.parts(deps.run.id, kind, ScenarioKey, earlier)]


def _evidence(deps: Deps, round_: int) -> list[tuple[str, Evidence]]:
    candidates = deps.store.documents(deps.run.id, "candidate", Candidate, round_)
    return list(zip([c.id for c in candidates], deps.store.documents(deps.run.id, "evidence", Evidence, round_), strict=True))


def _entry(
    deps: Deps,
    round_: int,
    candidate: Candidate,
    evidence: Evidence,
    states: Mapping[str, ScenarioKey],
    mends: Mapping[str, frozenset[str]],
) -> Entry:
    keys: tuple[Key, ...] = ()
    if candidate.scope == "specific":
        needed = failing_keys(candidate.keys, candidate.strategies, mends, states.values())
        keys = _distinct((*tested_keys(candidate, evidence, states), *needed))[:MAX_KEYS]
    content = {"domain": deps.domain.name, "lines": [s.text for s in candidate.strategies], "keys": [k.text for k in candidate.keys]}
    return entry_of(candidate, id="e" + digest(content, 12)).model_copy(
        update={
            "status": "admitted",
            "keys": keys,
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
