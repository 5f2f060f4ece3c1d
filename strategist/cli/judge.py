"""`strategist judge label|score`: label pairs that the judge compared, and say how far its verdicts can be trusted.

Whoever labels sees neither which reply had guidance nor what the judge said; sides are drawn by hash. Every label is kept at once.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from rich.rule import Rule
from rich.text import Text

from strategist.cli.console import block, grid, out, plural, say
from strategist.errors import RunInterruptedError, SettingsError
from strategist.evaluation.judging import JudgeScore, score
from strategist.gate.judged import JudgeLabel, Side, judged_by, null_of
from strategist.loop.verdicts import JUDGED
from strategist.project import LABELS, Project, open_project
from strategist.records.base import stable_int
from strategist.records.evidence import Judged
from strategist.records.trace import Scenario
from strategist.roles.prompts import transcript
from strategist.settings import load_settings
from strategist.stats import Estimate

ENOUGH = 50
KEYS: dict[str, Literal["a", "b", "tie"]] = {"a": "a", "b": "b", "t": "tie", "tie": "tie", "=": "tie"}
ASK = "which is better? a, b, t (no difference), s (skip), q (stop): "


class Open(NamedTuple):
    """A pair that waits for a label: its document's id, the run it is of, what was compared, and whether side A is the later reply."""

    id: str
    run: str
    judged: Judged
    swapped: bool


def label(path: Path, *, count: int, kind: str) -> None:
    """The command `judge label`."""
    if kind not in ("gate", "teacher"):
        raise SettingsError(f"--kind is {kind!r}", hint="it must be gate or teacher")
    with open_project(load_settings(path)) as project:
        done = project.judge_labels()
        waiting = open_pairs(project, kind)
        if not waiting and not done:
            hint = "teach a domain without checks first: its judge is held to wide margins until people have checked it"
            raise SettingsError("no judge has compared anything yet", hint=hint)
        todo = waiting[: max(0, count - len([one for one in done if one.kind == kind]))]
        if not todo:
            say(f"{plural(len(done), 'pair')} are labelled; `strategist judge score` says what they tell")
            return
        say(f"{plural(len(todo), 'pair')} to label. Two replies each, in random order; what serves the customer better within the rules?")
        labelled = 0
        try:
            for number, pair in enumerate(todo, start=1):
                side = _ask(project, pair, number, len(todo))
                if side is not None:
                    project.store.put_document(LABELS, "label", pair.id, 0, 0, labelled_pair(pair, side))
                    labelled += 1
        except (KeyboardInterrupt, EOFError, RunInterruptedError):
            say("")
        say(f"{plural(labelled, 'label')} kept; the same command goes on, `strategist judge score` says what they tell")


def score_judges(path: Path) -> None:
    """The command `judge score`."""
    with open_project(load_settings(path)) as project:
        labels = project.judge_labels()
    if not labels:
        raise SettingsError("nothing is labelled yet", hint="`strategist judge label` shows pairs to label; about 50 will do")
    for judge in sorted({one.judge for one in labels}):
        own = [one for one in labels if one.judge == judge]
        gate, teacher = ([one for one in own if one.kind == kind] for kind in ("gate", "teacher"))
        _print(score(judge, gate))
        known = judged_by(judge, gate)
        share = sum(weight * value for value, weight in null_of(known))
        say(f"in the gate's test a useless line is taken to win {share:.0%} of the decided pairs (50 % where checks decide)")
        if teacher:
            found = score(judge, teacher)
            if found.lean is not None:
                say(f"lean to the teacher's replies (self-preference where it is of the judge's family): {_interval(found.lean)}")


def open_pairs(project: Project, kind: str) -> list[Open]:
    """Pairs of a kind that nobody has labelled, in an order that has nothing to do with what they are."""
    known = {one.pair for one in project.judge_labels()}
    found = [
        Open(id_, run, judged, bool(stable_int("side", id_) % 2))
        for run in [info.id for info in project.store.runs()]
        for id_, judged in project.store.named_documents(run, JUDGED, Judged)
        if judged.kind == kind and id_ not in known
    ]
    return sorted(found, key=lambda one: (stable_int("label", one.id), one.id))


def labelled_pair(pair: Open, side: Side) -> JudgeLabel:
    """The label as it is kept."""
    judged = pair.judged
    return JudgeLabel(
        pair=pair.id,
        run=pair.run,
        kind=judged.kind,
        judge=judged.judge,
        human=side,
        comparison=judged.comparison,
        words_before=len(judged.reply_before.split()),
        words_after=len(judged.reply_after.split()),
    )


def _ask(project: Project, pair: Open, number: int, total: int) -> Side | None:
    """Show a pair and read an answer; None to skip it. Raises EOFError to stop."""
    scenario = _scenario(project, pair)
    first, second = pair.judged.reply_before, pair.judged.reply_after
    if pair.swapped:
        first, second = second, first
    out.print(Rule(Text(f"{number} of {total}")))
    block("conversation", transcript(scenario.messages) if scenario is not None else "(it is not kept any more)", "dim")
    block("A", first, "cyan")
    block("B", second, "magenta")
    for answer in _answers():
        if answer in ("q", "quit"):
            raise EOFError
        if answer in ("s", "skip"):
            return None
        if answer in KEYS:
            chosen = KEYS[answer]
            return "tie" if chosen == "tie" else "after" if (chosen == "b") != pair.swapped else "before"
    raise EOFError


def _answers() -> Iterator[str]:
    while True:
        out.print(Text(ASK, style="bold"), end="")
        line = sys.stdin.readline()
        if not line:
            return
        yield line.strip().lower()


def _scenario(project: Project, pair: Open) -> Scenario | None:
    kinds = ("scenario", "extra_scenario")
    found = (project.store.get_document(pair.run, kind, pair.judged.scenario, Scenario) for kind in kinds)
    return next((one for one in found if one is not None), None)


def _print(found: JudgeScore) -> None:
    out.print(Text.assemble((found.judge, "bold"), f": {plural(found.labels, 'labelled pair')}, {found.unread} without a verdict"))
    table = grid("", "value [95 %]", "")
    rows = (
        ("agreement", _percent(found.agreement), "better, worse, tie"),
        ("kappa", "-" if found.kappa is None else f"{found.kappa:.2f}", "agreement beyond chance"),
        ("error rate", _percent(found.errors), "wrong among its verdicts that are no tie"),
        ("lean", "-" if found.lean is None else _interval(found.lean), "to the guided reply; 0: none"),
        ("order effect", _percent(found.order), "the two orders disagree (counted as a tie)"),
        ("first place", _percent(found.first), "of those that name one place both times, the first"),
        ("length effect", "-" if found.longer is None else f"{found.longer:+.2f}", "takes the longer reply more often than people do"),
    )
    for row in rows:
        table.add_row(*row)
    out.print(table)
    if found.labels < ENOUGH:
        say(f"with {found.labels} labels the margins are wide; about {ENOUGH} will do", "yellow")


def _percent(found: Estimate | None) -> str:
    return "-" if found is None else f"{found.mean:.0%} [{found.low:.0%}, {found.high:.0%}]"


def _interval(found: Estimate) -> str:
    return f"{found.mean:+.2f} [{found.low:+.2f}, {found.high:+.2f}], n = {found.n}"
