"""`strategist lab list|serve`."""

from __future__ import annotations

from rich.text import Text

from strategist.cli.console import err, grid, out, say
from strategist.lab.worlds import load_worlds


def list_worlds() -> None:
    """The worlds with what is known about them."""
    table = grid("world", "situations", "what it is like", right=("situations",), wrap="what it is like")
    for world in load_worlds().values():
        table.add_row(world.name, str(len(world.situations)), Text(world.title))
    out.print(table)
    say('use one with domain = "lab:<world>" in strategist.toml', "dim")


def serve(port: int) -> None:
    """Serve until Ctrl-C."""
    from strategist.lab.adapter import lab_models
    from strategist.lab.server import run_server

    say(f"simulated models at http://127.0.0.1:{port}/v1 (Ctrl-C stops): {', '.join(lab_models())}", to=err)
    run_server("127.0.0.1", port)
