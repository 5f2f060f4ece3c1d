"""`strategist try`: paste a conversation, see what is retrieved and why, and the reply with and without it."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import cast

from rich.panel import Panel
from rich.table import Table

from strategist.agent import AnyMessage, as_messages
from strategist.cli.console import err, out
from strategist.errors import SettingsError
from strategist.project import Project, open_project
from strategist.records.chat import Message
from strategist.records.library import Guidance
from strategist.retrieval.retriever import Explanation
from strategist.roles.prompts import load_prompt
from strategist.settings import load_settings

SPEAKERS = {"customer": "user", "user": "user", "agent": "assistant", "assistant": "assistant"}


def run(path: Path, conversation: Path | None, *, dry: bool) -> None:
    """The command."""
    with open_project(load_settings(path)) as project:
        messages = with_system(project, read_conversation(conversation))
        asyncio.run(_try(project, messages, dry=dry))


async def _try(project: Project, messages: tuple[Message, ...], *, dry: bool) -> None:
    retriever = await project.live().retriever()
    print_explanation(await retriever.explain(messages))
    if dry:
        return
    try:
        agent = project.agent()
        guided = await agent.reply(messages, purpose="try")
        bare = await agent.reply(messages, purpose="try", guidance=Guidance(reason="off"))
        out.print(Panel(_shown(bare.message), title="without", border_style="dim"))
        out.print(Panel(_shown(guided.message), title=f"with the library ({guided.guidance.reason})", border_style="green"))
    finally:
        await project.close_models()


def print_explanation(found: Explanation) -> None:
    """The key, the entries in order with their scores, and the lines that are placed."""
    out.print(f"[dim]key[/dim] {found.key}", highlight=False)
    floor = "none" if found.floor is None else f"{found.floor:.3f}"
    chosen = {hit.entry.ref for hit in found.chosen}
    table = Table(box=None, header_style="bold", title=f"retrieved (floor {floor})", title_justify="left")
    for column in ("", "entry", "score", "bm25", "first line"):
        table.add_column(column)
    for hit in found.hits[:8]:
        first = hit.entry.strategies[0].text if hit.entry.strategies else "(nothing needed)"
        table.add_row("✓" if hit.entry.ref in chosen else "", hit.entry.ref, f"{hit.score:.3f}", f"{hit.bm25:.2f}", first)
    out.print(table)
    lines = "\n".join(f"- {line}" for line in found.guidance.lines) or f"(nothing is placed: {found.guidance.reason})"
    out.print(Panel(lines, title="guidance", border_style="blue"))


def with_system(project: Project, messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The conversation under the domain's system message, unless it has one."""
    if messages[0].role == "system":
        return messages
    domain = project.domain
    prompt = load_prompt("agent").render(
        title=domain.title, brief=domain.brief.strip(), words=str(domain.reply_words), tools="", screen="(nothing)"
    )
    return (Message(role="system", content=prompt), *messages)


def read_conversation(path: Path | None) -> tuple[Message, ...]:
    """Read JSON messages or `customer:` / `agent:` lines; the last message must be the customer's."""
    if path is None and sys.stdin.isatty():
        err.print("paste the conversation (lines 'customer: ...' and 'agent: ...'), then Ctrl-D")
    try:
        text = sys.stdin.read() if path is None else path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from None
    messages = _json(text) if text.lstrip().startswith("[") else _lines(text)
    if messages[-1].role != "user":
        raise SettingsError("the last message is not the customer's", hint="the agent answers a customer message")
    return messages


def _json(text: str) -> tuple[Message, ...]:
    try:
        return as_messages(cast("list[AnyMessage]", json.loads(text)))
    except json.JSONDecodeError as error:
        raise SettingsError(f"the conversation is not valid JSON: {error}") from None


def _lines(text: str) -> tuple[Message, ...]:
    messages: list[Message] = []
    for line in text.splitlines():
        found = re.match(r"\s*(customer|user|agent|assistant)\s*:\s*(.*)", line, re.IGNORECASE)
        if found:
            messages.append(Message.model_validate({"role": SPEAKERS[found[1].lower()], "content": found[2].strip()}))
        elif line.strip() and messages:
            messages[-1] = messages[-1].model_copy(update={"content": f"{messages[-1].content}\n{line.strip()}"})
        elif line.strip():
            messages.append(Message(role="user", content=line.strip()))
    if not messages:
        raise SettingsError("the conversation is empty", hint="write lines such as: customer: Where is my parcel?")
    return tuple(messages)


def _shown(message: Message) -> str:
    calls = "\n".join(f"[calls {call.name} {call.arguments}]" for call in message.tool_calls)
    return "\n".join(part for part in (message.content, calls) if part)
