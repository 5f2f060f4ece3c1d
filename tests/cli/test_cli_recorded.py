"""From a log file to a comparison of arms, by commands alone; and a domain without checks compared by a judge."""

from __future__ import annotations

from pathlib import Path

import pytest

from strategist.models import open as models_open
from strategist.models.adapters.scripted import ScriptedModel
from strategist.models.open import register_adapter
from tests.cli.commands import Cli, write_settings
from tests.fake_openai import FakeOpenAI
from tests.loop.recorded_pack import build_pack, log, student
from tests.loop.unchecked import build_pack as build_unchecked
from tests.loop.unchecked import speak

SETTINGS = """domain = "shop"
[student]
base_url = "http://recorded.test"
outage_s = 0
[teach]
rounds = 1
conversations = 20
scenarios = 20
candidates = 6
dev_personas = 8
[gate]
look = 2
least = 6
most = 14
[retrieval]
embedder = "hashed"
"""
CSV = "conversation,role,content,reward\n1,customer,My order is late.,0\n1,agent,We look into it.,0\n2,customer,hi,1\n2,agent,hello,1\n"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(models_open, "_adapters", dict(models_open._adapters))
    register_adapter("openai", lambda settings: ScriptedModel("test:student", student))
    build_pack(tmp_path / "shop")
    (tmp_path / "log.jsonl").write_text(log(), encoding="utf-8")
    (tmp_path / "log.csv").write_text(CSV, encoding="utf-8")
    return write_settings(tmp_path, SETTINGS)


def test_import_teach_evaluate(cli: Cli, shop: Path) -> None:
    folder = shop.parent
    assert cli("domain", "check", folder / "shop").code == 0
    said = cli("import", folder / "log.jsonl", "-s", shop).out
    assert "log: 60 conversations (" in said
    assert "60 new, 0 changed" in said
    assert "masked: nothing was found" in said
    assert "pass^1 0.333" in said
    assert "note:" not in said
    assert cli("teach", "-q", "-s", shop).code == 0
    shown = cli("evaluate", "-q", "-s", shop, "--arms", "bare,handbook,library", "--seeds", "2", "--personas", "9").out
    assert "library over bare: +" in shown
    assert "n=9 seeds=2" in shown
    opened = cli("evaluate", "-q", "-s", shop, "--arms", "bare,library", "--split", "test").out
    assert "the test split was opened 1 time so far" in opened
    again = cli("evaluate", "-q", "-s", shop, "--arms", "bare,library", "--split", "test", "--resume").out
    assert "the test split was opened 1 time so far" in again
    assert cli("report", "-s", shop).code == 0


def test_other_files_and_mistakes(cli: Cli, shop: Path) -> None:
    folder = shop.parent
    assert "2 conversations can be read" in cli("import", folder / "log.csv", "-s", shop, "--dry").out
    assert "mine: 2 conversations" in cli("import", folder / "log.csv", "-s", shop, "--name", "mine", "--as", "teacher").out
    (folder / "log.txt").write_text("x", encoding="utf-8")
    (folder / "bad.jsonl").write_text("{", encoding="utf-8")
    (folder / "half.jsonl").write_text(log(2, split="half"), encoding="utf-8")
    for args, says in (
        (("log.txt",), "what kind of file is it?"),
        (("none.csv",), "cannot read"),
        (("bad.jsonl",), "bad.jsonl: line 1: not valid JSON"),
        (("half.jsonl",), "half.jsonl: line 1: the split is 'half'"),
        (("log.csv", "--as", "boss"), "--as is 'boss'"),
        (("log.csv", "--map", "x"), "--map 'x' is no mapping"),
    ):
        name, *options = args
        ran = cli("import", folder / name, *options, "-s", shop)
        assert (ran.code, says in ran.err) == (2, True), ran.err


def test_a_pack_with_personas_says_that_nobody_looks(cli: Cli, tmp_path: Path) -> None:
    settings = write_settings(tmp_path, SETTINGS.replace('"shop"', '"parcel"'))
    (tmp_path / "log.csv").write_text(CSV, encoding="utf-8")
    assert 'customers = "recorded"' in cli("import", tmp_path / "log.csv", "-s", settings).out


def test_a_judge_compares_arms(cli: Cli, tmp_path: Path) -> None:
    build_unchecked(tmp_path)
    with FakeOpenAI(speak) as server:
        model = f'base_url = "{server.url}"\nmax_in_flight = 8\n'
        text = SETTINGS.replace('"shop"', '"cakes"').replace('base_url = "http://recorded.test"\n', f'model = "student"\n{model}')
        text = text.replace("conversations = 20", "conversations = 8\nmax_turns = 1")
        for role, name in (("advisor", "teacher"), ("judge", "judge")):
            text += f'[{role}]\nkind = "model"\n[{role}.model]\nmodel = "{name}"\n{model}'
        settings = write_settings(tmp_path, text)
        assert cli("teach", "-q", "-s", settings).code == 0
        shown = cli("evaluate", "-q", "-s", settings, "--arms", "bare,library,teacher", "--personas", "6").out
        assert "bare" in shown
        assert "teacher over bare: +0.50" in shown
        assert "add the arm bare" in cli("evaluate", "-q", "-s", settings, "--arms", "library").err
