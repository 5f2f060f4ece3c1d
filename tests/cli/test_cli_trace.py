"""`strategist trace` and `strategist library why`: what was said, what guided it, what an entry rests on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from strategist.project import open_project
from strategist.records.evidence import Evidence, JudgedBy
from strategist.records.library import Candidate
from strategist.records.trace import Failure, Trace, Verdict
from strategist.settings import load_settings
from tests.cli.commands import EXACT, Cli, write_settings


def traces(settings: Path) -> list[Trace]:
    with open_project(load_settings(settings)) as project:
        return list(project.store.traces("run-001"))


@pytest.fixture
def mine(project: Path) -> tuple[Path, str]:
    """A taught project and an entry that its run found."""
    with open_project(load_settings(project)) as opened:
        found = {c.strategies for c in opened.store.documents("run-001", "candidate", Candidate)}
        own = next(e for e in opened.library.entries() if e.strategies in found and e.keys and e.evidence is not None and e.evidence.pairs)
        return project, own.id


def test_a_list_has_a_line_per_conversation(cli: Cli, project: Path) -> None:
    known = traces(project)
    shown = cli("trace", "list", "-s", project, "--limit", "1000").out.splitlines()
    assert len(shown) == 1 + len(known)
    assert [line.split()[0] for line in shown[1:]] == [trace.id for trace in known]
    few = cli("trace", "list", "-s", project, "--limit", "2").out
    assert "the first 2; --limit shows more" in few
    bare = cli("trace", "list", "-s", project, "--arm", "bare", "--purpose", "examine", "--round", "1", "--limit", "1000").out
    assert len(bare.splitlines()) == 1 + sum(t.arm == "bare" and t.round == 0 for t in known)
    lost = cli("trace", "list", "-s", project, "--failed", "--limit", "1000").out.splitlines()
    assert len(lost) == 1 + sum(t.outcome is not None and not t.outcome.goal for t in known)
    assert "has no such conversation" in cli("trace", "list", "-s", project, "--arm", "teacher").out


def test_a_conversation_as_a_person_reads_it(cli: Cli, project: Path) -> None:
    guided = next(t for t in traces(project) if t.arm == "library" and any(turn.guidance.lines for turn in t.turns))
    shown = cli("trace", "show", guided.id, "-s", project).out
    assert guided.persona in shown
    for turn in guided.turns:
        assert turn.customer.splitlines()[0] in shown
        assert turn.reply.splitlines()[0] in shown
        for line in turn.guidance.lines:
            assert f"- {line}" in shown
    assert guided.outcome is not None
    assert f"score {guided.outcome.score:.2f}" in shown
    assert cli("trace", "show", guided.id[:12], "-s", project).out == shown  # how it begins is enough
    newest = cli("trace", "show", "-s", project).out
    assert "the newest conversation" in newest


def test_failures_broken_checks_and_tools_are_shown(cli: Cli, project: Path) -> None:
    plain = traces(project)[0]
    turn = plain.turns[0].model_copy(
        update={
            "verdicts": (
                Verdict(check="no_promise", hard=True, passed=False, turn=0),
                Verdict(check="odd", hard=False, passed=None, turn=0, detail="it broke"),
            ),
            "steps": tuple(m.model_copy(update={"role": "tool", "content": "x" * 400}) for m in plain.messages[-1:]),
        }
    )
    assert plain.outcome is not None
    outcome = plain.outcome.model_copy(update={"hard_failures": 2, "verdicts": (Verdict(check="whole", hard=False, passed=False),)})
    odd = plain.model_copy(
        update={"id": "0" * 16, "turns": (turn,), "failure": Failure(kind="refusal", message="never"), "outcome": outcome}
    )
    with open_project(load_settings(project)) as opened:
        opened.store.put_trace("run-001", odd)
    shown = cli("trace", "show", "0000", "-s", project).out
    assert "fails (hard): no_promise" in shown
    assert "broken: odd: it broke" in shown
    assert "gets " + "x" * 300 + " ..." in shown
    assert "failed refusal: never" in shown
    assert "2 hard failures" in shown
    assert "fails: whole" in shown
    assert "failed" in cli("trace", "list", "-s", project, "--failed", "--limit", "1000").out


def test_mistakes_get_one_clear_error(cli: Cli, project: Path, tmp_path: Path) -> None:
    assert "run-001 has no conversation zzz" in cli("trace", "show", "zzz", "-s", project).err
    assert "conversations begin with " in cli("trace", "show", "", "-s", project).err
    assert "there is no run run-9" in cli("trace", "list", "-s", project, "--run", "run-9").err
    assert "--purpose is 'x'" in cli("trace", "list", "-s", project, "--purpose", "x").err
    empty = write_settings(tmp_path / "empty", EXACT)
    assert "there is no run yet" in cli("trace", "show", "-s", empty).err
    assert "no conversation to export" in cli("trace", "export", tmp_path / "logs", "-s", project, "--purpose", "serve").err


def test_logs_for_inspect_ai(cli: Cli, project: Path, tmp_path: Path) -> None:
    said = cli("trace", "export", tmp_path / "logs", "-s", project, "--purpose", "examine").out
    files = sorted((tmp_path / "logs").glob("*.json"))
    logs = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    examined = [t for t in traces(project) if t.purpose == "examine"]
    assert sum(len(log["samples"]) for log in logs) == len(examined)
    assert f"wrote {len(examined)} conversations in {len(files)} logs" in said
    assert "inspect view --log-dir" in said


def test_why_goes_from_the_moment_to_the_last_change(cli: Cli, mine: tuple[Path, str]) -> None:
    project, name = mine
    with open_project(load_settings(project)) as opened:
        entry = opened.library.get(name)
    assert entry.evidence is not None
    shown = cli("library", "why", name, "-s", project, "--pairs", "3").out
    assert entry.strategies[0].text in shown
    assert "written for (round " in shown
    assert f"{entry.evidence.wins} won, {entry.evidence.losses} lost, {entry.evidence.ties} tied" in shown
    assert f"q = {entry.evidence.q:.4f}" in shown
    assert f"... and {len(entry.evidence.pairs) - 3} more (--pairs)" in shown
    assert f"under {len(entry.keys)} key" in shown
    assert "coached on" in shown
    assert "strategist: add" in shown
    assert "brief has changed" not in shown


def test_what_is_elsewhere_or_missing_is_said(cli: Cli, mine: tuple[Path, str]) -> None:
    settings, name = mine
    with open_project(load_settings(settings)) as opened:
        own = opened.library.get(name)
        judged = Evidence(decision="admitted", judged=JudgedBy(judge="openai:j", labels=50, bias=0.1, se=0.05, decided=0.7))
        other = own.model_copy(
            update={
                "id": "eother", "evidence": judged, "keys": (), "scope": "general", "brief_hash": "old",
                "reply_teacher": "As I would say it.",
                "strategies": (own.strategies[0].model_copy(update={"text": "Say what happens next."}),),
            }
        )  # fmt: skip
        silent = other.model_copy(update={"id": "esilent", "evidence": None, "scope": "specific", "strategies": ()})
        opened.library.add([other, silent], actor="test", reason="from elsewhere", marker="elsewhere")
    shown = cli("library", "why", "eother", "-s", settings).out
    assert "it was imported" in shown
    said = "by the judge alone: openai:j, checked on 50 labelled pairs, lean +0.10"
    assert said in shown
    assert said in cli("library", "show", "eother", "-s", settings).out
    assert said in cli("library", "list", "-s", settings).out
    assert "a line for every conversation" in shown
    assert "the teacher's reply" in shown
    assert "the brief has changed since" in shown
    nothing = cli("library", "why", "esilent", "-s", settings).out
    assert "evidence: none for this text" in nothing
    assert "(nothing needed here)" in nothing
    assert "found: nowhere" in nothing
    assert "no entry 'enone'" in cli("library", "why", "enone", "-s", settings).err
