"""What domain.toml and brief.md hold: the pack's name and sizes, its shared slots, its numbered rules.

Pure over their texts; every fault comes with its line.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field

from strategist.domains.faults import Fault
from strategist.domains.persona import Split
from strategist.domains.reading import parse_record, parse_toml, toml_line
from strategist.domains.slots import Slot, slot_faults
from strategist.errors import DomainError
from strategist.languages import language_of
from strategist.records.base import Record

_RULE = re.compile(r"R(\d+)\.(?:\s+(.*))?$")
_ALMOST = re.compile(r"\W*R ?\d+\W*[.:)]", re.IGNORECASE)


class SplitSizes(Record):
    """Personas per split."""

    train: int = Field(ge=1)
    dev: int = Field(ge=1)
    test: int = Field(ge=1)

    def as_dict(self) -> dict[Split, int]:
        """The sizes by split."""
        return {"train": self.train, "dev": self.dev, "test": self.test}


class Manifest(Record):
    """domain.toml. `customers`: drawn from personas.jsonl, or met in imported conversations only (then there is no such file).

    `title` is the company as customers know it, `reply_words` how long a good reply is at most."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str = Field(min_length=1)
    language: str = Field(default="en", pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]+)*$")
    reply_words: int = Field(default=90, ge=10, le=1000)
    customers: Literal["personas", "recorded"] = "personas"
    splits: SplitSizes
    slots: dict[str, Slot] = Field(default_factory=dict)


class Rule(NamedTuple):
    """One numbered rule of the brief, e.g. ("R7", "Never promise a date.", 31)."""

    id: str
    text: str
    line: int


def read_manifest(path: Path, text: str, faults: list[Fault]) -> Manifest | None:
    """The manifest in a TOML text, or None with its faults. Where customers are recorded, nobody is drawn and there are no sizes."""
    table = parse_toml(path, text, faults)
    if table is not None and table.get("customers") == "recorded":
        table = {**table, "splits": {"train": 1, "dev": 1, "test": 1}}
    manifest = None if table is None else parse_record(Manifest, table, path, faults, lines=text)
    if manifest is None:
        return None
    try:
        language_of(manifest.language)
    except DomainError as error:
        faults.append(Fault(file=str(path), line=toml_line(text, ("language",)), message=error.message, hint=error.hint))
    for name, message in slot_faults(manifest.slots):
        faults.append(Fault(file=str(path), line=toml_line(text, ("slots", name)), message=message))
    return manifest


def read_rules(path: Path, text: str, faults: list[Fault]) -> tuple[Rule, ...]:
    """The rules of a brief, with faults for numbers that are not ascending, rules without text, and lines that only look like rules."""
    rules: list[Rule] = []
    last = 0
    for line, content in enumerate(text.splitlines(), start=1):
        found = _RULE.match(content)
        if found is None:
            if _ALMOST.match(content):
                message = f"this looks like a rule but is none: {content.strip()[:40]!r}"
                faults.append(Fault(file=str(path), line=line, message=message, hint="a rule is a line of its own: `R7. What holds.`"))
            continue
        number, rule = int(found[1]), Rule(f"R{int(found[1])}", (found[2] or "").strip(), line)
        faults.extend(Fault(file=str(path), line=line, message=message) for message in _rule_faults(rule, number, last, rules))
        last = number
        rules.append(rule)
    if not rules:
        faults.append(Fault(file=str(path), line=0, message="the brief has no rules", hint="write each rule as a line `R1. What holds.`"))
    return tuple(rules)


def _rule_faults(rule: Rule, number: int, last: int, earlier: list[Rule]) -> list[str]:
    out = []
    same = next((other for other in earlier if other.id == rule.id), None)
    if same is not None:
        out.append(f"{rule.id} is already used in line {same.line}")
    elif number <= last:
        out.append(f"{rule.id} comes after R{last}: rule numbers ascend")
    if not rule.text:
        out.append(f"{rule.id} has no text")
    return out
