"""`strategist lab list|serve`."""

from __future__ import annotations

from rich.table import Table

from strategist.cli.console import err, out
from strategist.lab.worlds import load_worlds


def list_worlds() -> None:
    """The worlds with what is known about them."""
    table = Table(box=None, header_style="bold")
    for column in ("world", "situations", "about"):
        table.add_column(column)
    for world in load_worlds().values():
        table.add_row(world.name, str(len(world.situations)), world.about)
    out.print(table)


def serve(port: int) -> None:
    """Serve until Ctrl-C."""
    from strategist.lab.server import run_server

    err.print(f"simulated models at http://127.0.0.1:{port}/v1 (Ctrl-C stops)", highlight=False)
    run_server("127.0.0.1", port, load_worlds().values())
