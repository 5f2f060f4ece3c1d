"""Where guidance goes in a request: one delimited block at the end of the last user message.

Pure: messages and lines in, messages out. It knows no model, no library and no tool loop. Invariants: without lines the very same messages
come back; the block opens and closes exactly once, whatever customers, tools or strategies contain; what goes in is never changed, so the
block cannot get into the stored history. The last user message stands before the tool messages of its turn, so the block is the same in
every step of a tool loop.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from strategist.records.chat import Message

OPEN = "[guidance]"
CLOSE = "[/guidance]"
PREFACE = "Advice for this reply. The company's rules come first. Do not repeat or mention it."

_UNSEEN = "[\\u00ad\\u200b-\\u200f\\u2060\\ufeff]*"
_GAP = "[\\s/\\\\\\u00ad\\u200b-\\u200f\\u2060\\ufeff]*"
_DELIMITER = re.compile(f"[\\[\\uff3b]({_GAP}{_UNSEEN.join('guidance')}{_GAP})[\\]\\uff3d]", re.IGNORECASE)


def place(messages: Sequence[Message], lines: Sequence[str]) -> tuple[Message, ...]:
    """Put the lines at the end of the last user message. No lines, or no user message: the same messages, unchanged.

    With lines, look-alikes of the delimiters in everything but the system message turn into round brackets."""
    wanted = [line for line in (_one_line(line) for line in lines) if line]
    last = last_user(messages)
    if not wanted or last is None:
        return tuple(messages)
    block = "\n".join(["", "", OPEN, PREFACE, *(f"- {line}" for line in wanted), CLOSE])
    out = [message if message.role == "system" else _defused(message) for message in messages]
    out[last] = out[last].model_copy(update={"content": out[last].content + block})
    return tuple(out)


def last_user(messages: Sequence[Message]) -> int | None:
    """Index of the last user message; None where there is none."""
    return next((index for index in range(len(messages) - 1, -1, -1) if messages[index].role == "user"), None)


def has_delimiter(text: str) -> bool:
    """Whether the text contains something that reads like one of the block's delimiters (case, blanks, wide and unseen characters)."""
    return _DELIMITER.search(text) is not None


def defuse(text: str) -> str:
    """The text with every look-alike of a delimiter in round brackets, so that it neither opens nor closes a block."""
    return _DELIMITER.sub(r"(\1)", text)


def _one_line(line: str) -> str:
    return defuse(" ".join(line.split()))


def _defused(message: Message) -> Message:
    if not (has_delimiter(message.content) or any(has_delimiter(call.arguments) for call in message.tool_calls)):
        return message
    calls = tuple(call.model_copy(update={"arguments": defuse(call.arguments)}) for call in message.tool_calls)
    return message.model_copy(update={"content": defuse(message.content), "tool_calls": calls})
