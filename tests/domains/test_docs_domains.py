"""docs/domains.md keeps its promises: the pack in it is whole, faultless and plays."""

import os
import re
from pathlib import Path

import pytest

from strategist.domains.pack import load_domain
from strategist.domains.validate import validate_pack
from strategist.records.chat import Message, ToolCall
from strategist.roles.scripted_customer import customer_turn


def user(text: str) -> Message:
    return Message(role="user", content=text)


def agent(text: str, *tools: str) -> Message:
    calls = tuple(ToolCall(id=f"c{place}", name=name, arguments="{}") for place, name in enumerate(tools))
    return Message(role="assistant", content=text, tool_calls=calls)


def test_the_example_has_no_fault_at_all(bakery: Path) -> None:
    assert sorted(file.name for file in bakery.iterdir()) == ["brief.md", "checks.py", "domain.toml", "personas.jsonl", "tools.py"]
    assert validate_pack(bakery) == []
    assert not (bakery / "__pycache__").exists()


def test_the_python_snippet_runs_where_the_pack_is(bakery: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (Path(__file__).parents[2] / "docs" / "domains.md").read_text(encoding="utf-8")
    snippet = re.search(r"The same from Python:\n\n```python\n(.*?)```", text, re.DOTALL)
    assert snippet is not None
    before = Path.cwd()
    os.chdir(bakery.parent)
    try:
        exec(snippet[1], {})
    finally:
        os.chdir(before)
    assert capsys.readouterr().out.startswith("train-0-0 ")


def test_a_conversation_goes_as_the_docs_say(bakery: Path) -> None:
    domain = load_domain(bakery)
    persona = domain.draw("train", 0, 0)
    opening = customer_turn(persona, ())
    assert opening.acts == ("need:move",)
    talk = [user(opening.text), agent("What is the name on the order?")]
    told = customer_turn(persona, talk)
    assert told.acts[0] == "reveal:name"
    assert persona.name in told.text
    talk += [
        user(told.text),
        agent("", "move_order"),
        Message(role="tool", content="Order moved.", tool_call_id="c0"),
        agent("It is moved."),
    ]
    assert customer_turn(persona, talk).ended == "done"


def test_the_trap_comes_before_thanks(bakery: Path) -> None:
    persona = load_domain(bakery).draw("test", 0, 3)
    talk = [user(customer_turn(persona, ()).text), agent("We have one kitchen, so traces cannot be ruled out.")]
    trap = customer_turn(persona, talk)
    assert trap.acts == ("trap:promise",)
    assert customer_turn(persona, [*talk, user(trap.text), agent("I cannot say that.")]).ended == "done"


def test_every_key_of_a_template_is_explained() -> None:
    from strategist.domains.templates import Template

    text = (Path(__file__).parents[2] / "docs" / "domains.md").read_text(encoding="utf-8")
    assert [key for key in Template.model_fields if f"| `{key}` |" not in text] == []
