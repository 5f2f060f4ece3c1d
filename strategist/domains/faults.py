"""What can be wrong with a domain pack, said once: a fault with file, line, message and what to do.

Reading a pack collects faults and never raises; `load_domain` turns the errors among them into one DomainError, the validator lists all.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from strategist.errors import DomainError
from strategist.records.base import Record

Severity = Literal["error", "warning"]
_SHOWN = 5


class Fault(Record):
    """One fault of a pack. `line` is 1-based; 0 means the file as a whole. An `error` keeps the pack from being used as it is meant."""

    file: str
    line: int
    message: str
    hint: str = ""
    severity: Severity = "error"

    @property
    def where(self) -> str:
        """File and line, as editors and terminals understand them."""
        return f"{self.file}:{self.line}" if self.line else self.file

    def __str__(self) -> str:
        return f"{self.where}: {self.severity}: {self.message}"


def is_error(fault: Fault) -> bool:
    """Whether a fault is more than a warning."""
    return fault.severity == "error"


def as_error(path: Path, faults: Iterable[Fault]) -> DomainError:
    """One DomainError for the errors among the faults: the first few in full, then how many more there are."""
    errors = [fault for fault in faults if is_error(fault)]
    lines = [f"{fault.where}: {fault.message}" for fault in errors[:_SHOWN]]
    if len(errors) > _SHOWN:
        lines.append(f"... and {len(errors) - _SHOWN} more")
    if len(errors) == 1 and errors[0].hint:
        return DomainError(lines[0], hint=errors[0].hint)
    return DomainError("\n".join(lines), hint=f"`strategist domain check {path}` lists every fault")
