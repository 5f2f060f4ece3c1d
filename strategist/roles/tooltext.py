"""Tools as plain text, for models without native tool calls: describe them, read calls out of a reply, show what tools said.

Pure text work; knows no model and no domain state. What a tool said is shown as a note under the customer's message, and the call itself
not at all: a small model that sees calls and results as messages of their own takes the results for the customer's words. Invariants:
`parse` never raises, whatever a model writes; ids of calls depend on what was written only; `render` changes nothing in a conversation in
which no tool was used and nobody writes like a note or a call. The words that begin a note are cut off where a model made them up, and
taken out of what customers write and tools say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Container, Sequence
from typing import NamedTuple

from pydantic import JsonValue

from strategist.records.base import JsonObject, digest
from strategist.records.chat import Message, ToolCall, ToolSpec
from strategist.roles.prompts import load_prompt

DESK = "Your desk, not the customer: "
"""How a note begins, after its bracket."""
STOPS = ("\n(Your desk",)
"""Stop texts for requests in this style: what follows would be a made-up note."""
USED_UP = f"({DESK}no more tools in this turn. Reply to the customer now.)"
"""Answer to a call when no more tools may be used, and to a reply without a word for the customer."""
NO_CALL = "TOOL: none"

_LEAD = r"^[ \t>*`(\d.-]*TOOL"
_START = re.compile(
    rf"(?P<line>(?:{_LEAD}|(?<=[ \t])(?-i:TOOL))[*` \t]*:[*` \t]*(?P<name>[A-Za-z_][\w.-]*)[*`]*[ \t]*)"
    r"|(?P<tag><tool_call>\s*(?=\{))"
    r"|(?P<fence>```[A-Za-z_]*\s*(?=\{))",
    re.MULTILINE | re.IGNORECASE,
)
_PROSE = re.compile(r"\W*[Tt]ool\b")
_STRAY = re.compile(rf"{_LEAD}[*` \t]*:.*$", re.MULTILINE)
_TAIL = re.compile(r"[ \t]*[)`*]*[ \t]*(?=\n|$)")
_CLOSE = re.compile(r"\s*(</tool_call>|```)", re.IGNORECASE)
_NOTE = re.compile(r"(?P<before>[ \t>*`(\[]*)your\W+desk\W+not\W+the\W+customer", re.IGNORECASE)
_LIKE_A_CALL = re.compile(r"^(?=[ \t>*`(-]*TOOL[*` \t]*:)", re.MULTILINE | re.IGNORECASE)
_PAIR = re.compile(
    r"""["']?(?P<key>[A-Za-z_]\w*)["']?\s*[:=]\s*"""
    r"""(?P<value>"(?:[^"\\]|\\.)*"|'[^']*'|[^\s"'][^,;(){}"']*?(?=\s*[,;]|\s+["']?[A-Za-z_]\w*["']?\s*[:=]|\s*$))[\s,;]*"""
)
_NOW = "Reply to the customer now."


class _Found(NamedTuple):
    start: int
    end: int
    name: str
    arguments: str


def describe(tools: Sequence[ToolSpec]) -> str:
    """The tools for the system message, with the form of a call. Empty without tools."""
    return load_prompt("tools").render(tools="\n".join(map(_describe_one, tools))) if tools else ""


def parse(text: str, names: Container[str]) -> tuple[str, tuple[ToolCall, ...]]:
    """Split a reply into what the customer reads and the calls of tools of these names in it, in order.

    Reads lines `TOOL: name {json}`, a JSON object with name and arguments in a code fence or in `<tool_call>` tags, and a reply that is
    nothing but such an object. Small models often write `TOOL: name key: "value"`: pairs become JSON. Arguments that are neither are kept
    as written: the tool answers that. A note that the model made up is cut off with all that rests on it, and so are calls of anything else
    (`TOOL: none`). Other text comes back as it is.
    """
    made_up = _NOTE.search(text)
    seen = text[: made_up.start()] if made_up else text
    found = [call for call in _calls(seen) or _bare(seen) if call.name in names or not _PROSE.match(seen, call.start)]
    if not found and not made_up and not _STRAY.search(seen):
        return text, ()
    pieces, at = [], 0
    for call in found:
        pieces.append(seen[at : call.start])
        at = call.end
    told = _STRAY.sub("", "".join([*pieces, seen[at:]]))
    rest = re.sub(r"\n{3,}", "\n\n", told).strip()
    real = [call for call in found if call.name in names]
    return rest, tuple(_call(index, call) for index, call in enumerate(real))


def write(call: ToolCall) -> str:
    """The line that `parse` reads as this call."""
    return f"TOOL: {call.name} {call.arguments}"


def render(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Show tool loops as notes at the end of the customer's message, for models that know no tool messages.

    To be used before placement: the block then stands behind the notes."""
    out: list[Message] = []
    names: dict[str, str] = {}
    for message in messages:
        if message.role == "tool":
            _add_note(out, f"you used {names.get(message.tool_call_id or '', 'a tool')}, and it says: {message.content} {_NOW}")
        elif message.tool_calls:
            names.update({call.id: call.name for call in message.tool_calls})
            if message.content.strip():
                _add_note(out, f"you have already written: {message.content}")
        else:
            out.append(_quoted(message))
    return tuple(out)


def refuse(sent: Sequence[Message], said: str) -> tuple[Message, ...]:
    """The messages as they were sent, with what the agent said, and the answer that there are no more tools."""
    return (*sent, Message(role="assistant", content=said), Message(role="user", content=USED_UP))


def _add_note(out: list[Message], told: str) -> None:
    note = f"({DESK}{_claimed(' '.join(told.split()))})"
    if out and out[-1].role == "user":
        out[-1] = out[-1].model_copy(update={"content": f"{out[-1].content}\n\n{note}"})
    else:  # a loop that no customer began
        out.append(Message(role="user", content=note))


def _quoted(message: Message) -> Message:
    """A customer's message in which nothing reads like a note or a call; any other message as it is."""
    if message.role != "user":
        return message
    text = _LIKE_A_CALL.sub('" ', _claimed(message.content))
    return message if text == message.content else message.model_copy(update={"content": text})


def _claimed(text: str) -> str:
    return _NOTE.sub(r"\g<before>somebody claims", text)


def _calls(text: str) -> list[_Found]:
    found: list[_Found] = []
    at = 0
    while (start := _START.search(text, at)) is not None:
        call = _line_call(text, start) if start["line"] else _object_call(text, start.start(), start.end())
        at = call.end if call else start.end()
        if call:
            found.append(call)
    return found


def _bare(text: str) -> list[_Found]:
    """A reply that is nothing but one JSON object naming a tool."""
    start = len(text) - len(text.lstrip())
    call = _object_call(text, start, start) if text.startswith("{", start) else None
    return [call] if call and not text[call.end :].strip() else []


def _line_call(text: str, start: re.Match[str]) -> _Found:
    at = start.end()
    opened = re.compile(r"\(?\s*(?=\{)").match(text, at)
    if opened:
        value, end = _object_at(text, opened.end())
        if value is not None:
            tail = _TAIL.match(text, end)
            return _Found(start.start(), tail.end() if tail else end, start["name"], text[opened.end() : end])
        end = text.find("\n\n", at)
    else:
        end = text.find("\n", at)
    end = len(text) if end < 0 else end
    line, _, _ = text[at:end].partition("\n")
    pairs = _pairs(line)
    if pairs is not None:
        return _Found(start.start(), at + len(line), start["name"], pairs)
    return _Found(start.start(), end, start["name"], text[at:end].strip().strip("()`*").strip())


def _pairs(text: str) -> str | None:
    """Arguments that are no JSON but plainly pairs (`id: "P1", full=True`), as JSON; None for anything else.

    What a model makes up behind the closing bracket is dropped."""
    text = text.strip().lstrip("({`*").rstrip("(){}`*").strip()
    found: JsonObject = {}
    at = 0
    while at < len(text):
        pair = _PAIR.match(text, at)
        if pair is None:
            if found and text[at:].lstrip().startswith(")"):
                break
            return None
        found[pair["key"]] = _value(pair["value"])
        at = pair.end()
    return json.dumps(found, ensure_ascii=False)


def _value(written: str) -> JsonValue:
    """A quoted text, a number, true, false or null; anything else is the text as it stands."""
    if written.startswith("'"):
        return written[1:-1]
    try:
        value: JsonValue = json.loads(written.lower() if written in ("True", "False") else written, strict=False)
    except (ValueError, RecursionError):
        return written.strip('"')
    return value


def _object_call(text: str, start: int, at: int) -> _Found | None:
    value, end = _object_at(text, at)
    if value is None:
        return None
    name, arguments = value.get("name"), value.get("arguments", value.get("parameters"))
    if not isinstance(name, str) or not name or not isinstance(arguments, dict | str):
        return None
    closed = _CLOSE.match(text, end)
    written = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return _Found(start, closed.end() if closed else end, name, written)


def _object_at(text: str, at: int) -> tuple[JsonObject | None, int]:
    try:
        value, end = json.JSONDecoder().raw_decode(text, at)
    except (ValueError, RecursionError):
        return None, at
    return (value, end) if isinstance(value, dict) else (None, at)


def _call(index: int, found: _Found) -> ToolCall:
    return ToolCall(id=f"call_{digest([index, found.name, found.arguments], 12)}", name=found.name, arguments=found.arguments)


def _describe_one(tool: ToolSpec) -> str:
    """Name, arguments in the braces in which they are to be written (models copy what they see here), description."""
    properties, required = tool.parameters.get("properties"), tool.parameters.get("required")
    fields = properties if isinstance(properties, dict) else {}
    needed = required if isinstance(required, list) else []
    arguments = ", ".join(f'"{name}": {_kind(schema)}{"" if name in needed else ", optional"}' for name, schema in fields.items())
    return f"- {tool.name} {{{arguments}}}: {tool.description}"


def _kind(schema: object) -> str:
    """How a parameter is shown: its choices, else its type, with its description in brackets."""
    if not isinstance(schema, dict):
        return "any"
    choices = schema.get("enum")
    kind = " or ".join(map(json.dumps, choices)) if isinstance(choices, list) else str(schema.get("type", "any"))
    about = schema.get("description")
    return f"{kind} ({about})" if about else kind
