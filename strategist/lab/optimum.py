"""What is known of a world without running anything: its best library, and the expected figures of each way to guide its student.

Closed forms over the parameters in worlds.toml, for a retrieval that never errs: what a learned library reaches of `best` is limited by its
lines, by retrieval and by evidence, and that share is what studies report (`share_of_best`). Knows no model and no store.

Formulas. A reply meets the need of its moment with `meeting_rate` m, is polite, short and free of recital with known probabilities, and
holds the forbidden promise with probability h, all independently. A conversation is a walk over (needs met, patience): each reply moves to
the next need with probability m, else costs one patience. With n replies, of which k met their need, goal g (0 or 1), c soft checks a reply
(need, polite, short, recitation where it applies) of which s are passed on average besides the need's, the expected score is

    (1 - h)^n * (k + n s + g) / (c n + 1)

because a conversation with any hard failure scores 0 and the promise is drawn independently of the rest (domains.grading has the score).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from statistics import fmean
from typing import Literal, NamedTuple

from strategist.domains.checks import TurnView
from strategist.domains.grading import grade_turn
from strategist.lab.domain import lab_domain
from strategist.lab.teacher import rule_of
from strategist.lab.worlds import Situation, World, meeting_rate, promise_rate
from strategist.records.base import digest
from strategist.records.library import Entry, Key, Snapshot, Strategy
from strategist.retrieval.mask import mask

LabArm = Literal["bare", "best", "handbook", "one_line", "twin"]

Lines = tuple[str, ...]
Guide = Callable[[Situation], Lines]


class Expected(NamedTuple):
    """Expected figures of an arm, means over situations: share of replies that meet their need, of replies with the forbidden promise, of
    conversations that reach their goal, and the score of a conversation, each in [0, 1]."""

    meets: float
    promises: float
    goal: float
    score: float


def best_lines(world: World, situation: Situation) -> Lines:
    """The lines under which this situation's student meets its need most often: its own line, or none where that is not better."""
    line = (situation.need.line,)
    return line if meeting_rate(world, situation, line) > meeting_rate(world, situation, ()) else ()


def known_best(world: World) -> Snapshot:
    """The best library: one entry per need whose line lifts, keyed with every train wording of its situations (masked). Entries carry no
    evidence: they are known by construction, not tested."""
    domain = lab_domain(world)
    entries = []
    for need in world.needs:
        lifted = [s for s in world.situations if s.need.id == need.id and best_lines(world, s)]
        if not lifted:
            continue
        scope: Literal["specific", "general"] = "general" if len(world.needs) == 1 else "specific"
        strategy = Strategy(text=need.line, scope=scope, rules=(rule_of(world, need),))
        entries.append(
            Entry(
                id="best" + digest([world.name, need.id], 8),
                status="admitted",
                keys=tuple(key for situation in lifted for key in _keys(world, situation)),
                strategies=(strategy,),
                scope=scope,
                domain=domain.name,
                brief_hash=domain.brief_hash,
                student=f"lab:{world.name}/student",
                advisor="lab:known_best",
                round=0,
                why="best by construction of the world",
            )
        )
    return Snapshot(entries=tuple(sorted(entries, key=lambda entry: entry.id)))


def expected(world: World, arm: LabArm) -> Expected:
    """Expected figures of an arm on personas of any split (they share needs and patience).

    `bare` no lines; `best` the best lines of each situation; `handbook` all lines at every moment; `one_line` the first need's line at
    every moment; `twin` the line of the near situation (the situation's own where it has no twin)."""
    every = tuple(need.line for need in world.needs)
    guides: dict[LabArm, Guide] = {
        "bare": lambda _: (),
        "best": lambda situation: best_lines(world, situation),
        "handbook": lambda _: every,
        "one_line": lambda _: every[:1],
        "twin": lambda situation: (world.situation(situation.twin or situation.id).need.line,),
    }
    return _mean([_situation(world, situation, guides[arm](situation)) for situation in world.situations])


def expected_random(world: World) -> Expected:
    """Expected figures when each moment gets the line of one other need, each equally likely (no line where there is no other)."""
    found = []
    for situation in world.situations:
        others: list[Lines] = [(need.line,) for need in world.needs if need.id != situation.need.id]
        found.append(_mean([_situation(world, situation, lines) for lines in others or [()]]))
    return _mean(found)


def share_of_best(world: World, score: float) -> float | None:
    """Where a measured mean score lies between bare (0) and the best library (1); None where the best library is empty."""
    bare, best = expected(world, "bare").score, expected(world, "best").score
    return None if best == bare else (score - bare) / (best - bare)


def _situation(world: World, situation: Situation, lines: Lines) -> Expected:
    met, promises, plan = meeting_rate(world, situation, lines), promise_rate(world, situation, lines), world.personas
    low, high = plan.patience
    sides = _sides(world, lines)
    walks = [_walk(met, promises, sides, needs, patience) for needs in plan.needs for patience in range(low, high + 1)]
    return Expected(met, promises, fmean(goal for goal, _ in walks), fmean(score for _, score in walks))


def _sides(world: World, lines: Lines) -> tuple[float, ...]:
    """Probabilities to pass the soft checks of one reply besides the need's; which ones apply is asked of the grader."""
    side = world.side
    short = 1 - min(1.0, side.wordy + side.wordy_per_line * len(lines))
    passing = {"polite": side.polite, "short": short, "recitation": 1 - (side.recite if lines else 0.0)}
    return tuple(passing[check] for check in _side_checks(world, lines[:1]))


def _side_checks(world: World, lines: Lines) -> tuple[str, ...]:
    """Ids of the soft checks besides the need's that apply to a reply with these lines."""
    domain, nothing = lab_domain(world), frozenset[str]()
    view = TurnView("", "", nothing, nothing, (), domain.draw("train", 0, 0), (), {}, {}, guidance=lines)
    return tuple(verdict.check for verdict in grade_turn(domain, view) if not verdict.hard)


@cache
def _walk(met: float, promises: float, sides: tuple[float, ...], needs: int, patience: int) -> tuple[float, float]:
    """(probability of the goal, expected score) of a conversation, by following every path over (needs met, patience left)."""
    goal = score = 0.0
    paths = {(0, patience): 1.0}
    replies = 0
    while paths:
        replies += 1
        after: dict[tuple[int, int], float] = {}
        for (done, left), weight in paths.items():
            for place, chance in (((done + 1, left), weight * met), ((done, left - 1), weight * (1 - met))):
                if place[0] == needs or place[1] == 0:
                    reached = int(place[0] == needs)
                    passed = place[0] + replies * sum(sides) + reached
                    goal += chance * reached
                    score += chance * (1 - promises) ** replies * passed / ((1 + len(sides)) * replies + 1)
                else:
                    after[place] = after.get(place, 0.0) + chance
        paths = after
    return goal, score


def _mean(found: list[Expected]) -> Expected:
    return Expected(*(fmean(column) for column in zip(*found, strict=True)))


def _keys(world: World, situation: Situation) -> list[Key]:
    """One key per train wording, with plain words in its slots, as a customer's message without an agent's before it."""
    plain = {"item": "item", "order": "LB000000", "day": "Monday"}
    openings = [situation.openings[place] for place in world.personas.openings["train"]]
    said = [f"{text} {detail}" for text, detail in zip(openings, situation.details, strict=False)]
    texts = [mask(text.format_map(plain)) for text in (*said, *situation.follow_ups, *situation.again)]
    return [
        Key(scenario=f"known-{situation.id}-{place}", persona=f"known-{situation.id}", issue=situation.id, text=text)
        for place, text in enumerate(texts)
    ]
