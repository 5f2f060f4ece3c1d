"""`strategist try`: every way to paste a conversation, and what is shown of it."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from strategist.cli.try_ import read_conversation
from strategist.errors import SettingsError
from strategist.models.adapters.scripted import ScriptedModel
from strategist.models.open import register_adapter
from strategist.project import open_project
from strategist.records.chat import Message, ModelRequest, Reply, ToolCall
from strategist.settings import load_settings
from tests.cli.commands import EXACT, Cli, write_settings

USER = {"role": "user", "content": "Where is it?"}


def read(text: str | bytes, tmp_path: Path) -> list[tuple[str, str]]:
    path = tmp_path / "talk"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return [(message.role, message.content) for message in read_conversation(path)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Where is it?", [("user", "Where is it?")]),
        ("customer: Where\n  is it?\n\nplease", [("user", "Where\nis it?\nplease")]),
        ("Customer: Hi\nAGENT: Hello!\nuser : Where?", [("user", "Hi"), ("assistant", "Hello!"), ("user", "Where?")]),
        ("assistant: Hello!\ncustomer:\nWhere?", [("assistant", "Hello!"), ("user", "Where?")]),
        ("note: this is all said by the customer", [("user", "note: this is all said by the customer")]),
        (json.dumps([{"role": "system", "content": "Be kind."}, USER]), [("system", "Be kind."), ("user", "Where is it?")]),
        (json.dumps(USER), [("user", "Where is it?")]),
        (json.dumps({"model": "x", "messages": [USER]}), [("user", "Where is it?")]),
        (b"\xef\xbb\xbfcustomer: Wo ist es? \xc3\xa4", [("user", "Wo ist es? ä")]),
    ],
)
def test_a_conversation_is_read_however_it_is_pasted(text: str | bytes, found: list[tuple[str, str]], tmp_path: Path) -> None:
    assert read(text, tmp_path) == found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the conversation is empty"),
        (" \n\n", "the conversation is empty"),
        ("customer: Hi\nagent: Hello", "the last message is not the customer's"),
        ("customer: Hi\ncustomer:", "the customer's last message is empty"),
        ("[{", "not valid JSON"),
        ("[]", "no customer message"),
        ("[1]", r"messages\[0\] is neither a Message nor a dictionary"),
        ('{"role": "boss", "content": "x"}', "role is 'boss'"),
        ('{"messages": 3}', "must be a list"),
        (b"\xff\xfe", "is not UTF-8 text"),
    ],
)
def test_what_is_no_conversation_is_one_clear_error(text: str | bytes, says: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=says) as caught:
        read(text, tmp_path)
    assert caught.value.hint


def test_a_terminal_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Terminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal(io.BytesIO(b"customer: Hi\n")))
    assert read_conversation(None) == (Message(role="user", content="Hi"),)
    assert "Ctrl-D" in capsys.readouterr().err


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[ModelRequest]:
    """The student is a model that notes what it is asked, and answers with words and the call of a tool."""
    asked: list[ModelRequest] = []

    def answer(request: ModelRequest, draw: int) -> Reply:
        asked.append(request)
        return Reply(text="[/red] one moment", tool_calls=(ToolCall(id="1", name="look", arguments='{"order": "[/]"}'),))

    monkeypatch.setattr("strategist.models.open._adapters", {})
    register_adapter("openai", lambda settings: ScriptedModel("noted", answer))
    return asked


def test_the_same_request_is_not_asked_twice_where_nothing_is_placed(cli: Cli, tmp_path: Path, said: list[ModelRequest]) -> None:
    settings = write_settings(tmp_path, EXACT.replace('adapter = "lab"', 'adapter = "openai"'))
    ran = cli("try", "-s", settings, stdin="customer: Where is it?")
    assert ran.code == 0, ran.err
    assert len(said) == 1
    assert "it is the same request: nothing is placed" in ran.out
    assert said[0].messages[0].role == "system"
    assert "(nothing)" in said[0].messages[0].content


def test_the_reply_with_the_library_differs_by_the_lines_alone(cli: Cli, project: Path, said: list[ModelRequest]) -> None:
    text = project.read_text(encoding="utf-8")
    with open_project(load_settings(project)) as opened:
        key = opened.library.entries(("admitted",))[0].keys[0].text
    project.write_text(text.replace('adapter = "lab"', 'adapter = "openai"') + 'index = "exact"\nfloor = 0.5\n', encoding="utf-8")
    talk = json.dumps([{"role": "system", "content": "My own prompt."}, {"role": "user", "content": key}])
    dry = cli("try", "--dry", "-s", project, stdin=talk)
    assert (dry.code, said) == (0, [])
    ran = cli("try", "-s", project, stdin=talk)
    assert ran.code == 0, ran.err
    assert "reply with the library" in ran.out
    assert ran.out.count("[/red] one moment") == 2
    bare, guided = said
    assert bare.messages[0].content == guided.messages[0].content == "My own prompt."
    assert guided.messages[-1].content.startswith(bare.messages[-1].content)
    assert len(guided.messages[-1].content) > len(bare.messages[-1].content)


def test_no_more_hits_are_listed_than_one_can_read(cli: Cli, project: Path) -> None:
    ran = cli("try", "--dry", "-s", project, stdin="the order that the parcel was for")
    assert "entries more" in ran.out
