"""`strategist library stale` and `revalidate` from a user's side."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from strategist import project as project_
from strategist.cli import stale as command
from strategist.errors import ServerUnavailableError
from strategist.lab.domain import lab_domain
from strategist.lab.optimum import known_best
from strategist.lab.worlds import load_world
from strategist.library.briefs import keep_brief
from strategist.loop.revalidate import Retested
from strategist.project import open_project
from strategist.records.evidence import Evidence
from strategist.records.library import Entry
from strategist.settings import load_settings
from tests.cli.commands import EXACT, Cli, write_settings

THEN = lab_domain(load_world("specific"))
BEST = {entry.keys[0].issue: entry for entry in known_best(load_world("specific")).entries}
LATE, MOVED = BEST["late"], BEST["moved"]
RULE = LATE.strategies[0].rules[0]
PASSED = Evidence(decision="admitted", wins=7, p=0.01, q=0.02)


def changed_brief() -> str:
    """One rule in front, one changed, one line that is no rule and names a time."""
    rules = [line.partition(". ")[2] for line in THEN.brief.splitlines() if line.startswith("R")]
    numbered = {f"R{number}": text for number, text in enumerate(rules, start=1)}
    numbered[RULE] += " This holds for express parcels too."
    text = "\n".join(f"R{number}. {rule}" for number, rule in enumerate(["Be quick.", *numbered.values()], start=1))
    return f"# Service at Lindenbaum Furniture\n\n{text}\n\nComplaints are answered within 5 days.\n"


@pytest.fixture
def new_brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the company has another brief."""
    now = replace(THEN, brief=changed_brief(), pack_hash="now")
    monkeypatch.setattr(project_, "open_domain", lambda settings: now)


def filled(folder: Path, *entries: Entry, more: str = "", brief_hash: str = THEN.brief_hash) -> Path:
    """A project with entries that were learned under the old brief."""
    path = write_settings(folder, EXACT + more)
    with open_project(load_settings(path)) as opened:
        keep_brief(opened.store, THEN)
        opened.library.set_embedder(opened.embedder.embedder.id)
        own = [e.model_copy(update={"evidence": PASSED, "brief_hash": brief_hash}) for e in entries]
        opened.library.add(own, actor="test", reason="made", marker="made")
    return path


def test_under_the_same_brief_nothing_is_stale(cli: Cli, tmp_path: Path) -> None:
    path = filled(tmp_path, LATE)
    shown = cli("library", "stale", "-s", path)
    assert (shown.code, shown.out.strip()) == (0, "no entry is stale")
    tested = cli("library", "revalidate", "-s", path)
    assert (tested.code, tested.out.strip()) == (0, "nothing to test: no entry in service is stale")
    assert "stale" not in cli("library", "list", "-s", path).out
    assert "another brief" not in cli("library", "export", "-s", path).err


@pytest.mark.usefixtures("new_brief")
def test_what_is_stale_why_what_changed_and_what_next(cli: Cli, tmp_path: Path) -> None:
    path = filled(tmp_path, LATE, MOVED, BEST["login"].model_copy(update={"status": "proposed"}))
    shown = cli("library", "stale", "-s", path)
    assert shown.code == 0
    new = f"R{int(RULE[1:]) + 1}"
    first, second, *_ = shown.out.splitlines()
    assert "touched" in first
    assert second.startswith(f"{LATE.ref}  admitted  rule")
    for words in (
        f"rests on {RULE}, which changed and is {new} now",
        "the brief changed, not what this rests on",
        f"since the brief {THEN.brief_hash}:",
        "R1 is new",
        "+ Be quick.",
        "only numbers: R1 is R2, R2 is R3, R3 is R4, ",
        f"{RULE} changed, now {new}",
        "This holds for express parcels too.",
        "a line is new",
        "newly named: 5 day",
        "next: `strategist library revalidate` tests the 1 entry again that the brief touches",
        "1 entry not touched; with `--all` it tests every stale one",
        "1 entry proposed: out of use",
    ):
        assert words in shown.out


@pytest.mark.usefixtures("new_brief")
def test_an_unknown_brief_is_said_to_be_unknown(cli: Cli, tmp_path: Path) -> None:
    shown = cli("library", "stale", "-s", filled(tmp_path, LATE, brief_hash="elsewhere"))
    assert "since the brief elsewhere:" in shown.out
    assert "so all rules count as changed" in shown.out
    assert "unknown" in shown.out


def test_a_brief_with_other_line_breaks_changed_nothing_but_layout(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = filled(tmp_path, LATE)
    monkeypatch.setattr(project_, "open_domain", lambda settings: replace(THEN, brief=THEN.brief + "\n\n"))
    shown = cli("library", "stale", "-s", path)
    assert "nothing but layout" in shown.out
    assert "1 entry not touched; with `--all` it tests them all the same" in shown.out
    nothing = cli("library", "revalidate", "-s", path)
    assert (nothing.code, "touches none of the 1 stale entries; --all" in nothing.out) == (0, True)


@pytest.mark.usefixtures("new_brief")
def test_stale_entries_are_marked_and_counted_where_they_serve(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = filled(tmp_path, LATE, MOVED)
    listed = cli("library", "list", "-s", path)
    assert [line.split()[2] for line in listed.out.splitlines()[1:3]] == ["stale", "stale"]
    assert "last tested under another brief" in listed.out
    monkeypatch.setattr("strategist.cli.library.TABLE_WIDTH", 100_000)
    assert cli("library", "list", "-s", path).out.splitlines()[0].endswith("· stale")
    note = "note: 2 of 2 entries were last tested under another brief and serve all the same: `strategist library stale`"
    exported = cli("library", "export", "-s", path)
    assert note in exported.err
    assert "another brief" not in exported.out
    assert note in cli("teach", "-s", path).err


@pytest.mark.usefixtures("new_brief")
def test_revalidation_says_what_became_of_each_and_what_it_cost(cli: Cli, tmp_path: Path) -> None:
    path = filled(tmp_path, LATE, MOVED)
    done = cli("library", "revalidate", "--all", "-s", path)
    assert done.code == 0, done.err
    assert LATE.id in done.out
    assert MOVED.id in done.out
    assert "revalidate-001: " in done.out
    assert "paid by this command" in done.out
    assert "replies (revalidate-001, 2 entries)" in done.err
    assert "test" in cli("library", "show", LATE.id, "-s", path).out
    again = cli("library", "revalidate", "--all", "-q", "-s", path)
    assert (again.code, "no entry in service is stale" in again.out) == (0, True)
    assert "no run" in cli("report", "-s", path).err, "a re-validation is no run of the loop"


@pytest.mark.usefixtures("new_brief")
def test_what_was_not_decided_is_said_plainly(cli: Cli, tmp_path: Path) -> None:
    key = LATE.keys[0].model_copy(update={"text": "zebra quagga okapi"})
    done = cli("library", "revalidate", "-q", "-s", filled(tmp_path, LATE.model_copy(update={"keys": (key,)})))
    assert "too few moments to test it at: it stays as it is" in done.out
    assert f"1 entry was not decided and kept as before, status and brief: {LATE.id}" in done.err
    assert "revalidate-001: 0 test replies, " in done.out, "the search for moments cost some"


@pytest.mark.usefixtures("new_brief")
def test_a_forbidden_text_leaves_service_and_the_way_back_is_said(cli: Cli, tmp_path: Path) -> None:
    line = LATE.strategies[0].model_copy(update={"text": "When a parcel is overdue, say that the trace takes 14 days."})
    done = cli("library", "revalidate", "-q", "-s", filled(tmp_path, LATE.model_copy(update={"strategies": (line,)})))
    assert "the brief does not allow the text" in done.out
    assert "0 test replies, 0 calls paid by this command" in done.out
    assert "then test the entry again by its name" in done.out
    assert "not decided" not in done.err


@pytest.mark.usefixtures("new_brief")
@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ((LATE.id[:-1],), 1, f"near matches: {LATE.id}"),
        (("best-none",), 1, "best-none@1 is a control"),
        ((f"{LATE.id}@7",), 1, f"only the newest can be changed: {LATE.ref}"),
        ((LATE.id, "--all"), 2, "exclude each other"),
        ((" ",), 2, "the entry's id is empty"),
    ],
)
def test_what_cannot_be_tested_is_one_error(cli: Cli, tmp_path: Path, words: tuple[str, ...], code: int, says: str) -> None:
    ran = cli("library", "revalidate", *words, "-s", filled(tmp_path, LATE, LATE.model_copy(update={"id": "best-none", "strategies": ()})))
    assert ran.code == code
    assert says in ran.err


@pytest.mark.usefixtures("new_brief")
def test_a_used_up_budget_and_a_dead_server_end_it_cleanly(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = filled(tmp_path, LATE, MOVED, more="[budget]\ncalls = 5\n")
    spent = cli("library", "revalidate", "--all", "-q", "-s", path)
    assert spent.code == 1
    assert "revalidate-001 stopped, every reply so far is kept, no entry is changed" in spent.err
    assert "the same command goes on from here" in spent.err

    async def dead(*_: object) -> tuple[Retested, ...]:
        raise ServerUnavailableError("no answer", hint="start it")

    monkeypatch.setattr(command, "test_again", dead)
    ran = cli("library", "revalidate", "--all", "-q", "-s", path)
    assert (ran.code, "start it" in ran.err, "no answer" in ran.err) == (1, True, True)


@pytest.mark.usefixtures("new_brief")
def test_ctrl_c_says_how_to_go_on(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(work: object) -> None:
        work.close()  # type: ignore[attr-defined]
        raise KeyboardInterrupt

    path = filled(tmp_path, LATE)
    monkeypatch.setattr("strategist.cli.stale.asyncio.run", interrupted)
    stopped = cli("library", "revalidate", "-s", path)
    assert stopped.code == 130
    assert "revalidate-001 stopped; every reply so far is kept, no entry is changed" in stopped.err
    assert "the same command goes on from here" in stopped.err


def test_a_teach_run_keeps_its_brief_and_an_import_of_the_same_brief_too(cli: Cli, taught: Path, tmp_path: Path) -> None:
    exported = tmp_path / "library.jsonl"
    assert cli("library", "export", exported, "-s", taught / "strategist.toml").code == 0
    other = write_settings(tmp_path / "other")
    assert cli("library", "import", exported, "-s", other).code == 0
    for path in (taught / "strategist.toml", other):
        with open_project(load_settings(path)) as opened:
            assert opened.store.count("briefs", "brief") == 1
