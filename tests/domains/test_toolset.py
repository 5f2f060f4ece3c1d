import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategist.domains.domain import Domain, Tool, ToolRefusal
from strategist.domains.persona import Persona, Split
from strategist.domains.toolset import argument_faults, run_tool
from strategist.records.base import JsonObject, canonical
from strategist.records.chat import ToolCall, ToolSpec

SCHEMA: JsonObject = {
    "type": "object",
    "properties": {
        "ref": {"type": "string", "enum": ["A1", "B2"]},
        "days": {"type": "integer"},
        "share": {"type": "number"},
        "note": {"type": ["string", "null"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "where": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
    },
    "required": ["ref"],
}


def never(split: Split, index: int, seed: int) -> Persona:
    raise NotImplementedError


def domain(run: Callable[[JsonObject, JsonObject], str], schema: JsonObject = SCHEMA) -> Domain:
    tool = Tool(ToolSpec(name="hold", description="Hold it.", parameters=schema), run)
    return Domain("d", "D", "en", "", "", (), (tool,), never, {"train": 1, "dev": 1, "test": 1}, ())


def hold(state: JsonObject, arguments: JsonObject) -> str:
    state["held"] = arguments["ref"]
    return f"held; keys {', '.join(state)}"


def call(arguments: str, name: str = "hold") -> ToolCall:
    return ToolCall(id="c1", name=name, arguments=arguments)


def test_a_tool_answers_and_changes_a_copy() -> None:
    state: JsonObject = {"z": {"deep": [1]}, "a": 1}
    text, after = run_tool(domain(hold), state, call('{"ref": "A1"}'))
    assert text == "held; keys a, z, held"
    assert after == {"z": {"deep": [1]}, "a": 1, "held": "A1"}
    assert state == {"z": {"deep": [1]}, "a": 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("{", "error: the arguments are not valid JSON"),
        ('{"ref": 1e999}', "error: the arguments are not valid JSON"),
        ('{"ref": "\\ud800"}', "error: the arguments are not valid JSON"),
        ("[" * 5000, "error: the arguments are not valid JSON"),
        ("[1]", "error: the arguments must be one JSON object"),
        ("", "error: argument 'ref' is missing"),
        ('{"ref": "C3"}', 'error: argument \'ref\' must be one of "A1", "B2"'),
        ('{"ref": 1}', "error: argument 'ref' must be of type string"),
        ('{"ref": "A1", "days": 1.5}', "error: argument 'days' must be of type integer"),
        ('{"ref": "A1", "days": true}', "error: argument 'days' must be of type integer"),
        ('{"ref": "A1", "share": false}', "error: argument 'share' must be of type number"),
        ('{"ref": "A1", "note": 3}', "error: argument 'note' must be of type string or null"),
        ('{"ref": "A1", "tags": ["x", 2]}', "error: argument 'tags'[1] must be of type string"),
        ('{"ref": "A1", "where": {"twon": "Bonn"}}', "error: argument 'where': argument 'town' is missing; argument 'where': there is no"),
        ('{"ref": "A1", "day": 2}', "error: there is no argument 'day'; arguments: ref, days"),
    ],
)
def test_wrong_arguments_are_an_answer(arguments: str, message: str) -> None:
    state: JsonObject = {"a": 1}
    text, after = run_tool(domain(hold), state, call(arguments))
    assert text.startswith(message)
    assert after == {"a": 1}


def test_right_arguments_of_every_type_pass() -> None:
    arguments: JsonObject = {"ref": "B2", "days": 2, "share": 1, "note": None, "tags": ["x"], "where": {"town": "Bonn"}}
    assert list(argument_faults(SCHEMA, arguments)) == []
    assert list(argument_faults({"type": "object", "additionalProperties": True}, {"x": 1})) == []
    assert list(argument_faults({"type": "object", "properties": {"x": {}, "y": {"type": "odd"}}}, {"x": 1, "y": 2})) == []


def test_an_unknown_tool_is_an_answer_that_names_the_tools() -> None:
    assert run_tool(domain(hold), {}, call("{}", "holt")) == ("error: there is no tool 'holt'; tools: hold", {})


def refuse(state: JsonObject, arguments: JsonObject) -> str:
    state["half"] = True
    raise ToolRefusal("Not without a name." if arguments else "")


def crash(state: JsonObject, arguments: JsonObject) -> str:
    state["half"] = True
    return str(state["nothing"])


def leave_a_set(state: JsonObject, arguments: JsonObject) -> str:
    state["half"] = {1}  # type: ignore[assignment]
    return "done"


def say_nothing(state: JsonObject, arguments: JsonObject) -> str:
    state["half"] = True
    return None  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (refuse, "refused"),
        (crash, "error: the tool 'hold' failed (KeyError: 'nothing')"),
        (leave_a_set, "error: the tool 'hold' failed (TypeError: Object of type set is not JSON serializable)"),
        (say_nothing, "error: the tool 'hold' failed (TypeError: it answered NoneType, not text)"),
    ],
)
def test_a_refusal_or_a_broken_tool_leaves_the_state(run: Callable[[JsonObject, JsonObject], str], message: str) -> None:
    state: JsonObject = {"a": 1}
    assert run_tool(domain(run, {"type": "object"}), state, call("{}")) == (message, {"a": 1})


def test_a_refusal_says_why() -> None:
    assert run_tool(domain(refuse), {}, call('{"ref": "A1"}')) == ("Not without a name.", {})


@settings(max_examples=60, deadline=None)
@given(st.one_of(st.text(max_size=20), st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps)))
def test_whatever_the_model_writes_there_is_text_and_the_input_stays(arguments: str) -> None:
    state: JsonObject = {"a": {"b": [1]}}
    before = canonical(state)
    text, after = run_tool(domain(hold), state, call(arguments))
    assert text
    assert canonical(state) == before
    assert after == state or after.get("held") in ("A1", "B2")
