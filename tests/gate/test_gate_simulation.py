"""The committed simulation runs as documented, repeats itself and measures the gate."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from statistics import fmean

ROOT = Path(__file__).parents[2]


def test_the_simulation_prints_its_table() -> None:
    done = subprocess.run([sys.executable, "-m", "evals.gate_simulation", "10"], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| ") and "at most" not in line]
    assert lines[0].startswith("n = 10 rounds of 16 candidates a row, seed 0")
    assert len(rows) == 40
    rates = [float(row[4].split()[0]) for row in rows]
    assert fmean(rates) <= 0.1
    assert max(rates) <= 0.4, "ten rounds a row"
    assert all((row[5] == "-") == (row[2] == "100%") for row in rows)
