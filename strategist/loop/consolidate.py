"""consolidate: what the gate admitted goes into the library, in one transaction, and the injection floor is fitted anew.

A candidate whose text stands in the library already widens that entry's keys; anything else becomes a new entry. The marker makes a second
run of this node do nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from strategist.loop.admit import known_states
from strategist.loop.deps import Deps, Report
from strategist.loop.testbed import entry_of
from strategist.records.base import digest
from strategist.records.evidence import Evidence
from strategist.records.library import SERVABLE, Candidate, Entry, Floor, Key, text_of
from strategist.records.trace import Scenario
from strategist.retrieval.floor import calibrate_floor, fit_floor

if TYPE_CHECKING:
    from strategist.retrieval.embed import Vectors

MAX_KEYS = 40
"""Keys an entry is admitted or widened with at most; those it was coached on come first."""
FLOOR_PAIRS = 60
"""With fewer pairs an uplift curve says little, and the calibrated floor holds."""


async def consolidate(deps: Deps, round_: int, report: Report) -> None:
    """Write the round's admitted candidates and the floor."""
    evidence = dict(_evidence(deps, round_))
    admitted = [c for c in deps.store.documents(deps.run.id, "candidate", Candidate, round_) if evidence[c.id].decision == "admitted"]
    snapshot = deps.snapshot(round_)
    states = {s.id: s for s in known_states(deps, round_, extras=True)}
    known = {text_of(e.strategies): e for e in snapshot.entries if e.strategies and e.scope == "specific"}
    new: list[Entry] = []
    for candidate in admitted:
        twin = known.get(text_of(candidate.strategies)) if candidate.scope == "specific" else None
        if twin is not None and not candidate.is_control:
            deps.library.widen(
                twin.id,
                candidate.keys,
                actor="strategist",
                reason=f"round {round_}: same text, tested on {candidate.id}",
                marker=_marker(deps, round_, candidate.id),
            )
        else:
            new.append(_entry(deps, round_, candidate, evidence[candidate.id], states))
    deps.library.add(new, actor="strategist", reason=f"admitted in round {round_}", marker=_marker(deps, round_, "add"))
    deps.library.set_floor(await floor_for(deps, round_))
    report(len(admitted), len(evidence))


def tested_keys(candidate: Candidate, evidence: Evidence, states: dict[str, Scenario]) -> tuple[Key, ...]:
    """The candidate's keys and, behind them, the test moments it won: there it is known to help, and retrieval finds it again. Pure."""
    won = [states[pair.scenario] for pair in evidence.pairs if pair.result == "win" and pair.scenario in states]
    keys: dict[str, Key] = {}
    for key in (*candidate.keys, *(Key(scenario=s.id, persona=s.persona, issue=s.issue, text=s.key) for s in won)):
        keys.setdefault(key.text, key)
    return tuple(keys.values())[:MAX_KEYS]


async def floor_for(deps: Deps, round_: int) -> Floor:
    """The floor after this round: fixed by settings, else where the lower bound of uplift is above 0, and never below the calibrated one.

    Calibrated: at one moment in twenty an entry written for other issues scores higher. Fitted: on first-stage pairs of admitted entries;
    their second-stage pairs decided admission, these did not enter that test.
    """
    fixed = deps.settings.retrieval.floor
    if fixed is not None:
        return Floor(score=fixed, source="fixed")
    base = calibrate_floor(await _strangers(deps, round_))
    points = []
    for earlier in range(round_ + 1):
        candidates = deps.store.documents(deps.run.id, "candidate", Candidate, earlier)
        for candidate, (_, evidence) in zip(candidates, _evidence(deps, earlier), strict=True):
            if evidence.decision == "admitted" and candidate.scope == "specific" and not candidate.is_control:
                points += [(pair.score, pair.uplift, pair.persona) for pair in evidence.pairs if pair.stage == 1 and pair.failure is None]
    fitted = fit_floor(points) if len(points) >= FLOOR_PAIRS else None
    return fitted if fitted is not None and fitted.score > base.score else base


async def _strangers(deps: Deps, round_: int) -> list[float]:
    entries = [e for e in deps.library.entries(SERVABLE) if e.keys]
    states = known_states(deps, round_)
    if not entries or not states:
        return []
    keys = await deps.embedder.embed([key.text for e in entries for key in e.keys])
    return stranger_scores(entries, keys, states, await deps.embedder.embed([s.key for s in states]))


def stranger_scores(entries: Sequence[Entry], keys: Vectors, states: Sequence[Scenario], vectors: Vectors) -> list[float]:
    """At each state the best score among entries that were written for other issues. Pure.

    `keys`: unit rows, one per key of all entries in order; `vectors`: unit rows, one per state.
    """
    import numpy as np

    issues = [frozenset(key.issue for key in e.keys) for e in entries for _ in e.keys]
    scores = vectors @ keys.T
    best = []
    for state, row in zip(states, scores, strict=True):
        strange = np.array([state.issue not in own for own in issues])
        if strange.any():
            best.append(float(row[strange].max()))
    return best


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
