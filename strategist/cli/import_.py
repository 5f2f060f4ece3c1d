"""`strategist import`: bring recorded conversations in, masked, and say what they are."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

from strategist.cli.console import grid, out, plural, say
from strategist.cli.files import read_text
from strategist.errors import SettingsError, StrategistError
from strategist.project import open_project
from strategist.recorded.importing import Imported, Who, by_split, import_conversations, pass_hats
from strategist.recorded.reading import Conversation, read_csv, read_json_lines, read_names
from strategist.settings import load_settings

MOST_SHOWN = 5
"""pass^k up to this k."""


def run(path: Path, file: Path, *, who: str, names: Sequence[str], source: str, region: str, dry: bool) -> None:
    """The command."""
    if who not in ("agent", "teacher"):
        raise SettingsError(f"--as is {who!r}", hint="it must be agent (to be coached) or teacher (to learn from)")
    conversations = read_file(file, names)
    with open_project(load_settings(path)) as project:
        name = source or re.sub(r"[^A-Za-z0-9_]+", "_", file.stem)
        if dry:
            say(f"{plural(len(conversations), 'conversation')} can be read; nothing is kept with --dry")
            return
        work = import_conversations(
            project.store, project.domain, project.embedder.embedder, conversations, source=name, who=_who(who), region=region
        )
        try:
            done = asyncio.run(work)
        except StrategistError as error:
            raise SettingsError(f"{file}: {error.message}", hint=error.hint) from None
        tell(done, name)
        if not project.domain.recorded:
            told = f"{project.domain.name} plays its customers from persona cards, so `teach` does not look at these conversations"
            say(f'note: {told}; `customers = "recorded"` in its domain.toml makes it', "yellow")


def read_file(file: Path, names: Sequence[str]) -> list[Conversation]:
    """The conversations of a .jsonl, .json or .csv file. Raises SettingsError naming file and line."""
    readers = {".jsonl": read_json_lines, ".json": read_json_lines, ".ndjson": read_json_lines, ".csv": read_csv}
    reader = readers.get(file.suffix.lower())
    if reader is None:
        raise SettingsError(f"{file}: what kind of file is it?", hint="name it .jsonl (OpenAI-style messages) or .csv (a turn a row)")
    try:
        return reader(read_text(file), read_names(names))
    except StrategistError as error:
        if isinstance(error, SettingsError):
            raise
        raise SettingsError(error.message if error.message.startswith("--map") else f"{file}: {error.message}", hint=error.hint) from None


def tell(done: Imported, source: str) -> None:
    """What was kept, by split and matter; what was masked; how often tasks were solved."""
    turns = sum(len(trace.turns) for trace in done.traces)
    splits = ", ".join(f"{count} {split}" for split, count in sorted(by_split(done.traces).items()))
    say(f"{source}: {plural(len(done.traces), 'conversation')} ({splits}), {plural(turns, 'turn')}; {done.new} new, {done.changed} changed")
    table = grid("matter", "turns", "conversations", right=("turns", "conversations"))
    matters = [(turn.issue or trace.issue, trace.id) for trace in done.traces for turn in trace.turns]
    for matter in sorted({name for name, _ in matters}):
        where = [trace for name, trace in matters if name == matter]
        table.add_row(matter, str(len(where)), str(len(set(where))))
    out.print(table)
    if done.erased:
        say(f"{plural(done.erased, 'conversation')} erased here, which stay so")
    masked = ", ".join(f"{count:,} {placeholder}" for placeholder, count in sorted(done.masked.items())) or "nothing was found"
    say(f"masked: {masked}")
    for found in pass_hats(done.traces)[:MOST_SHOWN]:
        mean, low, high, tasks = found.estimate
        say(f"pass^{found.k} {mean:.3f} [{max(0.0, low):.3f}, {min(1.0, high):.3f}], n = {tasks} tasks")


def _who(text: str) -> Who:
    return "teacher" if text == "teacher" else "agent"
