"""`strategist transfer` from a user's side."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from strategist.cli import transfer as command
from strategist.errors import SettingsError
from strategist.evaluation.transfer import Transfer
from strategist.lab.optimum import known_best
from strategist.lab.worlds import load_world
from strategist.library.export import export_text, read_export
from strategist.project import open_project
from strategist.records.library import Snapshot
from strategist.settings import Settings, load_settings
from tests.cli.commands import Cli

PROJECT = 'domain = "{domain}"\n[student]\nadapter = "lab"\nmodel = "{student}"\n[retrieval]\nembedder = "hashed"\nindex = "exact"\n{more}'
HASHED = "hashed-1024-v1-fields-v1"


def project_at(folder: Path, domain: str = "lab:specific", student: str = "specific/student", more: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "strategist.toml"
    path.write_text(PROJECT.format(domain=domain, student=student, more=more), encoding="utf-8")
    return path


def library_at(path: Path, embedder: str = HASHED, domain: str = "lab_specific") -> Path:
    best = known_best(load_world("specific"))
    entries = tuple(entry.model_copy(update={"domain": domain}) for entry in best.entries)
    path.write_text(export_text(Snapshot(entries=entries, embedder=embedder)), encoding="utf-8")
    return path


@pytest.fixture
def best(tmp_path: Path) -> Path:
    return library_at(tmp_path / "best.jsonl")


def test_another_student_from_end_to_end_and_nothing_is_paid_twice(cli: Cli, tmp_path: Path, best: Path) -> None:
    path = project_at(tmp_path / "p")
    asked = ("transfer", best, "-s", path, "--personas", "12")
    first = cli(*asked)
    assert first.code == 0, first.err
    for words in ("12 of 12 entries cross, with 12 of 12 lines", "transferred over bare: +0.", "n=12 seeds=1", "not defined, because this"):
        assert words in first.out
    assert "transfer: 24 of 24 conversations (2 arms, 12 dev personas, 1 seed)" in first.err
    with open_project(load_settings(path)) as project:
        run = project.transfer_run(read_export(best.read_text(encoding="utf-8")).hash)
        calls = project.calls.spent(run.id).calls
        kept = project.store.get_document(run.id, command.RESULT, "dev", Transfer)
        assert kept is not None
        assert len(kept.outcomes) == 24 == sum(1 for _ in project.store.traces(run.id))
        assert project.store.runs() == []
    assert calls > 24
    assert cli(*asked).out == first.out
    with open_project(load_settings(path)) as project:
        assert project.calls.spent(run.id).calls == calls
    weaker = cli(*asked, "--student", "uncoachable/student", "--quiet")
    assert "played in lab_specific with lab:uncoachable/student" in weaker.out
    assert "transferred over bare: -0." in weaker.out


def test_with_a_library_of_its_own_the_share_of_the_gain_is_told(cli: Cli, project: Path, best: Path) -> None:
    shown = cli("transfer", best, "-s", project, "--personas", "60", "-q")
    assert shown.code == 0, shown.err
    assert "own over bare: +0." in shown.out
    assert re.search(r"share of the gain kept: \d+% \[\d+%, \d+%\] n=60, of the gain of the own library", shown.out)


def test_another_company_holds_lines_back_and_whole_is_the_control(cli: Cli, tmp_path: Path, best: Path) -> None:
    path = project_at(tmp_path / "p")
    refused = cli("transfer", best, "-s", path, "--domain", "lab:misleading")
    assert refused.code == 1
    assert "2 of 3 words are of Lindenbaum Furniture alone: overdue, trace" in refused.out
    assert "no line crosses to Lindenbaum Furniture (11 x words; 1 x name)" in refused.err
    shown = cli("transfer", best, "-s", path, "--domain", "lab:misleading", "--personas", "4", "--whole", "-q")
    assert "transferred over whole:" in shown.out
    assert "12 of 12 entries did not carry over" in shown.out
    parcels = cli("transfer", best, "-s", path, "--domain", "parcel", "--personas", "4", "-q")
    assert "1 of 12 entries cross, with 1 of 12 lines" in parcels.out


def test_a_domain_that_is_not_here_can_be_named(cli: Cli, tmp_path: Path) -> None:
    path, file = project_at(tmp_path / "p"), library_at(tmp_path / "l.jsonl", domain="parcel_abroad")
    unknown = cli("transfer", file, "-s", path, "--personas", "2", "-q")
    assert "the domain parcel_abroad is not here" in unknown.out
    wrong = cli("transfer", file, "-s", path, "--source", "parcel")
    assert (wrong.code, "--source is parcel, but the library was learned in parcel_abroad" in wrong.err) == (2, True)
    named = cli("transfer", library_at(file), "-s", path, "--source", "lab:specific", "--personas", "2", "-q")
    assert "12 of 12 entries cross" in named.out


def test_faults_are_one_clear_error(cli: Cli, tmp_path: Path, best: Path) -> None:
    path = project_at(tmp_path / "p")
    other = library_at(tmp_path / "other.jsonl", "minilm-x")
    german = project_at(tmp_path / "german", "kurier")
    none = tmp_path / "none.jsonl"
    none.write_text("hello\n", encoding="utf-8")
    for words, code, said in (
        (("transfer", none), 1, "not the header of a library export"),
        (("transfer", tmp_path / "nowhere.jsonl"), 2, "cannot read"),
        (("transfer", other), 1, "built with the embedder minilm-x, this project has hashed"),
        (("transfer", best, "--domain", "hotell"), 2, "there is no domain `hotell`"),
        (("transfer", best, "--student", "gone.gguf"), 2, "there is no model file gone.gguf"),
        (("transfer", best, "--student", "gone/student"), 2, "no lab model named"),
        (("transfer", best, "--split", "train"), 2, "--split is 'train'"),
        (("transfer", best, "-s", german), 1, "nothing crosses: the lines of Lindenbaum Furniture are English"),
    ):
        shown = cli(*words, *(() if "-s" in words else ("-s", path)))
        assert (shown.code, said in shown.err) == (code, True), shown
    spent = cli("transfer", best, "-s", project_at(tmp_path / "poor", more="[budget]\ncalls = 5\n"))
    assert spent.code == 1


def test_an_opening_of_test_is_counted_once_and_gone_on_with(cli: Cli, tmp_path: Path, best: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = project_at(tmp_path / "p")
    asked = ("transfer", best, "-s", path, "--personas", "3", "--split", "test", "-q")

    def interrupted(work: object) -> Transfer:
        work.close()  # type: ignore[attr-defined]
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("strategist.cli.transfer.asyncio.run", interrupted)
        stopped = cli(*asked)
    assert stopped.code == 130
    assert "the same command goes on from here" in stopped.err
    assert "on test; the test split was opened 1 time so far" in cli(*asked).out
    assert "the test split was opened 2 times so far" in cli(*asked).out


def test_a_student_is_a_name_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.gguf").touch()
    (tmp_path / "bakery").mkdir()
    file = command.elsewhere(Settings(), "bakery", "small.gguf")
    assert (file.student.adapter, file.student.path, file.student.model) == ("embedded", tmp_path / "small.gguf", "small")
    assert file.domain == str(tmp_path / "bakery")
    named = command.elsewhere(file, "parcel", "qwen")
    assert (named.student.model, named.student.path, named.domain) == ("qwen", None, "parcel")
    assert command.elsewhere(file, None, None) == file
    with pytest.raises(SettingsError):
        command.elsewhere(file, None, "none.GGUF")
