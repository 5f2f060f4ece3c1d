"""The gate: asks of every candidate of a round whether guidance from L + c is better than guidance from L, where c would be used.

Owns the order of work: choose moments, play some pairs for all, look who goes on, play some more, one decision over the round. Knows
neither how a reply is made (`answer` is given) nor where evidence is kept.

Invariants: evidence comes in the order of the candidates and depends on nothing but the arguments and the replies, never on which reply
finishes first; a candidate without enough moments costs no reply; at most `concurrency` student turns are under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from strategist.gate.decide import Tested, decide_round, goes_on, is_complete
from strategist.gate.moments import RankedScenario, choose_moments
from strategist.gate.pairs import Answer, Answered, Stage, in_order, run_pairs
from strategist.records.evidence import Evidence, Pair
from strategist.records.library import Candidate
from strategist.records.trace import Scenario
from strategist.settings import GateSettings

Progress = Callable[[int, int], None]
"""(student turns done, student turns still expected in all): the second number falls when candidates are dropped."""


async def run_gate(
    candidates: Sequence[Candidate],
    ranked_moments: Sequence[Sequence[RankedScenario]],
    settings: GateSettings,
    answer: Answer,
    *,
    k: int,
    student: str,
    snapshot_hash: str,
    concurrency: int = 8,
    progress: Progress | None = None,
) -> tuple[Evidence, ...]:
    """Test all candidates of a round and return their evidence in the same order.

    `ranked_moments[i]` are the train states with the rank and score of `candidates[i]` (see choose_moments), `k` how many entries a turn
    gets. ValueError for lists of different lengths, a candidate twice or `concurrency` below 1. What `answer`
    raises is raised here, after the turns under way have ended; no new turn is started meanwhile.
    """
    _check(candidates, ranked_moments, concurrency)
    moments = [choose_moments(c, ranked, k=k, most=settings.most) for c, ranked in zip(candidates, ranked_moments, strict=True)]
    ready = [index for index, found in enumerate(moments) if len(found) >= settings.enough]
    places = asyncio.Semaphore(concurrency)
    turns = _Turns(answer, expected=2 * sum(len(moments[index]) for index in ready), progress=progress)

    step = settings.look
    pairs: dict[int, tuple[Pair, ...]] = dict.fromkeys(ready, ())
    going, start = ready, 0
    while going:
        stage: Stage = 1 if start == 0 else 2
        work = [run_pairs(candidates[i], moments[i][start : start + step], stage, answer=turns.play, places=places) for i in going]
        for index, played in zip(going, await in_order(work), strict=True):
            pairs[index] += played
        left = {index: len(moments[index]) - len(pairs[index]) for index in going}
        # a small test that is not significant is made again: there what has no hope now is not dropped for good
        hope = {i: settings.fdr if len(moments[i]) == settings.most else None for i in going}
        kept = [i for i in going if left[i] and is_complete(pairs[i]) and goes_on(pairs[i], left[i], first=start == 0, hope=hope[i])]
        turns.expect_fewer(2 * sum(left[index] for index in going if index not in kept))
        going, start = kept, start + step
    tested = []
    for index, candidate in enumerate(candidates):
        found, planned = pairs.get(index, ()), len(moments[index])
        tested.append(Tested(found, max(0, settings.enough - planned), candidate.tries, stopped=len(found) < planned))
    evidence = decide_round(tested, fdr=settings.fdr, hard_level=settings.hard_level)
    return tuple(one.model_copy(update={"student": student, "snapshot": snapshot_hash}) for one in evidence)


def _check(candidates: Sequence[Candidate], ranked_moments: Sequence[Sequence[RankedScenario]], concurrency: int) -> None:
    if len(candidates) != len(ranked_moments):
        raise ValueError(f"every candidate needs its moments: got {len(candidates)} candidates and {len(ranked_moments)} lists")
    if len({candidate.id for candidate in candidates}) != len(candidates):
        raise ValueError("a candidate is in the round twice: ids must be unique, or both would be judged on the same replies")
    if concurrency < 1:
        raise ValueError(f"concurrency must be at least 1, got {concurrency}")


class _Turns:
    """Counts and, once a turn has raised, stops the student turns of one round."""

    def __init__(self, answer: Answer, *, expected: int, progress: Progress | None) -> None:
        self._answer = answer
        self._expected = expected
        self._progress = progress
        self._done = 0
        self._error: Exception | None = None

    async def play(self, scenario: Scenario, sample: int, candidate: Candidate | None) -> Answered:
        if self._error is not None:
            raise self._error
        try:
            answered = await self._answer(scenario, sample, candidate)
        except Exception as error:
            self._error = self._error or error
            raise
        self._done += 1
        self._report()
        return answered

    def expect_fewer(self, turns: int) -> None:
        self._expected -= turns
        self._report()

    def _report(self) -> None:
        if self._progress is not None:
            self._progress(self._done, self._expected)
