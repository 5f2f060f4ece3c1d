"""Printing: the two consoles, tables and blocks of text. No command decides anything here.

Invariants: texts of people and models are data, so they are printed as `Text` and never read as markup; where the output is no terminal,
nothing is wrapped, cut or framed, so that logs and pipes get whole lines.
"""

from __future__ import annotations

import logging
import os
import sys

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

UNWRAPPED = 10_000
"""Width in characters of what is no terminal, unless COLUMNS says otherwise."""


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    wide = not stream.isatty() and not os.environ.get("COLUMNS")
    return Console(stderr=stderr, width=UNWRAPPED if wide else None, highlight=False, emoji=False)


out = _console(stderr=False)
err = _console(stderr=True)


def say(text: str, style: str = "", *, to: Console = out) -> None:
    """Print one paragraph as it is, wrapped at words on a terminal."""
    to.print(Text(text, style=style))


class SaidAloud(logging.Handler):
    """What the library has to say while it works (a server is waited for) as lines on standard error, above the bars."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message."""
        say(record.getMessage(), "yellow", to=err)


def block(title: str, text: str, style: str = "") -> None:
    """A titled block of text: framed on a terminal, indented elsewhere."""
    if out.is_terminal:
        out.print(Panel(Text(text), title=Text(title), title_align="left", border_style=style))
        return
    say(f"{title}:")
    for line in text.splitlines():
        say(f"  {line}")


def grid(*columns: str, right: tuple[str, ...] = (), wrap: str = "") -> Table:
    """An empty table without lines; columns named in `right` are aligned there, only the column `wrap` may break its cells."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", no_wrap=column != wrap, overflow="fold")
    return table


def interval(mean: float, low: float, high: float) -> str:
    """`+0.21 [+0.10, +0.32]`."""
    return f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]"


def plural(count: int, one: str, many: str = "") -> str:
    """`1 entry`, `2 entries`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
