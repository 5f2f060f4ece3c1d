"""What a round brings to the gate: the coached candidates, merged with those that the last round left open, and company-wide lines.

Controls can only be tested where the library would say something, so they are proposed once it has entries, and never fill more than a
quarter of the round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from strategist.loop.coached import Coached
from strategist.loop.deps import Deps
from strategist.loop.merge import candidate_id, general_candidates, merge
from strategist.records.evidence import Evidence
from strategist.records.library import Candidate, Snapshot, text_of
from strategist.records.trace import ScenarioKey

CONTROL_SHARE = 4
"""At most one candidate in this many is a control."""


async def propose(deps: Deps, round_: int, coached: Sequence[Candidate], snapshot: Snapshot) -> None:
    """Merge, choose as many as the settings allow, count earlier tries, name the customers who must not test them, store."""
    found = [*coached, *_left_open(deps, round_)]
    lines = list(dict.fromkeys(s.text for c in found for s in c.strategies))
    vectors = await deps.embedder.embed(lines) if lines else None
    merged = merge(found, lines, vectors, tested_texts=[e.strategies for e in snapshot.entries if e.strategies])
    everywhere = general_candidates(round_, merged, known=[e for e in snapshot.entries if e.scope == "general"])
    chosen = choose([*everywhere, *merged], limit=deps.settings.teach.candidates, controls=bool(snapshot.entries))
    tries, tried_on = _tries(deps, round_), _tried_on(deps, round_, snapshot)
    kept = [
        c.model_copy(update={"index": i, "tries": 1 + tries.get(_hypothesis(c), 0), "excluded": excluded(c, tried_on)})
        for i, c in enumerate(chosen)
    ]
    deps.store.put_documents(deps.run.id, "candidate", [(c.id, round_, c.index, c) for c in kept])


def excluded(candidate: Candidate, tried_on: Mapping[str, Set[str]]) -> tuple[str, ...]:
    """Personas, sorted, on whom one of the candidate's lines was tried before, and those it excludes already; `tried_on`: line -> personas.

    A line was proposed because it helped somebody who had been picked for failing; tested on the same customers it would look good. Pure.
    """
    return tuple(sorted(set(candidate.excluded).union(*(tried_on.get(s.text, ()) for s in candidate.strategies))))


def choose(candidates: Sequence[Candidate], *, limit: int, controls: bool) -> list[Candidate]:
    """At most `limit`: company-wide lines first, then those with most keys, ties by id; controls last, a quarter at most, or none. Pure."""
    ranked = sorted(candidates, key=lambda c: (c.is_control, c.scope != "general", -len(c.keys), c.id))
    advice = [c for c in ranked if not c.is_control]
    nothing = [c for c in ranked if c.is_control][: limit // CONTROL_SHARE] if controls else []
    return [*advice[: limit - len(nothing)], *nothing]


def is_open(evidence: Evidence, full: int) -> bool:
    """Whether a candidate deserves another test: it had too few moments for one, or for a `full` one, or too many replies failed. Pure."""
    small = evidence.decision == "not_significant" and len(evidence.pairs) < full
    return small or evidence.decision in ("too_few_moments", "incomplete")


def _left_open(deps: Deps, round_: int) -> list[Candidate]:
    """The last round's candidates that are open: they come again, and merge with what says the same now."""
    run, store = deps.run.id, deps.store
    last = store.documents(run, "candidate", Candidate, round_ - 1)
    decided = store.documents(run, "evidence", Evidence, round_ - 1)
    return [
        c.model_copy(update={"round": round_, "id": candidate_id(round_, c.strategies, c.keys)})
        for c, evidence in zip(last, decided, strict=True)
        if is_open(evidence, deps.settings.gate.most) and c.scope == "specific" and not c.is_control
    ]


def _tried_on(deps: Deps, round_: int, snapshot: Snapshot) -> dict[str, set[str]]:
    """Line -> personas on whom coaching tried it in this or an earlier round, or who stand behind the keys of an entry that has it."""
    found: dict[str, set[str]] = {}
    for entry in snapshot.entries:
        for strategy in entry.strategies:
            found.setdefault(strategy.text, set()).update(key.persona for key in entry.keys)
    for earlier in range(round_ + 1):
        personas = {s.id: s.persona for s in deps.store.parts(deps.run.id, "scenario", ScenarioKey, earlier)}
        for one in deps.store.documents(deps.run.id, "coached", Coached, earlier):
            for line in {line for attempt in one.attempts[1:] for line in attempt.lines}:
                found.setdefault(line, set()).add(personas[one.scenario])
    return found


def _tries(deps: Deps, round_: int) -> dict[tuple[str, ...], int]:
    """How often each hypothesis was tested in earlier rounds."""
    counts: dict[tuple[str, ...], int] = {}
    for earlier in range(round_):
        candidates = deps.store.documents(deps.run.id, "candidate", Candidate, earlier)
        decided = deps.store.documents(deps.run.id, "evidence", Evidence, earlier)
        for candidate, evidence in zip(candidates, decided, strict=True):
            if evidence.decision != "too_few_moments":
                counts[_hypothesis(candidate)] = counts.get(_hypothesis(candidate), 0) + 1
    return counts


def _hypothesis(candidate: Candidate) -> tuple[str, ...]:
    """What makes two candidates the same: their text; of controls, which have none, their keys."""
    return tuple(sorted(key.text for key in candidate.keys)) if candidate.is_control else text_of(candidate.strategies)
