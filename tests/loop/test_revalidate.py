"""Entries tested again under a new brief: who stays in service, what is paid, and that nothing is lost or written by halves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from strategist import project as project_
from strategist.domains.domain import Domain
from strategist.errors import BudgetExceededError, LibraryError, ModelError
from strategist.lab.domain import lab_domain
from strategist.lab.optimum import known_best
from strategist.lab.worlds import load_world
from strategist.library.briefs import keep_brief, kept_brief
from strategist.library.changes import compare
from strategist.library.stale import Staleness, is_stale, staleness
from strategist.loop.admit import put_to_test
from strategist.loop.revalidate import FIRST_ROUND, Retested, as_candidate, batch_of, choose, number_of, reason_of, revalidate
from strategist.models.adapters.scripted import AnswerFunction
from strategist.project import Project, open_project
from strategist.records.chat import Message, ModelRequest, Reply
from strategist.records.evidence import Decision, Evidence
from strategist.records.library import Entry, Snapshot, Strategy
from strategist.records.trace import Scenario
from strategist.settings import BudgetSettings, Settings
from tests.loop.small import small, use_models

WORLD = load_world("specific")
THEN = lab_domain(WORLD)
BEST = {entry.keys[0].issue: entry for entry in known_best(WORLD).entries}
LATE, MOVED, BROKEN = (BEST[issue] for issue in ("late", "moved", "broken"))
NOW = replace(
    THEN, brief=THEN.brief.replace(f"{LATE.strategies[0].rules[0]}. ", f"{LATE.strategies[0].rules[0]}. From today on: "), pack_hash="now"
)
"""One rule says something else."""


def deaf_to(*entries: Entry) -> Callable[[AnswerFunction], AnswerFunction]:
    """A student to whom the lines of these entries say nothing under the new brief."""

    def wrap(answer: AnswerFunction) -> AnswerFunction:
        def answered(request: ModelRequest, draw: int) -> Reply | str:
            lines = [s.text for entry in entries for s in entry.strategies]
            if "From today on" in request.messages[0].content:
                request = request.model_copy(update={"messages": tuple(without(m, lines) for m in request.messages)})
            return answer(request, draw)

        return answered

    return wrap


def without(message: Message, lines: Sequence[str]) -> Message:
    text = message.content
    for line in lines:
        text = text.replace(line, "Be friendly.")
    return message.model_copy(update={"content": text})


@dataclass
class Company:
    """A project whose brief can change."""

    settings: Settings
    monkeypatch: pytest.MonkeyPatch
    domain: Domain = THEN
    told: list[tuple[int, int]] = field(default_factory=list)

    def open(self) -> Project:
        self.monkeypatch.setattr(project_, "open_domain", lambda settings: self.domain)
        return open_project(self.settings)

    def fill(self, *entries: Entry) -> None:
        """Entries that were learned under the brief of now."""
        evidence = Evidence(decision="admitted", wins=7, p=0.01, q=0.02, tries=1)
        with self.open() as project:
            keep_brief(project.store, self.domain)
            own = [e.model_copy(update={"evidence": evidence, "brief_hash": self.domain.brief_hash}) for e in entries]
            project.library.add(own, actor="test", reason="made", marker=str(own))

    def entry(self, id_: str) -> Entry:
        with self.open() as project:
            return project.library.get(id_)

    def test(self, *names: str, every: bool = False) -> tuple[tuple[Retested, ...], str, int]:
        """What `strategist library revalidate` does: the results, the run and what it paid."""
        with self.open() as project:
            entries = choose(project.library, look(project), names, every=every)
            batch = batch_of(entries, project.revalidation_run(1))
            number = number_of(project.store, batch, now_of(project))
            run = project.revalidation_run(number)
            before = project.calls.spent(run.id).calls

            async def work() -> tuple[Retested, ...]:
                async with project.deps(run) as deps:
                    return await revalidate(deps, number, entries, lambda done, total, what="": self.told.append((done, total)))

            results = asyncio.run(work())
            return results, run.id, project.calls.spent(run.id).calls - before

    def calls(self) -> int:
        with self.open() as project, project.store.database.reading() as conn:
            return int(conn.exec_driver_sql("select count(*) from calls").scalar_one())


def look(project: Project) -> Staleness:
    domain = project.domain
    kept = {e.brief_hash: kept_brief(project.store, e.brief_hash) for e in project.library.entries()}
    known = {name: brief.text for name, brief in kept.items() if brief is not None}
    return staleness(project.library.entries(), known, domain.brief, domain.brief_hash, domain.language)


def now_of(project: Project) -> Snapshot:
    return project.library.snapshot(("admitted", "approved"), project.embedder.embedder.id, project.library.get_floor())


@pytest.fixture
def company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_models: None) -> Company:
    return Company(small(tmp_path), monkeypatch)


def status_of(results: Sequence[Retested]) -> dict[str, str]:
    return {one.before.keys[0].issue: one.after.status if one.after else "as before" for one in results}


def test_who_does_not_help_under_the_new_brief_leaves_service_and_only_the_stale_ones_are_paid(company: Company) -> None:
    company.fill(LATE, MOVED, BROKEN.model_copy(update={"status": "approved"}))
    company.domain = NOW
    company.fill(BEST["login"])
    use_models(student=deaf_to(LATE))

    results, run, paid = company.test(every=True)
    assert run == "revalidate-001"
    assert status_of(results) == {"late": "proposed", "moved": "admitted", "broken": "approved"}
    assert paid == sum(one.evidence.replies for one in results if one.evidence) > 0, "openings cost no reply"
    assert company.told[-1][0] == company.told[-1][1] == paid
    late, moved, broken = (company.entry(e.id) for e in (LATE, MOVED, BROKEN))
    assert {e.brief_hash for e in (late, moved, broken)} == {NOW.brief_hash}
    assert [e.version for e in (late, moved, broken)] == [2, 2, 2]
    assert [e.evidence.tries for e in (late, moved, broken) if e.evidence] == [2, 2, 2]
    assert company.entry(BEST["login"].id).version == 1

    with company.open() as project:
        events = {e.id: project.library.events(e.id)[-1] for e in (late, moved, broken)}
        assert {event.action for event in events.values()} == {"revalidate"}
        assert "not shown to help" in events[late.id].reason
        assert "the approval is of the same text under the brief before" in events[broken.id].reason
        assert kept_brief(project.store, NOW.brief_hash) is not None
        assert not any(is_stale(e, NOW.brief_hash) for e in project.library.entries())
        assert project.store.runs() == [], "a re-validation is no run of the loop"
    before = company.calls()
    with company.open() as project:
        assert choose(project.library, look(project), (), every=True) == ()
    assert company.calls() == before


def test_by_default_only_what_the_brief_touches_is_tested(company: Company) -> None:
    company.fill(LATE, MOVED)
    company.domain = NOW
    results, _, _ = company.test()
    assert status_of(results) == {"late": "admitted"}
    assert company.entry(MOVED.id).version == 1


def test_moments_are_of_customers_whom_nobody_has_met(company: Company) -> None:
    company.fill(LATE)
    company.domain = NOW
    (one,), run, _ = company.test()
    assert one.evidence is not None
    with company.open() as project:
        drawn = {s.persona for s in project.store.documents(run, "extra_scenario", Scenario)}
    tested = {pair.persona for pair in one.evidence.pairs}
    assert tested
    assert tested <= drawn
    assert min(int(persona.split("-")[1]) for persona in drawn) > 5_000_000
    again = company.test(LATE.id)
    assert again[1] == "revalidate-002", "another version is another batch"
    assert again[0][0].evidence is not None
    assert not {pair.persona for pair in again[0][0].evidence.pairs} & drawn
    assert again[0][0].evidence.tries == 3


def test_the_budget_ends_it_with_everything_kept_and_the_same_batch_goes_on(company: Company) -> None:
    company.fill(LATE, MOVED)
    company.domain = NOW
    whole = company.settings
    company.settings = whole.model_copy(update={"budget": BudgetSettings(calls=7)})
    with pytest.raises(BudgetExceededError):
        company.test(every=True)
    assert [company.entry(e.id).version for e in (LATE, MOVED)] == [1, 1]
    assert company.calls() == 7
    company.settings = whole
    results, run, paid = company.test(every=True)
    replies = sum(one.evidence.replies for one in results if one.evidence)
    assert (run, paid) == ("revalidate-001", replies - 7)
    assert status_of(results) == {"late": "admitted", "moved": "admitted"}


def test_what_was_stopped_before_it_was_written_pays_nothing_when_it_is_done_again(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    company.fill(LATE)
    company.domain = NOW

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("strategist.loop.revalidate.keep_brief", stop)
        with pytest.raises(KeyboardInterrupt):
            company.test()
    before = company.calls()
    assert company.entry(LATE.id).version == 1
    results, run, paid = company.test()
    assert (run, paid, company.calls()) == ("revalidate-001", 0, before)
    assert status_of(results) == {"late": "admitted"}


def test_without_moments_an_entry_stays_as_it_is_and_asking_again_is_free(company: Company) -> None:
    key = LATE.keys[0].model_copy(update={"text": "zebra quagga okapi"})
    company.fill(LATE.model_copy(update={"keys": (key,)}), MOVED)
    company.domain = NOW
    for first in (True, False):
        (one,), run, paid = company.test()
        assert (one.after, run) == (None, "revalidate-001")
        assert (paid > 0) == first
        assert one.why == "too few moments to test it at: it stays as it is"
    assert is_stale(company.entry(LATE.id), NOW.brief_hash)
    with company.open() as project:
        project.library.retire(MOVED.id, actor="ana", reason="wrong")
    assert company.test()[1] == "revalidate-002", "beside other entries it may have moments"


def test_a_text_that_the_brief_forbids_leaves_service_without_a_reply(company: Company) -> None:
    line = Strategy(text="When a parcel is overdue, say that the trace takes 14 days.")
    company.fill(LATE.model_copy(update={"strategies": (line,)}))
    company.domain = NOW
    (one,), _, paid = company.test()
    assert one.after is not None
    assert (one.after.status, one.after.ref, one.evidence, paid) == ("proposed", f"{LATE.id}@1", None, 0)
    assert "does not allow the text: line 1: date or deadline that the brief does not name: 14 day" in one.why
    (again,), _, _ = company.test(LATE.id)
    assert (again.after, again.before.status) == (None, "proposed"), "named, and still forbidden"


def test_an_edited_entry_can_be_tested_by_name_and_is_admitted(company: Company) -> None:
    company.fill(LATE, MOVED)
    with company.open() as project:
        better = LATE.strategies[0].model_copy(update={"text": f"{LATE.strategies[0].text[:-1]}, and where to look."})
        edited = project.library.edit(LATE.id, [better], actor="ana", reason="longer", brief=THEN.brief)
    assert (edited.status, edited.evidence) == ("proposed", None)
    (one,), _, _ = company.test(LATE.id)
    assert one.after is not None
    assert (one.after.status, one.after.version) == ("admitted", 3)
    assert one.after.evidence is not None
    assert one.after.evidence.tries == 1


def test_rules_are_named_by_their_new_numbers(company: Company) -> None:
    company.fill(LATE)
    rules = [line.partition(". ")[2] for line in THEN.brief.splitlines() if line.startswith("R")]
    company.domain = replace(THEN, brief="\n".join(f"R{n}. {text}" for n, text in enumerate(["Be quick.", *rules], 1)), pack_hash="more")
    assert compare(THEN.brief, company.domain.brief, "en").real
    (one,), _, _ = company.test(every=True)
    assert one.after is not None
    old = int(LATE.strategies[0].rules[0][1:])
    assert one.after.strategies[0].rules == (f"R{old + 1}",)


def test_an_entry_for_everywhere_is_tested_at_customers_of_all_issues(company: Company) -> None:
    everywhere = LATE.model_copy(update={"id": "g1", "scope": "general", "keys": ()})
    company.fill(everywhere)
    company.domain = NOW
    (one,), run, _ = company.test(every=True)
    assert one.evidence is not None
    assert one.evidence.pairs
    with company.open() as project:
        drawn = {s.issue for s in project.store.documents(run, "extra_scenario", Scenario)}
    assert drawn == set(THEN.issues)


def test_entries_about_later_turns_are_tested_in_conversations_played_up_to_them(company: Company) -> None:
    gate = company.settings.gate.model_copy(update={"own_phase": True})
    company.settings = company.settings.model_copy(update={"gate": gate})
    later = tuple(k.model_copy(update={"scenario": "abc.1", "text": f"{k.text}\nWe will see.\n{k.text}"}) for k in LATE.keys)
    company.fill(LATE.model_copy(update={"keys": later}))
    company.domain = NOW
    (_,), run, paid = company.test()
    with company.open() as project:
        traces = list(project.store.traces(run))
    assert traces
    assert paid > 0
    assert max(len(t.turns) for t in traces) == 2
    assert {t.actor for t in traces} == {"student"}


def test_what_somebody_changed_meanwhile_is_left_so(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    company.fill(LATE)
    company.domain = NOW

    def retire() -> None:
        with company.open() as other:
            other.library.retire(LATE.id, actor="ana", reason="wrong")

    monkeypatch.setattr("strategist.loop.revalidate.put_to_test", and_then(retire))
    (one,), _, _ = company.test()
    assert (one.after, one.why) == (None, "somebody changed it meanwhile, and it was left so")
    assert company.entry(LATE.id).status == "retired"


def and_then(happens: Callable[[], None]) -> Callable[..., object]:
    async def tested(*args: object) -> tuple[Evidence, ...]:
        found = await put_to_test(*args)  # type: ignore[arg-type]
        happens()
        return found

    return tested


def test_replies_that_fail_decide_nothing(company: Company) -> None:
    def failing(answer: AnswerFunction) -> AnswerFunction:
        def answered(request: ModelRequest, draw: int) -> Reply | str:
            raise ModelError("the context is full", kind="model")

        return answered

    company.fill(LATE)
    company.domain = NOW
    use_models(student=failing)
    (one,), _, _ = company.test()
    assert (one.after, one.why) == (None, "too many replies failed: it stays as it is")
    assert company.entry(LATE.id).status == "admitted"


def test_what_cannot_be_tested_is_an_error_that_says_what_to_do(company: Company) -> None:
    control = LATE.model_copy(update={"id": "best-none", "strategies": ()})
    company.fill(control, MOVED, LATE.model_copy(update={"status": "retired"}), BROKEN.model_copy(update={"keys": ()}))
    company.domain = NOW
    with pytest.raises(LibraryError, match="has no key left"):
        company.test(BROKEN.id)
    with pytest.raises(LibraryError, match="is a control") as refused:
        company.test(control.id)
    assert "strategist teach" in refused.value.hint
    with pytest.raises(LibraryError, match="is retired"):
        company.test(LATE.id)
    with pytest.raises(LibraryError, match="no entry") as unknown:
        company.test(MOVED.id[:-1])
    assert MOVED.id in unknown.value.hint
    assert company.calls() == 0
    with company.open() as project:
        assert [e.id for e in choose(project.library, look(project), (), every=True)] == [MOVED.id]


@pytest.mark.parametrize(
    ("decision", "says"),
    [
        ("more_hard_failures", "more hard failures with it (p = 1.000)"),
        ("dropped_first_stage", "not shown to help any more: 1 wins"),
        ("admitted", "still helps: 1 wins, 0 losses, 0 ties, q = 1.000"),
    ],
)
def test_the_reason_says_what_the_test_found(decision: Decision, says: str) -> None:
    assert reason_of(LATE, Evidence(decision=decision, wins=1)).startswith(says)


def test_the_candidate_is_the_entry_and_excludes_whom_it_was_written_for() -> None:
    found = as_candidate(LATE, FIRST_ROUND, 3)
    assert (found.keys, found.strategies, found.tries, found.index) == (LATE.keys, LATE.strategies, 1, 3)
    assert found.personas == {key.persona for key in LATE.keys}
