"""Prompts are files: `prompts/<name>.v<number>.md`, with a version in the name and a hash of the text.

Owns loading, filling and hashing them, and how a conversation is shown inside a prompt (`transcript`, `fenced`). Knows no model. Filling
is strict and takes one pass: a value may hold braces and is never filled again. Text of others stands between tags that it cannot close.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from strategist.records.base import Record, digest
from strategist.records.chat import Message

FOLDER = Path(__file__).parent / "prompts"
SPEAKERS = {"user": "Customer", "assistant": "Agent", "tool": "Tool result"}

_FILE = re.compile(r"(?P<name>[a-z_]+)\.v(?P<version>\d+)\.md")
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_UNSEEN = r"[\s\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]*"
_ANGLES = "<\uff1c\ufe64\u2039\u2329\u27e8\u3008\u300a\u276e\u276c"
_TAG = re.compile(rf"[{_ANGLES}](?={_UNSEEN}[/\u2044\u2215\uff0f]?{_UNSEEN}(?:conversation|chat|reply)|\|)", re.IGNORECASE)


class Prompt(Record):
    """One prompt text. `hash` covers the text as it is in the file."""

    name: str
    version: int
    hash: str
    text: str

    @property
    def placeholders(self) -> frozenset[str]:
        """Names in braces that `render` wants values for."""
        return frozenset(_PLACEHOLDER.findall(self.text))

    def render(self, **values: str) -> str:
        """Fill every placeholder once. Raises ValueError naming what is missing or unknown."""
        given = frozenset(values)
        if given != self.placeholders:
            missing = ", ".join(sorted(self.placeholders - given)) or "nothing"
            unknown = ", ".join(sorted(given - self.placeholders)) or "nothing"
            raise ValueError(f"prompt {self.name}.v{self.version}: missing {missing}; unknown {unknown}")
        return _PLACEHOLDER.sub(lambda match: values[match.group(1)], self.text)


@cache
def load_prompt(name: str) -> Prompt:
    """The newest version of a prompt. Raises ValueError for a name that has no file."""
    versions = {int(found["version"]): path for path, found in _files() if found["name"] == name}
    if not versions:
        known = ", ".join(sorted({found["name"] for _, found in _files()}))
        raise ValueError(f"no prompt named {name!r} in {FOLDER.name}/; there are: {known}")
    version = max(versions)
    text = versions[version].read_text(encoding="utf-8").rstrip("\n")
    return Prompt(name=name, version=version, hash=digest(text, 16), text=text)


def prompt_hashes() -> dict[str, str]:
    """`{"advise.v1": hash, ...}` of the prompts in use, sorted by name: part of what decides a run."""
    names = sorted({found["name"] for _, found in _files()})
    return {f"{prompt.name}.v{prompt.version}": prompt.hash for prompt in map(load_prompt, names)}


def fenced(tag: str, text: str) -> str:
    """The text between `<tag>` and `</tag>` (conversation, chat, reply_...); look-alikes in it, and the marks of chat templates, lose their
    bracket and close nothing."""
    return f"<{tag}>\n{_TAG.sub('&lt;', text)}\n</{tag}>"


def transcript(messages: Sequence[Message], *, tools: bool = True) -> str:
    """The conversation as lines `Speaker: text`, without the system message; later lines of one message are indented.

    `tools=False` leaves out tool results: it is then what the customer sees."""
    lines = []
    for message in messages:
        if message.role == "system" or not message.content.strip() or (message.role == "tool" and not tools):
            continue
        body = "\n    ".join(message.content.strip().splitlines())
        lines.append(f"{SPEAKERS[message.role]}: {body}")
    return "\n".join(lines)


def _files() -> list[tuple[Path, re.Match[str]]]:
    return [(path, found) for path in sorted(FOLDER.iterdir()) if (found := _FILE.fullmatch(path.name))]
