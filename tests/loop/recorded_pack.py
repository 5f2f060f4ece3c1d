"""A small company whose customers are met in a log: two checks with advice, thirty conversations, a student that follows lines."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from strategist.placement import CLOSE, OPEN
from strategist.records.base import stable_int
from strategist.records.chat import ModelRequest, Reply

CHECKS = '''"""Checks of a shop's replies."""

from strategist.domains.checks import TurnView, turn_check


@turn_check("asks_number", about="The order number is asked for.", advice="When an order is late, ask for the order number.")
def asks_number(view: TurnView) -> bool | None:
    return view.says("order number") if view.customer_says("late") else None


@turn_check("names_days", about="The way of a refund is named.", advice="When a refund is asked for, say that it takes a form.")
def names_days(view: TurnView) -> bool | None:
    return view.says("form") if view.customer_says("refund") else None


@turn_check("polite", about="Thanks are said.")
def polite(view: TurnView) -> bool | None:
    return view.says("thank")


@turn_check("no_promise", about="Nothing is promised.", hard=True)
def no_promise(view: TurnView) -> bool | None:
    return not view.says("promise")
'''


def build_pack(folder: Path) -> Path:
    """The pack's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "domain.toml").write_text('name = "shop"\ntitle = "The shop"\ncustomers = "recorded"\n', encoding="utf-8")
    (folder / "brief.md").write_text("# The shop\n\nR1. Ask for what you need.\n", encoding="utf-8")
    (folder / "checks.py").write_text(CHECKS, encoding="utf-8")
    return folder


def log(count: int = 60, **changes: Any) -> str:
    """JSON lines: customers with late orders and refunds; every third conversation succeeded; a tool was used in each."""
    lines = []
    for n in range(count):
        matter = ("My order is late, it is a {}.", "I want a refund for the {}.")[n % 2].format(("lamp", "chair", "table", "rug")[n % 4])
        call = {"id": "c", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
        messages = [
            {"role": "user", "content": f"{matter} This is case number {n}, please."},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "content": f"record {n}"},
            {"role": "assistant", "content": "Thank you, we look into it." if n % 3 else "Thank you. The order number? There is a form."},
        ]
        split = ("train", "train", "train", "dev", "test")[n % 5]
        lines.append(json.dumps({"id": f"t{n}", "messages": messages, "reward": float(n % 3 == 0), "split": split, **changes}))
    return "\n".join(lines)


def student(request: ModelRequest, draw: int) -> Reply:
    """Polite and vague; does what a line says nineteen times in twenty."""
    last = next(m.content for m in reversed(request.messages) if m.role == "user")
    block = last.partition(OPEN)[2].partition(CLOSE)[0]
    said = ["Thank you for writing."]
    for number, (pattern, sentence) in enumerate((("order number", "What is the order number?"), ("form", "It takes a form."))):
        if re.search(pattern, block) and stable_int("obey", draw, number) % 20:
            said.append(sentence)
    return Reply(text=" ".join(said))
