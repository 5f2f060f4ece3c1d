"""The gate: asks of every candidate of a round whether guidance from L + c is better than guidance from L, where c would be used.

Owns the order of work: choose moments, play some pairs for all, decide over the round, play some more where it is open. Knows
neither how a reply is made (`answer` is given) nor where evidence is kept.

Invariants: evidence comes in the order of the candidates and depends on nothing but the arguments and the replies, never on which reply
finishes first; a candidate without enough moments costs no reply; at most `concurrency` student turns are under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from strategist.gate.decide import Tested, decide_round, falls_behind
from strategist.gate.judged import null_of
from strategist.gate.moments import RankedScenario, choose_moments
from strategist.gate.pairs import Answer, Answered, Compare, in_order, run_pairs
from strategist.records.evidence import Evidence, JudgedBy, Pair
from strategist.records.library import Candidate
from strategist.records.trace import Scenario
from strategist.settings import GateSettings

Progress = Callable[[int, int], None]
"""(student turns done, student turns expected in all): the second number falls when candidates are dropped or admitted."""


async def run_gate(
    candidates: Sequence[Candidate],
    ranked_moments: Sequence[Sequence[RankedScenario]],
    settings: GateSettings,
    answer: Answer | Sequence[Answer],
    *,
    k: int,
    student: str,
    snapshot_hash: str,
    concurrency: int = 8,
    progress: Progress | None = None,
    compare: Compare | None = None,
    judged: JudgedBy | None = None,
) -> tuple[Evidence, ...]:
    """Test all candidates of a round and return their evidence in the same order.

    `ranked_moments[i]` are the train states with the rank and score of `candidates[i]` (see choose_moments), `k` how many entries a turn
    gets. `answer` is one for all, or one for each candidate where they are not tested against the same library. `compare` decides pairs
    that checks leave undecided, and `judged` says how far it can be trusted. ValueError for lists of different lengths, a candidate twice
    or `concurrency` below 1. What `answer` or `compare` raises is raised here, after the turns under way have ended; no new turn is
    started meanwhile.
    """
    answers = list(answer) if isinstance(answer, Sequence) else [answer] * len(candidates)
    _check(candidates, ranked_moments, answers, concurrency)
    moments = [choose_moments(c, ranked, k=k, most=settings.most) for c, ranked in zip(candidates, ranked_moments, strict=True)]
    ready = [index for index, found in enumerate(moments) if len(found) >= settings.enough]
    places = asyncio.Semaphore(concurrency)
    turns = _Turns(progress)
    plays = [partial(turns.play, one) for one in answers]

    null = null_of(judged)
    tested = [
        Tested((), len(found), settings.enough, max(0, settings.enough - len(found)), candidate.tries, null=null)
        for candidate, found in zip(candidates, moments, strict=True)
    ]
    going = ready
    while going:
        turns.expect(2 * sum(len(moments[i]) - len(tested[i].pairs) for i in going))
        parts = [moments[i][len(tested[i].pairs) :][: settings.look] for i in going]
        work = [
            run_pairs(candidates[i], part, 2 if tested[i].pairs else 1, answer=plays[i], places=places, compare=compare)
            for i, part in zip(going, parts, strict=True)
        ]
        for index, played in zip(going, await in_order(work), strict=True):
            tested[index] = _looked_at(tested[index], played, settings)
        evidence = decide_round(tested, fdr=settings.fdr, hard_level=settings.hard_level)
        going = [i for i in ready if _is_open(tested[i], evidence[i])]
    evidence = decide_round(tested, fdr=settings.fdr, hard_level=settings.hard_level)
    return tuple(one.model_copy(update={"student": student, "snapshot": snapshot_hash, "judged": judged}) for one in evidence)


def _looked_at(before: Tested, played: tuple[Pair, ...], settings: GateSettings) -> Tested:
    now = before._replace(pairs=before.pairs + played)
    return now._replace(dropped=len(now.pairs) < now.moments and falls_behind(now, fdr=settings.fdr))


def _is_open(one: Tested, evidence: Evidence) -> bool:
    """Whether a candidate needs more pairs: it has moments left, and is neither out nor admitted by what is known now. More hard failures
    than without it may be luck so far."""
    return len(one.pairs) < one.moments and evidence.decision in ("not_significant", "more_hard_failures")


def _check(
    candidates: Sequence[Candidate], ranked_moments: Sequence[Sequence[RankedScenario]], answers: Sequence[Answer], concurrency: int
) -> None:
    if len(candidates) != len(ranked_moments):
        raise ValueError(f"every candidate needs its moments: got {len(candidates)} candidates and {len(ranked_moments)} lists")
    if len(candidates) != len(answers):
        raise ValueError(f"every candidate needs who answers: got {len(candidates)} candidates and {len(answers)} answers")
    if len({candidate.id for candidate in candidates}) != len(candidates):
        raise ValueError("a candidate is in the round twice: ids must be unique, or both would be judged on the same replies")
    if concurrency < 1:
        raise ValueError(f"concurrency must be at least 1, got {concurrency}")


class _Turns:
    """Counts and, once a turn has raised, stops the student turns of one round."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._done = self._expected = 0
        self._error: Exception | None = None

    async def play(self, answer: Answer, scenario: Scenario, sample: int, candidate: Candidate | None) -> Answered:
        if self._error is not None:
            raise self._error
        try:
            answered = await answer(scenario, sample, candidate)
        except Exception as error:
            self._error = self._error or error
            raise
        self._done += 1
        self._report()
        return answered

    def expect(self, more: int) -> None:
        """So many turns are left if nobody is dropped or admitted before the end."""
        self._expected = self._done + more

    def _report(self) -> None:
        if self._progress is not None:
            self._progress(self._done, self._expected)
