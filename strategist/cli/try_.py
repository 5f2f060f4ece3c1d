"""`strategist try`: paste a conversation, see what is retrieved and why, and the reply with and without it."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from rich.text import Text

from strategist.agent import AnyMessage, as_messages, desk_message
from strategist.cli.console import block, err, grid, out, say
from strategist.cli.files import decode, read_text
from strategist.errors import SettingsError, StrategistError
from strategist.project import Project, open_project
from strategist.records.chat import Message
from strategist.records.library import Guidance, GuidanceReason
from strategist.retrieval.retriever import Explanation
from strategist.settings import load_settings

SPEAKERS = {"customer": "user", "user": "user", "agent": "assistant", "assistant": "assistant"}
SHAPE = "write lines such as `customer: Where is my parcel?`, or a JSON list of messages"
SHOWN = 8

WHY: dict[GuidanceReason, str] = {
    "matched": "entries for this moment",
    "global": "company-wide lines only: no entry fits this moment",
    "weak": "no entry scores above the floor",
    "control": "an entry that stands for `nothing needed` comes first",
    "empty": "the library has no entry that may serve",
    "fixed": "given lines",
    "off": "no library",
}


def run(path: Path, conversation: Path | None, *, dry: bool) -> None:
    """The command."""
    with open_project(load_settings(path)) as project:
        messages = read_conversation(conversation)
        if messages[0].role != "system":
            messages = (desk_message(project.domain, tool_style=project.settings.student.tool_style), *messages)
        asyncio.run(_try(project, messages, dry=dry))


async def _try(project: Project, messages: tuple[Message, ...], *, dry: bool) -> None:
    found = await explain(project, messages)
    if dry:
        return
    try:
        agent = project.agent()
        bare = await agent.reply(messages, purpose="try", guidance=Guidance(reason="off"))
        block("reply without", _shown(bare.message), "dim")
        if not found.guidance.lines:
            say("with the library it is the same request: nothing is placed")
            return
        guided = await agent.reply(messages, purpose="try", guidance=found.guidance)
        block("reply with the library", _shown(guided.message), "green")
    finally:
        await project.close_models()


async def explain(project: Project, messages: Sequence[Message]) -> Explanation:
    """Print what a conversation retrieves: the key, the entries in order with their scores, and the lines that are placed."""
    retriever = await project.live().retriever()
    if project.index_notice:
        say(project.index_notice, "yellow", to=err)
    found = await retriever.explain(messages)
    out.print(Text.assemble(("key ", "dim"), found.key))
    chosen = {hit.entry.ref for hit in found.chosen}
    if found.hits:
        out.print(Text.assemble(("retrieved", "bold"), f" (floor {'none' if found.floor is None else f'{found.floor:.3f}'})"))
        table = grid("", "entry", "score", "bm25", "first line", right=("score", "bm25"), wrap="first line")
        for hit in found.hits[:SHOWN]:
            first = hit.entry.strategies[0].text if hit.entry.strategies else "(nothing needed)"
            mark = "*" if hit.entry.ref in chosen else ""
            table.add_row(mark, hit.entry.ref, f"{hit.score:.3f}", f"{hit.bm25:.2f}", Text(first))
        out.print(table)
        if len(found.hits) > SHOWN:
            say(f"... and {len(found.hits) - SHOWN} entries more", "dim")
    why = WHY[found.guidance.reason]
    lines = "\n".join(f"- {line}" for line in found.guidance.lines) or "(nothing is placed)"
    block(f"guidance: {why}", lines, "blue")
    return found


def read_conversation(path: Path | None) -> tuple[Message, ...]:
    """Read JSON messages or `customer:` / `agent:` lines; the last message must be the customer's. Raises SettingsError."""
    if path is None and sys.stdin.isatty():
        say("paste the conversation (lines 'customer: ...' and 'agent: ...'), then Ctrl-D on a line of its own", to=err)
    text = decode(sys.stdin.buffer.read(), "standard input") if path is None else read_text(path)
    messages = _json(text) if text.lstrip().startswith(("[", "{")) else _lines(text)
    if messages[-1].role != "user":
        raise SettingsError("the last message is not the customer's", hint="the agent answers a customer's message: end with one")
    if not messages[-1].content.strip():
        raise SettingsError("the customer's last message is empty", hint=SHAPE)
    return messages


def _json(text: str) -> tuple[Message, ...]:
    """A list of messages, one message, or a request body with `messages`."""
    try:
        plain: object = json.loads(text)
    except json.JSONDecodeError as error:
        raise SettingsError(f"the conversation is not valid JSON: {error}", hint=SHAPE) from None
    if isinstance(plain, dict):
        plain = plain.get("messages", [plain])
    try:
        return as_messages(cast("list[AnyMessage]", plain))
    except StrategistError as error:
        raise SettingsError(error.message, hint=error.hint or SHAPE) from None


def _lines(text: str) -> tuple[Message, ...]:
    messages: list[Message] = []
    for line in text.splitlines():
        found = re.match(r"\s*(customer|user|agent|assistant)\s*:\s*(.*)", line, re.IGNORECASE)
        if found:
            messages.append(Message.model_validate({"role": SPEAKERS[found[1].lower()], "content": found[2].strip()}))
        elif line.strip() and messages:
            messages[-1] = messages[-1].model_copy(update={"content": f"{messages[-1].content}\n{line.strip()}".strip()})
        elif line.strip():
            messages.append(Message(role="user", content=line.strip()))
    if not messages:
        raise SettingsError("the conversation is empty", hint=SHAPE)
    return tuple(messages)


def _shown(message: Message) -> str:
    calls = "\n".join(f"[calls {call.name} {call.arguments}]" for call in message.tool_calls)
    return "\n".join(part for part in (message.content, calls) if part)
