"""`strategist judge`: labels are blind, kept at once, counted per judge and run, and known to the runs that begin after them."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from strategist.cli import console
from strategist.cli import judge as judge_
from strategist.cli import library as library_
from strategist.cli.judge import labelled_pair, open_pairs
from strategist.gate.judged import JudgeLabel, judged_by
from strategist.loop.verdicts import JUDGED
from strategist.project import LABELS, open_project
from strategist.records.base import ERASED
from strategist.records.evidence import Comparison, Evidence, Judged, JudgedBy, JudgedKind
from strategist.settings import load_settings
from tests.cli.commands import EXACT, Cli, write_settings
from tests.fake_openai import FakeOpenAI
from tests.loop.small import teach_small
from tests.loop.unchecked import build_pack, speak

SETTINGS = """\
domain = "cakes"
[student]
model = "student"
base_url = "{url}"
[advisor]
kind = "model"
[advisor.model]
model = "teacher"
base_url = "{url}"
[judge]
kind = "model"
[judge.model]
model = "judge"
base_url = "{url}"
[teach]
rounds = 1
conversations = 12
scenarios = 12
candidates = 4
dev_personas = 4
max_turns = 1
teacher_share = [0.5]
[gate]
look = 2
least = 6
most = 10
fdr = 0.3
[retrieval]
embedder = "hashed"
index = "exact"
"""
GOOD = ("open from nine to six", "deliver in the whole town", "bake a vegan plum cake", "write the size and the day")


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of a company without checks after one run. Copy it before changing it."""
    folder = tmp_path_factory.mktemp("judged")
    build_pack(folder)
    with pytest.MonkeyPatch.context() as patch, FakeOpenAI(speak) as server:
        patch.setenv("OPENAI_API_KEY", "k")
        teach_small(load_settings(write_settings(folder, SETTINGS.format(url=server.url))))
    return folder


@pytest.fixture
def settings(judged: Path, tmp_path: Path) -> Path:
    """A copy of that project: its settings file."""
    shutil.copytree(judged, tmp_path / "copy")
    return tmp_path / "copy" / "strategist.toml"


def labels_of(settings: Path) -> list[JudgeLabel]:
    with open_project(load_settings(settings)) as project:
        return project.judge_labels()


def waiting_in(settings: Path, kind: JudgedKind = "gate") -> list[judge_.Open]:
    with open_project(load_settings(settings)) as project:
        return open_pairs(project, kind)


def put(settings: Path, judged: Judged, name: str, run: str) -> None:
    with open_project(load_settings(settings)) as project:
        (first,) = project.store.runs()[:1]
        if run != first.id:
            project.store.put_run(first.model_copy(update={"id": run}))
        project.store.put_document(run, JUDGED, name, 0, 0, judged)


def test_whoever_labels_sees_two_replies_and_nothing_that_tells_them_apart(cli: Cli, settings: Path) -> None:
    ran = cli("judge", "label", "-s", settings, "--count", "1", stdin="a\n")
    assert ran.code == 0
    assert "1 pair to label" in ran.out
    assert "Customer: Hello, " in ran.out
    assert ran.out.index("\nA:\n") < ran.out.index("\nB:\n")
    for told in ("When the customer asks", "guided", "before", "after", "openai:judge", "winner"):
        assert told not in ran.out
    assert "1 label kept" in ran.out


def test_sides_are_drawn_and_a_label_says_which_reply_it_was(cli: Cli, settings: Path) -> None:
    pairs = waiting_in(settings)
    assert len(pairs) > 12
    assert 0 < sum(pair.swapped for pair in pairs) < len(pairs)
    assert cli("judge", "label", "-s", settings, "--count", "8", stdin="a\nb\nt\n=\ntie\nA\n B \nb\n").code == 0
    found = {one.pair: one for one in labels_of(settings)}
    humans = [found[pair.id].human for pair in pairs[:8]]
    sides = ["before" if (key == "a") != pair.swapped else "after" for key, pair in zip("ab---abb", pairs, strict=False)]
    assert humans == [*sides[:2], "tie", "tie", "tie", *sides[5:]]
    first = found[pairs[0].id]
    assert (first.kind, first.judge, first.run) == ("gate", "openai:judge", "run-001")
    assert first.words_before == len(pairs[0].judged.reply_before.split())
    assert first == labelled_pair(pairs[0], first.human)
    assert first.comparison == pairs[0].judged.comparison


def test_the_reply_that_was_chosen_is_the_one_that_was_shown(cli: Cli, settings: Path) -> None:
    """A person who picks the reply with facts, wherever it stands, agrees with the judge that does so."""
    keys = []
    for pair in waiting_in(settings):
        before, after = (any(good in text for good in GOOD) for text in (pair.judged.reply_before, pair.judged.reply_after))
        keys.append("t" if before == after else "b" if after != pair.swapped else "a")
    assert len(set(keys)) > 1
    ran = cli("judge", "label", "-s", settings, "--count", "100", stdin="\n".join(keys) + "\n")
    assert ran.code == 0
    labels = labels_of(settings)
    assert len(labels) == len(keys)
    assert all(one.human == one.verdict for one in labels)
    scored = cli("judge", "score", "-s", settings)
    assert "agreement      100%" in scored.out
    assert "error rate     0%" in scored.out


def test_skip_stop_end_of_input_and_nonsense(cli: Cli, settings: Path) -> None:
    first, second = waiting_in(settings)[:2]
    ran = cli("judge", "label", "-s", settings, stdin="maybe\n\ns\nt\nq\n")
    assert "'maybe' is none of them" in ran.out
    assert "1 label kept. The same command goes on where this ended" in ran.out
    assert [one.pair for one in labels_of(settings)] == [second.id]
    assert waiting_in(settings)[0] == first, "what was skipped comes again"
    assert "0 labels kept" in cli("judge", "label", "-s", settings, stdin="").out
    assert cli("judge", "label", "-s", settings, stdin="b\n").code == 0
    assert [one.pair for one in labels_of(settings)] == sorted([first.id, second.id])
    assert cli("judge", "label", "-s", settings, stdin="skip\nquit\n").code == 0
    assert len(labels_of(settings)) == 2


def test_every_label_is_kept_before_the_next_pair_is_shown(cli: Cli, settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before: list[int] = []

    class Keyboard:
        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            before.append(len(labels_of(settings)))
            if len(before) == 4:
                raise KeyboardInterrupt
            return "a\n"

    monkeypatch.setattr("sys.stdin", Keyboard())
    ran = cli("judge", "label", "-s", settings)
    assert (ran.code, before) == (0, [0, 1, 2, 3])
    assert "3 labels kept" in ran.out
    assert len(labels_of(settings)) == 3


def test_count_is_what_there_is_to_be_in_all(cli: Cli, settings: Path) -> None:
    total = len(waiting_in(settings))
    assert "2 pairs to label" in cli("judge", "label", "-s", settings, "--count", "2", stdin="t\nt\n").out
    assert "1 pair to label" in cli("judge", "label", "-s", settings, "--count", "3", stdin="t\n").out
    done = cli("judge", "label", "-s", settings, "--count", "3")
    assert (done.code, f"3 pairs labelled; {total - 3} pairs more could be: --count {total}" in done.out) == (0, True)
    assert cli("judge", "label", "-s", settings, "--count", "999", stdin="t\n" * total).code == 0
    assert f"{total} pairs labelled. `strategist judge score`" in cli("judge", "label", "-s", settings, "--count", "999").out
    assert cli("judge", "label", "-s", settings, "--count", "0").code == 2


def test_a_new_judge_needs_labels_of_its_own_and_a_pair_is_its_runs(cli: Cli, settings: Path) -> None:
    pair = waiting_in(settings)[0]
    assert cli("judge", "label", "-s", settings, "--count", "1", stdin="t\n").code == 0
    put(settings, pair.judged.model_copy(update={"judge": "other", "reply_after": "Something else."}), pair.id, "run-002")
    assert "1 pair to label" in cli("judge", "label", "-s", settings, "--count", "1", stdin="t\n").out
    labels = labels_of(settings)
    assert [(one.run, one.judge) for one in labels] == [("run-001", "openai:judge"), ("run-002", "other")]
    assert len({one.pair for one in labels}) == 1, "runs on the same conversations ask about the same moments"


def test_a_conversation_that_is_not_kept_any_more_is_said_to_be_so(cli: Cli, settings: Path) -> None:
    said = Comparison(forward="1", backward="2")
    gone = Judged(
        kind="teacher", judge="j", scenario="none", persona="p", round=0, reply_before="x [/red]", reply_after="y", comparison=said
    )
    with open_project(load_settings(settings)) as project:
        known = [one.id for one in open_pairs(project, "teacher")]
    put(settings, gone, "lost", "run-002")
    ran = cli("judge", "label", "-s", settings, "--kind", "teacher", "--count", "99", stdin="t\n" * (len(known) + 1))
    assert "(it is not kept any more)" in ran.out
    assert "x [/red]" in ran.out


def test_replies_that_were_erased_are_not_asked_about(settings: Path) -> None:
    first, second, *rest = waiting_in(settings)
    put(settings, first.judged.model_copy(update={"reply_before": ERASED, "reply_after": ERASED}), first.id, "run-001")
    put(settings, second.judged.model_copy(update={"reply_after": ERASED}), second.id, "run-001")
    assert [pair.id for pair in waiting_in(settings)] == [pair.id for pair in rest]


def test_nothing_to_label_and_a_wrong_kind_are_one_clear_error(cli: Cli, settings: Path, tmp_path: Path) -> None:
    empty = write_settings(tmp_path / "empty", EXACT)
    none = cli("judge", "label", "-s", empty)
    assert (none.code, none.out) == (2, "")
    assert "no judge has compared replies without and with a line yet" in none.err
    assert "the teacher's replies with the student's" in cli("judge", "label", "-s", empty, "--kind", "teacher").err
    wrong = cli("judge", "label", "-s", settings, "--kind", "gte")
    assert wrong.code == 2
    assert wrong.err.splitlines() == ["error: --kind is 'gte'", "  it must be gate or teacher"]
    unscored = cli("judge", "score", "-s", settings)
    assert (unscored.code, "nothing is labelled yet" in unscored.err) == (2, True)


def test_score_has_a_table_for_each_judge_and_says_what_the_gate_makes_of_it(cli: Cli, settings: Path) -> None:
    with open_project(load_settings(settings)) as project:
        for index, (judge, kind, human) in enumerate(
            [("one", "gate", "after")] * 6 + [("one", "gate", "before")] * 2 + [("two", "gate", "tie")] * 60
            + [("two", "teacher", "tie")] * 3 + [("three", "teacher", "before")]
        ):  # fmt: skip
            said = Comparison(forward="2", backward="1")
            label = JudgeLabel.model_validate(
                {"pair": str(index), "run": "r", "kind": kind, "judge": judge, "human": human, "comparison": said,
                 "words_before": 3, "words_after": 9}
            )  # fmt: skip
            project.store.put_document(LABELS, "label", str(index), 0, 0, label)
    ran = cli("judge", "score", "-s", settings)
    assert ran.code == 0
    assert [line.split(":")[0] for line in ran.out.splitlines() if "labelled pair" in line] == ["one", "three", "two"]
    assert "one: 8 labelled pairs, 0 without a verdict" in ran.out
    assert "75% [41%, 93%]" in ran.out
    assert "With 8 labels the margins are wide; about 50 will do" in ran.out
    assert "With 60" not in ran.out
    two = judged_by("two", [one for one in labels_of(settings) if one.judge == "two"])
    low, high = two.bias - 1.96 * two.se, two.bias + 1.96 * two.se
    assert f"lean           {two.bias:+.2f} [{low:+.2f}, {high:+.2f}]" in ran.out, "the one that the gate's test reckons with"
    assert "lean           -  " in ran.out.partition("three: ")[2].partition("two: ")[0]
    assert "Lean to the teacher's replies (to itself, where both are of one family): +1.00 [+1.00, +1.00], n = 3; 3 labels." in ran.out
    assert "too few to say; 1 label." in ran.out
    assert ran.out.count("without any effect is taken to win") == 3


def test_pages_fit_a_narrow_terminal(cli: Cli, settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    narrow = Console(file=screen, force_terminal=True, width=80, color_system=None, highlight=False, emoji=False)
    for module in (console, judge_, library_):
        monkeypatch.setattr(module, "out", narrow)
    assert cli("judge", "label", "-s", settings, "--count", "2", stdin="a\nb\n").code == 0
    assert cli("judge", "score", "-s", settings).code == 0
    assert cli("library", "list", "-s", settings).code == 0
    lines = screen.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert sum("╭─ A ─" in line for line in lines) == 2
    assert "    by the judge alone: openai:judge, checked by nobody" in [line.rstrip() for line in lines]


def test_entries_that_rest_on_a_judge_say_so(cli: Cli, settings: Path) -> None:
    listed = cli("library", "list", "-s", settings).out
    with open_project(load_settings(settings)) as project:
        entries = project.library.entries()
    assert entries
    assert listed.count("by the judge alone: openai:judge, checked by nobody") == len(entries)
    assert "decided by the judge alone: openai:judge" in cli("library", "show", entries[0].id, "-s", settings).out
    report = settings.parent / "report.html"
    assert cli("report", "-s", settings, "--out", report).code == 0
    text = report.read_text(encoding="utf-8")
    assert text.count("Admitted by the judge alone: openai:judge, checked by nobody.") == len(entries)
    assert f"{len(entries)} of {len(entries)} entries in use rest on a judge" in text
    assert f"Nobody had checked that judge for {len(entries)} of them" in text


def test_labels_given_before_a_run_enter_its_evidence_and_a_resumed_run_keeps_its_view(
    cli: Cli, settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert cli("judge", "label", "-s", settings, "--count", "12", stdin="t\n" * 12).code == 0
    known = judged_by("openai:judge", labels_of(settings))
    assert known.labels == 12
    with open_project(load_settings(settings)) as project:
        for entry in project.library.entries():
            project.library.retire(entry.id, actor="test", reason="there is to be something to teach")
    with FakeOpenAI(speak) as server:
        wide = SETTINGS.format(url=server.url)
        settings.write_text(wide + "[budget]\ncalls = 20\n", encoding="utf-8")
        assert teach_small(load_settings(settings)).stop == "budget"
        with open_project(load_settings(settings)) as project:
            run = project.store.runs()[-1].id
            assert project.store.get_document(run, "judged_by", "openai:judge", JudgedBy) == known
        assert cli("judge", "label", "-s", settings, "--count", "20", stdin="a\n" * 8).code == 0
        assert judged_by("openai:judge", labels_of(settings)) != known
        settings.write_text(wide, encoding="utf-8")
        teach_small(load_settings(settings), resume=True)
    with open_project(load_settings(settings)) as project:
        tested = project.store.documents(run, "evidence", Evidence)
        assert tested
        assert {one.judged for one in tested} == {known}
