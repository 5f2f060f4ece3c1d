"""Files of recorded conversations -> plain conversations: OpenAI-style messages as JSON lines, or a CSV of turns.

Owns the two formats, the mapping of a file's own names to ours, and where a fault is. Knows no domain, masks nothing, keeps nothing. Ids of
tool calls are not trusted: logs repeat them, so a result belongs to the call before it.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, cast, get_args

from pydantic import JsonValue

from strategist.errors import StrategistError
from strategist.records.chat import Message, Speaker, ToolCall

Field = Literal["id", "messages", "reward", "group", "split", "issue", "customer", "time", "role", "content"]
FIELDS: tuple[Field, ...] = get_args(Field)
USUAL: dict[Field, tuple[str, ...]] = {
    "id": ("id", "conversation_id", "conversation"),
    "messages": ("messages",),
    "reward": ("reward", "score"),
    "group": ("group",),
    "split": ("split",),
    "issue": ("issue", "intent", "topic"),
    "customer": ("customer", "customer_id"),
    "time": ("time", "timestamp", "created_at", "date"),
    "role": ("role", "speaker"),
    "content": ("content", "text", "message"),
}
"""Names that are understood without a mapping. Dots lead into objects."""
ROLES: dict[str, Speaker] = {
    "user": "user", "customer": "user", "client": "user", "visitor": "user", "human": "user",
    "assistant": "assistant", "agent": "assistant", "bot": "assistant", "support": "assistant", "ai": "assistant",
    "tool": "tool", "function": "tool", "system": "system", "developer": "system",
}  # fmt: skip


class Conversation(NamedTuple):
    """One conversation of a file. `reward` in [0, 1]; `group` names what belongs together (a customer, a task): independent units are
    groups. Empty texts are unknown. `line` is where it stands."""

    id: str
    messages: tuple[Message, ...]
    reward: float | None
    group: str
    split: str
    issue: str
    customer: str
    time: str
    line: int


class Names(NamedTuple):
    """How a file names things: field -> its name there, and words for roles beyond the usual ones."""

    fields: Mapping[Field, str]
    roles: Mapping[str, Speaker]


def read_names(given: Iterable[str]) -> Names:
    """From `reward=outcome.score` and `role.visitor=user`. Raises StrategistError."""
    fields: dict[Field, str] = {}
    roles = dict(ROLES)
    for text in given:
        name, equals, value = text.partition("=")
        kind, dot, word = name.partition(".")
        if kind == "role" and dot and equals and value in get_args(Speaker):
            roles[word.lower()] = cast(Speaker, value)
        elif equals and value and name in FIELDS:
            fields[name] = value
        else:
            hint = f"write FIELD=NAME with one of {', '.join(FIELDS)}, such as group=task_id; or role.visitor=user"
            raise StrategistError(f"--map {text!r} is no mapping", hint=hint)
    return Names(fields, roles)


def read_json_lines(text: str, names: Names) -> list[Conversation]:
    """One conversation a line, or one JSON list of them. Raises StrategistError naming the line."""
    found = []
    for line, value in _objects(text):
        if not isinstance(value, dict):
            raise _fault(line, f"not an object but {type(value).__name__}", "each line is one conversation with its messages")
        found.append(_conversation(value, line, names))
    return _unique(found)


def read_csv(text: str, names: Names) -> list[Conversation]:
    """One turn a row, with a conversation's rows in their order. Raises StrategistError naming the line."""
    reader = csv.DictReader(io.StringIO(text, newline=""))
    rows: dict[str, list[tuple[int, dict[str, JsonValue]]]] = {}
    for row in reader:
        plain: dict[str, JsonValue] = {name: value for name, value in row.items() if name is not None}
        name = _text(plain, "id", names)
        if not name:
            raise _fault(
                reader.line_num, "no conversation is named", "a column `conversation` says which one a row belongs to (--map id=...)"
            )
        rows.setdefault(name, []).append((reader.line_num, plain))
    found = []
    for name, turns in rows.items():
        messages: list[JsonValue] = [{_name(part, names, {}): _value(row, part, names) for part in ("role", "content")} for _, row in turns]
        line, first = turns[0]
        last = {key: value for _, row in turns for key, value in row.items() if value}  # a reward may stand in the last row only
        found.append(_conversation({**first, **last, _name("messages", names, {}): messages, _name("id", names, first): name}, line, names))
    return _unique(found)


def _objects(text: str) -> Iterator[tuple[int, JsonValue]]:
    if text.lstrip().startswith("["):
        try:
            whole = json.loads(text)
        except json.JSONDecodeError as error:
            raise _fault(error.lineno, f"not valid JSON: {error.msg}", "give JSON lines, or one list") from None
        yield from ((1, value) for value in whole)
        return
    for line, content in enumerate(text.split("\n"), start=1):
        if content.strip():
            try:
                yield line, json.loads(content)
            except json.JSONDecodeError as error:
                raise _fault(line, f"not valid JSON: {error.msg}", "each line is one conversation as a JSON object") from None


def _conversation(value: Mapping[str, JsonValue], line: int, names: Names) -> Conversation:
    messages = _value(value, "messages", names)
    if not isinstance(messages, list) or not messages:
        raise _fault(line, "there are no messages", "they stand in `messages`, or name their place with --map messages=...")
    name = _text(value, "id", names) or f"line-{line}"
    return Conversation(
        id=name,
        messages=_messages(messages, line, names),
        reward=_reward(_value(value, "reward", names), line),
        group=_text(value, "group", names) or _text(value, "customer", names) or name,
        split=_text(value, "split", names),
        issue=_text(value, "issue", names),
        customer=_text(value, "customer", names),
        time=_text(value, "time", names),
        line=line,
    )


def _messages(values: Sequence[JsonValue], line: int, names: Names) -> tuple[Message, ...]:
    """Messages without those of the system; calls get ids of their own, and results take them in order."""
    out: list[Message] = []
    open_calls: list[str] = []
    for number, value in enumerate(values):
        if not isinstance(value, dict):
            raise _fault(line, f"message {number + 1} is not an object", 'it needs "role" and "content"')
        word = str(_value(value, "role", names) or "").strip().lower()
        role = names.roles.get(word)
        if role is None:
            raise _fault(line, f"message {number + 1} has the role {word!r}", f"say whose it is with --map role.{word or 'NAME'}=user")
        content = _content(_value(value, "content", names))
        if role == "tool":
            call = open_calls.pop(0) if open_calls else f"call_{number}"
            out.append(Message(role="tool", content=content, tool_call_id=call))
        elif role != "system":
            calls = _calls(value.get("tool_calls"), number) if role == "assistant" else ()
            open_calls += [call.id for call in calls]
            out.append(Message(role=role, content=content, tool_calls=calls))
    return tuple(out)


def _calls(value: JsonValue, number: int) -> tuple[ToolCall, ...]:
    found = []
    for place, call in enumerate(value if isinstance(value, list) else ()):
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            given = function.get("arguments", "{}")
            arguments = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
            found.append(ToolCall(id=f"call_{number}_{place}", name=str(function.get("name", "")), arguments=arguments))
    return tuple(found)


def _content(value: JsonValue) -> str:
    if isinstance(value, list):
        return "\n".join(str(part["text"]) for part in value if isinstance(part, dict) and isinstance(part.get("text"), str))
    return value if isinstance(value, str) else ""


def _reward(value: JsonValue, line: int) -> float | None:
    if value is None or value == "":
        return None
    try:
        reward = float(cast(str, value))
    except (TypeError, ValueError):
        reward = -1.0
    if not 0 <= reward <= 1:
        raise _fault(line, f"the reward is {value!r}", "it must be a number from 0 (failed) to 1 (solved)")
    return reward


def _name(field: Field, names: Names, value: Mapping[str, JsonValue]) -> str:
    """The name that a file gives a field: the mapped one, else the usual one that is there."""
    return names.fields.get(field) or next((name for name in USUAL[field] if name in value), USUAL[field][0])


def _value(value: Mapping[str, JsonValue], field: Field, names: Names) -> JsonValue:
    name = _name(field, names, value)
    if name in value:
        return value[name]
    here: JsonValue = dict(value)
    for part in name.split("."):
        here = here.get(part) if isinstance(here, dict) else None
    return here


def _text(value: Mapping[str, JsonValue], field: Field, names: Names) -> str:
    found = _value(value, field, names)
    return "" if found is None or isinstance(found, dict | list) else str(found).strip()


def _unique(found: list[Conversation]) -> list[Conversation]:
    lines: dict[str, int] = {}
    for one in found:
        if one.id in lines:
            raise _fault(one.line, f"the id {one.id!r} stands in line {lines[one.id]} already", "every conversation needs its own id")
        lines[one.id] = one.line
    if not found:
        raise StrategistError("the file holds no conversation")
    return found


def _fault(line: int, message: str, hint: str) -> StrategistError:
    return StrategistError(f"line {line}: {message}", hint=hint)
