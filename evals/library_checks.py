"""What must be true of a library that many processes have written to: asked after the study of many writers and that of teach runs."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from strategist.records.base import digest
from strategist.records.library import Entry, Event


def broken_chains(events: Sequence[Event], stored: Mapping[str, Entry]) -> list[str]:
    """Each entry's events must lead from nothing to what is stored, every one from where the one before it ended."""
    chains: defaultdict[str, list[Event]] = defaultdict(list)
    for event in events:
        chains[event.target].append(event)
    faults = []
    for name, entry in stored.items():
        links: list[str | None] = [None, *(event.after for event in chains[name])]
        whole = [event.before for event in chains[name]] == links[:-1] and links[-1] == digest(entry)
        faults += [] if whole else [f"the events of {name} do not lead to what is stored"]
    return faults


def verify(folder: Path) -> subprocess.CompletedProcess[str]:
    """What a user would type to check the index."""
    command = [sys.executable, "-m", "strategist.cli.main", "library", "verify", "-s", str(folder / "strategist.toml")]
    return subprocess.run(command, capture_output=True, text=True, check=False)
