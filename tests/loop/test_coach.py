"""coach: what comes of one state, by what the student and the advisor say there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from strategist.conversation import opening_scenario
from strategist.errors import ModelError
from strategist.loop.coach import coach, coach_state
from strategist.loop.coached import Coached
from strategist.loop.deps import Deps
from strategist.loop.select import Selection
from strategist.models.adapters.scripted import AnswerFunction
from strategist.records.chat import ModelRequest
from strategist.records.library import Candidate, Refusal, Snapshot, Strategy
from strategist.records.trace import Scenario
from strategist.roles.protocols import Advice, Attempt
from tests.loop.small import small, use_models, with_deps

BARE = "We look into it."
POLITE = "Thank you, we look into it."
SOLVED = "We have filed a trace request with the carrier."
GOOD = f"Thank you. {SOLVED}"
PROMISE = f"{GOOD} I guarantee it."
HALF_LINE, GOOD_LINE, BAD_LINE = "Say that a trace starts.", "Say thanks and that a trace starts.", "Promise a date."
REPLIES = {HALF_LINE: SOLVED, GOOD_LINE: GOOD, BAD_LINE: PROMISE}


@dataclass
class Told:
    """An advisor that says what it was told to, step by step."""

    advice: Sequence[Advice | ModelError]
    seen: list[tuple[tuple[Attempt, ...], str | None]] = field(default_factory=list)
    name: str = "told"

    async def advise(self, scenario: Scenario, attempts: Sequence[Attempt], teacher_reply: str | None, *, sample: int = 0) -> Advice:
        said = self.advice[len(self.seen)]
        self.seen.append((tuple(attempts), teacher_reply))
        if isinstance(said, ModelError):
            raise said
        return said


def lines(*texts: str) -> Advice:
    return Advice(gap="major", why=f"because of {texts[0]}", strategies=tuple(Strategy(text=text) for text in texts))


NONE = Advice(gap="none", why="as good")


def student(bare: str) -> AnswerFunction:
    """Answers by the first line it is given."""

    def answer(request: ModelRequest, draw: int) -> str:
        return next((reply for line, reply in REPLIES.items() if f"- {line}" in request.messages[-1].content), bare)

    return answer


async def late_opening(deps: Deps) -> Scenario:
    index = deps.domain.issues.index("late")
    return await opening_scenario(deps.customer, deps.domain, deps.domain.draw("train", index, 1), index=index)


def coached(folder: Path, advisor: Told, *, bare: str = BARE, steps: int = 3, teacher: bool = False) -> Coached:
    use_models(student=lambda _: student(bare))

    async def work(deps: Deps) -> Coached:
        retriever = await deps.retriever(Snapshot())
        return await coach_state(replace(deps, advisor=advisor), 0, 0, await late_opening(deps), retriever)

    return with_deps(small(folder, advisor=teacher, coaching_steps=steps), work)


@pytest.mark.usefixtures("own_models")
def test_lines_that_help_become_a_candidate(tmp_path: Path) -> None:
    advisor = Told([lines(GOOD_LINE)])
    one = coached(tmp_path, advisor)
    assert one.kind == "candidate"
    assert one.candidate is not None
    assert [s.text for s in one.candidate.strategies] == [GOOD_LINE]
    assert (one.candidate.reply_before, one.candidate.reply_after, one.candidate.reply_teacher) == (BARE, GOOD, None)
    assert one.candidate.why == f"because of {GOOD_LINE}"
    assert one.candidate.keys[0].issue == "late"
    assert [a.lines for a in one.attempts] == [(), (GOOD_LINE,)], "a reply without faults ends it"
    ((attempts, teacher_reply),) = advisor.seen
    assert (len(attempts), teacher_reply) == (1, None)


@pytest.mark.usefixtures("own_models")
def test_the_best_attempt_is_kept_not_the_last(tmp_path: Path) -> None:
    advisor = Told([lines(HALF_LINE), lines(BAD_LINE), NONE])
    one = coached(tmp_path, advisor)
    assert one.candidate is not None
    assert (one.candidate.reply_after, [s.text for s in one.candidate.strategies]) == (SOLVED, [HALF_LINE])
    assert [len(attempts) for attempts, _ in advisor.seen] == [1, 2, 3]
    better = coached(tmp_path / "later", Told([lines(HALF_LINE), lines(GOOD_LINE)]), steps=2)
    assert better.candidate is not None
    assert better.candidate.reply_after == GOOD


@pytest.mark.usefixtures("own_models")
def test_a_state_without_a_gap_is_a_control(tmp_path: Path) -> None:
    one = coached(tmp_path, Told([NONE]), bare=GOOD)
    assert one.kind == "control"
    assert one.candidate is not None
    assert one.candidate.is_control
    assert one.candidate.reply_after == GOOD


@pytest.mark.usefixtures("own_models")
def test_a_fault_that_the_advisor_has_no_line_for_is_no_candidate(tmp_path: Path) -> None:
    one = coached(tmp_path, Told([Advice(gap="minor")]), bare=SOLVED)
    assert (one.kind, one.candidate, one.refusal) == ("no_gap", None, None)


@pytest.mark.usefixtures("own_models")
def test_lines_that_help_nobody_are_refused_with_their_reason(tmp_path: Path) -> None:
    one = coached(tmp_path, Told([lines("Say hello.")]), steps=1)
    assert one.refusal is not None
    assert (one.kind, one.refusal.stage, one.refusal.issue) == ("refusal", "coach", "late")
    assert "did not do better" in one.refusal.reason


@pytest.mark.usefixtures("own_models")
def test_lines_that_break_the_wording_rules_are_refused_whatever_they_do(tmp_path: Path) -> None:
    REPLIES[broken := 'Say "thank you, a trace request is out".'] = GOOD
    one = coached(tmp_path, Told([lines(broken)]))
    del REPLIES[broken]
    assert one.refusal is not None
    assert (one.kind, one.refusal.stage) == ("refusal", "lint")
    assert one.refusal.reason.startswith("line 1: ")


@pytest.mark.usefixtures("own_models")
def test_an_advisor_that_acts_shows_its_own_reply(tmp_path: Path) -> None:
    advisor = Told([lines(GOOD_LINE)])
    one = coached(tmp_path, advisor, teacher=True)
    assert one.candidate is not None
    assert one.candidate.reply_teacher
    assert "trace request" in one.candidate.reply_teacher.lower()
    assert advisor.seen[0][1] == one.candidate.reply_teacher


@pytest.mark.usefixtures("own_models")
def test_a_failed_state_is_kept_with_its_cause_and_the_others_go_on(tmp_path: Path) -> None:
    use_models(student=lambda _: student(BARE))

    async def work(deps: Deps) -> tuple[list[Coached], list[Candidate], list[Refusal]]:
        first = await late_opening(deps)
        second = first.model_copy(update={"id": "second"})
        deps.store.put_documents(deps.run.id, "scenario", [(s.id, 0, i, s) for i, s in enumerate((first, second))])
        deps.store.put_document(deps.run.id, "selection", "r0", 0, 0, Selection(failing=(first.id,), controls=("second",)))
        told = Told([ModelError("no, I will not", kind="refusal"), lines(BAD_LINE), lines(GOOD_LINE)])
        await coach(replace(deps, advisor=told), 0, lambda done, total: None)
        read = deps.store.documents
        return (
            read(deps.run.id, "coached", Coached),
            read(deps.run.id, "candidate", Candidate),
            read(deps.run.id, "refusal", Refusal),
        )

    found, candidates, refusals = with_deps(small(tmp_path, coaching_steps=2), work)
    assert [(c.kind, c.message) for c in found] == [("failed", "refusal: no, I will not"), ("candidate", "")]
    assert [[s.text for s in c.strategies] for c in candidates] == [[GOOD_LINE]]
    assert refusals == []
