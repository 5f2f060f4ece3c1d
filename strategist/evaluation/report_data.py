"""What a report says, gathered from the store: facts and figures, no layout.

Owns the choice of what counts as the result: a study of the run on dev if there is one, else its last round on dev; test figures stand
apart and never replace them. `gather` reads and changes nothing; `assemble` and everything below it are pure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

from strategist.domains.domain import Domain
from strategist.domains.recitation import RECITATION
from strategist.errors import StoreError
from strategist.evaluation.study import (
    ArmComparison,
    ArmSummary,
    CheckComparison,
    IssueComparison,
    by_check,
    by_issue,
    compare,
    contrasts,
    summarise,
)
from strategist.library.library import Library
from strategist.library.stale import is_stale
from strategist.records.base import Record
from strategist.records.library import Entry, Refusal
from strategist.records.run import ArmOutcome, Overrun, RoleCost, RoundSummary, RunInfo
from strategist.records.trace import Scenario, Trace
from strategist.store import Store
from strategist.store.calls import CallLog

OPENING = "open test split"
"""Action of the audit event that counts one opening of the test split."""

FEW_CUSTOMERS = 20
SIMULATED = re.compile(r"(?:lab|scripted)(?:[:_/-]|$)")
"""Names of students and domains that are simulated: `lab:specific`, `lab_specific`, `scripted`."""

Source = Literal["study", "round", "nothing"]


class RoundLine(Record):
    """One round: what it did, and the lift of its library over the bare student on dev."""

    summary: RoundSummary
    lift: ArmComparison


class EntryLine(Record):
    """An entry with the customer's message it was coached on (the masked key where the conversation is not in this run)."""

    entry: Entry
    customer: str


class FailureLine(Record):
    """Conversations that failed with one cause."""

    kind: str
    purpose: str
    conversations: int
    example: str


class CheckAbout(Record):
    """What a check tests, for readers."""

    check: str
    about: str
    rules: tuple[str, ...] = ()


class ReportData(Record):
    """Everything that a report of one run shows. `source` names where `headline`, `arms`, `checks` and `issues` come from."""

    run: RunInfo
    title: str
    simulated: bool
    source: Source = "nothing"
    headline: ArmComparison | None = None
    rounds: tuple[RoundLine, ...] = ()
    arms: tuple[ArmSummary, ...] = ()
    contrasts: tuple[ArmComparison, ...] = ()
    checks: tuple[CheckComparison, ...] = ()
    about: tuple[CheckAbout, ...] = ()
    issues: tuple[IssueComparison, ...] = ()
    test_arms: tuple[ArmSummary, ...] = ()
    test_contrasts: tuple[ArmComparison, ...] = ()
    openings: int = 0
    entries: tuple[EntryLine, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    costs: tuple[RoleCost, ...] = ()
    overrun: Overrun = Overrun()
    failures: tuple[FailureLine, ...] = ()
    warnings: tuple[str, ...] = ()
    command: str = ""


def gather(store: Store, run_id: str, domain: Domain, *, command: str = "") -> ReportData:
    """Read one run's report from the store. Raises StoreError if there is no such run."""
    run = store.get_run(run_id)
    if run is None:
        raise StoreError(f"there is no run {run_id} in {store.path}", hint="run `strategist teach` first, or name another run")
    scenarios = {scenario.id: scenario.customer for scenario in store.documents(run_id, "scenario", Scenario)}
    entries = [entry for entry in Library(store).entries() if entry.domain == domain.name]
    failed = [trace for trace in store.traces(run_id) if trace.failure is not None]
    return assemble(
        run,
        domain,
        rounds=store.documents(run_id, "round", RoundSummary),
        study=store.documents(run_id, "study", ArmOutcome),
        entries=[EntryLine(entry=entry, customer=_customer(entry, scenarios)) for entry in entries],
        refusals=store.documents(run_id, "refusal", Refusal),
        costs=CallLog(store).totals(run_id),
        overrun=CallLog(store).overrun(run_id),
        failed=failed,
        openings=sum(event.action == OPENING for event in store.events()),
        command=command,
    )


def keep_outcomes(store: Store, run_id: str, outcomes: Sequence[ArmOutcome], round_: int) -> None:
    """Store a study's outcomes with the run they belong to; a repeated study replaces the same arm, persona and seed."""
    store.put_documents(run_id, "study", [(f"{o.arm}/{o.persona}/{o.seed}", round_, index, o) for index, o in enumerate(outcomes)])


def record_opening(store: Store, run_id: str, reason: str) -> None:
    """Count one opening of the test split in the audit log. Call it before the first test persona is drawn."""
    with store.transaction() as conn:
        store.append_event(conn, "strategist", OPENING, run_id, None, None, reason)


def assemble(
    run: RunInfo,
    domain: Domain,
    *,
    rounds: Sequence[RoundSummary],
    study: Sequence[ArmOutcome],
    entries: Sequence[EntryLine],
    refusals: Sequence[Refusal],
    costs: Sequence[RoleCost],
    overrun: Overrun = Overrun(),  # noqa: B008
    failed: Sequence[Trace],
    openings: int,
    command: str,
) -> ReportData:
    """Turn a run's records into its report. Pure."""
    source, outcomes = result_outcomes(rounds, study)
    held_out = [outcome for outcome in study if split_of(outcome) == "test"]
    headline = compare(outcomes, "library", "bare") if outcomes else None
    data = ReportData(
        run=run,
        title=domain.title,
        simulated=is_simulated(run),
        source=source,
        headline=headline,
        rounds=tuple(RoundLine(summary=r, lift=compare(r.outcomes, "library", "bare")) for r in rounds),
        arms=summarise(outcomes),
        contrasts=contrasts(outcomes),
        checks=by_check(outcomes),
        about=tuple(CheckAbout(check=check.id, about=check.about, rules=check.rules) for check in (*domain.checks, RECITATION)),
        issues=by_issue(outcomes),
        test_arms=summarise(held_out),
        test_contrasts=contrasts(held_out),
        openings=openings,
        entries=tuple(sorted(entries, key=lambda line: _rank(line.entry))),
        refusals=tuple(refusals),
        costs=tuple(costs),
        overrun=overrun,
        failures=count_failures(failed),
        command=command,
    )
    return data.model_copy(update={"warnings": warnings_of(data, domain.brief_hash)})


def result_outcomes(rounds: Sequence[RoundSummary], study: Sequence[ArmOutcome]) -> tuple[Source, tuple[ArmOutcome, ...]]:
    """The outcomes that the result rests on: the study's on dev if it has any, else those of the last round that has some."""
    on_dev = tuple(outcome for outcome in study if split_of(outcome) == "dev")
    if on_dev:
        return "study", on_dev
    for summary in reversed(rounds):
        if summary.outcomes:
            return "round", summary.outcomes
    return "nothing", ()


def split_of(outcome: ArmOutcome) -> str:
    """The split an outcome's persona was drawn from (persona ids begin with it)."""
    return outcome.persona.partition("-")[0]


def is_simulated(run: RunInfo) -> bool:
    """Whether the student is a simulated model, by its name or its domain's."""
    return any(SIMULATED.match(name) for name in (run.student, run.domain))


def count_failures(failed: Sequence[Trace]) -> tuple[FailureLine, ...]:
    """Failed conversations by cause and purpose, most frequent first."""
    causes = [(trace.failure.kind, trace.purpose, trace.failure.message) for trace in failed if trace.failure is not None]
    example: dict[tuple[str, str], str] = {}
    for kind, purpose, message in causes:
        example.setdefault((kind, purpose), message)
    numbers = Counter((kind, purpose) for kind, purpose, _ in causes)
    ranked = sorted(numbers, key=lambda cause: (-numbers[cause], cause))
    return tuple(FailureLine(kind=k, purpose=p, conversations=numbers[k, p], example=example[k, p]) for k, p in ranked)


def warnings_of(data: ReportData, brief_hash: str) -> tuple[str, ...]:
    """What a reader must know before believing the figures, most important first."""
    found = [_early_stop(data), *_about_headline(data.headline), _about_failures(data), _about_brief(data, brief_hash), _about_judge(data)]
    return tuple(text for text in found if text)


def _early_stop(data: ReportData) -> str:
    reasons = {"budget": "its budget was used up", "interrupted": "it was interrupted", "server": "the model server did not answer"}
    stop = data.run.stop
    if stop is None:
        return "This run has not ended yet; figures cover what is done so far."
    return f"The run ended early because {reasons[stop]}; figures cover what was done until then." if stop in reasons else ""


def _about_headline(headline: ArmComparison | None) -> list[str]:
    if headline is None:
        return []
    found = []
    if headline.hard is not None and headline.hard.low > 0:
        found.append("Hard failures (policy, safety) are more frequent with the library than without it. Do not release it as it is.")
    if headline.personas < FEW_CUSTOMERS:
        found.append(f"Fewer than {FEW_CUSTOMERS} customers were compared (n = {headline.personas}); an interval of so few is rough.")
    if headline.seeds == 1:
        found.append("One evaluation seed: each customer was met once per arm, so the luck of single replies is not averaged out.")
    return found


def _about_failures(data: ReportData) -> str:
    left_out = data.headline.left_out if data.headline else 0
    if not left_out:
        return ""
    return f"{left_out} pairs of conversations failed on at least one side; they are left out on both and never counted as 0."


def _about_brief(data: ReportData, brief_hash: str) -> str:
    stale = sum(is_stale(line.entry, brief_hash) for line in data.entries)
    if not stale:
        return ""
    return f"{stale} entries were learned under another version of the brief; `strategist library revalidate` tests them again."


def _about_judge(data: ReportData) -> str:
    standing = [line.entry.evidence for line in data.entries if line.entry.status != "retired"]
    judged = [evidence.judged for evidence in standing if evidence is not None and evidence.judged is not None]
    if not judged:
        return ""
    unknown = sum(not one.labels for one in judged)
    text = f"{len(judged)} of {len(standing)} entries in use rest on a judge's word alone: no check has a say in what is better."
    return f"{text} Nobody had checked that judge for {unknown} of them: `strategist judge label`." if unknown else text


def _customer(entry: Entry, scenarios: Mapping[str, str]) -> str:
    for key in entry.keys:
        if key.scenario in scenarios:
            return scenarios[key.scenario]
    return entry.keys[0].text if entry.keys else ""


def _rank(entry: Entry) -> tuple[bool, float, str, int]:
    """Retired last; the strongest evidence first; ties by id."""
    return (entry.status == "retired", entry.evidence.q if entry.evidence else 2.0, entry.id, entry.version)
