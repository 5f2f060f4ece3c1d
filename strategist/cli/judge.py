"""`strategist judge label|score`: label pairs that the judge compared, and say how far its verdicts can be trusted.

Whoever labels sees neither which reply had guidance nor what the judge said; sides are drawn by hash. Every label is kept at once, under
the run and the pair it is of: runs on recorded conversations meet the same moments, with other replies.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from rich.rule import Rule
from rich.text import Text

from strategist.cli.console import block, grid, out, plural, say
from strategist.errors import RunInterruptedError, SettingsError
from strategist.evaluation.judging import JudgeScore, score
from strategist.gate.judged import JudgeLabel, Side, judged_by, null_of
from strategist.loop.verdicts import JUDGED
from strategist.project import LABELS, Project, open_project
from strategist.records.base import ERASED, stable_int
from strategist.records.evidence import Judged, JudgedBy, JudgedKind
from strategist.records.trace import Scenario
from strategist.roles.prompts import transcript
from strategist.settings import load_settings
from strategist.stats import Estimate

ENOUGH = 50
Z95 = 1.96
KINDS: dict[JudgedKind, str] = {"gate": "replies without and with a line", "teacher": "the teacher's replies with the student's"}
KEYS: dict[str, Literal["a", "b", "tie"]] = {"a": "a", "b": "b", "t": "tie", "tie": "tie", "=": "tie"}
QUESTION = "Which serves the customer better, within the rules of the brief?"
ASK = "which is better? a, b, t (no difference), s (skip), q (stop): "
WHERE_CHECKS = "(50 % where checks decide)"


class Open(NamedTuple):
    """A pair that waits for a label: its document's id, the run it is of, what was compared, and whether side A is the later reply."""

    id: str
    run: str
    judged: Judged
    swapped: bool


def label(path: Path, *, count: int, kind: str) -> None:
    """The command `judge label`."""
    wanted = _kind(kind)
    with open_project(load_settings(path)) as project:
        done = [one for one in project.judge_labels() if one.kind == wanted]
        waiting = open_pairs(project, wanted)
        if not waiting and not done:
            raise SettingsError(f"no judge has compared {KINDS[wanted]} yet", hint="teach a domain without checks first")
        todo = _still_wanted(waiting, done, count)
        if not todo:
            more = f"; {plural(len(waiting), 'pair')} more could be: --count {count + len(waiting)}" if waiting else ""
            say(f"{plural(len(done), 'pair')} labelled{more}. `strategist judge score` says what they tell")
            return
        say(f"{plural(len(todo), 'pair')} to label, each of two replies in random order. {QUESTION}")
        labelled = 0
        try:
            for number, pair in enumerate(todo, start=1):
                side = _ask(project, pair, number, len(todo))
                if side is not None:
                    project.store.put_document(LABELS, "label", f"{pair.run}/{pair.id}", 0, 0, labelled_pair(pair, side))
                    labelled += 1
        except (KeyboardInterrupt, EOFError, RunInterruptedError):
            say("")
        say(f"{plural(labelled, 'label')} kept. The same command goes on where this ended; `strategist judge score` says what they tell")


def _kind(text: str) -> JudgedKind:
    if text not in KINDS:
        raise SettingsError(f"--kind is {text!r}", hint=f"it must be {' or '.join(get_args(JudgedKind))}")
    return text


def _still_wanted(waiting: Sequence[Open], done: Sequence[JudgeLabel], count: int) -> list[Open]:
    """The pairs that are missing until each judge has `count` labels, or all there are."""
    have = Counter(one.judge for one in done)
    chosen = []
    for pair in waiting:
        if have[pair.judged.judge] < count:
            have[pair.judged.judge] += 1
            chosen.append(pair)
    return chosen


def score_judges(path: Path) -> None:
    """The command `judge score`."""
    with open_project(load_settings(path)) as project:
        labels = project.judge_labels()
    if not labels:
        raise SettingsError("nothing is labelled yet", hint="`strategist judge label` shows pairs to label; about 50 will do")
    for judge in sorted({one.judge for one in labels}):
        own = [one for one in labels if one.judge == judge]
        gate, teacher = ([one for one in own if one.kind == kind] for kind in get_args(JudgedKind))
        known = judged_by(judge, gate)
        _print(score(judge, gate), known)
        share = sum(weight * value for value, weight in null_of(known))
        say(f"In the gate's test a line without any effect is taken to win {share:.0%} of the decided pairs {WHERE_CHECKS}.")
        if teacher:
            lean = score(judge, teacher).lean
            said = "too few to say" if lean is None else _interval(lean)
            say(f"Lean to the teacher's replies (to itself, where both are of one family): {said}; {plural(len(teacher), 'label')}.")


def open_pairs(project: Project, kind: JudgedKind) -> list[Open]:
    """Pairs of a kind that nobody has labelled, as far as they can be read, in an order that has nothing to do with what they are."""
    known = {(one.run, one.pair) for one in project.judge_labels()}
    found = [
        Open(id_, run, judged, bool(stable_int("side", run, id_) % 2))
        for run in [info.id for info in project.store.runs()]
        for id_, judged in project.store.named_documents(run, JUDGED, Judged)
        if judged.kind == kind and (run, id_) not in known and ERASED not in (judged.reply_before, judged.reply_after)
    ]
    return sorted(found, key=lambda one: stable_int("label", one.run, one.id))


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
        say(f"{answer!r} is none of them", "yellow")
    raise EOFError


def _answers() -> Iterator[str]:
    while True:
        out.print(Text(ASK, style="bold"), end="")
        line = sys.stdin.readline()
        if not line:
            return
        if not sys.stdin.isatty():
            out.print()  # nobody has pressed Enter
        yield line.strip().lower()


def _scenario(project: Project, pair: Open) -> Scenario | None:
    kinds = ("scenario", "extra_scenario")
    found = (project.store.get_document(pair.run, kind, pair.judged.scenario, Scenario) for kind in kinds)
    return next((one for one in found if one is not None), None)


def _print(found: JudgeScore, known: JudgedBy) -> None:
    out.print(Text.assemble((found.judge, "bold"), f": {plural(found.labels, 'labelled pair')}, {found.unread} without a verdict"))
    table = grid("", "value [95 %]", "")
    rows = (
        ("agreement", _percent(found.agreement), "better, worse, tie"),
        ("kappa", "-" if found.kappa is None else f"{found.kappa:.2f}", "agreement beyond chance"),
        ("error rate", _percent(found.errors), "wrong among its verdicts that are no tie"),
        ("lean", _lean(known) if known.labels else "-", "to the guided reply, of a line without effect; 0: none"),
        ("order effect", _percent(found.order), "the two orders disagree (counted as a tie)"),
        ("first place", _percent(found.first), "of those that name one place both times, the first"),
        ("length effect", "-" if found.longer is None else f"{found.longer:+.2f}", "takes the longer reply more often than people do"),
    )
    for row in rows:
        table.add_row(*row)
    out.print(table)
    if found.labels < ENOUGH:
        say(f"With {plural(found.labels, 'label')} the margins are wide; about {ENOUGH} will do: `strategist judge label`.", "yellow")


def _percent(found: Estimate | None) -> str:
    return "-" if found is None else f"{found.mean:.0%} [{found.low:.0%}, {found.high:.0%}]"


def _lean(known: JudgedBy) -> str:
    """As the gate's test reckons with it, which is not the plain mean of verdict minus label (gate.judged)."""
    return f"{known.bias:+.2f} [{known.bias - Z95 * known.se:+.2f}, {known.bias + Z95 * known.se:+.2f}]"


def _interval(found: Estimate) -> str:
    return f"{found.mean:+.2f} [{found.low:+.2f}, {found.high:+.2f}], n = {found.n}"
