"""The report's words: what the figures say in sentences, no layout. Pure.

Invariants: a sentence claims no more than its interval allows; every result carries n, seeds and interval.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple, get_args

from strategist.evaluation.numbers import DASH, count, counted, equals, interval, money, plain, signed
from strategist.evaluation.report_data import ReportData
from strategist.evaluation.study import CheckComparison
from strategist.records.chat import Usage
from strategist.records.evidence import Decision
from strategist.records.library import SERVABLE, Entry, Refusal
from strategist.records.run import RoleCost, StopReason
from strategist.stats import Estimate

MOST_BARS = 24
"""Entries in the evidence chart: those with the smallest q; the table has all."""

DECISIONS: dict[Decision, str] = {
    "admitted": "admitted",
    "dropped_first_stage": "fell behind at a look before the end of the test",
    "not_significant": "the difference may be chance",
    "more_hard_failures": "more hard failures with it",
    "too_few_moments": "too few moments to test it on",
    "incomplete": "the test was not finished",
}

STOPS: dict[StopReason, str] = {
    "rounds": "all planned rounds were done",
    "parity": "parity with the teacher on dev",
    "no_progress": "two rounds without progress",
    "nothing_to_teach": "nothing left to teach",
    "budget": "early: the budget was used up",
    "interrupted": "early: it was interrupted",
    "server": "early: the model server did not answer",
    "erased": "early: texts that it worked on were erased",
}


class Card(NamedTuple):
    """One key figure."""

    label: str
    value: str
    note: str


class Standfirst(NamedTuple):
    """The result in figures (empty if there is none), and what it rests on."""

    result: str
    basis: str


def headline(data: ReportData) -> str:
    """The result in one sentence, claiming no more than its interval allows."""
    lift = data.headline.lift if data.headline else None
    if lift is None:
        return "Nothing has been measured yet" if not data.rounds else "Too few conversations were finished to measure anything"
    if not any(line.entry.status in SERVABLE for line in data.entries):
        return "No strategy passed the test: the library is empty"
    if lift.low > 0:
        return f"The library raises the student\u2019s score by {plain(lift.mean)}"
    if lift.high < 0:
        return f"The library lowers the student\u2019s score by {plain(-lift.mean)}"
    return f"No clear effect of the library: {signed(lift.mean)}"


def standfirst(data: ReportData) -> Standfirst:
    """The result with its interval, n and seeds, and what it was compared with."""
    found = data.headline
    if found is None or found.lift is None:
        return Standfirst("", "A finished round compares the student with and without its library on dev customers.")
    means = {arm.arm: arm.score.mean for arm in data.arms if arm.score is not None}
    source = "a study" if data.source == "study" else f"the examination after round {len(data.rounds)}"
    return Standfirst(
        f"{signed(found.lift.mean)}, 95 % interval {interval(found.lift, sign=True)}, "
        f"n = {count(found.personas)} customers, {counted(found.seeds, 'seed')}",
        f"Mean score {plain(means.get('bare'))} without the library and {plain(means.get('library'))} with it, on a scale from 0 to 1. "
        f"From {source} on the dev split; both arms met the same simulated customers.",
    )


def cards(data: ReportData) -> tuple[Card, ...]:
    """The key figures under the headline."""
    in_use = sum(line.entry.status in SERVABLE for line in data.entries)
    tested = sum(line.summary.candidates for line in data.rounds)
    student = [cost for cost in data.costs if cost.role == "student"]
    total = total_cost(data.costs)
    tokens = total.usage.prompt_tokens + total.usage.completion_tokens
    first = refusal_reasons(data.refusals)[:1]
    return (
        Card(
            "entry in use" if in_use == 1 else "entries in use",
            count(in_use),
            f"of {counted(tested, 'candidate')} in {counted(len(data.rounds), 'round')}" if data.rounds else "no round is finished yet",
        ),
        Card("refused", count(len(data.refusals)), f"most often: {first[0][1]}" if first else "no proposal so far"),
        Card(
            "student replies",
            count(sum(cost.calls - cost.failed - cost.retries for cost in student)),
            f"of {counted(total.calls, 'call')} to all models",
        ),
        Card(
            "spent",
            money(total.usage.cost_usd),
            f"{count(tokens)} tokens" + ("" if total.usage.cost_usd or not tokens else ", no prices set"),
        ),
    )


def size_note(data: ReportData) -> str:
    """n, seeds and split of the main comparison."""
    found = data.headline
    if found is None:
        return ""
    return f"n = {count(found.personas)} dev customers, {counted(found.seeds, 'seed')}."


def openings(data: ReportData) -> str:
    """How often the test split has been looked at, in this database."""
    if data.openings == 0:
        return "It has not been opened."
    return f"It has been opened {'once' if data.openings == 1 else f'{data.openings} times'} so far."


def evidence_caption(data: ReportData) -> str:
    """What the evidence chart shows, and of how many entries."""
    tested = sum(was_tested(line.entry) for line in data.entries)
    shown = f"The {MOST_BARS} entries with the smallest q of {tested}." if tested > MOST_BARS else f"{counted(tested, 'entry', 'entries')}."
    return f"Test moments where the reply with the entry was better, the same, or worse, one per customer. {shown}"


def refusal_reasons(refusals: Sequence[Refusal]) -> list[tuple[str, str, int]]:
    """(stage, reason, how many), most frequent first."""
    numbers = Counter((refusal.stage, reason_text(refusal.reason)) for refusal in refusals)
    return [(stage, reason, numbers[stage, reason]) for stage, reason in sorted(numbers, key=lambda key: (-numbers[key], key))]


def reason_text(reason: str) -> str:
    """A gate's decision (`not_significant` or `not significant`) in words; any other reason as it is."""
    code = reason.strip().replace(" ", "_")
    return next((DECISIONS[decision] for decision in get_args(Decision) if decision == code), reason)


def total_cost(costs: Sequence[RoleCost]) -> RoleCost:
    """All roles and purposes together."""
    usage = Usage()
    for cost in costs:
        usage += cost.usage
    return RoleCost(
        role="all",
        purpose="",
        calls=sum(cost.calls for cost in costs),
        failed=sum(cost.failed for cost in costs),
        retries=sum(cost.retries for cost in costs),
        usage=usage,
    )


def facts(data: ReportData) -> list[tuple[str, str]]:
    """What identifies the run and its library."""
    run = data.run
    last = data.rounds[-1].summary if data.rounds else None
    floor = last.floor if last else None
    return [
        ("Run", run.id),
        ("Seed", str(run.seed)),
        ("Student", run.student),
        ("Advisor", run.advisor),
        ("Embedder", run.embedder),
        ("Domain", run.domain),
        ("Domain pack", run.pack_hash),
        ("Brief", run.brief_hash),
        ("Settings", run.learning_hash),
        ("Code", run.code),
        ("Library after the last round", last.snapshot_after if last else DASH),
        ("Injection floor", f"{floor.score:.3f} ({floor.source})" if floor else "none"),
        ("Rounds", f"{len(data.rounds)} of {run.rounds}"),
        ("Ended", STOPS[run.stop] if run.stop else "not yet"),
    ]


def commands(data: ReportData) -> str:
    """How to make this page again, and its result as one line."""
    lines = [data.command or f"strategist report --run {data.run.id}"]
    return "\n".join([*lines, *([data.headline.line] if data.headline else [])])


def verdict(lift: Estimate | None) -> str:
    """A difference in words."""
    if lift is None:
        return "too few customers"
    return "higher" if lift.low > 0 else "lower" if lift.high < 0 else "no clear difference"


def trial(entry: Entry) -> str:
    """An entry's evidence in a sentence."""
    found = entry.evidence
    if found is None:
        return "None for this text."
    moments = found.wins + found.ties + found.losses
    judged = f" Decided {found.judged.words}." if found.judged is not None else ""
    return (
        f"Of {counted(moments, 'moment')} it was not written for: better at {found.wins}, the same at {found.ties}, "
        f"worse at {found.losses}; {equals('p', found.p)}, {equals('q', found.q)}; more hard failures: {equals('p', found.hard_p)}. "
        f"{counted(found.replies, 'reply', 'replies')} in all, try number {found.tries}.{judged}"
    )


def moment(entry: Entry) -> str:
    """When an entry is retrieved: the customer's part of its first key (the key's last line), or anywhere."""
    if entry.scope == "general":
        return "Wherever no other entry matches."
    said = entry.keys[0].text.splitlines()[-1:] if entry.keys else []
    return f"At moments like \u201c{excerpt(said[0], 120)}\u201d" if said else "No key: never retrieved."


def excerpt(text: str, room: int = 150) -> str:
    """The beginning of a text on one line."""
    flat = " ".join(text.split())
    return flat if len(flat) <= room else flat[: room - 1].rstrip() + "\u2026"


def is_steady(check: CheckComparison) -> bool:
    """Whether a check was passed every time in both arms."""
    return bool(check.base and check.arm and check.base.mean == 1 and check.arm.mean == 1)


def was_tested(entry: Entry) -> bool:
    """Whether the gate compared replies with and without an entry."""
    return entry.evidence is not None and entry.evidence.wins + entry.evidence.ties + entry.evidence.losses > 0


def rounds_caption(data: ReportData) -> str:
    """n and seeds of the rounds' comparisons, and that a study, if there is one, is what the headline rests on."""
    sizes = dict.fromkeys((line.lift.personas, line.lift.seeds) for line in data.rounds)
    shown = "; ".join(f"n = {count(n)}, {counted(seeds, 'seed')}" for n, seeds in sizes)
    study = f" The headline rests on the study below ({size_note(data).rstrip('.')})." if data.source == "study" else ""
    return f"Difference in score with 95 % intervals, customers of the dev split. {shown}.{study}"
