"""`strategist domain check|list`."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from strategist.cli.console import out
from strategist.domains.pack import builtin_packs, find_domain, load_domain
from strategist.domains.validate import validate_pack
from strategist.errors import DomainError


def check(path: Path) -> None:
    """Print every fault; raise DomainError if one of them is an error."""
    folder = path if path.exists() else builtin_packs().get(str(path), path)
    if not folder.is_dir():
        raise DomainError(f"no domain pack at {path}", hint=f"built-in packs: {', '.join(sorted(builtin_packs())) or 'none'}")
    faults = validate_pack(folder)
    for fault in faults:
        colour = "red" if fault.severity == "error" else "yellow"
        where = f"{fault.file}:{fault.line}" if fault.line else fault.file
        out.print(
            f"[{colour}]{fault.severity}[/{colour}] {where}: {fault.message}" + (f" [dim]({fault.hint})[/dim]" if fault.hint else ""),
            highlight=False,
        )
    errors = sum(fault.severity == "error" for fault in faults)
    if errors:
        raise DomainError(f"{errors} error{'s' * (errors > 1)} in {folder}")
    domain = load_domain(folder)
    sizes = ", ".join(f"{count} {split}" for split, count in domain.split_sizes.items())
    hard = sum(c.hard for c in domain.checks)
    out.print(
        f"[green]ok[/green] {domain.title}: {sizes} personas, {len(domain.issues)} issues, {len(domain.checks)} checks ({hard} hard, "
        f"{sum(c.advice is None for c in domain.checks)} without advice), {len(domain.tools)} tools, {len(domain.handbook)} handbook lines",
        highlight=False,
    )


def list_packs() -> None:
    """A table of the built-in packs."""
    table = Table(box=None, header_style="bold")
    for column in ("name", "company", "issues", "checks"):
        table.add_column(column)
    for name in sorted(builtin_packs()):
        domain = find_domain(name, Path())
        table.add_row(name, domain.title, str(len(domain.issues)), str(len(domain.checks)))
    out.print(table)
