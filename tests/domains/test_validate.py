import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strategist.domains import validate as validate_module
from strategist.domains.validate import Fault, validate_pack

Edit = Callable[[str, str, str], None]
NAMES = ("domain.toml", "brief.md", "personas.jsonl", "checks.py", "tools.py", "state.json")


def told(folder: Path) -> list[str]:
    return [str(fault).removeprefix(f"{folder}{os.sep}") for fault in validate_pack(folder)]


# (file, old, new, what is told)
SINGLE_FAULTS = [
    ("domain.toml", "[splits]", "[splits", "domain.toml:6: error: not valid TOML: "),
    ("domain.toml", "reply_words = 60", "reply_word = 60", "domain.toml:4: error: `reply_word` is not a known key"),
    ("domain.toml", 'name = "bakery"', 'name = "Bakery!"', "domain.toml:1: error: `name`: String should match pattern"),
    ("domain.toml", "dev = 6", "dev = 0", "domain.toml:8: error: `splits.dev`: Input should be greater than or equal to 1 (got 0)"),
    ("domain.toml", "dev = 6\n", "", "domain.toml:6: error: `splits.dev` is missing"),
    ("domain.toml", 'title = "Crumb & Co."\n', "", "domain.toml:1: error: `title` is missing"),
    ("domain.toml", '"B####"', "4", "domain.toml:13: error: `slots.order.pattern`: Input should be a valid string (got 4)"),
    ("domain.toml", '"Thursday", ', '"{weekday}", ', "domain.toml:14: error: the slot `day` uses {weekday}, which is not a slot before it"),
    ("domain.toml", '"en"', '"fr"', "domain.toml:3: error: the language 'fr' is not supported; there are `en` (English), `de` (German)"),
    ("brief.md", "R3. An", "R2. An", "brief.md:7: error: R2 is already used in line 6"),
    ("brief.md", "R2. Before", "R9. Before", "brief.md:7: error: R3 comes after R9: rule numbers ascend"),
    ("brief.md", "R4. Say what happens next, in at most 60 words.", "R4.", "brief.md:8: error: R4 has no text"),
    ("brief.md", "R3. An", "- R3: An", "brief.md:7: error: this looks like a rule but is none: '- R3: An order"),
    ("personas.jsonl", '"split": "dev"', '"split": "test"', "personas.jsonl: error: no usable template for the split 'dev'"),
    (
        "personas.jsonl",
        '["move_order"]',
        '["moves"]',
        "personas.jsonl:1: error: template 'move-party': need 'move' is met by the tool 'moves'",
    ),
    ("personas.jsonl", ', "met_by_tools": ["move_order"]', "", "personas.jsonl:1: warning: template 'move-party': need 'move' can never"),
    ("personas.jsonl", "orders.{order}.cake", "order.{order}", "personas.jsonl:1: error: template 'move-party': the goal's path `order.B"),
    (
        "personas.jsonl",
        "Could {order} wait until {day}? I'm in bed with a fever.",
        "Please move order {order} to {day}.",
        "personas.jsonl:3: warning: template 'move-illness' (dev) opens like 'move-party' (train)",
    ),
    ("checks.py", 'rules=("R4",)', 'rules=("R7",)', "checks.py:35: error: check 'short' names 'R7', which brief.md does not have"),
    ("checks.py", 'rules=("R4",)', 'rules="R4"', "checks.py:35: error: `rules` of the check 'short' must be a tuple of texts, not 'R4'"),
    ("checks.py", 'issues=("move",)', 'issues=("moving",)', "checks.py:22: error: check 'asks_for_the_name' names the issue 'moving'"),
    (
        "checks.py",
        '"short", about',
        '"no_nut_promise", about',
        "checks.py:35: error: the check id 'no_nut_promise' is already used in line 6",
    ),
    ("checks.py", '"short", about', '"Too-long", about', "checks.py:35: error: the check id 'Too-long' is not snake_case"),
    ("checks.py", '"short", about', '"recitation", about', "checks.py:35: error: the check id 'recitation' belongs to the built-in"),
    ("checks.py", "on it first.", "on it" + " first" * 20 + ".", "checks.py:22: error: the advice of 'asks_for_the_name' has 33 words"),
    (
        "checks.py",
        "the name on it first.",
        "\u201cwhat is the name?\u201d",
        "checks.py:22: error: the advice of 'asks_for_the_name' quotes",
    ),
    ("checks.py", "hard=True", "hard=False", "checks.py: warning: no check is hard"),
    ("checks.py", "len(view.reply.split()) <= 60", 'view.reply[0] == "x"', "checks.py:37: error: check 'short' breaks: IndexError"),
    ("checks.py", "len(view.reply.split()) <= 60", "len(view.reply)  # type: ignore", "checks.py:35: error: check 'short' answers int"),
    ("tools.py", "TOOLS = ", "TOOL = ", "tools.py: error: `TOOLS` is missing or is not a tuple of Tool"),
    ("tools.py", '"type": "object"', '"type": "array"', "tools.py:10: error: the parameters of the tool 'move_order' are no JSON schema"),
    ("tools.py", '"day"],', '"date"],', "tools.py:10: error: the tool 'move_order' requires 'date', which is no property of it"),
    ("tools.py", 'arguments["name"]', 'arguments["nam"]', "tools.py:10: warning: the tool 'move_order' breaks on "),
    ("tools.py", "from typing", "import nonsense_here\nfrom typing", "tools.py:3: error: ModuleNotFoundError: No module named"),
]


@pytest.mark.parametrize(("name", "old", "new", "message"), SINGLE_FAULTS)
def test_one_fault_is_told_once_with_file_and_line(bakery: Path, edit: Edit, name: str, old: str, new: str, message: str) -> None:
    edit(name, old, new)
    found = told(bakery)
    assert len(found) == 1, found
    assert found[0].startswith(message)


def test_all_faults_are_collected_in_file_order(bakery: Path, edit: Edit) -> None:
    edit("domain.toml", "[splits]", "colour = 1\n\n[splits]")
    edit("brief.md", "R3. An", "R2. An")
    edit("personas.jsonl", '"id": "nuts-class"', '"id": "Nuts"')
    edit("checks.py", "hard=True", "hard=False")
    (bakery / "state.json").write_text("[]")
    assert [line.split(" ", 1)[0] for line in told(bakery)] == ["brief.md:7:", "checks.py:", "domain.toml:6:", "state.json:1:"]
    edit("domain.toml", "colour = 1\n", "")
    assert [line.split(" ", 1)[0] for line in told(bakery)][-2:] == ["personas.jsonl:2:", "state.json:1:"]


def test_missing_files_are_named(tmp_path: Path) -> None:
    found = validate_pack(tmp_path)
    assert [Path(fault.file).name for fault in found] == ["brief.md", "domain.toml", "personas.jsonl"]  # checks may be left out
    assert {fault.message for fault in found} == {"this file is missing"}
    assert all(fault.hint for fault in found)


def test_no_folder_is_one_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert [fault.message for fault in validate_pack(tmp_path / "none")] == ["there is no such folder"]
    assert [fault.message for fault in validate_pack(tmp_path / "file")] == ["this is no folder; a domain pack is one"]


def test_files_that_are_no_text(bakery: Path) -> None:
    (bakery / "brief.md").write_bytes(b"R1. ok\n\nR2. \xff\n")
    (bakery / "state.json").mkdir()
    assert told(bakery) == ["brief.md:3: error: not UTF-8 text", "state.json: error: cannot be read: Is a directory"]


def test_empty_files(bakery: Path) -> None:
    for name in ("brief.md", "personas.jsonl", "checks.py"):
        (bakery / name).write_text("\n")
    found = told(bakery)
    assert "brief.md: error: the brief has no rules" in found
    assert "checks.py: error: declares no check" in found
    assert "personas.jsonl: error: no usable template for the split 'train'" in found


def test_too_much_advice_is_a_warning(bakery: Path, edit: Edit) -> None:
    edit("checks.py", 'rules=("R4",))', 'rules=("R4",), advice="Be short.")')
    edit("checks.py", "hard=True,", 'hard=True, advice="Never promise.",')
    assert told(bakery) == ["checks.py: warning: 0 of 4 checks have no advice; at least a third should only measure"]


def test_conversation_checks_and_doubled_tools_are_looked_at(bakery: Path, edit: Edit) -> None:
    edit("checks.py", "import TurnView", "import ConversationView, conversation_check, TurnView")
    broken = (
        '@conversation_check("last", about="x")\ndef last(view: ConversationView) -> bool | None:\n    return view.turns[-1].turn > 9\n\n\n'
    )
    edit("checks.py", '@turn_check(\n    "names', broken + '@turn_check(\n    "names')
    assert told(bakery) == ["checks.py:13: error: check 'last' breaks: IndexError: tuple index out of range"]
    with (bakery / "tools.py").open("a") as file:
        file.write('\nTOOLS = (*TOOLS, Tool(ToolSpec(name="move_order", description="", parameters={"type": "object"}), move_order))\n')
        file.write(
            'TOOLS = (*TOOLS, Tool(ToolSpec(name="a b", description="", parameters={"type": "object", "properties": {"x": 1}}), print))\n'
        )
    assert told(bakery) == [
        "tools.py: error: the parameter 'x' of the tool 'a b' is no JSON schema",
        "tools.py: error: the tool name 'a b' is none: letters, digits, `-` and `_`, 64 at most",
        "tools.py:10: error: the tool name 'move_order' stands twice",
    ]


def test_tools_are_tried_with_every_type(bakery: Path) -> None:
    tool = """
from strategist.domains.domain import Tool
from strategist.records.chat import ToolSpec

KINDS = {"s": {"type": "string"}, "i": {"type": "integer"}, "e": {"enum": ["x"]}, "n": {"type": ["null", "string"]}, "o": {"type": "object",
    "properties": {"t": {}}}, "a": {"type": "array"}, "order": {"type": "string"}}


def show(state, arguments):
    assert isinstance(arguments["i"], int) and arguments["order"] != "x", arguments
    return "shown"


PARAMETERS = {"type": "object", "properties": KINDS}
TOOLS = tuple(Tool(ToolSpec(name=name, description="", parameters=PARAMETERS), show) for name in ("move_order", "show"))
"""
    (bakery / "tools.py").write_text(tool)
    found = told(bakery)
    assert [line.split(" breaks", 1)[0] for line in found] == [f"tools.py:9: warning: the tool '{name}'" for name in ("move_order", "show")]
    arguments = '{"a":[],"e":"x","i":1,"n":null,"o":{"t":"x"},"order":"x","s":"x"}'
    assert arguments in found[0]


def test_faults_say_where_and_how_bad() -> None:
    fault = Fault(file="a/b.md", line=3, message="wrong")
    assert str(fault) == "a/b.md:3: error: wrong"
    assert fault.model_copy(update={"line": 0, "severity": "warning"}).where == "a/b.md"


def test_what_nobody_foresaw_is_still_a_fault(bakery: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> None:
        raise RuntimeError("odd")

    monkeypatch.setattr(validate_module, "read_pack", fail)
    assert told(bakery) == [f"{bakery}: error: cannot be checked: RuntimeError: odd"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(NAMES[:3]),
    st.integers(0, 4000),
    st.integers(0, 40),
    st.sampled_from(["", "{", '"', "]", "R1.", "\n", "\x00", "9", "="]),
)
def test_a_damaged_pack_never_raises(bakery: Path, name: str, start: int, length: int, put: str) -> None:
    original = (bakery / name).read_text(encoding="utf-8")
    start %= len(original)
    try:
        (bakery / name).write_text(original[:start] + put + original[start + length :], encoding="utf-8")
        found = validate_pack(bakery)
    finally:
        (bakery / name).write_text(original, encoding="utf-8")
    assert all(fault.message and fault.line <= 45 for fault in found)
    assert not any(fault.message.startswith("cannot be checked") for fault in found)
