"""`strategist library why`: everything that an entry rests on, from the moment it was written for to the last change.

Reads the library, and the run's documents where they are in this database: an imported entry says that they are elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.padding import Padding
from rich.text import Text

from strategist.cli.console import block, grid, out, plural, say
from strategist.cli.library import coloured, ref_of
from strategist.library.library import Library
from strategist.project import Project, open_project
from strategist.records.evidence import Evidence, Pair
from strategist.records.library import Candidate, Entry, Key
from strategist.records.run import RunInfo
from strategist.records.trace import Scenario
from strategist.roles.prompts import transcript
from strategist.settings import GateSettings, load_settings

WORDS = 12
"""Words of a customer's message in the table of pairs."""

MEANS = {
    "admitted": "passed its test",
    "dropped_first_stage": "fell behind at a look and was dropped",
    "not_significant": "its wins could be luck",
    "more_hard_failures": "hard failures became more frequent with it",
    "too_few_moments": "there were too few moments to test it at",
    "incomplete": "too many of its replies failed",
}


def why(path: Path, name: str, *, pairs: int) -> None:
    """The command: the newest version, or `id@version`."""
    id_, version = ref_of(name)
    with open_project(load_settings(path)) as project:
        library = project.library
        entry = library.get(id_, version)
        run = _run_of(project, entry)
        moments = _moments(project, run, entry)
        out.print(Text.assemble((entry.ref, "bold"), " ", coloured(entry), f" for {entry.student}, written by {entry.advisor}"))
        block("lines", "\n".join(f"- {s.text}{_rules(s.rules)}" for s in entry.strategies) or "(nothing needed here)", "blue")
        if entry.why:
            out.print(Text.assemble(("why ", "bold"), entry.why))
        _written_for(entry, moments, run)
        _test(entry.evidence, moments, project.settings.gate, pairs)
        _keys(entry, moments)
        _history(library, entry)
        if entry.brief_hash and entry.brief_hash != project.domain.brief_hash:
            say("the brief has changed since: `strategist library stale` says what that may mean", "yellow")


def _run_of(project: Project, entry: Entry) -> RunInfo | None:
    """The run that an entry came from: the one with a candidate of its text in its round; None where it is not in this database."""
    for run in reversed(project.store.runs()):
        found = project.store.documents(run.id, "candidate", Candidate, entry.round)
        if any(candidate.strategies == entry.strategies for candidate in found):
            return run
    return None


def _moments(project: Project, run: RunInfo | None, entry: Entry) -> dict[str, Scenario]:
    """The states that the entry's keys and pairs name, as far as they are kept."""
    if run is None:
        return {}
    names = {key.scenario for key in entry.keys} | {pair.scenario for pair in (entry.evidence.pairs if entry.evidence else ())}
    found: dict[str, Scenario] = {}
    for name in sorted(names):
        for kind in ("scenario", "extra_scenario"):
            state = project.store.get_document(run.id, kind, name, Scenario)
            if state is not None:
                found[name] = state
                break
    return found


def _written_for(entry: Entry, moments: Mapping[str, Scenario], run: RunInfo | None) -> None:
    """The moment it was written for, and what was said there without it, with it, and by the teacher."""
    first = moments.get(entry.keys[0].scenario) if entry.keys else None
    if first is not None:
        about = f"written for (round {entry.round + 1} of {run.id if run else '?'}, {first.persona}, {first.issue}, turn {first.turn + 1})"
        block(about, transcript(first.messages), "dim")
    elif run is None:
        say("the run it came from is not in this database: it was imported", "dim")
    block("reply before", entry.reply_before or "-", "dim")
    block("reply after", entry.reply_after or "-", "green")
    if entry.reply_teacher:
        block("the teacher's reply", entry.reply_teacher, "magenta")


def _test(evidence: Evidence | None, moments: Mapping[str, Scenario], gate: GateSettings, most: int) -> None:
    """The test's figures and its pairs."""
    if evidence is None:
        say("evidence: none for this text; it must pass the gate before it can be used", "yellow")
        return
    counts = f"{evidence.wins} won, {evidence.losses} lost, {evidence.ties} tied"
    out.print(Text.assemble(("test ", "bold"), f"{MEANS[evidence.decision]}: {counts} at {plural(len(evidence.pairs), 'moment')}"))
    say(
        f"exact sequential sign test p = {evidence.p:.4f}, q = {evidence.q:.4f} over its round (at most {gate.fdr:.2f}); "
        f"hard failures p = {evidence.hard_p:.2f} (above {gate.hard_level:.2f}); try {evidence.tries}; "
        f"{plural(evidence.replies, 'student reply', 'student replies')}; against the library {evidence.snapshot[:12] or '-'}"
    )
    if evidence.judged is not None:
        say(evidence.judged.words, "yellow")
    if evidence.pairs:
        _pairs(evidence.pairs, moments, most)


def _pairs(pairs: Sequence[Pair], moments: Mapping[str, Scenario], most: int) -> None:
    table = grid("customer", "issue", "said", "result", "uplift", "hard", right=("uplift", "hard"), wrap="said")
    for pair in pairs[:most]:
        state = moments.get(pair.scenario)
        said = "(not kept here)" if state is None else " ".join(state.customer.split()[:WORDS])
        style = {"win": "green", "loss": "red", "tie": "dim"}[pair.result]
        result = Text(pair.result if pair.failure is None else f"{pair.result}: {pair.failure}", style=style)
        hard = f"{pair.baseline_hard} > {pair.guided_hard}" if pair.baseline_hard or pair.guided_hard else ""
        table.add_row(pair.persona, Text("" if state is None else state.issue), Text(said), result, f"{pair.uplift:+.2f}", hard)
    out.print(table)
    if len(pairs) > most:
        say(f"... and {len(pairs) - most} more (--pairs)", "dim")


def _keys(entry: Entry, moments: Mapping[str, Scenario]) -> None:
    """Under what it is found, and where each key comes from."""
    if not entry.keys:
        say("found: where no entry for a matter fits (a line for every conversation)" if entry.scope == "general" else "found: nowhere")
        return
    won = {pair.scenario for pair in (entry.evidence.pairs if entry.evidence else ()) if pair.result == "win"}
    origins = [_origin(place, key, won, moments) for place, key in enumerate(entry.keys)]
    counts = ", ".join(f"{origins.count(kind)} {kind}" for kind in dict.fromkeys(origins))
    out.print(Text.assemble(("found ", "bold"), f"under {plural(len(entry.keys), 'key')}: {counts}"))
    for key, origin in list(zip(entry.keys, origins, strict=True))[:5]:
        out.print(Padding(Text.assemble((f"{origin}, {key.issue}: ", "dim"), key.text.rpartition("\n")[2]), (0, 0, 0, 2)))


def _origin(place: int, key: Key, won: set[str], moments: Mapping[str, Scenario]) -> str:
    if place == 0:
        return "coached on"
    if key.scenario in won:
        return "won there"
    state = moments.get(key.scenario)
    return "failed there" if state is not None and any(v.passed is False for v in state.verdicts) else "coached on or widened"


def _history(library: Library, entry: Entry) -> None:
    out.print(Text("history", style="bold"))
    for event in library.events(entry.id):
        before, after = (event.before or "-")[:8], (event.after or "-")[:8]
        line = Text.assemble((event.time, "dim"), f" {event.actor}: {event.action}", (f" {before} > {after}", "dim"), f" {event.reason}")
        out.print(Padding(line, (0, 0, 0, 2)))


def _rules(rules: Sequence[str]) -> str:
    return f" ({', '.join(rules)})" if rules else ""
