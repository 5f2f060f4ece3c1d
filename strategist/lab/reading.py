"""What the lab's scripted models see of a request: the moment, the guidance block, the fenced parts of a prompt, and their dice.

Text in, records out; pure. Knows no rates. Invariants: everything here depends on roles and texts of the messages only, so a request that
has been over HTTP reads the same; dice depend on the world, the text and the reduced draw, never on a clock or on the order of calls.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from strategist.lab.worlds import Situation, World
from strategist.placement import CLOSE, OPEN, last_user
from strategist.records.base import digest, stable_int
from strategist.records.chat import Message, ModelRequest, Reply, Usage

SEED_RANGE = 2**31
"""Draws are reduced to this range, as the seed field of the HTTP interface is."""

_BLOCK = re.compile(rf"\s*{re.escape(OPEN)}\n(.*)\n{re.escape(CLOSE)}\s*$", re.DOTALL)
_FENCE = re.compile(r"<([a-z0-9_]+)>\n(.*?)\n</\1>", re.DOTALL)
_SPAN = 2**48


class Moment(NamedTuple):
    """What a student has before it: the situation (None: nothing it knows), the lines it was given, the hash of the unguided messages."""

    situation: Situation | None
    lines: tuple[str, ...]
    unguided: str


class Dice(NamedTuple):
    """Uniform numbers by name, all fixed by one text."""

    seed: str

    def uniform(self, name: str) -> float:
        """A number in [0, 1)."""
        return stable_int(self.seed, name) / _SPAN

    def pick(self, name: str, options: Sequence[str]) -> str:
        """One of the options, each equally likely."""
        return options[int(self.uniform(name) * len(options))]


def read_moment(world: World, messages: Sequence[Message]) -> Moment:
    """Read a chat request. The situation is that of the last customer message that shows one; lines come from blocks at the end of the
    system message or of the last user message, and from nowhere else."""
    lines: list[str] = []
    plain: list[Message] = []
    last = last_user(messages)
    for index, message in enumerate(messages):
        block = _BLOCK.search(message.content) if message.role == "system" or index == last else None
        if block is not None:
            lines += [line[2:].strip() for line in block[1].splitlines() if line.startswith("- ")]
        plain.append(message if block is None else message.model_copy(update={"content": message.content[: block.start()]}))
    return Moment(latest_situation(world, [m.content for m in plain if m.role == "user"]), tuple(lines), text_hash(plain))


def latest_situation(world: World, texts: Sequence[str]) -> Situation | None:
    """The situation of the last text that shows one."""
    return next((found for text in reversed(texts) if (found := world.recognise(text)) is not None), None)


def fences(text: str) -> list[tuple[str, str]]:
    """The fenced parts of a prompt in order: (tag, text between the tags)."""
    return [(found[1], found[2]) for found in _FENCE.finditer(text)]


def said_by_customer(transcript: str) -> list[str]:
    """The customer's messages in a transcript of `Speaker: text` lines."""
    return re.findall(r"^Customer: (.*(?:\n    .*)*)", transcript, re.MULTILINE)


def text_hash(messages: Sequence[Message]) -> str:
    """Hash of roles and texts."""
    return digest([[message.role, message.content] for message in messages])


def dice_of(world: World, role: str, request: ModelRequest, draw: int) -> Dice:
    """The dice of one call. At temperature 0 the draw does not matter."""
    number = draw % SEED_RANGE if request.temperature > 0 else 0
    return Dice(digest([world.name, role, text_hash(request.messages), number]))


def finished(request: ModelRequest, text: str) -> Reply:
    """The reply with plausible token counts (4 characters a token), stopped or cut as the request says."""
    for stop in request.stop:
        text = text.split(stop, 1)[0]
    room = 4 * request.max_tokens
    prompt = sum(4 + _tokens(message.content) for message in request.messages)
    usage = Usage(prompt_tokens=prompt, completion_tokens=min(_tokens(text), request.max_tokens))
    return Reply(text=text[:room], finish="length" if len(text) > room else "stop", usage=usage)


def _tokens(text: str) -> int:
    return (len(text) + 3) // 4
