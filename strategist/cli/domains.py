"""`strategist domain check|list`."""

from __future__ import annotations

import difflib
from pathlib import Path

from rich.text import Text

from strategist.cli.console import grid, out, plural, say
from strategist.domains.faults import Fault
from strategist.domains.pack import builtin_packs, find_domain, load_domain
from strategist.domains.validate import validate_pack
from strategist.errors import DomainError


def check(path: Path) -> None:
    """Print every fault; raise DomainError if one of them is an error."""
    packs = builtin_packs()
    folder = path if path.exists() else packs.get(str(path), path)
    if not folder.is_dir():
        near = difflib.get_close_matches(str(path), packs, n=1)
        meant = f"did you mean {near[0]!r}? " if near else ""
        what = "is a file; a domain pack is a folder" if folder.exists() else "is neither a folder nor a built-in pack"
        raise DomainError(f"{path} {what}", hint=f"{meant}built-in packs: {', '.join(sorted(packs)) or 'none'}")
    faults = validate_pack(folder)
    for fault in faults:
        _print(fault)
    errors = sum(fault.severity == "error" for fault in faults)
    if errors:
        raise DomainError(f"{plural(errors, 'error')} in {folder}", hint="docs/domains.md describes the format")
    domain = load_domain(folder)
    sizes = ", ".join(f"{count} {split}" for split, count in domain.split_sizes.items())
    hard = sum(c.hard for c in domain.checks)
    silent = sum(c.advice is None for c in domain.checks)
    about = (
        f"{domain.title}: {sizes} personas, {plural(len(domain.issues), 'issue')}, {plural(len(domain.checks), 'check')} ({hard} hard, "
        f"{silent} without advice), {plural(len(domain.tools), 'tool')}, {plural(len(domain.handbook), 'handbook line')}"
    )
    out.print(Text.assemble(("ok", "green"), f" {about}"))


def _print(fault: Fault) -> None:
    where = f"{fault.file}:{fault.line}" if fault.line else fault.file
    hint = f" ({fault.hint})" if fault.hint else ""
    out.print(
        Text.assemble((fault.severity, "red" if fault.severity == "error" else "yellow"), f" {where}: {fault.message}", (hint, "dim"))
    )


def list_packs() -> None:
    """A table of the built-in packs."""
    table = grid("name", "company", "issues", "checks", right=("issues", "checks"), wrap="company")
    for name in sorted(builtin_packs()):
        domain = find_domain(name, Path())
        table.add_row(name, Text(domain.title), str(len(domain.issues)), str(len(domain.checks)))
    out.print(table)
    say("simulated ones: strategist lab list", "dim")
