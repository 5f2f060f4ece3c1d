"""What a round brings to the gate: the coached candidates, merged with those that were short of moments before, and company-wide lines.

Controls can only be tested where the library would say something, so they are proposed once it has entries, and never fill more than a
quarter of the round.
"""

from __future__ import annotations

from collections.abc import Sequence

from strategist.loop.deps import Deps
from strategist.loop.merge import candidate_id, general_candidates, merge
from strategist.records.evidence import Evidence
from strategist.records.library import Candidate, Snapshot, text_of

CONTROL_SHARE = 4
"""At most one candidate in this many is a control."""


async def propose(deps: Deps, round_: int, coached: Sequence[Candidate], snapshot: Snapshot) -> None:
    """Merge, choose as many as the settings allow, count earlier tries, store."""
    found = [*coached, *_short_before(deps, round_)]
    lines = list(dict.fromkeys(s.text for c in found for s in c.strategies))
    vectors = await deps.embedder.embed(lines) if lines else None
    merged = merge(found, lines, vectors, tested_texts=[e.strategies for e in snapshot.entries if e.strategies])
    everywhere = general_candidates(round_, merged, known=[e for e in snapshot.entries if e.scope == "general"])
    chosen = choose([*everywhere, *merged], limit=deps.settings.teach.candidates, controls=bool(snapshot.entries))
    tries = _tries(deps, round_)
    kept = [c.model_copy(update={"index": i, "tries": 1 + tries.get(text_of(c.strategies), 0)}) for i, c in enumerate(chosen)]
    deps.store.put_documents(deps.run.id, "candidate", [(c.id, round_, c.index, c) for c in kept])


def choose(candidates: Sequence[Candidate], *, limit: int, controls: bool) -> list[Candidate]:
    """At most `limit`: company-wide lines first, then those with most keys, ties by id; controls last, a quarter at most, or none. Pure."""
    ranked = sorted(candidates, key=lambda c: (c.is_control, c.scope != "general", -len(c.keys), c.id))
    advice = [c for c in ranked if not c.is_control]
    nothing = [c for c in ranked if c.is_control][: limit // CONTROL_SHARE] if controls else []
    return [*advice[: limit - len(nothing)], *nothing]


def _short_before(deps: Deps, round_: int) -> list[Candidate]:
    """The last round's candidates that had too few test moments: they come again, and merge with what says the same now."""
    run, store = deps.run.id, deps.store
    last = store.documents(run, "candidate", Candidate, round_ - 1)
    decided = store.documents(run, "evidence", Evidence, round_ - 1)
    return [
        c.model_copy(update={"round": round_, "id": candidate_id(round_, c.strategies, c.keys)})
        for c, evidence in zip(last, decided, strict=True)
        if evidence.decision == "too_few_moments" and c.scope == "specific" and not c.is_control
    ]


def _tries(deps: Deps, round_: int) -> dict[tuple[str, ...], int]:
    """How often each text was tested in earlier rounds."""
    counts: dict[tuple[str, ...], int] = {}
    for earlier in range(round_):
        candidates = deps.store.documents(deps.run.id, "candidate", Candidate, earlier)
        decided = deps.store.documents(deps.run.id, "evidence", Evidence, earlier)
        for candidate, evidence in zip(candidates, decided, strict=True):
            if evidence.decision != "too_few_moments":
                counts[text_of(candidate.strategies)] = counts.get(text_of(candidate.strategies), 0) + 1
    return counts
