"""The commands from a user's side: what is printed, which exit code, and that no fault of the user's shows a traceback."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from strategist.cli.evaluate import print_arms
from strategist.evaluation.study import contrasts, summarise
from strategist.project import open_project
from strategist.records.run import ArmOutcome, RoundSummary
from strategist.settings import load_settings
from tests.cli.commands import SETTINGS, Cli, first_entry


def test_version_and_help(cli: Cli) -> None:
    assert cli("--version").out.startswith("strategist ")
    assert "teach" in cli("--help").out


def test_an_unknown_command_or_option_is_named(cli: Cli) -> None:
    assert "teech" in cli("teech").err
    assert cli("teach", "--sede", "1").code == 2


def test_init_writes_once_and_prints(cli: Cli, tmp_path: Path) -> None:
    assert cli("init", tmp_path / "new").code == 0
    again = cli("init", tmp_path / "new")
    assert (again.code, "--force" in again.err) == (2, True)
    assert cli("init", tmp_path / "new", "--force").code == 0
    assert "[student]" in cli("init", "--print").out


def test_domains_are_listed_and_checked(cli: Cli, tmp_path: Path) -> None:
    assert "parcel" in cli("domain", "list").out
    assert "ok" in cli("domain", "check", "parcel").out
    assert cli("domain", "check", "parcle").code == 2
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "domain.toml").write_text("name = 3", encoding="utf-8")
    found = cli("domain", "check", tmp_path / "bad")
    assert found.code == 2
    assert "domain.toml" in found.out + found.err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("domain = 'parcle'", "parcel"),
        ("colour = 'red'", "colour"),
        ("domain = [", "TOML"),
        ("[teach]\nrounds = 0", "rounds"),
        ("domain = 'lab:nowhere'", "nowhere"),
    ],
)
def test_wrong_settings_are_one_clear_error(cli: Cli, tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "strategist.toml"
    path.write_text(text, encoding="utf-8")
    ran = cli("teach", "-s", path)
    assert ran.code == 2
    assert "error:" in ran.err
    assert says in ran.err


def test_no_settings_and_unreadable_settings(cli: Cli, tmp_path: Path) -> None:
    assert "strategist init" in cli("teach", "-s", tmp_path / "none.toml").err
    (tmp_path / "latin.toml").write_bytes(b"domain = '\xff'")
    assert cli("teach", "-s", tmp_path / "latin.toml").code == 2


def test_a_server_that_does_not_answer_is_one_clear_error_and_resumable(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "strategist.toml"
    path.write_text(
        "domain = 'lab:specific'\n[student]\nbase_url = 'http://127.0.0.1:9/v1'\n[retrieval]\nembedder = 'hashed'\n", encoding="utf-8"
    )
    ran = cli("teach", "-q", "-s", path)
    assert ran.code == 1
    assert "127.0.0.1:9" in ran.err
    assert "--resume" in ran.err
    assert "unfinished" in cli("teach", "-q", "-s", path).err
    assert cli("teach", "-q", "--resume", "-s", path).code == 1


def test_nothing_to_resume(cli: Cli, project: Path) -> None:
    assert "no unfinished run" in cli("teach", "--resume", "-s", project).err


def test_a_budget_too_small_ends_cleanly(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "strategist.toml"
    path.write_text(SETTINGS.format(seed=0) + "[budget]\ncalls = 5\n", encoding="utf-8")
    ran = cli("teach", "-s", path)
    assert ran.code == 1
    assert "budget" in ran.err


def test_a_replayed_log_costs_nothing_and_leads_to_the_same_export(cli: Cli, taught: Path, tmp_path: Path) -> None:
    other, project = tmp_path / "again", taught / "strategist.toml"
    other.mkdir()
    shutil.copy(project, other / "strategist.toml")
    log = taught / ".strategist" / "strategist.db"
    assert cli("teach", "-q", "--replay-from", log, "-s", other / "strategist.toml").code == 0
    assert cli("teach", "--replay-from", tmp_path / "none.db", "-s", other / "strategist.toml").code == 2
    first, second = cli("library", "export", "-s", project), cli("library", "export", "-s", other / "strategist.toml")
    assert first.out == second.out
    assert len(first.out.splitlines()) > 1, "an empty library proves nothing"


def test_entries_are_listed_shown_approved_and_retired(cli: Cli, project: Path) -> None:
    entry = first_entry(cli, project).partition("@")[0]
    assert "evidence" in cli("library", "show", entry, "-s", project).out
    assert cli("library", "approve", entry, "-m", "read it", "-s", project).code == 0
    assert entry in cli("library", "list", "--status", "approved", "-s", project).out
    assert cli("library", "retire", entry, "-m", "wrong", "-s", project).code == 0
    assert entry in cli("library", "list", "--status", "retired", "-s", project).out
    assert cli("library", "show", "nope", "-s", project).code != 0
    assert cli("library", "list", "--status", "dead", "-s", project).code == 2


def test_an_export_is_imported_once_and_never_when_tampered_with(cli: Cli, project: Path, tmp_path: Path) -> None:
    file = tmp_path / "library.jsonl"
    assert cli("library", "export", file, "-s", project).code == 0
    fresh = tmp_path / "fresh" / "strategist.toml"
    fresh.parent.mkdir()
    fresh.write_text(SETTINGS.format(seed=1), encoding="utf-8")
    assert cli("library", "list", "-s", fresh).code == 0
    assert cli("library", "import", file, "-s", fresh).code == 0
    assert first_entry(cli, fresh)
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("When", "Whenever", 1), encoding="utf-8")
    assert cli("library", "import", file, "-s", fresh).code != 0
    assert cli("library", "import", tmp_path / "none", "-s", fresh).code == 2


def test_a_damaged_or_deleted_index_is_found_and_rebuilt(cli: Cli, project: Path) -> None:
    assert cli("library", "rebuild", "-s", project).code == 0
    assert cli("library", "verify", "-s", project).code == 0
    index = project.parent / ".strategist" / "index"
    shutil.rmtree(index)
    assert cli("library", "verify", "-s", project).code == 1
    assert cli("library", "rebuild", "-s", project).code == 0
    for file in index.glob("*.sqlite3"):
        file.write_bytes(b"not a database" * 100)
    assert cli("library", "verify", "-s", project).code == 1
    assert cli("library", "rebuild", "-s", project).code == 0
    assert cli("library", "verify", "-s", project).code == 0


def test_search_and_try_show_what_is_retrieved(cli: Cli, project: Path, tmp_path: Path) -> None:
    said = "My parcel from order LB100200 has not arrived."
    assert "key" in cli("library", "search", said, "-s", project).out
    tried = cli("try", "-s", project, stdin=f"customer: {said}\n")
    assert tried.code == 0, tried.err
    messages = tmp_path / "talk.json"
    messages.write_text(json.dumps([{"role": "user", "content": said}]), encoding="utf-8")
    assert cli("try", messages, "--dry", "-s", project).code == 0
    assert cli("try", "-s", project, stdin="customer: Hello\nagent: Hi\n").code == 2
    assert cli("try", "-s", project, stdin="").code == 2
    assert cli("try", "-s", project, stdin="[{").code == 2
    assert cli("try", tmp_path / "none.txt", "-s", project).code == 2


def test_arms_are_compared_and_reported(cli: Cli, project: Path, tmp_path: Path) -> None:
    ran = cli("evaluate", "--personas", "3", "-q", "-s", project)
    assert ran.code == 0, ran.err
    assert "library over bare" in ran.out
    assert cli("evaluate", "--arms", "bare,library", "--personas", "2", "--split", "test", "-q", "-s", project).code == 0
    assert cli("evaluate", "--arms", "beer", "-s", project).code == 2
    assert cli("evaluate", "--arms", ",", "-s", project).code == 2
    assert cli("evaluate", "--split", "train", "-s", project).code == 2
    page = tmp_path / "page.html"
    assert cli("report", "-o", page, "-s", project).code == 0
    assert "<html" in page.read_text(encoding="utf-8")
    unknown = cli("report", "--run", "run-01", "-s", project)
    assert (unknown.code, "runs are run-001" in unknown.err) == (2, True)
    assert cli("report", "-o", tmp_path, "-s", project).code == 0
    assert (tmp_path / "report-run-001.html").is_file()


def test_an_opening_of_the_test_split_is_counted_before_it_is_looked_at(cli: Cli, project: Path) -> None:
    wrong = cli("evaluate", "--arms", "teacher", "--split", "test", "-s", project)
    assert (wrong.code, "a handbook cannot" in wrong.err) == (2, True)
    for opened in ("1 time", "2 times"):
        ran = cli("evaluate", "--arms", "bare", "--personas", "2", "--split", "test", "-q", "-s", project)
        assert f"the test split was opened {opened} so far" in ran.out
    text = project.read_text(encoding="utf-8")
    project.write_text(text + "[budget]\ncalls = 1\n", encoding="utf-8")
    assert cli("evaluate", "--arms", "bare", "--personas", "3", "--split", "test", "-q", "-s", project).code == 1
    project.write_text(text, encoding="utf-8")
    assert "opened 3 times" in cli("evaluate", "--arms", "bare", "--personas", "2", "-q", "-s", project).out
    for wrong_words in (("--arms", "libary"), ("--personas", "1"), ("--personas", "99999"), ("--seeds", "0")):
        assert cli("evaluate", *wrong_words, "-s", project).code == 2
    assert "did you mean 'library'?" in cli("evaluate", "--arms", "libary", "-s", project).err


def budget(project: Path, calls: int | None) -> None:
    """Give the project a wall of so many calls, or none."""
    text = project.read_text(encoding="utf-8").partition("[budget]")[0]
    project.write_text(text + (f"[budget]\ncalls = {calls}\n" if calls else ""), encoding="utf-8")


def test_an_opening_that_was_interrupted_goes_on_and_counts_once(cli: Cli, project: Path) -> None:
    words = ("evaluate", "--arms", "bare", "--personas", "3", "--split", "test", "-q", "-s", project)
    none = cli(*words, "--resume")
    assert (none.code, "there is no unfinished opening of test for run-001" in none.err) == (2, True)
    assert cli("evaluate", "--resume", "-s", project).code == 2

    with open_project(load_settings(project)) as opened:
        budget(project, opened.calls.spent("run-001").calls + 2)
    assert cli(*words).code == 1
    budget(project, None)
    resumed = cli(*words, "--resume")
    assert resumed.code == 0, resumed.err
    assert "the test split was opened 1 time so far" in resumed.out
    over = cli(*words, "--resume")
    assert (over.code, "leave out --resume" in over.err) == (2, True)

    with open_project(load_settings(project)) as opened:
        outcomes = opened.store.documents("run-001", "study", ArmOutcome)
        traces = [trace for trace in opened.store.traces("run-001", purpose="examine") if trace.persona.startswith("test-")]
    drawn = {outcome.persona for outcome in outcomes}
    assert len(drawn) == len(outcomes) == 3
    assert {trace.persona for trace in traces} == drawn, "what was begun before the interruption was gone on with"
    assert "opened 2 times so far" in cli(*words).out

    with open_project(load_settings(project)) as opened:
        again = {outcome.persona for outcome in opened.store.documents("run-001", "study", ArmOutcome)} - drawn
        assert len(again) == 3, "another opening draws others"
        opened.store.put_run(opened.store.runs()[0].model_copy(update={"id": "run-002", "seed": 1000}))
    other = cli(*words, "--resume")
    assert (other.code, "no unfinished opening of test for run-002" in other.err) == (2, True)


@pytest.mark.parametrize(
    ("split", "again"),
    [("dev", "the same command goes on from here"), ("test", "the same command with --resume goes on with this opening")],
)
def test_who_stops_an_evaluation_is_told_how_to_go_on(
    split: str, again: str, cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("strategist.cli.evaluate.run_study", interrupted)
    ran = cli("evaluate", "--arms", "bare", "--split", split, "-q", "-s", project)
    assert (ran.code, ran.err) == (130, f"evaluation stopped; every reply so far is kept\n  {again}\n")


def test_evaluations_use_other_seeds_than_the_examination_after_each_round(cli: Cli, project: Path) -> None:
    assert cli("evaluate", "--arms", "bare", "--personas", "2", "--seeds", "2", "-q", "-s", project).code == 0
    with open_project(load_settings(project)) as opened:
        outcomes = opened.store.documents("run-001", "study", ArmOutcome)
        examined = [o for summary in opened.store.documents("run-001", "round", RoundSummary) for o in summary.outcomes]
    assert {outcome.seed for outcome in outcomes} == {1, 2}
    assert {outcome.seed for outcome in examined} == {0}


def test_arms_with_failed_conversations_say_how_many(capsys: pytest.CaptureFixture[str]) -> None:
    common = {"issue": "x", "seed": 0, "goal": True, "hard_failures": 0, "agent_turns": 1}
    arms = ("bare", "library")
    outcomes = [ArmOutcome(arm=a, persona=f"dev-{i}-0", score=0.5, **common) for a in arms for i in range(3)]
    outcomes[0] = outcomes[0].model_copy(update={"score": None, "failure": "empty_reply"})
    print_arms(summarise(outcomes), contrasts(outcomes))
    lone = [outcome for outcome in outcomes if outcome.persona == "dev-1-0"]
    print_arms(summarise(lone), contrasts(lone))
    out = capsys.readouterr().out
    assert "library over bare: +0.00 [+0.00, +0.00] n=2 seeds=1, 1 pair left out because one side failed" in out
    assert "library over bare: not measured n=1 seeds=1" in out
    assert ["failed" in line for line in out.splitlines() if line.startswith("arm")] == [True, False]


def test_nothing_to_evaluate_or_report(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "strategist.toml"
    path.write_text(SETTINGS.format(seed=0), encoding="utf-8")
    assert "teach" in cli("evaluate", "-s", path).err
    assert "teach" in cli("report", "-s", path).err


def test_lab_worlds_are_listed(cli: Cli) -> None:
    assert "misleading" in cli("lab", "list").out
